//! Requests to the server's HTTP endpoints on a connection that is kept, one after the other.

use std::borrow::Cow;
use std::net::SocketAddr;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

use super::deadline::{CALL, within};
use super::dial::Goodbye;
use super::open::connect;
use crate::failure::{Context, Failure};
use crate::http::{self, Malformed};
use crate::question::{Question, Wrong};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// A connection to the API; of no use any more once a call on it has failed.
pub(super) struct Caller {
    socket: TcpStream,
    host: String,
    key: String,
}

impl Caller {
    pub(super) async fn connect(address: SocketAddr, key: &str) -> Result<Self, Failure> {
        let socket = within(CALL, "no connection", connect(address, None, Goodbye::Fin)).await?;
        Ok(Self { socket, host: address.to_string(), key: key.to_owned() })
    }

    /// Asks for the sessions of a user; the body of the answer.
    pub(super) async fn ask(
        &mut self,
        question: Question,
        user: &str,
    ) -> Result<Result<Vec<u8>, Wrong>, Failure> {
        let request = question.request(&self.host, &self.key, user);
        let asked = exchange(&mut self.socket, request, |received| {
            let answer = question.read(received)?;
            Ok(answer.map(|answer| (answer.body.map(Cow::into_owned), answer.len)))
        });
        within(CALL, "no answer", asked).await
    }

    /// Status and body of the answer.
    pub(super) async fn call(&mut self, path: &str, body: &str) -> Result<(u16, Vec<u8>), Failure> {
        let authorization = format!("Authorization: apikey {}", self.key);
        let headers = ["Content-Type: application/json", authorization.as_str()];
        let request = http::post(&self.host, path, &headers, body);
        within(CALL, "no answer", post(&mut self.socket, request)).await
    }
}

/// Sends a request over HTTP; status and body of the answer.
pub(super) async fn post(
    socket: &mut TcpStream,
    request: Vec<u8>,
) -> Result<(u16, Vec<u8>), Failure> {
    exchange(socket, request, |received| {
        let response = http::parse_response(received)?;
        Ok(response.map(|http::Response { status, body, len }| ((status, body.into_owned()), len)))
    })
    .await
}

/// Sends a request and reads until `whole` has found an answer, and how long it is.
async fn exchange<T>(
    socket: &mut TcpStream,
    request: Vec<u8>,
    whole: impl Fn(&[u8]) -> Result<Option<(T, usize)>, Malformed>,
) -> Result<T, Failure> {
    socket.write_all(request).await.0.during("sending a request")?;
    let mut received = Vec::new();
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        let read;
        (read, buffer) = socket.read(buffer).await;
        if read.during("waiting for an answer")? == 0 {
            return Err(Failure::new("closed by the server"));
        }
        received.extend_from_slice(&buffer);
        let Some((answer, len)) = whole(&received).during("reading an answer")? else { continue };
        if len < received.len() {
            return Err(Failure::new("bytes after an answer"));
        }
        return Ok(answer);
    }
}
