//! The life of one session: reads what the server sends, answers what must be answered, and leaves
//! when it is told to. One read buffer serves all sessions of a process.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

use super::emulation::{Emulation, Pongs};
use super::open::{Opened, frame_kind};
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::orders::{SessionEnd, Tally};
use crate::protocol::{self, Told};
use crate::stream::Stream;
use crate::transport::{Carrier, Encoding, Transport};
use crate::websocket::{self, Kind};

/// Bytes read at once from a held session; pings have eight or so.
const READ_BYTES: usize = 4096;

/// The payload of a close frame that says nothing but that it was meant (RFC 6455 §7.4.1).
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// What all sessions of a process have in common.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) tally: RefCell<Tally>,
    /// Sessions the server ended, in the order they were gone.
    pub(super) ends: RefCell<Vec<SessionEnd>>,
    /// Lent to whichever session has something to read; empty while it is lent.
    buffer: Cell<Vec<u8>>,
}

/// A session that has been accepted, with its connection.
pub(super) struct Session {
    socket: TcpStream,
    stream: Stream,
    listener: Listener,
}

/// How a session ended.
pub(super) enum Over {
    /// As it was told to.
    Left,
    Lost(Lost),
}

/// A session the server ended.
pub(super) struct Lost {
    /// The code it was told and when, by the monotonic clock.
    pub(super) farewell: Option<(u32, u64)>,
    /// What is left of its connection where that must end too.
    rest: Option<TcpStream>,
}

impl Session {
    /// Counts an accepted session as held.
    pub(super) fn new(
        opened: Opened,
        transport: Transport,
        emulation: &Rc<Emulation>,
        shared: &Rc<Shared>,
    ) -> Result<Self, Failure> {
        let Opened { socket, stream, connected, more } = opened;
        let carrier = transport.carrier();
        let answers = match (connected.wants_pong, connected.emulation, carrier) {
            (true, Some(to), _) => Answers::Posted(emulation.pongs_of(&to)),
            (true, None, Carrier::Frames) => Answers::Framed(transport.encoding()),
            (true, None, Carrier::Lines | Carrier::Events | Carrier::Grpc) => {
                return Err(Failure::new("pongs are wanted, but not said where"));
            }
            (false, _, _) => Answers::None,
        };
        {
            let mut tally = shared.tally.borrow_mut();
            tally.held += 1;
            tally.connections += 1;
        }
        let shared = Rc::clone(shared);
        let mut listener = Listener { answers, farewell: None, reply: Vec::new(), shared };
        more.into_iter().for_each(|told| listener.on_told(told));
        Ok(Self { socket, stream, listener })
    }

    /// Never answers a ping from now on.
    pub(super) fn fall_silent(&mut self) {
        self.listener.answers = Answers::None;
    }

    /// Lives until the server ends it or `leave` is over; then it is no longer counted as held.
    pub(super) async fn live(mut self, leave: impl Future<Output = ()>) -> Over {
        let mut leave = pin!(leave);
        let seen = loop {
            if let Err(error) = self.answer().await {
                break error.to_string();
            }
            // Waits without a buffer of its own; the false positives of `true` would spin.
            let ready = monoio::select! {
                biased;
                () = &mut leave => return self.leave().await,
                ready = self.socket.readable(false) => ready,
            };
            if let Err(error) = ready {
                break error.to_string();
            }
            if let Err(seen) = self.read().await {
                break seen;
            }
        };
        self.lost(seen)
    }

    /// Sends what must be sent now.
    async fn answer(&mut self) -> std::io::Result<()> {
        for bytes in [std::mem::take(&mut self.listener.reply), self.stream.take_out()] {
            if !bytes.is_empty() {
                self.socket.write_all(bytes).await.0?;
            }
        }
        Ok(())
    }

