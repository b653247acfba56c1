//! Tokens: accepted only with a signature of our key, which is computed here by itself; and then
//! with the claims a plain reader finds.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use rollcall::auth::{Expected, TokenError, TokenOptions, Verifier, read_unverified};
use rollcall::limits::LabelLimits;
use rollcall::time::Now;

use crate::input::{Input, compose};
use crate::token_model::{self as model, NOW_S};

const SECRET: &str = "a secret of the fuzz targets";
const OTHER_SECRET: &str = "a secret of somebody else";

const NOW: Now = Now { mono_ms: 5, unix_ms: NOW_S.cast_unsigned() * 1000 };

const HEADERS: &[&str] = &[
    r#"{"alg":"HS256","typ":"JWT"}"#,
    r#"{"alg":"HS384"}"#,
    r#"{"alg":"HS512"}"#,
    r#"{"typ":"JWT","alg":"H\u0053256","kid":"k"}"#,
    r#"{"alg":"HS256","kid":{"a":[1]}}"#,
    r#"{"alg":"none"}"#,
    r#"{"alg":"RS256"}"#,
    r#"{"alg":"HS256","crit":["exp"]}"#,
    r#"{"alg":"HS256","crit":null}"#,
    r#"{"alg":"HS256","alg":"HS256"}"#,
    r#"["HS256"]"#,
];

const WORDS: &[&str] = &[
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\"sub\":\"42\"",
    "\"exp\":1732000060",
    "\"exp\":\"1731999999.5\"",
    "\"nbf\":1731999999",
    "\"nbf\":1.732e9",
    "\"iat\":1731999990.7",
    "\"jti\":\"t\\u0031\"",
    "\"aud\":[\"a\",\"b\"]",
    "\"aud\":\"a\"",
    "\"iss\":\"i\"",
    "\"expire_at\":1732000100",
    "\"expire_at\":-1",
    "\"info\":{\"a\": 1}",
    "\"b64info\":\"AAE=\"",
    "\"meta\":{ \"k\" : [1, 2.50] }",
    "\"sessions\":\"self\"",
    "\"sessions\":[1]",
    "\"connection_limit\":3",
    "\"connection_limit\":-1",
    "\"channel\":\"\"",
    "\"channel\":\"c\"",
    "\"sub\":",
    "\"exp\":",
    "\"meta\":",
    "null",
    "-0",
    "1e400",
    "[",
    "]",
    "\\ud83d",
    "\"channels\":[[]]",
    " ",
    "true",
    "é",
    "\"labels\":{\"a\":\"b\"}",
    "\"labels\":{\"a\":\"long\"}",
    "\"labels\":",
];

fn expected(bit: u8, text: &str) -> Expected {
    if bit == 0 { Expected::Anything } else { Expected::Exactly(text.to_owned()) }
}

/// A token, ours or anybody's.
pub(crate) fn token(input: &mut Input<'_>) {
    let bits = input.byte();
    let options = TokenOptions {
        hmac_secret: Some(SECRET.into()),
        audience: expected(bits & 1, "a"),
        issuer: expected(bits & 2, "i"),
        labels: LabelLimits { count_max: 2, key_bytes_max: 2, value_bytes_max: 3 },
        ..TokenOptions::default()
    };
    let text = if bits & 4 != 0 {
        signed(input, bits)
    } else {
        String::from_utf8_lossy(input.rest()).into_owned()
    };
    let verifier = Verifier::new(&options);
    let verified = verifier.verify(&text, NOW);
    // Nothing is left behind by one that was looked at before.
    let token = sign(HEADERS[0], b"{\"sub\":\"before\",\"meta\":1}", hmac::HMAC_SHA256, SECRET);
    drop(verifier.verify(&token, NOW));
    assert_eq!(verifier.verify(&text, NOW), verified);

    assert_eq!(Verifier::new(&TokenOptions::default()).verify(&text, NOW), Err(TokenError::NoKey));
    let others = TokenOptions { hmac_secret: Some(OTHER_SECRET.into()), ..options.clone() };
    let by_others = Verifier::new(&others).verify(&text, NOW);
    assert!(by_others.is_err() || !is_ours(&text), "one signature, two keys");

    if let Err(error) = &verified {
        let shown = format!("{error}{error:?}{:?}", error.fault());
        assert!(shown.len() < 400 && !shown.contains(SECRET));
    }
    if !is_ours(&text) {
        assert!(verified.is_err(), "never without the key");
        return;
    }
    let unverified = read_unverified(&text);
    match (&verified, model::claims(&text, &options)) {
        (Ok(claims), Ok(Ok(expected))) => {
            assert_eq!(*claims, expected);
            assert!(unverified.is_ok());
        }
        (Err(_), Ok(Err(()))) | (_, Err(model::Unsure)) => {}
        (got, expected) => panic!("{got:?}, expected {expected:?}: {unverified:?}"),
    }
}

/// Whether the signature is one of our key over what stands before it, as the header names it.
fn is_ours(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return false };
    let Ok(signature) = BASE64URL.decode(signature) else { return false };
    let Some(algorithm) = model::algorithm(header) else { return false };
    let key = hmac::Key::new(algorithm, SECRET.as_bytes());
    hmac::verify(&key, format!("{header}.{payload}").as_bytes(), &signature).is_ok()
}

/// A token with a header and claims of any kind, signed by one of two keys, and perhaps changed
/// after that.
fn signed(input: &mut Input<'_>, bits: u8) -> String {
    let header = if input.below(8) == 0 { input.text() } else { input.pick(HEADERS).to_owned() };
    let named = model::algorithm(&BASE64URL.encode(&header)).unwrap_or(hmac::HMAC_SHA256);
    let algorithm = match input.below(16) {
        0 => hmac::HMAC_SHA384,
        _ => named,
    };
    let secret = if bits & 8 != 0 { OTHER_SECRET } else { SECRET };
    let (change, at) = (input.below(16), input.len());
    let claims = compose_claims(input);
    let token = sign(&header, &claims, algorithm, secret);
    let mut bytes = token.into_bytes();
    let at = at % bytes.len();
    match change {
        0 => bytes[at] ^= 1 << (bits >> 5),
        1 => bytes.truncate(at),
        2 => bytes.insert(at, b'.'),
        3 => bytes.push(b'='),
        _ => {}
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An object of claims, or anything.
fn compose_claims(input: &mut Input<'_>) -> Vec<u8> {
    if input.flag() {
        return compose(input, WORDS);
    }
    let members: Vec<&str> = (0..input.below(12)).map(|_| WORDS[5 + input.below(19)]).collect();
    let rest = compose(input, WORDS);
    [b"{", members.join(",").as_bytes(), b"}", &rest].concat()
}

fn sign(header: &str, claims: &[u8], algorithm: hmac::Algorithm, secret: &str) -> String {
    let message = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims));
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64URL.encode(signature))
}
