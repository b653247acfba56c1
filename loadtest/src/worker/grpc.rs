//! Sessions that share connections: one task per connection, many streams on each.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::rc::Rc;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

use super::dial::Goodbye;
use super::open::{accept, connect, read_more, write};
use super::session::Shared;
use crate::clock::now_ns;
use crate::failure::{Context, Failure};
use crate::http2::{Connection, STREAMS_MAX, Said};
use crate::orders::SessionEnd;
use crate::population::Mint;
use crate::protocol::{self, Connected, Told};
use crate::transport::{Encoding, Transport};

/// Most sessions of one connection.
pub(super) const SESSIONS_MAX: u32 = {
    assert!(STREAMS_MAX == 100);
    100
};

/// Bytes read at once from a connection that is held.
const READ_BYTES: usize = 4096;

/// Opens a connection with these sessions on it; the ping interval in seconds.
pub(super) async fn open(
    address: SocketAddr,
    from: Option<Ipv4Addr>,
    mint: &Mint,
    sessions: Range<u32>,
    shared: &Rc<Shared>,
) -> Result<u32, Failure> {
    let mut socket = connect(address, from, Goodbye::Fin).await?;
    let mut connection = Connection::new(&address.to_string());
    let (first, count) = (sessions.start, sessions.len());
    for session in sessions {
        let token = mint.token(session)?;
        connection.request(&protocol::connect(Transport::UniGrpc, &token));
    }
    let mut many = Many::new(first, count, Rc::clone(shared));
    let mut ping_s = 0;
    let mut refused = None;
    while refused.is_none() && many.held.contains(&false) {
        let out = connection.take_out();
        if !out.is_empty() {
            write(&mut socket, out).await?;
        }
        let mut received = Vec::new();
        read_more(&mut socket, &mut received).await?;
        let hear = |index: usize, said: Said<'_>| match many.on_first(index, &said) {
            Ok(Some(connected)) => ping_s = connected.ping_s,
            Ok(None) => {}
            // What follows a refusal on its stream is no news.
            Err(failure) => drop(refused.get_or_insert(failure)),
        };
        connection.advance(&received, hear).during("connecting")?;
    }
    if let Some(failure) = refused {
        return Err(failure);
    }
    shared.tally.borrow_mut().connections += 1;
    monoio::spawn(hold(socket, connection, many));
    Ok(ping_s)
}

/// The sessions of a connection.
struct Many {
    /// The number of the first.
    first: u32,
    /// Whether each has been accepted and has not ended.
    held: Vec<bool>,
    /// Codes of streams that were told their end, which has not come yet, and when.
    farewells: BTreeMap<usize, (u32, u64)>,
    shared: Rc<Shared>,
}

impl Many {
    fn new(first: u32, count: usize, shared: Rc<Shared>) -> Self {
        Self { first, held: vec![false; count], farewells: BTreeMap::new(), shared }
    }

    /// What comes while sessions are opened: an acceptance, or a word on one that is open
    /// already.
    fn on_first(&mut self, index: usize, said: &Said<'_>) -> Result<Option<Connected>, Failure> {
        if self.held[index] {
            self.on_later(index, said);
            return Ok(None);
        }
        let first = match said {
            Said::Message(message) => protocol::read(Encoding::ProtobufPush, message),
            Said::Ended(why) => return Err(Failure::new(why.clone())),
        };
        let connected = accept(first)?;
        self.held[index] = true;
        self.shared.tally.borrow_mut().held += 1;
        Ok(Some(connected))
    }

    fn on_later(&mut self, index: usize, said: &Said<'_>) {
        let mut tally = self.shared.tally.borrow_mut();
        match said {
            Said::Message(message) => match protocol::read(Encoding::ProtobufPush, message) {
                Told::Ping => tally.pings += 1,
                Told::Ended { code, reason } => {
                    if std::mem::take(&mut self.held[index]) {
                        tally.lose(format!("disconnected with {code} {reason}"));
                        self.farewells.insert(index, (code, now_ns()));
                    }
                }
                Told::Connected(_) | Told::FramePing(_) | Told::Other => tally.unexpected += 1,
            },
            Said::Ended(why) => {
                drop(tally);
                self.on_gone(index, why);
            }
        }
    }

    /// A stream is over; after a farewell that is its regular end.
    fn on_gone(&mut self, index: usize, why: &str) {
        let farewell = self.farewells.remove(&index);
        let is_news = std::mem::take(&mut self.held[index]);
        if is_news {
            self.shared.tally.borrow_mut().lose(why.to_owned());
        }
        if is_news || farewell.is_some() {
            let session = self.first + u32::try_from(index).expect("few streams");
            let end = SessionEnd { session, farewell, gone_ns: now_ns() };
            self.shared.ends.borrow_mut().push(end);
        }
    }

    /// All that are left are gone.
    fn end(mut self, seen: &str) {
        (0..self.held.len()).for_each(|index| self.on_gone(index, seen));
    }
}

async fn hold(mut socket: TcpStream, mut connection: Connection, mut many: Many) {
    let mut buffer = Vec::with_capacity(READ_BYTES);
    let seen = loop {
        let out = connection.take_out();
        if !out.is_empty()
            && let Err(error) = socket.write_all(out).await.0
        {
            break error.to_string();
        }
        let read;
        (read, buffer) = socket.read(buffer).await;
        match read {
            Err(error) => break error.to_string(),
            Ok(0) => break "connection closed by the server".to_owned(),
            Ok(_) => {}
        }
        if let Err(malformed) =
            connection.advance(&buffer, |index, said| many.on_later(index, &said))
        {
            break malformed.to_string();
        }
    };
    many.end(&seen);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_is_accepted_held_and_lost_once() {
        let mut many = Many::new(40, 3, Rc::default());
        let mut push = vec![0x52, 38, 0x0A, 36];
        push.extend_from_slice(b"11111111-2222-4333-8444-555555555555");
        for index in 0..3 {
            assert!(many.on_first(index, &Said::Message(&push)).unwrap().is_some());
        }
        many.on_first(0, &Said::Message(b"")).unwrap();
        many.on_later(1, &Said::Message(b""));
        many.on_later(1, &Said::Message(b"\x5a\x04\x08\xac\x1b\x12"));
        many.on_later(1, &Said::Message(b"\x5a\x06\x08\xac\x1b\x12\x01x"));
        many.on_later(1, &Said::Ended("stream ended by the server".into()));
        many.on_later(2, &Said::Ended("reset".into()));
        let shared = Rc::clone(&many.shared);
        many.end("closed");
        let tally = shared.tally.borrow().clone();
        assert_eq!((tally.held, tally.pings, tally.unexpected), (0, 2, 1));
        let seen: Vec<_> = tally.ended.keys().map(String::as_str).collect();
        let ends = shared.ends.borrow();
        let ends: Vec<_> =
            ends.iter().map(|end| (end.session, end.farewell.map(|(code, _)| code))).collect();
        assert_eq!(ends, [(41, Some(3500)), (42, None), (40, None)]);
        assert_eq!(seen, ["closed", "disconnected with 3500 x", "reset"]);
    }

    #[test]
    fn a_refused_stream_is_told_with_its_reason() {
        let mut many = Many::new(0, 1, Rc::default());
        let refused = b"\x5a\x12\x08\xac\x1b\x12\x0dinvalid token";
        let error = many.on_first(0, &Said::Message(refused)).unwrap_err();
        assert_eq!(error.to_string(), "refused with 3500 invalid token");
        assert!(many.on_first(0, &Said::Ended("stream ended by the server".into())).is_err());
    }
}
