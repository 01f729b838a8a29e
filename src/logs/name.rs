//! Field names: those that the Log Service or this gateway keeps for itself, and the repair of those and of names
//! that are empty or too long (delivery 4).
//!
//! A repaired name may equal another one; which of the two stays is decided where the fields are gathered.

use std::fmt::Write;

/// The field of a value that is not taken apart.
pub(super) const CONTENT: &str = "content";
/// The record key.
pub(super) const KAFKA_KEY: &str = "__kafka_key__";
/// The record key in base64, where it is not UTF-8.
pub(super) const KAFKA_KEY_BASE64: &str = "__kafka_key_base64__";
/// The record's own timestamp, in milliseconds, where the log's time is the arrival time.
pub(super) const KAFKA_TIMESTAMP: &str = "__kafka_timestamp__";
/// Which part of how many, as `2/5`.
pub(super) const PART: &str = "__part__";
/// The client's address.
pub(super) const CLIENT_IP: &str = "__client_ip__";
/// Ends the name of a field whose value is base64.
pub(super) const BASE64_SUFFIX: &str = "_base64";

/// Names with a meaning of their own to the Log Service or to this gateway.
const RESERVED: [&str; 11] = [
    "__time__",
    "__source__",
    "__topic__",
    "__partition_time__",
    "_extract_others_",
    "__extract_others__",
    "__raw__",
    "__raw_log__",
    "__time_ns_part__",
    PART,
    CLIENT_IP,
];
const OWN_PREFIX: &str = "__kafka_";
const RESERVED_PREFIXES: [&str; 2] = ["__tag__:", OWN_PREFIX];

/// Put before a reserved name.
const USER_PREFIX: &str = "user_";

/// Stands for an empty name.
const EMPTY: &str = "_";

/// `_` and a CRC-32 in hexadecimal digits.
const HASH_BYTES: usize = 9;

/// `name` followed by `suffix`, or the name that the log gets instead: at most `bytes_max` bytes, which should be
/// far more than the suffix and a hash (32 at least). `scratch` holds the name where it is not `name` itself.
pub(super) fn repair<'a>(
    name: &'a str,
    suffix: &str,
    bytes_max: usize,
    scratch: &'a mut String,
) -> &'a str {
    let good = !name.is_empty() && name.len() <= bytes_max && !is_reserved(name);
    if good && suffix.is_empty() {
        return name;
    }
    scratch.clear();
    scratch.push_str(name);
    scratch.push_str(suffix);
    // The suffix may complete a reserved prefix, as that of `__kafka` does.
    let reserved = is_reserved(name) || is_reserved(scratch);
    scratch.clear();
    if reserved {
        scratch.push_str(USER_PREFIX);
    }
    scratch.push_str(if name.is_empty() { EMPTY } else { name });
    shorten(scratch, bytes_max.saturating_sub(suffix.len()));
    scratch.push_str(suffix);
    scratch
}

/// Was this name given by the gateway? No field of a record's own is stored under it.
pub(super) fn is_own(name: &str) -> bool {
    name == PART || name == CLIENT_IP || name.starts_with(OWN_PREFIX)
}

/// Writes what the strictest reading of the Log Service's rules leaves of a name: ASCII letters, digits and `_`, and no
/// digit in front.
pub(super) fn reduce(name: &str, out: &mut String) {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        out.push('_');
    }
    let kept = |c: char| c.is_ascii_alphanumeric();
    out.extend(name.chars().map(|c| if kept(c) { c } else { '_' }));
}

/// Tells names apart that have become the same.
pub(super) fn hash(name: &str) -> u32 {
    crc32fast::hash(name.as_bytes())
}

/// Ends a name in the hash of what it was.
pub(super) fn push_hash(hash: u32, name: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(name, "_{hash:08x}");
}

fn is_reserved(name: &str) -> bool {
    name.starts_with('_')
        && (RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|p| name.starts_with(p)))
}

/// The hash keeps names apart that differ only behind the cut.
fn shorten(name: &mut String, bytes_max: usize) {
    if name.len() <= bytes_max {
        return;
    }
    let hash = hash(name);
    name.truncate(name.floor_char_boundary(bytes_max.saturating_sub(HASH_BYTES)));
    push_hash(hash, name);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repaired(name: &str, suffix: &str) -> String {
        repair(name, suffix, 128, &mut String::new()).to_owned()
    }

    #[test]
    fn a_reserved_name_gets_the_prefix_user() {
        for name in RESERVED {
            assert_eq!(repaired(name, ""), format!("user_{name}"));
        }
        for name in ["__tag__:host", "__kafka_key__", "__kafka_"] {
            assert_eq!(repaired(name, ""), format!("user_{name}"));
        }
    }

    #[test]
    fn an_ordinary_name_stays() {
        for name in [
            "a",
            "_",
            "__tag__",
            "@timestamp",
            "user_x",
            "名",
            "content",
            "a.b-c:d",
        ] {
            assert_eq!(repaired(name, ""), name);
        }
    }

    #[test]
    fn an_empty_name_becomes_an_underscore() {
        assert_eq!(repaired("", ""), "_");
        assert_eq!(repaired("", "_base64"), "__base64");
    }

    #[test]
    fn a_long_name_is_cut_at_a_character_and_ends_in_a_hash() {
        let name = "é".repeat(65);
        let cut = repaired(&name, "");
        assert!(cut.len() <= 128);
        let (stem, hash) = cut.rsplit_once('_').unwrap();
        assert_eq!(stem, "é".repeat(59));
        assert_eq!(hash.len(), 8);
        assert_eq!(repaired(&"é".repeat(64), ""), "é".repeat(64));
    }

    #[test]
    fn long_names_that_differ_behind_the_cut_stay_apart() {
        let stem = "n".repeat(200);
        assert_ne!(
            repaired(&format!("{stem}1"), ""),
            repaired(&format!("{stem}2"), "")
        );
    }

    #[test]
    fn a_long_name_keeps_its_suffix() {
        let cut = repaired(&"n".repeat(200), "_base64");
        assert_eq!(cut.len(), 128);
        assert!(cut.ends_with("_base64"));
    }

    #[test]
    fn a_reduced_name_has_letters_digits_and_underscores_and_no_digit_in_front() {
        let table = [
            ("content", "content"),
            ("a.b-c:d e", "a_b_c_d_e"),
            ("2xx", "_2xx"),
            ("名字é", "___"),
            ("@timestamp", "_timestamp"),
        ];
        for (name, expected) in table {
            let mut reduced = String::new();
            reduce(name, &mut reduced);
            assert_eq!(reduced, expected);
        }
    }

    #[test]
    fn a_reserved_name_that_is_long_is_repaired_twice() {
        let cut = repaired(&format!("__kafka_{}", "x".repeat(200)), "");
        assert!(cut.starts_with("user___kafka_x"));
        assert_eq!(cut.len(), 128);
    }
}
