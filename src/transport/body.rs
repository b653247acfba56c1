//! An endless HTTP response as a carrier: how it begins, how pieces are told apart, how it ends.

use crate::wire::http1::{self, Head, StreamHead, Version};

/// The response a stream travels in, and what becomes of its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    /// HTTP/1.1, chunked; the client wants to send another request afterwards.
    Reusable,
    /// HTTP/1.1, chunked; the connection closes afterwards.
    Last,
    /// HTTP/1.0: not chunked, it ends with the connection.
    Http10,
}

impl Body {
    /// As the request wants it.
    #[must_use]
    pub const fn new(head: &Head<'_>) -> Self {
        match (head.version, head.keep_alive) {
            (Version::Http11, true) => Self::Reusable,
            (Version::Http11, false) => Self::Last,
            (Version::Http10, _) => Self::Http10,
        }
    }

    /// Whether the connection can carry another request when the stream has ended.
    #[must_use]
    pub const fn is_reusable(self) -> bool {
        matches!(self, Self::Reusable)
    }

    /// The version of the response.
    #[must_use]
    pub const fn version(self) -> Version {
        match self {
            Self::Reusable | Self::Last => Version::Http11,
            Self::Http10 => Version::Http10,
        }
    }

    /// The client sends what is out of step: the connection can carry no further request.
    pub const fn spoil(&mut self) {
        if self.is_reusable() {
            *self = Self::Last;
        }
    }

    pub(super) fn head(
        self,
        out: &mut Vec<u8>,
        content_type: &'static str,
        date: &str,
        extra: &[(&str, &str)],
    ) {
        let keep_alive = self.is_reusable();
        let head = StreamHead { version: self.version(), keep_alive, date, content_type, extra };
        http1::write_stream_head(out, &head);
    }

    /// One piece that reaches the client whole.
    pub(super) fn write(self, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
        http1::write_chunk(out, self.version(), content);
    }

    pub(super) fn end(self, out: &mut Vec<u8>) {
        http1::write_last_chunk(out, self.version());
    }
}
