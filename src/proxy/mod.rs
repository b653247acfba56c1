//! ③ What a backend is asked about a client, and what its answer means: in JSON and in Protobuf,
//! fields as Centrifugo names and numbers them (server contract, "proxies").
//!
//! Used by `connection`, which decides by the answers, `shard`, which knows the client, and
//! `control`, which puts the questions. Never knows how they travel: no HTTP, no socket, no clock.

mod answer;
mod carried;
mod connect;
mod refresh;

use crate::ids::ClientId;
use crate::limits::LabelLimits;
use crate::protocol::Encoding;
use crate::protocol::protobuf;

pub use self::answer::{AnswerError, Denied};
pub use self::carried::{Carried, CarriedNames, Header};
pub use self::connect::{Accepted, ConnectAnswer, ConnectQuestion};
pub use self::refresh::{RefreshAnswer, RefreshQuestion, Renewed};

/// Something that a backend is asked.
pub trait Question {
    /// What it says.
    type Answer: From<Denied>;

    /// Its method over gRPC.
    const METHOD: &'static str;

    /// What goes along.
    fn carried(&self) -> &Carried;

    /// The question in JSON.
    ///
    /// # Errors
    /// It cannot be said in JSON.
    fn json(&self, form: DataForm) -> Result<Vec<u8>, QuestionError>;

    /// The question in Protobuf.
    fn protobuf(&self, form: DataForm) -> Vec<u8>;

    /// Reads the answer to it in JSON.
    ///
    /// # Errors
    /// What makes no sense in it.
    fn read_json(&self, body: &[u8], limits: LabelLimits) -> Result<Self::Answer, AnswerError>;

    /// Reads the answer to it in Protobuf.
    ///
    /// # Errors
    /// What makes no sense in it.
    fn read_protobuf(&self, body: &[u8], limits: LabelLimits) -> Result<Self::Answer, AnswerError>;
}

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

/// The fields that begin every question in Protobuf.
fn write_client(
    out: &mut Vec<u8>,
    (client, transport): (ClientId, &str),
    encoding: Encoding,
    form: DataForm,
) {
    protobuf::write_bytes(out, 1, &client.text());
    protobuf::write_bytes(out, 2, transport.as_bytes());
    protobuf::write_bytes(out, 3, protocol_name(encoding).as_bytes());
    protobuf::write_bytes(out, 4, form.name().as_bytes());
}

#[cfg(test)]
mod tests;
