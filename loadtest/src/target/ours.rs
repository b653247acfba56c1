//! How the programs of `loadtest/peers` are told what to do: by variables of the environment.

use super::kind::{Launch, Wanted};
use super::options::{PONG_TIMEOUT_S, pong_timeout_ms};

pub(super) fn launch(wanted: &Wanted<'_>) -> Launch {
    let ping_interval_s = wanted.args.ping_interval();
    // Our peers have no default of their own: they are told Rollcall's.
    let pong_timeout_ms = pong_timeout_ms(ping_interval_s).unwrap_or(PONG_TIMEOUT_S * 1000);
    Launch {
        environment: vec![
            ("PEER_ADDRESS", wanted.address.to_string()),
            ("PEER_PING_INTERVAL_MS", (ping_interval_s * 1000).to_string()),
            ("PEER_PONG_TIMEOUT_MS", pong_timeout_ms.to_string()),
        ],
        secrets: vec![
            ("PEER_TOKEN_SECRET", wanted.secret.to_owned()),
            ("PEER_API_KEY", wanted.key.to_owned()),
        ],
        ..Launch::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind;
    use super::super::tests::launch;
    use crate::transport::Transport;

    #[test]
    fn a_peer_of_ours_is_told_by_variables() {
        for (flags, interval, timeout) in
            [("", "25000", "8000"), ("--ping-interval 4", "4000", "2000")]
        {
            let launch = launch(Kind::Axum, flags, Transport::Websocket);
            let expected = [
                ("PEER_ADDRESS", "127.0.0.1:9".to_owned()),
                ("PEER_PING_INTERVAL_MS", interval.to_owned()),
                ("PEER_PONG_TIMEOUT_MS", timeout.to_owned()),
            ];
            assert_eq!(launch.environment, expected);
            assert_eq!(launch.secrets[0], ("PEER_TOKEN_SECRET", "SECRET".to_owned()));
        }
    }
}
