//! Request heads as text: what is read from them and why they are refused. `|` stands for CR LF
//! and every head ends with its blank line.

use super::*;

/// What the machine makes of `head`: found whole first, then parsed.
fn parse(head: &[u8]) -> Result<Head<'_>, HeadError> {
    match HeadScan::default().end(head)? {
        Some(len) => {
            assert_eq!(len, head.len(), "nothing follows the head");
            parse_head(head)
        }
        None => Err(HeadError::NotWhole),
    }
}

/// A head with Host.
fn post(headers: &str) -> Vec<u8> {
    bytes(&format!("POST /api HTTP/1.1|Host: a|{headers}|"))
}

fn bytes(head: &str) -> Vec<u8> {
    head.replace('|', "\r\n").into_bytes()
}

#[track_caller]
fn check(head: &[u8], expected: Option<HeadError>) {
    let shown = head.escape_ascii();
    assert_eq!(parse(head).err(), expected, "{shown}");
    if expected.is_some() {
        // Whatever the search lets by or not, the parser is strict by itself.
        assert!(parse_head(head).is_err(), "{shown}");
    }
}

#[test]
fn malformed_request_lines_are_refused() {
    use HeadError::*;
    for (line, error) in [
        ("||GET / HTTP/1.1", EmptyLines),
        ("\nGET / HTTP/1.1", BareLineFeed),
        ("|\nGET / HTTP/1.1", BareLineFeed),
        ("\r\r\nGET / HTTP/1.1", BareCarriageReturn),
        (" GET / HTTP/1.1", Method),
        ("\tGET / HTTP/1.1", Method),
        ("\x16\x03\x01\x02", Method),
        ("(GET) / HTTP/1.1", Method),
        ("GE\tT / HTTP/1.1", Method),
        ("GE\u{e9}T / HTTP/1.1", Method),
        ("GET\t/ HTTP/1.1", Method),
        ("GE\0T / HTTP/1.1", Method),
        ("GET", RequestLine),
        ("GET  / HTTP/1.1", RequestLine),
        ("GET /  HTTP/1.1", RequestLine),
        ("GET / HTTP/1.1 ", RequestLine),
        ("GET / HTTP/1.1 x", RequestLine),
        ("GET / x HTTP/1.1", RequestLine),
        ("GET / http/1.1", RequestLine),
        ("GET / HTTP/1.10", RequestLine),
        ("GET / HTTP/11", RequestLine),
        ("GET / HTTP/1", RequestLine),
        ("GET / HTTPS/1.1", RequestLine),
        ("GET /", Version),
        ("GET / HTTP/0.9", Version),
        ("GET / HTTP/1.2", Version),
        ("GET / HTTP/2.0", Version),
        ("PRI * HTTP/2.0", Version),
        ("GET / HTTP/3.0", Version),
        ("GET x HTTP/1.1", Target),
        ("GET * HTTP/1.1", Target),
        ("CONNECT a:80 HTTP/1.1", Target),
        ("GET ?x HTTP/1.1", Target),
        ("GET /a#b HTTP/1.1", Target),
        ("GET /\u{e9} HTTP/1.1", Target),
        ("GET /\x7f HTTP/1.1", Target),
        ("GET /\0 HTTP/1.1", Target),
        ("GET /a\tb HTTP/1.1", Target),
        ("GET http:// HTTP/1.1", Target),
        ("GET http:///a HTTP/1.1", Target),
        ("GET ftp://a/ HTTP/1.1", Target),
        ("GET httpx://a/ HTTP/1.1", Target),
        ("GET /\rX HTTP/1.1", Target),
        ("GET / HTTP/1.1\rX", BareCarriageReturn),
        ("GET / HTTP/1.1\r", BareCarriageReturn),
        ("GET / HTTP/1.1\nX: y", BareLineFeed),
    ] {
        check(&bytes(&format!("{line}|Host: a||")), Some(error));
    }
    check(b"\xff\xff", Some(Method));
    check(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Some(Target));
}

