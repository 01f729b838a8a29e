use std::collections::VecDeque;
use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, mpsc};

use super::admission::NO_SHARD;
use super::*;
use crate::backend::Mark;
use crate::backend::embedded::LOGSTORES_PER_PROJECT_MAX;
use crate::backend::embedded::fixtures::{RETENTION, opened, place, project, set, spec, stored};
use crate::backend::embedded::reader::Reader;
use crate::backend::embedded::sqlite::{SqliteOpener, SqliteStore};
use crate::backend::embedded::store::Expired;
use crate::tenant::LogstoreName;

/// What happens to one append.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The commit reports an error and is not there.
    UnknownAndLost,
    /// The commit reports an error and is there.
    UnknownAndStored,
    /// An error before the commit.
    Nothing,
}

/// Shared by a test and its store.
#[derive(Default)]
struct Plan {
    faults: Mutex<VecDeque<Fault>>,
    /// Openings that fail before one succeeds.
    failing_opens: AtomicU32,
    failing_expiries: AtomicU32,
    failing_creations: AtomicU32,
    /// An append with a fault says that it began, and waits for leave to go on.
    began: Mutex<Option<mpsc::Sender<()>>>,
    leave: Mutex<Option<mpsc::Receiver<()>>>,
}

/// Is there one left? It is taken.
fn countdown(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}

struct FaultyOpener {
    inner: SqliteOpener,
    plan: Arc<Plan>,
}

struct FaultyStore {
    inner: SqliteStore,
    plan: Arc<Plan>,
}

impl Open for FaultyOpener {
    type Store = FaultyStore;

    fn open(&mut self) -> Result<FaultyStore, OpenError> {
        if countdown(&self.plan.failing_opens) {
            return Err(OpenError::Failed {
                file: "sluice.db".into(),
                cause: "still broken".into(),
            });
        }
        Ok(FaultyStore {
            inner: self.inner.open()?,
            plan: self.plan.clone(),
        })
    }
}

impl Store for FaultyStore {
    fn last_commit(&self) -> u64 {
        self.inner.last_commit()
    }
    fn shard_count(&self, project: &ProjectName, logstore: &LogstoreName) -> Option<u32> {
        self.inner.shard_count(project, logstore)
    }
    fn logstores(&self) -> Vec<LogstoreSpec> {
        self.inner.logstores()
    }
    fn logstore_count(&self, project: &ProjectName) -> Option<usize> {
        self.inner.logstore_count(project)
    }
    fn ensure(
        &mut self,
        projects: &[ProjectName],
        logstores: &[LogstoreSpec],
        now_ms: i64,
    ) -> Result<(), StoreError> {
        if countdown(&self.plan.failing_creations) {
            return Err(StoreError::Nothing("told to fail".into()));
        }
        self.inner.ensure(projects, logstores, now_ms)
    }
    fn append(&mut self, batch: Batch<'_>) -> Result<(), StoreError> {
        let Some(fault) = self.plan.faults.lock().unwrap().pop_front() else {
            return self.inner.append(batch);
        };
        if let Some(began) = &*self.plan.began.lock().unwrap() {
            began.send(()).unwrap();
        }
        if let Some(leave) = &*self.plan.leave.lock().unwrap() {
            leave.recv().unwrap();
        }
        match fault {
            Fault::UnknownAndLost => Err(StoreError::Unknown("sync failed".into())),
            Fault::UnknownAndStored => {
                self.inner.append(batch)?;
                Err(StoreError::Unknown("sync failed".into()))
            }
            Fault::Nothing => Err(StoreError::Nothing("disk full".into())),
        }
    }
    fn marks(&self) -> Result<Vec<(Mark, i64)>, StoreError> {
        self.inner.marks()
    }
    fn expire(&mut self, rule: &Retention, now_ms: i64) -> Result<Expired, StoreError> {
        match countdown(&self.plan.failing_expiries) {
            true => Err(StoreError::Nothing("damaged page".into())),
            false => self.inner.expire(rule, now_ms),
        }
    }
    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.inner.tidy()
    }
    fn close(self) -> Result<(), StoreError> {
        self.inner.close()
    }
}

