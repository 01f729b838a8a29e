//! A Log Service that does as it is told: each write waits until the test says what becomes of it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use sluice::backend::{
    Answer, Backend, BoxFuture, DescribeError, LoginOutcome, Logstore, Mark, Permission, Profile,
    PutError, SetError, WriteSet, embedded,
};
use sluice::logs::{LogGroupReader, decompress};
use sluice::tenant::{LogstoreName, Tenant};
use tokio::sync::oneshot;

type Outcome = Result<(), PutError>;

/// The writes that wait, and how to answer them.
#[derive(Clone, Default)]
pub struct Told(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    /// What comes is stored at once.
    open: bool,
    waiting: VecDeque<(WriteSet, oneshot::Sender<Outcome>)>,
    /// Content of the logs that were stored, in order.
    stored: Vec<String>,
    shards: Vec<u32>,
    /// Each write takes up to so long, and one in so many fails.
    random: Option<(Duration, u32)>,
    random_state: u64,
    /// A login proves nothing; Metadata does.
    late_proof: bool,
    /// The next question about a Logstore is answered so late, and with a refusal where it says so.
    late_description: Option<(Duration, Option<DescribeError>)>,
}

impl Told {
    /// Holds each write until it is told.
    pub fn new() -> Self {
        let told = Self::default();
        told.0.0.lock().expect("no panic").shards = vec![0, 1, 2];
        told
    }

    /// Stores each write at once.
    pub fn open() -> Self {
        let told = Self::new();
        told.0.0.lock().expect("no panic").open = true;
        told
    }

    /// Decides by itself: each write takes up to `longest`, and one in `fails_one_in` is not stored.
    pub fn at_random(longest: Duration, fails_one_in: u32) -> Self {
        let told = Self::open();
        let mut state = told.0.0.lock().expect("no panic");
        state.random = Some((longest, fails_one_in));
        state.random_state = 0x5eed;
        drop(state);
        told
    }

    /// Takes logins without looking at their key.
    pub fn prove_at_metadata(&self) {
        self.0.0.lock().expect("no panic").late_proof = true;
    }

    /// Answers the next question about a Logstore so late, and with a refusal if one is given.
    pub fn describe_late(&self, pause: Duration, refusal: Option<DescribeError>) {
        self.0.0.lock().expect("no panic").late_description = Some((pause, refusal));
    }

    pub fn set_shards(&self, shards: Vec<u32>) {
        self.0.0.lock().expect("no panic").shards = shards;
    }

    /// Waits for the next write and decides it; gives the content of its logs.
    pub fn decide(&self, outcome: Outcome) -> Vec<String> {
        let (state, changed) = &*self.0;
        let state = state.lock().expect("no panic");
        let wait = changed.wait_timeout_while(state, Duration::from_secs(20), |state| {
            state.waiting.is_empty()
        });
        let (mut state, _) = wait.expect("no panic");
        let (set, told) = state.waiting.pop_front().expect("no write came");
        let logs = logs(&set);
        if outcome.is_ok() {
            state.stored.extend(logs.iter().cloned());
        }
        let _ = told.send(outcome);
        logs
    }

    /// From now on everything is stored.
    pub fn release(&self) {
        let waiting = {
            let mut state = self.0.0.lock().expect("no panic");
            state.open = true;
            state.waiting.len()
        };
        for _ in 0..waiting {
            self.decide(Ok(()));
        }
    }

    /// Content of the logs that were stored.
    pub fn stored(&self) -> Vec<String> {
        self.0.0.lock().expect("no panic").stored.clone()
    }

    /// Writes that wait.
    pub fn waiting(&self) -> usize {
        self.0.0.lock().expect("no panic").waiting.len()
    }
}

impl State {
    /// How long the next write takes, and whether it fails.
    fn draw(&mut self) -> Option<(Duration, bool)> {
        let (longest, fails_one_in) = self.random?;
        self.random_state ^= self.random_state << 13;
        self.random_state ^= self.random_state >> 7;
        self.random_state ^= self.random_state << 17;
        let share = (self.random_state >> 32) as u32;
        Some((
            longest * (share % 100) / 100,
            share.is_multiple_of(fails_one_in),
        ))
    }
}

fn logs(set: &WriteSet) -> Vec<String> {
    let mut contents = Vec::new();
    for placed in &set.groups {
        let raw =
            decompress(&placed.group.body, placed.group.raw_bytes as usize).expect("one LZ4 block");
        let group = LogGroupReader::new(&raw).expect("a LogGroup");
        for log in group.logs() {
            contents.extend(
                log.contents()
                    .filter(|(name, _)| *name == "content")
                    .map(|(_, value)| value.to_owned()),
            );
        }
    }
    contents
}

impl Backend for Told {
    fn profile(&self) -> Profile {
        embedded::PROFILE
    }

    fn log_in(&self, tenant: &Arc<Tenant>) -> Answer<LoginOutcome> {
        Answer::Now(match tenant.credentials.access_key_secret.expose() {
            _ if self.0.0.lock().expect("no panic").late_proof => LoginOutcome::Unproven,
            "key-secret" => LoginOutcome::Proven,
            _ => LoginOutcome::Refused("wrong secret"),
        })
    }

    fn describe(
        &self,
        tenant: &Arc<Tenant>,
        logstore: &LogstoreName,
    ) -> Answer<Result<Logstore, DescribeError>> {
        if tenant.credentials.access_key_secret.expose() != "key-secret" {
            return Answer::Now(Err(DescribeError::BadKey));
        }
        if logstore.as_str() == "missing" {
            return Answer::Now(Err(DescribeError::NoLogstore));
        }
        let mut state = self.0.0.lock().expect("no panic");
        let (shards, late) = (state.shards.clone(), state.late_description.take());
        drop(state);
        let may_write = if logstore.as_str() == "read-only" {
            Permission::No
        } else {
            Permission::Yes
        };
        let described = Ok(Logstore {
            shards: shards.into(),
            may_write,
            exists: true,
        });
        let Some((pause, refusal)) = late else {
            return Answer::Now(described);
        };
        Answer::Later(Box::pin(async move {
            tokio::time::sleep(pause).await;
            refusal.map_or(described, Err)
        }))
    }

    fn list(
        &self,
        _: &Arc<Tenant>,
        _: usize,
    ) -> Answer<Result<Vec<(LogstoreName, Logstore)>, DescribeError>> {
        Answer::Now(Ok(Vec::new()))
    }

    fn put(&self, set: WriteSet) -> BoxFuture<'static, Result<(), SetError>> {
        let (told, outcome) = oneshot::channel();
        let (state, changed) = &*self.0;
        let mut state = state.lock().expect("no panic");
        if let Some((pause, fails)) = state.draw() {
            drop(state);
            let this = self.clone();
            return Box::pin(async move {
                tokio::time::sleep(pause).await;
                if fails {
                    return Err(PutError::NotStored("at random").into());
                }
                let logs = logs(&set);
                this.0.0.lock().expect("no panic").stored.extend(logs);
                Ok(())
            });
        }
        if state.open {
            let logs = logs(&set);
            state.stored.extend(logs);
            let _ = told.send(Ok(()));
        } else {
            state.waiting.push_back((set, told));
            changed.notify_all();
        }
        Box::pin(async move {
            Ok(outcome
                .await
                .unwrap_or(Err(PutError::NotStored("the test ended")))?)
        })
    }

    fn marks(&self) -> Vec<(Mark, i64)> {
        Vec::new()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}
