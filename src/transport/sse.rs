//! `sse` and `uni_sse`: one JSON message per event, without names or ids (client protocol,
//! "Server-Sent Events"; WHATWG HTML §9.2).

use super::Body;

const TYPE: &str = "text/event-stream; charset=utf-8";

/// The head, and an empty line that makes the browser believe in the stream at once.
pub(super) fn head(out: &mut Vec<u8>, body: Body, date: &str, extra: &[(&str, &str)]) {
    body.head(out, TYPE, date, extra);
    body.write(out, |out| out.extend_from_slice(b"\r\n"));
}

pub(super) fn event(out: &mut Vec<u8>, body: Body, content: impl FnOnce(&mut Vec<u8>)) {
    body.write(out, |out| {
        out.extend_from_slice(b"data: ");
        content(out);
        out.extend_from_slice(b"\n\n");
    });
}

/// The ping of Centrifugo v3: an event with a name and no data.
pub(super) fn ping_v1(out: &mut Vec<u8>, body: Body) {
    body.write(out, |out| out.extend_from_slice(b"event: ping\ndata:\n\n"));
}
