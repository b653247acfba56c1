//! ③ A connect that only the outside can decide: it waits for what the control thread finds out, and
//! what its client says meanwhile waits with it.

use rand::Rng;

use super::Shard;
use super::conns::State;
use super::inquiries::Inquirer;
use super::sessions::names;
use crate::auth::KeyNeeded;
use crate::connection::connect::{self, Refused};
use crate::connection::opening::{
    Applying, Caller, Connecting, Deciding, Held, Opening, Stage, Waiting,
};
use crate::ids::{ConnId, InquiryId};
use crate::messages::{Finding, Inquiry, Message, Peer};
use crate::protocol::{ConnectRequest, codes};
use crate::proxy::ConnectQuestion;
use crate::session::Table;
use crate::time::Now;
use crate::transport::Wire;

impl Shard {
    /// Asks the backend who a client is.
    pub(super) fn ask_backend(
        &mut self,
        conn: ConnId,
        wire: Wire,
        (id, mut request): (u32, ConnectRequest),
        mut caller: Caller,
        now: Now,
    ) {
        let promise = Table::promise(self.rng.next_u64());
        let question = ConnectQuestion {
            client: self.table.promised_client(promise),
            transport: names(wire).0.name(),
            encoding: wire.data_encoding(),
            data: request.data.take(),
            name: request.name.clone(),
            version: request.version.clone(),
            channels: std::mem::take(&mut request.channels),
            carried: match &self.options.refresh_proxy {
                Some(_) => caller.carried.clone(),
                None => std::mem::take(&mut caller.carried),
            },
        };
        let applying = Applying { request, caller, id, promise: Some(promise) };
        self.inquire(conn, wire, applying, Inquiry::Connect(Box::new(question)), now);
    }

    /// Has the key of a client's token fetched.
    pub(super) fn fetch_key(
        &mut self,
        conn: ConnId,
        wire: Wire,
        applying: Applying,
        needed: Box<KeyNeeded>,
        now: Now,
    ) {
        self.inquire(conn, wire, applying, Inquiry::Key(needed), now);
    }

    /// Has a key fetched for those who come later.
    pub(super) fn fetch_key_ahead(&mut self, needed: Box<KeyNeeded>, now: Now) {
        if let Some(inquiry) = self.inquiries.open(Inquirer::Nobody, now.mono_ms) {
            self.counters.inquiries += 1;
            let about = Inquiry::Key(needed);
            self.effects.message(Peer::Control, Message::Inquire { inquiry, about });
        }
    }

    fn inquire(&mut self, conn: ConnId, wire: Wire, applying: Applying, about: Inquiry, now: Now) {
        let Some(inquiry) = self.inquiries.open(Inquirer::Connect { conn }, now.mono_ms) else {
            self.counters.inquiries_refused += 1;
            let refused = Refused::Error(codes::ERROR_INTERNAL);
            return self.refuse_connect(conn, wire, &applying.caller, (applying.id, refused), now);
        };
        self.counters.inquiries += 1;
        self.effects.message(Peer::Control, Message::Inquire { inquiry, about });
        self.wait(conn, wire, Waiting::Finding(inquiry, applying), now);
    }

    /// A connect waits. Nothing is held behind it yet.
    pub(super) fn wait(&mut self, conn: ConnId, wire: Wire, waiting: Waiting, now: Now) {
        let deciding = Box::new(Deciding { waiting, held: Held::default() });
        self.become_opening(conn, Opening { wire, stage: Stage::Deciding(deciding) });
        self.arm_at(conn, now.mono_ms + self.options.stale_close_ms);
    }

    /// The outside has said something. Whoever waited for it may have gone.
    pub(super) fn on_found(&mut self, inquiry: InquiryId, finding: Finding, now: Now) {
        if let Some(inquirer) = self.inquiries.close(inquiry) {
            self.answer_inquirer(inquirer, finding, now);
        }
    }

    /// Ends the wait of those that have waited too long.
    pub(super) fn end_inquiries(&mut self, now: Now) {
        while let Some((inquiry, inquirer)) = self.inquiries.take_overdue(now.mono_ms) {
            self.effects.message(Peer::Control, Message::Dismiss { inquiry });
            self.answer_inquirer(inquirer, Finding::Nothing, now);
        }
    }

