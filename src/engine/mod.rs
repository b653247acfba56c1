//! THE CORE'S BODY: the only place that knows monoio. It moves bytes and decides nothing.
//!
//! Used by `server`, one engine per shard. Never looks into a byte, never knows the control
//! thread except as one more peer of the mesh.
//!
//! Reading order: [`boot`] (one pinned thread, one ring), [`accept`], `drive` (events in,
//! machine, effects out), `sockets`, [`parking`], `remote` (connections without a socket),
//! `process` (what all of them use), `breath` (a turn for everything else).

pub mod accept;
pub mod boot;
mod breath;
mod drive;
mod outbox;
pub mod parking;
mod process;
mod remote;
mod sockets;

use std::cell::RefCell;
use std::rc::Rc;

/// One shard's body, shared by the few tasks of its thread. Borrowed only between awaits.
type Shared<P> = Rc<RefCell<drive::Drive<P>>>;
