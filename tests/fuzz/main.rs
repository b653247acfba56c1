//! Fuzz targets of everything that reads what strangers send: one test each.
//!
//! `cargo test --test fuzz` replays what earlier runs found worth keeping (`__fuzz__/*/corpus`) and
//! what once failed (`__fuzz__/*/crashes`), and tries some random inputs, in seconds. `docs/testing.md`
//! says how the same targets are run under a coverage-guided engine.
//!
//! A target is no check that nothing panics: it compares with a reader that was written apart
//! (`*_model`), with the same bytes in other pieces, or with what is known to have been written.

mod input;

mod http1;
mod http1_model;

mod websocket;
mod websocket_model;

mod json;
mod protocol;
mod protocol_model;
mod protocol_replies;
mod protocol_writers;
#[path = "../../src/protocol/schema.rs"]
mod schema;

mod api;
mod token;
mod token_model;

use input::Input;

/// Random inputs of a target in an ordinary test run.
const ITERATIONS: usize = 2_000;

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident => $target:path;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            bolero::check!()
                .with_iterations(ITERATIONS)
                .for_each(|bytes: &[u8]| $target(&mut Input::new(bytes)));
        }
    )*};
}

targets! {
    http1_head => http1::head;
    http1_chunked => http1::chunked;
    http1_reply => http1::reply;
    websocket_decoder => websocket::decoder;
    websocket_handshake => websocket::handshake;
    protocol_commands_json => protocol::commands_json;
    protocol_commands_protobuf => protocol::commands_protobuf;
    protocol_connect_request => protocol::connect;
    protocol_emulation => protocol::emulation;
    protocol_replies => protocol_replies::replies;
    token => token::token;
    api_body => api::body;
}
