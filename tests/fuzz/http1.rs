//! HTTP/1.1: where a head ends, what it says, and what a chunked body holds, each against a reader
//! that is shown everything at once and does not care what it costs.

use rollcall::wire::http1::{
    BodyError, ChunkedBody, HEAD_BYTES_MAX, HeadError, HeadScan, Response, Status, Version,
    parse_head, query_value, write_chunk, write_last_chunk, write_response,
};

use crate::http1_model::{self as model, Body};
use crate::input::{Input, Steps, compose};

const HEAD_WORDS: &[&str] = &[
    "\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "POST /api?a=b HTTP/1.1\r\n",
    "GET http://a/b HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "Host: a:80\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close, Keep-Alive\r\n",
    "Expect: 100-continue\r\n",
    "X: y\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ",",
    "\0",
    "é",
    "GET",
    "/",
    "?",
    "HTTP/1.1",
    "HTTP/2.0",
    "HTTPS://[::1]:8",
    "content-length:",
    "TRANSFER-ENCODING: gzip,",
    "connection:",
    "0",
    "18446744073709551616",
];

/// A head: its end does not depend on how it came; it is accepted when the model accepts it, and
/// says the same.
pub(crate) fn head(input: &mut Input<'_>) {
    let steps = input.steps();
    let bytes = match input.below(3) {
        0 => input.rest().to_vec(),
        1 => compose(input, HEAD_WORDS),
        _ => good_head(input),
    };
    let end = scan(&bytes, &steps);
    assert_eq!(end, scan(&bytes, &Steps::whole()));
    assert_eq!(end, scan(&bytes, &Steps::byte_by_byte()));
    assert_eq!(end.map_err(drop), model::head_end(&bytes));
    if let Ok(Some(len)) = end {
        let head = &bytes[..len];
        check_head(head);
        if model::head(head).is_some() {
            assert_eq!(parse_head(&head[..len - 1]).err(), Some(HeadError::NotWhole));
        }
    }
    // What was not found by a scan is accepted only if one would find the same.
    if parse_head(&bytes).is_ok() {
        assert_eq!(end, Ok(Some(bytes.len())));
    }
}

fn scan(bytes: &[u8], steps: &Steps) -> Result<Option<usize>, HeadError> {
    let (mut scan, mut shown) = (HeadScan::default(), 0);
    let mut answer = Ok(None);
    for piece in steps.cut(bytes) {
        shown += piece.len();
        answer = scan.end(&bytes[..shown]);
        match answer {
            Ok(None) => {}
            Ok(Some(end)) => {
                assert!(end <= shown && end <= HEAD_BYTES_MAX);
                return answer;
            }
            Err(error) => {
                assert_eq!(scan.end(&bytes[..shown]), Err(error), "it says the same again");
                return answer;
            }
        }
    }
    answer
}

/// A head that ends where it should.
fn check_head(bytes: &[u8]) {
    let expected = model::head(bytes);
    let head = match (parse_head(bytes), &expected) {
        (Ok(head), Some(_)) => head,
        (Err(error), None) => {
            assert!(matches!(error.status().0, 400 | 417 | 431 | 501 | 505), "{error}");
            // A scan has seen to these.
            assert!(!matches!(
                error,
                HeadError::TooLong
                    | HeadError::NotWhole
                    | HeadError::EmptyLines
                    | HeadError::BareLineFeed
            ));
            return;
        }
        (got, expected) => panic!("{:?}, expected {expected:?}", got.map(|head| head.target)),
    };
    let Some(expected) = expected else { return };
    assert_eq!((head.method, head.target), (expected.method, expected.target));
    assert_eq!((head.path(), head.query()), (expected.path, expected.query));
    assert_eq!(head.version, expected.version);
    assert_eq!(head.framing, expected.framing);
    assert_eq!(head.keep_alive, expected.keep_alive);
    assert_eq!(head.expect_continue, expected.expect_continue);
    let absent = ("x-absent", &b""[..]);
    for (name, _) in expected.headers.iter().chain([&absent]) {
        let all: Vec<&[u8]> = expected
            .headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(head.header_values(name).collect::<Vec<_>>(), all);
        let texts: Vec<&str> = all.iter().filter_map(|value| str::from_utf8(value).ok()).collect();
        assert_eq!(head.headers(&name.to_uppercase()).collect::<Vec<_>>(), texts);
        let first = all.first().and_then(|value| str::from_utf8(value).ok());
        assert_eq!(head.header(&name.to_lowercase()), first);
    }
}