/// A writer on a store whose appends meet these faults, one each.
struct Bench {
    dir: tempfile::TempDir,
    plan: Arc<Plan>,
    writer: Writer,
    shared: Arc<Shared>,
    began: mpsc::Receiver<()>,
    leave: mpsc::Sender<()>,
}

/// What a bench starts with.
#[derive(Clone, Copy)]
struct Setup<'a> {
    faults: &'a [Fault],
    failing_expiries: u32,
    verdict_timeout: Duration,
    free_bytes: u64,
}

const SETUP: Setup<'static> = Setup {
    faults: &[],
    failing_expiries: 0,
    verdict_timeout: Duration::from_secs(60),
    free_bytes: u64::MAX,
};

fn bench(faults: &[Fault]) -> Bench {
    bench_with(Setup { faults, ..SETUP })
}

fn bench_with(setup: Setup<'_>) -> Bench {
    let Setup {
        faults,
        failing_expiries,
        verdict_timeout,
        free_bytes,
    } = setup;
    let dir = tempfile::tempdir().unwrap();
    let (inner, store) = opened(dir.path());
    let (began_sender, began) = mpsc::channel();
    let (leave, leave_receiver) = mpsc::channel();
    let plan = Arc::new(Plan {
        faults: Mutex::new(faults.iter().copied().collect()),
        failing_opens: AtomicU32::new(0),
        failing_expiries: AtomicU32::new(failing_expiries),
        failing_creations: AtomicU32::new(0),
        began: Mutex::new(Some(began_sender)),
        leave: Mutex::new(Some(leave_receiver)),
    });
    let shared = Arc::new(Shared::default());
    let rules = Rules {
        retention: RETENTION,
        free_bytes_min: 1000,
        verdict_timeout,
    };
    let arrangement = Arrangement {
        created_shard_counts: HashMap::from([(project("shop"), 3)]),
        ..Arrangement::default()
    };
    let opener = FaultyOpener {
        inner,
        plan: plan.clone(),
    };
    let store = FaultyStore {
        inner: store,
        plan: plan.clone(),
    };
    let writer = Writer::start(
        opener,
        store,
        rules,
        &arrangement,
        Box::new(move || Ok(free_bytes)),
        shared.clone(),
    )
    .unwrap();
    Bench {
        dir,
        plan,
        writer,
        shared,
        began,
        leave,
    }
}

impl Bench {
    fn stored(&self) -> Vec<usize> {
        let reader = Reader::open(self.dir.path()).unwrap();
        stored(&reader, &place("access", 0))
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect()
    }
}

#[tokio::test]
async fn an_answer_means_that_the_group_can_be_read() {
    let bench = bench(&[]);
    for bytes in 1..5 {
        assert_eq!(bench.writer.put(set("access", 0, bytes)).await, Ok(()));
        assert_eq!(bench.stored().last(), Some(&bytes));
    }
}

