//! What a session's steps need from outside: the check of a login, the description of topics, producer ids.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::{BadKey, Peer, Shared};
use crate::backend::{Answer, BoxFuture, LoginOutcome};
use crate::catalog::DESCRIBE_TIMEOUT;
use crate::failure::{Failure, KeyState};
use crate::idempotence;
use crate::protocol::metadata::{Asked, AskedTopics, TopicAnswer};
use crate::refusals::shown;
use crate::session::{InitProducerIdStep, LoginAttempt, LoginVerdict, MetadataStep};

/// Topics of one Metadata request that the Log Service is asked for at once.
const ASKED_AT_ONCE_MAX: usize = 16;
/// Topics that an all-topics Metadata lists at the most.
const LISTED_TOPICS_MAX: usize = 1_000;

/// Checks a login; a refused one is held back first, to tame retry storms.
pub fn log_in(
    shared: &Arc<Shared>,
    attempt: LoginAttempt,
    peer: &Peer,
) -> BoxFuture<'static, LoginVerdict> {
    let shared = Arc::clone(shared);
    let peer = peer.clone();
    Box::pin(async move {
        let tenant = Arc::clone(attempt.tenant());
        let outcome = match shared.backend.log_in(&tenant) {
            Answer::Now(outcome) => outcome,
            Answer::Later(outcome) => outcome.await,
        };
        let why = match outcome {
            LoginOutcome::Proven => return LoginVerdict::Proven,
            LoginOutcome::Unproven => return LoginVerdict::Unproven,
            LoginOutcome::Refused(why) => why,
        };
        let refusal = refusal_id();
        if let Some(unlogged) = shared.refusals.count("login", Instant::now()) {
            warn!(peer = %peer.address, project = %tenant.project, refusal, why, unlogged, "login refused");
        }
        tokio::time::sleep(shared.limits.failed_login_delay).await;
        match shared.bad_key {
            BadKey::TopicError => LoginVerdict::RefusedKey,
            BadKey::RefuseLogin => LoginVerdict::Refused { refusal },
            BadKey::Hold => LoginVerdict::Hold,
        }
    })
}

/// A word that ties what the client is told to the reason in the log.
fn refusal_id() -> String {
    let mut bytes = [0; 4];
    // Without randomness the id is merely not unique.
    let _ = getrandom::fill(&mut bytes);
    format!("{:08x}", u32::from_be_bytes(bytes))
}

/// The answer to a Metadata request.
pub struct Described {
    pub frame: Bytes,
    /// The Log Service has shown a Logstore to this key, so the key is good.
    pub key_accepted: bool,
    /// It has called the key wrong, and shown nothing.
    pub key_refused: bool,
    /// The worst that a topic's failure says of the key.
    pub key: KeyState,
}

/// Answers a Metadata request; one that shows a wrong key is held back, as a refused login is.
pub fn describe(shared: Arc<Shared>, step: MetadataStep) -> BoxFuture<'static, Described> {
    Box::pin(async move {
        let mut failures = Vec::new();
        let topics = match step.topics() {
            AskedTopics::None => Vec::new(),
            AskedTopics::All => {
                let listed = shared.catalog.list(step.tenant(), LISTED_TOPICS_MAX).await;
                let each = listed.iter();
                each.map(|(name, count)| step.topic(name, Ok(*count)))
                    .collect()
            }
            AskedTopics::Named(asked) => describe_named(&shared, &step, asked, &mut failures).await,
        };
        let key_accepted = topics.iter().any(|topic| topic.outcome.is_ok());
        let key_refused = !key_accepted && failures.contains(&Failure::BadKey);
        if key_refused {
            tokio::time::sleep(shared.limits.failed_login_delay).await;
        }
        let key = failures.iter().map(Failure::key_state).max();
        Described {
            frame: step.respond(&topics),
            key_accepted,
            key_refused,
            key: key.unwrap_or(KeyState::Fine),
        }
    })
}

/// Describes each topic, with one limit for the whole request.
async fn describe_named(
    shared: &Shared,
    step: &MetadataStep,
    asked: &[Asked],
    failures: &mut Vec<Failure>,
) -> Vec<TopicAnswer> {
    let mut found = vec![None; asked.len()];
    let asking = ask(shared, step, asked, &mut found);
    let in_time = tokio::time::timeout(DESCRIBE_TIMEOUT, asking).await.is_ok();
    let each = asked.iter().zip(found);
    each.map(|(one, found)| {
        let Some(name) = &one.name else {
            return MetadataStep::unknown_id(one.id);
        };
        // What was not come to may be known all the same.
        let known = found.or_else(|| match partitions(shared, step, name) {
            Answer::Now(known) if !in_time => Some(known),
            _ => None,
        });
        let outcome = known.unwrap_or(Err(Failure::Unknown)).map_err(|failure| {
            refused(shared, step, name, &failure);
            let code = failure.metadata_code();
            failures.push(failure);
            code
        });
        step.topic(name, outcome)
    })
    .collect()
}

type Partitions = Result<i32, Failure>;

fn partitions(shared: &Shared, step: &MetadataStep, topic: &str) -> Answer<Partitions> {
    let (tenant, catalog) = (step.tenant(), &shared.catalog);
    catalog.partitions(tenant, topic, step.creates())
}

/// Asks for what is not known at once, for some topics at a time.
async fn ask(
    shared: &Shared,
    step: &MetadataStep,
    asked: &[Asked],
    found: &mut [Option<Partitions>],
) {
    let mut asking = JoinSet::new();
    for (index, one) in asked.iter().enumerate() {
        let Some(name) = &one.name else { continue };
        match partitions(shared, step, name) {
            Answer::Now(known) => found[index] = Some(known),
            Answer::Later(answer) => {
                asking.spawn(async move { (index, answer.await) });
            }
        }
        if asking.len() >= ASKED_AT_ONCE_MAX {
            hear(&mut asking, found).await;
        }
    }
    while !asking.is_empty() {
        hear(&mut asking, found).await;
    }
}

/// Takes the next answer. A topic stays unknown where our own code failed.
async fn hear(asking: &mut JoinSet<(usize, Partitions)>, found: &mut [Option<Partitions>]) {
    if let Some(Ok((index, answer))) = asking.join_next().await {
        found[index] = Some(answer);
    }
}

fn refused(shared: &Shared, step: &MetadataStep, topic: &str, failure: &Failure) {
    if let Some(unlogged) = shared.refusals.count(failure.label(), Instant::now()) {
        let project = &step.tenant().project;
        info!(%project, topic = %shown(topic), reason = %failure, unlogged, "topic refused in Metadata");
    }
}

/// Answers an InitProducerId: the same id with the next epoch where the client has one, else a new id.
pub fn init_producer_id(step: &InitProducerIdStep) -> Bytes {
    match step.next_epoch() {
        Some((producer_id, epoch)) => step.respond(producer_id, epoch),
        None => step.respond(idempotence::new_producer_id(), 0),
    }
}
