//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692), the server's side of it: strict about
//! what it reads, plain in what it writes.
//!
//! ```text
//!   Head ──Handshake::read──▶ Handshake ──write_handshake_response──▶ bytes
//!
//!   bytes ──Decoder::next──▶ Event, Event, … nothing more        (one Decoder per connection,
//!                 ▲                                               one Scratch per shard)
//!              Scratch: where a message lies that is not whole in the bytes
//!
//!   write_message, write_ping, write_pong, write_close ──▶ bytes
//!   Deflater::write_message ──▶ bytes, compressed from a length on      (one per shard)
//! ```
//!
//! A frame is read and unmasked where it lies, in the buffer all connections of a shard share. A
//! connection owns two words, and more only while a frame is cut or a message is in fragments.
//! Nothing here knows which messages are exchanged or when a ping is due.

mod close;
mod decoder;
mod deflate;
mod error;
mod event;
mod extension;
mod handshake;
mod header;
mod mask;
mod partial;
mod scratch;
mod write;

#[cfg(test)]
mod client;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use close::{CLOSE_REASON_BYTES_MAX, NO_CLOSE_CODE};
pub use decoder::{Decoder, Limits};
pub use deflate::{DEFLATE_LEVEL_MAX, Deflater};
pub use error::FrameError;
pub use event::Event;
pub use extension::DeflateAnswer;
pub use handshake::{Handshake, HandshakeError, choose_protocol, write_handshake_response};
pub use scratch::Scratch;
pub use write::{write_close, write_message, write_ping, write_pong};

/// What a message is, by the opcode of its first frame (RFC 6455 §5.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// Longest payload of a ping, a pong or a close frame, in bytes (RFC 6455 §5.5). A longer one is
/// refused with 1002 when it is read (`frames_that_break_the_rules_are_refused`).
pub const CONTROL_BYTES_MAX: usize = 125;

/// Most bytes of memory each buffer a shard's connections share keeps between messages. What grew
/// beyond it for one message is given back after it (`what_one_large_message_took_is_given_back`).
pub const SHARED_BYTES_KEPT_MAX: usize = 64 * 1024;
