//! What a person types: exact output, exit codes, and errors that help.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Output, binary, run};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn with_config() -> Self {
        let home = Self::new();
        assert_eq!(home.run(&["genconfig"]).code, Some(0));
        home
    }

    fn run(&self, args: &[&str]) -> Output {
        run(Command::new(binary()).current_dir(self.0.path()).args(args))
    }

    fn run_with(&self, env: &[(&str, &str)], args: &[&str]) -> Output {
        let env = env.iter().copied();
        run(Command::new(binary()).current_dir(self.0.path()).envs(env).args(args))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("it is written");
    }
}

#[test]
fn genconfig_writes_secrets_in_three_formats_and_never_overwrites() {
    let home = Home::new();
    let mut secrets = Vec::new();
    for name in ["config.json", "x.toml", "x.yaml", "x.yml"] {
        let written = home.run(&["genconfig", "-c", name]);
        assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""), "{name}: {written:?}");
        let mode = std::fs::metadata(home.path(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let minted = home.run(&["gentoken", "-c", name, "-u", "42", "-q"]);
        assert_eq!(home.run(&["checktoken", "-c", name, &minted.stdout]).code, Some(0), "{name}");
        let before = std::fs::read(home.path(name)).expect(name);
        let again = home.run(&["genconfig", "-c", name]);
        assert_eq!(again.code, Some(1));
        assert_eq!(again.stderr, format!("error: output config file already exists: {name}\n"));
        assert_eq!(std::fs::read(home.path(name)).expect(name), before);
        secrets.push(before);
    }
    secrets.sort();
    secrets.dedup();
    assert_eq!(secrets.len(), 4, "secrets repeat");
    let refused = home.run(&["genconfig", "-c", "x.ini"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains(".json"), "{refused:?}");
    assert!(!home.path("x.ini").exists());
}

#[test]
fn tokens_are_made_and_checked() {
    let home = Home::with_config();
    let line = |args: &[&str]| {
        let output = home.run(&[&["gentoken"], args].concat());
        assert_eq!(output.code, Some(0), "{output:?}");
        let mut lines = output.stdout.lines().map(str::to_owned);
        (lines.next().expect("a title"), lines.next().expect("a token"))
    };
    for (args, title) in [
        (vec!["-u", "42"], "HMAC SHA-256 JWT for user 42 with expiration TTL 168h0m0s:"),
        (vec![], "HMAC SHA-256 JWT for anonymous user with expiration TTL 168h0m0s:"),
        (vec!["-u", "42", "-t", "90"], "HMAC SHA-256 JWT for user 42 with expiration TTL 1m30s:"),
        (vec!["-u", "42", "-t", "-1"], "HMAC SHA-256 JWT for user 42 without expiration:"),
    ] {
        assert_eq!(line(&args).0, title);
    }
    let (_, token) = line(&["-u", "42"]);
    let good = home.run(&["checktoken", &token]);
    assert_eq!(good.code, Some(0));
    let (first, payload) = good.stdout.split_once("\npayload: ").expect("two lines");
    assert_eq!(first, "valid token for user 42");
    let claims: Value = serde_json::from_str(payload).expect("JSON");
    let names: Vec<_> = claims.as_object().expect("claims").keys().cloned().collect();
    assert_eq!(names, ["exp", "sub"]);

    let quiet = home.run(&["gentoken", "-u", "42", "-q"]);
    assert_eq!((quiet.stdout.matches('.').count(), quiet.stdout.contains('\n')), (2, false));
    let anonymous = home.run(&["checktoken", &line(&[]).1]);
    assert!(anonymous.stdout.starts_with("valid token for anonymous user\n"), "{anonymous:?}");

    let forged = home.run(&["checktoken", &format!("{}AA", &token[..token.len() - 2])]);
    assert_eq!(forged.code, Some(1));
    assert!(forged.stderr.starts_with("error: token with algorithm HS256"), "{forged:?}");
    let missing = home.run(&["checktoken"]);
    assert_eq!((missing.code, missing.stderr.contains("provide token to check")), (Some(1), true));

    let bare = Home::new();
    let none = bare.run(&["gentoken", "-u", "42"]);
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("genconfig"), "does not say what to do: {none:?}");
    let env = [("CENTRIFUGO_TOKEN_HMAC_SECRET_KEY", "a secret")];
    assert_eq!(bare.run_with(&env, &["gentoken", "-u", "42"]).code, Some(0));
}

#[test]
fn checkconfig_says_everything_that_is_wrong() {
    let home = Home::with_config();
    let good = home.run(&["checkconfig"]);
    assert_eq!((good.code, good.stdout.as_str(), good.stderr.as_str()), (Some(0), "", ""));

    home.write(
        "bad.yaml",
        "client:\n  ping_interval: soon\nhttp_server:\n  port: 100000\nlog_level: loud\n",
    );
    let bad = home.run(&["checkconfig", "-c", "bad.yaml"]);
    assert_eq!(bad.code, Some(1));
    for part in ["client.ping_interval", "soon", "http_server.port", "100000", "log_level", "loud"]
    {
        assert!(bad.stderr.contains(part), "{part} is missing: {}", bad.stderr);
    }

    home.write("unknown.toml", "[client.token]\nhmac_secret_kee = \"x\"\n");
    let unknown = home.run(&["checkconfig", "-c", "unknown.toml"]);
    assert_eq!(unknown.code, Some(0));
    assert!(unknown.stderr.contains("did you mean `client.token.hmac_secret_key`"), "{unknown:?}");
    let strict = home.run(&["checkconfig", "-s", "-c", "unknown.toml"]);
    assert_eq!(strict.code, Some(1));
    assert!(strict.stderr.contains("client.token.hmac_secret_kee"), "{strict:?}");

    for (name, text) in [("cut.json", "{"), ("list.json", "[]"), ("cut.toml", "[a"), ("x.ini", "")]
    {
        home.write(name, text);
        let broken = home.run(&["checkconfig", "-c", name]);
        assert_eq!(broken.code, Some(1), "{name}");
        assert!(broken.stderr.contains(name), "{broken:?}");
    }
    let absent = home.run(&["checkconfig", "-c", "absent.json"]);
    assert_eq!((absent.code, absent.stderr.contains("absent.json")), (Some(1), true));
}

#[test]
fn a_server_refuses_a_configuration_it_cannot_use() {
    let home = Home::new();
    home.write("bad.json", r#"{"client": {"token": {"hmac_secret_key": 7}}, "http_server": {"tls": {"enabled": true}}}"#);
    let refused = home.run(&["-c", "bad.json"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("TLS"), "{refused:?}");
    let wrong = home.run(&["--uni_http_streem"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("uni_http_stream"), "{wrong:?}");
}

#[test]
fn the_version_is_told() {
    let version = Home::new().run(&["version"]);
    assert_eq!(version.stdout, format!("Rollcall v{}\n", env!("CARGO_PKG_VERSION")));
}
