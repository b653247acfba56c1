//! A slab of sockets: eight bytes per place for a parked one.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::Linger;
use nix::sys::socket::{MsgFlags, SockaddrStorage, getpeername, recv, send, setsockopt};

use crate::ids::ConnId;

/// All sockets of a shard. `S` is however the parking design owns a descriptor.
#[derive(Debug)]
pub(super) struct Sockets<S> {
    places: Vec<Place<S>>,
    free: Vec<u32>,
    open: usize,
    /// Grows with every accepted connection, so that no two ever share an id.
    generation: u32,
}

#[derive(Debug)]
struct Place<S> {
    socket: Option<S>,
    generation: u32,
}

/// What a non-blocking read found.
pub(super) enum Read {
    /// This many bytes.
    Bytes(usize),
    /// The peer's FIN.
    Finished,
    /// Nothing now.
    Nothing,
    /// The connection is broken.
    Broken,
}

impl<S: AsRawFd> Sockets<S> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), open: 0, generation: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.open
    }

    pub(super) fn insert(&mut self, socket: S) -> ConnId {
        self.occupy(Some(socket))
    }

    /// A place for a connection that has no descriptor here, until [`Self::release`].
    pub(super) fn reserve(&mut self) -> ConnId {
        self.occupy(None)
    }

    fn occupy(&mut self, socket: Option<S>) -> ConnId {
        self.generation = self.generation.wrapping_add(1);
        let place = Place { socket, generation: self.generation };
        self.open += 1;
        let index = if let Some(index) = self.free.pop() {
            self.places[index as usize] = place;
            index
        } else {
            self.places.push(place);
            u32::try_from(self.places.len() - 1).expect("descriptors fit u32")
        };
        ConnId { index, generation: self.generation }
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&S> {
        let place = self.places.get(conn.index as usize)?;
        place.socket.as_ref().filter(|_| place.generation == conn.generation)
    }

    /// Takes the socket out; dropping it closes it.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<S> {
        self.get(conn)?;
        let socket = self.places[conn.index as usize].socket.take();
        self.vacate(conn);
        socket
    }

    /// Gives a reserved place back. Once for each that was reserved: whose places they are, the
    /// caller knows.
    pub(super) fn release(&mut self, conn: ConnId) {
        let place = self.places.get(conn.index as usize);
        let is_reserved =
            |place: &Place<S>| place.generation == conn.generation && place.socket.is_none();
        debug_assert!(place.is_some_and(is_reserved), "not a reserved place: {conn:?}");
        self.vacate(conn);
    }

    fn vacate(&mut self, conn: ConnId) {
        self.open -= 1;
        if self.open == 0 {
            // After a storm the memory goes back.
            self.places = Vec::new();
            self.free = Vec::new();
        } else {
            self.free.push(conn.index);
        }
    }

    /// The address of the other end; `None` when it has gone already.
    pub(super) fn peer(&self, conn: ConnId) -> Option<IpAddr> {
        let address: SockaddrStorage = getpeername(self.get(conn)?.as_raw_fd()).ok()?;
        let v4 = address.as_sockaddr_in().map(|v4| Ipv4Addr::from(v4.ip()).into());
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()).to_canonical()))
    }

    /// Reads what is there, without waiting.
    pub(super) fn read(&self, conn: ConnId, buffer: &mut [u8]) -> Read {
        let Some(socket) = self.get(conn) else { return Read::Nothing };
        loop {
            match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Read::Finished,
                Ok(len) => return Read::Bytes(len),
                Err(Errno::EAGAIN) => return Read::Nothing,
                Err(Errno::EINTR) => {}
                Err(_) => return Read::Broken,
            }
        }
    }

    /// Sends what the kernel takes, without waiting. `None`: the connection is broken.
    pub(super) fn write(&self, conn: ConnId, bytes: &[u8]) -> Option<usize> {
        let fd = self.get(conn)?.as_raw_fd();
        let mut sent = 0;
        while sent < bytes.len() {
            match send(fd, &bytes[sent..], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
                Ok(len) => sent += len,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
        Some(sent)
    }
}

/// Has the end of this socket be a reset that throws away what the kernel still holds for its peer.
/// A FIN would queue behind bytes nobody reads: the peer would never hear it, and the kernel would
/// keep them for minutes.
pub(super) fn reset_when_closed(socket: RawFd) {
    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
    // Nothing but memory depends on it.
    let _kept = setsockopt(socket, Linger, &at_once);
}
