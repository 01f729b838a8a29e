//! The one thread that writes: what waits while a commit runs forms the next commit.
//!
//! It answers each put once its transaction is durable. When a commit fails it drops the store, refuses all that is
//! queued (a later batch must not overtake an earlier one), opens the store anew, and learns from the commit counter
//! whether the failed commit is there. Between two commits it expires and tidies in small steps. How things are stored
//! is the store's.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use self::admission::admit;
pub use self::counters::Counters;
pub use self::creation::CreateError;
use self::creation::Creation;
use self::disk::Disk;
pub use self::disk::FreeBytes;
use super::catalogue::Catalogue;
use super::store::{
    BATCH_BYTES_MAX, BATCH_GROUPS_MAX, Batch, LogstoreSpec, Open, OpenError, Retention, Store,
    StoreError,
};
use crate::backend::{PutError, WriteSet};
use crate::tenant::ProjectName;

mod admission;
mod counters;
mod creation;
mod disk;

/// How often expiry looks for something to do when there was nothing.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// Expiry that failed is left alone so long: it may fail on a damaged page that writing does not touch.
const EXPIRY_PAUSE: Duration = Duration::from_secs(60);

/// Pauses between two tries to open a store that failed.
const REOPEN_PAUSE_MIN: Duration = Duration::from_millis(50);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Pause before the first try when the store has failed again at once: it may open well and still be damaged.
const REOPEN_PAUSE_AGAIN: Duration = Duration::from_millis(250);

/// Shorter than the deadline of a client with the usual time-out, longer than a passing fault.
pub const VERDICT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

const NOT_COMMITTED: &str = "the store could not commit";
const REOPENING: &str = "the store is being opened anew after an error";
const DISK_LOW: &str = "the free disk space is below min-free";
const CLOSED: &str = "the store is closed";
const UNDECIDED: &str = "a commit failed and the store cannot be opened to look";

/// What the writer keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub retention: Retention,
    pub free_bytes_min: u64,
    /// How long the puts of a failed commit wait to learn whether it is stored.
    pub verdict_timeout: Duration,
}

/// What the configuration wants to exist.
#[derive(Clone, Debug, Default)]
pub struct Arrangement {
    pub projects: Vec<ProjectName>,
    pub logstores: Vec<LogstoreSpec>,
    /// Shard counts of Logstores made on first use, for the projects that make them.
    pub created_shard_counts: HashMap<ProjectName, u32>,
}

/// What the writer shares with those who ask.
#[derive(Debug, Default)]
pub struct Shared {
    pub catalogue: Catalogue,
    pub counters: Counters,
}

/// The queue in front of the thread. Its length is bounded by the bytes in flight above the backend.
#[derive(Debug)]
pub struct Writer {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Command {
    Put(Put),
    Create(Creation),
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Put {
    set: WriteSet,
    answer: oneshot::Sender<Result<(), PutError>>,
}

impl Put {
    // Nobody may be waiting any more; the write stands all the same.
    fn answer(self, outcome: Result<(), PutError>) {
        let _ = self.answer.send(outcome);
    }
}

impl Writer {
    /// Starts the thread with an open store.
    pub fn start<O: Open>(
        opener: O,
        store: O::Store,
        rules: Rules,
        arrangement: &Arrangement,
        free_bytes: FreeBytes,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let (commands, received) = channel();
        shared.catalogue.publish(store.logstores());
        let run = Run {
            state: State::Open(store),
            opener,
            commands: received,
            retention: rules.retention,
            verdict_timeout: rules.verdict_timeout,
            created_shard_counts: arrangement.created_shard_counts.clone(),
            disk: Disk::new(free_bytes, rules.free_bytes_min),
            shared,
            waiting: Vec::new(),
            creations: Vec::new(),
            waiting_bytes: 0,
            waiting_groups: 0,
            expiry_due: Instant::now(),
            reopened_at: None,
            closing: None,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run.run())?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Queues the set at once; the answer comes when its commit is durable or known to have failed.
    pub fn put(
        &self,
        set: WriteSet,
    ) -> impl Future<Output = Result<(), PutError>> + Send + 'static + use<> {
        let (answer, answered) = oneshot::channel();
        let queued = self.send(Command::Put(Put { set, answer }));
        // Without an answer the thread has ended, perhaps in the middle of this commit.
        async move {
            queued?;
            answered.await.unwrap_or(Err(PutError::Uncertain(CLOSED)))
        }
    }

    /// Makes a Logstore; the answer comes when it is durable or known to have failed.
    pub fn create(
        &self,
        spec: LogstoreSpec,
    ) -> impl Future<Output = Result<(), CreateError>> + Send + 'static + use<> {
        let (answer, answered) = oneshot::channel();
        let queued = self.send(Command::Create(Creation { spec, answer }));
        async move {
            queued.map_err(|_| CreateError::Failed(CLOSED))?;
            answered.await.unwrap_or(Err(CreateError::Failed(CLOSED)))
        }
    }

    /// Commits what is queued and closes the store; ready when the thread has let go of the files.
    pub fn close(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (answer, answered) = oneshot::channel();
        let queued = self.send(Command::Close(answer));
        async move {
            if queued.is_ok() {
                let _ = answered.await;
            }
        }
    }

