//! What the codec writes, takes and refuses, and that cuts change nothing.

use super::*;
use crate::http;

fn upgraded(response: &str, protocol: Option<&str>) -> Result<(), Malformed> {
    let bytes = response.as_bytes();
    check_upgraded(&http::parse_head(bytes)?.unwrap(), bytes, protocol)
}

fn heard(parts: &[&[u8]]) -> Result<Vec<String>, Malformed> {
    let mut frames = Frames::new();
    let mut seen = Vec::new();
    for part in parts {
        frames.advance(part, |frame| {
            seen.push(format!("{frame:?}"));
            Ok(())
        })?;
    }
    Ok(seen)
}

#[test]
fn a_handshake_is_asked_for_and_checked() {
    let request = String::from_utf8(upgrade("h:1", "/p", Some("centrifuge-protobuf"))).unwrap();
    assert!(request.starts_with("GET /p HTTP/1.1\r\nHost: h:1\r\n"), "{request}");
    assert!(request.ends_with("\r\nSec-WebSocket-Protocol: centrifuge-protobuf\r\n\r\n"));
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    assert_eq!(upgraded(&response, None), Ok(()));
    assert!(upgraded(&response, Some("centrifuge-protobuf")).is_err());
    assert!(upgraded(&response.replace("s3p", "S3p"), None).is_err());
    assert!(upgraded(&response.replace("Upgrade: w", "X: w"), None).is_err());
    let extended = response.replace("Upgrade: w", "Sec-WebSocket-Extensions: x\r\nUpgrade: w");
    assert!(upgraded(&extended, None).is_err());
    let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(upgraded(refused, None), Err(Malformed("not upgraded to WebSocket")));
}

#[test]
fn frames_are_written_masked() {
    let mut out = Vec::new();
    write(&mut out, Kind::Text, b"Hello");
    // RFC 6455 §5.7.
    assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    out.clear();
    write(&mut out, Kind::Binary, &[0]);
    assert_eq!(out, [0x82, 0x81, 0x37, 0xFA, 0x21, 0x3D, 0x37]);
    out.clear();
    write(&mut out, Kind::Pong, b"");
    assert_eq!(out, [0x8A, 0x80, 0x37, 0xFA, 0x21, 0x3D]);
    for (len, head) in [(125, &[0x81, 0xFD][..]), (126, &[0x81, 0xFE, 0, 126])] {
        out.clear();
        write(&mut out, Kind::Text, &vec![b'x'; len]);
        assert!(out.starts_with(head), "{len}");
        assert_eq!(out.len(), head.len() + 4 + len);
    }
}

#[test]
fn frames_are_the_same_however_they_are_cut() {
    let long = format!("\u{1}{}", "x".repeat(200));
    let long = [&[0x82, 126, 0, 201][..], long.as_bytes()].concat();
    let bytes = [b"\x81\x02{}\x89\x01p\x8a\x00", &long[..], b"\x88\x09\x0b\xc4no pong"].concat();
    let whole = heard(&[&bytes]).unwrap();
    assert_eq!(whole.len(), 5);
    assert_eq!(whole[0], format!("{:?}", Frame::Message(b"{}")));
    assert_eq!(whole[1], format!("{:?}", Frame::Ping(b"p")));
    assert_eq!(whole[4], format!("{:?}", Frame::Close { code: 3012, reason: "no pong" }));
    for at in 0..bytes.len() {
        assert_eq!(heard(&[&bytes[..at], &bytes[at..]]).unwrap(), whole, "{at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(heard(&single).unwrap(), whole);
}

#[test]
fn nothing_is_kept_between_frames() {
    let mut frames = Frames::new();
    frames.advance(b"\x81\x02{", |_| Ok(())).unwrap();
    frames.advance(b"}", |_| Ok(())).unwrap();
    assert_eq!(frames.cut.capacity(), 0);
}

#[test]
fn frames_that_break_the_rules_are_refused() {
    for frame in [
        &b"\x01\x00"[..],
        b"\xc1\x00",
        b"\x81\x80\0\0\0\0",
        b"\x81\x7f\0\0\0\0\0\0\0\x01x",
        b"\x89\x7e\0\x7e",
        b"\x83\x00",
        b"\x88\x01\x03",
        b"\x88\x03\x0b\xc4\xff",
    ] {
        assert!(heard(&[frame]).is_err(), "{frame:x?}");
    }
    assert_eq!(heard(&[b"\x88\x00"]).unwrap(), ["Close { code: 1005, reason: \"\" }"]);
}
