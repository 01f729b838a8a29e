//! Values that are too large for one log, laid out over several.
//!
//! The fields are laid end to end into logs of equal room, each cut at a character where the room ends: joining the
//! parts of a field in their order gives the value back, byte for byte.

use super::wire::PAIR_OVERHEAD_MAX;

/// A slice shorter than this is not worth a field of its own, unless it is all that is left. At least one character.
const SLICE_BYTES_MIN: usize = 64;

/// What the field `__part__` takes at most: ten digits, a slash, ten digits.
pub(super) const PART_FIELD_BYTES_MAX: usize =
    super::name::PART.len() + (10 + 1 + 10) + PAIR_OVERHEAD_MAX;

/// The least room in a log for a layout of fields with names of at most `name_bytes_max` to advance.
pub(super) fn room_min(name_bytes_max: usize) -> usize {
    name_bytes_max + PAIR_OVERHEAD_MAX + SLICE_BYTES_MIN
}

/// Part of a field, in the log with this index.
pub(super) struct Slice<'a> {
    pub part: u32,
    pub name: &'a [u8],
    pub value: &'a [u8],
}

impl Slice<'_> {
    /// Bytes that this takes in its log, at most.
    pub fn bytes_max(&self) -> usize {
        self.name.len() + self.value.len() + PAIR_OVERHEAD_MAX
    }
}

/// Walks over fields (name, value), slice by slice, with ascending part indices.
#[derive(Clone)]
pub(super) struct Layout<'a, I> {
    fields: I,
    /// The field that was cut.
    rest: Option<(&'a [u8], &'a [u8])>,
    room: usize,
    free: usize,
    part: u32,
}

impl<'a, I: Iterator<Item = (&'a [u8], &'a [u8])>> Layout<'a, I> {
    /// `room`: bytes for fields in each log, at least [`room_min`].
    pub fn new(fields: I, room: usize) -> Self {
        Self {
            fields,
            rest: None,
            room,
            free: room,
            part: 0,
        }
    }
}

impl<'a, I: Iterator<Item = (&'a [u8], &'a [u8])>> Iterator for Layout<'a, I> {
    type Item = Slice<'a>;

    fn next(&mut self) -> Option<Slice<'a>> {
        let (name, value) = self.rest.take().or_else(|| self.fields.next())?;
        let overhead = name.len() + PAIR_OVERHEAD_MAX;
        if self.free < overhead + value.len().min(SLICE_BYTES_MIN) {
            self.part += 1;
            self.free = self.room;
        }
        let cut = floor_character(value, self.free.saturating_sub(overhead));
        let (value, rest) = value.split_at(cut);
        self.free = self.free.saturating_sub(overhead + cut);
        self.rest = (!rest.is_empty()).then_some((name, rest));
        Some(Slice {
            part: self.part,
            name,
            value,
        })
    }
}

/// The last character boundary of UTF-8 text at or before `at`.
fn floor_character(text: &[u8], at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    let continues = |at: &usize| text[*at] & 0b1100_0000 == 0b1000_0000;
    (0..=at).rev().find(|at| !continues(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_boundary_is_found_before_the_character_that_is_cut() {
        let text = "aé你🚀".as_bytes();
        let floors: Vec<usize> = (0..=12).map(|at| floor_character(text, at)).collect();
        assert_eq!(floors, [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10, 10]);
    }

    proptest! {
        #[test]
        fn joined_slices_give_the_values_back(
            values in prop::collection::vec("[a-zé你🚀]{0,300}", 1..5),
            more in 0usize..200,
        ) {
            let room = room_min(1) + more;
            let fields = values.iter().map(|value| (b"n".as_slice(), value.as_bytes()));
            let (mut joined, mut part, mut used) = (Vec::new(), 0, 0);
            for slice in Layout::new(fields, room) {
                prop_assert!(slice.part == part || slice.part == part + 1);
                used = if slice.part == part { used } else { 0 } + slice.bytes_max();
                part = slice.part;
                prop_assert!(used <= room);
                prop_assert!(std::str::from_utf8(slice.value).is_ok());
                joined.extend_from_slice(slice.value);
            }
            prop_assert_eq!(joined, values.concat().into_bytes());
        }
    }
}
