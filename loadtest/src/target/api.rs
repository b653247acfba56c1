//! A blocking connection to the server's API, for questions beside the load.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Number;

use crate::failure::{Context, Failure};
use crate::http::{self, Malformed};
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
        let question = self.question;
        self.exchange(&request, |received| {
            let answer = question.read(received)?;
            Ok(answer.map(|answer| answer.body.and_then(|body| question.check(&body, expected))))
        })
    }

    /// What a Rollcall says of itself, by `info`.
    pub(crate) fn info(&mut self) -> Result<Node, Failure> {
        let authorization = format!("Authorization: apikey {}", self.key);
        let headers = ["Content-Type: application/json", &authorization];
        let request = http::post(&self.host, "/api/info", &headers, "{}");
        let body = self.exchange(&request, |received| {
            let response = http::parse_response(received)?;
            Ok(response.map(|response| response.body.into_owned()))
        })?;
        let info: Info = serde_json::from_slice(&body).during("reading `info`")?;
        let nodes = info.result.map(|result| result.nodes).unwrap_or_default();
        let [node] = <[Node; 1]>::try_from(nodes)
            .map_err(|nodes| Failure::new(format!("`info` names {} nodes", nodes.len())))?;
        Ok(node)
    }

    /// Sends a request and reads until `whole` has found an answer.
    fn exchange<T>(
        &mut self,
        request: &[u8],
        whole: impl Fn(&[u8]) -> Result<Option<T>, Malformed>,
    ) -> Result<T, Failure> {
        self.stream.write_all(request).during("sending a query")?;
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = self.stream.read(&mut buffer).during("waiting for an answer")?;
            if read == 0 {
                return Err(Failure::new("the server closed the API connection"));
            }
            received.extend_from_slice(&buffer[..read]);
            if let Some(answer) = whole(&received).during("reading an answer")? {
                return Ok(answer);
            }
        }
    }
}

#[derive(Deserialize)]
struct Info {
    result: Option<InfoResult>,
}

#[derive(Deserialize)]
struct InfoResult {
    nodes: Vec<Node>,
}

/// A node by its own words.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(crate) struct Node {
    /// Sessions it holds.
    pub(crate) num_clients: u64,
    /// Users they belong to.
    pub(crate) num_users: u64,
    #[serde(default)]
    metrics: Metrics,
}

#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
struct Metrics {
    #[serde(default)]
    items: BTreeMap<String, Number>,
}

impl Node {
    /// Rollcall's counter of this name; what is not counted is 0.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let item = self.metrics.items.get(&format!("rollcall.{name}"));
        item.and_then(Number::as_u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_says_how_much_it_holds_and_counts() {
        let text = r#"{"result":{"nodes":[{"num_clients":4,"num_users":2,"uptime":9,
            "metrics":{"items":{"rollcall.sessions_slow":7}}}]}}"#;
        let info: Info = serde_json::from_str(text).unwrap();
        let node = &info.result.unwrap().nodes[0];
        assert_eq!((node.num_clients, node.num_users), (4, 2));
        assert_eq!((node.counter("sessions_slow"), node.counter("panics")), (7, 0));
    }
}
