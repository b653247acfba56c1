//! The bytes of an open session become what the server said, whatever carries them. Sans-IO.

use crate::http::{self, Lines, Malformed};
use crate::http2::{Connection, Said};
use crate::protocol::{self, Told};
use crate::transport::{Carrier, Encoding, Transport};
use crate::websocket::{Frame, Frames};

/// What a session's connection brings after the head of its response, cut anywhere. Costs no
/// heap between messages, but for HTTP/2.
pub(crate) struct Stream {
    carried: Carried,
    transport: Transport,
}

enum Carried {
    Lines(Lines),
    Events(Lines),
    Frames(Frames),
    /// A connection whose only stream is this session.
    Grpc(Box<Connection>),
    /// It is over: what follows is of no interest.
    Closed,
}

impl Stream {
    /// The stream of a session that has a connection of its own to this host.
    pub(crate) fn of(transport: Transport, host: &str) -> Self {
        let carried = match transport.carrier() {
            Carrier::Lines => Carried::Lines(Lines::new()),
            Carrier::Events => Carried::Events(Lines::new()),
            Carrier::Frames => Carried::Frames(Frames::new()),
            Carrier::Grpc => Carried::Grpc(Box::new(Connection::new(host))),
        };
        Self { carried, transport }
    }

    /// Asks for the session over HTTP/2; other carriers ask before there is a stream.
    pub(crate) fn request(&mut self, message: &[u8]) {
        if let Carried::Grpc(connection) = &mut self.carried {
            connection.request(message);
        }
    }

    /// What the carrier itself must send now; empty if it is nothing.
    pub(crate) fn take_out(&mut self) -> Vec<u8> {
        match &mut self.carried {
            Carried::Grpc(connection) => connection.take_out(),
            Carried::Lines(_) | Carried::Events(_) | Carried::Frames(_) | Carried::Closed => {
                Vec::new()
            }
        }
    }

    pub(crate) const fn carrier(&self) -> Carrier {
        self.transport.carrier()
    }

    /// Whether the server has said that nothing more comes.
    pub(crate) const fn has_ended(&self) -> bool {
        match &self.carried {
            Carried::Lines(lines) | Carried::Events(lines) => lines.has_ended(),
            Carried::Frames(_) | Carried::Grpc(_) => false,
            Carried::Closed => true,
        }
    }

    /// Reads on, handing over what was said.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        mut told: impl FnMut(Told),
    ) -> Result<(), Malformed> {
        let encoding = self.transport.encoding();
        match &mut self.carried {
            Carried::Closed => Ok(()),
            Carried::Lines(lines) => {
                lines.advance(bytes, |line| told(protocol::read(encoding, line)))
            }
            Carried::Events(lines) => {
                let mut wrong = Ok(());
                lines.advance(bytes, |line| match http::event(line) {
                    Ok(Some(message)) => told(protocol::read(encoding, message)),
                    Ok(None) => {}
                    Err(malformed) => wrong = Err(malformed),
                })?;
                wrong
            }
            Carried::Grpc(connection) => {
                let mut is_closed = false;
                connection.advance(bytes, |_stream, said| match said {
                    Said::Message(message) => told(protocol::read(encoding, message)),
                    Said::Ended(_) => is_closed = true,
                })?;
                if is_closed {
                    self.carried = Carried::Closed;
                }
                Ok(())
            }
            Carried::Frames(frames) => {
                let mut is_closed = false;
                frames.advance(bytes, |frame| {
                    is_closed |= matches!(frame, Frame::Close { .. });
                    read_frame(encoding, frame, &mut told)
                })?;
                if is_closed {
                    self.carried = Carried::Closed;
                }
                Ok(())
            }
        }
    }
}

fn read_frame(
    encoding: Encoding,
    frame: Frame<'_>,
    told: &mut impl FnMut(Told),
) -> Result<(), Malformed> {
    match frame {
        Frame::Message(payload) => {
            let messages = protocol::split(encoding, payload)
                .ok_or(Malformed("a length in a Protobuf message"))?;
            messages.into_iter().for_each(|message| told(protocol::read(encoding, message)));
        }
        Frame::Ping(payload) => told(Told::FramePing(payload.to_vec())),
        Frame::Pong => told(Told::Other),
        Frame::Close { code, reason } => {
            told(Told::Ended { code: code.into(), reason: reason.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(transport: Transport, bytes: &[u8]) -> (Result<Vec<Told>, Malformed>, bool) {
        let mut stream = Stream::of(transport, "h");
        let mut seen = Vec::new();
        let read = stream.advance(bytes, |told| seen.push(told));
        (read.map(|()| seen), stream.has_ended())
    }

    fn ended(code: u32, reason: &str) -> Told {
        Told::Ended { code, reason: reason.to_owned() }
    }

    #[test]
    fn a_stream_of_lines_ends_with_its_last_chunk() {
        let farewell = r#"{"disconnect":{"code":3001,"reason":"shutdown"}}"#;
        let len = farewell.len() + 1;
        let bytes = format!("3\r\n{{}}\n\r\n{len:x}\r\n{farewell}\n\r\n0\r\n\r\n");
        let expected = vec![Told::Ping, ended(3001, "shutdown")];
        assert_eq!(told(Transport::UniHttpStream, bytes.as_bytes()), (Ok(expected), true));
    }

    #[test]
    fn events_are_messages_and_other_lines_are_errors() {
        let bytes = b"2\r\n\r\n\r\nA\r\ndata: {}\n\n\r\n";
        assert_eq!(told(Transport::Sse, bytes), (Ok(vec![Told::Ping]), false));
        assert!(told(Transport::UniSse, b"3\r\n{}\n\r\n").0.is_err());
    }

    #[test]
    fn a_frame_may_hold_many_messages_and_a_close_frame_is_the_last() {
        let bytes = b"\x81\x05{}\n{}\x89\x00\x88\x09\x0b\xc4no pong";
        let expected =
            vec![Told::Ping, Told::Ping, Told::FramePing(Vec::new()), ended(3012, "no pong")];
        assert_eq!(told(Transport::Websocket, bytes), (Ok(expected), true));
        let pings = (Ok(vec![Told::Ping, Told::Ping]), false);
        assert_eq!(told(Transport::WebsocketProtobuf, b"\x82\x02\0\0"), pings);
        assert!(told(Transport::WebsocketProtobuf, b"\x82\x01\x05").0.is_err());
        assert_eq!(told(Transport::UniWebsocket, b"\x8a\x00").0, Ok(vec![Told::Other]));
    }

    #[test]
    fn a_session_over_http2_ends_with_its_stream_and_answers_settings() {
        let mut stream = Stream::of(Transport::UniGrpc, "h");
        stream.request(b"x");
        assert!(!stream.take_out().is_empty());
        let settings = b"\0\0\0\x04\0\0\0\0\0";
        let ping = b"\0\0\x05\0\0\0\0\0\x01\0\0\0\0\0";
        let trailers = b"\0\0\0\x01\x05\0\0\0\x01";
        let mut seen = Vec::new();
        let bytes = [&settings[..], ping].concat();
        stream.advance(&bytes, |told| seen.push(told)).unwrap();
        assert_eq!((seen, stream.has_ended()), (vec![Told::Ping], false));
        assert_eq!(stream.take_out(), b"\0\0\0\x04\x01\0\0\0\0");
        stream.advance(trailers, |told| panic!("{told:?}")).unwrap();
        assert!(stream.has_ended());
    }
}
