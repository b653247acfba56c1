//! Clients of the server API: code generated from docs/api.proto, and both generations of `cent`.

use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Server, token};

const KEY: &str = "k-1";

/// Runs a client against a server with two sessions of one user; it says itself what is wrong.
/// `modules` stand before those of its environment.
fn check(script: &str, modules: Option<&str>, arguments: impl Fn(&Server) -> Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/python");
    let python = folder.join("venv/bin/python");
    let modules = modules.map(|modules| folder.join(modules));
    for needed in [Some(&python), modules.as_ref()].into_iter().flatten() {
        if !needed.exists() {
            let required = env::var("SDK_CLIENTS").is_ok_and(|asked| asked == "required");
            assert!(!required, "{script} cannot run: no {}", needed.display());
            return;
        }
    }
    // A key of one word: in `Authorization: apikey <KEY>` stand two.
    let server = Server::start(&json!({"http_api": {"key": KEY}, "grpc_api": {
        "enabled": true, "address": "127.0.0.1", "port": 0, "key": KEY, "reflection": true,
    }}));
    let claims = json!({"jti": "t-1", "meta": {"plan": "gold"}});
    let connect = json!({"token": token("42", claims)});
    let _sessions = [server.session_with(connect.clone()), server.session_with(connect)];
    let mut command = Command::new(python);
    command.arg(folder.join(script)).args(arguments(&server));
    if let Some(modules) = modules {
        command.env("PYTHONPATH", modules);
    }
    let output = command.output().expect("it starts");
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{script}: {}", said.join("\n"));
    assert!(said[0].starts_with("called"), "{script}: {said:?}");
}

fn over_http(server: &Server) -> Vec<String> {
    vec![format!("http://{}/api", server.address), KEY.to_owned()]
}

#[test]
fn code_generated_from_our_protobuf_file_calls_every_method() {
    check("api_grpc.py", None, |server| {
        let address = server.addresses.last().expect("the gRPC listener is logged last");
        let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.proto");
        vec![address.to_string(), KEY.to_owned(), proto.display().to_string()]
    });
}

#[test]
fn cent_5_works_unchanged() {
    check("api_cent.py", None, over_http);
}

#[test]
fn cent_4_works_unchanged() {
    check("api_cent4.py", Some("cent4"), over_http);
}
