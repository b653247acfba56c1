//! Events in, the shard machine, its effects carried out in the order given. Also the one place
//! of a shard that reads a clock.

use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use nix::sys::socket::{Shutdown, shutdown};
use std::os::fd::{AsRawFd, OwnedFd};

use super::Shared;
use super::accept::Listener;
use super::breath::{Breaths, breathe};
use super::outbox::{Outbox, Outboxes};
use super::parking::Parking;
use super::remote::{Body, Remotes};
use super::sockets::{Read, Sockets, reset_when_closed};
use crate::connection::open::Scope;
use crate::ids::{ConnId, ShardId};
use crate::mesh::Endpoint;
use crate::messages::{Message, Peer, StreamEnd};
use crate::shard::effects::{Effect, Effects};
use crate::shard::{EFFECT_BYTES_MAX, Gone, Shard};
use crate::time::Now;

/// The core's one read buffer.
const READ_BYTES: usize = 64 * 1024;

/// Reads from one socket before others get their turn.
const READS_PER_TURN: usize = 4;

/// Messages taken from the mesh at once.
const MESSAGES_PER_BATCH: usize = 256;

/// How a batch of messages ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Batch {
    /// There are no more.
    Last,
    /// There may be more.
    Full,
    /// There may be more, for which something else must happen first.
    Enough,
}

/// How far a ready socket is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Depth {
    /// A short read emptied it: what comes later is a new event.
    UntilShort,
    /// A FIN or an error is behind the bytes, or may be, and no event will tell: on until there
    /// is nothing.
    UntilEnd,
}

/// Both clocks, from one start for all shards.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::start()
    }
}

impl Clock {
    /// Starts the monotonic clock.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads clocks")]
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Reads both clocks. The monotonic one begins at one second, so that zero is never a time.
    #[must_use]
    pub fn now(&self) -> Now {
        Self::at(self.mono_us())
    }

    /// Both clocks, when the monotonic one has been read already.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads clocks")]
    fn at(mono_us: u64) -> Now {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Now { mono_ms: mono_us / 1_000, unix_ms: since_epoch.map_or(0, millis) }
    }

    /// The monotonic one in microseconds.
    fn mono_us(&self) -> u64 {
        1_000_000 + u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX - 1_000_000)
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One shard's machine with everything it needs to act.
pub(super) struct Drive<P: Parking> {
    pub(super) shard: Shard,
    pub(super) sockets: Sockets<P::Socket>,
    pub(super) remotes: Remotes,
    outboxes: Outboxes,
    parking: P,
    breaths: Breaths,
    mesh: Endpoint<Message>,
    clock: Clock,
    pub(super) now: Now,
    effects: Effects,
    /// Connections to look at again: they have more to read, or may read again.
    again: Vec<ConnId>,
    /// Whether a task is on its way that looks at them.
    is_again_due: bool,
    /// Whether a task is on its way that goes on with what the shard looks at.
    is_turn_due: bool,
    /// What to stop when no connection may come any more.
    listeners: Vec<TcpListener>,
    buffer: Box<[u8]>,
    input: Vec<u8>,
    stage: Stage,
}

/// How far the shard is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Serving,
    Leaving,
    /// The goodbye is over and its last word was accepted by the mesh.
    Drained,
}

impl<P: Parking> Drive<P> {
    pub(super) fn new(shard: Shard, parking: P, mesh: Endpoint<Message>, clock: Clock) -> Self {
        Self {
            shard,
            sockets: Sockets::new(),
            remotes: Remotes::default(),
            outboxes: Outboxes::default(),
            parking,
            breaths: Breaths::default(),
            mesh,
            clock,
            now: clock.now(),
            effects: Effects::default(),
            again: Vec::new(),
            is_again_due: false,
            is_turn_due: false,
            listeners: Vec::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            input: Vec::new(),
            stage: Stage::Serving,
        }
    }

    pub(super) const fn parking(&self) -> &P {
        &self.parking
    }

    pub(super) const fn breaths(&mut self) -> &mut Breaths {
        &mut self.breaths
    }

    pub(super) const fn mesh(&mut self) -> &mut Endpoint<Message> {
        &mut self.mesh
    }

    pub(super) const fn is_accepting(&self) -> bool {
        matches!(self.stage, Stage::Serving)
    }

    /// Whether the goodbye is over and its last word is on its way: not only accepted, which it
    /// also is while it waits here for room in a ring.
    pub(super) fn is_drained(&self) -> bool {
        self.stage == Stage::Drained && self.mesh.waiting() == 0 && self.remotes.have_said_all()
    }

