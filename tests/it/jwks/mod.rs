//! Keys that an identity provider publishes: fetched by the real server from a provider that
//! publishes, rotates, fails, hangs, and comes back.

mod provider;

use std::process::Command;

use serde_json::{Value, json};

use self::provider::Provider;
use crate::harness::{Output, Server, eventually, overlay, run, unix_s};
use crate::pair::Pair;
use crate::socket::{Heard, Socket};

/// A server that takes its keys from there.
fn server(url: &str, more: &Value) -> Server {
    let mut token = json!({"jwks_public_endpoint": url});
    overlay(&mut token, more);
    Server::start(&json!({"client": {"token": token}}))
}

fn edwards<'d>(dir: &'d tempfile::TempDir, name: &'static str) -> Pair<'d> {
    Pair::new(dir.path(), name, &["ED25519"])
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn token(pair: &Pair<'_>, id: &str, more: &Value) -> String {
    let mut claims = json!({"sub": "ann", "exp": unix_s() + 600});
    overlay(&mut claims, more);
    pair.token_with(&json!({"alg": "EdDSA", "kid": id}), &claims)
}

/// What a bidirectional client is told that brings this token.
fn connect(server: &Server, token: &str) -> (Socket, Value) {
    let mut socket = Socket::open(server, "websocket", &[]);
    socket.say(&json!({"id": 1, "connect": {"token": token}}));
    let reply = match socket.hear() {
        Heard::Text(text) => serde_json::from_str(&text).expect("JSON"),
        Heard::Closed(code, reason) => json!({"disconnect": {"code": code, "reason": reason}}),
        other @ (Heard::Binary(_) | Heard::Ping | Heard::Cut) => panic!("{other:?}"),
    };
    (socket, reply)
}

/// Whether it gets in; it may only be refused for now.
fn is_in(server: &Server, token: &str) -> bool {
    let (_socket, reply) = connect(server, token);
    if reply["connect"].is_object() {
        return true;
    }
    assert_eq!(reply["error"], for_now(), "{reply}");
    false
}

/// Whether it is refused for good; it may only be refused for now before.
fn is_out(server: &Server, token: &str) -> bool {
    let (_socket, reply) = connect(server, token);
    if reply["disconnect"] == json!({"code": 3500, "reason": "invalid token"}) {
        return true;
    }
    assert_eq!(reply["error"], for_now(), "{reply}");
    false
}

/// Whether it is refused for good, having been let in before.
fn is_gone(server: &Server, token: &str) -> bool {
    let (_socket, reply) = connect(server, token);
    reply["connect"].is_null() && is_out(server, token)
}

fn for_now() -> Value {
    json!({"code": 100, "message": "internal server error", "temporary": true})
}

#[test]
fn clients_get_in_with_every_kind_of_key_that_is_published_and_with_no_other() {
    let dir = dir();
    let rsa = Pair::new(dir.path(), "rsa", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let elliptic = Pair::new(dir.path(), "ec", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let pair = edwards(&dir, "ed");
    let mut provider = Provider::start();
    provider.publish(&[rsa.jwk("r"), elliptic.jwk("e"), pair.jwk("d")]);
    let server = server(&provider.url(), &json!({}));
    let claims = json!({"sub": "ann", "exp": unix_s() + 600});
    for (pair, algorithm, id) in
        [(&rsa, "RS256", "r"), (&elliptic, "ES256", "e"), (&pair, "EdDSA", "d")]
    {
        let good = pair.token_with(&json!({"alg": algorithm, "kid": id}), &claims);
        assert!(is_in(&server, &good), "{algorithm}");
        let nameless = pair.token(algorithm, &claims);
        assert!(is_out(&server, &nameless), "{algorithm} without kid");
        let other = pair.token_with(
            &json!({"alg": algorithm, "kid": if id == "r" { "e" } else { "r" }}),
            &claims,
        );
        assert!(is_out(&server, &other), "{algorithm} of another's kid");
    }
    // Configured secrets do not count beside them.
    assert!(is_out(&server, &crate::harness::token("ann", json!({}))));
    assert_eq!(provider.asked(), ["/keys"], "once for all of them");
}

#[test]
fn keys_are_rotated_and_nobody_is_sent_away_for_good_who_has_a_new_one() {
    let dir = dir();
    let (old, new) = (edwards(&dir, "old"), edwards(&dir, "new"));
    let mut provider = Provider::start();
    provider.publish(&[old.jwk("old")]);
    let server = server(&provider.url(), &json!({}));
    eventually("the first key is known", || {
        is_in(&server, &token(&old, "old", &json!({}))).then_some(())
    });
    let (mut socket, reply) = connect(&server, &token(&old, "old", &json!({})));
    assert!(reply["connect"].is_object(), "{reply}");
    provider.publish(&[old.jwk("old"), new.jwk("new")]);
    // The session's next token, before anybody else has one of the new key.
    eventually("the session goes on", || {
        let refresh = json!({"token": token(&new, "new", &json!({}))});
        socket.say(&json!({"id": 2, "refresh": refresh}));
        let reply = socket.reply();
        assert!(reply["refresh"].is_object() || reply["error"] == for_now(), "{reply}");
        reply["refresh"].is_object().then_some(())
    });
    for pair in [("old", &old), ("new", &new)] {
        assert!(is_in(&server, &token(pair.1, pair.0, &json!({}))), "{}", pair.0);
    }
}

#[test]
fn keys_that_have_grown_old_are_fetched_again_and_one_that_is_gone_counts_no_more() {
    let dir = dir();
    let (old, new) = (edwards(&dir, "old"), edwards(&dir, "new"));
    let mut provider = Provider::start();
    provider.publish(&[old.jwk("k")]);
    let server = server(&provider.url(), &json!({"jwks_max_age": "1s"}));
    let of_old = token(&old, "k", &json!({}));
    eventually("the key is known", || is_in(&server, &of_old).then_some(()));
    // While they cannot be fetched, those that are known stay.
    for failure in [
        json!({"status": 500}),
        json!({"body": "<html>"}),
        json!({"body": {"keys": []}}),
        json!({"body": "x".repeat(600 * 1024)}),
        json!({"then": "cut"}),
        json!({"then": "hang"}),
    ] {
        provider.answer("/keys", &failure);
        let times = provider.asked().len();
        // Two attempts are one failure.
        provider.wait_asked(times + 3);
        assert!(is_in(&server, &of_old), "{failure}");
    }
    server.wait_log("the keys of tokens cannot be fetched");
    // Another key under the same name, that no token has asked for.
    provider.publish(&[new.jwk("k")]);
    let of_new = token(&new, "k", &json!({}));
    eventually("the other key counts", || {
        connect(&server, &of_new).1["connect"].is_object().then_some(())
    });
    server.wait_log("the keys of tokens can be fetched again");
    assert!(is_out(&server, &of_old));
    // And one that is not there at all any more.
    provider.publish(&[old.jwk("other")]);
    eventually("the key is gone", || is_gone(&server, &of_new).then_some(()));
}

#[test]
fn an_outage_of_the_provider_is_a_refusal_for_now_until_it_is_back() {
    let dir = dir();
    let pair = edwards(&dir, "key");
    let provider = Provider::start();
    let (url, port) = (provider.url(), provider.port);
    drop(provider);
    let server = server(&url, &json!({}));
    let good = token(&pair, "k", &json!({}));
    server.wait_log("the keys of tokens cannot be fetched");
    assert!(!is_in(&server, &good));
    let uni = server.session_raw(&json!({"token": good}));
    assert_eq!(uni, json!({"disconnect": {"code": 3004, "reason": "internal server error"}}));
    let mut provider = Provider::on(port, &[]);
    for failure in [json!({"status": 503}), json!({"then": "cut"}), json!({"then": "hang"})] {
        provider.answer("/keys", &failure);
        let times = provider.asked().len();
        eventually("it is asked", || {
            assert!(!is_in(&server, &good), "{failure}");
            (provider.asked().len() > times).then_some(())
        });
    }
    provider.publish(&[pair.jwk("k")]);
    eventually("it is back", || is_in(&server, &good).then_some(()));
}

#[test]
fn many_who_need_the_same_keys_wait_for_one_answer_and_nobody_waits_with_them() {
    let dir = dir();
    let (one, two) = (edwards(&dir, "one"), edwards(&dir, "two"));
    let mut provider = Provider::start();
    provider.answer("/one", &json!({"body": {"keys": [one.jwk("k")]}}));
    provider.answer("/two", &json!({"then": "hang"}));
    let base = provider.url().replace("/keys", "");
    let more = json!({"issuer_regex": "^(?P<realm>one|two)$"});
    let server = server(&format!("{base}/{{{{realm}}}}"), &more);
    let of_two = token(&two, "k", &json!({"iss": "two"}));
    let mut waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut socket = Socket::open(&server, "websocket", &[]);
            socket.say(&json!({"id": 1, "connect": {"token": of_two}}));
            socket
        })
        .collect();
    provider.wait_asked(1);
    let of_one = token(&one, "k", &json!({"iss": "one"}));
    assert!(is_in(&server, &of_one), "others go on");
    provider.answer("/two", &json!({"body": {"keys": [two.jwk("k")]}}));
    // On a busy machine it may have been too late for those who came first.
    waiting.retain_mut(|socket| {
        let reply = socket.reply();
        assert!(reply["connect"].is_object() || reply["error"] == for_now(), "{reply}");
        reply["connect"].is_object()
    });
    eventually("the key is there", || is_in(&server, &of_two).then_some(()));
    let asked = provider.asked().iter().filter(|path| *path == "/two").count();
    assert!(asked <= 4, "asked {asked} times for twenty");
    // Whose keys they are is not for the token to choose.
    assert!(is_out(&server, &token(&one, "k", &json!({"iss": "two"}))), "signed by another realm");
    for stranger in ["three", "one/../two", ""] {
        assert!(is_out(&server, &token(&one, "k", &json!({"iss": stranger}))), "{stranger}");
    }
    assert!(provider.asked().iter().all(|path| path == "/one" || path == "/two"));
}

#[test]
fn tokens_of_unknown_keys_are_no_flood_for_the_provider() {
    let dir = dir();
    let (pair, other) = (edwards(&dir, "key"), edwards(&dir, "other"));
    let mut provider = Provider::start();
    provider.publish(&[pair.jwk("k")]);
    let began = std::time::Instant::now();
    let server = server(&provider.url(), &json!({}));
    let good = token(&pair, "k", &json!({}));
    eventually("the key is known", || is_in(&server, &good).then_some(()));
    for nth in 0..200 {
        is_out(&server, &token(&other, &format!("unknown-{nth}"), &json!({})));
    }
    // Who has been told is told again without asking; who knows the key is let in all the while.
    let unknown = token(&other, "unknown", &json!({}));
    eventually("it is known to be unknown", || is_out(&server, &unknown).then_some(()));
    assert!(is_in(&server, &good));
    let pauses = began.elapsed().as_secs() / 5;
    let asked = provider.asked().len() as u64;
    assert!(asked <= 2 + pauses, "asked {asked} times, with {pauses} pauses between");
}

/// What `checktoken` says about a token, with these variables set.
fn checktoken(token: &str, variables: &[(&str, &str)]) -> Output {
    let dir = dir();
    let mut command = Command::new(crate::harness::binary());
    command.current_dir(dir.path()).args(["checktoken", token]);
    run(command.envs(variables.iter().copied()))
}

#[test]
fn checktoken_fetches_the_keys_and_says_what_is_wrong() {
    const ENDPOINT: &str = "CENTRIFUGO_CLIENT_TOKEN_JWKS_PUBLIC_ENDPOINT";
    let dir = dir();
    let pair = edwards(&dir, "key");
    let mut provider = Provider::start();
    provider.publish(&[pair.jwk("k")]);
    let url = provider.url();
    let good = token(&pair, "k", &json!({}));
    let output = checktoken(&good, &[(ENDPOINT, &url)]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("valid token for user ann"), "{output:?}");
    let unknown = checktoken(&token(&pair, "u", &json!({})), &[(ENDPOINT, &url)]);
    let gone = checktoken(&good, &[(ENDPOINT, "http://127.0.0.1:9/keys")]);
    let nameless = pair.token("EdDSA", &json!({"sub": "ann"}));
    let nameless = checktoken(&nameless, &[(ENDPOINT, &url)]);
    for (output, why) in [
        (unknown, format!("there is no key \"u\" at {url}")),
        (gone, "keys cannot be fetched from http://127.0.0.1:9/keys: cannot be reached".to_owned()),
        (nameless, "the header has no \"kid\"".to_owned()),
    ] {
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(&why), "{why}: {output:?}");
    }
}

