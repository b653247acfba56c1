//! `channels`, `subscribe`, `unsubscribe` on a server without channels: none is listed, to none can
//! be subscribed, and whoever should not be subscribed to one is not.

use simd_json::tape::Value;

use super::error::{ApiError, ErrorKind};
use super::params::{Fault, known, text};
use super::question::Question;

/// What is answered as if there were no channel, and nobody is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoChannels {
    /// `channels`
    List,
    /// `unsubscribe`
    Unsubscribe,
}

/// Reads `{"pattern"}`.
pub(super) fn read_list<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<Question, Fault> {
    let mut pattern = None;
    for (key, value) in params {
        if known(key, &["pattern"]) == "pattern" {
            text(&mut pattern, "pattern", value)?;
        }
    }
    Ok(Question::NoChannels(NoChannels::List))
}

/// Reads `{"channel"}`; whom it is about makes no difference.
pub(super) fn read_unsubscribe<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<Question, Fault> {
    read_channel(params)?;
    Ok(Question::NoChannels(NoChannels::Unsubscribe))
}

/// Reads `{"channel"}` and refuses it.
pub(super) fn refuse_subscribe<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<ApiError, Fault> {
    if read_channel(params)?.is_empty() {
        let why = "key \"channel\" is missing or empty, expected the name of a channel";
        return Ok(ApiError::bad_request(why));
    }
    Ok(ApiError::new(ErrorKind::UnknownChannel, "this server has no channels"))
}

fn read_channel<'t, 'i: 't>(
    params: impl Iterator<Item = (&'i str, Value<'t, 'i>)>,
) -> Result<&'i str, Fault> {
    let mut channel = None;
    for (key, value) in params {
        if known(key, &["channel"]) == "channel" {
            text(&mut channel, "channel", value)?;
        }
    }
    Ok(channel.unwrap_or_default())
}

impl NoChannels {
    /// The command it belongs to.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::List => "channels",
            Self::Unsubscribe => "unsubscribe",
        }
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self {
            Self::List => b"{\"channels\":{}}",
            Self::Unsubscribe => b"{}",
        });
    }
}
