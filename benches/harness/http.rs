//! One API request as HTTP has it, and its reply.

use rollcall::wire::http1::{Response, Status, Version};

/// What curl sends for the founding page's `user_connections`.
pub(crate) const HEAD: &[u8] = b"POST /api HTTP/1.1\r\n\
    Host: localhost:8000\r\n\
    User-Agent: curl/8.5.0\r\n\
    Accept: */*\r\n\
    Content-Type: application/json\r\n\
    Authorization: apikey 7b3ea1a8-8f5d-4f0e-9a64-4a4bd6a8d7a1\r\n\
    Content-Length: 58\r\n\r\n";

/// A reply of about three sessions.
pub(crate) const BODY: &[u8] = &[b'x'; 463];

/// What stands before it.
pub(crate) const RESPONSE: Response<'static> = Response {
    status: Status(200),
    content_type: Some("application/json"),
    keep_alive: true,
    version: Version::Http11,
    date: "Sun, 06 Nov 1994 08:49:37 GMT",
    extra: &[],
};
