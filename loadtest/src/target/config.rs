//! What the started server is told.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::cli::CommonArgs;
use crate::transport::{Carrier, Transport};

/// `client.pong_timeout` of a server that is not told.
const PONG_TIMEOUT_S: u64 = 8;

/// The options the server is started with: only what the run depends on, the rest its defaults.
pub(super) fn config(
    args: &CommonArgs,
    transport: Transport,
    [address, grpc]: [SocketAddr; 2],
    [secret, key]: [&str; 2],
) -> Value {
    let mut shards = serde_json::Map::new();
    if let Some(count) = args.shards {
        shards.insert("count".into(), count.into());
    }
    for (name, value) in [("driver", &args.driver), ("parking", &args.parking)] {
        if let Some(value) = value {
            shards.insert(name.into(), value.as_str().into());
        }
    }
    let mut config = json!({
        "http_server": {"address": address.ip().to_string(), "port": address.port()},
        "client": {
            "token": {"hmac_secret_key": secret},
            "ping_interval": format!("{}s", args.ping_interval),
        },
        "http_api": {"key": key},
        "shards": shards,
    });
    // The time to answer a ping must be shorter than the time between two.
    if args.ping_interval <= PONG_TIMEOUT_S {
        let half_ms = args.ping_interval * 1000 / 2;
        config["client"]["pong_timeout"] = format!("{half_ms}ms").into();
    }
    if !transport.is_on_by_default() {
        config[transport.name()] = json!({"enabled": true});
    }
    if transport.carrier() == Carrier::Grpc {
        let section = &mut config[transport.name()];
        section["address"] = grpc.ip().to_string().into();
        section["port"] = grpc.port().into();
    }
    config
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn the_started_server_is_told_only_what_was_asked() {
        let config = configured("--shards 2", Transport::Websocket);
        assert_eq!(config["http_server"], json!({"address": "127.0.0.1", "port": 9}));
        let client = json!({"token": {"hmac_secret_key": "s"}, "ping_interval": "25s"});
        assert_eq!(config["client"], client);
        assert_eq!(config["shards"], json!({"count": 2}));
        let sections: Vec<_> = config.as_object().unwrap().keys().collect();
        assert_eq!(sections, ["client", "http_api", "http_server", "shards"]);
    }

    #[test]
    fn the_time_for_a_pong_is_shorter_than_the_ping_interval() {
        let config = configured("--ping-interval 5", Transport::Websocket);
        assert_eq!(config["client"]["ping_interval"], "5s");
        assert_eq!(config["client"]["pong_timeout"], "2500ms");
    }

    #[test]
    fn a_transport_is_switched_on_where_it_must_be() {
        let config = configured("--shards 1", Transport::UniSse);
        assert_eq!(config["uni_sse"], json!({"enabled": true}));
        let config = configured("--shards 1", Transport::UniGrpc);
        let section = json!({"enabled": true, "address": "127.0.0.1", "port": 10});
        assert_eq!(config["uni_grpc"], section);
    }

    fn configured(flags: &str, transport: Transport) -> Value {
        let line = format!("x idle {flags}");
        let Command::Idle(args) = Cli::parse_from(line.split(' ')).command else {
            panic!("{line}")
        };
        let ports = ["127.0.0.1:9", "127.0.0.1:10"].map(|address| address.parse().unwrap());
        config(&args.common, transport, ports, ["s", "k"])
    }
}
