//! The value of the Date header, formatted once a second.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// The last second of the year 9999: an IMF-fixdate has four digits of year.
const UNIX_S_MAX: u64 = 253_402_300_799;

/// The current time as HTTP writes it. One per shard.
#[derive(Debug, Default)]
pub struct DateLine {
    /// The second `text` stands for.
    unix_s: Option<i64>,
    text: String,
}

impl DateLine {
    /// This second, in seconds since the Unix epoch, as an IMF-fixdate (RFC 9110 §5.6.7). Free
    /// while the second stays the same. Times before 1970 and after 9999 are held at these.
    pub fn at(&mut self, unix_s: i64) -> &str {
        if self.unix_s != Some(unix_s) {
            self.unix_s = Some(unix_s);
            let since_epoch = u64::try_from(unix_s).unwrap_or(0).min(UNIX_S_MAX);
            self.text.clear();
            // Held within what every clock can say, so the default is never taken.
            let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since_epoch));
            let date = httpdate::HttpDate::from(time.unwrap_or(SystemTime::UNIX_EPOCH));
            write!(self.text, "{date}").expect("a String takes everything");
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_written_as_an_imf_fixdate() {
        let mut date = DateLine::default();
        for (unix_s, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (i64::MIN, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(date.at(unix_s), text);
            assert_eq!(date.at(unix_s), text, "a second time from the cache");
        }
    }
}
