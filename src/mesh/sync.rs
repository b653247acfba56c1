//! What the mesh is built of. `modelled.rs` compiles the files beside this one a second time
//! against the model checker's versions of the same names.
//!
//! The ring is `rtrb`: wait-free, and each side keeps a copy of the other's index, so that the
//! shared indices are read once per batch rather than once per message. `benches/mesh.rs`
//! compares it with what else there is.

pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};

pub(super) use atomic_waker::AtomicWaker;
pub(super) use rtrb::{Consumer, Producer};

/// A ring of this many slots; its memory is taken now and touched as it is used.
pub(super) fn ring<M>(slots: usize) -> (Producer<M>, Consumer<M>) {
    rtrb::RingBuffer::new(slots)
}
