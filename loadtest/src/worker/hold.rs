//! The idle life of sessions: one tiny task each, which reads what the server sends and answers
//! what must be answered; one read buffer for all.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

use super::dial::{Goodbye, source};
use super::emulation::Emulation;
use super::grpc;
use super::open::{Door, Opened, frame_kind};
use crate::failure::Failure;
use crate::orders::{OpenOrder, Tally};
use crate::population::Mint;
use crate::protocol::{self, Told};
use crate::stream::Stream;
use crate::transport::{Carrier, Encoding};
use crate::websocket::{self, Kind};

/// Bytes read at once from a held session; pings have eight or so.
const READ_BYTES: usize = 4096;

/// All held sessions of this process.
pub(super) struct Holder {
    shared: Rc<Shared>,
    /// Where pongs are posted; the same for all orders of a run.
    emulation: OnceCell<Rc<Emulation>>,
}

/// What held sessions have in common.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) tally: RefCell<Tally>,
    /// Lent to whichever session has something to read; empty while it is lent.
    buffer: Cell<Vec<u8>>,
}

impl Holder {
    pub(super) fn new() -> Self {
        Self { shared: Rc::default(), emulation: OnceCell::new() }
    }

    pub(super) fn tally(&self) -> Tally {
        self.shared.tally.borrow().clone()
    }

    /// Opens what the order asks for; the ping interval in seconds the server promised.
    pub(super) async fn open(&self, order: OpenOrder) -> Result<u32, Failure> {
        let emulation =
            self.emulation.get_or_init(|| Emulation::new(order.address, Rc::clone(&self.shared)));
        let opening = Rc::new(Opening {
            mint: Mint::new(&order.secret, order.per_user, order.seed, crate::clock::unix_s()),
            next: Cell::new(order.first),
            ping_s: Cell::new(0),
            door: Door::new(order.address, order.transport, Goodbye::Fin),
            emulation: Rc::clone(emulation),
            shared: Rc::clone(&self.shared),
            order,
        });
        // So many connects are in flight, or those of one connection.
        let lanes = (opening.order.concurrency / opening.at_once()).max(1);
        let lanes: Vec<_> = (0..lanes).map(|_| monoio::spawn(lane(Rc::clone(&opening)))).collect();
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
    door: Door,
    emulation: Rc<Emulation>,
    shared: Rc<Shared>,
    next: Cell<u32>,
    ping_s: Cell<u32>,
}

impl Opening {
    /// Sessions opened together, on one connection.
    const fn at_once(&self) -> u32 {
        match self.order.transport.carrier() {
            Carrier::Grpc => grpc::SESSIONS_MAX,
            Carrier::Lines | Carrier::Events | Carrier::Frames => 1,
        }
    }
}

/// Opens one session, or one connection full of them, after the other until the order is done,
/// or until one fails anywhere.
async fn lane(opening: Rc<Opening>) -> Result<(), Failure> {
    let order = &opening.order;
    let at_once = opening.at_once();
    loop {
        let first = opening.next.get();
        if first >= order.end {
            return Ok(());
        }
        let end = order.end.min(first.saturating_add(at_once));
        opening.next.set(end);
        let opened = if at_once == 1 {
            open_one(&opening, first).await
        } else {
            let from = order.source.map(|source_first| source(source_first, first));
            let sessions = first..end;
            grpc::open(order.address, from, &opening.mint, sessions, &opening.shared).await
        };
        match opened {
            Ok(ping_s) => opening.ping_s.set(ping_s),
            Err(failure) => {
                // The other lanes need not go on.
                opening.next.set(order.end);
                return Err(Failure::new(format!("session {first}: {failure}")));
            }
        }
    }
}

async fn open_one(opening: &Opening, session: u32) -> Result<u32, Failure> {
    let from = opening.order.source.map(|first| source(first, session));
    let token = opening.mint.token(session)?;
    let Opened { socket, stream, connected, more } = opening.door.open(from, &token).await?;
    let transport = opening.order.transport;
    let answers = match (connected.wants_pong, connected.emulation, transport.carrier()) {
        (true, Some(to), _) => Answers::Posted(opening.emulation.pongs_of(&to)),
        (true, None, Carrier::Frames) => Answers::Framed(transport.encoding()),
        (true, None, Carrier::Lines | Carrier::Events | Carrier::Grpc) => {
            return Err(Failure::new("pongs are wanted, but not said where"));
        }
        (false, _, _) => Answers::None,
    };
    let shared = Rc::clone(&opening.shared);
    {
        let mut tally = shared.tally.borrow_mut();
        tally.held += 1;
        tally.connections += 1;
    }
    let mut session = Session { answers, ended: None, reply: Vec::new(), shared };
    more.into_iter().for_each(|told| session.on_told(told));
    monoio::spawn(hold(socket, stream, session));
    Ok(connected.ping_s)
}

/// How a session answers pings of the protocol.
enum Answers {
    None,
    /// On its own connection.
    Framed(Encoding),
    /// By a request of this body.
    Posted(super::emulation::Pongs),
}

/// A held session beside its connection.
struct Session {
    answers: Answers,
    /// Why the server said it ends.
    ended: Option<String>,
    /// What must be sent on its connection now.
    reply: Vec<u8>,
    shared: Rc<Shared>,
}

impl Session {
    fn on_told(&mut self, told: Told) {
        let mut tally = self.shared.tally.borrow_mut();
        match told {
            Told::Ping => {
                tally.pings += 1;
                match &self.answers {
                    Answers::None => return,
                    Answers::Framed(encoding) => {
                        let kind = frame_kind(*encoding);
                        websocket::write(&mut self.reply, kind, protocol::pong(*encoding));
                    }
                    Answers::Posted(pongs) => pongs.post(),
                }
                tally.pongs += 1;
            }
            Told::FramePing(payload) => {
                tally.frame_pings += 1;
                websocket::write(&mut self.reply, Kind::Pong, &payload);
            }
            Told::Ended { code, reason } => {
                self.ended = Some(format!("disconnected with {code} {reason}"));
            }
            Told::Connected(_) | Told::Other => tally.unexpected += 1,
        }
    }

