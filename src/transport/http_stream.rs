//! `http_stream` and `uni_http_stream`: one JSON message per line (client protocol, "HTTP
//! streaming"); in Protobuf each message brings its length.

use super::Body;

/// Go's handler sets no type and sniffs the first line: this is what clients see.
pub(super) const JSON_TYPE: &str = "text/plain; charset=utf-8";

/// What the same sniffing makes of Protobuf.
pub(super) const PROTOBUF_TYPE: &str = "application/octet-stream";

/// A line, whole in one chunk: some clients decode each chunk by itself.
pub(super) fn line(out: &mut Vec<u8>, body: Body, content: impl FnOnce(&mut Vec<u8>)) {
    body.write(out, |out| {
        content(out);
        out.push(b'\n');
    });
}
