//! ① Connections come in: one loop per listener, never cancelled, with a back-off and a cap.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::Shared;
use super::breath::breathe;
use super::parking::Parking;
use crate::connection::open::Scope;

/// Connections of one shard. Far above what descriptors allow today; more wait in the kernel's
/// queue.
const CONNECTIONS_MAX: usize = 16_000_000;

/// Accepted before other tasks of the thread get their turn.
const ACCEPTS_PER_TURN: usize = 512;

/// How long accepting rests when descriptors or memory have run out.
const BACK_OFF: Duration = Duration::from_millis(50);

/// How many connections the kernel may hold for us; it lowers this to `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;

/// Unacknowledged data (a ping, say) proves a peer dead after this long, and an idle connection
/// is probed after as long. Without it a peer that vanished without a FIN stays listed for a
/// quarter of an hour.
const DEAD_PEER: Duration = Duration::from_secs(30);

/// Where to listen and what for.
#[derive(Clone, Debug)]
pub struct ListenOn {
    /// Address; an empty one was resolved to all interfaces.
    pub address: SocketAddr,
    /// Which endpoints answer there.
    pub scope: Scope,
}

/// A listening socket of one shard.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    scope: Scope,
}

/// The address that means all interfaces: both families where IPv6 exists.
#[must_use]
pub fn all_interfaces(port: u16) -> SocketAddr {
    let six = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    let four = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    if rustix::net::socket(AddressFamily::INET6, SocketType::STREAM, None).is_ok() {
        six
    } else {
        four
    }
}

/// Opens one listener per shard on the same address: the kernel spreads connections over them.
///
/// # Errors
/// The address is taken (also by another process that shares ports, which the kernel would
/// allow), or cannot be bound.
pub fn listen(on: &ListenOn, shards: usize) -> io::Result<Vec<Listener>> {
    // Ports shared between our own shards could be shared with a second server as well, which
    // would then answer half of the requests: a socket that does not share finds out.
    drop(bound(on.address, Sharing::Alone)?);
    let first = bound(on.address, Sharing::BetweenShards)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..shards {
        listeners.push(bound(address, Sharing::BetweenShards)?);
    }
    Ok(listeners.into_iter().map(|socket| Listener { socket, scope: on.scope }).collect())
}

/// Opens one listener that belongs to no shard.
///
/// # Errors
/// The address is taken or cannot be bound.
pub fn listen_alone(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address, Sharing::Alone)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

impl Listener {
    /// The address it is bound to, with the port the kernel chose when none was asked for.
    ///
    /// # Errors
    /// The socket's, if the kernel does not know it any more.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// A second handle to the same socket, to stop it from the outside.
    pub(super) fn handle(&self) -> io::Result<TcpListener> {
        self.socket.try_clone()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    BetweenShards,
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if sharing == Sharing::BetweenShards {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    // Accepted sockets inherit these: no system call per connection.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, DEAD_PEER)?;
    sockopt::set_tcp_keepintvl(&socket, DEAD_PEER / 3)?;
    sockopt::set_tcp_keepcnt(&socket, 3)?;
    let dead_peer_ms = u32::try_from(DEAD_PEER.as_millis()).expect("seconds fit");
    sockopt::set_tcp_user_timeout(&socket, dead_peer_ms)?;
    rustix::net::bind(&socket, &address)?;
    if sharing == Sharing::BetweenShards {
        rustix::net::listen(&socket, BACKLOG)?;
    }
    Ok(TcpListener::from(socket))
}

/// A listener with what it takes to wait for it.
pub(super) struct Accepting {
    listener: Listener,
    waitable: monoio::net::TcpListener,
}

impl Accepting {
    pub(super) fn new(listener: Listener) -> io::Result<Self> {
        let waitable = monoio::net::TcpListener::from_std(listener.handle()?)?;
        Ok(Self { listener, waitable })
    }
}

/// Accepts until the shard stops accepting.
pub(super) async fn run<P: Parking>(accepting: Accepting, shared: Shared<P>) -> io::Result<()> {
    let Accepting { listener: Listener { socket, scope }, waitable } = accepting;
    loop {
        waitable.readable(false).await?;
        // Emptied before the next wait: on the epoll driver only a change wakes.
        loop {
            if !shared.borrow().is_accepting() {
                return Ok(());
            }
            match accept_some(&socket, scope, &shared) {
                Accepted::All => break,
                Accepted::Some => breathe(&shared).await,
                Accepted::Exhausted => rest().await,
            }
        }
    }
}

enum Accepted {
    All,
    Some,
    Exhausted,
}

fn accept_some<P: Parking>(socket: &TcpListener, scope: Scope, shared: &Shared<P>) -> Accepted {
    let mut drive = shared.borrow_mut();
    drive.start_batch();
    let mut accepted = Accepted::Some;
    for _ in 0..ACCEPTS_PER_TURN {
        if drive.connections() >= CONNECTIONS_MAX {
            accepted = Accepted::Exhausted;
            break;
        }
        match rustix::net::accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(peer) => drive.accepted(peer, scope, &Rc::clone(shared)),
            Err(Errno::AGAIN) => {
                accepted = Accepted::All;
                break;
            }
            // The peer gave up while it waited, or a signal came: the next one.
            Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => {}
            Err(error) => {
                tracing::warn!(%error, "accepting rests: no descriptors or memory left");
                accepted = Accepted::Exhausted;
                break;
            }
        }
    }
    drive.end_batch(shared);
    accepted
}

#[expect(clippy::disallowed_methods, reason = "one timer of the accept loop, none per connection")]
async fn rest() {
    monoio::time::sleep(BACK_OFF).await;
}
