//! A blocking connection to the server's API, for questions beside the load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::failure::{Context, Failure};
use crate::question::{Expected, Question, Wrong};

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is kept.
pub(crate) struct Api {
    stream: TcpStream,
    question: Question,
    host: String,
    key: String,
}

impl Api {
    pub(super) fn connect(
        address: SocketAddr,
        question: Question,
        key: &str,
    ) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)
            .during(&format!("connecting to the server at {address}"))?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).during("setting a time-out")?;
        stream.set_nodelay(true).during("setting TCP_NODELAY")?;
        Ok(Self { stream, question, host: address.to_string(), key: key.to_owned() })
    }

    /// Asks for a user's sessions and judges the answer; the outer error is no answer at all.
    pub(crate) fn check(&mut self, expected: &Expected<'_>) -> Result<Result<(), Wrong>, Failure> {
        let request = self.question.request(&self.host, &self.key, expected.user);
        self.stream.write_all(&request).during("sending a query")?;
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = self.stream.read(&mut buffer).during("waiting for an answer")?;
            if read == 0 {
                return Err(Failure::new("the server closed the API connection"));
            }
            received.extend_from_slice(&buffer[..read]);
            if let Some(answer) = self.question.read(&received).during("reading an answer")? {
                return Ok(answer.body.and_then(|body| self.question.check(&body, expected)));
            }
        }
    }
}
