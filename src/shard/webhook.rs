//! What happens to sessions, for the backend that hears of it by webhook: the events of one turn go
//! to the control thread as one message, which stores them.
//!
//! Nothing here waits. Events that find no room are counted, and the next that do bring the number.

use super::Shard;
use crate::api::webhook::{EventBatch, Happened};
use crate::connection::close::CloseReason;
use crate::ids::SessionSlot;
use crate::messages::{Message, Peer};
use crate::time::Now;

/// Bytes of events in one message, the last of them whole: a turn may end very many sessions.
const BATCH_BYTES: usize = 64 * 1024;

impl Shard {
    /// A session has come, and ends then, Unix seconds.
    pub(super) fn tell_webhook_opened(
        &mut self,
        slot: SessionSlot,
        expire_at: Option<i64>,
        now: Now,
    ) {
        self.tell_webhook(slot, Happened::Opened { expire_at }, now);
    }

    /// A session has so many seconds left from now on.
    pub(super) fn tell_webhook_refreshed(
        &mut self,
        slot: SessionSlot,
        ttl_s: Option<u32>,
        now: Now,
    ) {
        let expire_at = ttl_s.map(|ttl_s| now.unix_s() + i64::from(ttl_s));
        self.tell_webhook(slot, Happened::Refreshed { expire_at }, now);
    }

    /// A session is about to be unlisted.
    pub(super) fn tell_webhook_closed(
        &mut self,
        slot: SessionSlot,
        (reason, duration_ms): (&CloseReason, u64),
        now: Now,
    ) {
        if self.options.webhook.is_some() {
            let (code, reason) = (reason.code(), &*reason.text());
            self.tell_webhook(slot, Happened::Closed { code, reason, duration_ms }, now);
        }
    }

    fn tell_webhook(&mut self, slot: SessionSlot, happened: Happened<'_>, now: Now) {
        let Some(wanted) = &self.options.webhook else { return };
        if !wanted.kinds.contains(&happened.kind()) {
            return;
        }
        let session = self.table.view(slot);
        self.events.tell(happened, &session, wanted, (&self.node_uid, now.unix_ms));
        if self.events.bytes() >= BATCH_BYTES {
            self.hand_over_events();
        }
    }

    /// What has happened since the last time goes to the control thread.
    pub(super) fn hand_over_events(&mut self) {
        if !self.events.is_empty() {
            self.send_events();
        }
    }

    /// The same, and it is told how many events were lost although none came after them.
    pub(super) fn hand_over_lost_events(&mut self) {
        if self.events.happened() > 0 {
            self.send_events();
        }
    }

    fn send_events(&mut self) {
        let batch = std::mem::take(&mut self.events);
        self.effects.message(Peer::Control, Message::SessionEvents(Box::new(batch)));
    }

