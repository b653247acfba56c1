//! Commands that come by requests of their own, for clients whose stream goes one way only
//! (client protocol, `/emulation`).

use std::rc::Rc;

use super::Shard;
use super::answers::Plain;
use super::conns::State;
use super::http::Step;
use super::streams::{cors, encoding};
use crate::connection::Exchange;
use crate::ids::{ConnId, SessionId, ShardId};
use crate::messages::{Emulated, Message, Peer};
use crate::protocol::{EmulationRequest, Encoding};
use crate::time::Now;
use crate::wire::http1::{Head, Status};

impl Shard {
    /// A whole request: it is answered once the commands are on their way. What becomes of them,
    /// the client hears on its stream.
    pub(super) fn emulate(
        &mut self,
        conn: ConnId,
        exchange: &mut Exchange,
        head: &Head<'_>,
        body: &[u8],
        now: Now,
    ) -> Option<Step> {
        let options = Rc::clone(&self.options);
        let cors = cors(&options, head);
        let encoding = encoding(head);
        let malformed;
        let plain = match EmulationRequest::parse(encoding, body) {
            Err(error) => {
                self.counters.requests_malformed += 1;
                malformed = format!("{error}\n");
                Plain::text(Status(400), &malformed)
            }
            Ok(request) if !request.node.is_empty() && request.node != self.node_uid => {
                Plain::text(Status(404), UNKNOWN_NODE)
            }
            Ok(request) => {
                let shard = request.session.and_then(|id| self.keys.shard_of_session(id));
                // An unknown session is answered like a known one: nobody can try ids.
                if let (Some(session), Some(shard)) = (request.session, shard) {
                    self.pass_on(shard, session, encoding, &request.data, now);
                }
                Plain::empty(Status(204))
            }
        };
        self.respond(conn, exchange, head, plain.with(&cors), now);
        None
    }

    fn pass_on(
        &mut self,
        shard: ShardId,
        session: SessionId,
        encoding: Encoding,
        commands: &[u8],
        now: Now,
    ) {
        if shard == self.id {
            self.on_emulated(session, encoding, commands, now);
        } else if shard.index() < self.shards {
            let commands = commands.into();
            let message = Message::Emulate(Box::new(Emulated { session, encoding, commands }));
            self.effects.message(Peer::Shard(shard), message);
        }
    }

    /// Commands for a session of this shard.
    pub(super) fn on_emulated(
        &mut self,
        session: SessionId,
        encoding: Encoding,
        commands: &[u8],
        now: Now,
    ) {
        let session = self.table.by_session(session);
        let Some(conn) = session.and_then(|session| self.conns.at(session.conn_index())) else {
            return;
        };
        if let Some(State::Live(live)) = self.conns.state_mut(conn)
            && live.wire.is_emulated()
        {
            self.run_commands(conn, encoding, commands, now);
        }
    }
}

const UNKNOWN_NODE: &str = "no such node: connect again\n";
