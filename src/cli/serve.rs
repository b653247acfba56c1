//! The root command: a checked configuration becomes a running node.

use std::io::{self, IsTerminal};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{admin, options};
use crate::config::{Config, ErrorMode};
use crate::connection::open::Scope;
use crate::control::api::{Errors, Reflection};
use crate::control::endpoint::OnEvent;
use crate::engine::accept::{ListenOn, all_interfaces};
use crate::server::{self, GrpcApiListen, GrpcListen, Server, ServerError};

/// Why serving ended badly.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    /// An option cannot be used as it is.
    #[error("{0}")]
    Options(String),
    /// The log file cannot be opened.
    #[error("log.file `{path}` cannot be opened for appending: {cause}")]
    LogFile {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The pid file cannot be written.
    #[error("pid_file `{path}` cannot be written: {cause}")]
    PidFile {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Another process has the port.
    #[error(
        "{0} is in use by another process: stop it, or choose another port, for example with \
         `--{1} {other}`",
        other = .0.port().wrapping_add(1)
    )]
    PortTaken(SocketAddr, &'static str),
    /// The server did not start, or did not end well.
    #[error(transparent)]
    Server(ServerError),
}

impl From<ServerError> for ServeError {
    fn from(error: ServerError) -> Self {
        if let ServerError::Listen { address, option, cause } = &error
            && cause.kind() == io::ErrorKind::AddrInUse
        {
            return Self::PortTaken(*address, option);
        }
        Self::Server(error)
    }
}

/// Serves until a signal. `warnings` are what loading the configuration had to say.
/// `file` is the configuration file, or the one that does not exist.
pub(super) fn serve(config: &Config, file: Result<&str, &str>, warnings: &[String]) -> ExitCode {
    let outcome = start_logging(config).and_then(|()| serve_until_signal(config, file, warnings));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error.to_string()),
    }
}

fn serve_until_signal(
    config: &Config,
    file: Result<&str, &str>,
    warnings: &[String],
) -> Result<(), ServeError> {
    match file {
        Ok(path) => tracing::info!(path, "using config file"),
        Err(path) => tracing::warn!(
            path,
            "config file not found, continue using environment and flag options"
        ),
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    // A second server that cannot start must not touch the file of the first.
    let server = start(config, None)?;
    let pid_file = PidFile::write(&config.pid_file)?;
    let outcome = server.run();
    drop(pid_file);
    outcome?;
    tracing::info!("every session has been told goodbye");
    Ok(())
}

/// Starts a node and logs what it serves and where.
///
/// # Errors
/// What could not be used or started.
pub(super) fn start(config: &Config, on_event: Option<OnEvent>) -> Result<Server, ServeError> {
    let mut connection = options::connection(config).map_err(ServeError::Options)?;
    connection.admin = admin::page(config).map_err(ServeError::Options)?.map(Arc::new);
    let listen = listen_on(config)?;
    let server_options = options::server(config, listen, uni_grpc(config)?, grpc_api(config)?)
        .map_err(ServeError::Options)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        node = connection.node_name,
        "starting Rollcall"
    );
    let server = server::start(&server_options, &connection, on_event)?;
    let scopes = server_options.listen.iter().map(|on| on.scope);
    for (scope, address) in scopes.zip(server.addresses()) {
        let endpoints = endpoints(config, scope).join(", ");
        tracing::info!("serving {endpoints} endpoints on {address}");
    }
    if let Some(address) = server.grpc_address() {
        tracing::info!("serving uni_grpc endpoints on {address}");
    }
    if let Some(address) = server.grpc_api_address() {
        tracing::info!("serving grpc_api endpoints on {address}");
    }
    let drivers = server.drivers();
    for (shard, driver) in drivers.iter().enumerate() {
        tracing::info!(shard, driver = driver.name(), "shard runs");
    }
    Ok(server)
}

fn listen_on(config: &Config) -> Result<Vec<ListenOn>, ServeError> {
    let http = &config.http_server;
    let external = address("http_server.address", &http.address, http.port)?;
    let Some(internal_port) = http.internal_port else {
        return Ok(vec![ListenOn { address: external, scope: Scope::All }]);
    };
    let internal_address =
        if http.internal_address.is_empty() { &http.address } else { &http.internal_address };
    let internal = address("http_server.internal_address", internal_address, internal_port)?;
    // Port 0 is a different port each time.
    if internal == external && internal_port != 0 {
        return Ok(vec![ListenOn { address: external, scope: Scope::All }]);
    }
    Ok(vec![
        ListenOn { address: external, scope: Scope::External },
        ListenOn { address: internal, scope: Scope::Internal },
    ])
}

/// The longest message a client may send over gRPC when nothing is said: what gRPC's own
/// libraries take.
const GRPC_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

fn uni_grpc(config: &Config) -> Result<Option<GrpcListen>, ServeError> {
    let grpc = &config.uni_grpc;
    if !grpc.enabled {
        return Ok(None);
    }
    let message_bytes_max = message_bytes_max(grpc.max_receive_message_size);
    let address = address("uni_grpc.address", &grpc.address, grpc.port)?;
    Ok(Some(GrpcListen { address, message_bytes_max }))
}

