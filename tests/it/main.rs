//! The outer wall: the real binary, real sockets, real command-line clients.
#![expect(
    clippy::disallowed_methods,
    clippy::excessive_nesting,
    clippy::needless_pass_by_value,
    reason = "tests wait with a deadline, nest threads in scopes, and pass literals"
)]

mod access;
mod admin;
mod api;
mod bad_input;
mod cli;
mod closed;
mod connect_rates;
mod dev;
mod engine;
mod fence;
mod grpc;
mod grpc_api;
mod harness;
mod history;
mod hostile;
mod jwks;
mod labels;
mod life;
mod own_sessions;
mod page;
mod pair;
mod proxy;
mod queries;
mod refresh;
mod replies;
mod seats;
mod secrets;
mod shared;
mod socket;
mod status;
mod stream;
mod streams;
mod swagger;
mod synthetic;
mod tokens;
mod truth;
mod watch;
mod webhooks;
mod websocket;
