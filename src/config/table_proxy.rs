//! The options of the proxies: backends that are asked about clients. A part of the table in
//! `table`.

use std::time::Duration;

use super::declare::{Declared, declared_at, dotted, options, place, section};
use super::setting::{Headers, Secret, Setting, StatusTransform};
use super::table_tls::BackendTls;

options! {
    /// Backends that are asked about clients: what holds for all of them.
    Proxies at (client.proxy) with { connect: ConnectProxy, refresh: RefreshProxy } {
        /// Questions that are put to one backend at once; more wait for their turn. From 1 to 10000.
        max_concurrency: usize = 128, [], [];
        /// Questions that may wait for their turn at one backend; whoever comes then is refused for
        /// now, at once.
        max_waiting: usize = 4096, [], [];
        /// Largest answer of a backend in bytes; a larger one makes no sense.
        max_response_size: usize = 1024 * 1024, [], [];
        /// Questions in a row that a backend leaves unanswered before it is left alone for a
        /// while; whoever comes then is refused for now, at once. 0: never.
        breaker_failures: u32 = 10, [], [];
        /// How long a backend that does not answer is left alone before one question tries whether
        /// it is back.
        breaker_pause: Duration = Duration::from_secs(1), [], [];
    }

    /// The backend that says who a client is that brings no token.
    ConnectProxy at (client.proxy.connect) with { http: ConnectProxyHttp, grpc: ConnectProxyGrpc } {
        /// Whether it is asked.
        enabled: bool = false, [], [];
        /// Its URL: `http://`, `https://`, or `grpc://host:port`, which may be written without the scheme.
        endpoint: String = String::new(), [], [];
        /// How long it may take, its turn included.
        timeout: Duration = Duration::from_secs(1), ["proxy_connect_timeout"], [];
        /// Headers of a client's HTTP request that it is shown.
        http_headers: Vec<String> = Vec::new(), [], [];
        /// Metadata of a client's gRPC call that it is shown.
        grpc_metadata: Vec<String> = Vec::new(), [], [];
        /// Headers that it is shown although a client only says that it has them, in its connect
        /// command. Any client can say anything: it must not trust them.
        emulated_headers: Vec<String> = Vec::new(), [], [];
        /// Sends the client's data as bytes in Base64, whatever they are, instead of as JSON.
        binary_encoding: bool = false, [], [];
    }

    /// The connect proxy over HTTP.
    ConnectProxyHttp at (client.proxy.connect.http) with { tls: BackendTls } {
        /// Headers that go with every question, by name.
        static_headers: Headers = Headers::default(), [], [];
        /// HTTP statuses that are refusals, and what clients are told.
        status_to_code_transforms: Vec<StatusTransform> = Vec::new(), [], [];
    }

    /// The connect proxy over gRPC.
    ConnectProxyGrpc at (client.proxy.connect.grpc) with { tls: BackendTls } {
        /// Metadata that goes with every question, by name.
        static_metadata: Headers = Headers::default(), [], [];
        /// Name of one more such entry. Empty: none.
        credentials_key: String = String::new(), [], [];
        /// Its value.
        credentials_value: Secret = Secret::default(), [], [];
    }

    /// The backend that says whether a session whose time is over may go on.
    RefreshProxy at (client.proxy.refresh) with { http: RefreshProxyHttp, grpc: RefreshProxyGrpc } {
        /// Whether it is asked. Clients are not asked for new tokens then.
        enabled: bool = false, [], [];
        /// Its URL: `http://`, `https://`, or `grpc://host:port`, which may be written without the scheme.
        endpoint: String = String::new(), [], [];
        /// How long it may take, its turn included.
        timeout: Duration = Duration::from_secs(1), ["proxy_refresh_timeout"], [];
        /// Headers of a client's HTTP request that it is shown. They are kept as long as the
        /// session.
        http_headers: Vec<String> = Vec::new(), [], [];
        /// Metadata of a client's gRPC call that it is shown, likewise.
        grpc_metadata: Vec<String> = Vec::new(), [], [];
        /// Headers that it is shown although a client only says that it has them, likewise. Any
        /// client can say anything: it must not trust them.
        emulated_headers: Vec<String> = Vec::new(), [], [];
        /// Says `binary` in `encoding`; a refresh has no data.
        binary_encoding: bool = false, [], [];
        /// Shows it what a backend attached to the session (`meta`).
        include_connection_meta: bool = false, [], [];
        /// When it is asked again about a session that it could not be asked about. From 100ms.
        retry_interval: Duration = Duration::from_secs(60), [], [];
        /// How long a session goes on after its end while the backend cannot be asked. 0: until it
        /// can, as in Centrifugo.
        grace: Duration = Duration::ZERO, [], [];
    }

    /// The refresh proxy over HTTP.
    RefreshProxyHttp at (client.proxy.refresh.http) with { tls: BackendTls } {
        /// Headers that go with every question, by name.
        static_headers: Headers = Headers::default(), [], [];
        /// HTTP statuses that are refusals: the session ends.
        status_to_code_transforms: Vec<StatusTransform> = Vec::new(), [], [];
    }

    /// The refresh proxy over gRPC.
    RefreshProxyGrpc at (client.proxy.refresh.grpc) with { tls: BackendTls } {
        /// Metadata that goes with every question, by name.
        static_metadata: Headers = Headers::default(), [], [];
        /// Name of one more such entry. Empty: none.
        credentials_key: String = String::new(), [], [];
        /// Its value.
        credentials_value: Secret = Secret::default(), [], [];
    }
}
