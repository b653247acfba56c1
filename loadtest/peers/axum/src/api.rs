//! `POST /api`: `{"method":"user_connections","params":{"user":"…"}}`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::Shared;
use crate::protocol::Refusal;
use crate::registry::Sessions;

#[derive(Deserialize)]
struct Request {
    method: String,
    #[serde(default)]
    params: Params,
}

#[derive(Deserialize, Default)]
struct Params {
    #[serde(default)]
    user: String,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Result { connections: Sessions },
    Error(Refusal),
}

/// Lists the sessions of a user.
pub(crate) async fn answer(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Answer>, StatusCode> {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = given.and_then(|given| given.strip_prefix("apikey ")).unwrap_or_default();
    if !bool::from(key.as_bytes().ct_eq(shared.settings.api_key.as_bytes())) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let Ok(Request { method, params }) = serde_json::from_slice(&body) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    Ok(Json(if method != "user_connections" {
        Answer::Error(Refusal { code: 104, message: "method not found" })
    } else if params.user.is_empty() {
        Answer::Error(Refusal { code: 107, message: "bad request" })
    } else {
        Answer::Result { connections: shared.registry.sessions_of(&params.user) }
    }))
}
