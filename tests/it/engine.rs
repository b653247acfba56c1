//! The body: drivers and their fallback, pinned shards, descriptors running out, the goodbye.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Conn, KEY, SECRET, Server, binary, eventually, listed, run};

fn drivers(server: &Server) -> Vec<String> {
    let wanted = server.log.iter().filter(|line| line["message"] == json!("shard runs"));
    wanted.map(|line| line["driver"].as_str().expect("a driver").to_owned()).collect()
}

#[test]
fn the_log_says_which_driver_runs() {
    for (asked, runs) in [
        ("auto", "io_uring"),
        ("io_uring", "io_uring"),
        ("io_uring_plain", "io_uring"),
        ("epoll", "epoll"),
    ] {
        let mut server = Server::start(&json!({"shards": {"driver": asked, "count": 2}}));
        for _ in 0..2 {
            let line: Value = serde_json::from_str(&server.wait_log("shard runs")).expect("JSON");
            server.log.push(line);
        }
        for driver in drivers(&server) {
            assert!(driver.starts_with(runs), "{asked}: {driver}");
        }
    }
}

/// Runs the server under a filter that forbids `io_uring_setup`, as the default profiles of
/// container engines do (seccomp, system call 425 on every architecture).
const WITHOUT_IO_URING: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
ALLOW, EPERM = 0x7fff0000, 0x00050001
program = b"".join(struct.pack("HBBI", *line) for line in [
    (0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, EPERM), (0x06, 0, 0, ALLOW)])
buffer = ctypes.create_string_buffer(program)
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
filter = Program(4, ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0, "no new privileges"
assert libc.prctl(22, 2, ctypes.byref(filter), 0, 0) == 0, "seccomp"
os.execv(sys.argv[1], sys.argv[1:])
"#;

fn forbidden(config: &Value) -> (Command, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("config.json");
    std::fs::write(&path, config.to_string()).expect("the configuration is written");
    let mut command = Command::new("python3");
    command.args(["-c", WITHOUT_IO_URING, binary(), "-c"]).arg(&path).current_dir(dir.path());
    (command, dir)
}

#[test]
fn where_io_uring_is_forbidden_the_shards_fall_back_to_epoll() {
    let config = |driver: &str| {
        json!({
            "http_server": {"address": "127.0.0.1", "port": 0}, "http_api": {"key": KEY},
            "client": {"token": {"hmac_secret_key": SECRET}, "ping_interval": "1s", "pong_timeout": "500ms"},
            "uni_http_stream": {"enabled": true}, "shards": {"count": 3, "driver": driver},
        })
    };
    let (command, dir) = forbidden(&config("auto"));
    let server = Server::spawn(command, dir, 1);
    assert!(server.wait_log("shard runs").contains("epoll"));
    let mut streams: Vec<_> = (0..30).map(|_| server.session("42")).collect();
    for stream in &mut streams {
        assert_eq!(stream.push(), Some(json!({})), "a ping");
    }
    for _ in 0..10 {
        assert_eq!(server.listed("42").len(), 30);
    }
    drop(streams);
    eventually("all are gone", || server.listed("42").is_empty().then_some(()));

    let (mut command, _dir) = forbidden(&config("io_uring"));
    let refused = run(&mut command);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("io_uring"), "{refused:?}");
}

#[test]
fn accepting_rests_when_descriptors_run_out_and_goes_on_afterwards() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = json!({
        "http_server": {"address": "127.0.0.1", "port": 0}, "http_api": {"key": KEY},
        "client": {"token": {"hmac_secret_key": SECRET}},
        "uni_http_stream": {"enabled": true}, "shards": {"count": 2},
    });
    let path = dir.path().join("config.json");
    std::fs::write(&path, config.to_string()).expect("the configuration is written");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$0\" -c \"$1\"", binary()]).arg(&path);
    let server = Server::spawn(command, dir, 1);
    let held: Vec<Conn> = (0..150).map(|_| server.connect()).collect();
    server.wait_log("accepting rests");
    drop(held);
    eventually("it accepts again", || {
        let stream = server.session("42");
        (server.listed("42") == [stream.client()]).then_some(())
    });
}

#[test]
fn a_signal_says_goodbye_to_everyone_and_ends_well() {
    for driver in ["io_uring", "epoll"] {
        let dir = tempfile::tempdir().expect("a directory for the pid file");
        let pid_file = dir.path().join("rollcall.pid");
        let mut server =
            Server::start(&json!({"shards": {"driver": driver}, "pid_file": pid_file}));
        let pid = server.pid().to_string();
        eventually("a pid file", || {
            (std::fs::read_to_string(&pid_file).ok()?.trim() == pid).then_some(())
        });
        let mut streams: Vec<_> = (0..40).map(|n| server.session(&format!("user-{n}"))).collect();
        let mut idle: Vec<_> = (0..5).map(|_| server.connect()).collect();
        for conn in &mut idle {
            assert!(listed(conn, "nobody").is_empty());
        }
        server.signal("TERM");
        for stream in &mut streams {
            let last = stream.push_after_pings().expect("a last line");
            assert_eq!(last, json!({"disconnect": {"code": 3001, "reason": "shutdown"}}));
            assert_eq!(stream.push(), None);
        }
        for conn in &mut idle {
            assert!(conn.is_closed());
        }
        assert_eq!(server.wait(), Some(0));
        assert!(!pid_file.exists());
    }
}

/// From the moment the log says that it serves, a signal is a goodbye; a second one is not a
/// timeout.
#[test]
fn a_signal_is_heard_from_the_first_moment() {
    for _ in 0..10 {
        let mut server = Server::start(&json!({}));
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
    }
    let mut server = Server::start(&json!({}));
    // A client that does not close its side holds the goodbye up.
    let mut conn = server.connect();
    conn.send(b"POST /api/info HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-API-Key: ");
    assert!(listed(&mut server.connect(), "nobody").is_empty());
    server.signal("TERM");
    server.wait_log("shutting down");
    server.signal("TERM");
    server.wait_log("a second signal ended the goodbye early");
    assert_eq!(server.wait(), Some(1));
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let server = Server::start(&json!({}));
    let port = server.address.port().to_string();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut second = Command::new(binary());
    second.current_dir(dir.path()).args(["-a", "127.0.0.1", "-p", &port]);
    let refused = run(&mut second);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&format!("127.0.0.1:{port}")), "{refused:?}");
}

/// Both parking designs and every driver notice what waits behind a full buffer.
#[test]
fn a_flood_on_one_connection_does_not_stop_the_others() {
    for (driver, parking) in [("io_uring", "poll_set"), ("epoll", "poll_set"), ("io_uring", "task")]
    {
        let server = Server::start(&json!({
            "shards": {"driver": driver, "parking": parking, "count": 1},
            "client": {"ping_interval": "1s", "pong_timeout": "500ms"},
        }));
        let mut quiet = server.session("quiet");
        let flooder = server.session("flooder");
        let mut writer = flooder.conn.reader.get_ref().try_clone().expect("a handle");
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let noise = [b'x'; 64 * 1024];
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    std::io::Write::write_all(&mut writer, &noise).expect("the server reads on");
                }
            });
            for _ in 0..3 {
                assert_eq!(quiet.push(), Some(json!({})), "a ping");
                assert_eq!(server.listed("quiet").len(), 1);
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(server.listed("flooder").len(), 1);
    }
}
