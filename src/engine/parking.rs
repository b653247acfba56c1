//! ④ How an idle socket waits for its next byte. Two designs, one door: chosen by
//! `shards.parking`, measured in docs/performance.md.

use std::cell::Cell;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use rustix::event::epoll;
use rustix::event::epoll::{EventData, EventFlags};

use super::Shared;
use super::breath::breathe;
use super::drive::Depth;
use crate::ids::ConnId;

/// A parking design: who owns a socket's descriptor and who is told when it is ready.
pub(super) trait Parking: Sized + 'static {
    /// An owned descriptor; dropping it closes the socket.
    type Socket: AsRawFd;

    /// Everything the design needs before the first socket.
    fn new() -> io::Result<Self>;

    /// Takes an accepted socket over.
    fn adopt(&self, socket: OwnedFd) -> io::Result<Self::Socket>;

    /// Starts to watch a socket for bytes, FIN and errors, for as long as it lives.
    fn watch(&self, conn: ConnId, socket: &Self::Socket, shared: &Shared<Self>) -> io::Result<()>;

    /// Watches a socket again that had not been read for a while, though it had bytes.
    fn watch_again(&self, conn: ConnId, socket: &Self::Socket, shared: &Shared<Self>);

    /// Watches for room to write until nothing waits for it any more.
    fn watch_writable(
        &self,
        conn: ConnId,
        socket: &Self::Socket,
        shared: &Shared<Self>,
    ) -> io::Result<()>;

    /// Starts whatever runs as long as the shard does.
    fn start(shared: &Shared<Self>) -> io::Result<()>;
}

/// A nested poll set: one epoll descriptor holds every parked socket, and the ring waits for
/// that one descriptor. No task, no future, no buffer per socket.
pub(super) struct PollSet {
    set: OwnedFd,
}

/// Readiness events taken out of the set at once.
const EVENTS_PER_BATCH: usize = 256;

/// How long ready sockets are handled before the runtime gets its turn: long against the turn,
/// which costs a few microseconds, and short against a tick.
const TURN_MS: u64 = 2;

impl Parking for PollSet {
    type Socket = OwnedFd;

    fn new() -> io::Result<Self> {
        Ok(Self { set: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    fn adopt(&self, socket: OwnedFd) -> io::Result<OwnedFd> {
        Ok(socket)
    }

    fn watch(&self, conn: ConnId, socket: &OwnedFd, _: &Shared<Self>) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.set, socket, EventData::new_u64(conn.to_word()), flags)?)
    }

    fn watch_again(&self, _: ConnId, _: &OwnedFd, _: &Shared<Self>) {
        // It is told of what comes, and of that only, all the time.
    }

    fn watch_writable(&self, conn: ConnId, socket: &OwnedFd, _: &Shared<Self>) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::modify(&self.set, socket, EventData::new_u64(conn.to_word()), flags)?)
    }

    fn start(shared: &Shared<Self>) -> io::Result<()> {
        // The runtime knows sockets only: the set's descriptor travels as one. Safe, and
        // nothing but its readability is ever asked for.
        let set = shared.borrow().parking().set.try_clone()?;
        let waitable = monoio::net::TcpStream::from_std(TcpStream::from(set))?;
        let shared = Rc::clone(shared);
        monoio::spawn(async move {
            let mut events = Vec::with_capacity(EVENTS_PER_BATCH);
            loop {
                // `true` never clears readiness on the epoll driver and would spin.
                if let Err(error) = waitable.readable(false).await {
                    tracing::error!(%error, "the poll set cannot be waited for");
                    return;
                }
                // The set must be found empty before the next wait: on the epoll driver only a
                // change wakes.
                while !take_events(&shared, &mut events) {
                    breathe(&shared).await;
                }
            }
        });
        Ok(())
    }
}

