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
