//! A WebSocket client of the tests: tungstenite over a plain socket, and frames by hand where a
//! proper client would not send them.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::handshake::client::Response;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message, WebSocket};

use crate::harness::{PATIENCE, Server, token};

/// One client.
pub(crate) struct Socket {
    pub(crate) ws: WebSocket<TcpStream>,
    pub(crate) response: Response,
}

/// What came next.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Closed(u16, String),
    /// The connection ended without a close frame.
    Cut,
}

impl Socket {
    /// Opens `/connection/<path>` with these subprotocols and headers.
    pub(crate) fn open(server: &Server, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_open(server, path, headers).expect("the handshake succeeds")
    }

    pub(crate) fn try_open(
        server: &Server,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Box<Error>> {
        let url = format!("ws://{}/connection/{path}", server.address);
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in headers {
            let name: tungstenite::http::HeaderName = name.parse().expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let stream = TcpStream::connect(server.address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        match tungstenite::client(request, stream) {
            Ok((ws, response)) => Ok(Self { ws, response }),
            Err(tungstenite::HandshakeError::Failure(error)) => Err(Box::new(error)),
            Err(error) => panic!("{error}"),
        }
    }

    /// A session of this user over the bidirectional WebSocket in JSON.
    pub(crate) fn session(server: &Server, user: &str, claims: Value) -> (Self, Value) {
        let mut socket = Self::open(server, "websocket", &[]);
        let connect = json!({"token": token(user, claims), "name": "test", "version": "1.2"});
        socket.say(&json!({"id": 1, "connect": connect}));
        let reply = socket.reply();
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        (socket, reply)
    }

    pub(crate) fn say(&mut self, command: &Value) {
        self.text(&command.to_string());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.ws.send(Message::text(text)).expect("it is sent");
    }

    /// The next message that is no ping; pings are answered.
    pub(crate) fn reply(&mut self) -> Value {
        loop {
            match self.hear() {
                Heard::Text(text) if text == "{}" => self.text("{}"),
                Heard::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Heard::Ping => {}
                other @ (Heard::Binary(_) | Heard::Closed(..) | Heard::Cut) => {
                    panic!("not a reply: {other:?}")
                }
            }
        }
    }

    /// What comes next, one frame at a time.
    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            return match self.ws.read() {
                Ok(Message::Text(text)) => Heard::Text(text.to_string()),
                Ok(Message::Binary(bytes)) => Heard::Binary(bytes.to_vec()),
                Ok(Message::Ping(_)) => Heard::Ping,
                Ok(Message::Close(frame)) => {
                    let closed = closed(frame);
                    // The answer to it, and the end.
                    while self.ws.read().is_ok() {}
                    closed
                }
                Ok(Message::Pong(_) | Message::Frame(_)) => continue,
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing came")
                }
                Err(_) => Heard::Cut,
            };
        }
    }

    /// Hears until the end; pings are not answered.
    pub(crate) fn hear_end(&mut self) -> Heard {
        loop {
            match self.hear() {
                end @ (Heard::Closed(..) | Heard::Cut) => return end,
                Heard::Text(_) | Heard::Binary(_) | Heard::Ping => {}
            }
        }
    }

    /// Bytes as they are, past the client's rules.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        use std::io::Write as _;
        self.ws.get_mut().write_all(bytes).expect("the server reads");
    }

    /// Whether nothing comes for a moment that the server needs to answer something else.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let stream = self.ws.get_ref();
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let mut byte = [0];
        let quiet = stream.peek(&mut byte).is_err();
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        quiet
    }
}

fn closed(frame: Option<CloseFrame>) -> Heard {
    let frame = frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
    let (code, reason) = frame.unwrap_or((1005, String::new()));
    Heard::Closed(code, reason)
}

/// A masked frame of a client, with a mask of zeroes.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u16::try_from(payload.len()) {
        Ok(len @ 0..=125) => bytes.push(0x80 | len.to_be_bytes()[1]),
        Ok(len) => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// A connect command with id 1 in Protobuf, its length in front.
pub(crate) fn protobuf_connect(token: &str) -> Vec<u8> {
    let request = [&[0x0a][..], &varint(token.len()), token.as_bytes()].concat();
    let command = [&[0x08, 0x01, 0x22][..], &varint(request.len()), &request].concat();
    [&varint(command.len())[..], &command].concat()
}

/// A length in two bytes, as a token's is.
fn varint(len: usize) -> [u8; 2] {
    let byte = |part: usize| u8::try_from(part).expect("below 16,384");
    [0x80 | byte(len % 128), byte(len / 128)]
}
