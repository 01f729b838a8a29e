//! What a session's steps need from outside: the check of a login, the description of topics, producer ids.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tracing::{info, warn};

use super::{BadKey, Peer, Shared};
use crate::backend::{Answer, BoxFuture, LoginOutcome};
use crate::failure::Failure;
use crate::idempotence;
use crate::protocol::metadata::{AskedTopics, TopicAnswer};
use crate::refusals::shown;
use crate::session::{InitProducerIdStep, LoginAttempt, LoginVerdict, MetadataStep};

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
        let outcome = match shared.backend.log_in(&tenant, peer.address.ip()) {
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
}

/// Answers a Metadata request.
pub fn describe(shared: Arc<Shared>, step: MetadataStep) -> BoxFuture<'static, Described> {
    Box::pin(async move {
        let mut topics = Vec::new();
        match step.topics() {
            AskedTopics::None => {}
            AskedTopics::All => {
                let listed = shared.catalog.list(step.tenant(), LISTED_TOPICS_MAX).await;
                topics.extend(
                    listed
                        .iter()
                        .map(|(name, count)| step.topic(name, Ok(*count))),
                );
            }
            AskedTopics::Named(asked) => {
                for one in asked {
                    topics.push(match &one.name {
                        Some(name) => describe_one(&shared, &step, name).await,
                        None => MetadataStep::unknown_id(one.id),
                    });
                }
            }
        }
        Described {
            key_accepted: topics.iter().any(|topic| topic.outcome.is_ok()),
            frame: step.respond(&topics),
        }
    })
}

async fn describe_one(shared: &Shared, step: &MetadataStep, name: &str) -> TopicAnswer {
    let found = shared
        .catalog
        .partitions(step.tenant(), name, step.creates())
        .await;
    let outcome = found.map_err(|failure| {
        refused(shared, step, name, &failure);
        failure.metadata_code()
    });
    step.topic(name, outcome)
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
