//! What a competent engineer builds in a day to know who is connected: tokio on all cores, axum's
//! WebSockets, one map of users in a `DashMap`. No strawman: buffers are small, the allocator is
//! the one Rollcall has, a session costs one task. No heroics: that task, hyper and tungstenite
//! are what they are. It exists to be measured against.
//!
//! Clients speak as much of Centrifugo's JSON protocol as keeps a session alive ([`socket`]);
//! `POST /api` lists the sessions of a user in the shape Rollcall answers in ([`api`]).
//! Configured by the environment: `PEER_ADDRESS`, `PEER_TOKEN_SECRET`, `PEER_API_KEY`,
//! `PEER_PING_INTERVAL_MS`, `PEER_PONG_TIMEOUT_MS`, `PEER_SYNTHETIC_SESSIONS`.

mod api;
mod protocol;
mod registry;
mod settings;
mod socket;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::registry::Registry;
use crate::settings::Settings;
use crate::tokens::Tokens;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What all requests share.
struct Shared {
    settings: Settings,
    tokens: Tokens,
    registry: Registry,
    /// Its sender is gone once the process is told to end.
    ending: watch::Receiver<()>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::from_environment()?;
    let address = settings.address.clone();
    let (end, ending) = watch::channel(());
    let tokens = Tokens::new(&settings.token_secret);
    let registry = Registry::synthetic(settings.synthetic_sessions);
    let shared = Arc::new(Shared { settings, tokens, registry, ending });
    let router = Router::new()
        .route("/connection/websocket", get(socket::upgrade))
        .route("/api", post(api::answer))
        .with_state(shared);
    let listener = TcpListener::bind(address).await?.tap_io(|stream| {
        // Pings are small and must not wait for each other; where it fails they only do.
        drop(stream.set_nodelay(true));
    });
    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            terminate.recv().await;
            drop(end);
        })
        .await?;
    Ok(())
}
