//! A node as an operator would run it, and what clients and backends send to it: tokens with a
//! `jti` and 64 bytes of `meta`, an API key, one request per question.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};
use rollcall::api;
use rollcall::auth::TokenOptions;
use rollcall::connection::Options;
use rollcall::connection::options::{Endpoints, StreamEndpoint};
use rollcall::ids::uuid_text;

use super::random::random;

/// As long as the secrets `genconfig` writes.
const SECRET: &str =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef012345";
const API_KEY: &str = "7b3ea1a8-8f5d-4f0e-9a64-4a4bd6a8d7a1";
/// `{"alg":"HS256","typ":"JWT"}`
const TOKEN_HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
const META: &str = r#"{"plan":"pro","device":"pixel-9","roles":["admin","support-eu"]}"#;

/// The defaults of the configuration, with the stream endpoint on.
pub(crate) fn options() -> Options {
    Options {
        node_name: "bench".to_owned(),
        endpoints: Endpoints {
            uni_http_stream: Some(StreamEndpoint {
                path: "/connection/uni_http_stream".to_owned(),
                body_bytes_max: 64 * 1024,
                http_refusals: None,
            }),
            ..Endpoints::default()
        },
        api: Some(api::Options {
            prefix: "/api".to_owned(),
            key: API_KEY.to_owned(),
            insecure: false,
            error_mode_transport: false,
            body_bytes_max: 1024 * 1024,
        }),
        token: TokenOptions { hmac_secret: Some(SECRET.to_owned()), ..TokenOptions::default() },
        ..Options::default()
    }
}

/// What the nth session's client sends: a token of its own, a name and a version.
pub(crate) fn connect_request(user: &str, n: u64) -> Vec<u8> {
    let jti = uuid_text(&((u128::from(random(n)) << 64) | u128::from(random(!n))).to_be_bytes());
    let jti = std::str::from_utf8(&jti).expect("digits and hyphens");
    let claims = format!(r#"{{"sub":"{user}","iat":1732000000,"jti":"{jti}","meta":{META}}}"#);
    let message = format!("{TOKEN_HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::HS256, &key).expect("an HMAC key");
    let signature = signer.try_sign(message.as_bytes()).expect("HMAC signs any bytes");
    let signature = URL_SAFE_NO_PAD.encode(signature);
    let body = format!(r#"{{"token":"{message}.{signature}","name":"ios","version":"1.2.3"}}"#);
    post("/connection/uni_http_stream", "", &body)
}

/// What a backend sends to learn a user's sessions.
pub(crate) fn query_request(user: &str) -> Vec<u8> {
    api_request(&format!(r#"{{"method": "user_connections", "params": {{"user": "{user}"}}}}"#))
}

/// One request to the server API.
pub(crate) fn api_request(body: &str) -> Vec<u8> {
    post("/api", &format!("Authorization: apikey {API_KEY}\r\n"), body)
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let bytes = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: bench\r\nAccept: */*\r\n\
         Content-Type: application/json\r\n{headers}Content-Length: {bytes}\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}
