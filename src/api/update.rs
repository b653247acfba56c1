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

impl Change {
    /// Changes a session of a shard, and says whether anything of it is another now.
    pub fn apply(&self, table: &mut Table, slot: SessionSlot) -> bool {
        let session = table.view(slot);
        match self {
            Self::Meta(meta) if session.meta() == meta.as_deref() => return false,
            Self::Meta(meta) => table.set_meta(slot, meta.as_deref()),
            Self::Labels(change) => {
                let Some(labels) = change.applied(session.labels()) else { return false };
                table.set_labels(slot, &labels);
            }
        }
        true
    }
}

impl LabelChange {
    /// What labels become. `None`: they stay as they are, because nothing in them changes or because
    /// they would be too many.
    fn applied<'l>(
        &self,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
    ) -> Option<BTreeMap<String, String>> {
        let before: BTreeMap<String, String> =
            labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut after = before.clone();
        for key in &self.unset {
            after.remove(key);
        }
        after.extend(self.set.clone());
        (after != before && self.limits.check(&after).is_ok()).then_some(after)
    }
}
