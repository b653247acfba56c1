//! Messages of gRPC with their prefix (gRPC over HTTP/2, "Length-Prefixed-Message"): the pushes of
//! `uni_grpc`, one each, and requests.

use std::io::Read;

use flate2::read::GzDecoder;

/// Bytes in front of a message: a flag, 0 for not compressed, and the length.
pub const PREFIX_BYTES: usize = 5;

/// One message. `content` must only append.
///
/// # Panics
/// If it is longer than 4 GiB: nothing that is said is.
pub fn message(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    content(out);
    let len =
        u32::try_from(out.len() - start - PREFIX_BYTES).expect("what is said is far below 4 GiB");
    out[start + 1..start + PREFIX_BYTES].copy_from_slice(&len.to_be_bytes());
}

/// Takes the next message off the bytes that [`Wire`](super::Wire) wrote, without its prefix.
pub fn split_message<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (prefix, rest) = bytes.split_first_chunk::<PREFIX_BYTES>()?;
    let [_, length @ ..] = *prefix;
    let (message, rest) = rest.split_at_checked(u32::from_be_bytes(length) as usize)?;
    *bytes = rest;
    Some(message)
}

/// Why a request of one message is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FramingError {
    /// The message is compressed, which nobody offered.
    #[error("the message is compressed: send it as it is")]
    Compressed,
    /// No message, half a message, or more than one.
    #[error("expected one message, as long as its prefix says")]
    NotOne,
}

/// The one message of a request, without its prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'b> {
    /// As it is.
    Plain(&'b [u8]),
    /// In the way that the head of the request names.
    Compressed(&'b [u8]),
}

/// The one message of a request.
///
/// # Errors
/// There is not exactly one.
pub fn message_of(request: &[u8]) -> Result<Message<'_>, FramingError> {
    let mut rest = request;
    match split_message(&mut rest) {
        Some(message) if rest.is_empty() && request.first() == Some(&0) => {
            Ok(Message::Plain(message))
        }
        Some(message) if rest.is_empty() => Ok(Message::Compressed(message)),
        Some(_) | None => Err(FramingError::NotOne),
    }
}

/// The one message of a request where nobody offered to inflate it.
///
/// # Errors
/// There is not exactly one, or it is compressed.
pub fn only_message(request: &[u8]) -> Result<&[u8], FramingError> {
    match message_of(request)? {
        Message::Plain(message) => Ok(message),
        Message::Compressed(_) => Err(FramingError::Compressed),
    }
}

/// Why a message cannot be inflated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InflateError {
    /// It is no gzip.
    #[error("the message is no gzip")]
    Malformed,
    /// It becomes longer than it may be.
    #[error("the message is too long")]
    TooLong,
}

/// A message that was compressed with gzip.
///
/// # Errors
/// It was not, or it becomes longer than `bytes_max`.
pub fn inflate(message: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut inflated = Vec::new();
    // One byte more tells that there is more.
    let mut bounded = GzDecoder::new(message).take((bytes_max as u64).saturating_add(1));
    bounded.read_to_end(&mut inflated).map_err(|_no_gzip| InflateError::Malformed)?;
    if inflated.len() > bytes_max { Err(InflateError::TooLong) } else { Ok(inflated) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_message_and_nothing_else() {
        assert_eq!(only_message(b"\0\0\0\0\0"), Ok(b"".as_slice()));
        assert_eq!(only_message(b"\0\0\0\0\x02ab"), Ok(b"ab".as_slice()));
        for request in ["", "\0\0\0\0", "\0\0\0\0\x03ab", "\0\0\0\0\x01ab"] {
            let found = only_message(request.as_bytes());
            assert_eq!(found, Err(FramingError::NotOne), "{request:?}");
        }
        assert_eq!(only_message(b"\x01\0\0\0\x02ab"), Err(FramingError::Compressed));
        assert_eq!(message_of(b"\x01\0\0\0\x02ab"), Ok(Message::Compressed(b"ab")));
    }

    #[test]
    fn a_message_is_inflated_up_to_the_longest_it_may_be() {
        let gzip = |bytes: &[u8]| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            std::io::Write::write_all(&mut encoder, bytes).unwrap();
            encoder.finish().unwrap()
        };
        let long = gzip(&vec![0; 100_000]);
        assert_eq!(inflate(&gzip(b"abc"), 3), Ok(b"abc".to_vec()));
        assert_eq!(inflate(&long, 100_000).map(|inflated| inflated.len()), Ok(100_000));
        assert_eq!(inflate(&long, 99_999), Err(InflateError::TooLong));
        assert_eq!(inflate(&long[..long.len() - 9], 100_000), Err(InflateError::Malformed));
        assert_eq!(inflate(b"abc", 3), Err(InflateError::Malformed));
    }
}
