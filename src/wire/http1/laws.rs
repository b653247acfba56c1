//! Laws of the readers and writers, tried on random input; a failure prints the input that
//! breaks it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::framing::content_length;
use super::*;

/// Bytes that come near being HTTP: words of the grammar in any order, and anything.
fn nearly_http() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(
        &[
            "\r\n",
            "\r\n",
            "\r\n",
            "\n",
            "\r",
            " ",
            "\t",
            ":",
            ": ",
            ",",
            ";",
            "\0",
            "GET",
            "POST ",
            "/",
            "/api?a=b",
            "http://a",
            " HTTP/1.1\r\n",
            " HTTP/1.0\r\n",
            "HTTP/2.0",
            "Host: a\r\n",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close\r\n",
            "Expect: 100-continue\r\n",
            "X: y\r\n",
            "0\r\n",
            "5\r\nhello\r\n",
            "ffffffffffffffff\r\n",
            "1",
            "POST /api HTTP/1.1\r\nHost: a\r\n",
        ][..],
    );
    let piece = prop_oneof![
        4 => word.prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A head that is accepted.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let header = "X-[a-z]{0,8}:[ \t]{0,2}[!-~]{0,12}[ \t]{0,2}\r\n";
    ("(\r\n)?", "[A-Z]{1,7} /[a-z?&=%]{0,12} HTTP/1\\.1\r\n", vec(header, 0..8), 0..8_usize)
        .prop_map(|(empty, line, mut headers, host)| {
            headers.insert(host.min(headers.len()), "Host: a\r\n".to_owned());
            format!("{empty}{line}{}\r\n", headers.concat()).into_bytes()
        })
}

/// The first answer of a search that is shown more and more of `bytes`.
fn scan_split(bytes: &[u8], steps: &[usize]) -> Result<Option<usize>, HeadError> {
    let mut scan = HeadScan::default();
    let mut shown = 0;
    for step in steps {
        shown = bytes.len().min(shown + step);
        match scan.end(&bytes[..shown]) {
            Ok(None) => {}
            answer => return answer,
        }
    }
    scan.end(bytes)
}

/// A body and what follows it, once it is whole.
type Decoded = Option<(Vec<u8>, Vec<u8>)>;

/// Decodes `raw` piece by piece.
fn decode_split(raw: &[u8], steps: &[usize]) -> Result<Decoded, BodyError> {
    let mut decoder = ChunkedBody::new(1000);
    let mut bytes = Vec::new();
    let mut shown = 0;
    for step in steps.iter().copied().chain([raw.len()]) {
        let next = raw.len().min(shown + step);
        bytes.extend_from_slice(&raw[shown..next]);
        shown = next;
        if let Some(end) = decoder.advance(&mut bytes)? {
            let after = [&bytes[end.consumed_len..], &raw[shown..]].concat();
            return Ok(Some((bytes[..end.decoded_len].to_vec(), after)));
        }
    }
    Ok(None)
}

proptest! {
    #[test]
    fn the_end_of_a_head_does_not_depend_on_how_it_was_split(
        bytes in nearly_http(),
        steps in vec(0..8_usize, 0..32),
    ) {
        prop_assert_eq!(scan_split(&bytes, &steps), HeadScan::default().end(&bytes));
    }

    #[test]
    fn pipelined_heads_are_found_one_after_the_other(
        heads in vec(head(), 1..4),
        steps in vec(0..40_usize, 0..16),
    ) {
        let all = heads.concat();
        let mut rest = &all[..];
        for head in heads {
            prop_assert_eq!(scan_split(rest, &steps), Ok(Some(head.len())));
            let (this, after) = rest.split_at(head.len());
            let parsed = parse_head(this).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(parsed.header("hOst"), Some("a"));
            rest = after;
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn no_bytes_make_a_parser_panic(
        bytes in prop_oneof![nearly_http(), vec(any::<u8>(), 0..256)],
        steps in vec(0..8_usize, 0..32),
    ) {
        if let Ok(head) = parse_head(&bytes) {
            prop_assert!(head.path().starts_with('/') || head.path() == "*");
            prop_assert!(head.header("x").is_none_or(|value| !value.contains(['\r', '\n', '\0'])));
        }
        if let Ok(text) = str::from_utf8(&bytes) {
            let value = query_value(text, "a");
            prop_assert!(value.is_none_or(|value| value.len() <= text.len()));
        }
        drop(decode_split(&bytes, &steps));
    }

    #[test]
    fn a_chunked_body_does_not_depend_on_how_it_was_split(
        bytes in nearly_http(),
        steps in vec(0..8_usize, 0..32),
    ) {
        prop_assert_eq!(decode_split(&bytes, &steps), decode_split(&bytes, &[]));
    }

    #[test]
    fn what_is_written_in_chunks_is_read_again(
        pieces in vec(vec(any::<u8>(), 0..300), 0..4),
        after in vec(any::<u8>(), 0..8),
        steps in vec(0..400_usize, 0..8),
    ) {
        let mut raw = Vec::new();
        for piece in &pieces {
            write_chunk(&mut raw, Version::Http11, |out| out.extend_from_slice(piece));
        }
        write_last_chunk(&mut raw, Version::Http11);
        raw.extend_from_slice(&after);
        let whole = pieces.concat();
        if whole.len() > 1000 {
            prop_assert_eq!(decode_split(&raw, &steps), Err(BodyError::TooLarge));
        } else {
            prop_assert_eq!(decode_split(&raw, &steps), Ok(Some((whole, after))));
        }
    }

    #[test]
    fn a_content_length_is_a_number_of_digits_alone(
        value in prop_oneof!["[0-9]{0,22}", "[ +,0-9a-fx-]{0,6}", "1844674407370955161[0-9]"],
    ) {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let model = value.parse::<u128>().ok().filter(|_| digits);
        let model = model.and_then(|length| usize::try_from(length).ok());
        prop_assert_eq!(content_length(value.as_bytes()), model);
    }
}
