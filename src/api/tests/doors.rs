//! Which paths there are, who may call them, and how errors are told there.

use super::{hasher, head, options};
use crate::api::plan::{ErrorMode, Layout};
use crate::api::{Options, Refusal, Scratch, admit, plan, route};
use crate::auth::ApiKey;
use crate::wire::http1::{Status, parse_head};

#[test]
fn transport_error_mode_can_be_configured() {
    let transport = Options { error_mode_transport: true, ..options() };
    let head = head("POST", "/api/connections", "");
    let head = parse_head(head.as_bytes()).unwrap();
    let route = route(&transport, "/api/connections").unwrap();
    let mut scratch = Scratch::default();
    let plan = plan(&transport, &route, &head, b"{}", &mut scratch, &hasher()).unwrap();
    assert_eq!(plan.layout, Layout::Single(ErrorMode::Transport));
}

#[test]
fn a_path_is_exact_and_the_prefix_is_the_operators() {
    let at = |prefix: &str, path: &str| {
        let route = route(&Options { prefix: prefix.into(), ..options() }, path);
        route.map_or_else(|| "nothing".into(), |route| format!("{route:?}"))
    };
    for (prefix, path, expected) in [
        ("/api", "/api", "Legacy"),
        ("/api/", "/api", "Legacy"),
        ("/api", "/api/batch", "Batch"),
        ("/api", "/api/", "nothing"),
        ("/api", "/apis", "nothing"),
        ("/api", "/api/nonsense", "nothing"),
        ("/api", "/api/INFO", "nothing"),
        ("/api", "/api/info/", "nothing"),
        ("", "/", "Legacy"),
        ("/", "/batch", "Batch"),
        ("", "/api", "nothing"),
    ] {
        assert_eq!(at(prefix, path), expected, "{path} under {prefix}");
    }
    for path in ["/api/info", "/api/user_connections", "/api/publish", "/api/cancel_push"] {
        assert!(at("/api", path).starts_with("Command("), "{path}");
    }
}

#[test]
fn the_key_is_asked_for_after_the_method() {
    let admitted = |options: &Options, method: &str, target: &str, header: &str| {
        let head = head(method, target, header);
        let head = parse_head(head.as_bytes()).unwrap();
        admit(options, &ApiKey::new(&options.key), &head).map_err(|refusal| {
            let Refusal { status: Status(status), body } = refusal;
            assert_eq!(body, "");
            status
        })
    };
    let options = options();
    for (method, target, header, expected) in [
        ("GET", "/api", "", Err(405)),
        ("OPTIONS", "/api", "X-API-Key: secret", Err(405)),
        ("POST", "/api", "", Err(401)),
        ("POST", "/api", "X-API-Key: secret", Ok(())),
        ("POST", "/api", "x-api-key: wrong", Err(401)),
        ("POST", "/api", "Authorization: apikey secret", Ok(())),
        ("POST", "/api", "Authorization: APIKEY  secret", Ok(())),
        ("POST", "/api", "Authorization: Bearer secret", Err(401)),
        ("POST", "/api?api_key=secret", "", Ok(())),
        ("POST", "/api?api_key=wrong", "Authorization: apikey secret", Ok(())),
        ("POST", "/api?api_key=", "", Err(401)),
    ] {
        let got = admitted(&options, method, target, header);
        assert_eq!(got, expected, "{method} {target} {header}");
    }
    let nobody = Options { key: String::new(), ..options.clone() };
    assert_eq!(admitted(&nobody, "POST", "/api?api_key=", "X-API-Key:  "), Err(401));
    let everybody = Options { insecure: true, ..options };
    assert_eq!(admitted(&everybody, "POST", "/api", ""), Ok(()));
    assert_eq!(admitted(&everybody, "GET", "/api", ""), Err(405));
}
