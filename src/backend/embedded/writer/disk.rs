//! Watches the free space of the disk, cheaply enough to be asked before each commit.

use std::io;
use std::time::{Duration, Instant};

/// The free space is looked up again after this time or this many bytes, whichever comes first.
const FREE_CHECK_INTERVAL: Duration = Duration::from_millis(100);
const FREE_CHECK_BYTES: usize = 16 << 20;

/// Tells the free bytes of the disk.
pub type FreeBytes = Box<dyn FnMut() -> io::Result<u64> + Send>;

/// Watches the free space, cheaply.
pub struct Disk {
    free_bytes: FreeBytes,
    free_bytes_min: u64,
    check_at: Instant,
    written_bytes: usize,
    is_low: bool,
}

impl Disk {
    pub fn new(free_bytes: FreeBytes, free_bytes_min: u64) -> Self {
        Self {
            free_bytes,
            free_bytes_min,
            check_at: Instant::now(),
            written_bytes: 0,
            is_low: false,
        }
    }

    /// Is there too little space to write so many bytes more?
    pub fn is_low(&mut self, bytes: usize) -> bool {
        let now = Instant::now();
        self.written_bytes += bytes;
        if now >= self.check_at || self.written_bytes >= FREE_CHECK_BYTES {
            self.check_at = now + FREE_CHECK_INTERVAL;
            self.written_bytes = 0;
            self.look();
        }
        self.is_low
    }

    fn look(&mut self) {
        // Where the file system cannot tell, the commit will.
        let is_low = (self.free_bytes)().is_ok_and(|free| free < self.free_bytes_min);
        if is_low != self.is_low {
            let min_bytes = self.free_bytes_min;
            match is_low {
                true => tracing::error!(
                    min_bytes,
                    "the free disk space is below min-free: nothing is stored"
                ),
                false => tracing::info!(min_bytes, "the free disk space is above min-free again"),
            }
        }
        self.is_low = is_low;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn free_space_is_looked_up_again_after_enough_bytes_and_writing_resumes() {
        let free = Arc::new(AtomicU64::new(5));
        let seen = free.clone();
        let mut disk = Disk::new(Box::new(move || Ok(seen.load(Ordering::Relaxed))), 10);
        assert!(disk.is_low(0));
        free.store(10, Ordering::Relaxed);
        assert!(!disk.is_low(FREE_CHECK_BYTES));
        free.store(9, Ordering::Relaxed);
        assert!(disk.is_low(FREE_CHECK_BYTES));
    }

    #[test]
    fn a_file_system_that_cannot_tell_its_space_does_not_stop_writing() {
        assert!(!Disk::new(Box::new(|| Err(io::Error::other("no answer"))), 10).is_low(0));
    }
}
