//! Sizes ("64MiB") and periods ("10m") as the configuration writes them. What is sensible for a key is the section's to say.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};

/// Why a text is no size or no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error(
        "`{0}` is not a size; write a whole number with B, KiB, MiB, GiB or TiB, like \"64MiB\""
    )]
    Size(String),
    #[error("`{0}` is not a period; write a whole number with ms, s, m, h or d, like \"10m\"")]
    Period(String),
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// Bytes of a size: a whole number, then B, KiB, MiB, GiB, TiB or nothing.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let bad = || UnitError::Size(text.to_owned());
    let (number, unit) = split(text).ok_or_else(bad)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(bad()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| UnitError::TooLarge(text.to_owned()))
}

/// A period: a whole number, then ms, s, m, h or d. The unit is never optional: a bare number reads as seconds to one
/// and as milliseconds to another.
pub fn parse_period(text: &str) -> Result<Duration, UnitError> {
    let bad = || UnitError::Period(text.to_owned());
    let (number, unit) = split(text).ok_or_else(bad)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    number
        .checked_mul(unit_ms)
        .map(Duration::from_millis)
        .ok_or_else(|| UnitError::TooLarge(text.to_owned()))
}

/// The number and what follows it; `None` without a number that fits.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// For `#[serde(with = "units::size")]`: text with a unit, or a plain number of bytes, into any integer it fits.
pub mod size {
    use super::Size;
    use serde::{Deserializer, de::Error};

    pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<u64>>(from: D) -> Result<T, D::Error> {
        let bytes = from.deserialize_any(Size)?;
        T::try_from(bytes)
            .map_err(|_| D::Error::custom(format!("{bytes} bytes are too many for this machine")))
    }
}

/// For `#[serde(with = "units::period")]`.
pub mod period {
    use super::parse_period;
    use serde::{Deserialize, Deserializer, de::Error};
    use std::time::Duration;

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        parse_period(&text).map_err(D::Error::custom)
    }
}

struct Size;

impl Visitor<'_> for Size {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size like \"64MiB\" or a number of bytes")
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<u64, E> {
        u64::try_from(bytes).map_err(|_| E::custom("a size cannot be negative"))
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
        Ok(bytes)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        parse_size(text).map_err(E::custom)
    }
}

/// The largest exact unit, as the configuration would write it; for what is printed at start.
pub fn show_size(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes > 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_and_a_binary_unit() {
        let check = |text, expected| assert_eq!(parse_size(text), Ok(expected), "{text}");
        check("0", 0);
        check("17", 17);
        check("16KiB", 16 << 10);
        check("64 MiB", 64 << 20);
        check("10GiB", 10 << 30);
        check("1TiB", 1 << 40);
    }

    #[test]
    fn other_sizes_are_refused() {
        for text in ["", "MiB", "1MB", "1mib", "-1", "1.5GiB", "1 2", "1KiBs"] {
            assert_eq!(parse_size(text), Err(UnitError::Size(text.into())));
        }
        assert_eq!(
            parse_size("16777216TiB"),
            Err(UnitError::TooLarge("16777216TiB".into()))
        );
    }

    #[test]
    fn a_period_always_has_a_unit() {
        let check = |text, ms| assert_eq!(parse_period(text), Ok(Duration::from_millis(ms)));
        check("500ms", 500);
        check("10s", 10_000);
        check("11m", 660_000);
        check("1h", 3_600_000);
        check("7d", 604_800_000);
        for text in ["", "10", "m", "1w", "-1s", "1.5s", "1m30s"] {
            assert_eq!(parse_period(text), Err(UnitError::Period(text.into())));
        }
    }

    #[test]
    fn a_size_is_shown_as_it_would_be_written() {
        for text in ["16KiB", "64MiB", "10GiB", "3TiB", "1025B", "0B"] {
            assert_eq!(show_size(parse_size(text).unwrap()), text);
        }
    }
}