#[test]
fn a_provider_shows_a_certificate_that_the_system_trusts_or_is_not_believed() {
    const ENDPOINT: &str = "CENTRIFUGO_CLIENT_TOKEN_JWKS_PUBLIC_ENDPOINT";
    let dir = dir();
    let pair = edwards(&dir, "key");
    let [cert, key] = crate::pair::certificate(dir.path(), "localhost");
    let [other, _] = crate::pair::certificate(dir.path(), "other.example");
    let mut provider = Provider::on(0, &[&cert, &key]);
    provider.publish(&[pair.jwk("k")]);
    let good = token(&pair, "k", &json!({}));
    let url = format!("https://localhost:{}/keys", provider.port);
    let trusted = checktoken(&good, &[(ENDPOINT, &url), ("SSL_CERT_FILE", &cert)]);
    assert_eq!(trusted.code, Some(0), "{trusted:?}");
    let by_address = url.replace("localhost", "127.0.0.1");
    for (url, roots) in [(&url, &other), (&by_address, &cert)] {
        let output = checktoken(&good, &[(ENDPOINT, url), ("SSL_CERT_FILE", roots)]);
        assert_eq!(output.code, Some(1), "{url} {roots}: {output:?}");
        assert!(output.stderr.contains("cannot be reached"), "{output:?}");
    }
}
