//! Cursors as clients hold them: base64 of a decimal number, one number per group and shard, without gaps. Official SDKs
//! decode them and count.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Where a cursor is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Begin,
    End,
    /// The first group received at or after this second.
    Time(i64),
}

impl From {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "begin" => Some(Self::Begin),
            "end" => Some(Self::End),
            // Of a second that can be told in milliseconds.
            _ => text.parse::<u32>().ok().map(|time| Self::Time(time.into())),
        }
    }
}

pub fn write(cursor: u64) -> String {
    STANDARD.encode(cursor.to_string())
}

/// `None`: no cursor of any shard. Where the official Python SDK makes a cursor by itself, it leaves a newline at its end.
pub fn parse(text: &str) -> Option<u64> {
    let decimal = STANDARD.decode(text.trim_ascii_end()).ok()?;
    let decimal = str::from_utf8(&decimal).ok()?;
    let is_plain = decimal.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| decimal.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is_one() {
        assert_eq!(
            write(1_447_299_606_896_632_356),
            "MTQ0NzI5OTYwNjg5NjYzMjM1Ng=="
        );
        for cursor in [0, 1, 99, u64::MAX] {
            assert_eq!(parse(&write(cursor)), Some(cursor));
            assert_eq!(parse(&format!("{}\n", write(cursor))), Some(cursor));
        }
        for bad in ["-1", "", "+1", "1.0", "18446744073709551616", "x"] {
            assert_eq!(parse(&STANDARD.encode(bad)), None, "{bad}");
        }
        for bad in ["", "MA", "****", "MA==="] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
