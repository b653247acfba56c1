//! Ceilings that more than one module depends on. A ceiling of one module stands there, as a
//! constant whose documentation says what happens at it; `docs/operating.md` lists all of them.

/// Shards of one node: each owns one bit of a directory mask. More cores than this stay unused;
/// the configuration refuses a larger `shards.count`.
pub const SHARDS_MAX: usize = 64;

const _: () = assert!(SHARDS_MAX <= u64::BITS as usize, "a directory mask is one u64");

/// Brackets in brackets in what a client sends to be passed on: deeper is refused as a malformed
/// request, because whoever reads it next may recurse. Our own reading never does
/// (`too_deep_data_is_refused_and_no_depth_costs_stack`).
pub const CLIENT_JSON_DEPTH_MAX: usize = 128;
