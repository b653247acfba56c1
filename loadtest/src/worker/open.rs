//! From nothing to an accepted session: TCP, handshake or request, connect, its answer.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

use super::deadline::{CONNECT, within};
use super::dial::{Goodbye, dial};
use crate::failure::{Context, Failure};
use crate::http::{self, Framing, Head};
use crate::protocol::{self, Connected, Told};
use crate::report::progress;
use crate::stream::Stream;
use crate::transport::{Carrier, Encoding, Transport};
use crate::websocket::{self, Kind};

/// Bytes read at once while a session connects.
const READ_BYTES: usize = 2048;

/// The subprotocol of the Protobuf form.
const PROTOBUF: &str = "centrifuge-protobuf";

/// Where and how sessions connect.
pub(super) struct Door {
    address: SocketAddr,
    host: String,
    path: String,
    transport: Transport,
    goodbye: Goodbye,
    /// The opening request, where it is the same for all.
    upgrade: Vec<u8>,
    /// Whether a response that was no opening has been shown.
    has_shown: Cell<bool>,
}

/// A session that has been accepted.
pub(super) struct Opened {
    pub(super) socket: TcpStream,
    pub(super) stream: Stream,
    pub(super) connected: Connected,
    /// What came together with the acceptance.
    pub(super) more: Vec<Told>,
}

impl Door {
    pub(super) fn new(address: SocketAddr, transport: Transport, goodbye: Goodbye) -> Self {
        let host = address.to_string();
        let path = format!("/connection/{}", transport.name());
        let upgrade = websocket::upgrade(&host, &path, subprotocol(transport));
        Self { address, host, path, transport, goodbye, upgrade, has_shown: Cell::new(false) }
    }

    /// Fails as well if that takes too long: nobody waits for a server that does not answer.
    pub(super) async fn open(
        &self,
        from: Option<Ipv4Addr>,
        token: &str,
    ) -> Result<Opened, Failure> {
        within(CONNECT, "not accepted", async {
            let socket = connect(self.address, from, self.goodbye).await?;
            self.enter(socket, token).await
        })
        .await
    }

    /// The same on a connection that is up.
    pub(super) async fn enter(
        &self,
        mut socket: TcpStream,
        token: &str,
    ) -> Result<Opened, Failure> {
        let mut stream = Stream::of(self.transport, &self.host);
        let first = protocol::connect(self.transport, token);
        let mut received = Vec::new();
        match self.transport.carrier() {
            Carrier::Frames => {
                write(&mut socket, self.upgrade.clone()).await?;
                let head = read_head(&mut socket, &mut received).await?;
                if head.status != 101 {
                    return Err(refused(&head, &received));
                }
                websocket::check_upgraded(&head, &received, subprotocol(self.transport))
                    .map_err(|malformed| self.unexpected(&malformed.to_string(), &received))?;
                received.drain(..head.len);
                let mut frame = Vec::new();
                websocket::write(&mut frame, frame_kind(self.transport.encoding()), &first);
                write(&mut socket, frame).await?;
            }
            Carrier::Grpc => {
                stream.request(&first);
                write(&mut socket, stream.take_out()).await?;
            }
            Carrier::Lines | Carrier::Events => {
                write(&mut socket, self.request(&first)).await?;
                let head = read_head(&mut socket, &mut received).await?;
                if head.status != 200 {
                    return Err(refused(&head, &received));
                }
                if head.framing != Framing::Chunked {
                    return Err(self.unexpected("no stream", &received));
                }
                received.drain(..head.len);
            }
        }
        accepted(socket, stream, received).await
    }

    /// A response that is no opening, named by what is wrong with it alone, so that those alike
    /// are counted alike; the first is shown.
    fn unexpected(&self, what: &str, received: &[u8]) -> Failure {
        if !self.has_shown.replace(true) {
            progress(&format!("{what}: {:?}", String::from_utf8_lossy(received)));
        }
        Failure::new(what)
    }

    /// The request whose response is the stream.
    fn request(&self, first: &[u8]) -> Vec<u8> {
        if self.transport.carrier() == Carrier::Events {
            // As a browser's EventSource does it.
            http::get_events(&self.host, &self.path, "cf_connect", first)
        } else {
            let body = std::str::from_utf8(first).expect("what is posted here is JSON");
            http::post(&self.host, &self.path, &[], body)
        }
    }
}

/// A TCP connection that is up.
pub(super) async fn connect(
    address: SocketAddr,
    from: Option<Ipv4Addr>,
    goodbye: Goodbye,
) -> Result<TcpStream, Failure> {
    up(dial(address, from, goodbye)?).await
}

/// Waits until a connection that was begun is up.
pub(super) async fn up(socket: std::net::TcpStream) -> Result<TcpStream, Failure> {
    let socket = TcpStream::from_std(socket).during("watching a socket")?;
    socket.writable(false).await.during("connecting")?;
    Ok(socket)
}

pub(super) async fn write(socket: &mut TcpStream, bytes: Vec<u8>) -> Result<(), Failure> {
    socket.write_all(bytes).await.0.during("connecting").map(|_| ())
}

pub(super) async fn read_more(
    socket: &mut TcpStream,
    received: &mut Vec<u8>,
) -> Result<(), Failure> {
    let (read, buffer) = socket.read(Vec::with_capacity(READ_BYTES)).await;
    if read.during("connecting")? == 0 {
        return Err(Failure::new("the server closed the connection instead of answering"));
    }
    received.extend_from_slice(&buffer);
    Ok(())
}

