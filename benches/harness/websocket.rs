//! What a client of a WebSocket sends.

/// What a browser opens it with.
pub(crate) const HEAD: &[u8] = b"GET /connection/websocket HTTP/1.1\r\n\
    Host: localhost:8000\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Origin: http://localhost:8000\r\n\
    Sec-WebSocket-Version: 13\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of ours of at most 65,535 bytes as a client would send it.
pub(crate) fn masked(written: &[u8]) -> Vec<u8> {
    let head_len = if written[1] == 126 { 4 } else { 2 };
    let (head, payload) = written.split_at(head_len);
    let payload = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let mut frame: Vec<u8> = head.iter().chain(&MASK).copied().chain(payload).collect();
    frame[1] |= 0x80;
    frame
}
