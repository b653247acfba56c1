//! A backend over gRPC, its code generated from docs/proxy.proto: it says who clients are and whether
//! they go on, to official clients and to plain ones.

use std::path::Path;
use std::process::{Command, Stdio};

use crossbeam_channel::Receiver;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Running, Server, eventually, lines, overlay, request, unix_s};
use crate::pair::certificate;
use crate::table::{is_required, on_every_node, prepared};

/// A backend that runs until it is dropped.
struct Backend {
    _process: Running,
    said: Receiver<String>,
    port: u16,
}

impl Backend {
    /// On this port, with these further arguments; none where there is no grpcio.
    fn start(port: u16, more: &[&str]) -> Option<Self> {
        let needed = prepared("python/venv/bin/python")
            .and_then(|python| Ok((python, prepared("python/proxy_grpc.py")?)));
        let (python, script) = match needed {
            Ok(needed) => needed,
            Err(missing) => {
                assert!(!is_required(), "cannot run: no {missing}");
                return None;
            }
        };
        let mut child = Command::new(python)
            .arg(script)
            .arg(port.to_string())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proxy.proto"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let said = lines(child.stdout.take().expect("a pipe"));
        let mut backend = Self { _process: Running(child), said, port };
        let listens = backend.next()["listens"].as_u64().expect("the backend listens");
        backend.port = u16::try_from(listens).expect("a port");
        Some(backend)
    }

    fn endpoint(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port)
    }

    /// The next thing it says.
    fn next(&self) -> Value {
        let line = self.said.recv_timeout(PATIENCE).expect("the backend says something");
        serde_json::from_str(&line).expect("JSON")
    }
}

/// A server that asks this backend who clients are.
fn server(backend: &Backend, more: &Value) -> Server {
    let mut connect = json!({"enabled": true, "endpoint": backend.endpoint(), "timeout": "20s"});
    overlay(&mut connect, more);
    Server::start(&json!({"client": {"proxy": {"connect": connect}}}))
}