#[test]
fn malformed_headers_are_refused() {
    use HeadError::*;
    for (headers, error) in [
        ("X: a\nY: b|", BareLineFeed),
        ("X: a\n\nY: b|", BareLineFeed),
        ("X:\nY: b|", BareLineFeed),
        ("\nX: a|", BareLineFeed),
        ("X: a\rY: b|", BareCarriageReturn),
        ("X: a\r|", BareCarriageReturn),
        ("X: \r\rb|", BareCarriageReturn),
        ("\rX: a|", BareCarriageReturn),
        ("X: a\0b|", HeaderValue),
        ("X: a\x0bb|", HeaderValue),
        ("X: \x7f|", HeaderValue),
        ("X: a| folded|", Folded),
        ("X: a|\tfolded|", Folded),
        ("X:| folded|", Folded),
        ("X|", HeaderName),
        (": a|", HeaderName),
        ("X : a|", HeaderName),
        ("X\t: a|", HeaderName),
        ("X Y: a|", HeaderName),
        ("X\0: a|", HeaderName),
        ("(X): a|", HeaderName),
        ("\u{e9}: a|", HeaderName),
        ("\"X\": a|", HeaderName),
        ("Host: a|", HostRepeated),
        ("hOST: b|", HostRepeated),
        ("Expect: 200-ok|", Expectation),
        ("Expect: 100-continue, x|", Expectation),
        ("Expect:|", Expectation),
    ] {
        check(&post(headers), Some(error));
    }
    check(&bytes("GET / HTTP/1.1| Host: a||"), Some(Folded));
    check(&bytes("GET / HTTP/1.1|X: a||"), Some(HostMissing));
    check(&bytes("GET http://a/ HTTP/1.1||"), Some(HostMissing));
    check(&bytes("GET / HTTP/1.0|Host: a|Host: a||"), Some(HostRepeated));
    for host in ["a b", "a/b", "a@b", "a?b", "a#b", "a\\b", "\u{e9}", "a\tb", "a\"b", "<a>"] {
        check(&bytes(&format!("GET / HTTP/1.1|Host: {host}||")), Some(Host));
    }
}

