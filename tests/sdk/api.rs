//! Clients of the server API: code generated from docs/api.proto, both generations of `cent`, a
//! person on the page in a browser, and schemathesis, which asks whatever docs/openapi.json allows.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Server, token};
use crate::table::{browser, is_required, prepared};

/// A key of one word: in `Authorization: apikey <KEY>` stand two.
const KEY: &str = "k-1";

/// A server with two sessions of one user, which `run` is given, unless this machine lacks what
/// has to be there.
fn with_server(needed: Result<Vec<PathBuf>, String>, run: impl FnOnce(&Server, &mut Command)) {
    let needed = match needed {
        Ok(needed) => needed,
        Err(missing) => {
            assert!(!is_required(), "cannot run: no {missing}");
            return;
        }
    };
    let config = json!({
        "http_api": {"key": KEY},
        "swagger": true,
        "user_status": {"enabled": true, "storage_type": "memory"},
        "grpc_api": {
            "enabled": true, "address": "127.0.0.1", "port": 0, "key": KEY, "reflection": true,
        },
    });
    let server = Server::start(&config);
    let claims = json!({"jti": "t-1", "meta": {"plan": "gold"}});
    let connect = json!({"token": token("42", claims)});
    let _sessions = [server.session_with(connect.clone()), server.session_with(connect)];
    let mut command = Command::new(&needed[0]);
    command.args(&needed[1..]);
    run(&server, &mut command);
}

/// It says itself what is wrong, and at the end what it has called.
fn check(command: &mut Command) {
    let output = command.output().expect("it starts");
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{command:?}: {}", said.join("\n"));
    assert!(said[0].starts_with("called"), "{command:?}: {said:?}");
}

fn python(script: &str) -> Result<Vec<PathBuf>, String> {
    Ok(vec![prepared("python/venv/bin/python")?, prepared(&format!("python/{script}"))?])
}

fn over_http(server: &Server) -> [String; 2] {
    [format!("http://{}/api", server.address), KEY.to_owned()]
}

#[test]
fn code_generated_from_our_protobuf_file_calls_every_method() {
    with_server(python("api_grpc.py"), |server, command| {
        let address = server.addresses.last().expect("the gRPC listener is logged last");
        command.args([&address.to_string(), KEY]);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.proto"));
        check(command);
    });
}

#[test]
fn cent_5_works_unchanged() {
    with_server(python("api_cent.py"), |server, command| {
        check(command.args(over_http(server)));
    });
}

#[test]
fn cent_4_works_unchanged() {
    let needed = python("api_cent4.py").and_then(|needed| {
        prepared("python/cent4")?;
        Ok(needed)
    });
    with_server(needed, |server, command| {
        // Before the modules of its environment: both generations have one name.
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/python/cent4");
        check(command.env("PYTHONPATH", modules).args(over_http(server)));
    });
}

#[test]
fn a_person_lists_and_watches_a_users_sessions_on_the_page() {
    with_server(browser("swagger.js"), |server, command| {
        let page = format!("http://{}/swagger/", server.address);
        check(command.args([&page, KEY, "42"]));
    });
}

#[test]
fn schemathesis_gets_no_answer_that_the_served_document_does_not_describe() {
    let program = prepared("python/venv/bin/schemathesis").map(|program| vec![program]);
    with_server(program, |server, command| {
        let document = format!("http://{}/swagger/openapi.json", server.address);
        let own_files = tempfile::tempdir().expect("a temporary directory");
        command.current_dir(&own_files).args(["run", &document, "--no-color", "--workers", "2"]);
        command.args(["--header", &format!("X-API-Key: {KEY}"), "--exclude-path", STREAM]);
        command.args(["--exclude-checks", CHECKS_OFF, "--phases", "examples,coverage,fuzzing"]);
        command.args(["--max-examples", "20", "--generation-deterministic"]);
        // How fast the machine is proves nothing.
        command.args(["--request-timeout", "60", "--suppress-health-check", "all"]);
        let output = command.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        let published: Value =
            serde_json::from_str(include_str!("../../docs/openapi.json")).expect("it is JSON");
        let paths = published["paths"].as_object().expect("paths");
        assert!(paths.contains_key(STREAM));
        let tested = format!("Tested: {}\n", paths.len() - 1);
        assert!(said.contains(&tested), "not every path was tried: {said}");
    });
}

/// A stream that does not end by itself: schemathesis would wait for its last byte.
const STREAM: &str = "/watch";

/// Why: docs/testing.md.
const CHECKS_OFF: &str = "negative_data_rejection,positive_data_acceptance";
