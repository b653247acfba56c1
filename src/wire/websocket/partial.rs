//! What a connection keeps while a frame is cut or a message is in fragments. Between messages
//! there is none of it.

use smallvec::SmallVec;

use super::header::{Coding, Control, HEADER_BYTES_MAX};
use super::{FrameError, Kind};

/// The rest of what is on its way; boxed, because most connections are idle.
#[derive(Default, Debug)]
pub(super) struct Partial {
    /// The bytes of a header that is not whole yet.
    pub(super) header: SmallVec<[u8; HEADER_BYTES_MAX]>,
    /// The frame whose payload is not whole yet.
    pub(super) frame: Option<CutFrame>,
    /// The payload so far of a control frame, which may stand between fragments.
    pub(super) control: Vec<u8>,
    /// The message whose end has not come.
    pub(super) message: Option<Gathered>,
}

/// A frame whose header was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct CutFrame {
    pub(super) part_of: PartOf,
    /// Bytes of its payload still to come.
    pub(super) left: usize,
    /// The mask for the next of them.
    pub(super) mask: [u8; 4],
}

/// What a payload belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum PartOf {
    Control(Control),
    Message,
    /// And the message ends with it.
    MessageEnd,
}

/// A message so far.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) kind: Kind,
    pub(super) coding: Coding,
    /// Never more than was received: an announced length reserves nothing.
    pub(super) bytes: Vec<u8>,
    /// So many of them are known to be UTF-8, if it is a text that is not compressed.
    valid: usize,
}

impl Partial {
    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.header.is_empty()
            && self.frame.is_none()
            && self.control.is_empty()
            && self.message.is_none()
    }
}

impl Gathered {
    pub(super) const fn new(kind: Kind, coding: Coding) -> Self {
        Self { kind, coding, bytes: Vec::new(), valid: 0 }
    }

    /// Takes more bytes. A text that can no longer become UTF-8 is refused at once.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        self.bytes.extend_from_slice(bytes);
        if !self.is_plain_text() {
            return Ok(());
        }
        let fresh = self.bytes.get(self.valid..).unwrap_or_default();
        match simdutf8::compat::from_utf8(fresh) {
            Ok(_) => self.valid = self.bytes.len(),
            // The last character is cut: the next bytes may complete it.
            Err(error) if error.error_len().is_none() => {
                self.valid = self.valid.saturating_add(error.valid_up_to());
            }
            Err(_) => return Err(FrameError::TextNotUtf8),
        }
        Ok(())
    }

    /// The whole message, when it ends here.
    pub(super) fn finish(self) -> Result<Self, FrameError> {
        let is_cut = self.is_plain_text() && self.valid < self.bytes.len();
        if is_cut { Err(FrameError::TextNotUtf8) } else { Ok(self) }
    }

    fn is_plain_text(&self) -> bool {
        self.kind == Kind::Text && self.coding == Coding::Plain
    }
}
