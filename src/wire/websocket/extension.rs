//! permessage-deflate as it is agreed on: without context takeover, or not at all.

use crate::wire::http1::Head;

/// The one form of permessage-deflate that is spoken here (RFC 7692 §7): neither side keeps its
/// context from one message to the next, so no connection owns a compressor of hundreds of
/// kilobytes or a decompressor of tens. A client's window may be anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeflateAnswer {
    /// The client set a ceiling to our window, which an answer must then repeat.
    names_server_window: bool,
}

/// Largest LZ77 window, as the exponent of two: the one our compressor has.
const WINDOW_BITS_MAX: u8 = 15;

/// Smallest window there is.
const WINDOW_BITS_MIN: u8 = 8;

impl DeflateAnswer {
    /// Stands for any answer once the handshake is over: what was in it does not matter any more.
    pub const AGREED: Self = Self { names_server_window: false };

    /// The answer to the first offer in `head` that can be accepted. An offer that is malformed,
    /// or wants of us a window smaller than the shared compressor has, is declined by leaving it
    /// away (RFC 7692 §5.1, §7.1).
    #[must_use]
    pub fn negotiate(head: &Head<'_>) -> Option<Self> {
        let offers = head.headers("sec-websocket-extensions");
        offers.flat_map(|value| value.split(',')).find_map(Self::accept)
    }

    /// Accepts one offer, as in `permessage-deflate; client_max_window_bits`.
    fn accept(offer: &str) -> Option<Self> {
        let mut parts = offer.split(';').map(trim_ows);
        if parts.next()? != "permessage-deflate" {
            return None;
        }
        let mut seen = Seen::default();
        for parameter in parts {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (trim_ows(name), Some(unquote(trim_ows(value))?)),
                None => (parameter, None),
            };
            let place = match (name, value) {
                ("server_no_context_takeover", None) => &mut seen.server_takeover,
                ("client_no_context_takeover", None) => &mut seen.client_takeover,
                ("client_max_window_bits", None) => &mut seen.client_window,
                ("client_max_window_bits", Some(bits)) if window_bits(bits).is_some() => {
                    &mut seen.client_window
                }
                ("server_max_window_bits", Some(bits))
                    if window_bits(bits) == Some(WINDOW_BITS_MAX) =>
                {
                    &mut seen.server_window
                }
                _ => return None,
            };
            if place.replace(()).is_some() {
                return None;
            }
        }
        Some(Self { names_server_window: seen.server_window.is_some() })
    }

    /// The value of the header in the response.
    pub(super) const fn header_value(self) -> &'static str {
        if self.names_server_window {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15"
        } else {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        }
    }
}

/// The parameters of an offer; none may stand twice.
#[derive(Default)]
struct Seen {
    server_takeover: Option<()>,
    client_takeover: Option<()>,
    server_window: Option<()>,
    client_window: Option<()>,
}

fn window_bits(value: &str) -> Option<u8> {
    let bits: u8 = value.parse().ok()?;
    let is_plain = matches!(value.as_bytes(), [b'1'..=b'9', ..]);
    (is_plain && (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&bits)).then_some(bits)
}

/// A value that may stand in quotes (RFC 6455 §9.1).
fn unquote(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

fn trim_ows(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::parse_head;

    const PLAIN: &str = "server_no_context_takeover; client_no_context_takeover";

    /// `answer` is what follows `permessage-deflate; ` in the response.
    #[track_caller]
    fn check(offers: &str, answer: Option<&str>) {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{offers}\r\n");
        let deflate = DeflateAnswer::negotiate(&parse_head(head.as_bytes()).unwrap());
        let answered = deflate
            .map(|deflate| deflate.header_value().strip_prefix("permessage-deflate; ").unwrap());
        assert_eq!(answered, answer, "{offers}");
    }

    #[track_caller]
    fn check_one(parameters: &str, answer: Option<&str>) {
        check(&format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n"), answer);
    }

    #[test]
    fn an_offer_that_can_be_kept_is_accepted() {
        for parameters in [
            "",
            "; client_max_window_bits",
            ";client_max_window_bits=8",
            " ; client_max_window_bits = \"10\" ; client_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover",
        ] {
            check_one(parameters, Some(PLAIN));
        }
        let named = format!("{PLAIN}; server_max_window_bits=15");
        check_one("; server_max_window_bits=15", Some(&named));
        check_one("; server_max_window_bits=\"15\"; client_max_window_bits", Some(&named));
    }

    #[test]
    fn an_offer_that_cannot_be_kept_or_is_malformed_is_declined() {
        for parameters in [
            "; server_max_window_bits=9",
            "; server_max_window_bits=14",
            "; server_max_window_bits",
            "; server_max_window_bits=16",
            "; server_max_window_bits=015",
            "; server_max_window_bits=+15",
            "; server_max_window_bits=\"15",
            "; server_max_window_bits=15; server_max_window_bits=15",
            "; client_max_window_bits=7",
            "; client_max_window_bits=16",
            "; client_max_window_bits=",
            "; client_max_window_bits; client_max_window_bits",
            "; server_no_context_takeover=1",
            "; client_no_context_takeover; client_no_context_takeover",
            "; unknown",
            ";",
            "-2",
        ] {
            check_one(parameters, None);
        }
        check("", None);
        check("Sec-WebSocket-Extensions:\r\n", None);
        check("Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n", None);
    }

    #[test]
    fn the_first_offer_that_can_be_kept_counts() {
        check_one("; server_max_window_bits=10, permessage-deflate", Some(PLAIN));
        check(
            "Sec-WebSocket-Extensions: foo; bar=1\r\nsec-websocket-extensions: permessage-deflate\r\n",
            Some(PLAIN),
        );
    }
}
