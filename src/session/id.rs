//! Ids that need no storage: a client or session id is its record's address, made unreadable.
//!
//! An id hides the shard, the slot and the record's random salt behind a keyed permutation of the
//! 122 bits that a UUID of version 4 leaves free:
//!
//! ```text
//!   122 bits  │ padding 20, zero │ shard 6 │ slot 32 │ salt 64 │
//!      ⇅ Feistel network, 6 rounds over halves of 61 bits, SipHash-1-3 as the round function
//!   128 bits  │ 48 │ version 4 │ 12 │ variant 2 │ 62 │         (RFC 9562 §5.4)
//! ```
//!
//! So resolving an id needs no second index, which would cost about 20 bytes per session, and two
//! live sessions cannot have the same id. An id that we did not give out fails on its padding, one
//! that names a closed session fails on its salt.
//!
//! Why a session id cannot be guessed (it is a capability): whoever has one can act for the
//! session. Under a key of its own, a permutation of this kind with four or more rounds cannot be
//! told from a random one, not even by someone who may try ids of their own making (Luby and
//! Rackoff), for far more tries than a network allows; six rounds leave a margin. So seeing other
//! ids helps nobody: one try hits with a chance of the live sessions in 2^122. Should the
//! permutation ever break, an attacker would still need the 64-bit salt of the victim's record.
//! The client id, which is public, holds the same salt but under an independent key. Keys come from
//! the system's random source at start and are never stored: ids do not outlive the process.

use std::fmt;

use siphasher::sip::SipHasher13;

use crate::ids::{ClientId, SessionId, SessionSlot, ShardId};
use crate::limits::SHARDS_MAX;

const SALT_BITS: u32 = 64;
const SLOT_BITS: u32 = 32;
const SHARD_BITS: u32 = 6;
const FREE_BITS: u32 = 122;
const HALF_BITS: u32 = FREE_BITS / 2;
const HALF_MASK: u64 = (1 << HALF_BITS) - 1;
const ROUNDS: u64 = 6;

const _: () = assert!(SHARDS_MAX == 1 << SHARD_BITS, "every value of the shard bits is a shard");
const _: () = assert!(ROUNDS <= 1 << (u64::BITS - HALF_BITS), "round number and half share a word");
const _: () = assert!(SALT_BITS + SLOT_BITS + SHARD_BITS + 16 <= FREE_BITS, "room for padding");

/// The process's secret keys for ids. All shards share them, so that any of them can tell which
/// shard an id belongs to.
#[derive(Clone)]
pub struct IdKeys {
    client: Permutation,
    session: Permutation,
}

impl fmt::Debug for IdKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKeys(secret)")
    }
}

/// What an id stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub(super) shard: ShardId,
    pub(super) slot: SessionSlot,
    pub(super) salt: u64,
}

impl IdKeys {
    /// Keys from 32 secret random bytes.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| secret[at + n]));
        let permutation =
            |at| Permutation { round: SipHasher13::new_with_keys(word(at), word(at + 8)) };
        Self { client: permutation(0), session: permutation(16) }
    }

    /// The shard that gave out this id, if one of this process did; nothing says whether the
    /// session still lives.
    #[must_use]
    pub fn shard_of_client(&self, id: ClientId) -> Option<ShardId> {
        self.read_client(id).map(|address| address.shard)
    }

    /// The shard that gave out this id, if one of this process did; nothing says whether the
    /// session still lives.
    #[must_use]
    pub fn shard_of_session(&self, id: SessionId) -> Option<ShardId> {
        self.read_session(id).map(|address| address.shard)
    }

    pub(super) fn client(&self, address: Address) -> ClientId {
        ClientId(to_uuid(self.client.forward(address.to_bits())))
    }

    pub(super) fn session(&self, address: Address) -> SessionId {
        SessionId(to_uuid(self.session.forward(address.to_bits())))
    }

    pub(super) fn read_client(&self, id: ClientId) -> Option<Address> {
        Address::from_bits(self.client.back(from_uuid(id.0)?))
    }

    pub(super) fn read_session(&self, id: SessionId) -> Option<Address> {
        Address::from_bits(self.session.back(from_uuid(id.0)?))
    }
}