    /// Whether this connection is there and is read.
    pub(super) fn reads(&mut self, conn: ConnId) -> bool {
        self.sockets.get(conn).is_some() && self.shard.wants_bytes(conn)
    }

    /// Whether bytes wait for this connection to take them.
    pub(super) fn is_writing(&self, conn: ConnId) -> bool {
        self.outboxes.contains_key(&conn)
    }

    pub(super) const fn connections(&self) -> usize {
        self.sockets.len()
    }

    /// Time is read once per batch of events.
    pub(super) fn start_batch(&mut self) -> Now {
        let mono_us = self.clock.mono_us();
        self.now = Clock::at(mono_us);
        self.shard.on_batch(mono_us);
        self.now
    }

    /// What the batch led to has been carried out: the clock is read again only when a request
    /// was answered.
    fn finish_batch(&mut self) {
        self.mesh.flush();
        if self.shard.has_answered() {
            self.shard.on_batch_done(self.clock.mono_us(), self.now);
        }
    }

    /// Everything the batch led to is done before the next one starts.
    pub(super) fn end_batch(&mut self, shared: &Shared<P>) {
        self.carry_out(shared);
        self.finish_batch();
        if !self.again.is_empty() && !self.is_again_due {
            self.is_again_due = true;
            monoio::spawn(run_again(Rc::clone(shared)));
        }
        if !self.is_turn_due && self.shard.is_working() {
            self.is_turn_due = true;
            monoio::spawn(run_turns(Rc::clone(shared)));
        }
    }

    /// A stretch of a question that takes many turns. Returns whether none can go on.
    fn turn(&mut self, shared: &Shared<P>) -> bool {
        self.start_batch();
        let now = self.now;
        let is_done = self.guarded_shard(|shard| shard.on_turn(now)).unwrap_or(false);
        self.end_batch(shared);
        self.is_turn_due = !is_done;
        is_done
    }

    /// One look at every connection that wants another one. Returns whether none is left.
    pub(super) fn look_again(&mut self, shared: &Shared<P>) -> bool {
        if self.again.is_empty() {
            self.is_again_due = false;
            return true;
        }
        self.start_batch();
        for conn in std::mem::take(&mut self.again) {
            // What was read before the connection stopped reading comes first.
            self.input.clear();
            self.guarded(conn, |drive| {
                drive.shard.on_bytes(conn, &mut drive.input, drive.now);
                drive.read(conn, Depth::UntilEnd);
            });
            self.carry_out(shared);
            self.watch_again(conn, shared);
        }
        self.finish_batch();
        self.is_again_due = !self.again.is_empty();
        !self.is_again_due
    }

    pub(super) fn listens_on(&mut self, listener: &Listener) -> io::Result<()> {
        self.listeners.push(listener.handle()?);
        Ok(())
    }

    fn stop_accepting(&mut self) {
        self.stage = Stage::Leaving;
        for listener in self.listeners.drain(..) {
            // Refuses newcomers at once and wakes the accept loop, which then ends.
            let _already = shutdown(listener.as_raw_fd(), Shutdown::Both);
        }
    }

    pub(super) fn accepted(&mut self, socket: OwnedFd, scope: Scope, shared: &Shared<P>) {
        let parked = self.parking.adopt(socket).map(|socket| self.sockets.insert(socket));
        let conn = match parked {
            Ok(conn) => conn,
            Err(error) => {
                tracing::warn!(%error, "an accepted connection could not be taken over");
                return;
            }
        };
        let socket = self.sockets.get(conn).expect("inserted above");
        if let Err(error) = self.parking.watch(conn, socket, shared) {
            tracing::warn!(%error, "an accepted connection could not be watched");
            drop(self.sockets.remove(conn));
            return;
        }
        self.shard.on_open(conn, scope, self.now);
    }

    /// A socket has bytes, a FIN or an error.
    pub(super) fn readable(&mut self, conn: ConnId, depth: Depth) {
        self.guarded(conn, |drive| drive.read(conn, depth));
    }