    /// Counts the session as gone.
    fn end(self, seen: String) {
        self.shared.tally.borrow_mut().lose(self.ended.unwrap_or(seen));
    }
}

async fn hold(mut socket: TcpStream, mut stream: Stream, mut session: Session) {
    let seen = loop {
        if !session.reply.is_empty() {
            let reply = std::mem::take(&mut session.reply);
            if let Err(error) = socket.write_all(reply).await.0 {
                break error.to_string();
            }
        }
        // Waits without a buffer of its own; the false positives of `true` would spin.
        if let Err(error) = socket.readable(false).await {
            break error.to_string();
        }
        let mut buffer = session.shared.buffer.take();
        buffer.reserve(READ_BYTES);
        let (read, buffer) = socket.read(buffer).await;
        let parsed = match read {
            Err(error) => break error.to_string(),
            Ok(0) => break "closed by the server without a farewell".to_owned(),
            Ok(_) => stream.advance(&buffer, |told| session.on_told(told)),
        };
        session.shared.buffer.set(buffer);
        if let Err(malformed) = parsed {
            break malformed.to_string();
        }
        if stream.has_ended() {
            break "stream ended by the server".to_owned();
        }
    };
    session.end(seen);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(answers: Answers) -> Session {
        Session { answers, ended: None, reply: Vec::new(), shared: Rc::default() }
    }

    #[test]
    fn pings_are_answered_where_an_answer_is_wanted() {
        let mut mute = session(Answers::None);
        mute.on_told(Told::Ping);
        let tally = mute.shared.tally.borrow().clone();
        assert_eq!((tally.pings, tally.pongs, mute.reply.len()), (1, 0, 0));
        let mut bidirectional = session(Answers::Framed(Encoding::Json));
        bidirectional.on_told(Told::Ping);
        bidirectional.on_told(Told::Ping);
        let mut pong = Vec::new();
        websocket::write(&mut pong, Kind::Text, b"{}");
        assert_eq!(bidirectional.reply, pong.repeat(2));
        let tally = bidirectional.shared.tally.borrow().clone();
        assert_eq!((tally.pings, tally.pongs), (2, 2));
    }

    #[test]
    fn the_pings_of_a_websocket_itself_are_answered_with_their_payload() {
        let mut session = session(Answers::None);
        session.on_told(Told::FramePing(b"x".to_vec()));
        let mut pong = Vec::new();
        websocket::write(&mut pong, Kind::Pong, b"x");
        assert_eq!(session.reply, pong);
        assert_eq!(session.shared.tally.borrow().frame_pings, 1);
    }

    #[test]
    fn a_session_that_is_closed_counts_with_the_reason_it_was_given() {
        let holder = Holder::new();
        holder.shared.tally.borrow_mut().held = 2;
        let mut told = session(Answers::None);
        told.shared = Rc::clone(&holder.shared);
        told.on_told(Told::Ended { code: 3012, reason: "no pong".to_owned() });
        told.end("closed".to_owned());
        let mut cut = session(Answers::None);
        cut.shared = Rc::clone(&holder.shared);
        cut.on_told(Told::Other);
        cut.end("closed".to_owned());
        let tally = holder.tally();
        assert_eq!((tally.held, tally.unexpected), (0, 1));
        let seen: Vec<_> = tally.ended.into_iter().collect();
        assert_eq!(seen, [("closed".into(), 1), ("disconnected with 3012 no pong".into(), 1)]);
    }
}