    fn send(&self, command: Command) -> Result<(), PutError> {
        let closed = PutError::NotStored(CLOSED);
        self.commands
            .as_ref()
            .ok_or(closed)?
            .send(command)
            .map_err(|_| closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's own side.
struct Run<O: Open> {
    // Dropped before the opener, which holds the lock on the directory.
    state: State<O::Store>,
    opener: O,
    commands: Receiver<Command>,
    retention: Retention,
    verdict_timeout: Duration,
    created_shard_counts: HashMap<ProjectName, u32>,
    disk: Disk,
    shared: Arc<Shared>,
    waiting: Vec<Put>,
    creations: Vec<Creation>,
    waiting_bytes: usize,
    waiting_groups: usize,
    expiry_due: Instant,
    reopened_at: Option<Instant>,
    /// The end has come; those who asked for it wait for it.
    closing: Option<Vec<oneshot::Sender<()>>>,
}

enum State<S> {
    Open(S),
    Failed(Outage),
}

struct Outage {
    since: Instant,
    retry_at: Instant,
    pause: Duration,
    undecided: Option<Undecided>,
}

/// Puts whose commit failed, so that only the commit counter tells whether they are stored.
struct Undecided {
    number: u64,
    puts: Vec<Put>,
    until: Instant,
}

impl<O: Open> Run<O> {
    fn run(mut self) {
        while self.closing.is_none() {
            self.collect();
            self.commit();
            self.create();
            self.reopen();
            self.housekeep();
        }
        self.finish();
    }

    /// Waits for a command or for something of its own to do, then takes all that is queued.
    fn collect(&mut self) {
        match self.commands.recv_timeout(self.patience()) {
            Ok(command) => self.take(command),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.closing = Some(Vec::new()),
        }
        while self.waiting_bytes < BATCH_BYTES_MAX && self.waiting_groups < BATCH_GROUPS_MAX {
            let Ok(command) = self.commands.try_recv() else {
                break;
            };
            self.take(command);
        }
    }

    fn patience(&self) -> Duration {
        let until = match &self.state {
            State::Open(_) => self.expiry_due,
            State::Failed(outage) => outage.retry_at,
        };
        until.saturating_duration_since(Instant::now())
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Put(put) => {
                self.waiting_bytes += set_bytes(&put.set);
                self.waiting_groups += put.set.groups.len();
                self.waiting.push(put);
            }
            Command::Create(creation) => self.creations.push(creation),
            Command::Close(answer) => self.closing.get_or_insert_default().push(answer),
        }
    }

    /// Commits all that waits in one transaction.
    fn commit(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.waiting_bytes);
        self.waiting_groups = 0;
        let State::Open(store) = &mut self.state else {
            return self.refuse(REOPENING);
        };
        if self.disk.is_low(bytes) {
            self.shared.counters.is_disk_low.store(1, Ordering::Relaxed);
            return self.refuse(DISK_LOW);
        }
        self.shared.counters.is_disk_low.store(0, Ordering::Relaxed);
        let (puts, created) = admit(store, &self.created_shard_counts, &mut self.waiting);
        if !puts.is_empty() {
            self.append(puts, &created);
        }
    }

    /// Stores the puts and answers them, unless only opening anew can tell.
    fn append(&mut self, puts: Vec<Put>, created: &[LogstoreSpec]) {
        let State::Open(store) = &mut self.state else {
            return answer_all(puts, Err(PutError::NotStored(REOPENING)));
        };
        let sets: Vec<&WriteSet> = puts.iter().map(|put| &put.set).collect();
        let number = store.last_commit() + 1;
        let batch = Batch {
            number,
            now_ms: now_ms(),
            created,
            sets: &sets,
        };
        match store.append(batch) {
            Ok(()) => {
                if !created.is_empty() {
                    self.shared.catalogue.publish(store.logstores());
                }
                self.count(&sets);
                answer_all(puts, Ok(()));
            }
            Err(cause @ StoreError::Nothing(_)) => {
                answer_all(puts, Err(PutError::NotStored(NOT_COMMITTED)));
                self.fail(&cause, None);
            }
            Err(cause @ StoreError::Unknown(_)) => {
                let until = Instant::now() + self.verdict_timeout;
                self.fail(
                    &cause,
                    Some(Undecided {
                        number,
                        puts,
                        until,
                    }),
                );
            }
        }
    }

    fn count(&self, sets: &[&WriteSet]) {
        let counters = &self.shared.counters;
        add(&counters.commits, 1);
        for placed in sets.iter().flat_map(|set| &set.groups) {
            add(&counters.groups, 1);
            add(&counters.logs, u64::from(placed.group.log_count));
            add(&counters.bytes, placed.group.body.len() as u64);
        }
    }

    /// Answers all that waits as not stored.
    fn refuse(&mut self, reason: &'static str) {
        (self.waiting_bytes, self.waiting_groups) = (0, 0);
        answer_all(self.waiting.drain(..), Err(PutError::NotStored(reason)));
        self.refuse_creations(reason);
    }

    /// Drops the store and refuses what is queued behind the failed commit.
    fn fail(&mut self, cause: &StoreError, undecided: Option<Undecided>) {
        tracing::error!(%cause, "the store failed and is opened anew");
        let counters = &self.shared.counters;
        add(&counters.failures, 1);
        counters.is_failing.store(1, Ordering::Relaxed);
        let since = Instant::now();
        let is_again = self
            .reopened_at
            .is_some_and(|reopened_at| since < reopened_at + REOPEN_PAUSE_MAX);
        let retry_at = if is_again {
            since + REOPEN_PAUSE_AGAIN
        } else {
            since
        };
        self.state = State::Failed(Outage {
            since,
            retry_at,
            pause: REOPEN_PAUSE_MIN,
            undecided,
        });
        while let Ok(command) = self.commands.try_recv() {
            self.take(command);
        }
        self.refuse(REOPENING);
    }

    /// Opens a failed store when it is time to try.
    fn reopen(&mut self) {
        let State::Failed(outage) = &mut self.state else {
            return;
        };
        if Instant::now() < outage.retry_at {
            return;
        }
        match self.opener.open() {
            Ok(store) => {
                tracing::info!(
                    seconds = outage.since.elapsed().as_secs_f32(),
                    "the store is open again"
                );
                if let Some(Undecided { number, puts, .. }) = outage.undecided.take() {
                    answer_all(puts, verdict(&store, number));
                }
                self.shared.counters.is_failing.store(0, Ordering::Relaxed);
                self.shared.catalogue.publish(store.logstores());
                self.reopened_at = Some(Instant::now());
                self.state = State::Open(store);
            }
            Err(cause) => outage.prolong(&cause),
        }
    }

    /// Expires and tidies a little.
    fn housekeep(&mut self) {
        if let Err(cause) = self.expire_and_tidy() {
            self.expiry_due = Instant::now() + EXPIRY_PAUSE;
            self.fail(&cause, None);
        }
    }

    fn expire_and_tidy(&mut self) -> Result<(), StoreError> {
        let State::Open(store) = &mut self.state else {
            return Ok(());
        };
        let mut is_more = false;
        if Instant::now() >= self.expiry_due {
            let expired = store.expire(&self.retention, now_ms())?;
            is_more = expired.more;
            let counters = &self.shared.counters;
            add(&counters.expired_groups, expired.groups);
            add(&counters.expired_logs, expired.logs);
            add(&counters.expired_bytes, expired.bytes);
            add(&counters.expired_marks, expired.marks);
            self.expiry_due = Instant::now() + EXPIRY_INTERVAL;
        }
        if store.tidy()? || is_more {
            self.expiry_due = Instant::now();
        }
        Ok(())
    }

    /// Commits what was queued before the end and closes.
    fn finish(mut self) {
        while let Ok(command) = self.commands.try_recv() {
            self.take(command);
        }
        self.commit();
        self.create();
        if let State::Failed(outage) = &mut self.state {
            outage.retry_at = Instant::now();
            self.reopen();
        }
        let Self {
            state,
            opener,
            commands,
            closing,
            ..
        } = self;
        // From here on a put learns at once that the store is closed.
        drop(commands);
        match state {
            State::Open(store) => {
                if let Err(cause) = store.close() {
                    // All is durable in the WAL; the next start moves it.
                    tracing::warn!(%cause, "cannot tidy the store at its end");
                }
            }
            State::Failed(Outage {
                undecided: Some(Undecided { puts, .. }),
                ..
            }) => {
                answer_all(puts, Err(PutError::Uncertain(UNDECIDED)));
            }
            State::Failed(_) => {}
        }
        drop(opener);
        for answer in closing.into_iter().flatten() {
            let _ = answer.send(());
        }
    }
}

impl Outage {
    /// Another try has failed.
    fn prolong(&mut self, cause: &OpenError) {
        let now = Instant::now();
        if self.pause < REOPEN_PAUSE_MAX {
            tracing::error!(%cause, "cannot open the store again yet");
        }
        self.pause = (self.pause * 2).min(REOPEN_PAUSE_MAX);
        self.retry_at = now + self.pause;
        if let Some(Undecided { puts, .. }) =
            self.undecided.take_if(|undecided| now >= undecided.until)
        {
            answer_all(puts, Err(PutError::Uncertain(UNDECIDED)));
        }
    }
}

/// Whether commit `number` is in the store that was opened after it had failed.
fn verdict(store: &impl Store, number: u64) -> Result<(), PutError> {
    if store.last_commit() >= number {
        Ok(())
    } else {
        Err(PutError::NotStored(NOT_COMMITTED))
    }
}

fn answer_all(puts: impl IntoIterator<Item = Put>, outcome: Result<(), PutError>) {
    for put in puts {
        put.answer(outcome);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn set_bytes(set: &WriteSet) -> usize {
    let groups: usize = set
        .groups
        .iter()
        .map(|placed| placed.group.body.len())
        .sum();
    let marks: usize = set
        .marks
        .iter()
        .map(|mark| mark.key.len() + mark.value.len())
        .sum();
    groups + marks
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