/// Handles ready sockets. Returns whether the set was found empty.
fn take_events(shared: &Shared<PollSet>, events: &mut Vec<epoll::Event>) -> bool {
    let mut drive = shared.borrow_mut();
    let start_ms = drive.start_batch().mono_ms;
    loop {
        events.clear();
        let timeout = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
        let buffer = rustix::buffer::spare_capacity(events);
        if let Err(error) = epoll::wait(&drive.parking().set, buffer, Some(&timeout)) {
            if error != rustix::io::Errno::INTR {
                tracing::error!(%error, "the poll set cannot be read");
            }
            return true;
        }
        if events.is_empty() {
            return true;
        }
        drive.start_batch();
        for event in events.iter() {
            // Copied out: the structure is packed.
            let (flags, data) = (event.flags, event.data);
            let conn = ConnId::from_word(data.u64());
            if flags.contains(EventFlags::OUT) {
                drive.writable(conn);
            }
            if flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
                // Told once: what is behind the last bytes must be found now.
                drive.readable(conn, Depth::UntilEnd);
            } else if flags.contains(EventFlags::IN) {
                drive.readable(conn, Depth::UntilShort);
            }
            drive.relieve(shared);
        }
        drive.end_batch(shared);
        // The tasks of the mesh and of connections that go on run when the runtime has its turn:
        // too late for a shard that is never idle.
        drive.messages(shared);
        drive.look_again(shared);
        if drive.start_batch().mono_ms >= start_ms + TURN_MS {
            return false;
        }
    }
}

/// A small task per socket that waits for readability: io_uring (or the fallback driver) all the
/// way, about 400 bytes each.
pub(super) struct Tasks;

/// A socket owned by the slab and by the tasks that wait for it.
#[derive(Clone)]
pub(super) struct TaskSocket(Rc<Watched>);

struct Watched {
    stream: monoio::net::TcpStream,
    /// Whether a task waits for something to read.
    reading: Cell<bool>,
    /// Whether a task waits for room to write.
    writing: Cell<bool>,
}

impl AsRawFd for TaskSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.stream.as_raw_fd()
    }
}

impl Parking for Tasks {
    type Socket = TaskSocket;

    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    fn adopt(&self, socket: OwnedFd) -> io::Result<TaskSocket> {
        let stream = monoio::net::TcpStream::from_std(TcpStream::from(socket))?;
        let (reading, writing) = (Cell::new(false), Cell::new(false));
        Ok(TaskSocket(Rc::new(Watched { stream, reading, writing })))
    }

    fn watch(&self, conn: ConnId, socket: &TaskSocket, shared: &Shared<Self>) -> io::Result<()> {
        self.watch_again(conn, socket, shared);
        Ok(())
    }

    fn watch_again(&self, conn: ConnId, socket: &TaskSocket, shared: &Shared<Self>) {
        if socket.0.reading.replace(true) {
            return;
        }
        let (socket, shared) = (socket.clone(), Rc::clone(shared));
        monoio::spawn(async move {
            loop {
                let ready = socket.0.stream.readable(false).await;
                let mut drive = shared.borrow_mut();
                drive.start_batch();
                drive.readable(conn, Depth::UntilEnd);
                drive.end_batch(&shared);
                // A socket that is not read stays ready: waiting for it would not wait. And once
                // the slab has let go of it, this task is the last owner and closes it.
                if ready.is_err() || !drive.reads(conn) {
                    socket.0.reading.set(false);
                    return;
                }
            }
        });
    }

    fn watch_writable(
        &self,
        conn: ConnId,
        socket: &TaskSocket,
        shared: &Shared<Self>,
    ) -> io::Result<()> {
        if socket.0.writing.replace(true) {
            return Ok(());
        }
        let (socket, shared) = (socket.clone(), Rc::clone(shared));
        monoio::spawn(async move {
            loop {
                let ready = socket.0.stream.writable(false).await;
                let mut drive = shared.borrow_mut();
                drive.start_batch();
                drive.writable(conn);
                drive.end_batch(&shared);
                if ready.is_err() || !drive.is_writing(conn) {
                    socket.0.writing.set(false);
                    return;
                }
            }
        });
        Ok(())
    }

    fn start(_: &Shared<Self>) -> io::Result<()> {
        Ok(())
    }
}