impl Address {
    fn to_bits(self) -> u128 {
        let shard = self.shard.index() as u128;
        let place = (shard << SLOT_BITS) | u128::from(self.slot.0);
        (place << SALT_BITS) | u128::from(self.salt)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is cut to its width")]
    fn from_bits(bits: u128) -> Option<Self> {
        let shard = bits >> (SLOT_BITS + SALT_BITS);
        if shard >= 1 << SHARD_BITS {
            return None;
        }
        Some(Self {
            shard: ShardId::new(shard as usize),
            slot: SessionSlot((bits >> SALT_BITS) as u32),
            salt: bits as u64,
        })
    }
}

/// A keyed permutation of 122 bits.
#[derive(Clone)]
struct Permutation {
    round: SipHasher13,
}

impl Permutation {
    fn forward(&self, bits: u128) -> u128 {
        let (mut left, mut right) = halves(bits);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.mix(round, right));
        }
        whole(left, right)
    }

    fn back(&self, bits: u128) -> u128 {
        let (mut left, mut right) = halves(bits);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.mix(round, left), left);
        }
        whole(left, right)
    }

    /// A different secret function in each round: its number fills the bits a half leaves free.
    fn mix(&self, round: u64, half: u64) -> u64 {
        self.round.hash(&((round << HALF_BITS) | half).to_le_bytes()) & HALF_MASK
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves, cut to their width")]
const fn halves(bits: u128) -> (u64, u64) {
    ((bits >> HALF_BITS) as u64 & HALF_MASK, bits as u64 & HALF_MASK)
}

fn whole(left: u64, right: u64) -> u128 {
    (u128::from(left) << HALF_BITS) | u128::from(right)
}

const UUID_VERSION: u128 = 4 << 76;
const UUID_VARIANT: u128 = 0b10 << 62;
const UUID_FIXED: u128 = (0xF << 76) | (0b11 << 62);

/// Spreads 122 bits over the free bits of a UUID of version 4.
const fn to_uuid(bits: u128) -> [u8; 16] {
    let high = (bits >> 74) << 80;
    let middle = ((bits >> 62) & 0xFFF) << 64;
    let low = bits & ((1 << 62) - 1);
    (high | UUID_VERSION | middle | UUID_VARIANT | low).to_be_bytes()
}

/// Collects the free bits; `None` for a UUID of another version or variant.
fn from_uuid(bytes: [u8; 16]) -> Option<u128> {
    let uuid = u128::from_be_bytes(bytes);
    if uuid & UUID_FIXED != UUID_VERSION | UUID_VARIANT {
        return None;
    }
    let (high, middle, low) = (uuid >> 80, (uuid >> 64) & 0xFFF, uuid & ((1 << 62) - 1));
    Some((high << 74) | (middle << 62) | low)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const KEYS: [u8; 32] = *b"0123456789abcdefFEDCBA9876543210";

    fn address(shard: usize, slot: u32, salt: u64) -> Address {
        Address { shard: ShardId::new(shard), slot: SessionSlot(slot), salt }
    }

    proptest! {
        #[test]
        fn an_id_leads_back_to_its_record(
            secret: [u8; 32], shard in 0..SHARDS_MAX, slot: u32, salt: u64,
        ) {
            let (keys, address) = (IdKeys::new(secret), address(shard, slot, salt));
            prop_assert_eq!(keys.read_client(keys.client(address)), Some(address));
            prop_assert_eq!(keys.read_session(keys.session(address)), Some(address));
            prop_assert_eq!(keys.shard_of_client(keys.client(address)), Some(address.shard));
            prop_assert_eq!(keys.shard_of_session(keys.session(address)), Some(address.shard));
        }

        #[test]
        fn an_id_has_the_shape_of_a_random_uuid(slot: u32, salt: u64) {
            let text = IdKeys::new(KEYS).client(address(63, slot, salt)).to_string();
            prop_assert_eq!(text.as_bytes()[14], b'4');
            prop_assert!(b"89ab".contains(&text.as_bytes()[19]));
        }

        #[test]
        fn the_free_bits_of_a_uuid_survive(bits in 0..1u128 << FREE_BITS) {
            prop_assert_eq!(from_uuid(to_uuid(bits)), Some(bits));
        }
    }

    #[test]
    fn ids_never_meet_and_the_two_kinds_are_unrelated() {
        let keys = IdKeys::new(KEYS);
        let mut seen = HashSet::new();
        for slot in 0..10_000 {
            let address = address(1, slot, 7);
            assert!(seen.insert(keys.client(address).0));
            assert!(seen.insert(keys.session(address).0));
            assert_eq!(keys.read_session(SessionId(keys.client(address).0)), None);
        }
    }

    #[test]
    fn neighbours_differ_in_about_half_of_their_bits() {
        let keys = IdKeys::new(KEYS);
        let id = |slot, salt| u128::from_be_bytes(keys.session(address(0, slot, salt)).0);
        let mut differing = 0;
        for n in 0..1_000u32 {
            differing += (id(n, 5) ^ id(n + 1, 5)).count_ones();
            differing += (id(n, 5) ^ id(n, 4)).count_ones();
        }
        let mean = differing / 2_000;
        assert!((59..=63).contains(&mean), "{mean} of 122");
    }

    #[test]
    fn an_id_we_did_not_make_names_no_shard() {
        let keys = IdKeys::new(KEYS);
        let other = IdKeys::new([7; 32]);
        for slot in 0..1_000 {
            assert_eq!(keys.read_client(other.client(address(0, slot, 9))), None);
        }
        let version_7 = ClientId::parse("db8bc772-2654-7283-851a-f29b888ace74").unwrap();
        let variant_c = ClientId::parse("db8bc772-2654-4283-c51a-f29b888ace74").unwrap();
        assert_eq!(keys.shard_of_client(version_7), None);
        assert_eq!(keys.shard_of_client(variant_c), None);
    }
}