    /// These found no room.
    pub(super) const fn lose_events(&mut self, batch: &EventBatch) {
        self.events.lost += batch.happened();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::webhook::{EventKind, Wanted};
    use crate::auth::TokenOptions;
    use crate::connection::Options;
    use crate::connection::open::Scope;
    use crate::connection::options::{Endpoints, StreamEndpoint};
    use crate::ids::ConnId;
    use crate::shard::effects::{Effect, Effects};
    use crate::shard::tests::{NOW, SECRET, alone, connect, post};
    use crate::shard::{Gone, Setup};

    const PATH: &str = "/connection/uni_http_stream";

    fn shard(kinds: &[EventKind]) -> Shard {
        let wanted = Wanted { kinds: kinds.to_vec(), meta: false, session: true };
        let path = PATH.to_owned();
        let stream = StreamEndpoint { path, body_bytes_max: 4_096, http_refusals: None };
        let options = Options {
            endpoints: Endpoints { uni_http_stream: Some(stream), ..Endpoints::default() },
            token: TokenOptions { hmac_secret: Some(SECRET.to_owned()), ..TokenOptions::default() },
            webhook: Some(wanted),
            ..Options::default()
        };
        Shard::new(Setup { node_uid: "n1".to_owned(), ..alone(options) }, NOW)
    }

    fn open(shard: &mut Shard, index: u32) -> ConnId {
        let conn = ConnId { index, generation: 1 };
        shard.on_open(conn, Scope::All, NOW);
        post(shard, conn, PATH, &connect("ann")["connect"]);
        conn
    }

    /// What would be said to the control thread.
    fn messages(shard: &mut Shard) -> Vec<Message> {
        let mut effects = Effects::default();
        shard.take_effects(&mut effects);
        let (list, _bytes) = effects.drain();
        list.filter_map(|effect| {
            let Effect::Message { to: Peer::Control, message } = effect else { return None };
            Some(message)
        })
        .collect()
    }

    /// The batches among it.
    fn take(shard: &mut Shard) -> Vec<EventBatch> {
        let batch = |message| {
            let Message::SessionEvents(batch) = message else { return None };
            Some(*batch)
        };
        messages(shard).into_iter().filter_map(batch).collect()
    }

    fn events(batch: &EventBatch) -> Vec<Value> {
        batch.events().map(|event| serde_json::from_slice(event).unwrap()).collect()
    }

    #[test]
    fn what_happens_in_one_turn_is_one_message_in_its_order() {
        let mut shard = shard(&EventKind::ALL);
        let conn = open(&mut shard, 0);
        open(&mut shard, 1);
        let later = Now { unix_ms: NOW.unix_ms + 1_500, ..NOW };
        shard.on_closed(conn, Gone::Reset, later);
        let batches = take(&mut shard);
        let [batch] = batches.as_slice() else { panic!("{batches:?}") };
        let events = events(batch);
        let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["session_opened", "session_opened", "session_closed"]);
        let closed = &events[2];
        assert_eq!(closed["client"], events[0]["client"]);
        assert_eq!(closed["session"], events[0]["session"]);
        assert_eq!((&closed["node"], &closed["at_ms"]), (&json!("n1"), &json!(later.unix_ms)));
        assert_eq!(
            (&closed["code"], &closed["reason"], &closed["duration_ms"]),
            (&json!(3000), &json!("connection closed"), &json!(1_500))
        );
        for event in &events {
            let connection = &event["connection"];
            assert_eq!(
                (&connection["user"], &connection["app_name"]),
                (&json!("ann"), &json!("ann"))
            );
            assert_eq!(connection["transport"], "uni_http_stream");
        }
        assert!(take(&mut shard).is_empty(), "each is told once");
    }

    #[test]
    fn only_what_a_backend_wants_to_hear_is_told() {
        let mut shard = shard(&[EventKind::Closed]);
        let conn = open(&mut shard, 0);
        assert!(take(&mut shard).is_empty());
        shard.on_closed(conn, Gone::Reset, NOW);
        assert_eq!(take(&mut shard).len(), 1);
    }

    #[test]
    fn events_without_room_are_counted_and_the_number_comes_with_the_next_or_from_the_tick() {
        let mut shard = shard(&EventKind::ALL);
        open(&mut shard, 0);
        let refuse = |shard: &mut Shard, batch| {
            let message = Message::SessionEvents(Box::new(batch));
            shard.on_undeliverable(Peer::Control, message, NOW);
        };
        let batch = take(&mut shard).remove(0);
        refuse(&mut shard, batch);
        assert!(take(&mut shard).is_empty(), "not said again at once: there is no room");
        open(&mut shard, 1);
        let batch = take(&mut shard).remove(0);
        assert_eq!((batch.lost, events(&batch).len()), (1, 1));
        refuse(&mut shard, batch);
        shard.on_tick(NOW);
        let batch = take(&mut shard).remove(0);
        assert_eq!((batch.lost, batch.is_empty()), (2, true));
    }

    #[test]
    fn the_last_word_of_a_goodbye_waits_until_what_was_lost_before_it_is_told() {
        let mut shard = shard(&EventKind::ALL);
        let conn = open(&mut shard, 0);
        shard.on_closed(conn, Gone::Reset, NOW);
        shard.start_drain(0, NOW);
        for _ in 0..2 {
            let said = messages(&mut shard);
            let [Message::SessionEvents(batch)] = <[_; 1]>::try_from(said).unwrap() else {
                panic!("something else was said")
            };
            assert_eq!(batch.happened(), 2);
            shard.on_undeliverable(Peer::Control, Message::SessionEvents(batch), NOW);
            shard.on_tick(NOW);
        }
        assert_eq!(take(&mut shard)[0].lost, 2);
        shard.on_tick(NOW);
        assert!(matches!(messages(&mut shard)[..], [Message::Drained]));
    }

    #[test]
    fn a_message_holds_no_more_than_a_stretch_of_events() {
        let mut shard = shard(&EventKind::ALL);
        let conns: Vec<_> = (0..400).map(|index| open(&mut shard, index)).collect();
        let batches = take(&mut shard);
        assert!(batches.len() > 1, "{}", batches.len());
        assert_eq!(batches.iter().map(EventBatch::happened).sum::<u64>(), conns.len() as u64);
        for batch in &batches {
            assert!(batch.bytes() < BATCH_BYTES + 1_024, "{}", batch.bytes());
        }
    }
}
