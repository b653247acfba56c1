//! The life of a WebSocket: a token within some seconds, then pings and pongs until it ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use tokio::time::{Instant, sleep_until};

use crate::Shared;
use crate::protocol::{Command, Connect, Connected, Disconnect, PING, Refusal, Reply};
use crate::registry::{Listed, Session};
use crate::settings::Settings;

/// How long a client may take to say who it is.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// Longest message of a client.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Bytes read at once: what an idle session sends is tiny, and the library would hold 128 KiB.
const READ_BYTES: usize = 1024;

/// Takes the connection over.
pub(crate) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade
        .read_buffer_size(READ_BYTES)
        // Written at once.
        .write_buffer_size(0)
        .max_message_size(MESSAGE_BYTES_MAX)
        .on_upgrade(|socket| serve(socket, shared))
}

async fn serve(mut socket: WebSocket, shared: Arc<Shared>) {
    let Err(ended) = live(&mut socket, shared).await;
    if let Some(Disconnect(code, reason)) = ended {
        let frame = CloseFrame { code, reason: reason.into() };
        // The client sees why, if it is still there.
        drop(socket.send(Message::Close(Some(frame))).await);
    }
}

/// What ends a connection: a reason of ours, or `None` if the client is gone.
type Ended = Option<Disconnect>;

/// Serves a connection until it ends.
async fn live(socket: &mut WebSocket, shared: Arc<Shared>) -> Result<Infallible, Ended> {
    let mut ending = shared.ending.clone();
    let mut clock = Clock::new(Instant::now() + CONNECT_WITHIN);
    let mut listed = None;
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    for line in text.lines() {
                        on_line(socket, &shared, line, &mut clock, &mut listed).await?;
                    }
                }
                // What is sent here is text; the library answers pings of WebSocket itself.
                Some(Ok(Message::Binary(_))) => return Err(Some(Disconnect::BAD_REQUEST)),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
            },
            () = sleep_until(clock.at()) => {
                clock.on_time(&shared.settings)?;
                send(socket, PING.to_owned()).await?;
            }
            _ = ending.changed() => return Err(Some(Disconnect::SHUTDOWN)),
        }
    }
}

async fn on_line(
    socket: &mut WebSocket,
    shared: &Arc<Shared>,
    line: &str,
    clock: &mut Clock,
    listed: &mut Option<Listed>,
) -> Result<(), Ended> {
    if line == PING {
        clock.on_pong();
        return Ok(());
    }
    let reply = match (serde_json::from_str(line), &listed) {
        (Ok(Command { id, connect: Some(connect) }), None) => {
            let (session, ends_s) = admit(shared, connect)?;
            clock.on_connect(&shared.settings, ends_s.map(Duration::from_secs));
            let connect = Connected {
                client: session.id,
                version: env!("CARGO_PKG_VERSION"),
                ping: shared.settings.ping_interval.as_secs(),
                pong: true,
            };
            *listed = Some(session);
            Reply { id, connect: Some(connect), error: None }
        }
        (Ok(Command { id: id @ 1.., connect: None }), Some(_)) => {
            let error = Refusal { code: 104, message: "method not found" };
            Reply { id, connect: None, error: Some(error) }
        }
        _ => return Err(Some(Disconnect::BAD_REQUEST)),
    };
    let text = serde_json::to_string(&reply).map_err(|_never| Disconnect::BAD_REQUEST)?;
    send(socket, text).await
}

/// Lists the session of whoever has a valid token; with it the seconds it may last.
fn admit(shared: &Arc<Shared>, asked: Connect<'_>) -> Result<(Listed, Option<u64>), Disconnect> {
    let claims = shared.tokens.verify(asked.token).ok_or(Disconnect::INVALID_TOKEN)?;
    let session = Session {
        app_name: asked.name.into(),
        app_version: asked.version.into(),
        transport: "websocket",
        protocol: "json",
        meta: claims.meta,
        token_uid: claims.jti,
        token_issued_at: claims.iat,
    };
    let ends_s = claims.exp.map(|exp| exp.saturating_sub(jsonwebtoken::get_current_timestamp()));
    Ok((Listed::new(Arc::clone(shared), claims.user, session), ends_s))
}

async fn send(socket: &mut WebSocket, text: String) -> Result<(), Ended> {
    socket.send(Message::text(text)).await.map_err(|_gone| None)
}

/// What is due next on a connection.
struct Clock {
    next: Due,
    /// When the token ends.
    ends: Option<Instant>,
}

enum Due {
    /// The client must have said who it is.
    Connect(Instant),
    Ping(Instant),
    /// The ping must have been answered.
    Pong {
        by: Instant,
        next_ping: Instant,
    },
}

impl Clock {
    const fn new(connect_by: Instant) -> Self {
        Self { next: Due::Connect(connect_by), ends: None }
    }

    /// When to look again.
    fn at(&self) -> Instant {
        let (Due::Connect(next) | Due::Ping(next) | Due::Pong { by: next, .. }) = self.next;
        self.ends.map_or(next, |ends| ends.min(next))
    }

    fn on_connect(&mut self, settings: &Settings, lasts: Option<Duration>) {
        let now = Instant::now();
        self.next = Due::Ping(now + settings.ping_interval);
        self.ends = lasts.map(|lasts| now + lasts);
    }

    const fn on_pong(&mut self) {
        if let Due::Pong { next_ping, .. } = self.next {
            self.next = Due::Ping(next_ping);
        }
    }

    /// The instant has come: what was due is late, unless it is our ping.
    fn on_time(&mut self, settings: &Settings) -> Result<(), Disconnect> {
        let now = Instant::now();
        match self.next {
            _ if self.ends.is_some_and(|ends| ends <= now) => Err(Disconnect::EXPIRED),
            Due::Connect(_) => Err(Disconnect::STALE),
            Due::Pong { .. } => Err(Disconnect::NO_PONG),
            Due::Ping(at) => {
                self.next = Due::Pong {
                    by: now + settings.pong_timeout,
                    next_ping: at + settings.ping_interval,
                };
                Ok(())
            }
        }
    }
}
