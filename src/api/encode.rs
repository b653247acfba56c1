//! JSON written by hand into the output buffer: no serializer, no allocation of its own.

use std::fmt::Display;
use std::io::Write;

use crate::ids::ClientId;
use crate::protocol::json;
use crate::session::TokenUid;

/// A JSON object being written. Names are literals of ours and need no escaping.
#[derive(Debug)]
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }

    // Inlined so that a literal name is copied by a few stores of known length.
    #[inline]
    fn name(&mut self, name: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A word of ours that needs no escaping.
    #[inline]
    pub(super) fn word(&mut self, name: &str, word: &'static str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    /// What writes itself without a character that needs escaping.
    pub(super) fn plain(&mut self, name: &str, value: impl Display) {
        self.name(name);
        write!(self.out, "\"{value}\"").expect("memory takes everything");
    }

    /// A text of any content.
    #[inline]
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        json::write_string(self.out, text);
    }

    /// A text of any content, left out when empty.
    #[inline]
    pub(super) fn text_if_any(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.text(name, text);
        }
    }

    /// The uid of a token, left out when there is none.
    pub(super) fn uid_if_any(&mut self, name: &str, uid: &TokenUid<'_>) {
        match uid.as_uuid() {
            Some(uuid) => self.digits(name, uuid),
            None => self.text_if_any(name, uid),
        }
    }

    /// Digits and hyphens, which need no escaping.
    fn digits(&mut self, name: &str, digits: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(digits);
        self.out.push(b'"');
    }

    /// A text of any content under a name of any content.
    pub(super) fn text_under(&mut self, name: &str, text: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        json::write_string(self.out, name);
        self.out.push(b':');
        json::write_string(self.out, text);
    }

    #[inline]
    pub(super) fn integer(&mut self, name: &str, number: impl itoa::Integer) {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A value that is JSON already.
    #[inline]
    pub(super) fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(json);
    }

    /// A value that somebody else writes.
    pub(super) fn nested(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        write(self.out);
    }

    /// A number under a name of any content.
    pub(super) fn member(&mut self, name: &str, number: impl itoa::Integer) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        json::write_string(self.out, name);
        self.out.push(b':');
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Client ids in a list.
    pub(super) fn ids(&mut self, name: &str, ids: &[ClientId]) {
        self.name(name);
        self.out.push(b'[');
        for (at, id) in ids.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.out.push(b'"');
            self.out.extend_from_slice(&id.text());
            self.out.push(b'"');
        }
        self.out.push(b']');
    }

    /// A member that is an object whose members somebody else writes.
    pub(super) fn members(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        self.out.push(b'{');
        write(self.out);
        self.out.push(b'}');
    }

    /// A member that is an object again; close it before going on.
    pub(super) fn object(&mut self, name: &str) -> Object<'_> {
        self.name(name);
        Object::open(self.out)
    }
}
