//! The options of the webhook, in the form of those who tell and of those who send.

use super::proxy::tls;
use crate::api::webhook::Wanted;
use crate::config::Config;
use crate::control::webhook::{QueueOptions, WebhookOptions};

/// What a backend wants to hear of sessions.
pub(super) fn wanted(config: &Config) -> Option<Wanted> {
    let webhook = &config.session_webhook;
    webhook.enabled.then(|| Wanted {
        kinds: webhook.events.clone(),
        meta: webhook.include_meta,
        session: webhook.include_session,
    })
}

/// Where it is sent, and what with.
///
/// # Errors
/// The secrets cannot be used, as text for a person.
pub(super) fn options(
    config: &Config,
    node_name: String,
) -> Result<Option<WebhookOptions>, String> {
    let webhook = &config.session_webhook;
    if !webhook.enabled {
        return Ok(None);
    }
    let added = webhook.static_headers.expose();
    Ok(Some(WebhookOptions {
        endpoint: webhook.endpoint.clone(),
        signer: config
            .webhook_signer()
            .map_err(|error| format!("session_webhook.secret {error}"))?,
        timeout: webhook.timeout,
        events_max: webhook.batch_size,
        linger: webhook.linger,
        retry_min: webhook.min_retry_delay,
        retry_max: webhook.max_retry_delay,
        queue: QueueOptions {
            path: (&webhook.queue_path).into(),
            bytes_max: webhook.queue_max_size,
        },
        added: added.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        tls: tls(&webhook.tls),
        node_name,
    }))
}