/// A head made of parts that are all good: it must be read as those parts.
fn good_head(input: &mut Input<'_>) -> Vec<u8> {
    let method = input.pick(&["GET", "POST", "OPTIONS", "M-SEARCH", "x!"]);
    let value = input.text();
    let escaped: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let junk = input.pick(&["", "a=b&", "%zz&", "&&x&", "key2=1&"]);
    let target = format!("/{}?{junk}key={escaped}", input.pick(&["", "api", "a/b;c", "%2e"]));
    let http11 = input.flag();
    let mut text = format!("{method} {target} HTTP/1.{}\r\n", u8::from(http11));
    if input.flag() {
        text.insert_str(0, "\r\n");
    }
    let mut headers = vec![("Host".to_owned(), "localhost:8000".to_owned())];
    let names = ["X", "x-api-key", "Authorization", "sec-websocket-protocol", "a!#$%&'*+-.^_`|~9"];
    for _ in 0..input.below(64) {
        let value = input.text().replace(|c: char| c.is_control(), "x");
        headers.push((input.pick(&names).to_owned(), value.trim_matches(' ').to_owned()));
    }
    let (before, after) = (input.pick(&["", " ", "\t ", "   "]), input.pick(&["", " ", "\t"]));
    for (name, value) in &headers {
        text.push_str(&format!("{name}:{before}{value}{after}\r\n"));
    }
    text.push_str("\r\n");
    if text.len() <= HEAD_BYTES_MAX {
        let head = parse_head(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert_eq!((head.method, head.target), (method, target.as_str()));
        let query = head.query().unwrap_or_default();
        assert_eq!(query_value(query, "key").as_deref(), Some(value.as_str()));
        for (name, value) in &headers {
            assert!(head.headers(name).any(|read| read == value), "{name}");
        }
    }
    text.into_bytes()
}

const CHUNK_WORDS: &[&str] = &[
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "a;b=\"c\"\r\n0123456789\r\n",
    "1\r\n\n\r\n",
    "0\r\nX: y\r\nZ:\r\n\r\n",
    "\r\n",
    "\r",
    "\n",
    "0",
    "1",
    "F",
    ";",
    ":",
    "x",
    "\t",
    "\0",
    "é",
    "0000000000000000",
    "ffffffffffffffff",
    "GET / HTTP/1.1\r\n",
];

/// A chunked body: the same body, the same rest or the same refusal however it came.
pub(crate) fn chunked(input: &mut Input<'_>) {
    let steps = input.steps();
    let decoded_max = input.len();
    let bytes = match input.below(3) {
        0 => input.rest().to_vec(),
        1 => compose(input, CHUNK_WORDS),
        _ => good_body(input),
    };
    let body = decode(&bytes, &steps, decoded_max);
    assert_eq!(body, decode(&bytes, &Steps::whole(), decoded_max));
    assert_eq!(body, decode(&bytes, &Steps::byte_by_byte(), decoded_max));
    let body = match body {
        Ok(None) => Body::NotWhole,
        Ok(Some((body, rest))) => Body::Whole(body, rest),
        Err(BodyError::TooLarge) => Body::TooLarge,
        Err(BodyError::Malformed(_)) => Body::Malformed,
    };
    assert_eq!(body, model::body(&bytes, decoded_max));
}

type Decoded = Result<Option<(Vec<u8>, Vec<u8>)>, BodyError>;

fn decode(raw: &[u8], steps: &Steps, decoded_max: usize) -> Decoded {
    let mut decoder = ChunkedBody::new(decoded_max);
    let (mut bytes, mut shown) = (Vec::new(), 0);
    for piece in steps.cut(raw) {
        bytes.extend_from_slice(piece);
        shown += piece.len();
        match decoder.advance(&mut bytes) {
            Ok(None) => assert!(bytes.len() <= decoded_max, "only what was decoded is kept"),
            Ok(Some(end)) => {
                assert_eq!(decoder.advance(&mut bytes), Ok(Some(end)), "and again if asked again");
                let rest = [&bytes[end.consumed_len..], &raw[shown..]].concat();
                return Ok(Some((bytes[..end.decoded_len].to_vec(), rest)));
            }
            Err(error) => {
                assert_eq!(decoder.advance(&mut bytes), Err(error), "it says the same again");
                return Err(error);
            }
        }
    }
    Ok(None)
}

/// What our own writer writes, and something after it: it must be read again.
fn good_body(input: &mut Input<'_>) -> Vec<u8> {
    let (mut raw, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..input.below(6) {
        let len = input.len();
        let filler = input.byte();
        let content = [input.bytes(len % 64), &vec![filler; len / 64]].concat();
        write_chunk(&mut raw, Version::Http11, |out| out.extend_from_slice(&content));
        whole.extend_from_slice(&content);
    }
    write_last_chunk(&mut raw, Version::Http11);
    raw.extend_from_slice(input.rest());
    let body = decode(&raw, &Steps::whole(), whole.len());
    assert_eq!(body.map(|body| body.map(|(body, _)| body)), Ok(Some(whole)));
    raw
}

/// A reply: one head whose last lines are the headers that can be said, and the body, whatever the
/// values hold.
pub(crate) fn reply(input: &mut Input<'_>) {
    let texts: [String; 6] = std::array::from_fn(|_| input.text());
    let [a, b, c, d, e, content_type] = &texts;
    let extra = [(a.as_str(), b.as_str()), ("X-A", c), (d, "d"), ("X-Last", e)];
    let response = Response {
        status: Status(u16::from_be_bytes([input.byte(), input.byte()])),
        content_type: input.flag().then_some(content_type.as_str()),
        keep_alive: input.flag(),
        version: if input.flag() { Version::Http11 } else { Version::Http10 },
        date: "Sun, 06 Nov 1994 08:49:37 GMT",
        extra: &extra,
    };
    let body = input.rest();
    let mut out = Vec::new();
    write_response(&mut out, &response, body);

    let end = out.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a blank line");
    let (head, rest) = out.split_at(end + 4);
    let head = str::from_utf8(head).expect("made of texts").trim_end_matches("\r\n");
    let status = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0_u16);
    assert!(matches!(status, 200..=999) && head.starts_with("HTTP/1."), "{head}");
    assert_eq!(rest, if matches!(status, 204 | 304) { b"" } else { body });
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert!(lines.iter().all(|line| !line.contains(['\r', '\n', '\0'])));
    let length = format!("Content-Length: {}", rest.len());
    assert!(lines.contains(&length.as_str()) || matches!(status, 204 | 304));
    let said: Vec<String> = extra
        .into_iter()
        .filter(|(name, value)| model::is_token(name) && !value.contains(['\r', '\n', '\0']))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert!(lines.len() >= said.len() + 2 && lines.len() <= said.len() + 6, "{head}");
    assert_eq!(lines[lines.len() - said.len()..], said);
}
