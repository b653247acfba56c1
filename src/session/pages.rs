//! Storage for records of any length: pages of equal places, given back when they are empty.
//!
//! ```text
//!   slot = page << 9 | place
//!   page: │ record │ record │ free: 0, next free │ record │ … │ never used │
//! ```
//!
//! A page holds records of one size class (lengths rounded up to 4), so that a record costs its
//! own bytes and little more: no pointer, no allocator header, no second cache line far away.
//! Nothing is ever moved or copied to make room. A record too long for a class is a page of its
//! own, of exactly its length.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// What a page takes from the allocator: mimalloc fills 98 % of its own 512 KiB pages with blocks
/// of this size, where 16 KiB would leave a thirty-second unused and 8 KiB an eighth.
const PAGE_BYTES: usize = 14_336;
/// Lengths are rounded up to a multiple of this.
const CLASS_STEP: usize = 4;
/// Longer records have a page of their own.
const CLASS_BYTES_MAX: usize = 512;
const CLASSES: usize = CLASS_BYTES_MAX / CLASS_STEP + 1;

const PLACE_BITS: u32 = 9;
const PLACES_MAX: usize = 1 << PLACE_BITS;
/// As many as slots can name; then [`Pages::insert`] refuses. That is nine hundred million records
/// of 132 bytes, or eight million of more than 512 bytes. (Fewer in tests:
/// `a_full_table_refuses_and_is_as_it_was`.)
const PAGES_MAX: usize = 1 << if cfg!(test) { 12 } else { u32::BITS - PLACE_BITS };

/// Shorter records do not exist (`record` asserts it): a page then never has too many places.
pub(super) const RECORD_BYTES_MIN: usize = 28;

const _: () = assert!(PAGE_BYTES / RECORD_BYTES_MIN <= PLACES_MAX, "a place fits its bits");
const _: () = assert!(PLACES_MAX < NO_PLACE as usize, "the end of a free list is no place");
const _: () = assert!(size_of::<Page>() == 24, "one for about a hundred sessions");

/// Ends a page's list of free places.
const NO_PLACE: u16 = u16::MAX;

/// Pages of records. Byte 0 of a record is the caller's, and never 0: 0 marks a free place.
#[derive(Debug)]
pub(super) struct Pages {
    pages: Vec<Page>,
    /// By size class: the pages with a free place. The lowest is filled first, so that high ones
    /// become empty and the list of pages can shrink.
    roomy: Vec<BTreeSet<u32>>,
    /// Numbers of pages that were given back.
    vacant: BTreeSet<u32>,
    live: usize,
}

/// A run of places. Vacant when it has no bytes.
#[derive(Debug, Default)]
struct Page {
    bytes: Box<[u8]>,
    /// Bytes of a place; 0 when the page is one place.
    stride: u16,
    /// Places in use.
    live: u16,
    /// Places from here on were never used.
    fresh: u16,
    /// The first place that was used and is free; it names the next one.
    free: u16,
}

