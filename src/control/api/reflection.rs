//! Reflection (`grpc.reflection.v1` and its older name): callers ask which services and messages
//! there are. No key is asked for, as in Centrifugo.

use std::future::poll_fn;
use std::pin::Pin;

use hyper::Response;
use hyper::body::{Body, Incoming};
use tonic::{Code, Status};

use super::body::{self, Frames, Sender};
use super::health;
use crate::api::schema::{PACKAGE, SERVICE, descriptor, published};
use crate::control::grpc::InProgress;
use crate::protocol::DecodeError;
use crate::protocol::protobuf::{Reader, write_bytes, write_message, write_number};
use crate::transport::grpc::{PREFIX_BYTES, split_message};

pub(super) const V1: &str = "grpc.reflection.v1.ServerReflection";
pub(super) const V1_ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";

/// Answers one question after another, for as long as the caller asks.
pub(super) fn serve(call: InProgress, incoming: Incoming, bytes_max: usize) -> Response<Frames> {
    let (sender, response) = body::stream(call);
    tokio::task::spawn_local(async move {
        if let Some(status) = converse(&sender, incoming, bytes_max).await {
            sender.end(status).await;
        }
    });
    response
}

/// Returns how it ended; nothing when the caller has gone.
async fn converse(sender: &Sender, mut incoming: Incoming, bytes_max: usize) -> Option<Status> {
    let mut unread = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        unread.extend_from_slice(&data);
        let mut rest = unread.as_slice();
        while let Some(request) = split_message(&mut rest) {
            match answer(request) {
                Ok(response) => sender.send(&response).await.ok()?,
                Err(error) => {
                    let why = format!("malformed ServerReflectionRequest: {error}");
                    return Some(Status::invalid_argument(why));
                }
            }
        }
        let read = unread.len() - rest.len();
        unread.drain(..read);
        if unread.len() > PREFIX_BYTES + bytes_max {
            let why = format!("message longer than {bytes_max} bytes");
            return Some(Status::resource_exhausted(why));
        }
    }
    Some(Status::ok(""))
}

/// What a request asks for (`ServerReflectionRequest`).
enum Wanted<'r> {
    File(&'r str),
    Symbol(&'r str),
    Extension,
    Extensions(&'r str),
    Services,
    Nothing,
}

fn answer(request: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let (mut reader, mut host, mut wanted) = (Reader(request), "", Wanted::Nothing);
    while let Some(field) = reader.field()? {
        match field.number {
            1 => host = field.text()?,
            3 => wanted = Wanted::File(field.text()?),
            4 => wanted = Wanted::Symbol(field.text()?),
            5 => wanted = Wanted::Extension,
            6 => wanted = Wanted::Extensions(field.text()?),
            7 => wanted = Wanted::Services,
            _ => {}
        }
    }
    let mut out = Vec::new();
    write_bytes(&mut out, 1, host.as_bytes());
    write_message(&mut out, 2, |out| out.extend_from_slice(request));
    match wanted {
        Wanted::File(descriptor::FILE) => write_file(&mut out, &descriptor::file()),
        Wanted::File(health::FILE) => write_file(&mut out, &health::file()),
        Wanted::Symbol(symbol) if declares(symbol) => write_file(&mut out, &descriptor::file()),
        Wanted::Symbol(symbol) if health::declares(symbol) => {
            write_file(&mut out, &health::file());
        }
        Wanted::Extensions(message) if declares(message) || health::declares(message) => {
            write_message(&mut out, 5, |out| write_bytes(out, 1, message.as_bytes()));
        }
        Wanted::Services => write_message(&mut out, 6, |out| {
            for service in [&format!("{PACKAGE}.{SERVICE}"), health::SERVICE] {
                write_message(out, 1, |out| write_bytes(out, 1, service.as_bytes()));
            }
        }),
        Wanted::File(_) => write_error(&mut out, Code::NotFound, "no such file"),
        Wanted::Symbol(_) | Wanted::Extensions(_) => {
            write_error(&mut out, Code::NotFound, "no such symbol");
        }
        Wanted::Extension => write_error(&mut out, Code::NotFound, "there are no extensions"),
        Wanted::Nothing => write_error(&mut out, Code::InvalidArgument, "nothing is asked for"),
    }
    Ok(out)
}

/// `FileDescriptorResponse`
fn write_file(out: &mut Vec<u8>, file: &[u8]) {
    write_message(out, 4, |out| write_bytes(out, 1, file));
}

/// `ErrorResponse`
fn write_error(out: &mut Vec<u8>, code: Code, message: &str) {
    write_message(out, 7, |out| {
        write_number(out, 1, code as u64);
        write_bytes(out, 2, message.as_bytes());
    });
}

/// Whether the file of the API declares this: the service, a method, a message or a field.
fn declares(symbol: &str) -> bool {
    let Some(name) = symbol.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('.')) else {
        return false;
    };
    let (outer, inner) = name.split_once('.').map_or((name, None), |(it, of)| (it, Some(of)));
    if outer == SERVICE {
        return inner
            .is_none_or(|rpc| rpc == "Batch" || published::calls().any(|call| call.rpc() == rpc));
    }
    if let Some(message) = published::messages().into_iter().find(|it| it.name == outer) {
        return inner.is_none_or(|name| message.fields.iter().any(|field| field.name == name));
    }
    let is_response = |rpc| published::calls().any(|call| call.rpc() == rpc);
    outer.strip_suffix("Response").is_some_and(is_response)
        && inner.is_none_or(|name| matches!(name, "error" | "result"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_known_by_its_full_name() {
        for (symbol, is_declared) in [
            ("centrifugal.centrifugo.api.CentrifugoApi", true),
            ("centrifugal.centrifugo.api.CentrifugoApi.UserConnections", true),
            ("centrifugal.centrifugo.api.CentrifugoApi.Batch", true),
            ("centrifugal.centrifugo.api.CentrifugoApi.Publish", false),
            ("centrifugal.centrifugo.api.ConnectionInfo", true),
            ("centrifugal.centrifugo.api.ConnectionInfo.transport", true),
            ("centrifugal.centrifugo.api.ConnectionInfo.nonsense", false),
            ("centrifugal.centrifugo.api.InfoResponse", true),
            ("centrifugal.centrifugo.api.InfoResponse.result", true),
            ("centrifugal.centrifugo.api.Response", false),
            ("centrifugal.centrifugo.api", false),
            ("ConnectionInfo", false),
            ("", false),
        ] {
            assert_eq!(declares(symbol), is_declared, "{symbol}");
        }
    }
}
