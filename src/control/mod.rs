//! THE OTHER THREAD: the only place that knows tokio. It does what needs waiting for the world
//! outside the data plane; for now: signals, the goodbye, and telling a person what happens.
//!
//! Used by `server`. One more peer of the mesh: it never touches a shard's data.

pub mod endpoint;
