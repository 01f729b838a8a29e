//! What the Log Service has told about one key at one project: is it good, which Logstores are there, may it write.
//!
//! Positive answers are served until they are contradicted, however old; a negative one lives a second. Nothing here
//! calls anybody: it is told the answers, and tells what follows from them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::client::{CallError, Kind, Shard};
use super::standing::{Ruling, Standing};
use crate::backend::{DescribeError, LoginOutcome, Logstore, Permission, PutError};
use crate::tenant::LogstoreName;

/// How long a refusal is answered from memory.
const NEGATIVE_LIFE: Duration = Duration::from_secs(1);
/// After a failed refresh the old answer is good for so long before it is tried again.
const REFRESH_PAUSE: Duration = Duration::from_secs(5);
/// Logstores that are remembered for one key: a project has 200, unless its owner asked for more.
const LOGSTORES_MAX: usize = 1_000;
/// Logstores that one key asks for at the same time.
const ASKING_MAX: usize = 32;

#[derive(Debug)]
pub struct Account {
    key_grace: Duration,
    /// The age at which a list of shards is asked for anew.
    refresh: Duration,
    /// The last judgement of a login, and when; held by the one who asks for it.
    pub login: tokio::sync::Mutex<Option<(Instant, LoginOutcome)>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    key: Standing,
    /// The key itself is refused.
    negative: Option<Negative>,
    logstores: HashMap<LogstoreName, Entry>,
    asking: usize,
    used: Instant,
}

#[derive(Debug, Default)]
struct Entry {
    known: Option<Known>,
    exists: Standing,
    lists: Standing,
    writes: Standing,
    /// Until then writing is known to be refused.
    no_writes_until: Option<Instant>,
    negative: Option<Negative>,
    /// Someone asks: its end closes this.
    asking: Option<watch::Receiver<()>>,
}

#[derive(Clone, Copy, Debug)]
struct Negative {
    until: Instant,
    error: DescribeError,
}

#[derive(Clone, Debug)]
struct Known {
    shards: Arc<[u32]>,
    /// The first key of each writable shard's range.
    keys: Arc<[u128]>,
    refresh_at: Instant,
}

/// What is known of a Logstore.
pub enum Look {
    Known {
        logstore: Logstore,
        /// To be asked anew, by whoever gets this; the sender is dropped when that is done.
        refresh: Option<watch::Sender<()>>,
    },
    Refused(DescribeError),
    /// To be asked, by whoever gets this.
    Ask(watch::Sender<()>, watch::Receiver<()>),
    /// Someone asks already.
    Wait(watch::Receiver<()>),
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Done,
    /// A key that worked within the grace is refused for good.
    Held,
    /// It contradicts what was known: once more, not before this.
    AskAgain(Instant),
}

/// What follows from a refused write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRuling {
    AskAgain(Instant),
    Final(PutError),
}