    fn read(&mut self, conn: ConnId, depth: Depth) {
        for _ in 0..READS_PER_TURN {
            // A connection that stopped reading leaves its bytes to the kernel, whose buffer
            // fills and slows the peer; `Effect::Resume` looks again.
            if !self.shard.wants_bytes(conn) {
                return;
            }
            let gone = match self.sockets.read(conn, &mut self.buffer) {
                Read::Nothing => return,
                Read::Finished => Gone::Finished,
                Read::Broken => Gone::Reset,
                Read::Bytes(len) => {
                    if self.shard.wants_peer(conn) {
                        self.shard.on_peer(conn, self.sockets.peer(conn));
                    }
                    self.input.clear();
                    self.input.extend_from_slice(&self.buffer[..len]);
                    self.shard.on_bytes(conn, &mut self.input, self.now);
                    if len < self.buffer.len() && depth == Depth::UntilShort {
                        return;
                    }
                    continue;
                }
            };
            self.shard.on_closed(conn, gone, self.now);
            return;
        }
        self.again.push(conn);
    }

    /// A socket that had been full has room.
    pub(super) fn writable(&mut self, conn: ConnId) {
        let Some(outbox) = self.outboxes.get_mut(&conn) else { return };
        match self.sockets.write(conn, outbox.waiting()) {
            None => {
                self.outboxes.remove(&conn);
                self.shard.on_closed(conn, Gone::Reset, self.now);
            }
            Some(sent) => {
                outbox.advance(sent);
                if outbox.waiting().is_empty() {
                    let finish = outbox.finish;
                    self.outboxes.remove(&conn);
                    if finish {
                        self.half_close(conn);
                    } else {
                        self.shard.on_flushed(conn);
                    }
                }
            }
        }
    }

    pub(super) fn tick(&mut self, shared: &Shared<P>) -> bool {
        self.start_batch();
        self.say_unsaid();
        let now = self.now;
        let all_done = self.guarded_shard(|shard| shard.on_tick(now)).unwrap_or(true);
        self.end_batch(shared);
        all_done
    }

    /// Takes messages from the mesh. Returns whether there may be more.
    pub(super) fn messages(&mut self, shared: &Shared<P>) -> Batch {
        self.start_batch();
        let now = self.now;
        let control = self.mesh.peers() - 1;
        for _ in 0..MESSAGES_PER_BATCH {
            if !self.shard.takes_messages(now) {
                self.end_batch(shared);
                return Batch::Enough;
            }
            let Some((from, message)) = self.mesh.receive() else {
                self.end_batch(shared);
                return Batch::Last;
            };
            let from =
                if from == control { Peer::Control } else { Peer::Shard(ShardId::new(from)) };
            if let Some(message) = self.about_stream(message) {
                self.guarded_shard(|shard| shard.on_message(from, message, now));
            }
            self.relieve(shared);
        }
        self.end_batch(shared);
        Batch::Full
    }

    /// Between two events of a batch: effects are carried out when many bytes wait.
    pub(super) fn relieve(&mut self, shared: &Shared<P>) {
        if self.shard.effect_bytes() >= EFFECT_BYTES_MAX {
            self.carry_out(shared);
        }
    }

