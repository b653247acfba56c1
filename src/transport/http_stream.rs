//! `uni_http_stream`: one endless HTTP response, one push per line (client protocol, "HTTP
//! streaming").

use crate::protocol::codes::Disconnect;
use crate::protocol::{self, ConnectPush, Dialect};
use crate::wire::http1::{self, StreamHead, Version};

/// How one stream is written: fixed when it opens, three bytes for as long as it lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stream {
    /// Which form its pushes take.
    pub dialect: Dialect,
    /// HTTP/1.1 streams are chunked, HTTP/1.0 streams end with the connection.
    pub version: Version,
    /// Whether the client wants to send another request on this connection afterwards.
    pub keep_alive: bool,
}

impl Stream {
    /// The head of the response. Written together with the first line, after the decision.
    pub fn head(self, out: &mut Vec<u8>, date: &str, extra: &[(&str, &str)]) {
        let head = StreamHead {
            version: self.version,
            keep_alive: self.keep_alive,
            date,
            // Go's handler sets none and sniffs the first line: text/plain is what clients see.
            content_type: "text/plain; charset=utf-8",
            extra,
        };
        http1::write_stream_head(out, &head);
    }

    /// Whether the connection can carry another request when the stream has ended: a chunked
    /// stream ends without it.
    #[must_use]
    pub fn is_reusable(self) -> bool {
        self.keep_alive && self.version == Version::Http11
    }

    /// The first line of an accepted connect.
    pub fn connect(self, out: &mut Vec<u8>, push: &ConnectPush<'_>) {
        self.line(out, |out| protocol::write_connect_push(out, self.dialect, push));
    }

    /// A ping: `{}` or, in the old dialect, `null`.
    pub fn ping(self, out: &mut Vec<u8>) {
        self.line(out, |out| protocol::write_ping(out, self.dialect));
    }

    /// The last line.
    pub fn disconnect(self, out: &mut Vec<u8>, disconnect: &Disconnect) {
        self.line(out, |out| protocol::write_disconnect_push(out, self.dialect, disconnect));
    }

    /// The regular end of the response; the connection can carry another request afterwards
    /// when the stream is chunked.
    pub fn end(self, out: &mut Vec<u8>) {
        http1::write_last_chunk(out, self.version);
    }

    fn line(self, out: &mut Vec<u8>, push: impl FnOnce(&mut Vec<u8>)) {
        http1::write_chunk(out, self.version, |out| {
            push(out);
            out.push(b'\n');
        });
    }
}
