//! The engine's part, played in one thread: something happens to a shard, what it asks for is
//! carried out in order, then the truths must hold.

use rollcall::ids::ConnId;
use rollcall::messages::{Message, Peer};
use rollcall::shard::effects::Effect;
use rollcall::shard::{Gone, Shard};
use rollcall::time::Now;

use crate::client::{Client, Phase};
use crate::speech::{Means, Parcel};
use crate::world::{CONTROL, Letter, World};

impl World {
    pub(crate) fn event(&mut self, shard: usize, what: &str, event: impl FnOnce(&mut Shard, Now)) {
        self.step += 1;
        self.note(&format!("shard {shard} {what}"));
        event(&mut self.nodes[shard].shard, self.now);
        if !self.holding {
            self.release(shard);
        }
    }

    /// A shard goes on with what takes more than one turn. Returns whether there was anything.
    pub(crate) fn goes_on(&mut self, shard: usize) -> bool {
        let node = &self.nodes[shard];
        if node.stalled || !node.shard.is_working() {
            return false;
        }
        self.tallies("turns", 0);
        self.event(shard, "goes on", |shard, now| _ = shard.on_turn(now));
        true
    }

    /// The batch is over.
    pub(crate) fn release(&mut self, shard: usize) {
        self.holding = false;
        self.carry_out(shard);
        self.check();
    }

    fn carry_out(&mut self, from: usize) {
        loop {
            let mut effects = std::mem::take(&mut self.effects);
            self.nodes[from].shard.take_effects(&mut effects);
            if effects.is_empty() {
                self.effects = effects;
                return;
            }
            let (list, bytes) = effects.drain();
            for effect in list {
                match effect {
                    Effect::Send { conn, bytes: range } => self.send(from, conn, &bytes[range]),
                    Effect::Resume { conn } => self.with_client(from, conn, |c| c.again = true),
                    Effect::Finish { conn } => self.finish(from, conn),
                    Effect::Abort { conn } => self.abort(from, conn),
                    Effect::Message { to, message } => self.post(from, to, message),
                    Effect::StopAccepting => self.nodes[from].accepting = false,
                }
            }
            effects.clear();
            self.effects = effects;
        }
    }

    fn send(&mut self, shard: usize, conn: ConnId, bytes: &[u8]) {
        let key = (shard, conn.generation);
        let Some(client) = self.clients.get_mut(&key) else { return };
        if client.broken {
            client.left = true;
            self.note(&format!("shard {shard} writes to {}, which has gone", key.1));
            self.nodes[shard].shard.on_closed(conn, Gone::Reset, self.now);
            self.model.ends(key, self.step);
        } else {
            self.got(key, bytes);
        }
    }

    /// The last byte has left, and our FIN behind it. Most clients answer with their own.
    fn finish(&mut self, shard: usize, conn: ConnId) {
        let key = (shard, conn.generation);
        let now_ms = self.now.mono_ms;
        self.with_client(shard, conn, |client| {
            client.phase = Phase::Over;
            client.finished_ms = Some(now_ms);
            client.finishes |= !client.stubborn;
            client.is_ignored = false;
        });
        self.model.ends(key, self.step);
        self.nodes[shard].shard.on_finished(conn, self.now);
    }

    fn abort(&mut self, shard: usize, conn: ConnId) {
        let key = (shard, conn.generation);
        if let Some(mut client) = self.clients.remove(&key) {
            if matches!(client.phase, Phase::Connecting { .. }) {
                self.tallies("left before the verdict", 0);
            }
            self.nodes[shard].free.push(conn.index);
            for means in client.never_said() {
                if let Means::Parcel(parcel) = means {
                    self.lose(&parcel);
                }
            }
        }
        self.model.ends(key, self.step);
    }

    fn with_client(&mut self, shard: usize, conn: ConnId, then: impl FnOnce(&mut Client)) {
        if let Some(client) = self.clients.get_mut(&(shard, conn.generation)) {
            then(client);
        }
    }

    fn post(&mut self, from: usize, to: Peer, message: Message) {
        let Peer::Shard(shard) = to else {
            return self.post_to_control(from, message);
        };
        let parcel = matches!(message, Message::Emulate(_))
            .then(|| self.parcels.pop_front().expect("commands that somebody wrote"));
        if self.has_no_room() {
            self.note(&format!("no room from {from} to {shard} for {message:?}"));
            if let Some(parcel) = parcel {
                self.tallies("commands lost", 0);
                self.lose(&parcel);
            }
            self.nodes[from].shard.on_undeliverable(to, message, self.now);
        } else {
            let letter = Letter { message, parcel };
            self.network.entry((from, shard.index())).or_default().push_back(letter);
        }
    }

    fn post_to_control(&mut self, from: usize, message: Message) {
        match message {
            Message::Drained => self.nodes[from].drained = true,
            Message::Event(event) => self.is_reported(from, &event),
            Message::Ask { .. } if self.has_no_room() => {
                self.note(&format!("no room from {from} to control for {message:?}"));
                self.nodes[from].shard.on_undeliverable(Peer::Control, message, self.now);
            }
            Message::Answer { .. } if self.has_no_room() => {
                self.note(&format!("no room from {from} to control for {message:?}"));
                self.nodes[from].shard.on_undeliverable(Peer::Control, message, self.now);
            }
            Message::Ask { .. } | Message::Answer { .. } => {
                let letter = Letter { message, parcel: None };
                self.network.entry((from, CONTROL)).or_default().push_back(letter);
            }
            // Nobody in this world asks a backend.
            Message::Inquire { .. }
            | Message::Dismiss { .. }
            | Message::SessionEvents(_)
            | Message::WebhookFacts(_)
            | Message::Found { .. }
            | Message::Call(_)
            | Message::CallReply(_)
            | Message::Emulate(_)
            | Message::Watch { .. }
            | Message::Drain { .. }
            | Message::StreamOpen(_)
            | Message::StreamBacklog { .. }
            | Message::StreamGone { .. }
            | Message::StreamBytes { .. }
            | Message::UserLeft { .. }
            | Message::StreamEnd { .. } => panic!("not for the control thread: {message:?}"),
        }
    }

    /// Commands that never arrive get no reply.
    pub(crate) fn lose(&mut self, parcel: &Parcel) {
        if let Some(owner) = self.clients.get_mut(&parcel.owner) {
            for id in &parcel.ids {
                owner.calls.remove(id);
            }
        }
    }
}
