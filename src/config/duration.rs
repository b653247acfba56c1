//! Durations in Go's notation, the one of every Centrifugo configuration (Go `time.ParseDuration`,
//! `time.Duration.String`).

use std::time::Duration;

/// Go's durations are 64 bit nanoseconds: about 292 years.
const NANOS_MAX: u128 = i64::MAX.cast_unsigned() as u128;

/// Nanoseconds of each unit. The micro sign exists twice in Unicode.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// Reads `25s`, `1m30s`, `1.5h`, `500ms`, `0`; a bare number is nanoseconds, as a number in one of
/// Centrifugo's files is. `None` for anything else, for negative and for unrepresentable ones.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if is_bare(rest) {
        return from_nanos(rest.parse().ok()?);
    }
    let mut nanos = 0_u128;
    while !rest.is_empty() {
        let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at(unit_end.unwrap_or(after.len()));
        let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        nanos = nanos.checked_add(scaled(number, scale)?)?;
        rest = after;
    }
    if text.is_empty() { None } else { from_nanos(nanos) }
}

/// Whether this is a number without a unit, which most people do not mean as nanoseconds.
pub(super) fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn from_nanos(nanos: u128) -> Option<Duration> {
    (nanos <= NANOS_MAX).then(|| Duration::from_nanos_u128(nanos))
}

/// `1.5` times a unit, in whole nanoseconds, what is smaller cut off.
fn scaled(number: &str, scale: u64) -> Option<u128> {
    let scale = u128::from(scale);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.bytes() {
        // An hour has 3.6e12 nanoseconds: after 14 digits nothing is added any more.
        nanos += place * u128::from(digit - b'0') / 10;
        place /= 10;
    }
    Some(nanos)
}

/// Writes a duration as Go prints it: `168h0m0s`, `1m30s`, `1.5s`, `250ms`, `0s`.
#[must_use]
pub fn show(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    for (unit, below, scale) in
        [("ns", 1_000, 1), ("\u{b5}s", 1_000_000, 1_000), ("ms", 1_000_000_000, 1_000_000)]
    {
        if nanos < below {
            return format!("{}{unit}", decimal(nanos, scale));
        }
    }
    let (hours, minutes) = (nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60);
    let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `nanos / scale` with as many decimals as it takes.
fn decimal(nanos: u128, scale: u128) -> String {
    let (whole, rest) = (nanos / scale, nanos % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let digits = format!("{rest:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("25s", Some(ms(25_000))),
            ("1m30s", Some(ms(90_000))),
            ("1000ms", Some(ms(1000))),
            ("1.5h", Some(ms(5_400_000))),
            ("+.5s", Some(ms(500))),
            ("0", Some(ms(0))),
            ("1h1m1s1ms", Some(ms(3_661_001))),
            ("3us", Some(Duration::from_micros(3))),
            ("3\u{b5}s", Some(Duration::from_micros(3))),
            ("25", Some(Duration::from_nanos(25))),
            ("9223372036854775807ns", Some(Duration::from_nanos(i64::MAX.cast_unsigned()))),
            ("9223372036854775808ns", None),
            ("-1s", None),
            ("", None),
            ("s", None),
            (".s", None),
            ("1.2.3s", None),
            ("1 s", None),
            ("1d", None),
            ("1s2", None),
            ("99999999999999999999999999999999999999999999h", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (seconds, expected) in
            [(604_800, "168h0m0s"), (90, "1m30s"), (3600, "1h0m0s"), (59, "59s"), (0, "0s")]
        {
            assert_eq!(show(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(show(Duration::from_millis(1500)), "1.5s");
        assert_eq!(show(Duration::from_micros(1500)), "1.5ms");
        assert_eq!(show(Duration::from_nanos(3_600_000_000_001)), "1h0m0.000000001s");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in 0..=i64::MAX.cast_unsigned()) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&show(duration)), Some(duration));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.nuµmsh ]{0,24}") {
            if let Some(duration) = parse(&text) {
                prop_assert!(duration.as_nanos() <= NANOS_MAX);
            }
        }
    }
}
