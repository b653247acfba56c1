//! The WebSocket codec behind a socket: an echo of nothing but it and the HTTP core, opened by
//! tungstenite and put through Autobahn's cases.
#![expect(clippy::disallowed_methods, reason = "one variable asks for the cases that take minutes")]

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};

use rollcall::wire::http1::{
    Head, HeadScan, Response, Version, parse_head, write_response as write_http,
};
use rollcall::wire::websocket::{
    Decoder, DeflateAnswer, Deflater, Event, FrameError, Handshake, HandshakeError, Limits,
    Scratch, choose_protocol, write_close, write_handshake_response, write_message, write_pong,
};
use serde_json::Value;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tungstenite::{Error, Message, WebSocket};

const LIMITS: Limits = Limits { message_bytes_max: 32 << 20, inflated_bytes_max: 32 << 20 };
const PROTOCOLS: &[&str] = &["centrifuge-json", "centrifuge-protobuf"];

/// A server that sends every message back; it lives as long as the test.
fn start_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || drop(echo(stream)));
        }
    });
    addr
}

/// One connection of it. An error is the client's going away.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let (mut bytes, mut scan) = (Vec::new(), HeadScan::default());
    let mut piece = vec![0; 64 * 1024];
    let head_len = loop {
        match scan.end(&bytes).map_err(io::Error::other)? {
            Some(len) => break len,
            None => match stream.read(&mut piece)? {
                0 => return Ok(()),
                len => bytes.extend_from_slice(&piece[..len]),
            },
        }
    };
    let mut early = bytes.split_off(head_len);
    let mut out = Vec::new();
    let opened = open(&parse_head(&bytes).map_err(io::Error::other)?, &mut out);
    stream.write_all(&out)?;
    let Some(deflate) = opened else { return linger(&stream, &mut piece) };

    let mut conn = Conn {
        decoder: Decoder::new(deflate),
        scratch: Scratch::default(),
        deflater: deflate.map(|_| Deflater::new(6, 0)),
    };
    let mut goes_on = conn.hear(&mut early, &mut out);
    while goes_on {
        let len = stream.read(&mut piece)?;
        if len == 0 {
            return Ok(());
        }
        out.clear();
        goes_on = conn.hear(&mut piece[..len], &mut out);
        stream.write_all(&out)?;
    }
    linger(&stream, &mut piece)
}

/// Answers a handshake; `Some` of what was agreed on if it is one.
fn open(head: &Head<'_>, out: &mut Vec<u8>) -> Option<Option<DeflateAnswer>> {
    match Handshake::read(head) {
        Ok(handshake) => {
            let deflate = DeflateAnswer::negotiate(head);
            let protocol = choose_protocol(head, PROTOCOLS);
            write_handshake_response(out, &handshake, protocol, deflate);
            Some(deflate)
        }
        Err(error) => {
            let response = Response {
                status: error.status(),
                content_type: Some("text/plain"),
                keep_alive: false,
                version: Version::Http11,
                date: "Sun, 06 Nov 1994 08:49:37 GMT",
                extra: error.headers(),
            };
            write_http(out, &response, error.to_string().as_bytes());
            None
        }
    }
}

/// Ends our side and waits for the other: what is unread when a socket closes would take back
/// what was sent last.
fn linger(mut stream: &TcpStream, piece: &mut [u8]) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    while stream.read(piece)? > 0 {}
    Ok(())
}

struct Conn {
    decoder: Decoder,
    scratch: Scratch,
    deflater: Option<Deflater>,
}

impl Conn {
    /// Answers what there is in `bytes`; whether the connection goes on.
    fn hear(&mut self, mut bytes: &mut [u8], out: &mut Vec<u8>) -> bool {
        loop {
            match self.decoder.next(&mut bytes, &LIMITS, &mut self.scratch) {
                Ok(None) => return true,
                Ok(Some(Event::Message { kind, payload })) => {
                    let content = |out: &mut Vec<u8>| out.extend_from_slice(payload);
                    match &mut self.deflater {
                        Some(deflater) => deflater.write_message(out, kind, content),
                        None => write_message(out, kind, content),
                    }
                }
                Ok(Some(Event::Ping(payload))) => write_pong(out, payload),
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close { code, .. })) => {
                    write_close(out, code, "");
                    return false;
                }
                Err(error) => {
                    write_close(out, error.close_code(), error.close_reason());
                    return false;
                }
            }
        }
    }
}

