//! A set of slots: small ones as a sorted list, large ones as a bitmap.
//!
//! A bitmap costs about 50 bytes for each of its parts of 65,536 slots, whatever it holds of them:
//! a label that a hundred sessions have, spread over millions, would cost as much per session as
//! half a record. In a list a slot costs four.

use roaring::RoaringBitmap;
use smallvec::SmallVec;

/// A list that grows beyond this becomes a bitmap: inserting moves half of it.
const FEW_MAX: usize = if cfg!(test) { 64 } else { 4096 };
/// A bitmap that shrinks to this becomes a list; lower, so that one slot that comes and goes does
/// not turn it each time.
const FEW_AGAIN: usize = FEW_MAX / 2;

const _: () = assert!(FEW_MAX <= 4096, "inserting moves at most 16 KiB");

/// Slots, each at most once.
#[derive(Clone, Debug)]
pub(super) enum SlotSet {
    /// In ascending order.
    Few(SmallVec<[u32; 4]>),
    Many {
        bitmap: RoaringBitmap,
        /// The bitmap itself would have to add up its parts.
        len: usize,
    },
}

impl SlotSet {
    pub(super) const fn new() -> Self {
        Self::Few(SmallVec::new_const())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(slots) => slots.len(),
            Self::Many { len, .. } => *len,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        match self {
            Self::Few(slots) => slots.binary_search(&slot).is_ok(),
            Self::Many { bitmap, .. } => bitmap.contains(slot),
        }
    }

    /// Adds a slot that is not in it.
    pub(super) fn insert(&mut self, slot: u32) {
        match self {
            Self::Few(slots) => {
                let at = slots.binary_search(&slot).expect_err("a slot is added once");
                slots.insert(at, slot);
                if slots.len() > FEW_MAX {
                    *self = Self::many(slots.drain(..).collect());
                }
            }
            Self::Many { bitmap, len } => {
                let is_new = bitmap.insert(slot);
                debug_assert!(is_new, "a slot is added once");
                *len += 1;
            }
        }
    }

    /// Takes away a slot that is in it.
    pub(super) fn remove(&mut self, slot: u32) {
        match self {
            Self::Few(slots) => {
                let at = slots.binary_search(&slot).expect("a slot is taken away once");
                slots.remove(at);
                let is_small = slots.len() <= slots.inline_size();
                if slots.spilled() && (is_small || slots.len() < slots.capacity() / 4) {
                    slots.shrink_to_fit();
                }
            }
            Self::Many { bitmap, len } => {
                let was_there = bitmap.remove(slot);
                debug_assert!(was_there, "a slot is taken away once");
                *len -= 1;
                if *len == FEW_AGAIN {
                    *self = Self::Few(bitmap.iter().collect());
                }
            }
        }
    }

    /// Those in both. O(the smaller), when that is a list.
    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Few(few), large) | (large, Self::Few(few)) => {
                Self::Few(few.iter().copied().filter(|slot| large.contains(*slot)).collect())
            }
            (Self::Many { bitmap, .. }, Self::Many { bitmap: other, .. }) => {
                Self::many(bitmap & other)
            }
        }
    }

    /// Those in it that are not in the other.
    pub(super) fn without(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Few(few), other) => {
                Self::Few(few.iter().copied().filter(|slot| !other.contains(*slot)).collect())
            }
            (Self::Many { bitmap, .. }, Self::Few(few)) => {
                let mut bitmap = bitmap.clone();
                few.iter().for_each(|slot| {
                    bitmap.remove(*slot);
                });
                Self::many(bitmap)
            }
            (Self::Many { bitmap, .. }, Self::Many { bitmap: other, .. }) => {
                Self::many(bitmap - other)
            }
        }
    }

    /// Those in any of these.
    pub(super) fn any<'s>(sets: impl Iterator<Item = &'s Self>) -> Self {
        Self::gather(sets, |_| true).expect("each may be")
    }

    /// Those in any of these, unless there is one that may not be gathered.
    pub(super) fn gather<'s>(
        sets: impl Iterator<Item = &'s Self>,
        mut may: impl FnMut(&Self) -> bool,
    ) -> Option<Self> {
        let (mut few, mut many) = (Vec::new(), RoaringBitmap::new());
        for set in sets {
            if !may(set) {
                return None;
            }
            match set {
                Self::Few(slots) => few.extend_from_slice(slots),
                Self::Many { bitmap, .. } => many |= bitmap,
            }
        }
        few.sort_unstable();
        few.dedup();
        if many.is_empty() && few.len() <= FEW_MAX {
            return Some(Self::Few(few.into()));
        }
        many |= RoaringBitmap::from_sorted_iter(few).expect("sorted, each once");
        Some(Self::many(many))
    }

    pub(super) fn into_bitmap(self) -> RoaringBitmap {
        match self {
            Self::Few(slots) => RoaringBitmap::from_sorted_iter(slots).expect("sorted, each once"),
            Self::Many { bitmap, .. } => bitmap,
        }
    }

    /// What it holds of the heap, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Few(slots) if slots.spilled() => slots.capacity() * size_of::<u32>(),
            Self::Few(_) => 0,
            Self::Many { bitmap, .. } => {
                let parts = bitmap.statistics();
                let stored = parts.n_bytes_array_containers + parts.n_bytes_bitset_containers;
                let stored = usize::try_from(stored).expect("less than memory");
                stored + parts.n_containers as usize * PART_BYTES
            }
        }
    }

    fn many(bitmap: RoaringBitmap) -> Self {
        let len = usize::try_from(bitmap.len()).expect("there are fewer slots than 2^32");
        Self::Many { bitmap, len }
    }
}

/// What a bitmap holds for each part of 65,536 slots beside the part's slots.
const PART_BYTES: usize = 40;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set_of(slots: &BTreeSet<u32>) -> SlotSet {
        let mut set = SlotSet::new();
        slots.iter().rev().for_each(|slot| set.insert(*slot));
        set
    }

    fn slots_of(set: SlotSet) -> BTreeSet<u32> {
        let (len, bitmap) = (set.len(), set.into_bitmap());
        assert_eq!(bitmap.len(), len as u64);
        bitmap.iter().collect()
    }

    fn slots() -> impl Strategy<Value = BTreeSet<u32>> {
        let slot = prop_oneof![0..300u32, any::<u32>()];
        prop_oneof![
            proptest::collection::btree_set(slot.clone(), 0..8),
            proptest::collection::btree_set(slot, 0..3 * FEW_MAX),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn sets_of_every_size_combine_as_sets_do(a in slots(), b in slots()) {
            let (set_a, set_b) = (set_of(&a), set_of(&b));
            prop_assert_eq!(slots_of(set_a.and(&set_b)), &a & &b);
            prop_assert_eq!(slots_of(set_a.without(&set_b)), &a - &b);
            prop_assert_eq!(slots_of(SlotSet::any([&set_a, &set_b].into_iter())), &a | &b);
            for slot in a.iter().chain(&b) {
                prop_assert_eq!(set_a.contains(*slot), a.contains(slot));
            }
        }

        #[test]
        fn a_set_that_is_emptied_holds_no_memory(a in slots(), keep in 0..4usize) {
            let mut set = set_of(&a);
            let gone: Vec<u32> = a.iter().copied().skip(keep).collect();
            gone.iter().for_each(|slot| set.remove(*slot));
            prop_assert_eq!(set.heap_bytes(), 0);
            prop_assert_eq!(slots_of(set), a.iter().copied().take(keep).collect());
        }
    }
}