#[test]
fn whatever_leaves_the_end_of_a_body_open_is_refused() {
    use HeadError::*;
    for (headers, error) in [
        ("Content-Length: 5|Transfer-Encoding: chunked|", LengthAndCoding),
        ("Transfer-Encoding: chunked|Content-Length: 5|", LengthAndCoding),
        ("Transfer-Encoding: chunked|content-length: 0|", LengthAndCoding),
        ("Content-Length: 5|Content-Length: 5|", ContentLengthRepeated),
        ("Content-Length: 5|CONTENT-LENGTH: 6|", ContentLengthRepeated),
        ("Content-Length: 5, 5|", ContentLength),
        ("Content-Length: 5,6|", ContentLength),
        ("Content-Length:|", ContentLength),
        ("Content-Length: +5|", ContentLength),
        ("Content-Length: -5|", ContentLength),
        ("Content-Length: 0x5|", ContentLength),
        ("Content-Length: 5a|", ContentLength),
        ("Content-Length: 5 5|", ContentLength),
        ("Content-Length: 5;|", ContentLength),
        ("Content-Length: 5.0|", ContentLength),
        ("Content-Length: 1e1|", ContentLength),
        ("Content-Length: \"5\"|", ContentLength),
        ("Content-Length: \u{665}|", ContentLength),
        ("Content-Length: 18446744073709551616|", ContentLength),
        ("Content-Length: 99999999999999999999999|", ContentLength),
        ("Content-Length : 5|", HeaderName),
        ("Content-Length\t: 5|", HeaderName),
        ("Content-Length: 5| 6|", Folded),
        ("Content-Length: 5\x0b|", HeaderValue),
        ("Transfer-Encoding: chunked|Transfer-Encoding: chunked|", CodingOrder),
        ("Transfer-Encoding: chunked|Transfer-Encoding: identity|", CodingOrder),
        ("Transfer-Encoding: chunked, chunked|", CodingOrder),
        ("Transfer-Encoding: chunked, gzip|", CodingOrder),
        ("Transfer-Encoding: chunked,|", CodingOrder),
        ("Transfer-Encoding: , chunked|", CodingOrder),
        ("Transfer-Encoding:|", CodingOrder),
        ("Transfer-Encoding: gzip|", CodingUnknown),
        ("Transfer-Encoding: gzip, chunked|", CodingUnknown),
        ("Transfer-Encoding: identity|", CodingUnknown),
        ("Transfer-Encoding: identity|Content-Length: 5|", CodingUnknown),
        ("Transfer-Encoding: gzip|Transfer-Encoding: chunked|", CodingUnknown),
        ("Transfer-Encoding: xchunked|", CodingUnknown),
        ("Transfer-Encoding: chunkedx|", CodingUnknown),
        ("Transfer-Encoding: chunked x|", CodingUnknown),
        ("Transfer-Encoding: chunked;q=1|", CodingUnknown),
        ("Transfer-Encoding: \"chunked\"|", CodingUnknown),
        ("Transfer-Encoding: c\u{212a}unked|", CodingUnknown),
        ("Transfer-Encoding: \x0bchunked|", HeaderValue),
        ("Transfer-Encoding: chunked\0|", HeaderValue),
        ("Transfer-Encoding : chunked|", HeaderName),
        (" Transfer-Encoding: chunked|", Folded),
        ("X: a\nTransfer-Encoding: chunked|", BareLineFeed),
        ("X: a\rTransfer-Encoding: chunked|", BareCarriageReturn),
        ("Transfer-Encoding:| chunked|", Folded),
        ("Transfer-Encoding:\n chunked|", BareLineFeed),
    ] {
        check(&post(headers), Some(error));
    }
    check(&bytes("POST / HTTP/1.0|Transfer-Encoding: chunked||"), Some(CodingInHttp10));
}

#[test]
fn the_framing_is_read() {
    for (headers, framing) in [
        ("", Framing::Empty),
        ("Content-Length: 0|", Framing::Length(0)),
        ("content-length:\t005 |", Framing::Length(5)),
        ("CONTENT-LENGTH:18446744073709551615|", Framing::Length(usize::MAX)),
        ("Transfer-Encoding: chunked|", Framing::Chunked),
        ("transfer-encoding:CHUNKED \t|", Framing::Chunked),
        ("TE: trailers|Content_Length: 7|Transfer_Encoding: chunked|", Framing::Empty),
    ] {
        assert_eq!(parse(&post(headers)).ok().unwrap().framing, framing, "{headers}");
    }
}

