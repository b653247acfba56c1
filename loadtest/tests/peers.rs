//! Every server of `loadtest/peers` and every other one the harness can start, measured small:
//! that sessions stay, pings are answered and listings are right there too.
//!
//! One that is not on this machine is skipped, unless the variable `PEERS` names it
//! (`PEERS=centrifuge,axum,redis`).
#![expect(clippy::disallowed_methods, reason = "one variable says which servers must be there")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, thread};

use serde_json::Value;

const LOADTEST: &str = env!("CARGO_BIN_EXE_rollcall-loadtest");

/// A server and what can be measured on it.
struct Peer {
    name: &'static str,
    file: &'static str,
    /// The transports its sessions are held over.
    transports: &'static [&'static str],
}

#[test]
fn the_go_program_on_the_centrifuge_library_is_measured() {
    measure(&Peer {
        name: "centrifuge",
        file: "rollcall-peer-centrifuge",
        transports: &["websocket", "websocket_protobuf"],
    });
}

#[test]
fn the_rust_program_on_axum_is_measured() {
    measure(&Peer { name: "axum", file: "rollcall-peer-axum", transports: &["websocket"] });
}

#[test]
fn centrifugo_is_measured_over_its_transports() {
    measure(&Peer {
        name: "centrifugo",
        file: "centrifugo",
        // Its uni_grpc pings every 25 s whatever it is told: too slow for a test.
        transports: &[
            "websocket",
            "websocket_protobuf",
            "uni_websocket",
            "http_stream",
            "sse",
            "uni_sse",
            "uni_http_stream",
        ],
    });
}

#[test]
fn redis_is_measured_by_its_queries() {
    measure(&Peer { name: "redis", file: "redis-server", transports: &[] });
}

/// Queries it side by side with Rollcall, and holds sessions on it alone.
fn measure(peer: &Peer) {
    let (Some(binary), Some(rollcall)) = (find(peer.file), find("rollcall")) else {
        let required = env::var("PEERS").unwrap_or_default();
        let is_required = required.split(',').any(|name| name == peer.name);
        assert!(!is_required, "{} or rollcall is not built", peer.file);
        // Past the test harness, which would swallow it.
        let text = format!("{} is not measured: {} is not here\n", peer.name, peer.file);
        std::io::stderr().write_all(text.as_bytes()).expect("standard error is open");
        return;
    };
    let on = |scenario: &str| {
        let mut command = Command::new(LOADTEST);
        command.arg(scenario).args(["--target", peer.name, "--target-binary"]).arg(&binary);
        command
    };
    thread::scope(|scope| {
        for transport in peer.transports {
            let mut idle = on("idle");
            idle.args(["--alone", "-n", "50", "--settle", "0", "--transport", transport]);
            idle.args(["--ping-interval", "4", "--hold", "4"]);
            scope.spawn(move || {
                let results = run(&mut idle);
                assert_eq!(results["sessions_held"], 50, "{transport}");
                let pings = results["pings"].as_u64().expect("pings are counted");
                assert!(pings > 0, "{transport}");
            });
        }
        let mut query = on("query");
        query.arg("--server").arg(rollcall);
        query.args(["-n", "50", "--rate", "100", "-d", "1", "--lead", "0", "--rounds", "1"]);
        let results = run(&mut query);
        assert_eq!(results["runs"].as_array().map(Vec::len), Some(2));
        for run in results["runs"].as_array().expect("there are two") {
            let found = &run["report"]["results"];
            assert_eq!(found["answered"], 100, "{}", run["server"]);
            assert_eq!(found["errors"], serde_json::json!({}), "{}", run["server"]);
        }
        let ratio = &results["server_cpu_us_per_query"]["ratio"];
        assert_eq!(ratio["pairs"].as_array().map(Vec::len), Some(1));
        assert!(ratio["middle"].as_f64().is_some_and(|ratio| ratio > 0.0), "{ratio}");
    });
}

/// The results of a run that found nothing wrong.
fn run(command: &mut Command) -> Value {
    let json = tempfile::NamedTempFile::new().expect("a file can be made");
    let done = command.arg("--json").arg(json.path()).output().expect("the harness starts");
    let said =
        || String::from_utf8_lossy(&[done.stdout.as_slice(), &done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{command:?}\n{}", said());
    let text = std::fs::read(json.path()).expect("the results are written");
    let mut report: Value = serde_json::from_slice(&text).expect("the results are JSON");
    report["results"].take()
}

/// A program beside the harness, built in the other profile, or in the `PATH`.
fn find(file: &str) -> Option<PathBuf> {
    let beside = Path::new(LOADTEST).parent()?;
    let profiles = ["release", "debug"].map(|profile| beside.with_file_name(profile));
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [beside.to_owned()].into_iter().chain(profiles).chain(env::split_paths(&path));
    folders.map(|folder| folder.join(file)).find(|path| path.is_file())
}
