//! A client that knows nothing but what reflection tells it, made of `tonic` and `prost-reflect`.

use std::net::SocketAddr;

use prost_reflect::prost::Message;
use prost_reflect::prost::bytes::{Buf, BufMut};
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions,
};
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::harness::PATIENCE;

pub(crate) const SERVICE: &str = "centrifugal.centrifugo.api.CentrifugoApi";

/// One HTTP/2 connection.
pub(crate) struct Client {
    runtime: Runtime,
    channel: Channel,
    headers: Vec<(&'static str, String)>,
    is_gzip: bool,
}

/// `ServerReflectionRequest`, and as much of its response as is looked at.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Question {
    #[prost(string, optional, tag = "3")]
    pub(crate) file: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) symbol: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(crate) services: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Answer {
    #[prost(message, optional, tag = "2")]
    pub(crate) original: Option<Question>,
    #[prost(message, optional, tag = "4")]
    pub(crate) files: Option<Files>,
    #[prost(message, optional, tag = "6")]
    pub(crate) services: Option<Services>,
    #[prost(message, optional, tag = "7")]
    pub(crate) error: Option<ErrorResponse>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) files: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Services {
    #[prost(message, repeated, tag = "1")]
    pub(crate) services: Vec<ServiceName>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ServiceName {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ErrorResponse {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = {
            let _inside = runtime.enter();
            endpoint.connect_lazy()
        };
        Self { runtime, channel, headers: Vec::new(), is_gzip: false }
    }

    /// With this metadata in every call.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Compresses what it sends.
    pub(crate) fn gzip(self) -> Self {
        Self { is_gzip: true, ..self }
    }

    /// Sends bytes and takes bytes.
    pub(crate) fn raw(&self, path: &str, request: Vec<u8>) -> Result<Vec<u8>, Status> {
        let path = path.parse().expect("a path");
        self.runtime.block_on(within(async {
            let mut grpc = tonic::client::Grpc::new(self.channel.clone())
                .max_decoding_message_size(64 * 1024 * 1024);
            if self.is_gzip {
                grpc = grpc.send_compressed(CompressionEncoding::Gzip);
            }
            grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            grpc.unary(self.request(request), path, Bytes).await.map(tonic::Response::into_inner)
        }))
    }

    /// Opens a stream of responses.
    pub(crate) fn stream(
        &self,
        path: &str,
        requests: Vec<Vec<u8>>,
    ) -> Result<Responses<'_>, Status> {
        let path = path.parse().expect("a path");
        let streaming = self.runtime.block_on(within(async {
            let mut grpc = tonic::client::Grpc::new(self.channel.clone());
            grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let requests = tokio_stream::iter(requests);
            grpc.streaming(self.request(requests), path, Bytes).await
        }))?;
        Ok(Responses { client: self, streaming: streaming.into_inner() })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in &self.headers {
            request.metadata_mut().insert(*name, value.parse().expect("a header"));
        }
        request
    }

    /// What reflection answers, one after another on one stream.
    pub(crate) fn reflect(
        &self,
        version: &str,
        questions: &[Question],
    ) -> Result<Vec<Answer>, Status> {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let mut responses =
            self.stream(&path, questions.iter().map(Message::encode_to_vec).collect())?;
        let mut answers = Vec::new();
        while let Some(response) = responses.next()? {
            answers.push(Answer::decode(response.as_slice()).expect("an answer"));
        }
        Ok(answers)
    }

    /// Everything reflection tells of the API.
    pub(crate) fn pool(&self) -> DescriptorPool {
        let symbol = Some(SERVICE.to_owned());
        let question = Question { symbol, ..Question::default() };
        let answers = self.reflect("v1", &[question]).expect("reflection is on");
        let [Answer { files: Some(Files { files }), .. }] = answers.as_slice() else {
            panic!("no file: {answers:?}")
        };
        let mut pool = DescriptorPool::new();
        pool.decode_file_descriptor_proto(files[0].as_slice()).expect("a whole file");
        pool
    }
}

/// One stream.
pub(crate) struct Responses<'c> {
    client: &'c Client,
    streaming: Streaming<Vec<u8>>,
}

impl Responses<'_> {
    /// The next message; `None` at the regular end.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        self.client.runtime.block_on(within(self.streaming.message()))
    }
}

/// A client of the API by what reflection told.
pub(crate) struct Api {
    pub(crate) client: Client,
    pub(crate) pool: DescriptorPool,
}

impl Api {
    pub(crate) fn new(client: Client) -> Self {
        let pool = client.pool();
        Self { client, pool }
    }

    /// Calls a method with JSON; the response is JSON too, with names as in Protobuf.
    pub(crate) fn call(&self, method: &str, request: &Value) -> Result<Value, Status> {
        let known = self.method(method);
        let request = dynamic(known.input(), request);
        let path = format!("/{SERVICE}/{method}");
        let response = self.client.raw(&path, request.encode_to_vec())?;
        let response = DynamicMessage::decode(known.output(), response.as_slice());
        Ok(json(&response.expect("a response")))
    }

    /// Calls a method that streams, with JSON.
    pub(crate) fn stream(&self, method: &str, request: &Value) -> Result<Events<'_>, Status> {
        let known = self.method(method);
        assert!(known.is_server_streaming() && !known.is_client_streaming());
        let request = dynamic(known.input(), request).encode_to_vec();
        let responses = self.client.stream(&format!("/{SERVICE}/{method}"), vec![request])?;
        Ok(Events { responses, known: known.output() })
    }

    fn method(&self, name: &str) -> MethodDescriptor {
        let service = self.pool.get_service_by_name(SERVICE).expect("the service");
        service.methods().find(|known| known.name() == name).expect("a method")
    }
}

/// A stream of messages that reflection told of.
pub(crate) struct Events<'c> {
    responses: Responses<'c>,
    known: MessageDescriptor,
}

impl Events<'_> {
    /// The next one in JSON; `None` at the regular end.
    pub(crate) fn next(&mut self) -> Result<Option<Value>, Status> {
        let Some(event) = self.responses.next()? else { return Ok(None) };
        let event = DynamicMessage::decode(self.known.clone(), event.as_slice());
        Ok(Some(json(&event.expect("an event"))))
    }
}

fn dynamic(known: MessageDescriptor, json: &Value) -> DynamicMessage {
    DynamicMessage::deserialize(known, json).expect("the request fits the method")
}

fn json(message: &DynamicMessage) -> Value {
    let options =
        SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).expect("JSON")
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer in time")
}

/// Messages as they are.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining()).to_vec()))
    }
}
