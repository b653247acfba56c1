//! Labels: given by a token, listed for the backend, told to nobody else.

use serde_json::{Value, json};

use crate::harness::{Server, token};

/// The labels of each of a user's sessions, by client id.
fn labels_of(server: &Server, user: &str, client: &str) -> Value {
    let listed = server.call("connections", json!({"user": user}));
    listed["result"]["connections"][client]["labels"].clone()
}

#[test]
fn labels_of_a_token_are_listed_for_the_backend_and_for_nobody_else() {
    let server = Server::start(&json!({}));
    let labels = json!({"region": "eu", "a \"quoted\" key": "a <secret> value"});
    // On each shard one, whichever takes it.
    for n in 0..8 {
        let claims = json!({"labels": labels, "sessions": "self"});
        let stream = server.session_with(json!({"token": token(&format!("user-{n}"), claims)}));
        assert!(!stream.first.to_string().contains("secret"), "{}", stream.first);
        assert_eq!(labels_of(&server, &format!("user-{n}"), &stream.client()), labels);
        let old = server.call("user_connections", json!({"user": format!("user-{n}")}));
        assert!(!old.to_string().contains("secret"), "{old}");
    }
    let without = server.session("42");
    assert_eq!(labels_of(&server, "42", &without.client()), Value::Null);
}

#[test]
fn a_token_whose_labels_are_no_labels_or_too_many_is_invalid() {
    let server = Server::start(&json!({"labels": {"max_count": 1, "max_value_size": 3}}));
    for (labels, is_valid) in [
        (json!({"a": "123"}), true),
        (json!({}), true),
        (json!({"a": "1234"}), false),
        (json!({"a": "1", "b": "2"}), false),
        (json!({"a": 1}), false),
        (json!(["a"]), false),
    ] {
        let claims = json!({"labels": labels});
        let first = server.session_raw(&json!({"token": token("42", claims)}));
        let code = if is_valid { Value::Null } else { json!(3500) };
        assert_eq!(first["disconnect"]["code"], code, "{labels}: {first}");
    }
}

#[test]
fn labels_and_meta_of_live_sessions_change_on_every_shard_and_clients_hear_nothing() {
    let server = Server::start(&json!({"shards": {"count": 2}}));
    let claims = json!({"labels": {"plan": "free"}, "meta": {"secret": 1}});
    let connect = json!({"token": token("42", claims)});
    let mut streams: Vec<_> = (0..8).map(|_| server.session_with(connect.clone())).collect();
    let all = json!({"result": {"matched": 8, "updated": 8}});
    let set = json!({"user": "42", "set": {"plan": "pro", "region": "eu"}});
    assert_eq!(server.call("update_labels", set), all);
    assert_eq!(server.call("update_meta", json!({"user": "42", "meta": {"secret": 2}})), all);
    let one = json!({"client": streams[0].client(), "unset": ["region"]});
    assert_eq!(server.call("update_labels", one), json!({"result": {"matched": 1, "updated": 1}}));
    // Whichever shard is asked.
    for _ in 0..8 {
        let listed = server.call("connections", json!({"user": "42"}));
        for (at, stream) in streams.iter().enumerate() {
            let connection = &listed["result"]["connections"][stream.client()];
            let mut labels = json!({"plan": "pro", "region": "eu"});
            if at == 0 {
                labels = json!({"plan": "pro"});
            }
            assert_eq!(connection["labels"], labels);
            assert_eq!(connection["state"]["meta"], json!({"secret": 2}));
        }
    }
    server.call("disconnect", json!({"user": "42"}));
    for stream in &mut streams {
        let last = stream.push_after_pings().expect("a last line");
        assert_eq!(last["disconnect"]["code"], json!(3503), "{last}");
    }
    // They ended as they were last.
    let ended = server.call("connections", json!({"user": "42", "state": "closed"}));
    let ended = &ended["result"]["connections"][streams[1].client()];
    assert_eq!(ended["labels"], json!({"plan": "pro", "region": "eu"}), "{ended}");
    assert_eq!(ended["state"]["meta"], json!({"secret": 2}), "{ended}");
}
