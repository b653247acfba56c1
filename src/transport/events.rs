//! Events for a backend that watches sessions, as Server-Sent Events (WHATWG HTML §9.2).

use super::{Body, sse};

/// The response a watch travels in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Events(Body);

impl Events {
    /// In this response.
    #[must_use]
    pub const fn new(body: Body) -> Self {
        Self(body)
    }

    /// The head of the response.
    pub fn head(self, out: &mut Vec<u8>, date: &str, extra: &[(&str, &str)]) {
        sse::head(out, self.0, date, extra);
    }

    /// One event: a JSON text without line breaks.
    pub fn event(self, out: &mut Vec<u8>, json: &[u8]) {
        sse::event(out, self.0, |out| out.extend_from_slice(json));
    }

    /// Nothing but a sign of life.
    pub fn heartbeat(self, out: &mut Vec<u8>) {
        self.0.write(out, |out| out.extend_from_slice(b":\n\n"));
    }

    /// The regular end.
    pub fn end(self, out: &mut Vec<u8>) {
        self.0.end(out);
    }

    /// The watcher sends what is out of step: its connection can carry no further request.
    pub const fn spoil(&mut self) {
        self.0.spoil();
    }
}
