//! A hash of Redis whose fields are session ids and whose values are records, in RESP
//! (redis.io/docs/reference/protocol-spec). Sans-IO.

use super::listing::{Session, check_sessions};
use super::{Answer, Expected, Wrong};
use crate::http::Malformed;

/// Most fields and values of a hash together, and most bytes of one, that are accepted.
const ITEMS_MAX: usize = 1 << 16;
const ITEM_BYTES_MAX: usize = 1 << 20;

/// A command: an array of its words.
pub(crate) fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    bytes.into_bytes()
}

/// Reads a whole answer: an array of texts, or a refusal; `None` while more must come.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Answer<'_>>, Malformed> {
    let mut rest = bytes;
    let Some(line) = take_line(&mut rest)? else { return Ok(None) };
    let len = |rest: &[u8]| bytes.len() - rest.len();
    if let Some(why) = line.strip_prefix("-") {
        return Ok(Some(Answer { body: Err(Wrong::Refused(why.to_owned())), len: len(rest) }));
    }
    for _ in 0..count(line, '*', ITEMS_MAX)? {
        if take_item(&mut rest)?.is_none() {
            return Ok(None);
        }
    }
    let len = len(rest);
    Ok(Some(Answer { body: Ok(bytes[..len].into()), len }))
}

/// The ids of an answer that [`read`] has found whole, as they stand in it.
pub(super) fn ids<'b>(body: &'b [u8], expected: &Expected<'_>) -> Result<Vec<&'b str>, Wrong> {
    let items = items(body).map_err(|_malformed| Wrong::Shape)?.ok_or(Wrong::Shape)?;
    let (pairs, []) = items.as_chunks() else { return Err(Wrong::Shape) };
    let record = |[_, record]: &[&'b str; 2]| serde_json::from_str::<Session<'b>>(record);
    let records: Result<Vec<_>, _> = pairs.iter().map(record).collect();
    check_sessions(records.map_err(|_shape| Wrong::Shape)?.iter(), expected)?;
    Ok(pairs.iter().map(|[id, _]| *id).collect())
}

/// The texts of an array; `None` if it is not whole.
fn items(mut bytes: &[u8]) -> Result<Option<Vec<&str>>, Malformed> {
    let Some(line) = take_line(&mut bytes)? else { return Ok(None) };
    (0..count(line, '*', ITEMS_MAX)?).map(|_| take_item(&mut bytes)).collect()
}

/// Takes a text with its length in front off the front; `None` if it is not whole.
fn take_item<'b>(bytes: &mut &'b [u8]) -> Result<Option<&'b str>, Malformed> {
    let Some(line) = take_line(bytes)? else { return Ok(None) };
    let len = count(line, '$', ITEM_BYTES_MAX)?;
    let Some((item, rest)) = bytes.split_at_checked(len) else { return Ok(None) };
    let Some((end, rest)) = rest.split_at_checked(2) else { return Ok(None) };
    if end != b"\r\n" {
        return Err(Malformed("the end of a text in RESP"));
    }
    *bytes = rest;
    let text = std::str::from_utf8(item).map_err(|_not_utf8| Malformed("RESP is not text"))?;
    Ok(Some(text))
}

/// Takes a line off the front; `None` if it is not whole.
fn take_line<'b>(bytes: &mut &'b [u8]) -> Result<Option<&'b str>, Malformed> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let line =
        std::str::from_utf8(&bytes[..end]).map_err(|_not_utf8| Malformed("RESP is not text"))?;
    *bytes = &bytes[end + 2..];
    Ok(Some(line))
}

/// The number after this mark.
fn count(line: &str, mark: char, most: usize) -> Result<usize, Malformed> {
    let digits = line.strip_prefix(mark).ok_or(Malformed("another kind of RESP"))?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits.parse().ok().filter(|count| is_number && *count <= most);
    count.ok_or(Malformed("a number in RESP"))
}
