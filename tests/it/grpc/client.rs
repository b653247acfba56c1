//! A client made of `tonic` and `prost` alone: nothing of Rollcall reads or writes its bytes.

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;
use prost::bytes::BufMut;
use serde_json::json;
use tokio::runtime::Runtime;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::harness::{PATIENCE, token};

const METHOD: &str = "/centrifugal.centrifugo.unistream.CentrifugoUniStream/Consume";

/// `ConnectRequest` (`unistream.proto`).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConnectRequest {
    #[prost(string, tag = "1")]
    pub(crate) token: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) data: Vec<u8>,
    #[prost(string, tag = "4")]
    pub(crate) name: String,
    #[prost(string, tag = "5")]
    pub(crate) version: String,
}

/// `Push`, as much of it as there is today.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Push {
    #[prost(message, optional, tag = "10")]
    pub(crate) connect: Option<Connect>,
    #[prost(message, optional, tag = "11")]
    pub(crate) disconnect: Option<Disconnect>,
}

/// `Connect`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Connect {
    #[prost(string, tag = "1")]
    pub(crate) client: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    #[prost(uint32, tag = "7")]
    pub(crate) ping: u32,
    #[prost(string, tag = "9")]
    pub(crate) session: String,
}

/// `Disconnect`.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Disconnect {
    #[prost(uint32, tag = "1")]
    pub(crate) code: u32,
    #[prost(string, tag = "2")]
    pub(crate) reason: String,
}

/// A connect request of this user.
pub(crate) fn connect(user: &str) -> Vec<u8> {
    let token = token(user, json!({}));
    ConnectRequest { token, name: "test".into(), ..ConnectRequest::default() }.encode_to_vec()
}

/// One HTTP/2 connection.
pub(crate) struct Client {
    runtime: Runtime,
    channel: Channel,
    method: &'static str,
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::with(address, |endpoint| endpoint)
    }

    /// With other settings than the client's own.
    pub(crate) fn with(address: SocketAddr, settings: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = {
            let _inside = runtime.enter();
            settings(endpoint).connect_lazy()
        };
        Self { runtime, channel, method: METHOD }
    }

    pub(crate) fn calling(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// Opens a stream with this request, which may be anything.
    pub(crate) fn consume(&self, request: Vec<u8>) -> Result<Pushes<'_>, Status> {
        let channel = self.channel.clone();
        let path = self.method.parse().expect("a path");
        let streaming = self.runtime.block_on(within(async {
            let mut grpc = tonic::client::Grpc::new(channel);
            grpc.ready().await.expect("the server accepts");
            grpc.server_streaming(Request::new(request), path, Pushing).await
        }))?;
        Ok(Pushes { client: self, streaming: streaming.into_inner() })
    }

    /// A session of this user: its connect push has been read.
    pub(crate) fn session(&self, user: &str) -> (Pushes<'_>, Connect) {
        let mut pushes = self.consume(connect(user)).expect("a stream");
        let push = pushes.next().expect("a message").expect("a connect push");
        (pushes, push.connect.expect("a connect push"))
    }

    /// The status of a call that is refused, wherever it is said.
    pub(crate) fn refusal(&self, request: Vec<u8>) -> Status {
        match self.consume(request) {
            Err(status) => status,
            Ok(mut pushes) => pushes.next().expect_err("a refusal"),
        }
    }
}

/// One stream; the client leaves it when this is dropped.
pub(crate) struct Pushes<'c> {
    client: &'c Client,
    streaming: Streaming<Push>,
}

impl Pushes<'_> {
    /// The next push; `None` at the regular end.
    pub(crate) fn next(&mut self) -> Result<Option<Push>, Status> {
        self.client.runtime.block_on(within(self.streaming.message()))
    }

    /// The disconnect, and the regular end right behind it, over pings before it.
    pub(crate) fn last_words(&mut self) -> Disconnect {
        loop {
            let push = self.next().expect("a regular end").expect("a disconnect first");
            if push == Push::default() {
                continue;
            }
            let disconnect = push.disconnect.unwrap_or_else(|| panic!("a disconnect"));
            assert_eq!(self.next().expect("status 0"), None);
            let trailers = self.client.runtime.block_on(self.streaming.trailers());
            let trailers = trailers.expect("trailers").unwrap_or_default();
            let status = trailers.get("grpc-status").map_or("0", |it| it.to_str().expect("text"));
            assert_eq!(status, "0");
            return disconnect;
        }
    }
}

async fn within<T>(future: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = |_| Err(Status::new(Code::DeadlineExceeded, "never happened"));
    tokio::time::timeout(PATIENCE + Duration::from_secs(1), future).await.unwrap_or_else(late)
}

/// Requests as they are, pushes by their schema.
struct Pushing;

impl Codec for Pushing {
    type Encode = Vec<u8>;
    type Decode = Push;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Pushing {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Pushing {
    type Item = Push;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Push>, Status> {
        Push::decode(from).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
