//! The keys of shards: all 128-bit numbers, cut into equal ranges over a Logstore's writable shards.

/// Digits of a key as it is written.
const KEY_DIGITS: usize = 32;

/// Where the range of shard `index` of `count` begins: `index * 2^128 / count`, rounded down.
pub fn begin(index: u32, count: u32) -> u128 {
    let (index, count) = (u128::from(index), u128::from(count.max(1)));
    // 2^128 = count * whole + rest, with the one that u128 cannot hold in the rest.
    let (whole, rest) = (u128::MAX / count, u128::MAX % count + 1);
    index * whole + index * rest / count
}

/// First key and end of the range of shard `index` of `count`, as ListShards shows them. The last one ends at the largest
/// key, which it holds as well.
pub fn shown(index: u32, count: u32) -> (String, String) {
    let end = match index + 1 {
        next if next >= count => u128::MAX,
        next => begin(next, count),
    };
    (hex(begin(index, count)), hex(end))
}

/// The index of the shard of `count` whose range holds the key.
pub fn index_of(key: u128, count: u32) -> u32 {
    let mut indexes = (0..count).rev();
    indexes
        .find(|index| begin(*index, count) <= key)
        .unwrap_or(0)
}

/// A shorter key stands for the first one that begins with it.
pub fn parse_key(text: &str) -> Option<u128> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(1..=KEY_DIGITS).contains(&text.len()) {
        return None;
    }
    let key = u128::from_str_radix(text, 16).ok()?;
    Some(key << (4 * (KEY_DIGITS - text.len())))
}

fn hex(key: u128) -> String {
    format!("{key:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_equal_and_leave_no_gap() {
        assert_eq!(
            shown(0, 2),
            ("0".repeat(32), format!("8{}", "0".repeat(31)))
        );
        assert_eq!(
            shown(1, 2),
            (format!("8{}", "0".repeat(31)), "f".repeat(32))
        );
        assert_eq!(shown(0, 1), ("0".repeat(32), "f".repeat(32)));
        for count in [1, 2, 3, 7, 64, 100, 256] {
            for index in 1..count {
                assert_eq!(shown(index - 1, count).1, shown(index, count).0);
                let lengths = [index - 1, index].map(|at| begin(at, count));
                assert!(lengths[0] < lengths[1]);
            }
        }
        assert_eq!(begin(1, 3), u128::MAX / 3);
        assert_eq!(begin(2, 3), 2 * (u128::MAX / 3));
    }

    #[test]
    fn a_key_belongs_to_the_range_that_holds_it() {
        for count in [1, 2, 3, 100] {
            for index in 0..count {
                let first = begin(index, count);
                assert_eq!(index_of(first, count), index);
                assert_eq!(
                    index_of(first.wrapping_sub(1), count),
                    index.checked_sub(1).unwrap_or(count - 1)
                );
            }
            assert_eq!(index_of(u128::MAX, count), count - 1);
        }
    }

    #[test]
    fn a_short_key_is_a_prefix() {
        assert_eq!(parse_key("5F"), Some(0x5f << 120));
        assert_eq!(
            parse_key("14d2f850ad6ea48e46e4547edbbb27e0"),
            Some(0x14d2_f850_ad6e_a48e_46e4_547e_dbbb_27e0)
        );
        for bad in ["", "g", "+1", "0x1", &"0".repeat(33)] {
            assert_eq!(parse_key(bad), None, "{bad}");
        }
    }
}
