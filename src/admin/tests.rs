//! Who gets in, who does not, and what stands where.

use super::token::TOKEN_TTL_S;
use super::*;
use crate::limits::LabelLimits;
use crate::wire::http1::parse_head;

const START_S: u64 = 1_800_000_000;

fn now(unix_s: u64) -> Now {
    Now { mono_ms: 1_000, unix_ms: unix_s * 1_000 }
}

fn api_options() -> api::Options {
    api::Options {
        prefix: "/api".to_owned(),
        key: String::new(),
        insecure: false,
        error_mode_transport: false,
        body_bytes_max: 1024,
        user_status: api::Statuses::default(),
        label_filter: Default::default(),
        queries: api::QueryLimits::default(),
        labels: LabelLimits::default(),
    }
}

fn options(password: &str, secret: &str) -> Options {
    Options {
        prefix: String::new(),
        password: password.to_owned(),
        secret: secret.to_owned(),
        insecure: false,
        version: "1".to_owned(),
        api: api_options(),
        api_prefix: None,
        files: None,
    }
}

fn admin(password: &str, secret: &str) -> Admin {
    Admin::new(options(password, secret))
}

fn login(admin: &Admin, password: &str) -> Result<String, LoginError> {
    let body = format!("password={password}");
    admin.login(None, body.as_bytes(), None, now(START_S)).map(|answer| {
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["token"].as_str().unwrap().to_owned()
    })
}

/// Whether the API may be called with this header at this time.
fn admits(admin: &Admin, authorization: &str, unix_s: u64) -> bool {
    let head =
        format!("POST /admin/api HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n\r\n");
    let head = parse_head(head.as_bytes()).unwrap();
    let route = admin.route(head.path()).expect("the API");
    match admin.admit(&route, &head, now(unix_s)) {
        Ok(()) => true,
        Err(refusal) => {
            assert_eq!(refusal.status, Status(401));
            false
        }
    }
}

#[test]
fn a_password_becomes_a_token_that_is_good_for_thirty_days() {
    let admin = admin("p", "s");
    let token = login(&admin, "p").unwrap();
    let ttl_s = u64::try_from(TOKEN_TTL_S).unwrap();
    for shown in ["token", "Token", "Bearer", "bearer"].map(|scheme| format!("{scheme} {token}")) {
        assert!(admits(&admin, &shown, START_S), "{shown}");
        assert!(admits(&admin, &shown, START_S + ttl_s - 1));
        assert!(!admits(&admin, &shown, START_S + ttl_s));
    }
}

#[test]
fn a_token_dies_when_password_or_secret_changes_and_not_when_the_server_restarts() {
    let token = format!("token {}", login(&admin("p", "s"), "p").unwrap());
    assert!(admits(&admin("p", "s"), &token, START_S));
    for (password, secret) in [("p2", "s"), ("p", "s2"), ("", "s"), ("p", ""), ("s", "p")] {
        assert!(!admits(&admin(password, secret), &token, START_S), "{password} {secret}");
    }
}

#[test]
fn tokens_that_are_not_ours_are_refused() {
    let admin = admin("p", "s");
    let token = login(&admin, "p").unwrap();
    for wrong in [
        String::new(),
        token.clone(),
        "token".to_owned(),
        "token insecure".to_owned(),
        format!("apikey {token}"),
        format!("token {token} more"),
        format!("token {token}="),
        format!("token {token}A"),
        format!("token {}", token.to_lowercase()),
        format!("token {}", "A".repeat(token.len())),
        format!("token {}", "A".repeat(8_000)),
    ] {
        assert!(!admits(&admin, &wrong, START_S), "{wrong}");
    }
    for len in 0..token.len() {
        assert!(!admits(&admin, &format!("token {}", &token[..len]), START_S), "{len}");
    }
    for at in 0..token.len() {
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        let forged = format!("token {}{other}{}", &token[..at], &token[at + 1..]);
        assert!(!admits(&admin, &forged, START_S), "changed at {at}");
    }
}

#[test]
fn a_wrong_password_is_refused_and_a_missing_one_as_well() {
    let admin = admin("p", "s");
    for wrong in ["", "P", "pp", "p%00", "s"] {
        assert_eq!(login(&admin, wrong), Err(LoginError::WrongPassword), "{wrong}");
    }
    let unread = admin.login(None, b"{}", None, now(START_S));
    assert_eq!(unread, Err(LoginError::Unread));
    assert!(login(&admin, "p").is_ok());
}

