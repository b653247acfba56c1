//! Who gets in: passwords, tokens, and those who guess.

use serde_json::json;

use super::{PASSWORD, authorization, init, login, start};
use crate::harness::{KEY, eventually, token};

#[test]
fn a_password_opens_the_server_api_of_the_page_and_nothing_else() {
    let server = start(&json!({"http_api": {"disabled": true}}));
    let session = server.session("42");
    let shown = authorization(&server, "");
    let mut conn = server.connect();
    let headers = [("Authorization", shown.as_str())];

    let facts = init(&mut conn, &[]);
    assert_eq!(facts["insecure"], false);
    assert_eq!(facts["edition"], "rollcall");
    assert_eq!(facts["authenticated"], false);
    assert_eq!(facts["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(init(&mut conn, &headers)["authenticated"], true);

    let body = br#"{"user":"42"}"#;
    let listed = conn.post("/admin/api/connections", &headers, body).json();
    assert!(listed["result"]["connections"][session.client()].is_object(), "{listed}");
    let legacy = br#"{"method":"user_connections","params":{"user":"42"}}"#;
    let listed = conn.post("/admin/api", &headers, legacy).json();
    assert!(listed["result"]["connections"][session.client()].is_object(), "{listed}");
    let batch = br#"{"commands":[{"info":{}},{"connections":{"user":"42"}}]}"#;
    let replies = conn.post("/admin/api/batch", &headers, batch).json();
    assert_eq!(replies["replies"].as_array().map(Vec::len), Some(2), "{replies}");
    let closed = conn.post("/admin/api/disconnect", &headers, body).json();
    assert_eq!(closed["result"]["closed"], 1);
    assert_eq!(conn.post("/api/info", &headers, b"{}").status, 404);
    assert_eq!(conn.post("/admin/api/none", &headers, b"{}").status, 404);
}

#[test]
fn a_watch_of_the_page_is_the_one_of_the_api() {
    let server = start(&json!({}));
    let session = server.session("42");
    let shown = authorization(&server, "");
    let mut conn = server.connect();
    let headers = [("Authorization", shown.as_str())];
    let body = br#"{"user":"42"}"#;
    conn.send(&crate::harness::request("POST", "/admin/api/watch", &headers, body));
    let head = conn.head();
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("text/event-stream; charset=utf-8"))
    );
    let mut told = String::new();
    while !told.contains("\"ready\"") {
        told += &String::from_utf8(conn.chunk().expect("it goes on")).expect("text");
    }
    assert!(told.contains(&session.client()), "{told}");
    drop(session);
    while !told.contains("\"closed\"") {
        told += &String::from_utf8(conn.chunk().expect("it goes on")).expect("text");
    }
}

#[test]
fn whoever_shows_no_good_token_is_refused_before_the_body_is_read() {
    let server = start(&json!({}));
    let good = authorization(&server, "");
    let jwt = token("42", json!({}));
    let (_, of_page) = good.split_once(' ').expect("a scheme");
    let mut conn = server.connect();
    for wrong in [
        None,
        Some(String::new()),
        Some("token".to_owned()),
        Some("token insecure".to_owned()),
        Some(format!("token {jwt}")),
        Some(format!("token {KEY}")),
        Some(format!("apikey {KEY}")),
        Some(format!("token {PASSWORD}")),
        Some(format!("token {}", &of_page[1..])),
        Some(format!("token {}", &of_page[..of_page.len() - 1])),
        Some(format!("token B{}", &of_page[1..])),
        Some(format!("{good}, {good}")),
        Some(format!("Basic {of_page}")),
    ] {
        let headers: Vec<_> = wrong.iter().map(|value| ("Authorization", value.as_str())).collect();
        for path in ["", "/info", "/connections", "/batch", "/watch"] {
            let refused = conn.post(&format!("/admin/api{path}"), &headers, b"not even JSON");
            assert_eq!(refused.status, 401, "{wrong:?} {path}");
            assert!(refused.text().starts_with("sign in"), "{}", refused.text());
        }
        assert_eq!(init(&mut conn, &headers)["authenticated"], false, "{wrong:?}");
    }
    // What the API takes elsewhere is no way in here, nor the other way round.
    let other = conn.post("/admin/api/info", &[("X-API-Key", KEY)], b"{}");
    assert_eq!(other.status, 401);
    let key = KEY.replace(' ', "+");
    let in_query = format!("/admin/api/info?token={of_page}&api_key={key}");
    assert_eq!(conn.post(&in_query, &[], b"{}").status, 401);
    assert_eq!(conn.post("/api/info", &[("Authorization", &good)], b"{}").status, 401);
    let metrics = conn.call("info", json!({}));
    let items = &metrics["result"]["nodes"][0]["metrics"]["items"];
    assert_eq!(items["rollcall.admin_logins"], 1);
    assert!(items["rollcall.admin_unauthorized"].as_u64() > Some(60), "{items}");
}

#[test]
fn a_token_outlives_a_restart_and_not_a_change_of_the_password() {
    let good = authorization(&start(&json!({})), "");
    let admits = |with| {
        let headers = [("Authorization", good.as_str())];
        start(&with).connect().post("/admin/api/info", &headers, b"{}").status
    };
    assert_eq!(admits(json!({})), 200);
    assert_eq!(admits(json!({"admin": {"password": "another"}})), 401);
    assert_eq!(admits(json!({"admin": {"secret": "another"}})), 401);
}

