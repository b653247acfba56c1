//! The options Rollcall and Centrifugo share, under the names both know.

use serde_json::{Value, json};

use super::kind::Wanted;
use crate::transport::Carrier;

/// `client.pong_timeout` of a server that is not told.
pub(crate) const PONG_TIMEOUT_S: u64 = 8;

/// The options a server is started with: only what the run depends on, the rest its defaults.
pub(super) fn options(wanted: &Wanted<'_>) -> Value {
    let Wanted { args, transport, address, grpc, secret, key } = wanted;
    let mut options = json!({
        "http_server": {"address": address.ip().to_string(), "port": address.port()},
        "client": {
            "token": {"hmac_secret_key": secret},
            "ping_interval": format!("{}s", args.ping_interval()),
        },
        "http_api": {"key": key},
    });
    if let Some(timeout_ms) = pong_timeout_ms(args.ping_interval()) {
        options["client"]["pong_timeout"] = format!("{timeout_ms}ms").into();
    }
    if !transport.is_on_by_default() {
        options[transport.name()] = json!({"enabled": true});
    }
    if transport.carrier() == Carrier::Grpc {
        let section = &mut options[transport.name()];
        section["address"] = grpc.ip().to_string().into();
        section["port"] = grpc.port().into();
    }
    options
}

/// The time to answer a ping, which must be shorter than the time between two; `None` where the
/// default is.
pub(super) const fn pong_timeout_ms(ping_interval_s: u64) -> Option<u64> {
    if ping_interval_s <= PONG_TIMEOUT_S { Some(ping_interval_s * 1000 / 2) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind;
    use super::super::tests::launch;
    use super::*;
    use crate::transport::Transport;

    fn told(flags: &str, transport: Transport) -> Value {
        launch(Kind::Rollcall, flags, transport).config.unwrap()
    }

    #[test]
    fn the_time_for_a_pong_is_shorter_than_the_ping_interval() {
        let options = told("--ping-interval 5", Transport::Websocket);
        assert_eq!(options["client"]["ping_interval"], "5s");
        assert_eq!(options["client"]["pong_timeout"], "2500ms");
    }

    #[test]
    fn a_transport_is_switched_on_where_it_must_be() {
        let options = told("--shards 1", Transport::UniSse);
        assert_eq!(options["uni_sse"], json!({"enabled": true}));
        let options = told("--shards 1", Transport::UniGrpc);
        let section = json!({"enabled": true, "address": "127.0.0.1", "port": 10});
        assert_eq!(options["uni_grpc"], section);
    }
}
