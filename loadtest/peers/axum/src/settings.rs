//! What the process is told by its environment.

use std::time::Duration;

/// How it runs.
pub(crate) struct Settings {
    pub(crate) address: String,
    pub(crate) token_secret: String,
    pub(crate) api_key: String,
    pub(crate) ping_interval: Duration,
    /// Shorter than the interval.
    pub(crate) pong_timeout: Duration,
    /// Sessions without a client that it begins with, three for each user.
    pub(crate) synthetic_sessions: u32,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self, String> {
        let ping_interval = duration("PEER_PING_INTERVAL_MS")?;
        let pong_timeout = duration("PEER_PONG_TIMEOUT_MS")?;
        if pong_timeout >= ping_interval {
            return Err("PEER_PONG_TIMEOUT_MS must be less than PEER_PING_INTERVAL_MS".to_owned());
        }
        Ok(Self {
            address: text("PEER_ADDRESS")?,
            token_secret: text("PEER_TOKEN_SECRET")?,
            api_key: text("PEER_API_KEY")?,
            ping_interval,
            pong_timeout,
            synthetic_sessions: number_if_any("PEER_SYNTHETIC_SESSIONS")?,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn text(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}

fn number_if_any(name: &str) -> Result<u32, String> {
    let Ok(number) = text(name) else { return Ok(0) };
    number.parse().map_err(|error| format!("{name}: {error}"))
}

fn duration(name: &str) -> Result<Duration, String> {
    let ms = text(name)?.parse().map_err(|error| format!("{name}: {error}"))?;
    Ok(Duration::from_millis(ms))
}
