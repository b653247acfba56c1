//! The standard health service (`grpc.health.v1`): whoever balances load asks it. No key is asked
//! for.

use hyper::Response;
use tokio::sync::watch;
use tonic::Status;

use super::body::{self, Frames, Sender};
use crate::api::schema::{PACKAGE, SERVICE as API};
use crate::control::grpc::InProgress;
use crate::protocol::protobuf::{
    Reader, write_bytes, write_message, write_number, write_present_number,
};

/// Its name.
pub(super) const SERVICE: &str = "grpc.health.v1.Health";

/// Name of its file in descriptors.
pub(super) const FILE: &str = "grpc/health/v1/health.proto";

/// How the node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Health {
    /// It answers.
    Serving,
    /// It is about to go.
    NotServing,
}

/// `HealthCheckResponse.ServingStatus`
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

impl Health {
    /// Its place among [`STATUSES`].
    const fn number(self) -> u64 {
        match self {
            Self::Serving => 1,
            Self::NotServing => 2,
        }
    }
}

/// What a watcher of a service that does not exist is told.
const SERVICE_UNKNOWN: u64 = 3;

/// The service a request asks about; empty is the node.
fn service_of(request: &[u8]) -> Result<&str, Status> {
    let malformed =
        |error| Status::invalid_argument(format!("malformed HealthCheckRequest: {error}"));
    let (mut reader, mut service) = (Reader(request), "");
    while let Some(field) = reader.field().map_err(malformed)? {
        if field.number == 1 {
            service = field.text().map_err(malformed)?;
        }
    }
    Ok(service)
}

fn is_known(service: &str) -> bool {
    service.is_empty() || service == SERVICE || service == format!("{PACKAGE}.{API}")
}

fn response(status: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_number(&mut out, 1, status);
    out
}

/// Answers a check.
pub(super) fn check(health: Health, request: &[u8]) -> Result<Vec<u8>, Status> {
    let service = service_of(request)?;
    if !is_known(service) {
        return Err(Status::not_found("unknown service"));
    }
    Ok(response(health.number()))
}

/// Tells how the node is, now and when that changes.
pub(super) fn watch(
    call: InProgress,
    health: watch::Receiver<Health>,
    request: &[u8],
) -> Response<Frames> {
    let is_known = service_of(request).map(is_known);
    let (sender, response) = body::stream(call);
    tokio::task::spawn_local(async move {
        match is_known {
            Ok(is_known) => tell(sender, health, is_known.then_some(())).await,
            Err(status) => sender.end(status).await,
        }
    });
    response
}

async fn tell(sender: Sender, mut health: watch::Receiver<Health>, known: Option<()>) {
    loop {
        let now = *health.borrow_and_update();
        let status = if known.is_some() { now.number() } else { SERVICE_UNKNOWN };
        if sender.send(&response(status)).await.is_err() {
            return;
        }
        if now == Health::NotServing {
            // The last news: the connection can end.
            return sender.end(Status::unavailable("the server is shutting down")).await;
        }
        tokio::select! {
            changed = health.changed() => if changed.is_err() {
                return;
            },
            () = sender.left() => return,
        }
    }
}

/// Its file, as a `FileDescriptorProto`.
pub(super) fn file() -> Vec<u8> {
    const PACKAGE: &str = "grpc.health.v1";
    let field = |out: &mut Vec<u8>, name: &str, kind: u64, of: Option<&str>| {
        write_message(out, 2, |out| {
            write_bytes(out, 1, name.as_bytes());
            write_number(out, 3, 1);
            write_number(out, 4, 1);
            write_number(out, 5, kind);
            write_bytes(out, 6, of.unwrap_or_default().as_bytes());
        });
    };
    let mut out = Vec::new();
    write_bytes(&mut out, 1, FILE.as_bytes());
    write_bytes(&mut out, 2, PACKAGE.as_bytes());
    write_message(&mut out, 4, |out| {
        write_bytes(out, 1, b"HealthCheckRequest");
        field(out, "service", 9, None);
    });
    write_message(&mut out, 4, |out| {
        write_bytes(out, 1, b"HealthCheckResponse");
        field(out, "status", 14, Some(".grpc.health.v1.HealthCheckResponse.ServingStatus"));
        write_message(out, 4, |out| {
            write_bytes(out, 1, b"ServingStatus");
            for (number, name) in (0..).zip(STATUSES) {
                write_message(out, 2, |out| {
                    write_bytes(out, 1, name.as_bytes());
                    write_present_number(out, 2, number);
                });
            }
        });
    });
    write_message(&mut out, 6, |out| {
        write_bytes(out, 1, b"Health");
        for (method, streams) in [("Check", 0), ("Watch", 1)] {
            write_message(out, 2, |out| {
                write_bytes(out, 1, method.as_bytes());
                write_bytes(out, 2, b".grpc.health.v1.HealthCheckRequest");
                write_bytes(out, 3, b".grpc.health.v1.HealthCheckResponse");
                write_number(out, 6, streams);
            });
        }
    });
    write_bytes(&mut out, 12, b"proto3");
    out
}

/// Whether its file declares this.
pub(super) fn declares(symbol: &str) -> bool {
    matches!(
        symbol.strip_prefix("grpc.health.v1."),
        Some(
            "Health"
                | "Health.Check"
                | "Health.Watch"
                | "HealthCheckRequest"
                | "HealthCheckResponse"
                | "HealthCheckResponse.ServingStatus"
        )
    )
}
