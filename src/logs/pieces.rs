//! The pieces of one batch as they grow: cut at log boundaries, bounded in all, undone where an expansion fails.

use super::log::Log;
use super::{Bounds, LogError, Piece};

/// Capacity that a returned buffer may keep; a larger one only served an unusual batch.
const SPARE_BYTES_MAX: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Pieces {
    /// Complete.
    done: Vec<Piece>,
    /// The one that grows; it joins `done` only with a log in it.
    open: Piece,
    /// Bytes in all pieces.
    bytes: usize,
    /// Bytes that expansions wrote and took back. They count against later expansions, so that the work of a batch
    /// is bounded and not only its outcome.
    undone: usize,
    /// A buffer for the next piece.
    spare: Vec<u8>,
}

/// Where the pieces stood.
pub(super) struct Mark {
    done: usize,
    bytes: usize,
    open_bytes: usize,
    log_count: u32,
    time_min: u32,
    time_max: u32,
}

impl Pieces {
    pub fn append(&mut self, log: &Log<'_>, bounds: &Bounds) -> Result<(), LogError> {
        let max = bounds.expansion_bytes_max;
        if self.bytes.saturating_add(log.entry_len()) > max {
            return Err(LogError::BatchTooLarge { max });
        }
        self.put(log, bounds);
        Ok(())
    }

    /// As [`append`](Self::append), for one of the logs that a value is taken apart into. `None`: too large.
    pub fn append_expanded(&mut self, log: &Log<'_>, bounds: &Bounds) -> Option<()> {
        let len = log.entry_len();
        let bytes = self.bytes.saturating_add(self.undone).saturating_add(len);
        if len > bounds.log_bytes_max || bytes > bounds.expansion_bytes_max {
            return None;
        }
        self.put(log, bounds);
        Some(())
    }

    /// Cuts where the next logs would otherwise be divided between two pieces, but fit one.
    pub fn keep_together(&mut self, bytes: usize, log_count: u32, bounds: &Bounds) {
        let fits_one = bytes <= bounds.piece_bytes_max && log_count <= bounds.piece_logs_max;
        if fits_one && self.is_full(bytes, log_count, bounds) {
            self.cut();
        }
    }

    pub fn log_count(&self) -> u32 {
        let done = self.done.iter().map(|piece| piece.log_count);
        done.sum::<u32>() + self.open.log_count
    }

    pub fn mark(&self) -> Mark {
        Mark {
            done: self.done.len(),
            bytes: self.bytes,
            open_bytes: self.open.logs.len(),
            log_count: self.open.log_count,
            time_min: self.open.time_min,
            time_max: self.open.time_max,
        }
    }

    /// Takes back what was written since `mark`.
    pub fn undo(&mut self, mark: Mark) {
        self.undone = self.undone.saturating_add(self.bytes - mark.bytes);
        self.bytes = mark.bytes;
        if let Some(then_open) = self.done.drain(mark.done..).next() {
            self.open = then_open;
        }
        self.open.logs.truncate(mark.open_bytes);
        self.open.log_count = mark.log_count;
        self.open.time_min = mark.time_min;
        self.open.time_max = mark.time_max;
    }

    pub fn finish(&mut self) -> Vec<Piece> {
        self.cut();
        self.bytes = 0;
        self.undone = 0;
        std::mem::take(&mut self.done)
    }

    pub fn reset(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.recycle(open.logs);
        self.done.clear();
        self.bytes = 0;
        self.undone = 0;
    }

    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        buffer.shrink_to(SPARE_BYTES_MAX);
        if buffer.capacity() > self.spare.capacity() {
            self.spare = buffer;
        }
    }

    fn put(&mut self, log: &Log<'_>, bounds: &Bounds) {
        let len = log.entry_len();
        if self.is_full(len, 1, bounds) {
            self.cut();
        }
        if self.open.log_count == 0 {
            self.start();
        }
        log.put(&mut self.open.logs);
        self.bytes += len;
        self.open.log_count += 1;
        self.open.time_min = self.open.time_min.min(log.time.seconds);
        self.open.time_max = self.open.time_max.max(log.time.seconds);
    }

    fn start(&mut self) {
        if self.open.logs.capacity() == 0 {
            self.open.logs = std::mem::take(&mut self.spare);
        }
        self.open.time_min = u32::MAX;
        self.open.time_max = 0;
    }

    fn is_full(&self, bytes: usize, log_count: u32, bounds: &Bounds) -> bool {
        self.open.logs.len().saturating_add(bytes) > bounds.piece_bytes_max
            || self.open.log_count.saturating_add(log_count) > bounds.piece_logs_max
    }

    fn cut(&mut self) {
        if self.open.log_count > 0 {
            self.done.push(std::mem::take(&mut self.open));
        }
    }
}
