//! `rollcall dev`: what it prints can be pasted, and it shows what happens.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{binary, lines, run, wait_line};

#[test]
fn the_first_ten_minutes_work_by_pasting() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut dev = Command::new(binary())
        .args(["dev", "--http_server.port", "0"])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let output = lines(dev.stdout.take().expect("a pipe"));
    let connect = wait_line(&output, "curl -N -X POST http://127.0.0.1:");
    let list = wait_line(&output, "user_connections");
    let disconnect = wait_line(&output, "\"disconnect\"");
    for line in [&connect, &list, &disconnect] {
        assert!(line.starts_with("curl "), "not ready to paste: {line}");
    }
    wait_line(&output, "Ctrl-C");

    let mut curl = Command::new("sh")
        .args(["-c", &format!("exec {connect}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let pushes = lines(curl.stdout.take().expect("a pipe"));
    let first: Value = serde_json::from_str(&wait_line(&pushes, "connect")).expect("JSON");
    let client = first["connect"]["client"].as_str().expect("a client id");
    let came = wait_line(&output, client);
    assert!(came.starts_with("+ ") && came.contains("user 42"), "{came}");

    let listed = run(Command::new("sh").args(["-c", &list]));
    assert!(listed.stdout.contains(client), "{listed:?}");
    let closed = run(Command::new("sh").args(["-c", &disconnect]));
    assert_eq!(closed.stdout, "{\"result\":{}}");
    wait_line(&pushes, "\"code\":3503");
    let went = wait_line(&output, client);
    assert!(went.starts_with("- ") && went.contains("3503 force disconnect"), "{went}");
    assert!(curl.wait().expect("curl").success());

    let signal = Command::new("kill").args(["-INT", &dev.id().to_string()]).status();
    assert!(signal.expect("kill runs").success());
    assert!(dev.wait().expect("a child").success());
    // Its secrets lived in memory alone.
    assert_eq!(std::fs::read_dir(dir.path()).expect("the directory").count(), 0);
}
