//! `uni_grpc`: one Protobuf push per message of a gRPC stream, with the length prefix of gRPC
//! (gRPC over HTTP/2, "Length-Prefixed-Message").

/// Bytes in front of a message: a flag, 0 for not compressed, and the length.
pub const PREFIX_BYTES: usize = 5;

/// One message. `content` must only append.
pub(super) fn message(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    content(out);
    let len = u32::try_from(out.len() - start - PREFIX_BYTES).expect("pushes are far below 4 GiB");
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
///
/// # Errors
/// There is not exactly one, or it is compressed.
pub fn only_message(request: &[u8]) -> Result<&[u8], FramingError> {
    let mut rest = request;
    match split_message(&mut rest) {
        Some(_) if request.first() != Some(&0) => Err(FramingError::Compressed),
        Some(message) if rest.is_empty() => Ok(message),
        Some(_) | None => Err(FramingError::NotOne),
    }
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
    }
}
