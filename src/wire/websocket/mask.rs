//! The mask of a client's frame (RFC 6455 §5.3), taken off in place.

/// Takes the mask off, or puts it on. Eight bytes at a time; the compiler makes more of it.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The mask as it goes on after `len` bytes.
pub(super) fn advance_mask(mut mask: [u8; 4], len: usize) -> [u8; 4] {
    mask.rotate_left(len & 3);
    mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_meets_its_byte_of_the_mask(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            mask in any::<[u8; 4]>(),
            cut in 0..100_usize,
        ) {
            let expected: Vec<u8> =
                bytes.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
            let mut bytes = bytes;
            let cut = cut.min(bytes.len());
            let (front, back) = bytes.split_at_mut(cut);
            unmask(front, mask);
            unmask(back, advance_mask(mask, cut));
            prop_assert_eq!(bytes, expected);
        }
    }
}
