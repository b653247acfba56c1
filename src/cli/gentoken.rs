//! `gentoken`: a token for a client, signed with the configured secret.

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;

use crate::auth::{self, NewClaims};
use crate::config::duration;
use crate::time::Now;

/// Prints one line that says what the token is, and the token; with `-q` the token alone.
pub(super) fn gentoken(matches: &ArgMatches, program: &str, now: Now) -> ExitCode {
    let user = matches.get_one::<String>("user").map_or("", String::as_str);
    let life = Life::of(matches.get_one::<i64>("ttl").copied().unwrap_or(-1));
    let asked = match super::load(matches, Vec::new()) {
        Ok(asked) => asked,
        Err(errors) => return super::fail(&errors.to_string()),
    };
    let secret = asked.loaded.config.client.token.hmac_secret_key.expose();
    if secret.is_empty() {
        for warning in &asked.loaded.warnings {
            super::complain("warning", warning);
        }
        let path = super::config_path(matches);
        let file = asked.file_used.as_ref().map_or_else(
            || format!("config file {path} not found: make one with `{program} genconfig`"),
            |path| format!("set client.token.hmac_secret_key in {path}"),
        );
        return super::fail(&format!(
            "no HMAC secret key set; {file}, or set ROLLCALL_CLIENT_TOKEN_HMAC_SECRET_KEY"
        ));
    }
    let expires_at = match life.expires_at(now.unix_s()) {
        Ok(expires_at) => expires_at,
        Err(error) => return super::fail(error),
    };
    // No `iat`: the founding page's token has none, and its listing shows no time of issue.
    let sessions = matches.get_one::<String>("sessions").map(String::as_str);
    let claims = NewClaims { user, issued_at: None, expires_at, sessions };
    let token = auth::sign(secret, &claims);
    if matches.get_flag("quiet") {
        super::print(&token)
    } else {
        super::say(&format!("{}\n{token}", headline(user, life)))
    }
}

/// How long a token is good for.
#[derive(Clone, Copy)]
enum Life {
    Seconds(u64),
    Forever,
}

impl Life {
    /// Nothing positive is no expiration. Centrifugo says "TTL 0s" of a token that in truth never
    /// expires; here it is said.
    fn of(seconds: i64) -> Self {
        match u64::try_from(seconds) {
            Ok(seconds @ 1..) => Self::Seconds(seconds),
            Ok(0) | Err(_) => Self::Forever,
        }
    }

    fn expires_at(self, now_unix_s: i64) -> Result<Option<i64>, &'static str> {
        match self {
            Self::Forever => Ok(None),
            Self::Seconds(seconds) => now_unix_s
                .checked_add_unsigned(seconds)
                .map(Some)
                .ok_or("the TTL ends after time itself: choose fewer seconds, or -1 for never"),
        }
    }
}

fn headline(user: &str, life: Life) -> String {
    let user = if user.is_empty() { "anonymous user".to_owned() } else { format!("user {user}") };
    let expiration = match life {
        Life::Seconds(seconds) => {
            let ttl = duration::show(Duration::from_secs(seconds));
            format!("with expiration TTL {ttl}")
        }
        Life::Forever => "without expiration".to_owned(),
    };
    format!("HMAC SHA-256 JWT for {user} {expiration}:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_one_of_the_founding_page() {
        let line = |user, ttl| headline(user, Life::of(ttl));
        assert_eq!(
            line("42", 604_800),
            "HMAC SHA-256 JWT for user 42 with expiration TTL 168h0m0s:"
        );
        assert_eq!(line("", 90), "HMAC SHA-256 JWT for anonymous user with expiration TTL 1m30s:");
        assert_eq!(line("42", -1), "HMAC SHA-256 JWT for user 42 without expiration:");
        assert_eq!(line("42", 0), "HMAC SHA-256 JWT for user 42 without expiration:");
    }

    #[test]
    fn a_life_beyond_what_a_claim_can_say_is_refused() {
        assert_eq!(Life::of(60).expires_at(1000), Ok(Some(1060)));
        assert_eq!(Life::of(-1).expires_at(1000), Ok(None));
        assert!(Life::of(i64::MAX).expires_at(1000).is_err());
    }
}
