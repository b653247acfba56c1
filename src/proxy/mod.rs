//! ③ What a backend is asked about a client, and what its answer means: in JSON, fields as Centrifugo
//! names them (server contract, "proxies").
//!
//! Used by `connection`, which decides by the answers, `shard`, which knows the client, and
//! `control`, which puts the questions. Never knows how they travel: no HTTP, no socket, no clock.

mod answer;
mod carried;
mod connect;
mod refresh;

use crate::protocol::Encoding;

pub use self::answer::{AnswerError, Denied};
pub use self::carried::{Carried, CarriedNames, Header};
pub use self::connect::{Accepted, ConnectAnswer, ConnectQuestion};
pub use self::refresh::{RefreshAnswer, RefreshQuestion, Renewed};

/// How a client's data is put into a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DataForm {
    /// As JSON.
    Json,
    /// As bytes (`binary_encoding`).
    Binary,
}

impl DataForm {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Binary => "binary",
        }
    }
}

/// Why a question cannot be put.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// A client that speaks Protobuf sent something else.
    #[error("the client's data is not JSON: set binary_encoding to take any bytes")]
    NoJson(#[from] serde_json::Error),
}

/// How clients' messages are written, as backends read it.
const fn protocol_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "json",
        Encoding::Protobuf => "protobuf",
    }
}

#[cfg(test)]
mod tests;
