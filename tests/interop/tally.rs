//! How often each of many numbers is stored: a byte for each.

/// How many numbers a failed test shows.
const SHOWN_MAX: usize = 10;

pub struct Tally {
    times: Vec<u8>,
}

impl Tally {
    /// Of the numbers below this one.
    pub fn new(count: usize) -> Self {
        Self {
            times: vec![0; count],
        }
    }

    /// Counts a stored value; fails where it is no such number.
    pub fn add(&mut self, value: &[u8]) {
        let number = str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok());
        let times = number.and_then(|number: usize| self.times.get_mut(number));
        let text = String::from_utf8_lossy(value);
        let times = times.unwrap_or_else(|| panic!("never sent: {text:?}"));
        *times = times.saturating_add(1);
    }

    /// Fails unless each was counted once.
    pub fn assert_each_once(&self) {
        let doubled = self.numbers(|times| times > 1);
        assert!(doubled.is_empty(), "stored twice: {}", show(&doubled));
        let missing = self.numbers(|times| times == 0);
        assert!(missing.is_empty(), "missing: {}", show(&missing));
    }

    fn numbers(&self, wanted: fn(u8) -> bool) -> Vec<usize> {
        let numbers = 0..self.times.len();
        numbers.filter(|&at| wanted(self.times[at])).collect()
    }
}

fn show(numbers: &[usize]) -> String {
    let shown = &numbers[..numbers.len().min(SHOWN_MAX)];
    format!("{} numbers, {shown:?} …", numbers.len())
}
