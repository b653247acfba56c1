//! The founding page, command by command, with curl; and the README, which repeats it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Running, Server, binary, eventually, run, shell, wait_line};

/// The page as it is written, with the binary under the name it uses there. Only the port is
/// ours: 8000 may be taken on the machine that runs the tests.
fn walk_the_page(name: &str, run_variable: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let command = dir.path().join(name);
    symlink(binary(), &command).expect("a link");
    let program = || {
        let mut program = Command::new(&command);
        program.current_dir(dir.path());
        program
    };

    let generated = run(program().arg("genconfig"));
    assert_eq!((generated.code, generated.stdout.as_str()), (Some(0), ""), "{generated:?}");
    let file = dir.path().join("config.json");
    let mode = std::fs::metadata(&file).expect("config.json").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let config: Value =
        serde_json::from_slice(&std::fs::read(&file).expect("config.json")).expect("JSON");
    let key = config["http_api"]["key"].as_str().expect("an API key").to_owned();

    let minted = run(program().args(["gentoken", "-u", "42"]));
    let text: Vec<&str> = minted.stdout.lines().collect();
    let [title, token] = text[..] else { panic!("two lines: {minted:?}") };
    assert_eq!(title, "HMAC SHA-256 JWT for user 42 with expiration TTL 168h0m0s:");
    assert!(token.starts_with("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."), "{token}");

    let mut serve = program();
    serve.env(run_variable, "1").env("ROLLCALL_HTTP_SERVER_PORT", "0");
    serve.env("ROLLCALL_HTTP_SERVER_ADDRESS", "127.0.0.1").args(["-c", "config.json"]);
    let server = Server::spawn(serve, dir, 1);
    let url = format!("http://localhost:{}", server.address.port());

    let connect = format!(
        "curl -sN -X POST {url}/connection/uni_http_stream --data \
         '{{\"token\": \"{token}\", \"name\": \"terminal\"}}'"
    );
    let mut clients: Vec<(Running, String)> = Vec::new();
    for _ in 0..2 {
        let (curl, output) = shell(&connect);
        let push: Value =
            serde_json::from_str(&wait_line(&output, "connect")).expect("a push per line");
        let client = push["connect"]["client"].as_str().expect("a client id").to_owned();
        clients.push((curl, client));
    }
    let list = format!(
        "curl -s --header \"Content-Type: application/json\" \
         --header \"Authorization: apikey {key}\" --request POST \
         --data '{{\"method\": \"user_connections\", \"params\": {{\"user\": \"42\"}}}}' {url}/api"
    );
    let listed = || {
        let output = run(Command::new("sh").args(["-c", &list]));
        serde_json::from_str::<Value>(&output.stdout).expect("JSON")
    };
    let terminal =
        json!({"app_name": "terminal", "transport": "uni_http_stream", "protocol": "json"});
    let expected = json!({"result": {"connections":
        {&clients[0].1: terminal, &clients[1].1: terminal}}});
    assert_eq!(listed(), expected);

    // One terminal is closed.
    let (gone, _) = clients.remove(0);
    drop(gone);
    let one = json!({"result": {"connections": {&clients[0].1: terminal}}});
    eventually("one session is left", || (listed() == one).then_some(()));
}

#[test]
fn the_founding_page_works_under_its_own_name() {
    walk_the_page("centrifugo", "CENTRIFUGO_UNI_HTTP_STREAM");
}

#[test]
fn the_founding_page_works_under_ours() {
    walk_the_page("rollcall", "CENTRIFUGO_UNI_HTTP_STREAM");
    walk_the_page("rollcall", "ROLLCALL_UNI_HTTP_STREAM_ENABLED");
}

/// Every curl of the README, run as it stands there, against the server the README starts.
#[test]
fn the_commands_of_the_readme_work_as_they_are_printed() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.expect("README.md");
    let curls: Vec<String> = readme
        .split("```")
        .skip(1)
        .step_by(2)
        .flat_map(|block| {
            let joined = block.replace("\\\n", " ");
            joined
                .lines()
                .filter(|line| line.starts_with("curl "))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(curls.len() >= 3, "connect, list and disconnect: {curls:?}");

    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(binary());
    command.current_dir(dir.path());
    assert_eq!(run(command.arg("genconfig")).code, Some(0));
    let config = std::fs::read(dir.path().join("config.json")).expect("config.json");
    let config: Value = serde_json::from_slice(&config).expect("JSON");
    let key = config["http_api"]["key"].as_str().expect("a key").to_owned();
    let mut command = Command::new(binary());
    let minted = run(command.current_dir(dir.path()).args(["gentoken", "-u", "42", "-q"]));
    let mut serve = Command::new(binary());
    serve.env("CENTRIFUGO_UNI_HTTP_STREAM", "1").env("ROLLCALL_HTTP_SERVER_PORT", "0");
    serve.env("ROLLCALL_HTTP_SERVER_ADDRESS", "127.0.0.1").args(["-c", "config.json"]);
    let server = Server::spawn(serve, dir, 1);

    let mut connected = Vec::new();
    let mut answers = Vec::new();
    for curl in curls {
        let curl = curl
            .replace("<TOKEN>", &minted.stdout)
            .replace("<API_KEY>", &key)
            .replace("localhost:8000", &format!("localhost:{}", server.address.port()));
        assert!(!curl.contains('<'), "something to fill in is left: {curl}");
        if curl.contains("/connection/") {
            let (child, output) = shell(&curl);
            wait_line(&output, "\"client\"");
            connected.push((child, output));
            continue;
        }
        let output = run(Command::new("sh").args(["-c", &curl]));
        answers.push(serde_json::from_str::<Value>(&output.stdout).expect("JSON"));
    }
    assert!(!connected.is_empty());
    let listed = answers[0]["result"]["connections"].as_object().expect("a listing first");
    assert_eq!(listed.len(), connected.len());
    let receipt = json!({"matched": connected.len(), "closed": connected.len()});
    assert_eq!(*answers.last().expect("a disconnect last"), json!({"result": receipt}));
    for (_, output) in &connected {
        wait_line(output, "\"code\":3503");
    }
}
