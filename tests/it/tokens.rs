//! Tokens of every algorithm, their keys made and used by `openssl`, as a backend would.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Server, run, unix_s};
use crate::pair::Pair;

fn claims(user: &str) -> Value {
    json!({"sub": user, "exp": unix_s() + 600})
}

fn lets_in(server: &Server, what: &str, token: &str) {
    let told = server.session_raw(&json!({"token": token}));
    assert!(told.get("connect").is_some(), "{what}: {told}");
}

fn refuses(server: &Server, what: &str, token: &str) {
    let told = server.session_raw(&json!({"token": token}));
    let invalid = json!({"disconnect": {"code": 3500, "reason": "invalid token"}});
    assert_eq!(told, invalid, "{what}");
}

#[test]
fn tokens_signed_with_keys_of_openssl_get_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let new = |name, kind: &[&str]| Pair::new(dir.path(), name, kind);
    let rsa = new("rsa", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let stranger = new("stranger", &["RSA", "-pkeyopt", "rsa_keygen_bits:3072"]);
    let edwards = new("edwards", &["ED25519"]);
    let curves = [("ES256", "P-256"), ("ES384", "P-384"), ("ES512", "P-521")];
    for (algorithm, curve) in curves {
        let elliptic = new(algorithm, &["EC", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")]);
        let server = Server::start(&json!({"client": {"token": {
            "rsa_public_key": rsa.certificate(),
            "ecdsa_public_key": elliptic.public(),
            "eddsa_public_key": edwards.public(),
        }}}));
        lets_in(&server, algorithm, &elliptic.token(algorithm, &claims("42")));
        for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
            lets_in(&server, algorithm, &rsa.token(algorithm, &claims("42")));
            refuses(&server, algorithm, &stranger.token(algorithm, &claims("42")));
        }
        lets_in(&server, "EdDSA", &edwards.token("EdDSA", &claims("42")));
        // HS256, HS384 and HS512 of the harness's own secret, which stays configured.
        server.session("42");
    }
}

#[test]
fn a_key_that_is_too_short_or_no_key_is_refused_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let short = Pair::new(dir.path(), "short", &["RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
    for (pem, expected) in [
        (short.public(), "an RSA key of 1024 bits: expected 2048 to 8192"),
        ("-----BEGIN PUBLIC KEY-----".to_owned(), "expected a PEM text"),
    ] {
        let output = run(Command::new(crate::harness::binary())
            .current_dir(dir.path())
            .env("CENTRIFUGO_CLIENT_TOKEN_RSA_PUBLIC_KEY", pem)
            .arg("checkconfig"));
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(expected), "{output:?}");
    }
}

#[test]
fn meta_labels_and_the_user_come_from_where_an_identity_provider_puts_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = Pair::new(dir.path(), "edwards", &["ED25519"]);
    let server = Server::start(&json!({"client": {"token": {
        "eddsa_public_key": pair.public(),
        "issuer_regex": r"^https://idp\.example/realms/(one|two)$",
        "audience": "app",
        "user_id_claim": "preferred_username",
        "meta_from_claim": {"roles": "realm_access.roles"},
        "labels_from_claim": [{"key": "region", "value": "geo.region"}],
    }}}));
    let claims = json!({"sub": "b7d1", "preferred_username": "42", "exp": unix_s() + 600,
        "iss": "https://idp.example/realms/two", "aud": ["account", "app"],
        "realm_access": {"roles": ["admin"]}, "geo": {"region": "eu"}});
    let _session = server.session_with(json!({"token": pair.token("EdDSA", &claims)}));
    let filter = json!({"op": "", "key": "region", "cmp": "eq", "val": "eu"});
    let found = server.call("connections", json!({"label_filter": filter}));
    let found = found["result"]["connections"].as_object().expect("sessions").clone();
    let session = found.values().next().expect("the session is found by its label");
    assert_eq!((&session["user"], &session["labels"]), (&json!("42"), &json!({"region": "eu"})));
    assert_eq!(session["state"]["meta"], json!({"roles": ["admin"]}));
    for (key, value) in [("iss", "https://idp.example/realms/three"), ("aud", "other")] {
        let mut other = claims.clone();
        other[key] = json!(value);
        refuses(&server, value, &pair.token("EdDSA", &other));
    }
}
