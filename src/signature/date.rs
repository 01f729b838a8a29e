//! The two forms of a time: `Thu, 02 Jan 2025 03:04:05 GMT` (RFC 1123, v1) and `20250102T030405Z` (v4).
//!
//! Reading is strict: what is signed is the text, so a text of any other form is no date.

use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const HTTP: StaticFormatDescription = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);
const HTTP_LEN: usize = 29;

const COMPACT: StaticFormatDescription =
    format_description!("[year][month][day]T[hour][minute][second]Z");
const COMPACT_LEN: usize = 16;

/// The last second of the year 9999; neither form has a place for a later one.
const UNIX_MAX: i64 = 253_402_300_799;

/// `Thu, 02 Jan 2025 03:04:05 GMT`. Times before 1970 and after 9999 are cut there.
pub fn http_date(unix_s: i64) -> String {
    format(unix_s, HTTP)
}

/// `20250102T030405Z`. Times before 1970 and after 9999 are cut there.
pub fn compact_date(unix_s: i64) -> String {
    format(unix_s, COMPACT)
}

/// Unix seconds of a text as [`http_date`] writes it.
pub fn parse_http_date(text: &str) -> Option<i64> {
    parse(text, HTTP, HTTP_LEN)
}

/// Unix seconds of a text as [`compact_date`] writes it.
pub fn parse_compact_date(text: &str) -> Option<i64> {
    parse(text, COMPACT, COMPACT_LEN)
}

fn format(unix_s: i64, form: StaticFormatDescription) -> String {
    let time = OffsetDateTime::from_unix_timestamp(unix_s.clamp(0, UNIX_MAX));
    // Every second of the range has a form.
    let text = time.ok().and_then(|time| time.format(form).ok());
    text.expect("a second between 1970 and 9999 can be written")
}

fn parse(text: &str, form: StaticFormatDescription, len: usize) -> Option<i64> {
    if text.len() != len {
        return None;
    }
    let time = PrimitiveDateTime::parse(text, form).ok()?;
    Some(time.assume_utc().unix_timestamp())
}