/// Opens it with tungstenite, which checks the response.
fn connect(addr: SocketAddr, protocols: &str) -> (WebSocket<TcpStream>, Option<String>) {
    let mut request = format!("ws://{addr}/").into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", protocols.parse().expect("a value"));
    let stream = TcpStream::connect(addr).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    let (client, response) = tungstenite::client(request, stream).expect("a handshake");
    let protocol = response.headers().get("sec-websocket-protocol");
    (client, protocol.map(|value| value.to_str().expect("text").to_owned()))
}

#[test]
fn tungstenite_opens_talks_and_closes() {
    let (mut client, protocol) = connect(start_echo(), "x, centrifuge-protobuf, centrifuge-json");
    assert_eq!(protocol.as_deref(), Some("centrifuge-protobuf"));
    for message in [
        Message::text("é"),
        Message::text(""),
        Message::binary(vec![7; 70_000]),
        Message::binary(vec![0xff; 200]),
    ] {
        client.send(message.clone()).expect("it listens");
        assert_eq!(client.read().expect("an echo"), message);
    }
    client.send(Message::Ping("a".into())).expect("it listens");
    assert_eq!(client.read().expect("an answer"), Message::Pong("a".into()));
    let close = CloseFrame { code: CloseCode::Away, reason: "bye".into() };
    client.close(Some(close)).expect("it listens");
    let answer = CloseFrame { code: CloseCode::Away, reason: "".into() };
    assert_eq!(client.read().expect("an answer"), Message::Close(Some(answer)));
    assert!(matches!(client.read(), Err(Error::ConnectionClosed)));
}

#[test]
fn a_refusal_reaches_the_client() {
    let (mut client, _) = connect(start_echo(), "centrifuge-json");
    client.get_mut().write_all(b"\x81\x00").expect("it listens");
    let error = FrameError::NotMasked;
    let close = CloseFrame { code: CloseCode::Protocol, reason: error.close_reason().into() };
    assert_eq!(client.read().expect("a close frame"), Message::Close(Some(close)));

    let mut plain = TcpStream::connect(start_echo()).expect("it listens");
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    plain.write_all(head).expect("it listens");
    let mut answer = String::new();
    plain.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
    assert!(answer.ends_with(&HandshakeError::Version.to_string()), "{answer}");
}

/// Runs Autobahn's cases if their runner, PyPI's `kosoku` 0.1.0, is in the path. Those of large
/// messages and compression (9, 12, 13) run with `ROLLCALL_AUTOBAHN=all`: two minutes if this is
/// built with `--release`, many more if not.
#[test]
fn autobahns_cases_pass() {
    let reports = tempfile::tempdir().expect("a folder");
    let mut runner = Command::new("kosoku");
    runner.args(["--mode", "fuzzingclient", "--parallelism", "4", "--outdir"]);
    runner.arg(reports.path());
    if env::var("ROLLCALL_AUTOBAHN").is_ok_and(|cases| cases == "all") {
        println!("all cases");
    } else {
        runner.args(["--exclude", "9.*", "--exclude", "12.*", "--exclude", "13.*"]);
    }
    let output = match runner.arg(start_echo().to_string()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("not run: `kosoku` is not in the path (pip install kosoku==0.1.0)");
            return;
        }
        Err(error) => panic!("kosoku does not start: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let index = fs::read(reports.path().join("index.json")).expect(&said);
    let index: Value = serde_json::from_slice(&index).expect("a report is JSON");
    let servers = index.as_object().expect("servers").values();
    let cases: Vec<(&String, &Value)> =
        servers.flat_map(|cases| cases.as_object().expect("cases")).collect();
    assert!(cases.len() >= 247, "only {} cases ran:\n{said}", cases.len());
    let passed = |verdict: &Value| verdict == "OK" || verdict == "INFORMATIONAL";
    let mut complaints = Vec::new();
    for (case, report) in &cases {
        let (behavior, close) = (&report["behavior"], &report["behaviorClose"]);
        // Windows smaller than that of the shared compressor are declined on purpose.
        let declined = DECLINED.iter().any(|group| case.starts_with(group));
        if !(passed(behavior) && passed(close) || declined && behavior == "UNIMPLEMENTED") {
            complaints.push(format!("{case}: {behavior}, close {close}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n{said}", complaints.join("\n"));
    println!("{} cases", cases.len());
}

/// Cases that offer nothing but a server's window of 2^9 bytes.
const DECLINED: &[&str] = &["13.3.", "13.5."];
