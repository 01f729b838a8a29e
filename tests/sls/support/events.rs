//! What the gateways of this process write about themselves, kept for all tests.

use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

static KEPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static BEGUN: Once = Once::new();

/// From here on everything is kept, that of the libraries too.
pub fn keep() {
    BEGUN.call_once(|| {
        let events = tracing_subscriber::fmt().with_env_filter("debug");
        events.with_ansi(false).with_writer(Keeper).init();
    });
}

/// The lines with all of these words.
pub fn lines(words: &[&str]) -> Vec<String> {
    let kept = String::from_utf8_lossy(&lock()).into_owned();
    let holds = |line: &&str| words.iter().all(|word| line.contains(word));
    kept.lines().filter(holds).map(str::to_owned).collect()
}

fn lock() -> MutexGuard<'static, Vec<u8>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy)]
struct Keeper;

impl io::Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Keeper {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}
