//! A session as one run of bytes: 30 that each session has, then only what this one has.
//!
//! ```text
//!    0  kind        1  transport, protocol, labels or not, changed or not; never 0, which marks a free
//!                      place
//!    1  parts       1  which optional parts follow; each of the eight bits is taken
//!    2  app         2  name and version, interned; 0xFFFF: they stand at the end
//!    4  next        4  the same user's next older session
//!    8  prev        4  the same user's next newer session: removal is O(1) among a million
//!   12  salt        8  tells this session from others that had the slot (`id`)
//!   20  conn        4  the place of its connection, which is not given to another before it ends
//!   24  connected   6  Unix milliseconds in 42 bits, above them the last ping's round trip
//!                      (`latency`)
//!   30  user           length, text
//!       issued at   4  seconds from the connect, or 8: since the epoch
//!       address     4  of IPv4, or 16
//!       agent       2  the user agent, interned; 0xFFFF: it stands at the end
//!       token uid  16  a UUID, or length and text
//!       meta           length, bytes
//!       app            length, name, length, version
//!       agent          length, text
//!       labels         as `labels` writes them
//! ```
//!
//! At ten million copies each byte here is 10 MB; a struct with owned strings would take 24 bytes,
//! an allocation and a cache miss for each of user, token uid and meta.

use std::net::IpAddr;
use std::ops::Range;

use super::bytes::{Bytes, Tail, text, write_run};
use super::interner::{Interner, TextId};
use super::labels::LabelRun;
use super::latency::Latency;
use super::pairs::{APPS_MAX, PairId, Pairs};
use super::table::Opening;
use super::view::{Protocol, Transport};
use crate::ids;

/// No slot: the end of a chain. Slots end below it (`pages`).
pub(super) const NONE: u32 = u32::MAX;

const KIND: usize = 0;
const PARTS: usize = 1;
const APP: usize = 2;
const NEXT: usize = 4;
const PREV: usize = 8;
const SALT: usize = 12;
const CONN: usize = 20;
const CONNECTED: usize = 24;
const TAIL: usize = 30;

const _: () = assert!(TAIL >= super::pages::RECORD_BYTES_MIN, "pages count on a shortest record");
const _: () = assert!(TAIL == 30, "ten million copies");

// Bits of `kind`.
const LIVE: u8 = 0x80;
const LABELS: u8 = 0x40;
const CHANGED: u8 = 0x20;
const PROTOCOL_SHIFT: u32 = 4;
const TRANSPORT_MASK: u8 = 0x0F;
const PROTOCOL_MASK: u8 = 0x10;

// Bits of `parts`, in the order in which the parts follow the user.
const ISSUED_NEAR: u8 = 1;
const ISSUED_FAR: u8 = 2;
const UID_UUID: u8 = 4;
const UID_TEXT: u8 = 8;
const META: u8 = 16;
const ADDR_V4: u8 = 32;
const ADDR_V6: u8 = 64;
const AGENT: u8 = 128;

/// The parts that are a token's.
pub(super) const TOKEN_PARTS: u8 = ISSUED_NEAR | ISSUED_FAR | UID_UUID | UID_TEXT;

/// The connect time has 42 bits: they end in the year 2109.
const CONNECTED_MS_MAX: u64 = (1 << 42) - 1;

/// The byte whose upper six bits are the latency.
const LATENCY: usize = CONNECTED + 5;
const LATENCY_SHIFT: u32 = 2;

/// The texts of a session that are interned; the others stand in its record.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    /// Name and version of the app.
    pub(super) app: Option<PairId>,
    /// The user agent.
    pub(super) agent: Option<TextId>,
}

/// No pair: a record has its own copy.
const OWN_APP: u16 = u16::MAX;

const _: () = assert!(APPS_MAX <= OWN_APP as usize, "every pair has a number");

/// Writes a session that is the newest of its user.
pub(super) fn write(
    opening: &Opening<'_>,
    shared: Shared,
    labels: LabelRun<'_>,
    salt: u64,
    next: u32,
) -> Bytes {
    let Shared { app, agent } = shared;
    let connected_at_ms = opening.connected_at_ms.min(CONNECTED_MS_MAX);
    let mut kind = LIVE | opening.transport as u8 | ((opening.protocol as u8) << PROTOCOL_SHIFT);
    if !opening.labels.is_empty() {
        kind |= LABELS;
    }
    let mut bytes = Bytes::new();
    bytes.push(kind);
    bytes.push(0);
    let app_id = app.map_or(OWN_APP, |app| u16::try_from(app.0).expect("APPS_MAX fits u16"));
    bytes.extend_from_slice(&app_id.to_le_bytes());
    bytes.extend_from_slice(&next.to_le_bytes());
    bytes.extend_from_slice(&NONE.to_le_bytes());
    bytes.extend_from_slice(&salt.to_le_bytes());
    bytes.extend_from_slice(&opening.conn.index.to_le_bytes());
    bytes.extend_from_slice(&connected_at_ms.to_le_bytes()[..6]);
    debug_assert_eq!(bytes.len(), TAIL);

    write_run(&mut bytes, opening.user.as_bytes());
    let mut parts = write_issued_at(&mut bytes, opening.token_issued_at, connected_at_ms);
    match opening.remote_addr.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => {
            parts |= ADDR_V4;
            bytes.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            parts |= ADDR_V6;
            bytes.extend_from_slice(&address.octets());
        }
        None => {}
    }
    if !opening.user_agent.is_empty() {
        parts |= AGENT;
        bytes.extend_from_slice(&agent.map_or(TextId::OWN, |agent| agent.0).to_le_bytes());
    }
    parts |= write_uid(&mut bytes, opening.token_uid);
    if let Some(meta) = opening.meta {
        parts |= META;
        write_run(&mut bytes, meta);
    }
    if app.is_none() {
        write_run(&mut bytes, opening.app_name.as_bytes());
        write_run(&mut bytes, opening.app_version.as_bytes());
    }
    if agent.is_none() && !opening.user_agent.is_empty() {
        write_run(&mut bytes, opening.user_agent.as_bytes());
    }
    if !opening.labels.is_empty() {
        bytes.extend_from_slice(labels.0);
    }
    bytes[PARTS] = parts;
    bytes
}

