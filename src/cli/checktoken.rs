//! `checktoken`: whether a token would be accepted, and what it says.

use std::process::ExitCode;

use clap::ArgMatches;

use crate::auth::{self, TokenError, TokenOptions, Verifier};
use crate::control::outside;
use crate::time::Now;

/// Prints whose token it is and its claims, or why it would be refused.
pub(super) fn checktoken(matches: &ArgMatches, program: &str, now: Now) -> ExitCode {
    let Some(token) = matches.get_one::<String>("token") else {
        return super::fail(&format!("provide token to check [{program} checktoken <TOKEN>]"));
    };
    let asked = match super::load(matches, Vec::new()) {
        Ok(asked) => asked,
        Err(errors) => return super::fail(&errors.to_string()),
    };
    let options = match asked.loaded.config.token_options() {
        Ok(options) => options,
        Err(errors) => return super::fail(&errors),
    };
    match check(&options, token, now) {
        Ok(report) => super::say(&report),
        Err(report) => super::fail(&report),
    }
}

/// What is to be said of a good token, or of a bad one.
fn check(options: &TokenOptions, token: &str, now: Now) -> Result<String, String> {
    let said = auth::read_unverified(token).map_err(|why| format!("token has error: {why}"))?;
    let claims = one_line(&said.claims);
    let verifier = Verifier::new(options);
    let verified = match (verifier.verify(token, now), &options.jwks) {
        (Err(TokenError::KeyNeeded(needed)), Some(jwks)) => {
            let address = &needed.address;
            let set = outside::fetch_keys(address);
            let set = set.map_err(|why| format!("keys cannot be fetched from {address}: {why}"))?;
            jwks.ring.put(address, set);
            verifier.verify(token, now)
        }
        (verified, _) => verified,
    };
    match verified {
        Ok(verified) => {
            let user = match verified.user.as_str() {
                "" => "anonymous user".to_owned(),
                user => format!("user {user}"),
            };
            let sessions = if verified.own_sessions {
                "\nsessions: its client may list and close the user's own"
            } else {
                ""
            };
            Ok(format!("valid token for {user}\npayload: {claims}{sessions}"))
        }
        Err(why) => {
            let algorithm = one_line(&said.algorithm);
            Err(format!("token with algorithm {algorithm} and claims {claims} has error: {why}"))
        }
    }
}

/// A stranger's text for a terminal: control characters would be obeyed there.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::NewClaims;

    const NOW: Now = Now { mono_ms: 0, unix_ms: 1_700_000_000_000 };

    fn options() -> TokenOptions {
        TokenOptions { hmac_secret: Some("secret".to_owned()), ..TokenOptions::default() }
    }

    fn token(user: &str, expires_at: Option<i64>) -> String {
        auth::sign("secret", &NewClaims { user, expires_at, ..NewClaims::default() })
    }

    #[test]
    fn a_good_token_is_told_with_its_user_and_claims() {
        assert_eq!(
            check(&options(), &token("42", None), NOW),
            Ok("valid token for user 42\npayload: {\"sub\":\"42\"}".to_owned())
        );
        assert_eq!(
            check(&options(), &token("", None), NOW),
            Ok("valid token for anonymous user\npayload: {}".to_owned())
        );
        let claims = NewClaims { user: "42", sessions: Some("self"), ..NewClaims::default() };
        let expected = "valid token for user 42\npayload: {\"sub\":\"42\",\"sessions\":\"self\"}\n\
                        sessions: its client may list and close the user's own";
        assert_eq!(check(&options(), &auth::sign("secret", &claims), NOW), Ok(expected.to_owned()));
    }

    #[test]
    fn a_bad_token_is_told_with_its_claims_and_the_reason() {
        let error = check(&options(), &token("42", Some(1_627_713_335)), NOW).unwrap_err();
        let start = "token with algorithm HS256 and claims {\"sub\":\"42\",\"exp\":1627713335} \
                     has error: ";
        assert!(error.starts_with(start), "{error}");
        let error = check(&options(), "nonsense", NOW).unwrap_err();
        assert!(error.starts_with("token has error: "), "{error}");
    }
}
