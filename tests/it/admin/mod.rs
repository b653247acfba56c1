//! The operators' page over real sockets: who gets in, what stands where, and what it may call.

mod door;
mod places;
mod stats;

use serde_json::{Value, json};

use crate::harness::{Conn, Response, Server, overlay};

const PASSWORD: &str = "a password of the tests";

/// A server with the page, and what else is configured.
fn start(with: &Value) -> Server {
    let mut config = json!({
        "admin": {"enabled": true, "password": PASSWORD, "secret": "a secret of the page"},
    });
    overlay(&mut config, with);
    Server::start(&config)
}

/// `{"password":…}` to the login.
fn login(conn: &mut Conn, prefix: &str, password: &str) -> Response {
    let body = json!({"password": password}).to_string();
    let headers = [("Content-Type", "application/json")];
    conn.post(&format!("{prefix}/admin/auth"), &headers, body.as_bytes())
}

/// What somebody who has signed in shows.
fn authorization(server: &Server, prefix: &str) -> String {
    let answer = login(&mut server.connect(), prefix, PASSWORD);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["token"].as_str().expect("a token").to_owned();
    format!("token {token}")
}

fn init(conn: &mut Conn, headers: &[(&str, &str)]) -> Value {
    conn.request("GET", "/admin/init", headers, b"").json()
}
