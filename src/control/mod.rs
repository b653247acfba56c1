//! THE OTHER THREAD: the only place that knows tokio. It does what needs waiting for the world
//! outside the data plane: signals, the goodbye, telling a person what happens, clients that speak
//! gRPC, and storing what must outlive the process.
//!
//! Used by `server`. One more peer of the mesh: it never touches a shard's data.

pub mod api;
pub mod endpoint;
mod grpc;
pub mod keeper;
pub mod outside;
mod rounds;
pub mod shared;
pub mod store;
mod store_own;
mod store_redb;
pub mod unigrpc;
pub mod webhook;
