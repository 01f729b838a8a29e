//! Moves what is committed from the WAL into the database file beside the writer, on a thread and connection of its own.
//!
//! Passively: it waits for nobody and nobody waits for it. Under steady load that never starts the WAL over; the writer
//! does, between two commits, when `log_bytes` says that it has become long.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::schema::{self, PAGE_BYTES, SyncMode};

/// The tail of a burst is moved after this time without a nudge.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// Written bytes that are worth a pass.
pub const NUDGE_BYTES: u64 = 4 << 20;

/// Ends its thread when dropped.
#[derive(Debug)]
pub struct Checkpointer {
    nudges: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Held during a checkpoint: SQLite does not wait for another connection's, it fails at once.
    turn: Mutex<()>,
    log_bytes: AtomicU64,
}

impl Shared {
    fn checkpoint(&self, connection: &Connection, mode: Mode) -> rusqlite::Result<Pass> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = checkpoint(connection, mode)?;
        let log_frames = match mode {
            Mode::Restart | Mode::Truncate if pass.is_complete() => 0,
            _ => pass.frames,
        };
        // Negative: the checkpoint did not run and saw nothing.
        if let Ok(log_frames) = u64::try_from(log_frames) {
            self.log_bytes
                .store(log_frames * u64::from(PAGE_BYTES), Ordering::Relaxed);
        }
        Ok(pass)
    }
}

impl Checkpointer {
    pub fn start(file: PathBuf, sync: SyncMode) -> std::io::Result<Self> {
        // One nudge waiting says all that ten would.
        let (nudges, received) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&file, sync, &received, &own))?;
        Ok(Self {
            nudges: Some(nudges),
            thread: Some(thread),
            shared,
        })
    }

    pub fn nudge(&self) {
        if let Some(nudges) = &self.nudges {
            let _ = nudges.try_send(());
        }
    }

    /// Length of the WAL as the last checkpoint saw it.
    pub fn log_bytes(&self) -> u64 {
        self.shared.log_bytes.load(Ordering::Relaxed)
    }

    /// Checkpoints on another connection, between two passes of the thread.
    pub fn checkpoint(&self, connection: &Connection, mode: Mode) -> rusqlite::Result<Pass> {
        self.shared.checkpoint(connection, mode)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.nudges = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a checkpoint reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Somebody was in the way.
    pub is_busy: bool,
    /// Frames in the WAL, and how many of them are in the database file.
    pub frames: i64,
    pub moved: i64,
}

impl Pass {
    pub fn is_complete(self) -> bool {
        !self.is_busy && self.frames == self.moved
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As far as it gets without waiting.
    Passive,
    /// All of it, waiting for readers.
    Full,
    /// And the next commit writes at the start of the WAL.
    Restart,
    /// And the WAL is emptied.
    Truncate,
}

fn checkpoint(connection: &Connection, mode: Mode) -> rusqlite::Result<Pass> {
    let statement = match mode {
        Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Mode::Full => "PRAGMA wal_checkpoint(FULL)",
        Mode::Restart => "PRAGMA wal_checkpoint(RESTART)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    connection.query_row(statement, [], |row| {
        Ok(Pass {
            is_busy: row.get(0)?,
            frames: row.get(1)?,
            moved: row.get(2)?,
        })
    })
}

fn run(file: &Path, sync: SyncMode, nudges: &Receiver<()>, shared: &Shared) {
    let mut connection = None;
    let mut is_failing = false;
    loop {
        match nudges.recv_timeout(IDLE_INTERVAL) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        match pass(file, sync, shared, &mut connection) {
            Ok(_) => is_failing = false,
            Err(cause) => {
                // Nothing is lost: the WAL keeps what was not moved, and the next pass moves it again from the start.
                if !is_failing {
                    tracing::error!(file = %file.display(), %cause, "cannot checkpoint the store");
                }
                is_failing = true;
                connection = None;
            }
        }
    }
}

fn pass(
    file: &Path,
    sync: SyncMode,
    shared: &Shared,
    connection: &mut Option<Connection>,
) -> rusqlite::Result<Pass> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(schema::open_checkpointing(file, sync)?),
    };
    shared.checkpoint(connection, Mode::Passive)
}
