//! Opens `uni_http_stream` sessions and reads what the server sends them for as long as they
//! last: one tiny task per session, one read buffer for all.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;
use serde::Deserialize;

use super::dial::{dial, source};
use crate::failure::{Context, Failure};
use crate::http::{self, Framing, Lines};
use crate::orders::{OpenOrder, Tally};
use crate::population::Mint;

/// Bytes read at once from a held session; pings have eight.
const HELD_READ_BYTES: usize = 4096;

/// Bytes read at once while a session connects.
const OPEN_READ_BYTES: usize = 2048;

/// All held sessions of this process.
pub(super) struct Holder {
    shared: Rc<Shared>,
}

struct Shared {
    tally: RefCell<Tally>,
    /// Lent to whichever session has something to read; empty while it is lent.
    buffer: Cell<Vec<u8>>,
}

impl Holder {
    pub(super) fn new() -> Self {
        let shared = Shared { tally: RefCell::default(), buffer: Cell::default() };
        Self { shared: Rc::new(shared) }
    }

    pub(super) fn tally(&self) -> Tally {
        self.shared.tally.borrow().clone()
    }

    /// Opens what the order asks for; the ping interval in seconds the server promised.
    pub(super) async fn open(&self, order: OpenOrder) -> Result<u32, Failure> {
        let opening = Rc::new(Opening {
            mint: Mint::new(&order.secret, order.per_user, order.seed, crate::clock::unix_s()),
            next: Cell::new(order.first),
            ping_s: Cell::new(0),
            host: order.address.to_string(),
            order,
        });
        let lane = || monoio::spawn(lane(Rc::clone(&opening), Rc::clone(&self.shared)));
        let lanes: Vec<_> = (0..opening.order.concurrency).map(|_| lane()).collect();
        for lane in lanes {
            lane.await?;
        }
        Ok(opening.ping_s.get())
    }
}

/// One order being carried out.
struct Opening {
    order: OpenOrder,
    mint: Mint,
    host: String,
    next: Cell<u32>,
    ping_s: Cell<u32>,
}

/// Opens one session after the other until the order is done, or until one fails anywhere.
async fn lane(opening: Rc<Opening>, shared: Rc<Shared>) -> Result<(), Failure> {
    loop {
        let session = opening.next.get();
        if session >= opening.order.end {
            return Ok(());
        }
        opening.next.set(session + 1);
        match open(&opening, session, &shared).await {
            Ok((stream, lines)) => {
                shared.tally.borrow_mut().held += 1;
                monoio::spawn(hold(stream, lines, Rc::clone(&shared)));
            }
            Err(failure) => {
                // The other lanes need not go on.
                opening.next.set(opening.order.end);
                return Err(Failure::new(format!("session {session}: {failure}")));
            }
        }
    }
}

/// From nothing to a read connect line.
async fn open(
    opening: &Opening,
    session: u32,
    shared: &Shared,
) -> Result<(TcpStream, Lines), Failure> {
    let order = &opening.order;
    let from = order.source.map(|first| source(first, session));
    let socket = dial(order.address, from)?;
    let mut stream = TcpStream::from_std(socket).during("watching a socket")?;
    stream.writable(false).await.during("connecting")?;
    let body = opening.mint.connect_body(session)?;
    let path = "/connection/uni_http_stream";
    stream.write_all(http::post(&opening.host, path, &[], &body)).await.0.during("connecting")?;

    let mut received = Vec::new();
    let head_len = loop {
        read_more(&mut stream, &mut received).await?;
        if let Some(head) = http::parse_head(&received).during("connecting")? {
            if head.status != 200 || head.framing != Framing::Chunked {
                let text = String::from_utf8_lossy(&received).into_owned();
                return Err(Failure::new(format!("no stream but: {text:?}")));
            }
            break head.len;
        }
    };
    received.drain(..head_len);
    let mut lines = Lines::new();
    let mut first = None;
    loop {
        let seen = |line: &[u8]| match &first {
            None => first = Some(line.to_vec()),
            // A farewell here is followed by the end of the stream, which `hold` counts.
            Some(_) => drop(farewell(shared, line)),
        };
        lines.advance(&received, seen).during("connecting")?;
        if let Some(first) = first {
            opening.ping_s.set(connected(&first)?);
            return Ok((stream, lines));
        }
        received.clear();
        read_more(&mut stream, &mut received).await?;
    }
}

async fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<(), Failure> {
    let (read, buffer) = stream.read(Vec::with_capacity(OPEN_READ_BYTES)).await;
    if read.during("connecting")? == 0 {
        return Err(Failure::new("the server closed the connection instead of answering"));
    }
    received.extend_from_slice(&buffer);
    Ok(())
}

/// A line of a stream, as far as the harness cares.
#[derive(Deserialize)]
struct Push {
    connect: Option<Connect>,
    disconnect: Option<Disconnect>,
}

#[derive(Deserialize)]
struct Connect {
    client: String,
    #[serde(default)]
    ping: u32,
}

#[derive(Deserialize)]
struct Disconnect {
    code: u32,
    reason: String,
}

/// Reads the first line of a stream; the ping interval in seconds.
fn connected(line: &[u8]) -> Result<u32, Failure> {
    let wrong = || Failure::new(format!("no connect line: {:?}", String::from_utf8_lossy(line)));
    match serde_json::from_slice(line) {
        Ok(Push { connect: Some(connect), disconnect: None }) => {
            let is_uuid = rollcall::ids::uuid_parse(connect.client.as_bytes()).is_some();
            if is_uuid { Ok(connect.ping) } else { Err(wrong()) }
        }
        Ok(Push { disconnect: Some(refusal), .. }) => {
            Err(Failure::new(format!("refused with {} {}", refusal.code, refusal.reason)))
        }
        Ok(_) | Err(_) => Err(wrong()),
    }
}

/// Counts a later line; a farewell is returned by name.
fn farewell(shared: &Shared, line: &[u8]) -> Option<String> {
    let mut tally = shared.tally.borrow_mut();
    if line == b"{}" {
        tally.pings += 1;
        return None;
    }
    match serde_json::from_slice(line) {
        Ok(Push { disconnect: Some(Disconnect { code, reason }), .. }) => {
            Some(format!("disconnected with {code} {reason}"))
        }
        Ok(_) | Err(_) => {
            tally.unexpected += 1;
            None
        }
    }
}

/// A session's idle life.
async fn hold(mut stream: TcpStream, mut lines: Lines, shared: Rc<Shared>) {
    let mut last_words = None;
    let why = loop {
        // Waits without a buffer of its own; the false positives of `true` would spin.
        if let Err(error) = stream.readable(false).await {
            break error.to_string();
        }
        let mut buffer = shared.buffer.take();
        buffer.reserve(HELD_READ_BYTES);
        let (read, buffer) = stream.read(buffer).await;
        let parsed = match read {
            Err(error) => break error.to_string(),
            Ok(0) => break "closed by the server without a farewell".to_owned(),
            Ok(_) => lines.advance(&buffer, |line| {
                if let Some(words) = farewell(&shared, line) {
                    last_words = Some(words);
                }
            }),
        };
        shared.buffer.set(buffer);
        if let Err(malformed) = parsed {
            break malformed.to_string();
        }
        if lines.has_ended() {
            break "stream ended by the server".to_owned();
        }
    };
    let mut tally = shared.tally.borrow_mut();
    tally.held -= 1;
    *tally.ended.entry(last_words.unwrap_or(why)).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_must_be_a_connect_line_with_a_client_id() {
        let line = br#"{"connect":{"client":"db8bc772-2654-4283-851a-f29b888ace74","ping":25}}"#;
        assert_eq!(connected(line), Ok(25));
        for line in [r#"{"connect":{"client":"x"}}"#, "{}", "", r#"{"type":6}"#] {
            let error = connected(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("no connect line"), "{error}");
        }
        let refused = br#"{"disconnect":{"code":3500,"reason":"invalid token"}}"#;
        assert_eq!(connected(refused).unwrap_err().to_string(), "refused with 3500 invalid token");
    }

    #[test]
    fn later_lines_are_pings_farewells_or_unexpected() {
        let holder = Holder::new();
        assert_eq!(farewell(&holder.shared, b"{}"), None);
        assert_eq!(farewell(&holder.shared, b"{\"pub\":{}}"), None);
        let end = br#"{"disconnect":{"code":3001,"reason":"shutdown"}}"#;
        let words = farewell(&holder.shared, end);
        assert_eq!(words.as_deref(), Some("disconnected with 3001 shutdown"));
        let tally = holder.tally();
        assert_eq!((tally.pings, tally.unexpected), (1, 1));
    }
}
