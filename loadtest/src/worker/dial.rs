//! Outgoing connections, spread over many local addresses: one address has only some 28,000
//! ports towards one server.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

use crate::failure::{Context, Failure};

/// Connections from one local address: far below its ports, so that those of an earlier run
/// still in TIME-WAIT do not matter.
const PER_SOURCE: u32 = 5_000;

/// Receive buffer of a connection that is not read; the kernel makes it its least, some 2 KB.
const RECEIVE_BYTES: usize = 1024;

/// The address the `index`th connection starts from: every 127.x.y.z is this machine.
pub(super) fn source(first: Ipv4Addr, index: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(first) + index / PER_SOURCE)
}

/// How a connection ends when it is dropped here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goodbye {
    /// As usual: its port stays taken for a minute (TIME-WAIT).
    Fin,
    /// By a reset, which leaves nothing behind on either side.
    Reset,
}

/// Begins a connection without waiting; it is up, or has failed, once it is writable.
pub(super) fn dial(
    address: SocketAddr,
    from: Option<Ipv4Addr>,
    goodbye: Goodbye,
) -> Result<TcpStream, Failure> {
    begin(address, from, goodbye, None)
}

/// The same for which the kernel keeps next to nothing that is not read.
pub(super) fn dial_narrow(
    address: SocketAddr,
    from: Option<Ipv4Addr>,
) -> Result<TcpStream, Failure> {
    begin(address, from, Goodbye::Reset, Some(RECEIVE_BYTES))
}

fn begin(
    address: SocketAddr,
    from: Option<Ipv4Addr>,
    goodbye: Goodbye,
    receive_bytes: Option<usize>,
) -> Result<TcpStream, Failure> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None).during("making a socket")?;
    sockopt::set_tcp_nodelay(&socket, true).during("setting TCP_NODELAY")?;
    if let Some(bytes) = receive_bytes {
        // Before the connection begins: its first window is told by then.
        sockopt::set_socket_recv_buffer_size(&socket, bytes).during("setting SO_RCVBUF")?;
    }
    if goodbye == Goodbye::Reset {
        let at_once = Some(Duration::ZERO);
        sockopt::set_socket_linger(&socket, at_once).during("setting SO_LINGER")?;
    }
    if let Some(from) = from {
        bind(&socket, &SocketAddrV4::new(from, 0)).during("choosing a local port")?;
    }
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error).during("connecting"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_local_address_is_used_five_thousand_times() {
        let first = Ipv4Addr::new(127, 9, 0, 255);
        assert_eq!(source(first, 0), first);
        assert_eq!(source(first, 4_999), first);
        assert_eq!(source(first, 5_000), Ipv4Addr::new(127, 9, 1, 0));
    }

    #[test]
    fn what_a_narrow_connection_does_not_read_stays_with_its_peer() {
        use std::io::Write;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let _near = dial_narrow(address, None).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        sockopt::set_socket_send_buffer_size(&far, 4096).unwrap();
        far.set_nonblocking(true).unwrap();
        let mut taken = 0;
        while let Ok(len) = far.write(&[0; 4096]) {
            taken += len;
        }
        assert!(taken < 256 * 1024, "{taken} bytes");
    }

    #[test]
    fn a_reset_is_what_the_peer_sees_if_that_is_the_goodbye() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for (goodbye, seen) in [(Goodbye::Fin, Ok(0)), (Goodbye::Reset, Err(()))] {
            let near = dial(listener.local_addr().unwrap(), None, goodbye).unwrap();
            let (mut far, _) = listener.accept().unwrap();
            drop(near);
            assert_eq!(far.read(&mut [0]).map_err(|_reset| ()), seen, "{goodbye:?}");
        }
    }
}