    fn answer_inquirer(&mut self, inquirer: Inquirer, finding: Finding, now: Now) {
        let conn = match inquirer {
            Inquirer::Connect { conn } => conn,
            Inquirer::Session { conn, client } => {
                return self.on_renewal((conn, client), finding, now);
            }
            Inquirer::Nobody => return,
        };
        self.go_on(conn, now, |shard, wire, waiting| {
            let Waiting::Finding(_, applying) = waiting else {
                unreachable!("it waits for a finding as long as its inquiry is open")
            };
            shard.on_identified(conn, wire, applying, finding, now);
        });
    }

    /// The goodbye does not wait for the outside.
    pub(super) fn refuse_waiting(&mut self, conn: ConnId, now: Now) {
        self.dismiss_inquiry(conn);
        self.go_on(conn, now, |shard, wire, waiting| {
            if let Waiting::Finding(_, Applying { caller, id, .. }) = waiting {
                let refused = Refused::Disconnect(codes::SHUTDOWN);
                shard.refuse_connect(conn, wire, &caller, (id, refused), now);
            }
        });
    }

    fn on_identified(
        &mut self,
        conn: ConnId,
        wire: Wire,
        applying: Applying,
        finding: Finding,
        now: Now,
    ) {
        let Applying { request, caller, id, promise } = applying;
        let verdict = match finding {
            Finding::Connect(answer) => {
                let user = caller.header_user.as_deref();
                connect::by_backend(&self.options, answer, user, now)
            }
            Finding::Key(search) => {
                let token = &request.token;
                connect::by_searched_key(&self.options, &self.verifier, token, search, now)
            }
            Finding::Refresh(_) => unreachable!("a connect asks for no refresh"),
            Finding::Nothing => {
                self.counters.inquiries_failed += 1;
                Err(Refused::Error(codes::ERROR_INTERNAL))
            }
            Finding::NotAsked => {
                self.counters.inquiries_refused += 1;
                Err(Refused::Error(codes::ERROR_INTERNAL))
            }
        };
        let credentials = match verdict {
            Ok(credentials) => credentials,
            Err(refused) => return self.refuse_connect(conn, wire, &caller, (id, refused), now),
        };
        let connecting = Connecting::new(credentials, request, (wire, caller, id), promise);
        self.let_in(conn, connecting, now);
    }

    /// What a connect waited for is there. Unless it has to wait again, what its client has said
    /// since is looked at now.
    pub(super) fn go_on(
        &mut self,
        conn: ConnId,
        now: Now,
        decide: impl FnOnce(&mut Self, Wire, Waiting),
    ) {
        let Some(State::Opening(opening)) = self.conns.state_mut(conn) else { return };
        let wire = opening.wire;
        let (waiting, mut held) = match std::mem::replace(&mut opening.stage, Stage::Refused) {
            Stage::Deciding(deciding) => (deciding.waiting, deciding.held),
            stage @ (Stage::Silent(_) | Stage::Refused) => {
                opening.stage = stage;
                return;
            }
        };
        decide(self, wire, waiting);
        if let Some(State::Opening(opening)) = self.conns.state_mut(conn)
            && let Stage::Deciding(deciding) = &mut opening.stage
        {
            deciding.held = held;
            return;
        }
        if let Some(encoding) = wire.encoding() {
            for message in held.take_messages() {
                self.run_commands(conn, encoding, &message, now);
            }
        }
        if !held.frames.is_empty() {
            self.read_frames(conn, &mut held.frames, now);
        }
        // When it was full nobody was reading, and the peer may have left.
        self.effects.resume(conn);
    }

    /// A client leaves, or is sent away, while its connect waits: nobody wants the answer.
    pub(super) fn dismiss_inquiry(&mut self, conn: ConnId) {
        if let Some(State::Opening(opening)) = self.conns.state_mut(conn)
            && let Stage::Deciding(deciding) = &opening.stage
            && let Waiting::Finding(inquiry, _) = deciding.waiting
            && self.inquiries.close(inquiry).is_some()
        {
            self.effects.message(Peer::Control, Message::Dismiss { inquiry });
        }
    }
}

#[cfg(test)]
mod tests;