#[test]
fn nobody_signs_in_without_a_password_and_a_secret_to_know() {
    for (password, secret) in [("", ""), ("p", ""), ("", "s")] {
        let admin = admin(password, secret);
        assert_eq!(login(&admin, password), Err(LoginError::Shut));
        assert!(!admits(&admin, "token insecure", START_S));
    }
}

#[test]
fn whoever_guesses_waits_even_with_the_right_password_and_tokens_do_not() {
    let admin = admin("p", "s");
    let token = format!("token {}", login(&admin, "p").unwrap());
    while login(&admin, "guess") == Err(LoginError::WrongPassword) {}
    assert_eq!(login(&admin, "p"), Err(LoginError::TooMany { retry_after_s: 6 }));
    assert!(admits(&admin, &token, START_S));
}

#[test]
fn insecure_lets_everybody_in() {
    let admin = Admin::new(Options { insecure: true, ..options("", "") });
    assert!(admits(&admin, "", START_S));
    let head = parse_head(b"GET /admin/init HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(
        admin.init(&head, now(START_S)),
        r#"{"insecure":true,"edition":"rollcall","authenticated":true,"version":"1"}"#
    );
}

#[test]
fn insecure_lets_in_no_page_of_another_site() {
    let open = Admin::new(Options { insecure: true, ..options("", "") });
    let locked = admin("p", "s");
    let status = |admin: &Admin, headers: &str| {
        let head = format!("POST /admin/api/info HTTP/1.1\r\nHost: a:8000\r\n{headers}\r\n");
        let head = parse_head(head.as_bytes()).unwrap();
        let route = admin.route(head.path()).expect("the API");
        admin.admit(&route, &head, now(START_S)).map_or_else(|refusal| refusal.status.0, |()| 200)
    };
    for (headers, expected) in [
        ("", 200),
        ("Sec-Fetch-Site: same-origin\r\nOrigin: https://proxy\r\n", 200),
        ("Sec-Fetch-Site: none\r\n", 200),
        ("Origin: http://a:8000\r\n", 200),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\nOrigin: http://a:8000\r\n", 403),
        ("Origin: http://b:8000\r\n", 403),
        ("Origin: http://a:80\r\n", 403),
        ("Origin: null\r\n", 403),
    ] {
        assert_eq!(status(&open, headers), expected, "{headers}");
        assert_eq!(status(&locked, headers), 401, "{headers}");
    }
}

#[test]
fn everything_lies_below_the_prefix() {
    for prefix in ["", "/ops", "/a/b"] {
        let admin = Admin::new(Options { prefix: prefix.to_owned(), ..options("p", "s") });
        let at = |path: &str| {
            admin.route(&format!("{prefix}{path}")).map(|route| match route {
                Route::Init => "init".to_owned(),
                Route::Login => "login".to_owned(),
                Route::Api(route) => format!("api {}", route.is_stream()),
                Route::Page(Place::File(_)) => "file".to_owned(),
                Route::Page(Place::Moved(to)) => format!("-> {to}"),
            })
        };
        assert_eq!(at("/admin/init").as_deref(), Some("init"));
        assert_eq!(at("/admin/auth").as_deref(), Some("login"));
        for call in ["/admin/api", "/admin/api/batch", "/admin/api/info"] {
            assert_eq!(at(call).as_deref(), Some("api false"), "{call}");
        }
        assert_eq!(at("/admin/api/watch").as_deref(), Some("api true"));
        for file in ["/", "/index.html", "/app.js", "/openapi.json"] {
            assert_eq!(at(file).as_deref(), Some("file"), "{prefix}{file}");
        }
        let last = prefix.rsplit('/').next().unwrap();
        let moved = (!prefix.is_empty()).then(|| format!("-> {last}/"));
        assert_eq!(at(""), moved);
        for nothing in
            ["/admin", "/admin/", "/admin/api/", "/admin/api/none", "/admin/apis", "x", "//"]
        {
            assert_eq!(at(nothing), None, "{prefix}{nothing}");
        }
        assert_eq!(admin.route("/elsewhere").map(|_| ()), None);
    }
}

#[test]
fn secrets_are_not_debugged() {
    let options = options("the password", "the secret");
    let shown = format!("{:?} {options:?}", Admin::new(options.clone()));
    assert!(!shown.contains("the "), "{shown}");
}
