//! Users see and close their own sessions through their SDK's `rpc`, without any backend.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::device::{APP_NAME, APP_VERSION, Device};
use crate::harness::{Server, unix_s};
use crate::table::on_every_client;

/// A session that may ask for its user's sessions.
fn session(device: &mut Device, label: &str, server: &Server) -> String {
    let token = device.token(json!({"sessions": "self", "meta": {"note": "private"}}));
    device.session(label, server, &token)
}

/// What `sessions.list` says, by client id.
fn list(device: &mut Device, label: &str) -> BTreeMap<String, Value> {
    let answer = device.rpc(label, "sessions.list", json!({})).expect("a list");
    let sessions = answer["sessions"].as_array().expect("sessions").iter();
    let by_id = sessions.map(|session| {
        (session["client"].as_str().expect("a client id").to_owned(), session.clone())
    });
    by_id.collect()
}

#[test]
fn every_client_lists_its_users_sessions_and_knows_its_own() {
    on_every_client(&json!({}), |server, device| {
        let (one, two) = (session(device, "one", server), session(device, "two", server));
        for (label, own) in [("one", &one), ("two", &two)] {
            let listed = list(device, label);
            assert_eq!(listed.len(), 2, "{listed:?}");
            assert!(listed.contains_key(&one) && listed.contains_key(&two), "{listed:?}");
            for (client, session) in listed {
                let current = session["current"].as_bool().unwrap_or_default();
                assert_eq!(current, client == **own, "{session}");
                assert_eq!(session["app_name"], APP_NAME, "{session}");
                assert_eq!(session["app_version"], APP_VERSION, "{session}");
                assert_eq!(session["transport"], device.client.transport, "{session}");
                assert_eq!(session["protocol"], device.client.protocol, "{session}");
                let connected_ms = session["connected_at_ms"].as_i64().expect("a time");
                assert!((unix_s() * 1000 - connected_ms).abs() < 60_000, "{session}");
                assert_eq!(session.get("meta"), None, "{session}");
            }
        }
    });
}

#[test]
fn every_client_closes_another_session_of_its_user_and_all_the_others() {
    on_every_client(&json!({}), |server, device| {
        let one = session(device, "one", server);
        let two = session(device, "two", server);
        assert_eq!(device.rpc("one", "sessions.close", json!({"client": two})), Ok(json!({})));
        assert_eq!(device.next("two", "disconnected")["code"], 3503);
        assert_eq!(server.listed(&device.user()), [one.as_str()]);

        for label in ["three", "four"] {
            session(device, label, server);
        }
        assert_eq!(device.rpc("one", "sessions.close_others", json!({})), Ok(json!({})));
        assert_eq!(server.listed(&device.user()), [one.as_str()]);
        for label in ["three", "four"] {
            assert_eq!(device.next(label, "disconnected")["code"], 3503);
        }
        assert_eq!(list(device, "one").into_keys().collect::<Vec<_>>(), [one]);
    });
}

#[test]
fn no_client_closes_a_session_of_another_user() {
    on_every_client(&json!({}), |server, device| {
        session(device, "one", server);
        let stranger = server.session(&format!("not {}", device.user()));
        let params = json!({"client": stranger.client()});
        drop(device.rpc("one", "sessions.close", params));
        let listed = server.listed(&format!("not {}", device.user()));
        assert_eq!(listed, [stranger.client()]);
    });
}

#[test]
fn without_the_claim_and_for_unknown_methods_every_client_gets_an_error() {
    on_every_client(&json!({}), |server, device| {
        session(device, "allowed", server);
        let unknown = device.rpc("allowed", "sessions.lost", json!({}));
        assert_eq!(code(&unknown), 104, "{unknown:?}");
        let foreign = device.rpc("allowed", "orders.list", json!({}));
        assert_eq!(code(&foreign), 108, "{foreign:?}");

        let token = device.token(json!({}));
        device.session("not allowed", server, &token);
        for (method, data) in [
            ("sessions.list", json!({})),
            ("sessions.close", json!({"client": "x"})),
            ("sessions.close_others", json!({})),
        ] {
            let refused = device.rpc("not allowed", method, data);
            assert_eq!(code(&refused), 103, "{method}: {refused:?}");
        }
        assert_eq!(server.listed(&device.user()).len(), 2);
    });
}

fn code(answer: &Result<Value, Value>) -> u64 {
    let error = answer.as_ref().expect_err("an error");
    error["code"].as_u64().expect("a code of the server")
}
