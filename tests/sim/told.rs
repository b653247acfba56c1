//! From shard to client: what each client is told, held against what it asked and what is true.

use serde_json::{Value, json};

use crate::client::{Client, Kind, Phase, PongBy, Reply, Told};
use crate::model::{ClientKey, META_MARK, Session};
use crate::speech::{self, Ask};
use crate::world::World;

impl World {
    /// Bytes reach a client.
    pub(crate) fn got(&mut self, key: ClientKey, bytes: &[u8]) {
        let client = self.client(key);
        if client.kind.is_client() {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains(META_MARK), "truth 7: meta reached a client");
        }
        client.receive(bytes);
        while let Some(told) = self.clients.get_mut(&key).and_then(Client::next_told) {
            match told {
                Told::Reply(reply) => self.got_reply(key, &reply),
                Told::Upgraded => self.is_upgraded(key),
                Told::Message(message) => self.got_message(key, &message),
                Told::Pinged => self.is_pinged(key),
                Told::Ponged(payload) => {
                    let due = self.client(key).pongs_due.pop_front();
                    assert_eq!(due, Some(payload), "a pong says what the ping said");
                }
                Told::Closed(code) => self.got_close(key, code),
            }
        }
    }

    fn got_reply(&mut self, key: ClientKey, reply: &Reply) {
        let client = self.client(key);
        match client.kind {
            // The request being read came too slowly; nothing after it is heard.
            Kind::Api if reply.status == 408 => client.asked.clear(),
            Kind::Api => self.got_api_reply(key, reply),
            Kind::Emulation => assert!(matches!(reply.status, 204 | 408), "{reply:?}"),
            Kind::WebSocket
            | Kind::FramePinged
            | Kind::UniWebSocket
            | Kind::HttpStream
            | Kind::Sse
            | Kind::UniHttpStream => assert_eq!(reply.status, 408, "{reply:?}"),
        }
    }

    fn got_api_reply(&mut self, key: ClientKey, reply: &Reply) {
        let asked = self.client(key).asked.pop_front().expect("nothing was asked");
        if reply.status == 503 {
            assert!(self.nodes[key.0].drains, "only a shard that leaves refuses");
            return;
        }
        assert_eq!(reply.status, 200, "{reply:?}");
        self.last_failed = reply.body.contains("\"error\"");
        self.last_listing = self.model.check(&asked, reply, (self.step, self.now.mono_ms));
        self.tallies(if self.last_failed { "api failed" } else { "api answered" }, 0);
    }

    /// A WebSocket is open: now its client may speak.
    fn is_upgraded(&mut self, key: ClientKey) {
        let since_ms = self.now.mono_ms;
        let client = self.client(key);
        // The connect may have stood in the request.
        if client.phase == Phase::Before {
            client.phase = Phase::Silent { since_ms };
        }
    }

    fn got_message(&mut self, key: ClientKey, message: &Value) {
        let push = message.get("push").unwrap_or(message);
        if message.as_object().is_some_and(serde_json::Map::is_empty) {
            // The frame that comes with it is what is answered.
            if self.client(key).kind != Kind::UniWebSocket {
                self.is_pinged(key);
            }
        } else if let Some(id) = message["id"].as_u64() {
            self.got_answer(key, u32::try_from(id).expect("ids are small"), message);
        } else if push.get("connect").is_some() {
            let (ask, _) = self.take_call(key, 0);
            self.is_let_in(key, &ask, &push["connect"]);
        } else if push.get("refresh").is_some() {
            self.is_moved(key, &push["refresh"]);
        } else {
            let code = push["disconnect"]["code"].as_u64().expect("there is no other push");
            self.is_told_to_go(key, u32::try_from(code).expect("codes are small"));
        }
    }

    fn take_call(&mut self, key: ClientKey, id: u32) -> (Ask, u64) {
        let call = self.client(key).calls.remove(&id);
        call.unwrap_or_else(|| panic!("{key:?} got a reply to {id}, which it did not ask"))
    }

    /// A reply to a command.
    fn got_answer(&mut self, key: ClientKey, id: u32, message: &Value) {
        let calls = self.client(key).calls.values();
        let waiting = calls.filter(|(ask, _)| matches!(ask, Ask::List | Ask::Close { .. })).count();
        let (ask, asked_at) = self.take_call(key, id);
        let error = message["error"]["code"].as_u64();
        let code = error.map_or(0, |code| u32::try_from(code).expect("codes are small"));
        self.tallies(ask.name(), code);
        if matches!(ask, Ask::Connect { .. }) {
            return match error {
                Some(code) => self.is_refused_with(key, &ask, code),
                None => self.is_let_in(key, &ask, &message["connect"]),
            };
        }
        assert!(self.model.of(key).is_some(), "only who is in gets replies: {message}");
        match (ask, error) {
            (Ask::List | Ask::Close { .. }, Some(111)) => assert!(waiting > 8, "{message}"),
            (Ask::List, None) => {
                let (id, session) = self.model.of(key).expect("it is in");
                let data = &message["rpc"]["data"];
                let who = (id.as_str(), session.user.as_str());
                self.last_listing = Some(self.model.check_own_listing(who, asked_at, data));
            }
            (Ask::Close { order }, None) => {
                assert_eq!(message["rpc"]["data"], json!({}));
                self.model.is_obeyed(order, self.step);
                self.last_failed = false;
            }
            // When it says that it failed, anything may be true.
            (Ask::Close { .. }, Some(100)) => self.last_failed = true,
            (Ask::Fails { code }, error) => assert_eq!(error, Some(code), "{message}"),
            (Ask::Unsubscribe, None) => assert_eq!(message["unsubscribe"], json!({})),
            (Ask::Refresh { expire_at }, None) => {
                let uid = self.client(key).uid.clone();
                self.model.has_refreshed(key, &uid);
                let ttl = expire_at.map(|at| at - self.now_s());
                assert_eq!(message["refresh"]["ttl"].as_u64(), ttl, "{message}");
                self.is_moved_to(key, expire_at);
            }
            (ask, error) => panic!("{ask:?} is answered by {error:?}: {message}"),
        }
    }

    /// A backend moved the end of a session.
    fn is_moved(&mut self, key: ClientKey, push: &Value) {
        let expires = push.get("expires").is_some();
        let ttl = push.get("ttl").map_or(0, |ttl| ttl.as_u64().expect("seconds"));
        let until_s = expires.then(|| self.now_s() + ttl);
        let (id, session) = self.model.of(key).expect("only sessions are told");
        assert!(self.model.is_moving(&session.user, until_s), "nobody moved {id} to {until_s:?}");
        self.is_moved_to(key, until_s);
        self.tallies("ends moved", 0);
    }

    fn is_moved_to(&mut self, key: ClientKey, until_s: Option<u64>) {
        let step = self.step;
        let session = self.model.of_mut(key).expect("it is in");
        (session.expire_at, session.moved) = (until_s, step);
    }

    fn is_refused_with(&mut self, key: ClientKey, ask: &Ask, code: u64) {
        let since_ms = self.now.mono_ms;
        let is_late = self.is_over(ask) && matches!(code, 109 | 110);
        let is_room_missing = self.makes_room() && code == 100;
        let is_fenced_out = code == 111 && self.model.may_be_fenced_out(&self.clients[&key]);
        let client = self.client(key);
        let is_sin = client.sins.iter().any(|sin| u64::from(*sin) == code);
        let is_right = is_sin || is_late || is_room_missing || is_fenced_out;
        assert!(is_right, "{key:?} is refused with {code} for nothing");
        let phase = std::mem::replace(&mut client.phase, Phase::Refused { since_ms });
        client.told = u32::try_from(code).ok();
        let Phase::Connecting { behind, .. } = phase else { panic!("{key:?} was {phase:?}") };
        for means in behind {
            self.hear(key, means);
        }
    }

    /// Whether what a token allows has ended.
    pub(crate) fn is_over(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Connect { expire_at, .. } | Ask::Refresh { expire_at } => {
                expire_at.is_some_and(|at| at <= self.now_s())
            }
            Ask::List | Ask::Close { .. } | Ask::Fails { .. } | Ask::Unsubscribe => false,
        }
    }

    /// A connect is acknowledged.
    fn is_let_in(&mut self, key: ClientKey, ask: &Ask, result: &Value) {
        let Ask::Connect { expire_at, is_good } = *ask else { panic!("{key:?} asked for {ask:?}") };
        let (now_ms, step) = (self.now.mono_ms, self.step);
        let id = result["client"].as_str().expect("a session has an id").to_owned();
        self.note(&format!("shard {} lets {} in as {id}", key.0, key.1));
        let pong_timeout_ms = self.choices.pong_timeout_ms;
        let client = self.client(key);
        let phase = std::mem::replace(&mut client.phase, Phase::Live);
        let Phase::Connecting { behind, since_step, .. } = phase else {
            panic!("{key:?} was {phase:?}")
        };
        assert!(is_good, "a bad token opens nothing");
        if client.kind.is_emulated() || client.kind.is_uni() {
            client.session = result["session"].as_str().expect("it needs it").to_owned();
        }
        if client.kind.has_commands() && client.kind.pong_by() == PongBy::Command {
            let wants_pongs = result.get("ping").is_some() && pong_timeout_ms > 0;
            assert_eq!(result.get("pong").is_some(), wants_pongs, "{result}");
        }
        let mut session = Session::new(client, key);
        (session.opened_ms, session.opened, session.expire_at) = (now_ms, step, expire_at);
        self.model.opens(id, session);
        if !behind.is_empty() && since_step < step {
            self.tallies("more to say after a verdict", 0);
        }
        for means in behind {
            self.hear(key, means);
        }
    }

    fn is_pinged(&mut self, key: ClientKey) {
        let now_ms = self.now.mono_ms;
        self.note(&format!("shard {} pings {}", key.0, key.1));
        let by = self.client(key).kind.pong_by();
        self.pinged_in_time(key);
        self.tallies("pings", 0);
        let wants_pong = by != PongBy::Nothing && self.choices.pong_timeout_ms > 0;
        let session = self.model.of_mut(key).expect("only sessions are pinged");
        assert!(!session.awaits_pong, "the last ping was not answered");
        session.pinged_ms = Some(now_ms);
        session.awaits_pong = wants_pong;
        let client = self.client(key);
        if client.answers && wants_pong {
            client.saying.push(speech::pong());
        }
    }

    fn got_close(&mut self, key: ClientKey, code: u32) {
        let client = self.client(key);
        if client.doomed && client.left {
            // The answer to its own close frame.
            client.phase = Phase::Over;
            self.model.ends(key, self.step);
        } else if client.phase == Phase::Over {
            assert_eq!(client.told, Some(code), "push and close frame say the same");
        } else {
            self.is_told_to_go(key, code);
        }
    }

    /// The last thing a client hears.
    fn is_told_to_go(&mut self, key: ClientKey, code: u32) {
        self.note(&format!("shard {} tells {} {code}", key.0, key.1));
        if let Some((id, session)) = self.model.of(key) {
            assert_eq!(session.closed, Some(code), "{id} ended for another reason");
        } else {
            self.tallies("turned away", code);
            assert!(self.may_be_turned_away(key, code), "{key:?} is told {code} for nothing");
        }
        self.model.ends(key, self.step);
        let client = self.client(key);
        client.phase = Phase::Over;
        client.told = Some(code);
        client.calls.clear();
    }
}
