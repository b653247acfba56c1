//! `rollcall dev`: the first ten minutes. A server on loopback with secrets of its own, the
//! commands of the walk-through ready to paste, and sessions shown as they come and go.

use std::process::ExitCode;

use super::genconfig::secret_text;
use super::serve::{self, ServeError};
use crate::auth::{self, NewClaims};
use crate::config::{Admin, Config};
use crate::messages::{SessionChange, SessionEvent};

/// How long the printed token is good for: the week of `gentoken`.
const TOKEN_TTL_S: i64 = 7 * 24 * 3600;

/// What the options are when nobody says: loopback, every transport of that port, fresh secrets, nothing
/// stored.
///
/// # Errors
/// The operating system gave no random bytes.
pub(super) fn base() -> Result<Vec<(&'static str, String)>, String> {
    Ok(vec![
        ("http_server.address", "127.0.0.1".to_owned()),
        ("client.token.hmac_secret_key", secret_text::<32>()?),
        ("http_api.key", secret_text::<16>()?),
        ("admin.enabled", "true".to_owned()),
        ("admin.password", secret_text::<9>()?),
        ("admin.secret", secret_text::<32>()?),
        ("user_block.storage_type", "memory".to_owned()),
        ("token_revoke.storage_type", "memory".to_owned()),
        ("user_tokens_invalidate.storage_type", "memory".to_owned()),
        ("user_status.storage_type", "memory".to_owned()),
        ("http_stream.enabled", "true".to_owned()),
        ("sse.enabled", "true".to_owned()),
        ("uni_websocket.enabled", "true".to_owned()),
        ("uni_http_stream.enabled", "true".to_owned()),
        ("uni_sse.enabled", "true".to_owned()),
    ])
}

/// Starts the server and shows what to do with it. `config` has [`base`] below whatever the user
/// set.
pub(super) fn dev(config: &Config, now_unix_s: i64, warnings: &[String]) -> ExitCode {
    match run(config, now_unix_s, warnings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error.to_string()),
    }
}

fn run(config: &Config, now_unix_s: i64, warnings: &[String]) -> Result<(), ServeError> {
    serve::log_what_is_wrong();
    let server = serve::start(config, Some(Box::new(show)))?;
    let address = server.addresses()[0];
    let secret = config.client.token.hmac_secret_key.expose();
    let claims = NewClaims {
        user: "42",
        expires_at: Some(now_unix_s + TOKEN_TTL_S),
        ..NewClaims::default()
    };
    let token = auth::sign(secret, &claims);
    for warning in warnings {
        super::complain("warning", warning);
    }
    super::say(&guide(&format!("http://{address}"), &token, config));
    server.run()?;
    super::say("every session has been told goodbye");
    Ok(())
}

fn guide(url: &str, token: &str, config: &Config) -> String {
    let stream = &config.uni_http_stream.handler_prefix;
    let api = &config.http_api.handler_prefix;
    let key = config.http_api.key.expose();
    let page = page(url, &config.admin);
    format!(
        r#"Rollcall listens on {url}; its secrets live as long as this process.
Token for user 42, good for a week:

{token}

Paste into other terminals:

1. Connect, once or several times; a session lives as long as its curl:

curl -N -X POST {url}{stream} --data '{{"token": "{token}", "name": "terminal"}}'

2. Which sessions does user 42 have right now?

curl --header "Content-Type: application/json" --header "Authorization: apikey {key}" --request POST --data '{{"method": "user_connections", "params": {{"user": "42"}}}}' {url}{api}

3. Close them all, or one by its id:

curl --header "Authorization: apikey {key}" --request POST --data '{{"method": "disconnect", "params": {{"user": "42"}}}}' {url}{api}
curl --header "Authorization: apikey {key}" --request POST --data '{{"client": "<ID>"}}' {url}{api}/disconnect
{page}
Sessions come and go here; Ctrl-C ends it.
"#
    )
}

/// Where to look at it all, when there is a page.
fn page(url: &str, admin: &Admin) -> String {
    if !admin.enabled {
        return String::new();
    }
    let prefix = admin.handler_prefix.trim_end_matches('/');
    let password = match admin.insecure {
        true => String::new(),
        false => format!(", password {}", admin.password.expose()),
    };
    format!("\n4. Or do all that in a browser: {url}{prefix}/{password}\n")
}

fn show(event: &SessionEvent) {
    super::say(&line(event));
}

fn line(event: &SessionEvent) -> String {
    let SessionEvent { client, transport, shard, .. } = event;
    let user = if event.user.is_empty() { "anonymous" } else { &event.user };
    let app = match (event.app_name.as_str(), event.app_version.as_str()) {
        ("", "") => String::new(),
        (name, "") => format!(" app {name}"),
        (name, version) => format!(" app {name} {version}"),
    };
    match &event.change {
        SessionChange::Opened => {
            format!("+ {client} user {user}{app} over {transport} on shard {shard}")
        }
        SessionChange::Closed { code, reason, lived_ms } => {
            let seconds = *lived_ms / 1000;
            let reason = if reason.is_empty() { "the client left" } else { reason };
            format!("- {client} user {user}{app} after {seconds} s: {code} {reason}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClientId, ShardId};

    fn event(change: SessionChange) -> SessionEvent {
        SessionEvent {
            client: ClientId([0x11; 16]),
            user: "42".into(),
            app_name: "terminal".into(),
            app_version: String::new(),
            transport: "uni_http_stream",
            shard: ShardId::new(1),
            change,
        }
    }

    #[test]
    fn a_session_that_comes_and_goes_is_two_lines_a_person_can_read() {
        assert_eq!(
            line(&event(SessionChange::Opened)),
            "+ 11111111-1111-1111-1111-111111111111 user 42 app terminal over uni_http_stream on shard 1"
        );
        let closed =
            SessionChange::Closed { code: 3503, reason: "force disconnect".into(), lived_ms: 4200 };
        assert_eq!(
            line(&event(closed)),
            "- 11111111-1111-1111-1111-111111111111 user 42 app terminal after 4 s: 3503 force disconnect"
        );
    }
}
