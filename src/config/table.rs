//! Every option of Rollcall, once: name, type, default, older names, flags and documentation.
//!
//! An option here is loaded from file, environment and flags, shown in `docs/config.md` and known
//! to every "did you mean" without another line of code.

use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;

use super::declare::{Declared, declared_at, dotted, options, place, section};
use super::named_proxies::NamedProxies;
use super::setting::{CodeTransform, ErrorMode, Headers, HttpTransform, Secret, Setting};
use super::table_pages::{self, Admin, Swagger};
use super::table_proxy::{self, Proxies};
use super::table_redis;
use super::table_storage::{
    self, StorageFile, TokenRevoke, UserBlock, UserStatus, UserTokensInvalidate,
};
use super::table_tls;
use super::table_token::{self, Token};
use super::table_webhook::{self, SessionWebhook};
use crate::connection::options::WhenFull;
use crate::engine::boot::{DriverChoice, ParkingChoice};

/// Every table, in the order of `docs/config.md`.
const TABLES: &[&[&[Declared]]] = &[
    DECLARED,
    table_pages::DECLARED,
    table_token::DECLARED,
    table_proxy::DECLARED,
    table_storage::DECLARED,
    table_redis::DECLARED,
    table_webhook::DECLARED,
    table_tls::DECLARED,
];

const BY_SECTION: &[&[Declared]] = &joined::<_, { count(TABLES) }>(TABLES);

/// Every option, in the order of the tables.
pub const OPTIONS: &[Declared] = &joined::<_, { count(BY_SECTION) }>(BY_SECTION);

/// What each section is for, by its path.
#[cfg(test)]
pub(super) const SECTIONS: &[(&str, &[&str])] = &joined::<_, { count(ABOUTS) }>(ABOUTS);

#[cfg(test)]
const ABOUTS: &[&[(&str, &[&str])]] = &[
    ABOUT,
    table_pages::ABOUT,
    table_token::ABOUT,
    table_proxy::ABOUT,
    table_storage::ABOUT,
    table_redis::ABOUT,
    table_webhook::ABOUT,
    table_tls::ABOUT,
];

const fn count<T>(tables: &[&[T]]) -> usize {
    let (mut all, mut table) = (0, 0);
    while table < tables.len() {
        all += tables[table].len();
        table += 1;
    }
    all
}

/// All of them, one after the other.
const fn joined<T: Copy, const N: usize>(tables: &[&[T]]) -> [T; N] {
    let (mut all, mut at, mut table) = ([tables[0][0]; N], 0, 0);
    while table < tables.len() {
        let mut own = 0;
        while own < tables[table].len() {
            all[at] = tables[table][own];
            (at, own) = (at + 1, own + 1);
        }
        table += 1;
    }
    all
}