/// Writes when a token was issued. Returns the part that it is.
pub(super) fn write_issued_at(
    bytes: &mut Bytes,
    issued_at: Option<i64>,
    connected_at_ms: u64,
) -> u8 {
    let Some(issued_at) = issued_at else { return 0 };
    // A token is seldom issued more than 68 years before or after it is used.
    let near = issued_at.checked_sub(seconds(connected_at_ms)).map(i32::try_from);
    if let Some(Ok(near)) = near {
        bytes.extend_from_slice(&near.to_le_bytes());
        ISSUED_NEAR
    } else {
        bytes.extend_from_slice(&issued_at.to_le_bytes());
        ISSUED_FAR
    }
}

/// Writes the uid of a token. Returns the part that it is.
pub(super) fn write_uid(bytes: &mut Bytes, uid: &str) -> u8 {
    if let Some(uuid) = canonical_uuid(uid) {
        bytes.extend_from_slice(&uuid);
        UID_UUID
    } else if uid.is_empty() {
        0
    } else {
        write_run(bytes, uid.as_bytes());
        UID_TEXT
    }
}

pub(super) fn set_next(record: &mut [u8], slot: u32) {
    record[NEXT..NEXT + 4].copy_from_slice(&slot.to_le_bytes());
}

pub(super) fn set_prev(record: &mut [u8], slot: u32) {
    record[PREV..PREV + 4].copy_from_slice(&slot.to_le_bytes());
}

/// From now on something of the session stands in `Changes`.
pub(super) fn set_changed(record: &mut [u8]) {
    record[KIND] |= CHANGED;
}

/// The round trip of the session's last ping.
pub(super) fn set_latency(record: &mut [u8], latency: Latency) {
    let connected = record[LATENCY] & ((1 << LATENCY_SHIFT) - 1);
    record[LATENCY] = connected | latency.bits() << LATENCY_SHIFT;
}

/// A stored session, read where it lies.
#[derive(Clone, Copy)]
pub(super) struct Record<'a>(pub(super) &'a [u8]);

/// What is stored of a token's uid.
pub(super) enum Uid<'a> {
    None,
    Uuid([u8; 16]),
    Text(&'a str),
}

impl<'a> Record<'a> {
    pub(super) fn next(self) -> u32 {
        u32::from_le_bytes(self.fixed(NEXT))
    }

    pub(super) fn prev(self) -> u32 {
        u32::from_le_bytes(self.fixed(PREV))
    }

    pub(super) fn salt(self) -> u64 {
        u64::from_le_bytes(self.fixed(SALT))
    }

    pub(super) fn conn_index(self) -> u32 {
        u32::from_le_bytes(self.fixed(CONN))
    }

