//! Frames of one client to events, over as many reads as they take.

use super::event::{Done, Payload, What};
use super::header::{Coding, HEADER_BYTES_MAX, Header, Opcode, parse_header};
use super::mask::{advance_mask, unmask};
use super::partial::{CutFrame, Gathered, PartOf, Partial};
use super::{DeflateAnswer, Event, FrameError, Scratch};

/// The frames of one client.
///
/// ```text
///              ┌──────────── whole: Message, Ping, Pong ───────────┐
///              ▼                                                   │
///   ▶ Idle (two words) ──cut, or not the last fragment──▶ Partial ─┘
///        │                                                  │
///        └──close──▶ Closed: the rest is thrown away ◀──────┤
///        └──error──▶ Refused: says the same again ◀─────────┘
/// ```
#[derive(Debug)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
    may_deflate: bool,
    end: Option<End>,
}

const _: () = assert!(size_of::<Decoder>() <= 16, "every idle session has one");

#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Refused(FrameError),
}

/// How long a message may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Payload bytes of one message as it was sent, all fragments together. Beyond it: 1009, as
    /// soon as a frame announces it. Test: `a_message_of_the_longest_length_passes`.
    pub message_bytes_max: usize,
    /// Bytes of one message once it is inflated. Beyond it: 1009.
    /// Test: `an_inflated_message_has_a_ceiling_of_its_own`.
    pub inflated_bytes_max: usize,
}

/// What the next header led to.
enum Begun<'b> {
    NotWhole,
    Whole(Done<'b>),
    Cut(CutFrame),
}

impl Decoder {
    /// For a client with which `deflate` was agreed on.
    #[must_use]
    pub const fn new(deflate: Option<DeflateAnswer>) -> Self {
        Self { partial: None, may_deflate: deflate.is_some(), end: None }
    }

