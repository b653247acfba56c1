//! Every code a client can be told, as data: one table of disconnects, one of errors.
//! `docs/codes.md` is written from them.

use std::borrow::Cow;

/// Why a connection ends, as its client hears it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disconnect {
    /// Also the status of a WebSocket close frame. Tells whether to come back.
    pub code: u32,
    /// For people. At most [`REASON_BYTES_MAX`] bytes, or a close frame cannot carry it.
    pub reason: Cow<'static, str>,
}

/// What a close frame leaves for text after the status (RFC 6455 §5.5).
pub const REASON_BYTES_MAX: usize = 123;

impl Disconnect {
    /// Whether a client that hears this connects again by itself (client protocol, disconnect
    /// codes).
    #[must_use]
    pub const fn may_return(&self) -> bool {
        !matches!(self.code, 3500..=3999 | 4500..=4999)
    }
}

/// Why a request of a client failed while its connection lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorCode {
    /// 100 to 399 are the server's; 400 to 1999 a backend's.
    pub code: u32,
    /// For people.
    pub message: Cow<'static, str>,
    /// Whether the same request may succeed later.
    pub temporary: bool,
}

macro_rules! disconnects {
    ($($name:ident $code:literal $reason:literal $when:literal;)*) => {
        $(
            #[doc = $when]
            pub const $name: Disconnect =
                Disconnect { code: $code, reason: Cow::Borrowed($reason) };
        )*

        /// Every disconnect of the server's own, by code, with when it happens.
        pub const DISCONNECTS: &[(Disconnect, &str)] = &[$(($name, $when)),*];
    };
}

macro_rules! errors {
    ($($name:ident $code:literal $message:literal $temporary:literal $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: ErrorCode =
                ErrorCode {
                    code: $code,
                    message: Cow::Borrowed($message),
                    temporary: $temporary,
                };
        )*

        /// Every error of the server's own, by code, with what it means.
        pub const ERRORS: &[(ErrorCode, &str)] = &[$(($name, $meaning)),*];
    };
}

disconnects! {
    CONNECTION_CLOSED     3000 "connection closed"      "The client left by itself: counted and reported, never sent.";
    SHUTDOWN              3001 "shutdown"               "The server shuts down.";
    INTERNAL_SERVER_ERROR 3004 "internal server error"  "The server failed.";
    CONNECTION_EXPIRED    3005 "connection expired"     "The token was expired, or expired during the session.";
    SUBSCRIPTION_EXPIRED  3006 "subscription expired"   "A server-side subscription expired.";
    SLOW                  3008 "slow"                   "Too much waited for a client that did not read; it is cut without hearing this.";
    WRITE_ERROR           3009 "write error"            "A write to the client failed.";
    INSUFFICIENT_STATE    3010 "insufficient state"     "What the client knows can no longer be brought up to date.";
    FORCE_RECONNECT       3011 "force reconnect"        "A backend asked the client to connect anew.";
    NO_PONG               3012 "no pong"                "The client did not answer a ping.";
    TOO_MANY_REQUESTS     3013 "too many requests"      "The client asked too often, or the node is full.";
    STATE_INVALIDATED     3014 "state invalidated"      "The client must forget its token and subscriptions before it returns.";
    INVALID_TOKEN         3500 "invalid token"          "The token is not one this server accepts, or a backend has revoked it, also during the session.";
    BAD_REQUEST           3501 "bad request"            "The request makes no sense here, or names no user in any way.";
    STALE                 3502 "stale"                  "No connect request came in time.";
    FORCE_DISCONNECT      3503 "force disconnect"       "A backend closed the session and named no other code.";
    CONNECTION_LIMIT      3504 "connection limit"       "The user has as many sessions as allowed.";
    REPLACED              3504 "replaced by a newer session" "The user has as many sessions as allowed, and a newer one has taken the place of the oldest.";
    CHANNEL_LIMIT         3505 "channel limit"          "More subscriptions than allowed.";
    INAPPROPRIATE_PROTOCOL 3506 "inappropriate protocol" "The data cannot be carried by the protocol the client chose.";
    PERMISSION_DENIED     3507 "permission denied"      "The token names no user, and anonymous users are not allowed.";
    USER_BLOCKED          3507 "user is blocked"        "A backend has blocked the user, before the connect or during the session.";
    NOT_AVAILABLE         3508 "not available"          "The server does not offer what the client asked for.";
    TOO_MANY_ERRORS       3509 "too many errors"        "The client made too many mistakes.";
}