    pub(super) fn connected_at_ms(self) -> u64 {
        let [a, b, c, d, e, f] = self.fixed(CONNECTED);
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0]) & CONNECTED_MS_MAX
    }

    pub(super) fn latency(self) -> Latency {
        Latency::from_bits(self.0[LATENCY] >> LATENCY_SHIFT)
    }

    pub(super) fn transport(self) -> Transport {
        Transport::ALL[usize::from(self.0[KIND] & TRANSPORT_MASK)]
    }

    pub(super) fn protocol(self) -> Protocol {
        Protocol::ALL[usize::from((self.0[KIND] & PROTOCOL_MASK) >> PROTOCOL_SHIFT)]
    }

    /// What it has of the tables of texts.
    pub(super) fn shared(self) -> Shared {
        let app = u16::from_le_bytes(self.fixed(APP));
        let agent = self.has(AGENT).then(|| u16::from_le_bytes(self.after_address().array()));
        Shared {
            app: (app != OWN_APP).then_some(PairId(app.into())),
            agent: agent.filter(|agent| *agent != TextId::OWN).map(TextId),
        }
    }

    /// The app's name and version, wherever they are.
    pub(super) fn app_texts(self, apps: &'a Pairs) -> (&'a str, &'a str) {
        if let Some(app) = self.shared().app {
            return apps.texts(app);
        }
        let mut tail = self.after_meta();
        (text(tail.run()), text(tail.run()))
    }

    /// The user agent, wherever it is; empty when there is none.
    pub(super) fn user_agent(self, agents: &'a Interner) -> &'a str {
        if !self.has(AGENT) {
            return "";
        }
        match self.shared().agent {
            Some(agent) => agents.text(agent),
            None => text(self.after_app().run()),
        }
    }

    /// Whether something of it stands in `Changes`.
    pub(super) fn is_changed(self) -> bool {
        self.0[KIND] & CHANGED != 0
    }

    /// The labels it was opened with.
    pub(super) fn labels(self) -> LabelRun<'a> {
        if self.0[KIND] & LABELS == 0 {
            return LabelRun::NONE;
        }
        let mut tail = self.after_app();
        if self.has(AGENT) && self.shared().agent.is_none() {
            tail.run();
        }
        LabelRun(tail.0)
    }

    pub(super) fn user(self) -> &'a [u8] {
        self.tail().run()
    }

    pub(super) fn user_text(self) -> &'a str {
        text(self.user())
    }

    /// The `iat` of the token it was opened with, or of one that took its place here.
    pub(super) fn issued_at(self) -> Option<i64> {
        let mut tail = self.after_user();
        if self.has(ISSUED_NEAR) {
            let near = i32::from_le_bytes(tail.array());
            Some(seconds(self.connected_at_ms()) + i64::from(near))
        } else {
            self.has(ISSUED_FAR).then(|| i64::from_le_bytes(tail.array()))
        }
    }

    pub(super) fn remote_addr(self) -> Option<IpAddr> {
        let mut tail = self.after_issued();
        if self.has(ADDR_V4) {
            Some(IpAddr::from(tail.array::<4>()))
        } else {
            self.has(ADDR_V6).then(|| IpAddr::from(tail.array::<16>()))
        }
    }

    /// The uid of that token.
    pub(super) fn uid(self) -> Uid<'a> {
        let mut tail = self.after_agent();
        if self.has(UID_UUID) {
            Uid::Uuid(tail.array())
        } else if self.has(UID_TEXT) {
            Uid::Text(text(tail.run()))
        } else {
            Uid::None
        }
    }

    /// The `meta` it was opened with.
    pub(super) fn meta(self) -> Option<&'a [u8]> {
        self.has(META).then(|| self.after_uid().run())
    }

    /// Where its token's `iat` and uid stand.
    pub(super) fn token_places(self) -> [Range<usize>; 2] {
        let at = |tail: Tail<'_>| self.0.len() - tail.0.len();
        [
            at(self.after_user())..at(self.after_issued()),
            at(self.after_agent())..at(self.after_uid()),
        ]
    }

    /// Which parts it has.
    pub(super) fn parts(self) -> u8 {
        self.0[PARTS]
    }

    fn has(self, part: u8) -> bool {
        self.parts() & part != 0
    }

    fn fixed<const N: usize>(self, at: usize) -> [u8; N] {
        self.0[at..at + N].try_into().expect("N bytes")
    }

    fn tail(self) -> Tail<'a> {
        Tail(&self.0[TAIL..])
    }

    fn after_user(self) -> Tail<'a> {
        let mut tail = self.tail();
        tail.run();
        tail
    }

    fn after_issued(self) -> Tail<'a> {
        let mut tail = self.after_user();
        if self.has(ISSUED_NEAR) {
            tail.skip(4);
        } else if self.has(ISSUED_FAR) {
            tail.skip(8);
        }
        tail
    }

    fn after_address(self) -> Tail<'a> {
        let mut tail = self.after_issued();
        if self.has(ADDR_V4) {
            tail.skip(4);
        } else if self.has(ADDR_V6) {
            tail.skip(16);
        }
        tail
    }

    fn after_agent(self) -> Tail<'a> {
        let mut tail = self.after_address();
        if self.has(AGENT) {
            tail.skip(2);
        }
        tail
    }

    fn after_uid(self) -> Tail<'a> {
        let mut tail = self.after_agent();
        if self.has(UID_UUID) {
            tail.skip(16);
        } else if self.has(UID_TEXT) {
            tail.run();
        }
        tail
    }

    fn after_meta(self) -> Tail<'a> {
        let mut tail = self.after_uid();
        if self.has(META) {
            tail.run();
        }
        tail
    }

    fn after_app(self) -> Tail<'a> {
        let mut tail = self.after_meta();
        if self.shared().app.is_none() {
            tail.run();
            tail.run();
        }
        tail
    }
}

/// The 16 bytes of a UUID whose text is exactly what they give back.
fn canonical_uuid(text: &str) -> Option<[u8; 16]> {
    ids::uuid_parse(text.as_bytes()).filter(|uuid| ids::uuid_text(uuid) == text.as_bytes())
}

const fn seconds(ms: u64) -> i64 {
    (ms / 1000).cast_signed()
}
