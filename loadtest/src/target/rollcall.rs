//! Rollcall, as this tree builds it.

use serde_json::{Map, Value};

use super::kind::{Launch, Program, Wanted};
use super::options::options;

pub(super) const PROGRAM: Program =
    Program { file: "rollcall", built_by: "cargo build --release -p rollcall" };

pub(super) fn launch(wanted: &Wanted<'_>) -> Launch {
    let args = wanted.args;
    let mut config = options(wanted);
    let mut shards = Map::new();
    if let Some(count) = args.shards {
        shards.insert("count".into(), count.into());
    }
    for (name, value) in [("driver", &args.driver), ("parking", &args.parking)] {
        if let Some(value) = value {
            shards.insert(name.into(), value.as_str().into());
        }
    }
    config["shards"] = Value::from(shards);
    Launch { config: Some(config), arguments: args.server_arg.clone(), ..Launch::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kind::Kind;
    use super::super::tests::launch;
    use crate::transport::Transport;

    #[test]
    fn the_started_server_is_told_only_what_was_asked() {
        let launch = launch(Kind::Rollcall, "--shards 2 --server-arg=-v", Transport::Websocket);
        let config = launch.config.unwrap();
        assert_eq!(config["http_server"], json!({"address": "127.0.0.1", "port": 9}));
        let client = json!({"token": {"hmac_secret_key": "SECRET"}, "ping_interval": "25s"});
        assert_eq!(config["client"], client);
        assert_eq!(config["shards"], json!({"count": 2}));
        let sections: Vec<_> = config.as_object().unwrap().keys().collect();
        assert_eq!(sections, ["client", "http_api", "http_server", "shards"]);
        assert_eq!(launch.arguments, ["-v"]);
    }
}