options! {
    /// The process as a whole.
    Config at () with {
        http_server: HttpServer,
        node: Node,
        log: Log,
        health: Health,
        http_api: HttpApi,
        swagger: Swagger,
        admin: Admin,
        label_filter: LabelFilter,
        watch: Watch,
        closed_sessions: ClosedSessions,
        queries: Queries,
        disconnect: Disconnect,
        client: Client,
        labels: Labels,
        websocket: WebSocket,
        http_stream: HttpStream,
        sse: Sse,
        emulation: Emulation,
        uni_websocket: UniWebSocket,
        uni_http_stream: UniHttpStream,
        uni_sse: UniSse,
        uni_grpc: UniGrpc,
        grpc_api: GrpcApi,
        storage: StorageFile,
        user_block: UserBlock,
        token_revoke: TokenRevoke,
        user_tokens_invalidate: UserTokensInvalidate,
        user_status: UserStatus,
        session_webhook: SessionWebhook,
        shutdown: Shutdown,
        shards: Shards,
        test: Test,
    } {
        /// File that holds the process id while the server runs. Empty: none.
        pid_file: String = String::new(), ["pid_file"], [];
        /// The connect proxy as Centrifugo v3 to v5 names it: the URL of the backend that says who a
        /// client is that brings no token. It is on when this is set, and
        /// `client.proxy.connect` is not enabled.
        proxy_connect_endpoint: String = String::new(), [], [];
        /// The refresh proxy, likewise: the URL of the backend that says whether a session whose time
        /// is over may go on.
        proxy_refresh_endpoint: String = String::new(), [], [];
        /// Shows a backend of `proxy_refresh_endpoint` what is attached to the session (`meta`).
        proxy_include_connection_meta: bool = false, [], [];
        /// Headers of a client's HTTP request that a backend named so is shown.
        proxy_http_headers: Vec<String> = Vec::new(), [], [];
        /// Metadata of a client's gRPC call that it is shown.
        proxy_grpc_metadata: Vec<String> = Vec::new(), [], [];
        /// Headers that go with every question to it, by name.
        proxy_static_http_headers: Headers = Headers::default(), [], [];
        /// Certificates that such a backend's leads to over gRPC: PEM, PEM in Base64, or a path. Not
        /// empty, TLS is spoken.
        proxy_grpc_cert_file: String = String::new(), [], [];
        /// Name of metadata that goes with every question to it over gRPC. Empty: none.
        proxy_grpc_credentials_key: String = String::new(), [], [];
        /// Its value.
        proxy_grpc_credentials_value: Secret = Secret::default(), [], [];
        /// Backends by name, as Centrifugo v3 to v5 lists them: see `docs/proxies.md`.
        proxies: NamedProxies = NamedProxies::default(), [], [];
        /// Takes those of `proxies` that the following name, instead of `proxy_connect_endpoint` and
        /// its like.
        granular_proxy_mode: bool = false, [], [];
        /// Which of them is the connect proxy. Empty: none.
        connect_proxy_name: String = String::new(), [], [];
        /// Which of them is the refresh proxy. Empty: none.
        refresh_proxy_name: String = String::new(), [], [];
        /// Sends it the client's data as bytes in Base64, whatever they are, instead of as JSON.
        proxy_binary_encoding: bool = false, [], [];
    }

    /// Where the server listens.
    HttpServer at (http_server) {
        /// IP address or host name to listen on. Empty: every interface.
        address: String = String::new(), ["address"], ["a", "address"];
        /// Port to listen on. 0 lets the operating system choose; the log says which it chose.
        port: u16 = 8000, ["port"], ["p", "port"];
        /// Address of the internal endpoints (API, pages, health) when `internal_port` is set. Empty:
        /// the same as `address`.
        internal_address: String = String::new(), ["internal_address"], ["internal_address"];
        /// Port of the internal endpoints (API, pages, health), so that they need not be reachable
        /// from outside. Unset: they share the one port.
        internal_port: Option<u16> = None, ["internal_port"], ["internal_port"];
    }

    /// This node among others.
    Node at (node) {
        /// Name of this node in `info` and logs. Empty: host name and port.
        name: String = String::new(), ["name"], ["n", "name"];
    }

    /// What is logged, and where to.
    Log at (log) {
        /// How much is logged: `none`, `trace`, `debug`, `info`, `warn`, `error` or `fatal`
        /// (the same as `error`).
        level: LevelFilter = LevelFilter::INFO, ["log_level"], ["log_level"];
        /// File to append JSON lines to. Empty: text to a terminal, else JSON lines to stderr.
        file: String = String::new(), ["log_file"], ["log_file"];
    }

    /// The health endpoint, for whoever balances load.
    Health at (health) {
        /// Whether it is served.
        enabled: bool = false, ["health"], ["health"];
        /// Its path.
        handler_prefix: String = "/health".to_owned(), ["health_handler_prefix"], [];
    }

    /// The server API, for the application's backend.
    HttpApi at (http_api) {
        /// What a caller must present. While it is empty every call is refused, unless `insecure`
        /// is set.
        key: Secret = Secret::default(), ["api_key"], [];
        /// Serves calls without a key. Only for development, or behind a wall of one's own.
        insecure: bool = false, ["api_insecure"], ["api_insecure"];
        /// Turns the API off.
        disabled: bool = false, ["api_disable"], [];
        /// Its path; commands are below it (`/api/disconnect`).
        handler_prefix: String = "/api".to_owned(), ["api_handler_prefix"], [];
        /// Serves it on the external port too when there is an internal one.
        external: bool = false, ["api_external"], [];
        /// `transport` tells the errors of a call by the HTTP status; empty in the body of an
        /// answer with status 200.
        error_mode: ErrorMode = ErrorMode::Body, ["api_error_mode"], [];
        /// Largest body of a call in bytes; a larger one is refused with 413.
        max_request_body_size: usize = 1024 * 1024, [], [];
        /// Commands in one body, over HTTP or gRPC; one more refuses the body with 400 (gRPC:
        /// `INVALID_ARGUMENT`) before any of it has run. From 1 to 10000.
        max_commands: usize = 1000, [], [];
    }

    /// How large a `label_filter` of a server API call may be.
    LabelFilter at (label_filter) {
        /// Nodes in each other, the outermost counted; a deeper filter is refused with 107. From 1
        /// to 24.
        max_depth: usize = 8, [], [];
        /// Nodes together; a larger filter is refused with 107. From 1 to 10000.
        max_nodes: usize = 128, [], [];
    }

    /// Backends that are told what happens to sessions (`/api/watch`).
    Watch at (watch) {
        /// Watches that may be open on each shard; one more is refused with error 108.
        limit: usize = 1000, [], [];
        /// Bytes that may wait for a watcher that reads slowly; beyond it the watch ends with an
        /// event of type `resync`.
        queue_max_size: usize = 1024 * 1024, [], [];
    }

    /// Sessions that have ended, which can be listed for a while.
    ClosedSessions at (closed_sessions) {
        /// How many each shard keeps; one more pushes the oldest out. 0: none. At most 1000000.
        limit: usize = 1000, [], [];
        /// How long one is kept.
        max_age: Duration = Duration::from_secs(3600), [], [];
    }

    /// What a question of the server API may cost.
    Queries at (queries) {
        /// Longest `expression` in bytes; a longer one is refused with 107. At most 65536.
        max_expression_size: usize = 4096, [], [];
        /// Steps an `expression` may take for one session, told before it is asked; one is about what
        /// reading a record takes. An expression that takes more for every session is refused with
        /// 107; a session that has so much in it that it could take more does not match, and the
        /// reply counts it. At most 10000000.
        max_expression_steps: usize = 100_000, [], [];
        /// Sessions on one page of `connections`, and on a page that does not say how many. From 1
        /// to 10000.
        max_page_size: usize = 1000, [], [];
    }

    /// What a `disconnect` of many does.
    Disconnect at (disconnect) {
        /// Sessions per second that this node ends when an order means more than a thousand of a
        /// shard, so that their clients do not all come back at once. 0: all at once.
        rate: u32 = 2000, [], [];
    }

    /// Clients: who may connect, and how long they may stay.
    Client at (client) with {
        token: Token,
        sessions: Sessions,
        connect_rate_limit: ConnectRateLimit,
        proxy: Proxies,
        connect_code_to_unidirectional_disconnect: UniDisconnects,
    } {
        /// Web origins whose pages may connect, as patterns in which `*` also spans dots and
        /// slashes. Empty: no web page. A sole `*`: all pages.
        allowed_origins: Vec<String> = Vec::new(), ["allowed_origins"], [];
        /// Lets clients connect without a token and lets no session end with its token. Tokens are
        /// still verified. Only for development.
        insecure: bool = false, ["client_insecure"], ["client_insecure"];
        /// Believes every token, whoever signed it. Only for trials on one's own machine.
        insecure_skip_token_signature_verify: bool = false,
            ["client_insecure_skip_token_signature_verify"], [];
        /// Lets clients that present no token connect as the anonymous user.
        allow_anonymous_connect_without_token: bool = false,
            ["allow_anonymous_connect_without_token", "client_anonymous"], [];
        /// Refuses tokens that name no user.
        disallow_anonymous_connection_tokens: bool = false,
            ["disallow_anonymous_connection_tokens"], [];
        /// Request header a trusted proxy in front puts the user id in, for clients without a
        /// token. Empty: none. That proxy must remove the header from what clients send.
        user_id_http_header: String = String::new(), ["client_user_id_http_header"], [];
        /// Proxies in front, as addresses and networks (`10.0.0.0/8`): what they say in
        /// `X-Forwarded-For`, else `Forwarded`, else `X-Real-IP` counts as the address of the
        /// client. Empty: a client's address is that of its connection.
        trusted_proxies: Vec<String> = Vec::new(), [], [];
        /// Time between two pings. 0: no pings.
        ping_interval: Duration = Duration::from_secs(25),
            ["ping_interval", "websocket_ping_interval"], [];
        /// How long a client that can answer a ping may take to before it is closed with
        /// 3012; shorter than `client.ping_interval`. 0: no answer is asked for.
        pong_timeout: Duration = Duration::from_secs(8), ["pong_timeout"], [];
        /// How long a connection may take until its first whole request, and from there until its
        /// client has connected (3502).
        stale_close_delay: Duration = Duration::from_secs(10), ["client_stale_close_delay"], [];
        /// Grace after a session's token has expired.
        expired_close_delay: Duration = Duration::from_secs(25),
            ["client_expired_close_delay"], [];
        /// Bytes that may wait for a client that reads slowly; beyond it the client is closed
        /// with 3008.
        queue_max_size: usize = 1024 * 1024, ["client_queue_max_size"], [];
        /// Puts the server's time into the answer to a connect.
        connect_include_server_time: bool = false, [], [];
        /// Sessions on this node; one more is refused with 503. 0: no limit.
        connection_limit: u64 = 0, ["client_connection_limit"], [];
        /// Connects on this node: a burst of this many, then this many each second; more are
        /// refused with 503. 0: no limit.
        connection_rate_limit: u64 = 0, ["client_connection_rate_limit"], [];
        /// Sessions of one user on this node, exactly; one more is closed with 3504. 0: no limit.
        user_connection_limit: u32 = 0, ["client_user_connection_limit"], [];
        /// What becomes of one more session: `reject` refuses it, `evict_oldest` closes the user's
        /// oldest one instead, also with 3504.
        user_connection_limit_policy: WhenFull = WhenFull::Reject, [], [];
        /// Lets tokens say how many sessions their user may have (claim `connection_limit`; 0: no
        /// limit), instead of `user_connection_limit`. Counting takes memory for each user.
        user_connection_limit_by_token: bool = false, [], [];
        /// Speaks the push form of Centrifugo v3 to unidirectional clients that do not ask for
        /// another (`{"type":6,"data":{…}}`).
        protocol_v1_by_default: bool = false, ["use_client_protocol_v1_by_default"], [];
    }

    /// Labels of a session: what its backend finds it by. A token with more, or longer ones, is
    /// invalid.
    Labels at (labels) {
        /// Labels of one session, at most 255.
        max_count: usize = 16, [], [];
        /// Largest key in bytes, from 1 to 4096.
        max_key_size: usize = 64, [], [];
        /// Largest value in bytes, from 1 to 4096.
        max_value_size: usize = 256, [], [];
    }

    /// How often one user and one address may connect, beside `client.connection_rate_limit`, which
    /// counts all of them.
    ConnectRateLimit at (client.connect_rate_limit) {
        /// Connects of one user in any interval; one more is refused with error 111, or 3013. The
        /// anonymous user is not limited. 0: no limit.
        per_user: u32 = 0, [], [];
        /// Connects of one address in any interval, whatever comes of them; one more is refused with
        /// 429 and `Retry-After`. Of IPv6 the first 64 bits are an address. Behind proxies set
        /// `client.trusted_proxies`, or all clients are one. 0: no limit.
        per_address: u32 = 0, [], [];
        /// The interval.
        interval: Duration = Duration::from_secs(60), [], [];
    }

    /// What users see of their own sessions when their token lets them list these.
    Sessions at (client.sessions) {
        /// Shows the address each session came from.
        show_remote_addr: bool = false, [], [];
        /// Shows the user agent of each session.
        show_user_agent: bool = false, [], [];
    }

    /// What unidirectional clients are told when a connect is refused with an error code.
    UniDisconnects at (client.connect_code_to_unidirectional_disconnect) {
        /// Whether the list is used.
        enabled: bool = false, [], [];
        /// Error codes and the disconnects they become; codes not listed keep theirs.
        transforms: Vec<CodeTransform> = Vec::new(), [], [];
    }

    /// Bidirectional WebSocket, in JSON and Protobuf: the transport most SDKs use.
    WebSocket at (websocket) {
        /// Turns it off.
        disabled: bool = false, ["websocket_disable"], [];
        /// Its path.
        handler_prefix: String = "/connection/websocket".to_owned(),
            ["websocket_handler_prefix"], [];
        /// Largest message of a client in bytes; a larger one closes the connection with 1009.
        message_size_limit: usize = 64 * 1024, ["websocket_message_size_limit"], [];
        /// Largest message of a client in bytes once it is inflated. 0: ten times
        /// `message_size_limit`.
        decompressed_message_size_limit: usize = 0, [], [];
        /// Agrees on permessage-deflate, without context takeover, with clients that offer it.
        compression: bool = false, ["websocket_compression"], [];
        /// Messages of fewer bytes are sent as they are.
        compression_min_size: usize = 0, ["websocket_compression_min_size"], [];
        /// How hard to compress: 1, the fastest, to 9.
        compression_level: u32 = 1, ["websocket_compression_level"], [];
    }

    /// Bidirectional HTTP stream; its clients send commands to the path of `emulation`.
    HttpStream at (http_stream) {
        /// Whether it is served.
        enabled: bool = false, ["http_stream"], ["http_stream"];
        /// Its path.
        handler_prefix: String = "/connection/http_stream".to_owned(),
            ["http_stream_handler_prefix"], [];
        /// Largest body of a connect in bytes; a larger one is refused with 413.
        max_request_body_size: usize = 64 * 1024, ["http_stream_max_request_body_size"], [];
    }

    /// Bidirectional Server-Sent Events; their clients send commands to the path of `emulation`.
    Sse at (sse) {
        /// Whether they are served.
        enabled: bool = false, ["sse"], ["sse"];
        /// Their path.
        handler_prefix: String = "/connection/sse".to_owned(), ["sse_handler_prefix"], [];
        /// Largest body of a connect in bytes; a larger one is refused with 413.
        max_request_body_size: usize = 64 * 1024, ["sse_max_request_body_size"], [];
    }

    /// Where clients of `http_stream` and `sse` send commands; served when one of these is.
    Emulation at (emulation) {
        /// Its path.
        handler_prefix: String = "/emulation".to_owned(), ["emulation_handler_prefix"], [];
        /// Largest body in bytes; a larger one is refused with 413.
        max_request_body_size: usize = 64 * 1024, ["emulation_max_request_body_size"], [];
    }

    /// Unidirectional WebSocket: pushes to clients that send nothing but their connect.
    UniWebSocket at (uni_websocket) {
        /// Whether it is served.
        enabled: bool = false, ["uni_websocket"], ["uni_websocket"];
        /// Its path.
        handler_prefix: String = "/connection/uni_websocket".to_owned(),
            ["uni_websocket_handler_prefix"], [];
        /// Largest message of a client in bytes; a larger one closes the connection with 1009.
        message_size_limit: usize = 64 * 1024, ["uni_websocket_message_size_limit"], [];
        /// Largest message of a client in bytes once it is inflated. 0: ten times
        /// `message_size_limit`.
        decompressed_message_size_limit: usize = 0, [], [];
        /// Agrees on permessage-deflate, without context takeover, with clients that offer it.
        compression: bool = false, ["uni_websocket_compression"], [];
        /// Messages of fewer bytes are sent as they are.
        compression_min_size: usize = 0, ["uni_websocket_compression_min_size"], [];
        /// How hard to compress: 1, the fastest, to 9.
        compression_level: u32 = 1, ["uni_websocket_compression_level"], [];
        /// Ends a connection without the push that tells why.
        disable_disconnect_push: bool = false, [], [];
        /// Ends a connection without a close frame.
        disable_closing_handshake: bool = false, [], [];
    }

    /// The unidirectional HTTP stream: one JSON object per line, readable with curl.
    UniHttpStream at (uni_http_stream) with {
        connect_code_to_http_response: HttpStreamRefusals,
    } {
        /// Whether it is served.
        enabled: bool = false, ["uni_http_stream"], ["uni_http_stream"];
        /// Its path.
        handler_prefix: String = "/connection/uni_http_stream".to_owned(),
            ["uni_http_stream_handler_prefix"], [];
        /// Largest body of a connect in bytes; a larger one is refused with 413.
        max_request_body_size: usize = 64 * 1024, ["uni_http_stream_max_request_body_size"], [];
    }

    /// Refused connects as plain HTTP answers instead of a stream that ends.
    HttpStreamRefusals at (uni_http_stream.connect_code_to_http_response) {
        /// Whether refusals are answered that way; codes not listed become status 500.
        enabled: bool = false, [], [];
        /// Codes and the answers they become.
        transforms: Vec<HttpTransform> = Vec::new(), [], [];
    }

    /// Unidirectional Server-Sent Events: what a page reads with `EventSource`.
    UniSse at (uni_sse) with { connect_code_to_http_response: SseRefusals } {
        /// Whether they are served.
        enabled: bool = false, ["uni_sse"], ["uni_sse"];
        /// Their path.
        handler_prefix: String = "/connection/uni_sse".to_owned(), ["uni_sse_handler_prefix"], [];
        /// Largest body of a connect in bytes; a larger one is refused with 413.
        max_request_body_size: usize = 64 * 1024, ["uni_sse_max_request_body_size"], [];
    }

    /// Refused connects as plain HTTP answers instead of events that end.
    SseRefusals at (uni_sse.connect_code_to_http_response) {
        /// Whether refusals are answered that way; codes not listed become status 500.
        enabled: bool = false, [], [];
        /// Codes and the answers they become.
        transforms: Vec<HttpTransform> = Vec::new(), [], [];
    }

    /// The unidirectional gRPC stream, on a port of its own.
    UniGrpc at (uni_grpc) {
        /// Whether it is served.
        enabled: bool = false, ["uni_grpc"], ["uni_grpc"];
        /// IP address or host name to listen on. Empty: every interface.
        address: String = String::new(), ["uni_grpc_address"], [];
        /// Port to listen on. 0 lets the operating system choose; the log says which it chose.
        port: u16 = 11000, ["uni_grpc_port"], ["uni_grpc_port"];
        /// Largest connect in bytes; a larger one is refused. 0: 4 MiB.
        max_receive_message_size: usize = 0, ["uni_grpc_max_receive_message_size"], [];
    }

    /// The server API over gRPC, on a port of its own, with the standard health service.
    GrpcApi at (grpc_api) {
        /// Whether it is served.
        enabled: bool = false, ["grpc_api"], ["grpc_api"];
        /// IP address or host name to listen on. Empty: every interface.
        address: String = String::new(), ["grpc_api_address"], [];
        /// Port to listen on. 0 lets the operating system choose; the log says which it chose.
        port: u16 = 10000, ["grpc_api_port"], ["grpc_api_port"];
        /// What a caller must present, as metadata `authorization: apikey <KEY>`. Empty: nothing,
        /// everyone who reaches the port may call.
        key: Secret = Secret::default(), ["grpc_api_key"], [];
        /// Lets callers ask which services and messages there are, without a key.
        reflection: bool = false, ["grpc_api_reflection"], ["grpc_api_reflection"];
        /// `transport` tells the errors of a call by the status; empty in the message of a
        /// response whose status is OK.
        error_mode: ErrorMode = ErrorMode::Body, ["grpc_api_error_mode"], [];
        /// Largest request in bytes, also once it is inflated; a larger one is refused. 0: 4 MiB.
        max_receive_message_size: usize = 0, ["grpc_api_max_receive_message_size"], [];
    }

    /// The end of the process.
    Shutdown at (shutdown) {
        /// How long the goodbye to all clients may take.
        timeout: Duration = Duration::from_secs(30), ["shutdown_timeout"], [];
    }

    /// The engine: one shard per core.
    Shards at (shards) {
        /// Shards. 0: one per core this process may use.
        count: usize = 0, [], [];
        /// Keeps each shard on a core of its own.
        pin_to_cores: bool = true, [], [];
        /// How sockets are driven: `auto` (the best that works), `io_uring`, `io_uring_plain`
        /// (without what needs a recent kernel) or `epoll`; all but `auto` refuse to start
        /// elsewhere.
        driver: DriverChoice = DriverChoice::Auto, [], [];
        /// How idle sockets wait: in one `poll_set` per shard, or in a small `task` each.
        parking: ParkingChoice = ParkingChoice::PollSet, [], [];
        /// Entries of each shard's submission queue, a power of two from 16 to 32768.
        ring_entries: u32 = 1024, [], [];
        /// How long a shard waits for the others' part of an answer; after it the answer says
        /// that it is partial.
        query_timeout: Duration = Duration::from_secs(1), [], [];
    }

    /// For load tests; not for a server that serves anybody.
    Test at (test) {
        /// Sessions without a client that the server is filled with before it listens, spread over
        /// users `s000000001`, `s000000002`, … by Zipf's law, 1,000 at most for one. They are
        /// listed and can be closed; nothing can be sent to them. At most 100000000.
        synthetic_sessions: u64 = 0, [], [];
        /// Gives each of them three labels: a `region` of 8, a `plan` of 3, and a `device` that 100
        /// sessions share (`d0000000`, `d0000001`, …).
        synthetic_labels: bool = false, [], [];
    }
}