#[test]
fn a_connection_stays_when_version_and_options_say_so() {
    for (version, connection, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: close|", false),
        ("1.1", "Connection: CLOSE|", false),
        ("1.1", "Connection: x, close ,y|", false),
        ("1.1", "Connection: keep-alive|Connection: close|", false),
        ("1.1", "Connection: closed, not-close|", true),
        ("1.1", "Connection:|", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive|", true),
        ("1.0", "Connection: keep-alive, close|", false),
    ] {
        let head = bytes(&format!("GET / HTTP/{version}|Host: a|{connection}|"));
        assert_eq!(parse(&head).ok().unwrap().keep_alive, stays, "{version} {connection}");
    }
}

#[test]
fn an_expectation_is_read_from_http_1_1_and_ignored_from_1_0() {
    for (version, expect, expected) in [
        ("1.1", "", false),
        ("1.1", "Expect: 100-Continue|", true),
        ("1.0", "Expect: 100-continue|", false),
        ("1.0", "Expect: the-worst|", false),
    ] {
        let head = bytes(&format!("POST / HTTP/{version}|Host: a|{expect}|"));
        assert_eq!(parse(&head).ok().unwrap().expect_continue, expected, "{version} {expect}");
    }
}

#[test]
fn a_target_is_split_into_path_and_query() {
    for (method, target, path, query) in [
        ("GET", "/", "/", None),
        ("POST", "/api?api_key=%61&b=?", "/api", Some("api_key=%61&b=?")),
        ("POST", "/api?", "/api", Some("")),
        ("POST", "//a/../%2e/", "//a/../%2e/", None),
        ("OPTIONS", "*", "*", None),
        ("GET", "http://a", "/", None),
        ("GET", "HTTP://a:8000/b?c", "/b", Some("c")),
        ("GET", "https://a?c=/d", "/", Some("c=/d")),
        ("GET", "/http://a", "/http://a", None),
    ] {
        let head = bytes(&format!("{method} {target} HTTP/1.1|Host: a||"));
        let head = parse(&head).ok().unwrap();
        assert_eq!((head.method, head.target), (method, target));
        assert_eq!((head.path(), head.query()), (path, query), "{target}");
    }
}

#[test]
fn a_header_is_found_in_any_case_and_without_its_whitespace() {
    let mut head = post("A: 1|a: 2|Empty:|Blank: \t |X-Api-Key:\t a b \t|AA: 3|Bad: \u{e9}|");
    let at = head.windows(2).position(|pair| pair == "\u{e9}".as_bytes()).unwrap();
    head[at] = 0xff;
    let head = parse(&head).ok().unwrap();
    for (name, value) in [
        ("host", Some("a")),
        ("A", Some("1")),
        ("aA", Some("3")),
        ("empty", Some("")),
        ("blank", Some("")),
        ("x-api-key", Some("a b")),
        ("x-api-ke", None),
        ("x-api-key:", None),
        ("bad", None),
        ("absent", None),
        ("", None),
    ] {
        assert_eq!(head.header(name), value, "{name}");
    }
    assert_eq!(head.headers("a").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(head.headers("bad").count(), 0);
}

#[test]
fn one_empty_line_in_front_is_skipped() {
    let head = bytes("|POST /api HTTP/1.1|Host: a||");
    assert_eq!(parse(&head).ok().unwrap().path(), "/api");
}

#[test]
fn a_head_of_the_longest_length_passes_and_one_byte_more_does_not() {
    let sized = |len: usize| {
        let room = len - post("X: |").len();
        post(&format!("X: {}|", "a".repeat(room)))
    };
    check(&sized(HEAD_BYTES_MAX - 1), None);
    check(&sized(HEAD_BYTES_MAX), None);
    check(&sized(HEAD_BYTES_MAX + 1), Some(HeadError::TooLong));
    let endless = vec![b'A'; HEAD_BYTES_MAX];
    assert_eq!(HeadScan::default().end(&endless[1..]), Ok(None));
    assert_eq!(HeadScan::default().end(&endless), Err(HeadError::TooLong));
}

#[test]
fn sixty_four_headers_pass_and_one_more_does_not() {
    check(&post(&"X: a|".repeat(HEADERS_MAX - 1)), None);
    check(&post(&"X: a|".repeat(HEADERS_MAX)), Some(HeadError::TooManyHeaders));
}

#[test]
fn a_search_that_failed_says_so_again() {
    for head in [&b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"[..], b"GET /\n\r\n\r\n", b"\x16\x03"] {
        let mut scan = HeadScan::default();
        let refused = scan.end(head);
        assert!(refused.is_err());
        assert_eq!(scan.end(head), refused);
    }
}

#[test]
fn every_refusal_has_a_status_and_a_text_for_people() {
    use HeadError::*;
    for (error, status) in [
        (TooLong, 431),
        (TooManyHeaders, 431),
        (Version, 505),
        (CodingUnknown, 501),
        (CodingOrder, 400),
        (Expectation, 417),
        (HostMissing, 400),
    ] {
        assert_eq!(error.status(), Status(status));
        assert_ne!(error.status().reason(), "");
        assert!(error.to_string().contains(": "), "what was wrong, what would be right: {error}");
    }
}
