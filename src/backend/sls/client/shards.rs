//! The answer of ListShards.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// A shard of a Logstore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    pub id: u32,
    /// Takes logs; after a split or a merge a shard only gives them.
    pub writable: bool,
    /// The first key of its range; always the shard's own.
    pub begin_key: u128,
}

/// A project may have 400 shards, unless its owner asked for more.
const SHARDS_MAX: usize = 1024;
/// Hexadecimal; the documentation shows keys with one less.
const KEY_DIGITS_MAX: usize = 32;

/// # Errors
/// When the answer is no list of shards, or longer than a Logstore's can be.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Shard>, serde_json::Error> {
    serde_json::from_slice(body).map(|Shards(shards)| shards)
}

struct Shards(Vec<Shard>);

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(rename = "shardID")]
    id: u32,
    #[serde(borrow)]
    status: std::borrow::Cow<'a, str>,
    #[serde(rename = "inclusiveBeginKey", deserialize_with = "key")]
    begin_key: u128,
}

impl<'de> Deserialize<'de> for Shards {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Rows)
    }
}

struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = Shards;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of shards")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Shards, A::Error> {
        let mut shards = Vec::new();
        while let Some(row) = rows.next_element::<Row<'_>>()? {
            if shards.len() == SHARDS_MAX {
                return Err(A::Error::custom("more shards than a Logstore can have"));
            }
            shards.push(Shard {
                id: row.id,
                writable: row.status.eq_ignore_ascii_case("readwrite"),
                begin_key: row.begin_key,
            });
        }
        Ok(Shards(shards))
    }
}

fn key<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(from)?;
    let is_key = (1..=KEY_DIGITS_MAX).contains(&text.len())
        && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let key = is_key
        .then(|| u128::from_str_radix(&text, 16).ok())
        .flatten();
    key.ok_or_else(|| D::Error::custom("a key is not a hexadecimal number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_read_with_fields_that_are_not_known() {
        let body = br#"[
            {"shardID": 0, "status": "readonly", "inclusiveBeginKey": "00000000000000000000000000000000",
             "exclusiveEndKey": "80000000000000000000000000000000", "createTime": 1453949705, "new": [1, {}]},
            {"shardID": 7, "status": "readwrite", "inclusiveBeginKey": "80000000000000000000000000000000"},
            {"shardID": 8, "status": "ReadWrite", "inclusiveBeginKey": "8000000000000000000000000000000"},
            {"shardID": 9, "status": "splitting", "inclusiveBeginKey": "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"}
        ]"#;
        let shard = |id, writable, begin_key| Shard {
            id,
            writable,
            begin_key,
        };
        let expected = [
            shard(0, false, 0),
            shard(7, true, 1 << 127),
            shard(8, true, 1 << 123),
            shard(9, false, u128::MAX),
        ];
        assert_eq!(parse(body).unwrap(), expected);
        assert_eq!(parse(b"[]").unwrap(), []);
    }

    #[test]
    fn anything_else_is_no_list_of_shards() {
        let row = |key: &str| {
            format!(r#"[{{"shardID":1,"status":"readwrite","inclusiveBeginKey":"{key}"}}]"#)
        };
        for bad in [
            "",
            "{}",
            "[1]",
            "[{}]",
            "[",
            &row(""),
            &row("+1"),
            &row("xyz"),
            &row(&"0".repeat(33)),
            r#"[{"shardID":-1,"status":"readwrite","inclusiveBeginKey":"00"}]"#,
            r#"[{"shardID":4294967296,"status":"readwrite","inclusiveBeginKey":"00"}]"#,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let row = r#"{"shardID":1,"status":"readonly","inclusiveBeginKey":"00"}"#;
        let list = |count| format!("[{}]", vec![row; count].join(","));
        assert_eq!(
            parse(list(SHARDS_MAX).as_bytes()).unwrap().len(),
            SHARDS_MAX
        );
        assert!(parse(list(SHARDS_MAX + 1).as_bytes()).is_err());
    }
}
