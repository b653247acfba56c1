//! What the parser takes, what it refuses, and that cuts change nothing.

use super::*;

const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn lines(parts: &[&[u8]]) -> Result<(Vec<String>, bool), Malformed> {
    let mut lines = Lines::new();
    let mut seen = Vec::new();
    for part in parts {
        lines.advance(part, |line| seen.push(String::from_utf8(line.to_vec()).unwrap()))?;
    }
    Ok((seen, lines.has_ended()))
}

#[test]
fn a_response_of_a_given_length_is_read_and_the_next_one_left_alone() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\n{}HTTP/1.1";
    let response = parse_response(bytes).unwrap().unwrap();
    assert_eq!((response.status, &*response.body), (200, b"{}".as_slice()));
    assert_eq!(&bytes[response.len..], b"HTTP/1.1");
    for cut in 0..response.len {
        assert_eq!(parse_response(&bytes[..cut]), Ok(None), "{cut}");
    }
}

#[test]
fn a_chunked_response_is_read_and_the_next_one_left_alone() {
    let bytes = format!("{HEAD}1\r\n{{\r\n1\r\n}}\r\n0\r\n\r\nHTTP/1.1");
    let response = parse_response(bytes.as_bytes()).unwrap().unwrap();
    assert_eq!(&*response.body, b"{}");
    assert_eq!(&bytes[response.len..], "HTTP/1.1");
    for cut in 0..response.len {
        assert_eq!(parse_response(&bytes.as_bytes()[..cut]), Ok(None), "{cut}");
    }
}

#[test]
fn heads_that_are_not_exactly_right_are_refused() {
    for head in [
        "HTTP/1.0 200 OK\r\nContent-Length: 0",
        "HTTP/1.1 20 OK\r\nContent-Length: 0",
        "HTTP/1.1 +20 OK\r\nContent-Length: 0",
        "HTTP/1.1 200\r\nContent-Length: 0",
        "HTTP/1.1 200 OK\r\nContent-Length: +1",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0",
        "HTTP/1.1 200 OK\r\nX: y",
    ] {
        assert!(parse_head(format!("{head}\r\n\r\n").as_bytes()).is_err(), "{head}");
    }
    assert!(parse_head(&[b'a'; HEAD_BYTES_MAX + 1]).is_err());
}

#[test]
fn lines_are_the_same_however_the_stream_is_cut() {
    let stream = b"3\r\n{}\n\r\n5\r\n{\"a\":\r\nB\r\n1}\n{\"b\":2}\n\r\n0\r\n\r\n";
    let whole = lines(&[stream]).unwrap();
    assert_eq!(whole, (vec!["{}".into(), "{\"a\":1}".into(), "{\"b\":2}".into()], true));
    for at in 0..stream.len() {
        assert_eq!(lines(&[&stream[..at], &stream[at..]]).unwrap(), whole, "{at}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(lines(&bytes).unwrap(), whole);
}

#[test]
fn an_unfinished_stream_has_not_ended() {
    assert_eq!(lines(&[b"3\r\n{}\n\r\n"]), Ok((vec!["{}".into()], false)));
    assert_eq!(lines(&[b"2\r\n{}\r\n0\r\n\r\n"]), Ok((vec![], false)));
}

#[test]
fn broken_chunks_are_refused() {
    for stream in ["\r\n", "g\r\n", "3;x\r\n", "3\n", "3\r\n{}\nx", "12345678\r\n", "0\r\n\r\nx"] {
        assert!(lines(&[stream.as_bytes()]).is_err(), "{stream:?}");
    }
}

#[test]
fn responses_without_a_body_need_not_say_so() {
    let upgrade = b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n\x81";
    let head = parse_head(upgrade).unwrap().unwrap();
    assert_eq!((head.status, head.framing, upgrade.len() - head.len), (101, Framing::Length(0), 1));
    let response = parse_response(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
    assert_eq!((response.status, response.body.len()), (204, 0));
}

#[test]
fn headers_are_found_in_any_case() {
    let head = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nX-y:1\r\n\r\n";
    assert_eq!(header(head, "upgrade"), Some("websocket"));
    assert_eq!(header(head, "x-Y"), Some("1"));
    assert_eq!(header(head, "y"), None);
}

#[test]
fn an_event_stream_is_asked_for_in_the_address() {
    let request = get_events("h:1", "/c", "cf_connect", br#"{"a":"b-._~9"}"#);
    let request = String::from_utf8(request).unwrap();
    let line = "GET /c?cf_connect=%7B%22a%22%3A%22b-._~9%22%7D HTTP/1.1\r\nHost: h:1\r\n";
    assert!(request.starts_with(line) && request.ends_with("\r\n\r\n"), "{request}");
}

#[test]
fn an_event_is_one_line_of_data() {
    assert_eq!(event(b"data: {}"), Ok(Some(&b"{}"[..])));
    assert_eq!((event(b""), event(b"\r")), (Ok(None), Ok(None)));
    for line in [&b"data:{}"[..], b"event: x", b": comment", b"{}"] {
        assert!(event(line).is_err());
    }
}
