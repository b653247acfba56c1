//! Every scenario in which sessions come and go, small, against the server as it is built.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const LOADTEST: &str = env!("CARGO_BIN_EXE_rollcall-loadtest");

/// The server, which cargo builds beside the harness.
fn server() -> PathBuf {
    let path = Path::new(LOADTEST).with_file_name("rollcall");
    assert!(
        path.is_file(),
        "no server at {}: build it first (`cargo build -p rollcall`), or test the whole workspace \
         (`cargo test --workspace`)",
        path.display()
    );
    path
}

/// Runs a scenario on this server; its results, and whether all was well.
fn run(line: &str) -> (Value, bool) {
    let dir = TempDir::new().expect("a directory");
    let json = dir.path().join("report.json");
    let output = Command::new(LOADTEST)
        .args(line.split_whitespace())
        .arg("--json")
        .arg(&json)
        .output()
        .expect("the harness was built");
    let said = String::from_utf8_lossy(&output.stderr);
    let report = std::fs::read(&json).unwrap_or_else(|_| panic!("{line}: no report: {said}"));
    let report: Value = serde_json::from_slice(&report).expect("a report is JSON");
    assert_eq!(output.status.success(), report["failures"] == json!([]), "{line}: {said}");
    (report, output.status.success())
}

/// Runs a scenario in which nothing may go wrong; its results.
#[track_caller]
fn run_well(line: &str) -> Value {
    let (report, is_well) = run(&format!("{line} --server {}", server().display()));
    assert!(is_well, "{line}: {:#}", report["failures"]);
    report["results"].clone()
}

#[test]
fn everybody_gets_in_at_once() {
    for transport in ["websocket", "uni_grpc"] {
        let results = run_well(&format!("connect-storm -n 60 --workers 2 -t {transport}"));
        assert_eq!((&results["accepted"], &results["refused"]), (&json!(60), &json!(0)));
        assert_eq!(results["in_after"]["count"], 60);
    }
}

#[test]
fn who_is_refused_in_a_storm_is_counted_by_the_reason() {
    let limit = "--server-arg --client.connection_limit=20 --shards 1";
    let (report, is_well) =
        run(&format!("connect-storm -n 60 {limit} --server {}", server().display()));
    assert!(!is_well);
    let results = &report["results"];
    assert_eq!((&results["accepted"], &results["refused"]), (&json!(20), &json!(40)));
    for why in results["errors"].as_object().unwrap().keys() {
        // Before the handshake, or when the connect came.
        let known = ["refused with HTTP status 503", "refused with 111 too many requests"];
        assert!(known.contains(&why.as_str()), "{why}");
    }
}

#[test]
fn sessions_come_and_go_and_every_answer_is_right() {
    for (transport, leaver, workers) in
        [("websocket_protobuf", "oldest", 1), ("sse", "random", 2), ("uni_grpc", "random", 1)]
    {
        let results = run_well(&format!(
            "churn -n 60 --rate 40 --query-rate 100 -c 4 -d 2 --lead 0 --grace 3 -t {transport} \
             --leaver {leaver} --workers {workers}"
        ));
        assert_eq!((&results["sessions_held"], &results["wrong"]), (&json!(60), &json!({})));
        assert_eq!(results["users_swept"], 20);
        assert!(results["sessions_certain"].as_u64() > Some(0), "{results:#}");
    }
}

#[test]
fn all_are_disconnected_and_nothing_is_left_of_them() {
    for flags in ["-t websocket --code 4001", "-t http_stream --per-user 60", "-t uni_grpc -r 50"] {
        let results =
            run_well(&format!("disconnect-all -n 60 -d 1 --settle 0 --query-rate 100 {flags}"));
        for what in ["told_time", "gone_time"] {
            assert_eq!(results[what]["count"], 60, "{flags}: {what}");
        }
        assert_eq!(results["server_sessions_closed_by_api"], 60, "{flags}");
        assert_eq!(results["descriptors_left"], 0, "{flags}");
    }
}

#[test]
fn slow_clients_are_cut_each_kind_in_its_way_and_nobody_else() {
    let results = run_well(
        "slow-clients -n 30 --slow 3 --list 100 --ask-every 10 --queue-max-size 65536 \
         --ping-interval 2 --stale-close-delay 1 --alone-for 1 -d 4 --settle 0 --query-rate 50",
    );
    for (kind, seen) in [
        ("reader", "connection reset"),
        ("handshake", "HTTP status 408"),
        ("pong", "disconnected with 3012"),
    ] {
        assert_eq!(results["slow"][kind]["seen"], json!({ seen: 3 }), "{results:#}");
        assert_eq!(results["slow"][kind]["server_counted"], 3, "{results:#}");
    }
    assert_eq!(results["sessions_held"], 30);
    assert_eq!(results["list_held"], 100);
}

/// A server that is not started by the harness.
struct Running {
    child: Child,
    url: String,
    _dir: TempDir,
}

impl Running {
    fn start() -> Self {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = probe.local_addr().expect("it is bound");
        drop(probe);
        let dir = TempDir::new().expect("a directory");
        let config = dir.path().join("config.json");
        let options = json!({
            "http_server": {"address": address.ip().to_string(), "port": address.port()},
            "client": {"token": {"hmac_secret_key": "secret"}},
            "http_api": {"key": "key"},
        });
        std::fs::write(&config, options.to_string()).expect("a new file");
        let child = Command::new(server())
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        #[expect(clippy::disallowed_methods, reason = "a server that does not start is waited for")]
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(30), "the server does not listen");
        }
        Self { child, url: format!("http://{address}"), _dir: dir }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_server_that_runs_already_is_measured_as_far_as_it_can_be_seen() {
    let running = Running::start();
    for (line, unseen) in [
        ("connect-storm -n 30", "server_cpu_us_per_connect"),
        ("churn -n 30 --rate 20 --query-rate 50 -c 2 -d 1 --lead 0 --grace 3", "server_cores"),
        ("disconnect-all -n 30 -d 1 --settle 0 --query-rate 50", "rss_bytes_after"),
        (
            "slow-clients -n 30 --slow 2 --kinds reader --alone-for 1 -d 1 --settle 0 \
             --query-rate 50",
            "rss_bytes_peak",
        ),
    ] {
        let target = format!("--target {} --secret secret --key key", running.url);
        let (report, is_well) = run(&format!("{line} {target}"));
        assert!(is_well, "{line}: {:#}", report["failures"]);
        assert!(report["results"][unseen].is_null(), "{line}");
        let pid = running.child.id();
        let (report, is_well) = run(&format!("{line} {target} --pid {pid}"));
        assert!(is_well, "{line}: {:#}", report["failures"]);
        assert!(report["results"][unseen].is_number(), "{line}");
    }
}
