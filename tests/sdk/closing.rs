//! Connections the server ends or never lets in: the code arrives, and the SDK comes back or not,
//! as the code says.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::device::Device;
use crate::harness::{SECRET, Server, sign, unix_s};
use crate::table::{on_every_client, on_every_page};

/// Long enough for a client to come back that should not: it would do so within 200 ms.
const COMES_BACK: Duration = Duration::from_millis(1500);

fn close(server: &Server, device: &Device, disconnect: &Value) {
    let mut params = json!({"user": device.user()});
    if !disconnect.is_null() {
        params["disconnect"] = disconnect.clone();
    }
    assert_eq!(server.call("disconnect", params), json!({"result": {"matched": 1, "closed": 1}}));
    assert_eq!(server.listed(&device.user()), [""; 0]);
}

#[test]
fn a_terminal_code_of_the_api_ends_every_client_for_good() {
    let by_default = json!({"code": 3503, "reason": "force disconnect"});
    let of_the_application = json!({"code": 4501, "reason": "you are banned"});
    on_every_client(&json!({}), |server, device| {
        for (label, asked, told) in
            [("one", &Value::Null, &by_default), ("two", &of_the_application, &of_the_application)]
        {
            let token = device.token(json!({}));
            device.session(label, server, &token);
            close(server, device, asked);
            let disconnected = device.next(label, "disconnected");
            assert_eq!(disconnected["code"], told["code"], "{disconnected}");
            assert_eq!(disconnected["reason"], told["reason"], "{disconnected}");
        }
        device.rests(COMES_BACK);
        assert_eq!(server.listed(&device.user()), [""; 0]);
    });
}

#[test]
fn any_other_code_brings_every_client_back_as_a_new_session() {
    on_every_client(&json!({}), |server, device| {
        let token = device.token(json!({}));
        let mut client = device.session("one", server, &token);
        for (code, reason) in [(3011, "force reconnect"), (4100, "come back")] {
            let told = json!({"code": code, "reason": reason});
            let params = json!({"user": device.user(), "disconnect": told});
            assert_eq!(
                server.call("disconnect", params),
                json!({"result": {"matched": 1, "closed": 1}})
            );
            let connecting = device.next("one", "connecting");
            assert_eq!(connecting["code"], code, "{connecting}");
            assert_eq!(connecting["reason"], reason, "{connecting}");
            let back = device.connected("one");
            assert_ne!(back, client);
            assert_eq!(server.listed(&device.user()), [back.as_str()]);
            client = back;
        }
    });
}

/// The SDK drops the token it has and asks the application for another.
#[test]
fn an_invalidated_state_brings_every_client_back_with_a_new_token() {
    on_every_client(&json!({}), |server, device| {
        let token = device.token(json!({"jti": "old"}));
        device.session("one", server, &token);
        close(server, device, &json!({"code": 3014, "reason": "state invalidated"}));
        assert_eq!(device.next("one", "connecting")["code"], 3014);
        device.give_token("one", || json!({"jti": "new"}));
        let back = device.connected("one");
        let listing = server.call("user_connections", json!({"user": device.user()}));
        let uid = &listing["result"]["connections"][&back]["token_uid"];
        assert_eq!(uid, "new", "{listing}");
    });
}

#[test]
fn a_bad_token_ends_every_client_for_good() {
    on_every_client(&json!({}), |server, device| {
        let claims = json!({"sub": device.user(), "exp": unix_s() + 3600});
        let forged = sign(Algorithm::HS256, &format!("not {SECRET}"), &claims);
        for (label, token) in [("one", forged.as_str()), ("two", "no token at all")] {
            device.connect(label, server, token);
            let disconnected = device.next(label, "disconnected");
            assert_eq!(disconnected["code"], 3500, "{disconnected}");
            assert_eq!(disconnected["reason"], "invalid token", "{disconnected}");
        }
        device.rests(COMES_BACK);
        assert_eq!(server.listed(&device.user()), [""; 0]);
    });
}

#[test]
fn an_expired_token_is_replaced_before_the_first_connection() {
    on_every_client(&json!({}), |server, device| {
        let token = device.token(json!({"exp": unix_s() - 10}));
        device.connect("one", server, &token);
        device.give_token("one", || json!({}));
        let client = device.connected("one");
        assert_eq!(server.listed(&device.user()), [client]);
    });
}

/// A browser keeps an answer from a page whose origin the server does not name.
#[test]
fn a_page_of_another_origin_never_gets_in() {
    let elsewhere = json!({"client": {"allowed_origins": ["https://elsewhere.example"]}});
    on_every_page(&elsewhere, |server, device| {
        let token = device.token(json!({}));
        device.connect("one", server, &token);
        // The page tries on and never hears a word.
        for _ in 0..3 {
            device.next("one", "error");
        }
        device.disconnect("one");
        assert_eq!(device.next("one", "disconnected")["code"], 0);
    });
}
