//! Where a request head ends, found without looking at any byte twice.

use super::token::is_token;
use super::{HEAD_BYTES_MAX, HeadError};

/// The search for the end of one head, over as many reads as the head takes. Start a new one for
/// each request.
///
/// One empty line in front of the request line is skipped, because some clients send one after a
/// body (RFC 9112 §2.2); it counts as part of the head. A second one is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeadScan {
    /// Bytes looked at.
    seen: usize,
    /// Where the line being read starts.
    line: usize,
    /// What the lines before it were.
    before: Before,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Before {
    #[default]
    Nothing,
    EmptyLine,
    RequestLine,
}

impl HeadScan {
    /// Length of the head with its blank line, once it is whole. `bytes` starts where the request
    /// starts and holds at least what it held in the call before. Costs O(new bytes).
    ///
    /// # Errors
    /// When no head can come of it: it is longer than [`HEAD_BYTES_MAX`], starts with something
    /// that is no method, has more than one empty line in front, or has a bare line feed. Asked
    /// again, it says the same again.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        let window = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
        loop {
            self.check_start(window)?;
            let fresh = window.get(self.seen..).unwrap_or_default();
            let Some(length) = memchr::memchr(b'\n', fresh) else { break };
            let feed = self.seen.saturating_add(length);
            let line = window.get(self.line..feed).unwrap_or_default();
            let [line @ .., b'\r'] = line else { return Err(HeadError::BareLineFeed) };
            let next = feed.saturating_add(1);
            self.before = match (self.before, line) {
                (Before::RequestLine, []) => return Ok(Some(next)),
                (Before::EmptyLine, []) => return Err(HeadError::EmptyLines),
                (Before::Nothing, []) => Before::EmptyLine,
                (_, [_, ..]) => Before::RequestLine,
            };
            self.line = next;
            self.seen = next;
        }
        self.seen = window.len();
        if bytes.len() >= HEAD_BYTES_MAX { Err(HeadError::TooLong) } else { Ok(None) }
    }

    /// Refuses at the first byte what can never become a request (a TLS hello, say), instead of
    /// waiting for a line that does not come.
    fn check_start(&self, window: &[u8]) -> Result<(), HeadError> {
        if self.before == Before::RequestLine {
            return Ok(());
        }
        match window.get(self.line) {
            Some(b'\r' | b'\n') | None => Ok(()),
            Some(byte) if is_token(*byte) => Ok(()),
            Some(_) => Err(HeadError::Method),
        }
    }
}