    /// Reads what has come; the error is how the session ended.
    async fn read(&mut self) -> Result<(), String> {
        let mut buffer = self.listener.shared.buffer.take();
        buffer.reserve(READ_BYTES);
        let (read, buffer) = self.socket.read(buffer).await;
        let parsed = match read {
            Err(error) => return Err(error.to_string()),
            Ok(0) => return Err("closed by the server without a farewell".to_owned()),
            Ok(_) => self.stream.advance(&buffer, |told| self.listener.on_told(told)),
        };
        self.listener.shared.buffer.set(buffer);
        parsed.map_err(|malformed| malformed.to_string())?;
        if self.stream.has_ended() { Err("stream ended by the server".to_owned()) } else { Ok(()) }
    }

    /// Says goodbye where the carrier has a word for it; the connection ends with this value.
    async fn leave(mut self) -> Over {
        self.listener.shared.tally.borrow_mut().held -= 1;
        if self.stream.carrier() == Carrier::Frames {
            // The server may be gone by now: then nobody misses it.
            let _unsent = self.socket.write_all(close_frame()).await.0;
        }
        Over::Left
    }

    fn lost(self, seen: String) -> Over {
        let Listener { farewell, shared, .. } = self.listener;
        let (why, farewell) = match farewell {
            Some(Farewell { code, reason, told_ns }) => {
                (format!("disconnected with {code} {reason}"), Some((code, told_ns)))
            }
            None => (seen, None),
        };
        shared.tally.borrow_mut().lose(why);
        // A stream is over with its last chunk, and its connection may serve another request.
        let rest = (self.stream.carrier() == Carrier::Frames).then_some(self.socket);
        Over::Lost(Lost { farewell, rest })
    }
}

impl Lost {
    /// Answers the close frame and waits for the end of the connection; when that was, by the
    /// monotonic clock.
    pub(super) async fn gone(self) -> u64 {
        if let Some(mut socket) = self.rest {
            let _unsent = socket.write_all(close_frame()).await.0;
            let mut buffer = Vec::with_capacity(64);
            let mut read = Ok(1);
            while matches!(read, Ok(1..)) {
                buffer.clear();
                (read, buffer) = socket.read(buffer).await;
            }
        }
        now_ns()
    }
}

fn close_frame() -> Vec<u8> {
    let mut frame = Vec::new();
    websocket::write(&mut frame, Kind::Close, &NORMAL);
    frame
}

/// How a session answers pings of the protocol.
enum Answers {
    None,
    /// On its own connection.
    Framed(Encoding),
    /// By a request of this body.
    Posted(Pongs),
}

/// A session beside its connection.
struct Listener {
    answers: Answers,
    farewell: Option<Farewell>,
    /// What must be sent on its connection now.
    reply: Vec<u8>,
    shared: Rc<Shared>,
}

/// Why the server said a session ends, and when that was read.
struct Farewell {
    code: u32,
    reason: String,
    told_ns: u64,
}

impl Listener {
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
                // The close frame repeats what a push has said.
                self.farewell.get_or_insert_with(|| Farewell { code, reason, told_ns: now_ns() });
            }
            Told::Connected(_) | Told::Other => tally.unexpected += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(answers: Answers) -> Listener {
        Listener { answers, farewell: None, reply: Vec::new(), shared: Rc::default() }
    }

    #[test]
    fn pings_are_answered_where_an_answer_is_wanted() {
        let mut mute = listener(Answers::None);
        mute.on_told(Told::Ping);
        let tally = mute.shared.tally.borrow().clone();
        assert_eq!((tally.pings, tally.pongs, mute.reply.len()), (1, 0, 0));
        let mut bidirectional = listener(Answers::Framed(Encoding::Json));
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
        let mut session = listener(Answers::None);
        session.on_told(Told::FramePing(b"x".to_vec()));
        let mut pong = Vec::new();
        websocket::write(&mut pong, Kind::Pong, b"x");
        assert_eq!(session.reply, pong);
        assert_eq!(session.shared.tally.borrow().frame_pings, 1);
    }

    #[test]
    fn the_first_farewell_is_the_one_that_counts() {
        let mut listener = listener(Answers::None);
        for (code, reason) in [(3012, "no pong"), (1006, "")] {
            listener.on_told(Told::Ended { code, reason: reason.to_owned() });
        }
        let farewell = listener.farewell.unwrap();
        assert_eq!((farewell.code, farewell.reason.as_str()), (3012, "no pong"));
    }
}