impl Pages {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), roomy: Vec::new(), vacant: BTreeSet::new(), live: 0 }
    }

    /// Records in use.
    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// Stores a record and says where. `None` when there are as many pages as slots can name.
    pub(super) fn insert(&mut self, record: &[u8]) -> Option<u32> {
        assert!(record.len() >= RECORD_BYTES_MIN && record[0] != 0, "not a record");
        let class = class(record.len());
        let page = match class.and_then(|class| self.roomy.get(class)?.first()) {
            Some(page) => *page,
            None => self.add_page(class, record.len())?,
        };
        let (place, is_full) = self.pages[page as usize].take(record);
        if let Some(class) = class.filter(|_| is_full) {
            self.roomy[class].remove(&page);
        }
        self.live += 1;
        Some((page << PLACE_BITS) | place)
    }

    /// Gives back a place in use.
    pub(super) fn remove(&mut self, slot: u32) {
        let (number, place) = split(slot);
        let page = &mut self.pages[number as usize];
        let class = class(page.stride_bytes()).filter(|_| page.stride != 0);
        page.give_back(place);
        let is_empty = page.live == 0;
        self.live -= 1;
        if self.live == 0 {
            *self = Self::new();
            return;
        }
        if is_empty {
            self.drop_page(number, class);
        } else if let Some(class) = class {
            self.roomy[class].insert(number);
        }
    }

    /// The record in this slot, if there is one; its end may hold up to three bytes more.
    pub(super) fn get(&self, slot: u32) -> Option<&[u8]> {
        let (page, place) = split(slot);
        self.pages.get(page as usize)?.live(place)
    }

    /// The record in a slot that is in use.
    pub(super) fn record(&self, slot: u32) -> &[u8] {
        self.get(slot).expect("the slot is in use")
    }

    /// The record in a slot that is in use.
    pub(super) fn record_mut(&mut self, slot: u32) -> &mut [u8] {
        let (page, place) = split(slot);
        let page = &mut self.pages[page as usize];
        let range = page.range(place);
        let record = &mut page.bytes[range];
        assert!(record[0] != 0, "the slot is in use");
        record
    }

    /// Every slot in use, lowest first.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        let pages = (0..).zip(&self.pages);
        pages.flat_map(|(number, page)| {
            let places = (0..u32::from(page.fresh)).filter(|place| page.live(*place).is_some());
            places.map(move |place| (number << PLACE_BITS) | place)
        })
    }

    /// Visits the places from this one on, lowest first, those that are free as well, until `visit`
    /// breaks off. Returns where to go on, or `None` at the end.
    pub(super) fn walk<'p>(
        &'p self,
        from: u32,
        mut visit: impl FnMut(u32, Option<&'p [u8]>) -> ControlFlow<()>,
    ) -> Option<u32> {
        let (mut number, mut place) = split(from);
        while let Some(page) = self.pages.get(number as usize) {
            while place < u32::from(page.fresh) {
                let slot = (number << PLACE_BITS) | place;
                if visit(slot, page.live(place)).is_break() {
                    return slot.checked_add(1);
                }
                place += 1;
            }
            (number, place) = (number + 1, 0);
        }
        None
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let pages: usize = self.pages.iter().map(|page| page.bytes.len()).sum();
        let sets = self.roomy.iter().map(BTreeSet::len).sum::<usize>() + self.vacant.len();
        pages
            + self.pages.capacity() * size_of::<Page>()
            + self.roomy.capacity() * size_of::<BTreeSet<u32>>()
            + sets * size_of::<u32>()
    }

    fn add_page(&mut self, class: Option<usize>, record_bytes: usize) -> Option<u32> {
        let number = match self.vacant.pop_first() {
            Some(number) => number,
            None if self.pages.len() == PAGES_MAX => return None,
            None => {
                self.pages.push(Page::default());
                u32::try_from(self.pages.len() - 1).expect("PAGES_MAX fits u32")
            }
        };
        let (bytes, stride) = match class {
            Some(class) => {
                let stride = class * CLASS_STEP;
                (PAGE_BYTES / stride * stride, stride)
            }
            None => (record_bytes, 0),
        };
        self.pages[number as usize] = Page {
            bytes: vec![0; bytes].into_boxed_slice(),
            stride: u16::try_from(stride).expect("CLASS_BYTES_MAX fits u16"),
            live: 0,
            fresh: 0,
            free: NO_PLACE,
        };
        if let Some(class) = class {
            if self.roomy.is_empty() {
                self.roomy = vec![BTreeSet::new(); CLASSES];
            }
            self.roomy[class].insert(number);
        }
        Some(number)
    }

    fn drop_page(&mut self, number: u32, class: Option<usize>) {
        self.pages[number as usize] = Page::default();
        self.vacant.insert(number);
        if let Some(class) = class {
            self.roomy[class].remove(&number);
        }
        while self.pages.last().is_some_and(|page| page.bytes.is_empty()) {
            self.pages.pop();
            self.vacant.pop_last();
        }
        if self.pages.len() < self.pages.capacity() / 4 {
            self.pages.shrink_to(self.pages.len() * 2);
        }
    }
}

impl Page {
    /// Stores a record in a free place; says which, and whether the page is full now.
    fn take(&mut self, record: &[u8]) -> (u32, bool) {
        let place = if self.free == NO_PLACE { self.fresh } else { self.free };
        let range = self.range(u32::from(place));
        let bytes = &mut self.bytes[range];
        if self.free == NO_PLACE {
            self.fresh += 1;
        } else {
            self.free = u16::from_le_bytes([bytes[1], bytes[2]]);
        }
        bytes[..record.len()].copy_from_slice(record);
        self.live += 1;
        (u32::from(place), usize::from(self.live) == self.bytes.len() / self.stride_bytes())
    }

    fn give_back(&mut self, place: u32) {
        let range = self.range(place);
        let [low, high] = self.free.to_le_bytes();
        let bytes = &mut self.bytes[range];
        assert!(bytes[0] != 0, "the slot is in use");
        bytes[..3].copy_from_slice(&[0, low, high]);
        self.free = u16::try_from(place).expect("PLACES_MAX fits u16");
        self.live -= 1;
    }

    /// The record in this place, unless it is free, or the page has no such place.
    fn live(&self, place: u32) -> Option<&[u8]> {
        self.bytes.get(self.range(place)).filter(|record| record.first().is_some_and(|b| *b != 0))
    }

    fn range(&self, place: u32) -> std::ops::Range<usize> {
        let bytes = self.stride_bytes();
        let start = place as usize * bytes;
        start..start + bytes
    }

    fn stride_bytes(&self) -> usize {
        if self.stride == 0 { self.bytes.len() } else { usize::from(self.stride) }
    }
}

/// The size class of a length; `None` for a page of its own.
const fn class(bytes: usize) -> Option<usize> {
    if bytes <= CLASS_BYTES_MAX { Some(bytes.div_ceil(CLASS_STEP)) } else { None }
}

const fn split(slot: u32) -> (u32, u32) {
    (slot >> PLACE_BITS, slot & ((1 << PLACE_BITS) - 1))
}
