//! `rollcall dev`: what it prints can be pasted, and it shows what happens.

use std::process::Command;

use serde_json::Value;

use crate::harness::{binary, run, shell, wait_line};

#[test]
fn the_first_ten_minutes_work_by_pasting() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let start = format!("env -C {} {} dev --http_server.port 0", dir.path().display(), binary());
    let (mut dev, output) = shell(&start);
    let connect = wait_line(&output, "curl -N -X POST http://127.0.0.1:");
    let list = wait_line(&output, "user_connections");
    let disconnect = wait_line(&output, "\"disconnect\"");
    for line in [&connect, &list, &disconnect] {
        assert!(line.starts_with("curl "), "not ready to paste: {line}");
    }
    wait_line(&output, "Ctrl-C");

    let (mut curl, pushes) = shell(&connect);
    let first: Value = serde_json::from_str(&wait_line(&pushes, "connect")).expect("JSON");
    let client = first["connect"]["client"].as_str().expect("a client id");
    let came = wait_line(&output, client);
    assert!(came.starts_with("+ ") && came.contains("user 42"), "{came}");

    let listed = run(Command::new("sh").args(["-c", &list]));
    assert!(listed.stdout.contains(client), "{listed:?}");
    let closed = run(Command::new("sh").args(["-c", &disconnect]));
    assert_eq!(closed.stdout, "{\"result\":{\"matched\":1,\"closed\":1}}");
    wait_line(&pushes, "\"code\":3503");
    let went = wait_line(&output, client);
    assert!(went.starts_with("- ") && went.contains("3503 force disconnect"), "{went}");
    assert!(curl.0.wait().expect("curl").success());

    // A terminal that is closed is noticed by itself: nothing else happens here that could wake
    // a shard.
    let (curl, pushes) = shell(&connect);
    wait_line(&pushes, "connect");
    wait_line(&output, "+ ");
    drop(curl);
    let left = wait_line(&output, "- ");
    assert!(left.contains("3000 the client left"), "{left}");

    let signal = Command::new("kill").args(["-INT", &dev.0.id().to_string()]).status();
    assert!(signal.expect("kill runs").success());
    assert!(dev.0.wait().expect("a child").success());
    // Its secrets lived in memory alone.
    assert_eq!(std::fs::read_dir(dir.path()).expect("the directory").count(), 0);
}
