//! Who has which transport, app and labels: what finds sessions without looking at each.

use std::collections::BTreeMap;

use super::bytes::Bytes;
use super::labels::{self, LabelRun, Stored};
use super::pairs::{APPS_MAX, LABELS_MAX, PairId, Pairs};
use super::slots::SlotSet;
use super::view::Transport;

/// The indexes of one shard. A session is in `unindexed` when one of its texts stands in its record
/// alone, because a table was full: what the other sets say of it may be too little.
#[derive(Debug)]
pub(super) struct Index {
    transports: [SlotSet; Transport::ALL.len()],
    /// Names and versions.
    pub(super) apps: Pairs,
    /// Keys and values.
    pub(super) labels: Pairs,
    pub(super) unindexed: SlotSet,
}

/// What is indexed of a session.
#[derive(Clone, Copy)]
pub(super) struct Indexed<'a> {
    pub(super) transport: Transport,
    pub(super) app: Option<PairId>,
    pub(super) labels: LabelRun<'a>,
}

impl Index {
    pub(super) fn new(hasher: &ahash::RandomState) -> Self {
        Self {
            transports: [const { SlotSet::new() }; Transport::ALL.len()],
            apps: Pairs::new(hasher.clone(), APPS_MAX),
            labels: Pairs::new(hasher.clone(), LABELS_MAX),
            unindexed: SlotSet::new(),
        }
    }

    /// A session was opened.
    pub(super) fn add(&mut self, slot: u32, indexed: Indexed<'_>) {
        self.transports[indexed.transport as usize].insert(slot);
        if let Some(app) = indexed.app {
            self.apps.add(app, slot);
        }
        self.add_labels(slot, indexed);
    }

    /// It was closed.
    pub(super) fn remove(&mut self, slot: u32, indexed: Indexed<'_>) {
        self.transports[indexed.transport as usize].remove(slot);
        if let Some(app) = indexed.app {
            self.apps.remove(app, slot);
        }
        self.remove_labels(slot, indexed);
    }

    /// Its labels are replaced; gives back what is to be stored of the new ones.
    pub(super) fn relabel(
        &mut self,
        slot: u32,
        before: Indexed<'_>,
        labels: &BTreeMap<String, String>,
    ) -> Bytes {
        self.remove_labels(slot, before);
        let bytes = labels::encode(labels, &mut self.labels);
        self.add_labels(slot, Indexed { labels: LabelRun(&bytes), ..before });
        bytes
    }

    /// It was not opened after its texts were interned.
    pub(super) fn release(&mut self, app: Option<PairId>, labels: LabelRun<'_>) {
        if let Some(app) = app {
            self.apps.release(app);
        }
        for label in labels.stored() {
            if let Stored::Shared(label) = label {
                self.labels.release(label);
            }
        }
    }

    pub(super) const fn of_transport(&self, transport: Transport) -> &SlotSet {
        &self.transports[transport as usize]
    }

    /// Every session.
    pub(super) fn all(&self) -> SlotSet {
        SlotSet::any(self.transports.iter())
    }

    fn add_labels(&mut self, slot: u32, indexed: Indexed<'_>) {
        for label in indexed.labels.stored() {
            if let Stored::Shared(label) = label {
                self.labels.add(label, slot);
            }
        }
        if indexed.has_own_texts() {
            self.unindexed.insert(slot);
        }
    }

    fn remove_labels(&mut self, slot: u32, indexed: Indexed<'_>) {
        for label in indexed.labels.stored() {
            if let Stored::Shared(label) = label {
                self.labels.remove(label, slot);
            }
        }
        if indexed.has_own_texts() {
            self.unindexed.remove(slot);
        }
    }

    /// What the sets that belong to no text hold of the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let transports: usize = self.transports.iter().map(SlotSet::heap_bytes).sum();
        transports + self.unindexed.heap_bytes()
    }
}

impl Indexed<'_> {
    fn has_own_texts(self) -> bool {
        self.app.is_none() || self.labels.stored().any(|label| matches!(label, Stored::Own(..)))
    }
}
