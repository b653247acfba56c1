//! ② A gRPC method to what it calls.

use super::commands::{Command, Kind};
use super::error::ApiError;
use super::plan::absent;
use super::route::Route;
use super::schema::batch::BATCH_REQUEST;
use super::schema::{Call, Message};
use super::transcode::{self, Failure, ReadError, Reply, WriteError};

/// What a method calls.
#[derive(Clone, Debug)]
pub enum Rpc {
    /// `Batch`
    Batch,
    /// One command.
    Call(&'static Call, &'static Command),
    /// A command that is known and can only fail, whatever it is asked.
    Refused(ApiError),
}

/// What this method of the service calls. `None`: there is none, or none here.
#[must_use]
pub fn rpc(method: &str) -> Option<Rpc> {
    if method == "Batch" {
        return Some(Rpc::Batch);
    }
    let command = Command::at_rpc(method)?;
    match (Call::named(command.name).filter(|_| command.is_served()), command.kind) {
        (Some(call), _) => Some(Rpc::Call(call, command)),
        // What needs channels fails in the way of a command; so does `rpc`, which everybody has.
        (None, Kind::NeedsChannels) => Some(Rpc::Refused(absent(command))),
        (None, _) => (command.name == "rpc").then(|| Rpc::Refused(absent(command))),
    }
}

impl Rpc {
    /// What a request in Protobuf asks: the route it takes over HTTP, and the body in JSON.
    ///
    /// # Errors
    /// It is not the request of this method.
    ///
    /// # Panics
    /// For what is refused, which asks nothing.
    pub fn read(&self, request: &[u8]) -> Result<(Route, Vec<u8>), ReadError> {
        let (route, message): (_, &'static Message) = match self {
            Self::Batch => (Route::Batch, &BATCH_REQUEST),
            Self::Call(call, command) => (Route::Command(command), call.request),
            Self::Refused(_) => unreachable!("refused before it was read"),
        };
        let mut body = Vec::new();
        transcode::body(message, request, &mut body)?;
        Ok((route, body))
    }

    /// What the reply in JSON says in Protobuf: the response, or why one command failed.
    ///
    /// # Errors
    /// The reply is not one to this method: our mistake.
    pub fn write<'j>(&self, reply: &'j [u8]) -> Result<Result<Vec<u8>, Failure<'j>>, WriteError> {
        let Self::Call(call, _) = self else { return transcode::batch_response(reply).map(Ok) };
        let mut reply = Reply::parse(reply)?;
        match reply.error.take() {
            Some(failure) => Ok(Err(failure)),
            None => transcode::response(call, &reply).map(Ok),
        }
    }
}
