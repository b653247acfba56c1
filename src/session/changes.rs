//! What sessions have now in place of what they were opened with: a record cannot grow where it
//! lies, and its place is its session's id.

use std::collections::HashMap;

use super::bytes::Bytes;
use super::labels::LabelRun;
use super::token::Token;

/// By slot; few sessions are ever changed. Their records say so: nobody else is looked up here.
#[derive(Debug)]
pub(super) struct Changes {
    by_slot: HashMap<u32, Changed, ahash::RandomState>,
}

/// Each is what the record has, unless it was replaced.
#[derive(Debug, Default)]
struct Changed {
    meta: Option<Option<Box<[u8]>>>,
    labels: Option<Box<[u8]>>,
    token: Option<Box<Token>>,
}

impl Changes {
    pub(super) fn new(hasher: &ahash::RandomState) -> Self {
        Self { by_slot: HashMap::with_hasher(hasher.clone()) }
    }

    /// The `meta` that replaced that of the record; the inner `None`: it was taken away.
    #[expect(clippy::option_option, reason = "not replaced, and replaced by nothing")]
    pub(super) fn meta(&self, slot: u32) -> Option<Option<&[u8]>> {
        self.by_slot.get(&slot)?.meta.as_ref().map(Option::as_deref)
    }

    /// The labels that replaced those of the record.
    pub(super) fn labels(&self, slot: u32) -> Option<LabelRun<'_>> {
        self.by_slot.get(&slot)?.labels.as_deref().map(LabelRun)
    }

    /// The token that replaced that of the record.
    pub(super) fn token(&self, slot: u32) -> Option<&Token> {
        self.by_slot.get(&slot)?.token.as_deref()
    }

    pub(super) fn set_token(&mut self, slot: u32, token: Token) {
        self.by_slot.entry(slot).or_default().token = Some(Box::new(token));
    }

    /// The token of the record counts again.
    pub(super) fn keep_token(&mut self, slot: u32) {
        if let Some(changed) = self.by_slot.get_mut(&slot) {
            changed.token = None;
        }
    }

    pub(super) fn set_meta(&mut self, slot: u32, meta: Option<&[u8]>) {
        self.by_slot.entry(slot).or_default().meta = Some(meta.map(Into::into));
    }

    /// Labels are as `labels::encode` writes them.
    pub(super) fn set_labels(&mut self, slot: u32, labels: &Bytes) {
        self.by_slot.entry(slot).or_default().labels = Some(labels.as_slice().into());
    }

    /// The session has gone.
    pub(super) fn forget(&mut self, slot: u32) {
        self.by_slot.remove(&slot);
        let len = self.by_slot.len();
        if len == 0 || len < self.by_slot.capacity() / 8 {
            self.by_slot.shrink_to(len * 2);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let len = |part: Option<&Box<[u8]>>| part.map_or(0, |part| part.len());
        let parts = self.by_slot.values().map(|Changed { meta, labels, token }| {
            let token = token.as_ref().map_or(0, |token| size_of::<Token>() + token.uid.len());
            len(meta.as_ref().and_then(Option::as_ref)) + len(labels.as_ref()) + token
        });
        parts.sum::<usize>() + self.by_slot.capacity() * size_of::<(u32, Changed)>()
    }
}
