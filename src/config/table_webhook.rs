//! The options of the webhook: a backend that is told what happens to sessions. A part of the table in
//! `table`.

use std::time::Duration;

use super::declare::{Declared, declared_at, dotted, options, place, section};
use super::setting::{Headers, Secret, Setting};
use super::table_tls::BackendTls;
use crate::api::webhook::EventKind;

options! {
    /// A backend that is told what happens to sessions, by requests of its own (`docs/webhooks.md`).
    SessionWebhook at (session_webhook) with { tls: BackendTls } {
        /// Whether it is told.
        enabled: bool = false, [], [];
        /// Its URL: `http://` or `https://`.
        endpoint: String = String::new(), [], [];
        /// What requests are signed with, 16 bytes at least: text, or `whsec_` and Base64.
        secret: Secret = Secret::default(), [], [];
        /// The secret before that one. While it is set, requests carry a signature by each.
        previous_secret: Secret = Secret::default(), [], [];
        /// What it is told of, of `session_opened`, `session_refreshed` and `session_closed`. It is
        /// told of `gap` and `node_started` in any case.
        events: Vec<EventKind> = EventKind::ALL.to_vec(), [], [];
        /// Tells it the `meta` of sessions.
        include_meta: bool = false, [], [];
        /// Tells it the ids that clients speak for their sessions with (`session`).
        include_session: bool = false, [], [];
        /// How long a request may take.
        timeout: Duration = Duration::from_secs(5), [], [];
        /// Events in one request, which has no more than 512 KiB of them, the last one whole. From 1
        /// to 10000.
        batch_size: usize = 256, [], [];
        /// How long an event may wait for others to go with it.
        linger: Duration = Duration::from_millis(100), [], [];
        /// How soon a request that was not taken is sent again; twice as long after each further
        /// one.
        min_retry_delay: Duration = Duration::from_millis(200), [], [];
        /// The longest time until it is sent again.
        max_retry_delay: Duration = Duration::from_secs(20), [], [];
        /// File in which events wait until they are taken. One server has it at a time.
        queue_path: String = "rollcall-webhook.redb".to_owned(), [], [];
        /// Bytes of events that may wait; the file may be a few times as large. Further events are
        /// lost and counted until a quarter of it is free, and `gap` says how many. 64 KiB at least.
        queue_max_size: u64 = 256 * 1024 * 1024, [], [];
        /// Headers that go with every request, by name.
        static_headers: Headers = Headers::default(), [], [];
    }
}
