//! Rollcall knows, at every moment, who is connected.
#![forbid(unsafe_code)]

pub mod ids;
pub mod limits;
pub mod time;

pub mod auth;
pub mod mesh;
pub mod observe;
pub mod protocol;
pub mod session;
pub mod wire;
