//! What the writer counts, for metrics.

use std::sync::atomic::AtomicU64;

/// What the writer did since the start; for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    pub commits: AtomicU64,
    pub groups: AtomicU64,
    pub logs: AtomicU64,
    pub bytes: AtomicU64,
    pub expired_groups: AtomicU64,
    pub expired_logs: AtomicU64,
    pub expired_bytes: AtomicU64,
    pub expired_marks: AtomicU64,
    /// Failures after which the store was opened anew.
    pub failures: AtomicU64,
    /// 1 while the store is being opened anew.
    pub is_failing: AtomicU64,
    /// 1 while the free disk space is below its minimum.
    pub is_disk_low: AtomicU64,
}