async fn read_head(socket: &mut TcpStream, received: &mut Vec<u8>) -> Result<Head, Failure> {
    loop {
        read_more(socket, received).await?;
        if let Some(head) = http::parse_head(received).during("connecting")? {
            return Ok(head);
        }
    }
}

/// Reads until the server has accepted or refused.
async fn accepted(
    mut socket: TcpStream,
    mut stream: Stream,
    mut received: Vec<u8>,
) -> Result<Opened, Failure> {
    let mut told = Vec::new();
    loop {
        stream.advance(&received, |one| told.push(one)).during("connecting")?;
        let out = stream.take_out();
        if !out.is_empty() {
            write(&mut socket, out).await?;
        }
        if !told.is_empty() {
            let first = told.remove(0);
            return Ok(Opened { socket, stream, connected: accept(first)?, more: told });
        }
        if stream.has_ended() {
            return Err(Failure::new("the stream ended without a word"));
        }
        received.clear();
        read_more(&mut socket, &mut received).await?;
    }
}

/// The first thing a server says must be that it accepts.
pub(super) fn accept(first: Told) -> Result<Connected, Failure> {
    match first {
        Told::Connected(connected) => Ok(connected),
        Told::Ended { code, reason } => Err(Failure::new(format!("refused with {code} {reason}"))),
        Told::Ping | Told::FramePing(_) | Told::Other => {
            Err(Failure::new("the server's first message does not accept the session"))
        }
    }
}

/// What the response says besides its date: the same for all that are refused alike.
fn refused(head: &Head, received: &[u8]) -> Failure {
    let why = String::from_utf8_lossy(&received[head.len..]);
    Failure::new(format!("refused with HTTP status {} {}", head.status, why.trim()))
}

const fn subprotocol(transport: Transport) -> Option<&'static str> {
    match transport.encoding() {
        Encoding::Protobuf => Some(PROTOBUF),
        Encoding::Json | Encoding::ProtobufPush => None,
    }
}

/// How a frame is sent that carries messages of this encoding.
pub(super) const fn frame_kind(encoding: Encoding) -> Kind {
    match encoding {
        Encoding::Json => Kind::Text,
        Encoding::Protobuf | Encoding::ProtobufPush => Kind::Binary,
    }
}

#[cfg(test)]
mod tests {
    use rollcall::ids::ClientId;

    use super::*;

    #[test]
    fn only_an_acceptance_opens_a_session() {
        let connected =
            Connected { client: ClientId([7; 16]), ping_s: 25, wants_pong: false, emulation: None };
        assert_eq!(accept(Told::Connected(connected.clone())), Ok(connected));
        let refused = Told::Ended { code: 3500, reason: "invalid token".to_owned() };
        assert_eq!(accept(refused).unwrap_err().to_string(), "refused with 3500 invalid token");
        for told in [Told::Ping, Told::Other, Told::FramePing(Vec::new())] {
            let error = accept(told).unwrap_err().to_string();
            assert!(error.contains("does not accept"), "{error}");
        }
    }

    #[test]
    fn streams_of_lines_are_posted_and_streams_of_events_are_got() {
        let address = "127.0.0.1:1".parse().unwrap();
        let request = |transport| {
            let door = Door::new(address, transport, Goodbye::Fin);
            let first = protocol::connect(transport, "t");
            String::from_utf8(door.request(&first)).unwrap()
        };
        let posted = request(Transport::HttpStream);
        assert!(posted.starts_with("POST /connection/http_stream HTTP/1.1\r\n"), "{posted}");
        assert!(posted.ends_with("\r\n\r\n{\"id\":1,\"connect\":{\"token\":\"t\",\"name\":\"ios\",\"version\":\"1.2.3\"}}"));
        let got = request(Transport::UniSse);
        let line = "GET /connection/uni_sse?cf_connect=%7B%22token%22%3A%22t%22";
        assert!(got.starts_with(line), "{got}");
    }

    #[test]
    fn protobuf_is_asked_for_by_subprotocol() {
        let address = "127.0.0.1:1".parse().unwrap();
        let door = Door::new(address, Transport::WebsocketProtobuf, Goodbye::Fin);
        let upgrade = String::from_utf8(door.upgrade).unwrap();
        assert!(upgrade.starts_with("GET /connection/websocket HTTP/1.1\r\n"), "{upgrade}");
        assert!(upgrade.contains("\r\nSec-WebSocket-Protocol: centrifuge-protobuf\r\n"));
    }

    #[test]
    fn who_is_refused_alike_is_counted_alike() {
        let refusal = |date: &str, body: &str| {
            let length = body.len();
            let response = format!(
                "HTTP/1.1 503 Service Unavailable\r\nDate: {date}\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let head = http::parse_head(response.as_bytes()).unwrap().unwrap();
            refused(&head, response.as_bytes()).to_string()
        };
        assert_eq!(refusal("noon", "full\n"), "refused with HTTP status 503 full");
        assert_eq!(refusal("noon", ""), refusal("one", ""));
        let door = Door::new("127.0.0.1:1".parse().unwrap(), Transport::Sse, Goodbye::Fin);
        let unexpected = ["noon", "one"].map(|date| door.unexpected("no stream", date.as_bytes()));
        assert_eq!(unexpected, [Failure::new("no stream"), Failure::new("no stream")]);
    }
}
