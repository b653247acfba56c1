//! What an API caller is told when a command cannot be carried out.

use std::borrow::Cow;
use std::fmt;

use super::encode::Object;
use crate::wire::http1::Status;

/// An error of one command: a documented code, and a text that says what was wrong and what would
/// be right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    kind: ErrorKind,
    message: Cow<'static, str>,
}

/// The kinds of errors there are (Centrifugo `internal/apiproto/errors.go`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// Ours: the command could not be carried out as a whole.
    Internal,
    /// The channel belongs to no namespace.
    UnknownChannel,
    /// There is no such command here.
    NotFound,
    /// The caller's: a required parameter is missing, or a value makes no sense.
    BadRequest,
    /// The command exists and what it needs is off or not there yet.
    NotAvailable,
}

impl ErrorKind {
    /// The kind of this number.
    #[must_use]
    pub fn of_code(code: u32) -> Option<Self> {
        use ErrorKind::{BadRequest, Internal, NotAvailable, NotFound, UnknownChannel};
        [Internal, UnknownChannel, NotFound, BadRequest, NotAvailable]
            .into_iter()
            .find(|kind| kind.code() == code)
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Internal => 100,
            Self::UnknownChannel => 102,
            Self::NotFound => 104,
            Self::BadRequest => 107,
            Self::NotAvailable => 108,
        }
    }

    /// The HTTP status it becomes in transport error mode.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Internal => Status(500),
            Self::UnknownChannel | Self::NotFound => Status(404),
            Self::BadRequest | Self::NotAvailable => Status(400),
        }
    }

    /// Centrifugo's whole text, and the beginning of ours.
    const fn text(self) -> &'static str {
        match self {
            Self::Internal => "internal server error",
            Self::UnknownChannel => "unknown channel",
            Self::NotFound => "not found",
            Self::BadRequest => "bad request",
            Self::NotAvailable => "not available",
        }
    }
}

impl ApiError {
    pub(super) fn new(kind: ErrorKind, why: impl fmt::Display) -> Self {
        Self { kind, message: format!("{}: {why}", kind.text()).into() }
    }

    pub(super) fn bad_request(why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::BadRequest, why)
    }

    /// What is asked for exists, and cannot be had now.
    #[must_use]
    pub fn not_available(why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotAvailable, why)
    }

    /// What had to be stored was not: nothing has changed.
    #[must_use]
    pub fn not_stored() -> Self {
        let why = "it could not be stored, nothing has changed, send it again";
        Self::new(ErrorKind::Internal, why)
    }

    /// What was to be fenced out is not what the session has now: nothing has changed.
    #[must_use]
    pub fn token_replaced() -> Self {
        let why = "the session has got another token in this moment, nobody was sent away, send it \
                   again";
        Self::new(ErrorKind::Internal, why)
    }

    /// What had to be stored where several nodes share it was not, because it cannot be reached.
    #[must_use]
    pub fn store_away() -> Self {
        let why = "the shared store cannot be reached, nothing has changed, send it again later";
        Self::new(ErrorKind::Internal, why)
    }

    /// The store has not said whether it is stored.
    #[must_use]
    pub fn not_known_stored() -> Self {
        let why =
            "the shared store did not say that it is done, it may be stored or not, send it again";
        Self::new(ErrorKind::Internal, why)
    }

    /// There are as many statuses of users as there may be.
    #[must_use]
    pub fn too_many_statuses(statuses_max: u64) -> Self {
        Self::not_available(format_args!(
            "{statuses_max} statuses are kept (user_status.limit), delete what is not needed or wait \
             until older ones are forgotten"
        ))
    }

    /// There are as many rules of a kind as there may be.
    #[must_use]
    pub fn too_many_rules(rules_max: usize) -> Self {
        Self::not_available(format_args!(
            "there are {rules_max} rules of this kind, take back what is not needed and give others \
             an \"expire_at\""
        ))
    }

    /// Whose fault it is, and its number.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What it says, for a person.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Writes `{"code":N,"message":"…"}`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.integer("code", self.kind.code());
        object.text("message", &self.message);
        object.close();
    }
}
