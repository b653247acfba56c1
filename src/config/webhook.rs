//! What the types of the webhook's options cannot say.

use std::time::Duration;

use super::table::Config;
use super::validate::{Fault, duration_fault};
use crate::control::webhook::{BadSecret, Signer};

/// Most events in one request.
const BATCH_MAX: usize = 10_000;

/// Fewest bytes of events that may wait: what a burst needs.
const QUEUE_BYTES_MIN: u64 = 64 * 1024;

impl Config {
    /// Who signs requests of the webhook.
    ///
    /// # Errors
    /// The secrets cannot be used, or there is none.
    pub fn webhook_signer(&self) -> Result<Signer, BadSecret> {
        let webhook = &self.session_webhook;
        Signer::new(webhook.secret.expose(), webhook.previous_secret.expose())
    }
}

/// What is allowed and should be known.
pub(super) const fn dangers(config: &Config) -> [(bool, &'static str); 1] {
    let tls = &config.session_webhook.tls;
    [(
        tls.enabled && tls.insecure_skip_verify,
        "session_webhook.tls.insecure_skip_verify tells whoever answers what happens to sessions",
    )]
}

/// Everything about the webhook that cannot be meant.
pub(super) fn faults(config: &Config) -> Vec<Fault> {
    let webhook = &config.session_webhook;
    if !webhook.enabled {
        return Vec::new();
    }
    let (millisecond, minute) = (Duration::from_millis(1), Duration::from_secs(60));
    let (least, most) = (webhook.min_retry_delay, webhook.max_retry_delay);
    let durations = [
        duration_fault("session_webhook.timeout", webhook.timeout, millisecond..=minute),
        duration_fault("session_webhook.linger", webhook.linger, Duration::ZERO..=minute),
        duration_fault("session_webhook.min_retry_delay", least, millisecond..=minute),
        duration_fault("session_webhook.max_retry_delay", most, least..=60 * minute),
    ];
    let mut faults: Vec<Fault> = durations.into_iter().flatten().collect();
    if !(1..=BATCH_MAX).contains(&webhook.batch_size) {
        faults.push(("session_webhook.batch_size", format!("must be from 1 to {BATCH_MAX}")));
    }
    if webhook.queue_max_size < QUEUE_BYTES_MIN {
        let what = format!("must be at least {QUEUE_BYTES_MIN} bytes");
        faults.push(("session_webhook.queue_max_size", what));
    }
    if webhook.queue_path == config.storage.path {
        let what = "is that of storage.path: give each a file of its own".to_owned();
        faults.push(("session_webhook.queue_path", what));
    }
    // What must be set is asked for when the server starts, as of other backends.
    if !webhook.secret.expose().is_empty()
        && let Err(error) = config.webhook_signer()
    {
        faults.push(("session_webhook.secret", error.to_string()));
    }
    faults
}
