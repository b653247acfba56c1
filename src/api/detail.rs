//! What an answer says beside the sessions it lists, and how the details of many answers become
//! one.

use super::encode::Object;
use super::groups::Groups;
use super::node_stats::ShardStats;
use super::page::Rows;
use super::terms::Receipt;
use super::user_status::UserStatus;
use crate::auth::Until;

/// What there is to tell; most answers have none of it.
#[derive(PartialEq, Eq, Default, Debug)]
pub(super) struct Detail {
    /// Sessions that were looked at, when no index could tell which ones are meant.
    pub(super) scanned: Option<u64>,
    /// Sessions that the expression said nothing of.
    pub(super) unsaid: u64,
    /// The time was over before all had been looked at.
    pub(super) is_cut: bool,
    /// A page of sessions.
    pub(super) rows: Option<Rows>,
    /// How many sessions have which value.
    pub(super) groups: Option<Groups>,
    /// What was done to sessions.
    pub(super) receipt: Option<Receipt>,
    /// What is known of the users asked for, in their order.
    pub(super) statuses: Vec<UserStatus>,
    /// How shards are.
    pub(super) stats: Vec<ShardStats>,
    /// Until when the user asked for is blocked, if they are.
    pub(super) block: Option<Until>,
}

impl Detail {
    /// Adds another shard's.
    pub(super) fn add(&mut self, other: Self) {
        if let Some(scanned) = other.scanned {
            *self.scanned.get_or_insert_default() += scanned;
        }
        self.unsaid += other.unsaid;
        self.is_cut |= other.is_cut;
        match (&mut self.rows, other.rows) {
            (Some(rows), Some(others)) => rows.add(others),
            (mine, others) => *mine = mine.take().or(others),
        }
        match (&mut self.groups, other.groups) {
            (Some(groups), Some(others)) => groups.add(others),
            (mine, others) => *mine = mine.take().or(others),
        }
        if let Some(receipt) = other.receipt {
            self.receipt.get_or_insert_default().add(receipt);
        }
        self.statuses.extend(other.statuses);
        self.stats.extend(other.stats);
        self.block = self.block.or(other.block);
    }

    /// Writes what it says about looking.
    pub(super) fn write_scan(&self, object: &mut Object<'_>) {
        if let Some(scanned) = self.scanned {
            object.integer("scanned", scanned);
        }
        if self.unsaid > 0 {
            object.integer("expression_errors", self.unsaid);
        }
    }
}
