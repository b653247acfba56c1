//! A payload that is complete, to what it says.

use super::close::parse_close;
use super::header::{Coding, Control};
use super::{FrameError, Kind, Limits, Scratch};

/// What a client sent. It lies where it was read, or in the shard's [`Scratch`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'e> {
    /// A whole message.
    Message {
        /// What it was said to be; a text is UTF-8.
        kind: Kind,
        /// Joined and inflated.
        payload: &'e [u8],
    },
    /// To be answered with [`super::write_pong`] of the same payload.
    Ping(&'e [u8]),
    /// Answers a ping, or comes unasked.
    Pong(&'e [u8]),
    /// To be answered with [`super::write_close`] of the same code, unless a close frame was sent
    /// already; nothing follows.
    Close {
        /// Its code, or [`super::NO_CLOSE_CODE`].
        code: u16,
        /// Its reason, mostly empty.
        reason: &'e str,
    },
}

/// A whole payload.
pub(super) enum Payload<'b> {
    /// In one piece where it was read.
    Here(&'b [u8]),
    /// Put together from pieces, each of which was checked if it is plain text.
    Joined(Vec<u8>),
}

/// A message or control frame that is complete.
pub(super) struct Done<'b> {
    pub(super) what: What,
    pub(super) payload: Payload<'b>,
}

pub(super) enum What {
    Control(Control),
    Message { kind: Kind, coding: Coding },
}

impl<'b> Done<'b> {
    /// Checks and inflates it.
    pub(super) fn into_event<'e>(
        self,
        limits: &Limits,
        scratch: &'e mut Scratch,
    ) -> Result<Event<'e>, FrameError>
    where
        'b: 'e,
    {
        let Self { what, payload } = self;
        match what {
            What::Control(control) => {
                let payload = payload.place(scratch);
                match control {
                    Control::Close => parse_close(payload),
                    Control::Ping => Ok(Event::Ping(payload)),
                    Control::Pong => Ok(Event::Pong(payload)),
                }
            }
            What::Message { kind, coding } => {
                // Plain text that was joined was checked piece by piece.
                let is_joined = matches!(payload, Payload::Joined(_));
                let is_checked = is_joined && coding == Coding::Plain;
                let payload = match coding {
                    Coding::Plain => payload.place(scratch),
                    Coding::Deflated => {
                        scratch.inflate(payload.bytes(), limits.inflated_bytes_max)?
                    }
                };
                let is_text = kind == Kind::Text;
                if is_text && !is_checked && simdutf8::basic::from_utf8(payload).is_err() {
                    return Err(FrameError::TextNotUtf8);
                }
                Ok(Event::Message { kind, payload })
            }
        }
    }
}

impl<'b> Payload<'b> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Here(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }

    fn place<'e>(self, scratch: &'e mut Scratch) -> &'e [u8]
    where
        'b: 'e,
    {
        match self {
            Self::Here(bytes) => bytes,
            Self::Joined(bytes) => scratch.hold(bytes),
        }
    }
}
