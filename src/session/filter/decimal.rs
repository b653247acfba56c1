//! Decimal numbers of any size as texts, compared exactly: no value is rounded to a float.

use std::cmp::Ordering;

/// Bytes of a number; a longer text is none (Centrifugo's `udecimal`).
const NUMBER_BYTES_MAX: usize = 200;

/// Digits after the point; a number with more is none (Centrifugo's `udecimal`).
const FRACTION_DIGITS_MAX: usize = 19;

/// `[+-]digits[.digits]`, without the zeros that mean nothing. Zero has no sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::session) struct Decimal<T> {
    is_negative: bool,
    whole: T,
    fraction: T,
}

impl<'a> Decimal<&'a str> {
    /// The number a text is, if it is one.
    pub(in crate::session) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > NUMBER_BYTES_MAX {
            return None;
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || fraction.len() > FRACTION_DIGITS_MAX
            || !is_digits(whole)
            || !is_digits(fraction)
        {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { is_negative: text.starts_with('-') && !is_zero, whole, fraction })
    }

    pub(in crate::session) fn boxed(&self) -> Decimal<Box<str>> {
        let Self { is_negative, whole, fraction } = *self;
        Decimal { is_negative, whole: whole.into(), fraction: fraction.into() }
    }

    pub(in crate::session) fn compare(&self, other: &Decimal<Box<str>>) -> Ordering {
        let magnitudes = self
            .whole
            .len()
            .cmp(&other.whole.len())
            .then_with(|| self.whole.cmp(&*other.whole))
            .then_with(|| self.fraction.cmp(&*other.fraction));
        match (self.is_negative, other.is_negative) {
            (false, false) => magnitudes,
            (true, true) => magnitudes.reverse(),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}