/// What a unidirectional client is told that has this for the backend.
fn connect(server: &Server, headers: &[(&str, &str)], data: &Value) -> Value {
    let mut conn = server.connect();
    let body = json!({"data": data, "headers": {"X-Said": "said"}}).to_string();
    conn.send(&request("POST", "/connection/uni_http_stream", headers, body.as_bytes()));
    assert_eq!(conn.head().status, 200);
    serde_json::from_slice(&conn.chunk().expect("a first line")).expect("JSON")
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn official_clients_are_who_a_backend_says_and_go_on_as_long_as_it_says() {
    let Some(backend) = Backend::start(0, &[]) else { return };
    let proxy = json!({"enabled": true, "endpoint": backend.endpoint(), "timeout": "20s"});
    let config = json!({"client": {"proxy": {"connect": proxy, "refresh": proxy}}});
    on_every_node(&config, |server, device| {
        // What the backend answers when it is asked whether the session goes on.
        let goes_on = json!({"result": {"expire_at": (unix_s() + 3_600).to_string(),
            "meta": base64(r#"{"m":2}"#)}});
        let user = goes_on.to_string();
        let data = json!({"result": {"user": user, "expire_at": (unix_s() + 2).to_string(),
            "data": base64(r#"{"hello":1}"#), "meta": base64(r#"{"m":1}"#),
            "labels": {"of": device.user()}}});
        device.connect_by_data("one", server, &data);
        let (client, hello) = device.greeted("one");
        assert_eq!(hello, json!({"hello": 1}));
        let session = || {
            let filter = json!({"key": "of", "cmp": "eq", "val": device.user()});
            let listed = server.call("connections", json!({"label_filter": filter}));
            listed["result"]["connections"][&client].clone()
        };
        assert_eq!(session()["user"], user);
        let meta = |m| json!({"m": m});
        eventually("it goes on", || (session()["state"]["meta"] == meta(2)).then_some(()));
        device.disconnect("one");
    });
}

#[test]
fn metadata_and_the_question_are_what_was_asked_for() {
    let Some(backend) = Backend::start(0, &[]) else { return };
    let more = json!({
        "http_headers": ["Cookie", "X-Both"], "emulated_headers": ["X-Said", "X-Both"],
        "grpc": {"static_metadata": {"X-Static": "s", "X-Said": "static"},
            "credentials_key": "authorization", "credentials_value": "Bearer key"},
    });
    let server = server(&backend, &more);
    let data = json!({"result": {"user": "ann"}});
    let headers = [("Cookie", "c=1"), ("X-Both", "real"), ("X-Private", "p")];
    let told = connect(&server, &headers, &data);
    let asked = backend.next();
    let had = |name: &str| {
        let all = asked["metadata"].as_array().expect("metadata").iter();
        all.filter(|entry| entry[0] == name).map(|entry| entry[1].clone()).collect::<Vec<_>>()
    };
    for (name, values) in [
        ("cookie", &["c=1"][..]),
        ("x-both", &["real"]),
        ("x-said", &["said"]),
        ("x-static", &["s"]),
        ("authorization", &["Bearer key"]),
        ("x-private", &[]),
    ] {
        assert_eq!(had(name), values, "{name}: {}", asked["metadata"]);
    }
    let seconds = asked["seconds"].as_f64().expect("a deadline");
    assert!(seconds > 0.0 && seconds <= 20.0, "{seconds}");
    let expected = json!({
        "client": told["connect"]["client"], "transport": "uni_http_stream", "protocol": "json",
        "encoding": "json", "data": base64(&data.to_string()),
    });
    assert_eq!((&asked["question"], &asked["method"]), (&expected, &json!("Connect")));
}

#[test]
fn a_refusal_is_told_as_it_is_and_a_failure_as_one_that_may_pass() {
    let Some(backend) = Backend::start(0, &[]) else { return };
    let mut server = server(&backend, &json!({"timeout": "1s"}));
    let failed = (3004, "internal server error");
    for (answer, told) in [
        (json!({"code": "UNAVAILABLE"}), failed),
        (json!({"code": "PERMISSION_DENIED"}), failed),
        (json!({"result": {"b64info": "?"}}), failed),
        (json!({"result": {"data": base64("no JSON")}}), failed),
        (json!({"error": {"code": 777}}), failed),
        (json!({"error": {"code": 109}}), (3005, "connection expired")),
        (json!({"disconnect": {"code": 4501, "reason": "go"}}), (4501, "go")),
        (json!({}), (3501, "bad request")),
        (json!({"then": "hang"}), failed),
    ] {
        let told = json!({"disconnect": {"code": told.0, "reason": told.1}});
        assert_eq!(connect(&server, &[], &answer), told, "{answer}");
    }
    // The question that nobody waits for any more is taken back.
    while backend.next() != json!({"left": true}) {}
    assert!(connect(&server, &[], &json!({"result": {}}))["connect"].is_object());
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let log: Vec<_> = server.later.iter().collect();
    assert!(log.iter().any(|line| line.contains("gRPC status Unavailable")), "{log:#?}");
    assert!(log.iter().all(|line| !line.contains("TOPSECRET")), "{log:#?}");
}

#[test]
fn a_backend_that_is_gone_is_asked_again_when_it_is_back() {
    let Some(backend) = Backend::start(0, &[]) else { return };
    let server = server(&backend, &json!({}));
    let is_in = || connect(&server, &[], &json!({"result": {}}))["connect"].is_object();
    assert!(is_in());
    let port = backend.port;
    drop(backend);
    assert!(!is_in());
    let _backend = Backend::start(port, &[]);
    eventually("it is back", || is_in().then_some(()));
}

#[test]
fn names_of_old_versions_mean_the_same_with_and_without_tls() {
    let dir = tempfile::tempdir().expect("a directory");
    let [cert, key] = certificate(dir.path(), "localhost");
    for more in [&[][..], &[cert.as_str(), key.as_str()]] {
        let Some(backend) = Backend::start(0, more) else { return };
        let is_tls = !more.is_empty();
        let server = Server::start(&json!({
            "proxy_connect_endpoint": format!("localhost:{}", backend.port),
            "proxy_connect_timeout": "20s", "proxy_http_headers": ["Cookie"],
            "proxy_grpc_cert_file": if is_tls { cert.as_str() } else { "" },
            "proxy_grpc_credentials_key": "x-key", "proxy_grpc_credentials_value": "k",
            "proxy_binary_encoding": true,
        }));
        let told = connect(&server, &[("Cookie", "c=1")], &json!({"result": {"user": "ann"}}));
        assert!(told["connect"].is_object(), "{told}");
        let asked = backend.next();
        assert_eq!(asked["question"]["encoding"], "binary");
        let metadata = asked["metadata"].to_string();
        for entry in [r#"["cookie","c=1"]"#, r#"["x-key","k"]"#] {
            assert!(metadata.contains(entry), "{metadata}");
        }
    }
}

#[test]
fn a_backend_shows_a_certificate_or_is_not_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let [cert, key] = certificate(dir.path(), "backend.example");
    let [other, _] = certificate(dir.path(), "other.example");
    let Some(backend) = Backend::start(0, &[&cert, &key]) else { return };
    for (is_right, tls) in [
        (true, json!({"server_ca_pem": cert, "server_name": "backend.example"})),
        (true, json!({"insecure_skip_verify": true})),
        (false, json!({"server_ca_pem": cert})),
        (false, json!({"server_ca_pem": other, "server_name": "backend.example"})),
    ] {
        let mut tls = tls;
        tls["enabled"] = json!(true);
        let server = server(&backend, &json!({"grpc": {"tls": tls}}));
        let told = connect(&server, &[], &json!({"result": {}}));
        assert_eq!(told["connect"].is_object(), is_right, "{tls}: {told}");
    }
}