fn grpc_api(config: &Config) -> Result<Option<GrpcApiListen>, ServeError> {
    let grpc = &config.grpc_api;
    if !grpc.enabled {
        return Ok(None);
    }
    let message_bytes_max = message_bytes_max(grpc.max_receive_message_size);
    let address = address("grpc_api.address", &grpc.address, grpc.port)?;
    let errors = match grpc.error_mode {
        ErrorMode::Body => Errors::InMessage,
        ErrorMode::Transport => Errors::ByStatus,
    };
    Ok(Some(GrpcApiListen {
        listen: GrpcListen { address, message_bytes_max },
        key: grpc.key.expose().to_owned(),
        errors,
        reflection: if grpc.reflection { Reflection::Served } else { Reflection::Off },
    }))
}

const fn message_bytes_max(said: usize) -> usize {
    match said {
        0 => GRPC_MESSAGE_BYTES_MAX,
        bytes => bytes,
    }
}

fn address(key: &str, text: &str, port: u16) -> Result<SocketAddr, ServeError> {
    if text.is_empty() {
        return Ok(all_interfaces(port));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let resolved = std::net::ToSocketAddrs::to_socket_addrs(&(text, port));
    resolved.ok().and_then(|mut addresses| addresses.next()).ok_or_else(|| {
        ServeError::Options(format!("{key}: `{text}` is neither an IP address nor a known host"))
    })
}

fn endpoints(config: &Config, scope: Scope) -> Vec<&'static str> {
    let internal = scope != Scope::External;
    let api = !config.http_api.disabled && (internal || config.http_api.external);
    let admin = config.admin.enabled && (internal || config.admin.external);
    let external = scope != Scope::Internal;
    let emulated = config.http_stream.enabled || config.sse.enabled;
    // In the order Centrifugo names them.
    let listed = [
        (!config.websocket.disabled && external, "websocket"),
        (config.http_stream.enabled && external, "http_stream"),
        (config.sse.enabled && external, "sse"),
        (emulated && external, "emulation"),
        (api, "api"),
        (admin, "admin"),
        (config.health.enabled && internal, "health"),
        (config.uni_websocket.enabled && external, "uni_websocket"),
        (config.uni_sse.enabled && external, "uni_sse"),
        (config.uni_http_stream.enabled && external, "uni_http_stream"),
        (config.serves_swagger() && internal, "swagger"),
    ];
    let names: Vec<_> = listed.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
    if names.is_empty() { vec!["no"] } else { names }
}

/// Logs go to the configured file, to a terminal as text, or to stderr as JSON lines.
pub(super) fn start_logging(config: &Config) -> Result<(), ServeError> {
    let registry = tracing_subscriber::registry().with(config.log.level);
    let layer = tracing_subscriber::fmt::layer().with_target(false);
    if !config.log.file.is_empty() {
        let path = &config.log.file;
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|cause| ServeError::LogFile { path: path.clone(), cause })?;
        registry.with(layer.json().flatten_event(true).with_writer(file)).init();
    } else if io::stdout().is_terminal() {
        registry.with(layer).init();
    } else {
        registry.with(layer.json().flatten_event(true).with_writer(io::stderr)).init();
    }
    Ok(())
}

/// `dev` tells a person what happens; of the log only what is wrong, on stderr.
pub(super) fn log_what_is_wrong() {
    let layer = tracing_subscriber::fmt::layer().with_target(false).with_writer(io::stderr);
    tracing_subscriber::registry().with(LevelFilter::WARN).with(layer).init();
}

/// The file that names this process; removed when the server has ended.
struct PidFile(Option<String>);

impl PidFile {
    fn write(path: &str) -> Result<Self, ServeError> {
        if path.is_empty() {
            return Ok(Self(None));
        }
        std::fs::write(path, std::process::id().to_string())
            .map_err(|cause| ServeError::PidFile { path: path.to_owned(), cause })?;
        Ok(Self(Some(path.to_owned())))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It may have been removed by hand: the process ends all the same.
            let _missing = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;
    use crate::connection::open::PATH_THAT_PANICS;
    use crate::engine::boot::ParkingChoice;

    fn talk(address: SocketAddr, request: &str) -> TcpStream {
        let mut conn = TcpStream::connect(address).unwrap();
        conn.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        conn.write_all(request.as_bytes()).unwrap();
        conn
    }

    fn read_until(conn: &mut TcpStream, end: &str) -> String {
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).contains(end) {
            let mut byte = [0];
            conn.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_panic_ends_its_own_connection_and_nothing_else() {
        for parking in [ParkingChoice::PollSet, ParkingChoice::Task] {
            let mut config = Config::default();
            config.http_server.address = "127.0.0.1".to_owned();
            config.http_server.port = 0;
            config.shards.count = 1;
            config.shards.parking = parking;
            config.http_api.insecure = true;
            config.client.insecure = true;
            config.uni_http_stream.enabled = true;
            let server = start(&config, None).unwrap();
            let address = server.addresses()[0];
            let _running = std::thread::spawn(|| server.run());
            let post = |path: &str, body: &str| {
                format!(
                    "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            };

            let mut session = talk(address, &post("/connection/uni_http_stream", "{}"));
            read_until(&mut session, "\"session\"");
            for _ in 0..3 {
                let mut panics = talk(address, &post(PATH_THAT_PANICS, ""));
                let mut answer = Vec::new();
                panics.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, b"", "{parking:?}");
            }
            let mut api = talk(address, &post("/api/user_connections", "{\"user\":\"\"}"));
            let listed = read_until(&mut api, "}}}");
            assert!(listed.contains("uni_http_stream"), "{parking:?}: {listed}");
        }
    }
}
