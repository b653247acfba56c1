//! ② A request head to what it opens: the server API, a stream, health, or a plain refusal.

use crate::api;
use crate::connection::Options;
use crate::connection::options::StreamEndpoint;
use crate::connection::origin::OriginCheck;
use crate::wire::http1::{Head, Status};

/// Which endpoints a listener serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The only listener: everything.
    All,
    /// The public listener beside an internal one: transports, no API unless it is external.
    External,
    /// The internal listener: API and health.
    Internal,
}

/// What a head asks for.
#[derive(Debug)]
pub enum Target<'o> {
    /// The server API.
    Api(&'o api::Options, api::Route),
    /// Connect over `uni_http_stream`.
    UniHttpStream(&'o StreamEndpoint),
    /// A browser asks whether it may call the stream endpoint.
    Preflight,
    /// The health endpoint.
    Health,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// No such path on this listener.
    Nothing,
}

/// What this head asks for on a listener of this scope. Paths match exactly.
#[must_use]
pub fn target<'o>(options: &'o Options, scope: Scope, head: &Head<'_>) -> Target<'o> {
    let path = head.path();
    #[cfg(test)]
    if path == PATH_THAT_PANICS {
        std::panic::resume_unwind(Box::new("a test asked for this panic"));
    }
    if scope != Scope::Internal
        && let Some(stream) = options.endpoints.uni_http_stream.as_ref().filter(|s| s.path == path)
    {
        return match head.method {
            "POST" => Target::UniHttpStream(stream),
            "OPTIONS" => Target::Preflight,
            _ => Target::MethodNotAllowed,
        };
    }
    if scope == Scope::External && !options.api_external {
        return Target::Nothing;
    }
    if let Some(api) = &options.api
        && let Some(route) = api::route(api, path)
    {
        return Target::Api(api, route);
    }
    // Only the API can be opened to the outside; health follows the internal listener.
    if scope != Scope::External && options.health_path.as_deref() == Some(path) {
        return Target::Health;
    }
    Target::Nothing
}

/// The one way to see a panic contained: only the library's own tests contain it.
#[cfg(test)]
pub(crate) const PATH_THAT_PANICS: &str = "/panic";

impl Target<'_> {
    /// The largest body this target reads, in bytes.
    #[must_use]
    pub const fn body_bytes_max(&self) -> usize {
        match self {
            Self::Api(options, _) => options.body_bytes_max,
            Self::UniHttpStream(endpoint) => endpoint.body_bytes_max,
            Self::Preflight | Self::Health | Self::MethodNotAllowed | Self::Nothing => {
                IGNORED_BODY_BYTES_MAX
            }
        }
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