    /// Carries out what the machine asks for, until it asks for nothing more.
    fn carry_out(&mut self, shared: &Shared<P>) {
        loop {
            let mut effects = std::mem::take(&mut self.effects);
            self.shard.take_effects(&mut effects);
            if effects.is_empty() {
                self.effects = effects;
                return;
            }
            let (list, bytes) = effects.drain();
            for effect in list {
                match effect {
                    Effect::Send { conn, bytes: range } => self.send(conn, &bytes[range], shared),
                    Effect::Resume { conn } => self.again.push(conn),
                    Effect::Finish { conn } => self.finish(conn, shared),
                    Effect::Abort { conn } => self.close(conn),
                    Effect::Message { to, message } => self.deliver(to, message),
                    Effect::StopAccepting => self.stop_accepting(),
                }
            }
            effects.clear();
            self.effects = effects;
        }
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8], shared: &Shared<P>) {
        if let Some(outbox) = self.outboxes.get_mut(&conn) {
            outbox.push(bytes);
            let waiting = outbox.waiting().len();
            self.shard.on_backlog(conn, waiting, self.now);
            return;
        }
        match self.sockets.write(conn, bytes) {
            Some(sent) if sent == bytes.len() => {}
            Some(sent) => {
                let mut outbox = Outbox::default();
                outbox.push(&bytes[sent..]);
                let waiting = outbox.waiting().len();
                self.outboxes.insert(conn, outbox);
                let socket = self.sockets.get(conn).expect("it was written to");
                if let Err(error) = self.parking.watch_writable(conn, socket, shared) {
                    tracing::warn!(%error, "a slow connection could not be watched");
                    self.shard.on_closed(conn, Gone::Reset, self.now);
                    return;
                }
                self.shard.on_backlog(conn, waiting, self.now);
            }
            None => match self.remotes.body(conn) {
                Some(Body::Stream(stream)) => self.send_stream(conn, stream, bytes),
                Some(Body::Gone) => {}
                None => self.shard.on_closed(conn, Gone::Reset, self.now),
            },
        }
    }

    fn deliver(&mut self, to: Peer, message: Message) {
        let last_word = matches!(message, Message::Drained);
        match self.post(to, message) {
            Ok(()) if last_word => self.stage = Stage::Drained,
            Ok(()) => {}
            Err(message) => self.shard.on_undeliverable(to, message, self.now),
        }
    }

    /// Hands a message to another thread, or gives it back when there is no room.
    pub(super) fn post(&mut self, to: Peer, message: Message) -> Result<(), Message> {
        let index = match to {
            Peer::Shard(shard) => shard.index(),
            Peer::Control => self.mesh.peers() - 1,
        };
        self.mesh.send(index, message).map_err(|full| full.0)
    }

    fn finish(&mut self, conn: ConnId, shared: &Shared<P>) {
        match self.outboxes.get_mut(&conn) {
            Some(outbox) => outbox.finish = true,
            None => self.half_close(conn),
        }
        // What still comes is read, and thrown away.
        self.watch_again(conn, shared);
    }

    fn watch_again(&mut self, conn: ConnId, shared: &Shared<P>) {
        if self.reads(conn)
            && let Some(socket) = self.sockets.get(conn)
        {
            self.parking.watch_again(conn, socket, shared);
        }
    }

    fn half_close(&mut self, conn: ConnId) {
        if let Some(socket) = self.sockets.get(conn) {
            // The peer may have gone already: then there is nothing left to say.
            let _gone = shutdown(socket.as_raw_fd(), Shutdown::Write);
            self.shard.on_finished(conn, self.now);
        } else {
            self.finish_stream(conn);
        }
    }

    fn close(&mut self, conn: ConnId) {
        let unread = self.outboxes.remove(&conn);
        if let Some(socket) = self.sockets.remove(conn) {
            if unread.is_some() {
                reset_when_closed(socket.as_raw_fd());
            }
            // Wakes a task that still waits for this socket; closing follows when it lets go.
            let _gone = shutdown(socket.as_raw_fd(), Shutdown::Both);
        } else {
            self.forget_stream(conn, StreamEnd::Cut);
        }
    }

    /// Runs one connection's event; a panic in it is caught and ends that connection alone.
    pub(super) fn guarded(&mut self, conn: ConnId, event: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| event(self))).is_err() {
            tracing::error!(index = conn.index, "handling a connection panicked: it is closed");
            self.shard.on_panicked(conn, self.now);
        }
    }

    pub(super) fn guarded_shard<T>(&mut self, event: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(|| event(&mut self.shard)))
            .inspect_err(|_| {
                tracing::error!("a shard's event panicked: it was dropped");
                self.shard.on_event_panicked();
            })
            .ok()
    }
}

/// Looks again at connections that have more to read, fairly to everything else.
async fn run_again<P: Parking>(shared: Shared<P>) {
    const LOOKS_PER_TURN: usize = 8;
    loop {
        for _ in 0..LOOKS_PER_TURN {
            if shared.borrow_mut().look_again(&shared) {
                return;
            }
        }
        breathe(&shared).await;
    }
}

/// Goes on with questions that take many turns, fairly to everything else.
async fn run_turns<P: Parking>(shared: Shared<P>) {
    loop {
        breathe(&shared).await;
        if shared.borrow_mut().turn(&shared) {
            return;
        }
    }
}

/// Runs the mesh of a shard: one task that sleeps until a peer rings.
pub(super) async fn run_mesh<P: Parking>(shared: Shared<P>) {
    const BATCHES_PER_TURN: usize = 8;
    loop {
        std::future::poll_fn(|cx| shared.borrow_mut().mesh().poll_ready(cx)).await;
        let mut batches = 0;
        loop {
            match shared.borrow_mut().messages(&shared) {
                Batch::Last => break,
                Batch::Full => batches += 1,
                Batch::Enough => batches = BATCHES_PER_TURN,
            }
            if batches == BATCHES_PER_TURN {
                breathe(&shared).await;
                batches = 0;
            }
        }
    }
}
