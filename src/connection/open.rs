//! ② A request head to what it opens: the server API, a stream, health, or a plain refusal.

use crate::admin::{self, Admin, LOGIN_BYTES_MAX};
use crate::api;
use crate::connection::Options;
use crate::connection::options::{
    EmulationEndpoint, Endpoints, StreamEndpoint, UniWebSocketEndpoint, WebSocketEndpoint,
};
use crate::connection::origin::OriginCheck;
use crate::wire::http1::{Head, Place, Status};

/// Which endpoints a listener serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The only listener: everything.
    All,
    /// The public listener beside an internal one: transports, no API unless it is external.
    External,
    /// The internal listener: API, pages and health.
    Internal,
}

/// What a head asks for.
#[derive(Debug)]
pub enum Target<'o> {
    /// The server API.
    Api(&'o api::Options, api::Route),
    /// To connect.
    Connect(Endpoint<'o>),
    /// To hand in commands for a stream.
    Emulation(&'o EmulationEndpoint),
    /// A browser asks whether it may call an endpoint.
    Preflight,
    /// The page that describes the server API.
    Swagger(Place<'o>),
    /// The operators' page.
    Admin(&'o Admin, admin::Route<'o>),
    /// The health endpoint.
    Health,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// No such path on this listener.
    Nothing,
}

/// A way to connect.
#[derive(Clone, Copy, Debug)]
pub enum Endpoint<'o> {
    /// Bidirectional WebSocket.
    WebSocket(&'o WebSocketEndpoint),
    /// Bidirectional HTTP stream.
    HttpStream(&'o StreamEndpoint),
    /// Bidirectional Server-Sent Events.
    Sse(&'o StreamEndpoint),
    /// Unidirectional WebSocket.
    UniWebSocket(&'o UniWebSocketEndpoint),
    /// Unidirectional HTTP stream.
    UniHttpStream(&'o StreamEndpoint),
    /// Unidirectional Server-Sent Events.
    UniSse(&'o StreamEndpoint),
}

/// What this head asks for on a listener of this scope. Paths match exactly.
#[must_use]
pub fn target<'o>(options: &'o Options, scope: Scope, head: &Head<'_>) -> Target<'o> {
    let path = head.path();
    #[cfg(test)]
    if path == PATH_THAT_PANICS {
        std::panic::resume_unwind(Box::new("a test asked for this panic"));
    }
    if scope != Scope::Internal {
        if let Some(endpoint) = Endpoint::at(&options.endpoints, path) {
            return endpoint.target(head.method);
        }
        if let Some(emulation) = options.endpoints.emulation.as_ref().filter(|e| e.path == path) {
            return match head.method {
                "POST" => Target::Emulation(emulation),
                "OPTIONS" => Target::Preflight,
                _ => Target::MethodNotAllowed,
            };
        }
    }
    let is_internal = scope != Scope::External;
    if let Some(api) = options.api.as_ref().filter(|_| is_internal || options.api_external)
        && let Some(route) = api::route(api, path)
    {
        return Target::Api(api, route);
    }
    // Only the API and the operators' page can be opened to the outside.
    if is_internal {
        if options.health_path.as_deref() == Some(path) {
            return Target::Health;
        }
        if let Some(page) = options.swagger.as_ref().and_then(|swagger| swagger.at(path)) {
            return Target::Swagger(page);
        }
    }
    // Last: without a prefix its files stand at the root.
    let admin = options.admin.as_ref().filter(|_| is_internal || options.admin_external);
    let found = admin.and_then(|admin| Some((admin, admin.route(path)?)));
    found.map_or(Target::Nothing, |(admin, route)| Target::Admin(admin, route))
}

impl<'o> Endpoint<'o> {
    fn at(endpoints: &'o Endpoints, path: &str) -> Option<Self> {
        let Endpoints { websocket, http_stream, sse, uni_websocket, .. } = endpoints;
        let Endpoints { uni_http_stream, uni_sse, .. } = endpoints;
        let stream = |endpoint: &'o Option<StreamEndpoint>| {
            endpoint.as_ref().filter(|endpoint| endpoint.path == path)
        };
        if let Some(websocket) = websocket.as_ref().filter(|websocket| websocket.path == path) {
            return Some(Self::WebSocket(websocket));
        }
        if let Some(uni) = uni_websocket.as_ref().filter(|uni| uni.socket.path == path) {
            return Some(Self::UniWebSocket(uni));
        }
        (stream(http_stream).map(Self::HttpStream))
            .or_else(|| stream(sse).map(Self::Sse))
            .or_else(|| stream(uni_http_stream).map(Self::UniHttpStream))
            .or_else(|| stream(uni_sse).map(Self::UniSse))
    }

    fn target(self, method: &str) -> Target<'o> {
        match (self, method) {
            // The handshake says what is wrong with another method.
            (Self::WebSocket(_) | Self::UniWebSocket(_), _)
            | (Self::HttpStream(_) | Self::UniHttpStream(_), "POST")
            | (Self::Sse(_) | Self::UniSse(_), "GET" | "POST") => Target::Connect(self),
            (Self::HttpStream(_) | Self::UniHttpStream(_), "OPTIONS") => Target::Preflight,
            (Self::HttpStream(_) | Self::UniHttpStream(_) | Self::Sse(_) | Self::UniSse(_), _) => {
                Target::MethodNotAllowed
            }
        }
    }
}

/// The one way to see a panic contained: only the library's own tests contain it.
#[cfg(test)]
pub(crate) const PATH_THAT_PANICS: &str = "/panic";

/// How large a body may be; as a text, why a larger one is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the request body is larger than {bytes_max} bytes ({option})")]
pub struct BodyLimit {
    /// In bytes.
    pub bytes_max: usize,
    /// The option that says so.
    option: &'static str,
}

impl<'o> Target<'o> {
    /// The call of the server API that this is, by whichever way.
    #[must_use]
    pub const fn api(&self) -> Option<(&'o api::Options, api::Route)> {
        match self {
            Self::Api(options, route) => Some((options, *route)),
            Self::Admin(admin, admin::Route::Api(route)) => Some((admin.api(), *route)),
            Self::Admin(_, admin::Route::Init | admin::Route::Login | admin::Route::Page(_))
            | Self::Connect(_)
            | Self::Emulation(_)
            | Self::Preflight
            | Self::Swagger(_)
            | Self::Health
            | Self::MethodNotAllowed
            | Self::Nothing => None,
        }
    }

    /// The largest body this target reads.
    #[must_use]
    pub const fn body_limit(&self) -> BodyLimit {
        if let Some((options, _)) = self.api() {
            let option = "http_api.max_request_body_size";
            return BodyLimit { bytes_max: options.body_bytes_max, option };
        }
        let (bytes_max, option) = match self {
            Self::Admin(_, admin::Route::Login) => (LOGIN_BYTES_MAX, "of a login"),
            Self::Connect(Endpoint::HttpStream(stream)) => {
                (stream.body_bytes_max, "http_stream.max_request_body_size")
            }
            Self::Connect(Endpoint::Sse(stream)) => {
                (stream.body_bytes_max, "sse.max_request_body_size")
            }
            Self::Connect(Endpoint::UniHttpStream(stream)) => {
                (stream.body_bytes_max, "uni_http_stream.max_request_body_size")
            }
            Self::Connect(Endpoint::UniSse(stream)) => {
                (stream.body_bytes_max, "uni_sse.max_request_body_size")
            }
            Self::Emulation(emulation) => {
                (emulation.body_bytes_max, "emulation.max_request_body_size")
            }
            Self::Connect(Endpoint::WebSocket(_) | Endpoint::UniWebSocket(_))
            | Self::Preflight
            | Self::Api(..)
            | Self::Swagger(_)
            | Self::Admin(..)
            | Self::Health
            | Self::MethodNotAllowed
            | Self::Nothing => (IGNORED_BODY_BYTES_MAX, "nobody reads it"),
        };
        BodyLimit { bytes_max, option }
    }
}

/// A body nobody will look at is read up to this size, so that the connection stays usable;
/// beyond it the answer closes the connection.
const IGNORED_BODY_BYTES_MAX: usize = 64 * 1024;

/// Response headers that let a page of an allowed origin read the answer.
///
/// Unlike Centrifugo we send no empty `Access-Control-Allow-Origin` to clients that named no
/// origin, and we say `Vary: Origin` so that no cache mixes two pages up.
#[must_use]
pub fn cors_headers<'h>(check: OriginCheck<'h>, head: &Head<'h>) -> Cors<'h> {
    let mut cors = Cors::default();
    match check {
        OriginCheck::Absent => {}
        OriginCheck::Refused => cors.push(("Vary", "Origin")),
        OriginCheck::Allowed(origin) => {
            cors.push(("Access-Control-Allow-Origin", origin));
            cors.push(("Access-Control-Allow-Credentials", "true"));
            if let Some(asked) = head.header("access-control-request-headers")
                && !asked.is_empty()
                && asked != "null"
            {
                cors.push(("Access-Control-Allow-Headers", asked));
            }
            cors.push(("Vary", "Origin"));
        }
    }
    cors
}

/// A short list of response headers.
pub type Cors<'h> = smallvec::SmallVec<[(&'h str, &'h str); 12]>;

/// Headers of the answer to a preflight, beside the CORS ones.
pub const PREFLIGHT_HEADERS: [(&str, &str); 2] =
    [("Access-Control-Max-Age", "300"), ("Access-Control-Allow-Methods", "POST, OPTIONS")];

/// Headers of every stream: no proxy may buffer or cache it (client protocol, "HTTP streaming").
/// `Expire` is spelled as Centrifugo spells it.
pub const STREAM_HEADERS: [(&str, &str); 4] = [
    ("X-Accel-Buffering", "no"),
    ("Cache-Control", "private, no-cache, no-store, must-revalidate, max-age=0"),
    ("Pragma", "no-cache"),
    ("Expire", "0"),
];

/// Body of a plain refusal, as Go's server writes it.
#[must_use]
pub const fn plain_body(status: Status) -> &'static str {
    match status.0 {
        400 => "Bad Request\n",
        404 => "404 page not found\n",
        500 => "Internal Server Error\n",
        _ => "",
    }
}
