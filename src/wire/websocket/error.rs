//! Why a client's frames are refused: what was wrong, and the code that says so.

/// Frames that are refused. After any of these the connection must close: nobody can say where
/// the next frame begins, or what it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", self.text())]
pub enum FrameError {
    /// A reserved bit is set: RSV2, RSV3, or RSV1 where nothing may be compressed.
    ReservedBit,
    /// Opcodes 3 to 7 and 11 to 15.
    Opcode,
    /// Not masked, which every frame of a client must be (§5.1).
    NotMasked,
    /// A length that would fit a shorter form (§5.2).
    LengthNotMinimal,
    /// A length of 2^63 bytes or more.
    LengthTopBit,
    /// A ping, pong or close in fragments.
    ControlFragmented,
    /// A ping, pong or close longer than [`super::CONTROL_BYTES_MAX`].
    ControlTooLong,
    /// A continuation of no message.
    NothingToContinue,
    /// A new message inside one whose last fragment has not come.
    MessageInMessage,
    /// A close frame of one byte, which is half a code.
    CloseCodeCut,
    /// A close code that must not be sent, or that nobody has defined (§7.4).
    CloseCode,
    /// A close reason that is not UTF-8.
    CloseReasonNotUtf8,
    /// A text message that is not UTF-8.
    TextNotUtf8,
    /// A compressed message that is not DEFLATE, or that ends in the middle of it.
    Deflate,
    /// A message longer than [`super::Limits::message_bytes_max`].
    MessageTooLong,
    /// A message longer than [`super::Limits::inflated_bytes_max`] once it is inflated.
    InflatedTooLong,
}

impl FrameError {
    /// The code of the close frame that answers it (RFC 6455 §7.4.1).
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::ReservedBit
            | Self::Opcode
            | Self::NotMasked
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::NothingToContinue
            | Self::MessageInMessage
            | Self::CloseCodeCut
            | Self::CloseCode => 1002,
            Self::CloseReasonNotUtf8 | Self::TextNotUtf8 | Self::Deflate => 1007,
            Self::MessageTooLong | Self::InflatedTooLong => 1009,
        }
    }

    /// The reason in that close frame. It is empty for a message that is too long, because the
    /// clients of the protocol know that code and expect no text (contract of Centrifugo).
    #[must_use]
    pub const fn close_reason(self) -> &'static str {
        if matches!(self, Self::MessageTooLong) { "" } else { self.text() }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::ReservedBit => {
                "a reserved bit is set and no extension agreed on gives it meaning"
            }
            Self::Opcode => "the opcode is reserved: use 0, 1, 2, 8, 9 or 10",
            Self::NotMasked => "the frame is not masked: a client must mask every frame",
            Self::LengthNotMinimal => "the length of the frame is not in its shortest form",
            Self::LengthTopBit => "the length of the frame has its highest bit set",
            Self::ControlFragmented => "a control frame is fragmented: it must be final",
            Self::ControlTooLong => "a control frame is longer than 125 bytes",
            Self::NothingToContinue => "a continuation frame continues no message",
            Self::MessageInMessage => "a message starts before the last fragment of another",
            Self::CloseCodeCut => "a close frame has one byte: send a code of two, or nothing",
            Self::CloseCode => "the close code is not one that may be sent",
            Self::CloseReasonNotUtf8 => "the close reason is not UTF-8",
            Self::TextNotUtf8 => "a text message is not UTF-8",
            Self::Deflate => "a compressed message cannot be inflated",
            Self::MessageTooLong => "message too big",
            Self::InflatedTooLong => "message too big after decompression",
        }
    }
}
