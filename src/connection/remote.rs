//! Where a client really comes from: its own address, or what a proxy that is trusted says.

/// The networks whose word is taken for where a client comes from.
#[derive(Clone, Default, Debug)]
pub struct TrustedProxies;
