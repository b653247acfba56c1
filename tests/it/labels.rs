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
