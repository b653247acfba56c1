//! Every ceiling that is not an option, with what happens there and the relations between them.

/// Shards of one node: each owns one bit of a directory mask. More cores than this stay unused;
/// the configuration refuses a larger `shards.count`.
pub const SHARDS_MAX: usize = 64;

const _: () = assert!(SHARDS_MAX <= u64::BITS as usize, "a directory mask is one u64");
