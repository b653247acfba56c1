//! Tokens whose keys are published, and not known to the shard yet.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

use super::*;
use crate::auth::{Endpoint, Jwks, KeyRing, KeySearch, KeySet, Safety, TokenOptions};

const ADDRESS: &str = "https://idp.example/keys";

/// A key pair and the id it is published by.
struct Key {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl Key {
    fn new(id: &'static str) -> Self {
        Self { id, pair: Ed25519KeyPair::generate().unwrap() }
    }

    fn token(&self, ttl_s: i64) -> String {
        let encode = |json: serde_json::Value| BASE64URL.encode(json.to_string());
        let claims = json!({"sub": "ann", "exp": NOW.unix_s() + ttl_s});
        let header = json!({"alg": "EdDSA", "kid": self.id});
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(message.as_bytes());
        format!("{message}.{}", BASE64URL.encode(signature.as_ref()))
    }

    fn connect(&self) -> String {
        json!({"id": 1, "connect": {"token": self.token(60)}}).to_string()
    }

    fn refresh(&self, id: u32) -> Vec<u8> {
        let refresh = json!({"id": id, "refresh": {"token": self.token(600)}}).to_string();
        frame(0x81, refresh.as_bytes())
    }
}

fn publish(ring: &KeyRing, keys: &[&Key]) {
    let jwk = |key: &&Key| {
        let x = BASE64URL.encode(key.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": key.id, "x": x})
    };
    let keys: Vec<_> = keys.iter().map(jwk).collect();
    ring.put(ADDRESS, KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap());
}

fn world() -> (World, KeyRing) {
    let ring = KeyRing::default();
    let endpoint = Endpoint::new(ADDRESS, &[], Safety::Checked).unwrap();
    let jwks = Jwks { endpoint, ring: ring.clone(), age_max: Duration::MAX };
    let token = TokenOptions { jwks: Some(jwks), ..TokenOptions::default() };
    (World::with(Options { token, ..Options::default() }), ring)
}

/// The one inquiry for a key that was made.
fn needed(said: &mut Said, id: &str) -> InquiryId {
    assert_eq!(said.inquiries.len(), 1);
    let (inquiry, Inquiry::Key(needed)) = said.inquiries.remove(0) else {
        panic!("asked for something else")
    };
    assert_eq!((&*needed.address, &*needed.id), (ADDRESS, id));
    inquiry
}

#[test]
fn a_connect_whose_key_is_not_known_waits_until_it_is() {
    let (mut world, ring) = world();
    let key = Key::new("1");
    let behind = r#"{"id":2,"rpc":{"method":"a"}}"#;
    let conn = world.websocket(0, &[&key.connect(), behind]);
    let mut said = world.said(conn);
    let inquiry = needed(&mut said, "1");
    assert!(!said.text.contains("connect\":{"), "{}", said.text);
    publish(&ring, &[&key]);
    world.found(inquiry, Finding::Key(KeySearch::Found));
    let text = world.said(conn).text;
    let at = |part| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}"));
    assert!(at(r#""id":1,"connect""#) < at(r#""id":2,"error""#), "{text}");
    assert_eq!(world.users(), ["ann"]);
    // From now on nobody is asked.
    let conn = world.websocket(2, &[&key.connect()]);
    assert!(world.said(conn).inquiries.is_empty());
    assert_eq!(world.users(), ["ann", "ann"]);
}

#[test]
fn only_a_key_that_does_not_exist_is_refused_for_good() {
    for (finding, is_published, is_final) in [
        (Finding::Key(KeySearch::Unknown), false, true),
        // Somebody else has put the keys there by now.
        (Finding::Key(KeySearch::Found), false, false),
        (Finding::Nothing, true, false),
        (Finding::NotAsked, true, false),
    ] {
        let (mut world, ring) = world();
        let (key, other) = (Key::new("1"), Key::new("2"));
        let conn = world.websocket(0, &[&key.connect()]);
        let inquiry = needed(&mut world.said(conn), "1");
        publish(&ring, &[if is_published { &key } else { &other }]);
        let told = format!("{finding:?}");
        world.found(inquiry, finding);
        let text = world.said(conn).text;
        if is_final {
            assert!(text.contains("invalid token"), "{told}: {text}");
        } else {
            check_refused(&text, conn);
        }
        assert_eq!(world.users(), [""; 0], "{told}");
    }
}

#[test]
fn a_session_whose_next_key_is_not_known_stays_and_the_key_is_fetched_once() {
    let (mut world, ring) = world();
    let keys = [Key::new("1"), Key::new("2"), Key::new("3")];
    publish(&ring, &[&keys[0]]);
    let conn = world.websocket(0, &[&keys[0].connect()]);
    world.said(conn);
    world.bytes(conn, &keys[1].refresh(2));
    world.bytes(conn, &keys[1].refresh(3));
    world.bytes(conn, &keys[2].refresh(4));
    let mut said = world.said(conn);
    let inquiry = needed(&mut said, "2");
    for id in 2..5 {
        let error = r#""error":{"code":100,"message":"internal server error","temporary":true}"#;
        assert!(said.text.contains(&format!(r#"{{"id":{id},{error}}}"#)), "{}", said.text);
    }
    publish(&ring, &[&keys[0], &keys[1]]);
    world.found(inquiry, Finding::Key(KeySearch::Found));
    world.bytes(conn, &keys[1].refresh(5));
    world.bytes(conn, &keys[2].refresh(6));
    let mut said = world.said(conn);
    assert!(said.text.contains(r#"{"id":5,"refresh":{"#), "{}", said.text);
    // The next one is fetched as soon as the last has been.
    needed(&mut said, "3");
    assert_eq!(world.users(), ["ann"]);
}
