//! The bytes of an open session become what the server said, whatever carries them. Sans-IO.

use crate::http::{self, Lines, Malformed};
use crate::protocol::{self, Told};
use crate::transport::{Carrier, Encoding, Transport};
use crate::websocket::{Frame, Frames};

/// What a session's connection brings after the head of its response, cut anywhere. Costs no
/// heap between messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stream {
    carried: Carried,
    encoding: Encoding,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Carried {
    Lines(Lines),
    Events(Lines),
    Frames(Frames),
    /// A close frame came: what follows is of no interest.
    Closed,
}

impl Stream {
    /// `None` for what shares a connection.
    pub(crate) const fn of(transport: Transport) -> Option<Self> {
        let carried = match transport.carrier() {
            Carrier::Lines => Carried::Lines(Lines::new()),
            Carrier::Events => Carried::Events(Lines::new()),
            Carrier::Frames => Carried::Frames(Frames::new()),
            Carrier::Grpc => return None,
        };
        Some(Self { carried, encoding: transport.encoding() })
    }

    /// Whether the server has said that nothing more comes.
    pub(crate) const fn has_ended(&self) -> bool {
        match &self.carried {
            Carried::Lines(lines) | Carried::Events(lines) => lines.has_ended(),
            Carried::Frames(_) => false,
            Carried::Closed => true,
        }
    }

    /// Reads on, handing over what was said.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        mut told: impl FnMut(Told),
    ) -> Result<(), Malformed> {
        let encoding = self.encoding;
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
        let mut stream = Stream::of(transport).unwrap();
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
}