errors! {
    ERROR_INTERNAL             100 "internal server error"   true  "The server failed.";
    ERROR_UNAUTHORIZED         101 "unauthorized"            false "The connection is not authenticated.";
    ERROR_UNKNOWN_CHANNEL      102 "unknown channel"         false "No such channel.";
    ERROR_PERMISSION_DENIED    103 "permission denied"       false "The client may not do this.";
    ERROR_METHOD_NOT_FOUND     104 "method not found"        false "No such method.";
    ERROR_ALREADY_SUBSCRIBED   105 "already subscribed"      false "The client has this subscription.";
    ERROR_LIMIT_EXCEEDED       106 "limit exceeded"          false "Some limit is reached.";
    ERROR_BAD_REQUEST          107 "bad request"             false "The request makes no sense here.";
    ERROR_NOT_AVAILABLE        108 "not available"           false "The server does not offer this.";
    ERROR_TOKEN_EXPIRED        109 "token expired"           false "The token is expired or not valid yet; a new one will do.";
    ERROR_EXPIRED              110 "expired"                 false "What the credentials allow has ended.";
    ERROR_TOO_MANY_REQUESTS    111 "too many requests"       true  "The client asks too often, or the node is full.";
    ERROR_UNRECOVERABLE        112 "unrecoverable position"  false "The position in the stream is lost.";
    ERROR_CONCURRENT_PAGINATION 113 "concurrent pagination"  true  "Pages of one list were asked for at the same time.";
}

/// How a refused connect ends on a transport that can carry no error (client protocol,
/// unidirectional transports).
#[must_use]
pub const fn uni_disconnect(error: u32) -> Disconnect {
    match error {
        103 => PERMISSION_DENIED,
        109 | 110 => CONNECTION_EXPIRED,
        111 => TOO_MANY_REQUESTS,
        _ => INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    /// Old clients take a close reason that is JSON for `{"reason", "reconnect"}`.
    fn assert_text(text: &str) {
        assert!(!text.is_empty() && text.len() <= REASON_BYTES_MAX && text.is_ascii(), "{text}");
        assert!(serde_json::from_str::<IgnoredAny>(text).is_err(), "{text}");
    }

    #[test]
    fn every_code_is_there_once_in_order_with_a_text_any_transport_can_carry() {
        assert!(DISCONNECTS.is_sorted_by(|(a, _), (b, _)| a.code <= b.code));
        let reasons: std::collections::BTreeSet<_> =
            DISCONNECTS.iter().map(|(disconnect, _)| &disconnect.reason).collect();
        assert_eq!(reasons.len(), DISCONNECTS.len(), "a reason tells what a shared code does not");
        assert!(ERRORS.is_sorted_by(|(a, _), (b, _)| a.code < b.code));
        for (disconnect, when) in DISCONNECTS {
            assert_text(&disconnect.reason);
            assert!((3000..4000).contains(&disconnect.code) && when.ends_with('.'), "{when}");
        }
        for (error, meaning) in ERRORS {
            assert_text(&error.message);
            assert!((100..400).contains(&error.code) && meaning.ends_with('.'), "{meaning}");
        }
    }

    #[test]
    fn a_client_returns_unless_the_code_forbids_it() {
        for (code, returns) in [
            (3000, true),
            (3499, true),
            (3500, false),
            (3999, false),
            (4000, true),
            (4499, true),
            (4500, false),
            (4999, false),
            (5000, true),
        ] {
            assert_eq!(Disconnect { code, reason: "".into() }.may_return(), returns, "{code}");
        }
    }

    #[test]
    fn every_error_ends_a_unidirectional_connection_with_a_known_code() {
        for (error, code) in [(103, 3507), (109, 3005), (110, 3005), (111, 3013), (499, 3004)] {
            assert_eq!(uni_disconnect(error).code, code);
        }
        for (error, _) in ERRORS {
            let disconnect = uni_disconnect(error.code);
            assert!(DISCONNECTS.iter().any(|(known, _)| *known == disconnect));
        }
    }
}
