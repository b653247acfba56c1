//! What a connection sends, and what it makes of frames, whole or cut.

use super::*;

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, kind, flags, id, payload);
    bytes
}

/// A connection of two streams whose requests are sent.
fn connection() -> Connection {
    let mut connection = Connection::new("h:1");
    connection.request(b"one");
    connection.request(b"two");
    assert!(!connection.take_out().is_empty());
    connection
}

fn said(parts: &[&[u8]]) -> (Result<Vec<String>, Malformed>, Vec<u8>) {
    let mut connection = connection();
    let mut seen = Vec::new();
    let result = parts.iter().try_for_each(|part| {
        connection.advance(part, |index, said| seen.push(format!("{index} {said:?}")))
    });
    (result.map(|()| seen), connection.take_out())
}

#[test]
fn a_connection_begins_with_the_preface_and_asks_for_the_method() {
    let mut connection = Connection::new("h:1");
    connection.request(b"abc");
    let out = connection.take_out();
    let rest = out.strip_prefix(PREFACE).unwrap();
    let (settings, len) = parse(rest).unwrap().unwrap();
    assert_eq!((settings.kind, settings.id, settings.payload.len()), (SETTINGS, 0, 12));
    let rest = &rest[len..];
    let (window, len) = parse(rest).unwrap().unwrap();
    assert_eq!((window.kind, window.payload), (WINDOW_UPDATE, &[0x7F, 0xFF, 0, 0][..]));
    let rest = &rest[len..];
    let (headers, len) = parse(rest).unwrap().unwrap();
    assert_eq!((headers.kind, headers.flags, headers.id), (HEADERS, END_HEADERS, 1));
    let block = String::from_utf8_lossy(headers.payload);
    assert!(block.contains(PATH) && block.ends_with("\0\u{2}te\u{8}trailers"), "{block}");
    assert_eq!(rest[len..], frame(DATA, END_STREAM, 1, b"\0\0\0\0\x03abc"));
}

#[test]
fn a_full_connection_of_long_requests_fits_the_first_window() {
    let mut connection = Connection::new("h:1");
    for _ in 0..STREAMS_MAX {
        connection.request(&[b'x'; 640]);
    }
    assert_eq!(connection.streams.len(), STREAMS_MAX);
}

#[test]
fn messages_are_the_same_however_the_connection_is_cut() {
    let bytes = [
        frame(SETTINGS, 0, 0, b""),
        frame(HEADERS, END_HEADERS, 1, b"\x88"),
        frame(DATA, 0, 1, b"\0\0\0\0\x02hi\0\0\0\0\0\0\0\0"),
        frame(DATA, PADDED, 3, b"\x01\0\0\0\0\x01ax"),
        frame(DATA, 0, 1, b"\0\x01z"),
        frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x88"),
        frame(PING, 0, 0, b"12345678"),
        frame(RST_STREAM, 0, 1, &[0, 0, 0, 7]),
    ]
    .concat();
    let (seen, out) = said(&[&bytes]);
    let expected = [
        "0 Message([104, 105])",
        "0 Message([])",
        "1 Message([97])",
        "0 Message([122])",
        "1 Ended(\"stream ended by the server\")",
        "0 Ended(\"stream reset with HTTP/2 error 7\")",
    ];
    assert_eq!(seen.clone().unwrap(), expected);
    assert_eq!(out, [frame(SETTINGS, ACK, 0, b""), frame(PING, ACK, 0, b"12345678")].concat());
    for at in 0..bytes.len() {
        assert_eq!(said(&[&bytes[..at], &bytes[at..]]), (seen.clone(), out.clone()), "{at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(said(&single), (seen, out));
}

#[test]
fn acknowledgements_and_unknown_frames_are_not_answered() {
    let bytes = [
        frame(SETTINGS, ACK, 0, b""),
        frame(PING, ACK, 0, b"12345678"),
        frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        frame(GOAWAY, 0, 0, &[0; 8]),
        frame(99, 0, 5, b"?"),
    ]
    .concat();
    assert_eq!(said(&[&bytes]), (Ok(Vec::new()), Vec::new()));
}

#[test]
fn frames_that_make_no_sense_are_refused() {
    for bytes in [
        frame(DATA, 0, 5, b""),
        frame(DATA, 0, 2, b""),
        frame(DATA, 0, 1, b"\x01\0\0\0\0"),
        frame(DATA, 0, 1, b"\0\xff\0\0\0"),
        frame(DATA, PADDED, 1, b"\x05abc"),
        frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 2]),
        frame(DATA, 0, 1, &[0; PAYLOAD_BYTES_MAX + 1]),
    ] {
        assert!(said(&[&bytes]).0.is_err(), "{bytes:?}");
    }
}
