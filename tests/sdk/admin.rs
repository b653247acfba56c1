//! The admin page in a real browser, with real SDK clients beside it: the plays of
//! `tests/sdk/browser/admin`, each against a server of its own.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{KEY, SECRET, Server, lines, overlay};
use crate::table::{browser, is_required};

const PASSWORD: &str = "open sesame";

/// Where the page is in most plays: below a prefix, as behind a proxy.
const PREFIX: &str = "/ops/rollcall";

fn configuration(with: &Value) -> Value {
    let mut config = json!({
        "client": {"allowed_origins": []},
        "admin": {
            "enabled": true, "password": PASSWORD, "secret": "one", "handler_prefix": PREFIX,
        },
        "user_status": {"enabled": true, "storage_type": "memory"},
        "user_block": {"storage_type": "memory"},
        "token_revoke": {"storage_type": "memory"},
        "user_tokens_invalidate": {"storage_type": "memory"},
        "shards": {"query_timeout": "10s"},
    });
    overlay(&mut config, with);
    config
}

/// The stage of one play: a server and a browser that may ask for another one.
struct Stage {
    config: Value,
    server: Option<Server>,
    browser: Child,
}

impl Stage {
    fn set(command: &[PathBuf], mut config: Value) -> Self {
        let server = Server::start(&config);
        let address = server.address;
        // Whatever comes later is where this one was.
        config["http_server"] = json!({"port": address.port()});
        let prefix = config["admin"]["handler_prefix"].as_str().expect("a prefix");
        let given = json!({
            "browser": command[2], "page": format!("http://{address}{prefix}/"),
            "websocket": format!("ws://{address}/connection/websocket"),
            "api": format!("http://{address}/api"), "key": KEY, "secret": SECRET,
            "password": PASSWORD,
        });
        let browser = Command::new(&command[0])
            .arg(&command[1])
            .arg(given.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        Self { config, server: Some(server), browser }
    }

    /// Plays to the end; false when something was not as it should be, which stands on stderr.
    fn play(mut self) -> bool {
        let said = lines(self.browser.stdout.take().expect("a pipe"));
        let mut answers = self.browser.stdin.take().expect("a pipe");
        let mut has_played = false;
        for line in said {
            match line.as_str() {
                "stop" => self.server = None,
                "start" => self.server = Some(Server::start(&self.config)),
                "change the secret" => self.config["admin"]["secret"] = json!("another"),
                "played" => {
                    has_played = true;
                    continue;
                }
                other => panic!("the play says `{other}`"),
            }
            // It may have failed and gone meanwhile; then its status says so.
            drop(answers.write_all(b"done\n"));
        }
        self.browser.wait().expect("it ends").success() && has_played
    }
}

fn check(script: &str, with: &Value) {
    let command = match browser(&format!("admin/{script}")) {
        Ok(command) => command,
        Err(missing) => {
            assert!(!is_required(), "cannot run: no {missing}");
            return;
        }
    };
    let stage = Stage::set(&command, configuration(with));
    assert!(stage.play(), "{script}: what is wrong stands above");
}

#[test]
fn every_screen_is_whole_in_light_and_dark_on_a_desk_and_on_a_phone() {
    check("screens.js", &json!({}));
}

#[test]
fn whoever_is_not_signed_in_sees_nothing_and_finds_everything_again_afterwards() {
    check("signing.js", &json!({}));
}

#[test]
fn without_a_password_the_page_warns_everybody() {
    check("insecure.js", &json!({"admin": {"insecure": true, "handler_prefix": ""}}));
}

#[test]
fn sessions_are_found_followed_and_closed() {
    check("sessions.js", &json!({}));
}

#[test]
fn a_user_is_looked_at_logged_out_and_kept_out() {
    check("user.js", &json!({}));
}

#[test]
fn every_call_can_be_made_from_the_console() {
    check("console.js", &json!({}));
}

#[test]
fn ten_thousand_sessions_are_a_list_of_those_in_sight() {
    let synthetic = json!({"synthetic_sessions": 10_000, "synthetic_labels": true});
    check("many.js", &json!({"test": synthetic}));
}

#[test]
fn more_sessions_than_are_followed_stand_still_in_pages() {
    check("pages.js", &json!({"test": {"synthetic_sessions": 21_000}}));
}

#[test]
fn another_process_of_the_server_is_noticed_and_shown() {
    check("restart.js", &json!({}));
}

#[test]
fn filters_mean_what_they_say_and_devices_are_called_by_their_names() {
    check("words.js", &json!({}));
}