impl Account {
    pub fn new(key_grace: Duration, refresh: Duration, now: Instant) -> Self {
        Self {
            key_grace,
            refresh,
            login: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                key: Standing::default(),
                negative: None,
                logstores: HashMap::new(),
                asking: 0,
                used: now,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn used(&self) -> Instant {
        self.lock().used
    }

    /// The Log Service accepts the key.
    pub fn is_proven(&self) -> bool {
        self.lock().key.is_good()
    }

    /// The Log Service has accepted the key at some time.
    pub fn was_proven(&self) -> bool {
        self.lock().key.was_accepted()
    }

    pub fn look(&self, name: &LogstoreName, now: Instant) -> Look {
        let mut state = self.lock();
        state.used = now;
        if let Some(error) = live(&state.negative, now) {
            return Look::Refused(error);
        }
        let (room, may_ask) = (
            state.logstores.len() < LOGSTORES_MAX,
            state.asking < ASKING_MAX,
        );
        if !room && !state.logstores.contains_key(name) {
            state.forget_unknown(now);
            if state.logstores.len() >= LOGSTORES_MAX {
                return Look::Refused(DescribeError::Unavailable);
            }
        }
        let entry = state.logstores.entry(name.clone()).or_default();
        if let Some(error) = live(&entry.negative, now) {
            return Look::Refused(error);
        }
        let is_asking = entry.asking.is_some();
        if let Some((logstore, refresh_at)) = entry.logstore(now) {
            let is_old = now >= refresh_at;
            let refresh = (is_old && !is_asking && may_ask).then(|| state.ask(name).0);
            return Look::Known { logstore, refresh };
        }
        match &entry.asking {
            Some(asking) => Look::Wait(asking.clone()),
            None if !may_ask => Look::Refused(DescribeError::Unavailable),
            None => {
                let (asking, asked) = state.ask(name);
                Look::Ask(asking, asked)
            }
        }
    }

    /// The one who asked has its last answer.
    pub fn asked(&self, name: &LogstoreName) {
        let mut state = self.lock();
        state.asking -= 1;
        if let Some(entry) = state.logstores.get_mut(name) {
            entry.asking = None;
        }
    }

    /// Takes an answer to ListShards.
    pub fn listed(
        &self,
        name: &LogstoreName,
        answer: &Result<Vec<Shard>, CallError>,
        now: Instant,
    ) -> Next {
        let mut state = self.lock();
        match answer {
            Ok(shards) => state.learn(name, shards, now, now + self.refresh),
            Err(error) => state.contradict(name, error.kind, self.key_grace, now),
        }
    }

    /// The Log Service took the key in a call that concerns no Logstore.
    pub fn accepted(&self, now: Instant) {
        self.lock().key.accept(now);
    }

    /// A write went through.
    pub fn wrote(&self, name: &LogstoreName, now: Instant) {
        let mut state = self.lock();
        state.key.accept(now);
        state.used = now;
        if let Some(entry) = state.logstores.get_mut(name) {
            entry.writes.accept(now);
            entry.exists.accept(now);
            entry.no_writes_until = None;
        }
    }

    /// A write was refused for its key, or because there is nothing to write to. `None`: for something else.
    pub fn write_refused(
        &self,
        name: &LogstoreName,
        kind: Kind,
        now: Instant,
    ) -> Option<WriteRuling> {
        let mut state = self.lock();
        let grace = self.key_grace;
        let right = |entry: &mut Entry| entry.writes.refuse(now, grace);
        let ruling = state.rule(name, kind, right, grace, now)?;
        if let Ruling::AskAgain(at) = ruling {
            return Some(WriteRuling::AskAgain(at));
        }
        let error = state.settle(name, kind, ruling, now);
        if kind == Kind::Unauthorized && ruling == Ruling::Refused {
            // The Logstore is there to be seen; only writing is not allowed.
            let entry = state.entry(name);
            entry.negative = None;
            entry.no_writes_until = Some(now + NEGATIVE_LIFE);
        }
        Some(WriteRuling::Final(put_error(error)))
    }

    /// The first key of a shard's range; of another one where this shard takes no more logs.
    pub fn shard_key(&self, name: &LogstoreName, shard: u32) -> Option<u128> {
        let state = self.lock();
        let known = state.logstores.get(name)?.known.as_ref()?;
        let index = known.shards.iter().position(|id| *id >= shard).unwrap_or(0);
        known.keys.get(index).copied()
    }

    /// The writable shards, as far as they are known.
    pub fn shards(&self, name: &LogstoreName) -> Arc<[u32]> {
        let state = self.lock();
        let known = state
            .logstores
            .get(name)
            .and_then(|entry| entry.known.as_ref());
        known.map_or_else(|| Arc::from([]), |known| Arc::clone(&known.shards))
    }

    /// The next look at this Logstore asks anew.
    pub fn outdate(&self, name: &LogstoreName, now: Instant) {
        if let Some(known) = self.lock().entry(name).known.as_mut() {
            known.refresh_at = now;
        }
    }

    /// The Logstores that this key has used here, sorted.
    pub fn list(&self, max: usize, now: Instant) -> Vec<(LogstoreName, Logstore)> {
        let state = self.lock();
        let mut listed: Vec<_> = state
            .logstores
            .iter()
            .filter_map(|(name, entry)| Some((name.clone(), entry.logstore(now)?.0)))
            .collect();
        listed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        listed.truncate(max);
        listed
    }
}

impl State {
    fn entry(&mut self, name: &LogstoreName) -> &mut Entry {
        self.logstores.entry(name.clone()).or_default()
    }

    fn ask(&mut self, name: &LogstoreName) -> (watch::Sender<()>, watch::Receiver<()>) {
        let (asking, asked) = watch::channel(());
        self.asking += 1;
        self.entry(name).asking = Some(asked.clone());
        (asking, asked)
    }

    /// Makes room where many Logstores were asked for that are not there.
    fn forget_unknown(&mut self, now: Instant) {
        self.logstores.retain(|_, entry| {
            entry.known.is_some() || entry.asking.is_some() || live(&entry.negative, now).is_some()
        });
    }

    fn learn(
        &mut self,
        name: &LogstoreName,
        shards: &[Shard],
        now: Instant,
        refresh_at: Instant,
    ) -> Next {
        self.key.accept(now);
        self.negative = None;
        let mut writable: Vec<&Shard> = shards.iter().filter(|shard| shard.writable).collect();
        writable.sort_unstable_by_key(|shard| shard.id);
        let entry = self.entry(name);
        entry.exists.accept(now);
        entry.lists.accept(now);
        if writable.is_empty() {
            entry.postpone(DescribeError::Unavailable, now);
        } else {
            entry.negative = None;
            entry.known = Some(Known {
                shards: writable.iter().map(|shard| shard.id).collect(),
                keys: writable.iter().map(|shard| shard.begin_key).collect(),
                refresh_at,
            });
        }
        Next::Done
    }

    fn contradict(
        &mut self,
        name: &LogstoreName,
        kind: Kind,
        grace: Duration,
        now: Instant,
    ) -> Next {
        let right = |entry: &mut Entry| entry.lists.refuse(now, grace);
        let Some(ruling) = self.rule(name, kind, right, grace, now) else {
            let error = match kind {
                Kind::NoShard => DescribeError::NoLogstore,
                _ => DescribeError::Unavailable,
            };
            self.entry(name).postpone(error, now);
            return Next::Done;
        };
        if let Ruling::AskAgain(at) = ruling {
            return Next::AskAgain(at);
        }
        self.settle(name, kind, ruling, now);
        self.entry(name).known = None;
        match ruling {
            Ruling::Held => Next::Held,
            _ => Next::Done,
        }
    }

    /// What follows where the key, a right of it or the Logstore's existence is refused; `None`: something else is. `right`
    /// refuses the right at stake.
    fn rule(
        &mut self,
        name: &LogstoreName,
        kind: Kind,
        right: impl FnOnce(&mut Entry) -> Ruling,
        grace: Duration,
        now: Instant,
    ) -> Option<Ruling> {
        Some(match kind {
            Kind::InvalidAccessKeyId | Kind::SignatureNotMatch => self.key.refuse(now, grace),
            Kind::Unauthorized => right(self.entry(name)),
            Kind::NoProject | Kind::NoLogstore => {
                self.entry(name).exists.refuse(now, Duration::ZERO)
            }
            _ => return None,
        })
    }

    /// A refusal stands: it is answered from memory for a moment, and what was known is not any more.
    fn settle(
        &mut self,
        name: &LogstoreName,
        kind: Kind,
        ruling: Ruling,
        now: Instant,
    ) -> DescribeError {
        let error = match (ruling, kind) {
            (Ruling::Held, _) => DescribeError::KeyHeld,
            (_, Kind::Unauthorized) => DescribeError::Unauthorized,
            (_, Kind::NoProject) => DescribeError::NoProject,
            (_, Kind::NoLogstore) => DescribeError::NoLogstore,
            _ => DescribeError::BadKey,
        };
        let negative = Some(Negative {
            until: now + NEGATIVE_LIFE,
            error,
        });
        if matches!(kind, Kind::InvalidAccessKeyId | Kind::SignatureNotMatch) {
            self.negative = negative;
            for entry in self.logstores.values_mut() {
                entry.known = None;
            }
            return error;
        }
        let entry = self.entry(name);
        entry.negative = negative;
        if matches!(kind, Kind::NoProject | Kind::NoLogstore) {
            entry.known = None;
            entry.exists = Standing::default();
        }
        error
    }
}

impl Entry {
    /// What is known, and when it is to be asked anew.
    fn logstore(&self, now: Instant) -> Option<(Logstore, Instant)> {
        let known = self.known.as_ref()?;
        let logstore = Logstore {
            shards: Arc::clone(&known.shards),
            may_write: self.may_write(now),
            exists: true,
        };
        Some((logstore, known.refresh_at))
    }

    fn may_write(&self, now: Instant) -> Permission {
        if self.no_writes_until.is_some_and(|until| now < until) {
            Permission::No
        } else if self.writes.is_good() {
            Permission::Yes
        } else {
            Permission::Unknown
        }
    }

    /// The Log Service cannot tell now: what is known stays, the rest waits a moment.
    fn postpone(&mut self, error: DescribeError, now: Instant) {
        match &mut self.known {
            Some(known) => known.refresh_at = now + REFRESH_PAUSE,
            None => {
                self.negative = Some(Negative {
                    until: now + NEGATIVE_LIFE,
                    error,
                });
            }
        }
    }
}

fn live(negative: &Option<Negative>, now: Instant) -> Option<DescribeError> {
    negative
        .filter(|negative| now < negative.until)
        .map(|negative| negative.error)
}

fn put_error(error: DescribeError) -> PutError {
    match error {
        DescribeError::NoProject => PutError::NoProject,
        DescribeError::NoLogstore => PutError::NoLogstore,
        DescribeError::BadKey => PutError::BadKey,
        DescribeError::Unauthorized => PutError::Unauthorized,
        DescribeError::KeyHeld => PutError::KeyHeld,
        DescribeError::Unavailable => PutError::NotStored("the Log Service cannot tell now"),
    }
}

#[cfg(test)]
mod tests;
