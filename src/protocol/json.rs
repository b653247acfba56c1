//! JSON as Go's encoders write it: compact, and harmless inside HTML and JavaScript. Clients and
//! backends compare bytes.

/// Writes a string with its quotes.
///
/// `<`, `>`, `&`, U+2028 and U+2029 are escaped although JSON does not ask for it.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(byte) = copy_until(out, &mut rest, is_special) {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => write_harmless(out, other, &mut rest),
        }
    }
    out.push(b'"');
}

/// Writes JSON somebody else made: spaces between its tokens go, the characters
/// [`write_string`] escapes are escaped, everything else stays as it was, numbers digit for digit.
///
/// `raw` has been parsed before. If it was not JSON the output is not either, nothing worse.
pub fn write_raw(out: &mut Vec<u8>, raw: &[u8]) {
    let mut rest = raw;
    while let Some(byte) = copy_until(out, &mut rest, |byte| byte == b'"' || is_space(byte)) {
        if byte == b'"' {
            out.push(b'"');
            write_rest_of_raw_string(out, &mut rest);
        }
    }
}

fn write_rest_of_raw_string(out: &mut Vec<u8>, rest: &mut &[u8]) {
    while let Some(byte) = copy_until(out, rest, is_special) {
        match byte {
            b'"' => {
                out.push(b'"');
                return;
            }
            // An escape goes as a pair, or its second half could be taken for the closing quote.
            b'\\' => {
                out.push(b'\\');
                if let Some((escaped, after)) = rest.split_first() {
                    out.push(*escaped);
                    *rest = after;
                }
            }
            other => write_harmless(out, other, rest),
        }
    }
}

/// Writes JSON somebody else made as it came, but without line breaks, which between tokens mean
/// nothing and on the wire would end a line of a stream.
///
/// `raw` has been parsed before, so a line break is never part of a string.
pub(super) fn write_payload(out: &mut Vec<u8>, raw: &[u8]) {
    for run in raw.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(run);
    }
}

/// Writes a member whose key stands in `key` with all its punctuation; 0 is left out.
pub(super) fn write_number(out: &mut Vec<u8>, key: &[u8], number: u64) {
    if number != 0 {
        out.extend_from_slice(key);
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

/// Whether brackets nest deeper than `depth_max` anywhere in this JSON.
#[must_use]
pub fn nests_deeper_than(raw: &[u8], depth_max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in raw {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return true;
        }
    }
    false
}

/// Copies up to the first byte that matters and takes that byte off too.
fn copy_until(out: &mut Vec<u8>, rest: &mut &[u8], matters: impl Fn(u8) -> bool) -> Option<u8> {
    // Mostly nothing matters. A whole piece is judged without a branch, which makes vector
    // instructions of it.
    let (pieces, _) = rest.as_chunks::<PIECE_BYTES>();
    let is_calm = |piece: &&[u8; _]| !piece.iter().fold(false, |any, byte| any | matters(*byte));
    let calm = pieces.iter().take_while(is_calm).map(|piece| piece.len()).sum();
    let (_, unsure) = rest.split_at(calm);
    let more = unsure.iter().position(|byte| matters(*byte)).unwrap_or(unsure.len());
    let at = calm.saturating_add(more);
    let (run, tail) = rest.split_at(at);
    out.extend_from_slice(run);
    let (byte, after) = tail.split_first()?;
    *rest = after;
    Some(*byte)
}

/// Bytes that are judged at once: most names and words are not much longer.
const PIECE_BYTES: usize = 8;

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// 0xE2 begins U+2028 and U+2029 in UTF-8. Without branches, for [`copy_until`].
const fn is_special(byte: u8) -> bool {
    (byte < 0x20)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'&')
        | (byte == 0xe2)
}

/// Writes a special byte of a string that is neither quote nor backslash.
fn write_harmless(out: &mut Vec<u8>, byte: u8, rest: &mut &[u8]) {
    if byte == 0xe2 {
        let (escape, after): (&[u8], _) = match *rest {
            [0x80, 0xa8, after @ ..] => (b"\\u2028", after),
            [0x80, 0xa9, after @ ..] => (b"\\u2029", after),
            after => (&[0xe2], after),
        };
        out.extend_from_slice(escape);
        *rest = after;
        return;
    }
    let digit = |half: u8| char::from_digit(u32::from(half), 16).map_or(b'0', |digit| digit as u8);
    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn raw(json: &str) -> String {
        let mut out = Vec::new();
        write_raw(&mut out, json.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        for (text, json) in [
            ("", r#""""#),
            ("user-42", r#""user-42""#),
            ("a\"b\\c/d", r#""a\"b\\c/d""#),
            ("\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}", "\"\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\u{7f}\""),
            ("<b>&'", r#""\u003cb\u003e\u0026'""#),
            ("\u{2027}\u{2028}\u{2029}\u{202a}â€é😀", "\"\u{2027}\\u2028\\u2029\u{202a}â€é😀\""),
        ] {
            assert_eq!(string(text), json, "{text:?}");
        }
    }

    #[test]
    fn raw_json_is_compacted_and_otherwise_kept() {
        for (json, expected) in [
            (" null\n", "null"),
            ("{ \"a b\" :\t[ 1.50 , -0,1E+2 ]\r\n}", r#"{"a b":[1.50,-0,1E+2]}"#),
            (r#"{"q":"a\" , \\","p":" "}"#, r#"{"q":"a\" , \\","p":" "}"#),
            (r#""\/\u003c\ud83d\ude00""#, r#""\/\u003c\ud83d\ude00""#),
            ("[\"<\u{2028}>\", \"&\"]", r#"["\u003c\u2028\u003e","\u0026"]"#),
            ("18446744073709551616", "18446744073709551616"),
        ] {
            assert_eq!(raw(json), expected);
        }
    }

    #[test]
    fn what_is_not_json_does_no_harm() {
        for json in ["", "\"", "\"\\", "\"\u{e2}", "}\u{2028}"] {
            let _written = raw(json);
        }
        write_raw(&mut Vec::new(), b"\"\xe2\x80");
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (json, depth) in
            [("1", 0), ("[]", 1), ("[[],{}]", 2), (r#"{"[[[\"[":"\\"}"#, 1), ("[{\"a\":[1]}]", 3)]
        {
            assert!(!nests_deeper_than(json.as_bytes(), depth), "{json}");
            assert!(depth == 0 || nests_deeper_than(json.as_bytes(), depth - 1), "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_written_string_reads_back(text in "(.|[\\x00-\\x1f<>&\"\\\\\u{2028}\u{2029}â])*") {
            let json = string(&text);
            let raw = json.contains(['<', '>', '&', '\n', '\u{2028}', '\u{2029}']);
            prop_assert!(!raw, "{}", json);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn raw_json_keeps_its_value_and_a_second_writing_changes_nothing(
            texts in prop::collection::vec("(.|[\\x00-\\x1f<>&\"\\\\\u{2028}â])*", 0..4),
            number in any::<f64>(),
        ) {
            let value = serde_json::json!({ "texts": texts, "number": number, "<": [[], {}] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let written = raw(&pretty);
            prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(),
                            serde_json::from_str::<Value>(&pretty).unwrap());
            prop_assert_eq!(raw(&written), written);
        }
    }
}
