//! Every identifier as a type of its own, so that two of them can never be mixed up.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// One shard of this node: its place in the list of shards, `0..shards_max`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShardId(u8);

impl ShardId {
    /// The shard at this place.
    ///
    /// # Panics
    /// If `index` is not below [`crate::limits::SHARDS_MAX`]; the configuration was checked first.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        assert!(index < crate::limits::SHARDS_MAX, "shard index out of range");
        #[expect(clippy::cast_possible_truncation, reason = "SHARDS_MAX fits u8, asserted above")]
        Self(index as u8)
    }

    /// Its place in the list of shards.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Its own bit in a mask of shards.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One connection of one shard: a place in its socket slab and the use of that place.
///
/// The generation makes a late event for a closed connection recognisable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnId {
    /// Place in the shard's socket slab.
    pub index: u32,
    /// How often the place had been used before.
    pub generation: u32,
}

impl ConnId {
    /// Both halves in one word, for a kernel's event data.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        ((self.generation as u64) << 32) | self.index as u64
    }

    /// The inverse of [`Self::to_word`].
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
        Self { index: word as u32, generation: (word >> 32) as u32 }
    }
}

/// A request to the server API that came by the control thread. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CallId(pub u64);

/// A gRPC stream of this node: the control thread holds its body, a shard its connection. Never
/// used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StreamId(pub u64);

/// Something a shard asks of the outside. Never used twice by the same shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct InquiryId(pub u64);

/// A place in a shard's session table. Only meaningful inside that shard, only while the
/// session lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionSlot(pub u32);

/// The hash of a user id under the process's secret key: what the directory and the user index
/// are keyed by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UserHash(pub u64);

/// Whom an address is counted for: itself, and of IPv6 all that begin with the same 64 bits, for
/// whoever has one of them has the others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Network(IpAddr);

impl Network {
    /// That of an address; an IPv4 address in IPv6 is that IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// A UUID in its wire form is this many bytes.
pub const UUID_TEXT_LEN: usize = 36;

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Reads the 36-byte hyphenated form (either case). `None` for anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                uuid_parse(text.as_bytes()).map(Self)
            }

            /// The lower-case hyphenated form.
            #[must_use]
            pub fn text(&self) -> [u8; UUID_TEXT_LEN] {
                uuid_text(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in self.text() {
                    fmt::Write::write_char(f, char::from(byte))?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

uuid_ids! {
    /// The public name of one session: a UUID of version 4 in shape. Keys of `connections`.
    ClientId;
    /// The second, private name of one session, known to its own client and to the backend it
    /// tells: a UUID of version 4 in shape, and a capability (client protocol, `session`).
    SessionId;
}

/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The lower-case hyphenated form of 16 bytes (RFC 9562 §4).
#[must_use]
pub fn uuid_text(bytes: &[u8; 16]) -> [u8; UUID_TEXT_LEN] {
    let mut text = [b'-'; UUID_TEXT_LEN];
    for (byte, at) in bytes.iter().zip(UUID_DIGITS_AT) {
        [text[at], text[at + 1]] = HEX[usize::from(*byte)];
    }
    text
}

/// Where the digits of each byte stand in the hyphenated form.
const UUID_DIGITS_AT: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// The two digits of every byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Reads the hyphenated form of a UUID, in either case (RFC 9562 §4).
#[must_use]
pub fn uuid_parse(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; UUID_TEXT_LEN] = text.try_into().ok()?;
    let mut bytes = [0; 16];
    let mut at = 0;
    for byte in &mut bytes {
        if HYPHENS.contains(&at) {
            if text[at] != b'-' {
                return None;
            }
            at += 1;
        }
        *byte = (hex_digit(text[at])? << 4) | hex_digit(text[at + 1])?;
        at += 2;
    }
    Some(bytes)
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_survives_the_trip_through_its_text() {
        let bytes = [
            0xdb, 0x8b, 0xc7, 0x72, 0x26, 0x54, 0x42, 0x83, 0x85, 0x1a, 0xf2, 0x9b, 0x88, 0x8a,
            0xce, 0x74,
        ];
        let id = ClientId(bytes);
        assert_eq!(id.to_string(), "db8bc772-2654-4283-851a-f29b888ace74");
        assert_eq!(ClientId::parse(&id.to_string()), Some(id));
        assert_eq!(ClientId::parse("DB8BC772-2654-4283-851A-F29B888ACE74"), Some(id));
    }

    #[test]
    fn what_is_not_a_uuid_is_refused() {
        for text in [
            "",
            "db8bc772",
            "db8bc772-2654-4283-851a-f29b888ace7",
            "db8bc772-2654-4283-851a-f29b888ace7g",
            "db8bc77202654042830851a0f29b888ace74",
            "é8bc772-2654-4283-851a-f29b888ace74",
        ] {
            assert_eq!(ClientId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_connection_id_survives_the_trip_through_one_word() {
        let conn = ConnId { index: 7, generation: u32::MAX };
        assert_eq!(ConnId::from_word(conn.to_word()), conn);
    }
}
