//! What `update_meta` and `update_labels` have in common: which live sessions change, and into what.

use std::collections::BTreeMap;

use super::selector::Selector;
use super::terms::Terms;
use crate::ids::SessionSlot;
use crate::limits::LabelLimits;
use crate::session::Table;

/// Which sessions change, and into what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateParams {
    /// Which sessions.
    pub selector: Selector,
    /// What becomes of each.
    pub change: Change,
    /// How it is done.
    pub terms: Terms,
}

/// A change of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Its `meta` is replaced, or taken away.
    Meta(Option<Box<[u8]>>),
    /// Some of its labels change.
    Labels(LabelChange),
}

/// A change of labels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelChange {
    pub(super) set: BTreeMap<String, String>,
    pub(super) unset: Vec<String>,
    pub(super) limits: LabelLimits,
}

/// What an order has done to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// What was ordered.
    Done,
    /// Nothing: it was so already.
    Same,
    /// Nothing: it would have too many labels.
    Refused,
}

impl Change {
    /// Changes a session of a shard.
    pub fn apply(&self, table: &mut Table, slot: SessionSlot) -> Applied {
        let session = table.view(slot);
        match self {
            Self::Meta(meta) if session.meta() == meta.as_deref() => return Applied::Same,
            Self::Meta(meta) => table.set_meta(slot, meta.as_deref()),
            Self::Labels(change) => match change.applied(session.labels()) {
                Ok(labels) => table.set_labels(slot, &labels),
                Err(undone) => return undone,
            },
        }
        Applied::Done
    }
}

impl LabelChange {
    /// What labels become, or why they stay as they are.
    fn applied<'l>(
        &self,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
    ) -> Result<BTreeMap<String, String>, Applied> {
        let before: BTreeMap<String, String> =
            labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut after = before.clone();
        for key in &self.unset {
            after.remove(key);
        }
        after.extend(self.set.clone());
        if after == before {
            return Err(Applied::Same);
        }
        self.limits.check(&after).map_err(|_too_many| Applied::Refused)?;
        Ok(after)
    }
}