    /// The next event of `bytes`, which loses what it took; `None` when it is used up. Call it
    /// until then, with the bytes of the next read after that: nothing of `bytes` needs to be
    /// kept. Payloads are unmasked in place. Costs O(bytes), however they were split, plus what
    /// inflating costs.
    ///
    /// # Errors
    /// See [`FrameError`]; each has its close code. Asked again, it says the same again.
    pub fn next<'e, 'b: 'e>(
        &mut self,
        bytes: &mut &'b mut [u8],
        limits: &Limits,
        scratch: &'e mut Scratch,
    ) -> Result<Option<Event<'e>>, FrameError> {
        scratch.trim();
        match self.end {
            Some(End::Closed) => {
                *bytes = &mut [];
                return Ok(None);
            }
            Some(End::Refused(error)) => return Err(error),
            None => {}
        }
        let event = match self.advance(bytes, limits) {
            Ok(None) => return Ok(None),
            Ok(Some(done)) => done.into_event(limits, scratch),
            Err(error) => Err(error),
        };
        self.end = match &event {
            Ok(Event::Close { .. }) => Some(End::Closed),
            Ok(Event::Message { .. } | Event::Ping(_) | Event::Pong(_)) => None,
            Err(error) => Some(End::Refused(*error)),
        };
        let is_idle = self.partial.as_ref().is_some_and(|partial| partial.is_idle());
        if is_idle || self.end.is_some() {
            self.partial = None;
        }
        event.map(Some)
    }

    /// Whether a message or frame has begun whose end has not come. A client may not take forever
    /// over it.
    #[must_use]
    pub const fn is_amid(&self) -> bool {
        self.partial.is_some()
    }

    /// Reads until something is complete.
    fn advance<'b>(
        &mut self,
        bytes: &mut &'b mut [u8],
        limits: &Limits,
    ) -> Result<Option<Done<'b>>, FrameError> {
        loop {
            let cut = self.partial.as_mut().and_then(|partial| partial.frame.take());
            let frame = match cut {
                Some(frame) => frame,
                None => match self.begin(bytes, limits)? {
                    Begun::NotWhole => return Ok(None),
                    Begun::Whole(done) => return Ok(Some(done)),
                    Begun::Cut(frame) => frame,
                },
            };
            if let Some(done) = self.gather(frame, bytes)? {
                return Ok(Some(done));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Reads a header, and the payload with it when both are whole and make a message.
    fn begin<'b>(
        &mut self,
        bytes: &mut &'b mut [u8],
        limits: &Limits,
    ) -> Result<Begun<'b>, FrameError> {
        let Some(header) = self.read_header(bytes)? else { return Ok(Begun::NotWhole) };
        let message = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        let held = match (header.opcode, message) {
            (Opcode::Start(_), Some(_)) => return Err(FrameError::MessageInMessage),
            (Opcode::Continuation, None) => return Err(FrameError::NothingToContinue),
            (Opcode::Start(_), None) if header.coding == Coding::Deflated && !self.may_deflate => {
                return Err(FrameError::ReservedBit);
            }
            (Opcode::Start(_), None) | (Opcode::Control(_), _) => 0,
            (Opcode::Continuation, Some(message)) => message.bytes.len(),
        };
        let room = limits.message_bytes_max.saturating_sub(held);
        let left = match (usize::try_from(header.payload_len), header.opcode) {
            (Ok(len), Opcode::Control(_)) => len,
            (Ok(len), Opcode::Start(_) | Opcode::Continuation) if len <= room => len,
            _ => return Err(FrameError::MessageTooLong),
        };
        let (what, part_of) = match header.opcode {
            Opcode::Control(control) => (Some(What::Control(control)), PartOf::Control(control)),
            Opcode::Start(kind) if header.is_final => {
                let coding = header.coding;
                (Some(What::Message { kind, coding }), PartOf::MessageEnd)
            }
            Opcode::Continuation if header.is_final => (None, PartOf::MessageEnd),
            Opcode::Start(_) | Opcode::Continuation => (None, PartOf::Message),
        };
        if let Some(what) = what
            && let Some(payload) = bytes.split_off_mut(..left)
        {
            unmask(payload, header.mask);
            return Ok(Begun::Whole(Done { what, payload: Payload::Here(payload) }));
        }
        if let Opcode::Start(kind) = header.opcode {
            let partial = self.partial.get_or_insert_default();
            partial.message = Some(Gathered::new(kind, header.coding));
        }
        Ok(Begun::Cut(CutFrame { part_of, left, mask: header.mask }))
    }

    /// Takes the next header off `bytes`, or keeps what there is of it.
    fn read_header(&mut self, bytes: &mut &mut [u8]) -> Result<Option<Header>, FrameError> {
        match &mut self.partial {
            Some(partial) if !partial.header.is_empty() => {
                let kept = partial.header.len();
                let missing = HEADER_BYTES_MAX.saturating_sub(kept);
                partial.header.extend(bytes.iter().copied().take(missing));
                let found = parse_header(&partial.header)?;
                let taken = found.map_or(bytes.len(), |(_, len)| len.saturating_sub(kept));
                *bytes = std::mem::take(bytes).get_mut(taken..).unwrap_or_default();
                if found.is_some() {
                    partial.header.clear();
                }
                Ok(found.map(|(header, _)| header))
            }
            partial => {
                let found = parse_header(bytes)?;
                let taken = found.map_or(bytes.len(), |(_, len)| len);
                let taken = bytes.split_off_mut(..taken).unwrap_or_default();
                if found.is_none() && !taken.is_empty() {
                    partial.get_or_insert_default().header.extend_from_slice(taken);
                }
                Ok(found.map(|(header, _)| header))
            }
        }
    }

    /// Takes what there is of a frame's payload; `Some` when something ends with it.
    fn gather<'b>(
        &mut self,
        frame: CutFrame,
        bytes: &mut &'b mut [u8],
    ) -> Result<Option<Done<'b>>, FrameError> {
        let taken = frame.left.min(bytes.len());
        let piece = bytes.split_off_mut(..taken).unwrap_or_default();
        unmask(piece, frame.mask);
        let partial = self.partial.get_or_insert_default();
        match (frame.part_of, &mut partial.message) {
            (PartOf::Control(_), _) => partial.control.extend_from_slice(piece),
            (PartOf::Message | PartOf::MessageEnd, Some(message)) => message.append(piece)?,
            (PartOf::Message | PartOf::MessageEnd, None) => {
                debug_assert!(false, "a fragment belongs to a message");
            }
        }
        let left = frame.left.saturating_sub(taken);
        if left > 0 {
            let mask = advance_mask(frame.mask, taken);
            partial.frame = Some(CutFrame { left, mask, ..frame });
            return Ok(None);
        }
        match frame.part_of {
            PartOf::Control(control) => {
                let payload = Payload::Joined(std::mem::take(&mut partial.control));
                Ok(Some(Done { what: What::Control(control), payload }))
            }
            PartOf::Message => Ok(None),
            PartOf::MessageEnd => {
                let Some(message) = partial.message.take() else { return Ok(None) };
                let Gathered { kind, coding, bytes, .. } = message.finish()?;
                let what = What::Message { kind, coding };
                Ok(Some(Done { what, payload: Payload::Joined(bytes) }))
            }
        }
    }
}