#[test]
fn a_login_is_a_form_or_json_of_bounded_size() {
    let server = start(&json!({}));
    let mut conn = server.connect();
    let form = format!("password={}", PASSWORD.replace(' ', "+"));
    let parts = format!(
        "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{PASSWORD}\r\n--b--\r\n"
    );
    let answer = conn.post("/admin/auth", &[], form.as_bytes());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.json()["token"].is_string());
    let multipart = [("Content-Type", "multipart/form-data; boundary=b")];
    assert_eq!(conn.post("/admin/auth", &multipart, parts.as_bytes()).status, 200);
    assert_eq!(login(&mut conn, "", PASSWORD).status, 200);

    let refused = conn.post("/admin/auth", &[], b"passwort=1");
    assert_eq!(refused.status, 400);
    assert!(refused.text().starts_with("no password found"), "{}", refused.text());
    let wrong = login(&mut conn, "", "another");
    assert_eq!((wrong.status, wrong.text().as_str()), (400, "wrong password\n"));
    assert_eq!(wrong.header("cache-control"), Some("no-store"));
    assert_eq!(conn.request("GET", "/admin/auth", &[], b"").status, 405);
    let large = vec![b'a'; 64 * 1024 + 1];
    assert_eq!(server.connect().post("/admin/auth", &[], &large).status, 413);
}

#[test]
fn whoever_guesses_is_slowed_down_whichever_shard_answers() {
    let server = start(&json!({}));
    let good = authorization(&server, "");
    let guess = || login(&mut server.connect(), "", "a guess");
    let mut wrong = 0;
    let refused = loop {
        let answer = guess();
        match answer.status {
            400 => wrong += 1,
            429 => break answer,
            other => panic!("{other}: {}", answer.text()),
        }
    };
    // One more for every six seconds that this machine took, and for every other shard.
    assert!((10..40).contains(&wrong), "{wrong}");
    let wait_s: u64 = refused.header("retry-after").expect("how long").parse().expect("seconds");
    assert!((1..=6).contains(&wait_s), "{wait_s}");
    assert!(refused.text().starts_with("too many wrong passwords"), "{}", refused.text());
    // The right password waits as well, or a guess would be told from the others.
    let right = eventually("it is refused", || {
        while guess().status == 400 {}
        let answer = login(&mut server.connect(), "", PASSWORD);
        (answer.status == 429).then_some(answer)
    });
    assert!(right.header("retry-after").is_some());
    let headers = [("Authorization", good.as_str())];
    assert_eq!(server.connect().post("/admin/api/info", &headers, b"{}").status, 200);
    let info = server.call("info", json!({}));
    let items = &info["result"]["nodes"][0]["metrics"]["items"];
    assert!(items["rollcall.admin_logins_refused"].as_u64() > Some(wrong), "{items}");
}

#[test]
fn without_a_password_or_a_secret_nobody_signs_in_and_the_log_says_so() {
    for with in [json!({"password": ""}), json!({"secret": ""})] {
        let server = start(&json!({"admin": with}));
        assert!(server.log.iter().any(|line| {
            line["message"].as_str().is_some_and(|text| text.contains("nobody can sign in"))
        }));
        for password in ["", PASSWORD] {
            let refused = login(&mut server.connect(), "", password);
            assert_eq!(refused.status, 400);
            assert!(refused.text().contains("must both be set"), "{}", refused.text());
        }
        let headers = [("Authorization", "token insecure")];
        assert_eq!(server.connect().post("/admin/api/info", &headers, b"{}").status, 401);
    }
}

#[test]
fn insecure_lets_everybody_in_and_warns() {
    let server = start(&json!({"admin": {"insecure": true, "password": "", "secret": ""}}));
    assert!(server.log.iter().any(|line| {
        let is_warning = line["level"] == "WARN";
        let text = line["message"].as_str().unwrap_or_default();
        is_warning && text.starts_with("INSECURE admin mode enabled")
    }));
    let mut conn = server.connect();
    let facts = init(&mut conn, &[]);
    assert_eq!((&facts["insecure"], &facts["authenticated"]), (&json!(true), &json!(true)));
    assert_eq!(conn.post("/admin/api/info", &[], b"{}").status, 200);
    let elsewhere = [("Sec-Fetch-Site", "cross-site")];
    assert_eq!(conn.post("/admin/api/info", &elsewhere, b"{}").status, 403);
    assert_eq!(conn.post("/api/info", &[], b"{}").status, 401);
}

#[test]
fn what_is_secret_is_in_no_log() {
    let mut server = start(&json!({"log": {"level": "trace"}}));
    let good = authorization(&server, "");
    let (_, of_page) = good.split_once(' ').expect("a scheme");
    login(&mut server.connect(), "", "a wrong guess");
    let headers = [("Authorization", good.as_str())];
    assert_eq!(server.connect().post("/admin/api/info", &headers, b"{}").status, 200);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let log: Vec<_> =
        server.log.iter().map(ToString::to_string).chain(server.later.try_iter()).collect();
    assert!(log.iter().any(|line| line.contains("admin")), "{log:#?}");
    for secret in [of_page, PASSWORD, "a secret of the page", "a wrong guess"] {
        assert!(!log.iter().any(|line| line.contains(secret)), "{secret}");
    }
}