/// One put meets the fault, two more wait behind it, one comes later.
async fn check_fault(fault: Fault, first: Result<(), PutError>, left: &[usize]) {
    let bench = bench(&[fault]);
    bench.plan.failing_opens.store(2, Ordering::SeqCst);
    let failing = bench.writer.put(set("access", 0, 1));
    bench.began.recv().unwrap();
    let behind = [
        bench.writer.put(set("access", 0, 2)),
        bench.writer.put(set("access", 0, 3)),
    ];
    bench.leave.send(()).unwrap();
    for put in behind {
        assert_eq!(put.await, Err(PutError::NotStored(REOPENING)), "{fault:?}");
    }
    assert_eq!(failing.await, first, "{fault:?}");
    // A Nothing is answered before the store is open again; then this may still be refused.
    while bench.writer.put(set("access", 0, 4)).await == Err(PutError::NotStored(REOPENING)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.stored(), left, "{fault:?}");
    assert_eq!(bench.shared.counters.failures.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn after_a_failed_commit_the_counter_decides_what_is_answered_and_nothing_overtakes() {
    let not_committed = Err(PutError::NotStored(NOT_COMMITTED));
    check_fault(Fault::UnknownAndLost, not_committed, &[4]).await;
    check_fault(Fault::UnknownAndStored, Ok(()), &[1, 4]).await;
    check_fault(Fault::Nothing, not_committed, &[4]).await;
}

#[tokio::test]
async fn a_commit_that_nobody_can_look_up_in_time_is_uncertain() {
    let bench = bench_with(Setup {
        faults: &[Fault::UnknownAndStored],
        verdict_timeout: Duration::ZERO,
        ..SETUP
    });
    bench.plan.failing_opens.store(2, Ordering::SeqCst);
    bench.leave.send(()).unwrap();
    assert_eq!(
        bench.writer.put(set("access", 0, 1)).await,
        Err(PutError::Uncertain(UNDECIDED))
    );
    while bench.writer.put(set("access", 0, 2)).await == Err(PutError::NotStored(REOPENING)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.stored(), [1, 2]);
}

#[tokio::test]
async fn closing_answers_all_that_was_queued_before_and_refuses_the_rest() {
    let bench = bench(&[]);
    let puts: Vec<_> = (1..50)
        .map(|bytes| bench.writer.put(set("access", 0, bytes)))
        .collect();
    bench.writer.close().await;
    for put in puts {
        assert_eq!(put.await, Ok(()));
    }
    assert_eq!(
        bench.writer.put(set("access", 0, 1)).await,
        Err(PutError::NotStored(CLOSED))
    );
    bench.writer.close().await;
    assert_eq!(bench.stored(), (1..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn everybody_who_closes_waits_for_the_end() {
    let bench = bench(&[]);
    let closes = [bench.writer.close(), bench.writer.close()];
    for close in closes {
        close.await;
        opened(bench.dir.path());
    }
}

#[tokio::test]
async fn closing_a_broken_store_looks_once_more_for_the_verdict() {
    let bench = bench(&[Fault::UnknownAndStored]);
    let put = bench.writer.put(set("access", 0, 1));
    bench.began.recv().unwrap();
    let closed = bench.writer.close();
    bench.leave.send(()).unwrap();
    closed.await;
    assert_eq!(put.await, Ok(()));
}

#[tokio::test]
async fn what_waits_while_a_commit_runs_shares_the_next_one() {
    let bench = bench(&[Fault::UnknownAndStored]);
    let first = bench.writer.put(set("access", 0, 1));
    bench.began.recv().unwrap();
    bench.leave.send(()).unwrap();
    assert_eq!(first.await, Ok(()));
    *bench.plan.began.lock().unwrap() = None;
    *bench.plan.leave.lock().unwrap() = None;
    let puts: Vec<_> = (0..500)
        .map(|_| bench.writer.put(set("access", 0, 2)))
        .collect();
    for put in puts {
        assert_eq!(put.await, Ok(()));
    }
    let commits = bench.shared.counters.commits.load(Ordering::Relaxed);
    assert!(commits < 500, "{commits}");
    assert_eq!(bench.shared.counters.groups.load(Ordering::Relaxed), 500);
}

#[tokio::test]
async fn one_bad_set_does_not_harm_the_others_of_its_commit() {
    let bench = bench(&[]);
    let mut stranger = set("access", 0, 1);
    stranger.marks.push(Mark {
        project: project("nobody"),
        key: Vec::new(),
        value: Vec::new(),
    });
    let answers = [
        bench.writer.put(set("access", 0, 1)),
        bench.writer.put(set("access", 9, 1)),
        bench.writer.put(stranger),
        bench.writer.put(set("access", 0, 2)),
    ];
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await);
    }
    assert_eq!(
        outcomes,
        [
            Ok(()),
            Err(PutError::NotStored(NO_SHARD)),
            Err(PutError::NoProject),
            Ok(())
        ]
    );
    assert_eq!(bench.stored(), [1, 2]);
}

#[tokio::test]
async fn a_project_makes_logstores_up_to_its_limit() {
    let bench = bench(&[]);
    let last = LOGSTORES_PER_PROJECT_MAX - 1;
    for number in 1..=last {
        assert_eq!(
            bench.writer.put(set(&format!("made{number}"), 2, 1)).await,
            Ok(())
        );
    }
    assert_eq!(
        bench.writer.put(set("one-more", 0, 1)).await,
        Err(PutError::NoLogstore)
    );
    assert_eq!(bench.writer.put(set("access", 0, 1)).await, Ok(()));
    assert_eq!(
        bench.shared.catalogue.logstore_count(&project("shop")),
        LOGSTORES_PER_PROJECT_MAX
    );
}

#[tokio::test]
async fn a_logstore_is_made_on_request_once_and_takes_logs_at_once() {
    let bench = bench(&[]);
    let create = |name: &str, shards| bench.writer.create(spec(name, shards));
    assert_eq!(create("made", 4).await, Ok(()));
    assert_eq!(bench.writer.put(set("made", 3, 1)).await, Ok(()));
    let shards = bench
        .shared
        .catalogue
        .shards(&project("shop"), &place("made", 0).logstore);
    assert_eq!(shards.as_deref(), Some([0, 1, 2, 3].as_slice()));
    assert_eq!(create("made", 2).await, Err(CreateError::Exists));
    assert_eq!(create("access", 2).await, Err(CreateError::Exists));
    let elsewhere = LogstoreSpec {
        project: project("unknown"),
        ..spec("made", 1)
    };
    assert_eq!(
        bench.writer.create(elsewhere).await,
        Err(CreateError::NoProject)
    );
}

#[tokio::test]
async fn a_project_takes_no_more_logstores_and_shards_than_the_log_service_does() {
    let bench = bench(&[]);
    let create = |name: String, shards| bench.writer.create(spec(&name, shards));
    // `access` has two shards.
    assert_eq!(create("wide".into(), 200).await, Ok(()));
    assert_eq!(
        create("wider".into(), 199).await,
        Err(CreateError::ShardsFull)
    );
    for number in 2..LOGSTORES_PER_PROJECT_MAX {
        assert_eq!(create(format!("made{number}"), 1).await, Ok(()));
    }
    assert_eq!(
        create("one-more".into(), 0).await,
        Err(CreateError::LogstoresFull)
    );
}

#[tokio::test]
async fn a_creation_that_failed_is_told_and_writing_goes_on() {
    let bench = bench(&[]);
    bench.plan.failing_creations.store(1, Ordering::SeqCst);
    let failed = bench.writer.create(spec("made", 2)).await;
    assert!(matches!(failed, Err(CreateError::Failed(_))), "{failed:?}");
    let again = || async {
        loop {
            match bench.writer.create(spec("made", 2)).await {
                Err(CreateError::Failed(_)) => tokio::task::yield_now().await,
                outcome => return outcome,
            }
        }
    };
    assert_eq!(again().await, Ok(()));
    assert_eq!(bench.writer.put(set("made", 0, 1)).await, Ok(()));
    bench.writer.close().await;
    let closed = bench.writer.create(spec("later", 2)).await;
    assert!(matches!(closed, Err(CreateError::Failed(_))), "{closed:?}");
}

#[tokio::test]
async fn below_the_minimum_of_free_space_nothing_is_stored() {
    let bench = bench_with(Setup {
        free_bytes: 999,
        ..SETUP
    });
    assert_eq!(
        bench.writer.put(set("access", 0, 1)).await,
        Err(PutError::NotStored(DISK_LOW))
    );
    assert_eq!(bench.shared.counters.is_disk_low.load(Ordering::Relaxed), 1);
    assert!(bench.stored().is_empty());
}

#[tokio::test]
async fn expiry_that_keeps_failing_does_not_keep_writing_from_its_work() {
    let bench = bench_with(Setup {
        failing_expiries: u32::MAX,
        ..SETUP
    });
    while bench.shared.counters.failures.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while bench.writer.put(set("access", 0, 1)).await == Err(PutError::NotStored(REOPENING)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..20 {
        assert_eq!(bench.writer.put(set("access", 0, 2)).await, Ok(()));
    }
    assert_eq!(bench.shared.counters.failures.load(Ordering::Relaxed), 1);
}
