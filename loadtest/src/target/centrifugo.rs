//! Centrifugo. It lists who is subscribed to a channel, not who is connected: so it is told to
//! subscribe every session to the channel of its user, with presence.

use serde_json::json;

use super::kind::{Launch, Program, Wanted};
use super::options::options;

pub(super) const PROGRAM: Program = Program {
    file: "centrifugo",
    built_by: "GOBIN=$PWD/target/release go install \
               github.com/centrifugal/centrifugo/v6@v6.9.1",
};

pub(super) fn launch(wanted: &Wanted<'_>) -> Launch {
    let mut config = options(wanted);
    config["client"]["subscribe_to_user_personal_channel"] = json!({"enabled": true});
    config["channel"] = json!({"without_namespace": {"presence": true}});
    Launch { config: Some(config), ..Launch::default() }
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind;
    use super::super::tests::launch;
    use crate::transport::Transport;

    #[test]
    fn every_session_is_subscribed_to_a_channel_with_presence() {
        let config = launch(Kind::Centrifugo, "", Transport::Websocket).config.unwrap();
        assert_eq!(config["client"]["subscribe_to_user_personal_channel"]["enabled"], true);
        assert_eq!(config["channel"]["without_namespace"]["presence"], true);
        assert_eq!(config["client"]["token"]["hmac_secret_key"], "SECRET");
        assert!(config.get("shards").is_none());
    }
}
