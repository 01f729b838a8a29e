//! What must change together, under one lock: a batch's admission, its turn, its place in the batcher, its outcome.
//!
//! Nothing here answers a client: what is to be told is handed back, to be told when the lock is released.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::Inner;
use super::encoding::Encoded;
use super::request::{Delivery, Request};
use super::turns::Turns;
use super::unfinished::Unfinished;
use crate::backend::Mark;
use crate::catalog::Target;
use crate::failure::Failure;
use crate::idempotence::{Outcome, Producers, Temporary, Ticket, Verdict};
use crate::memory::Budget;
use crate::spread::{Batcher, Destination, Entry, GroupKey};

/// What must change together: a batch's admission, its turn and its place in the batcher.
pub(super) struct State {
    pub(super) producers: Producers,
    pub(super) batcher: Batcher<Delivery>,
    /// Decoded batches of others that wait for their turn.
    pub(super) turns: Turns<Prepared>,
    /// Decoded batches of idempotent producers that wait for their turn.
    pub(super) prepared: HashMap<Ticket, Prepared>,
    /// Who is told when a ticket is settled.
    pub(super) waiting: HashMap<Ticket, Vec<Delivery>>,
    /// The request behind each ticket that has no verdict yet: its answer may come before its outcome.
    pub(super) owners: HashMap<Ticket, (Arc<Request>, usize)>,
    /// Why batches failed whose verdict waits for earlier ones.
    pub(super) failures: HashMap<Ticket, Failure>,
    /// Batches of idempotent producers of which a part is stored.
    pub(super) unfinished: Unfinished,
}

/// An answer that can be given, once the lock is released.
pub(super) enum Told {
    /// The delivery has ended.
    Ended(Delivery, Result<(), Failure>),
    /// Its answer is known though its write goes on.
    Early(Arc<Request>, usize, Result<(), Failure>),
}

/// A decoded batch on its way to the batcher.
pub(super) struct Prepared {
    pub(super) target: Target,
    pub(super) encoded: Encoded,
    pub(super) delivery: Delivery,
}

impl Prepared {
    /// Leaves out what is stored and charges the rest, which may have to wait. False: too much waits already.
    pub(super) fn charge(&mut self, waiting: &Budget) -> bool {
        let Self {
            encoded, delivery, ..
        } = self;
        delivery.stored_before = encoded.skip(delivery.stored_logs());
        if encoded.is_empty() {
            return true;
        }
        let project = &delivery.request().tenant().project;
        let charge = waiting.try_reserve(Some(project), encoded.bytes());
        let charged = charge.is_some();
        delivery.hold(charge);
        charged
    }
}

impl Told {
    /// Not to be called under the lock.
    pub(super) fn announce(self) {
        match self {
            Self::Ended(delivery, result) => delivery.answer(result),
            Self::Early(request, index, result) => request.answer(index, result),
        }
    }
}

impl State {
    /// Puts a batch into the batcher. What was given up meanwhile, or holds no log, comes back with its result.
    pub(super) fn submit(
        &mut self,
        inner: &Inner,
        prepared: Prepared,
        mark: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Option<(Delivery, Result<(), Failure>)> {
        let Prepared {
            target,
            encoded,
            delivery,
        } = prepared;
        if encoded.is_empty() {
            return Some((delivery, Ok(())));
        }
        if !delivery.submit() {
            return Some((
                delivery,
                Err(Failure::NotStored("given up before it was written")),
            ));
        }
        let request = delivery.request();
        let (source, topic) = (inner.source_of(request), inner.topic_of(&delivery));
        let tenant = Arc::clone(request.tenant());
        let mark = mark.map(|(key, value)| Mark {
            project: tenant.project.clone(),
            key,
            value,
        });
        let entry = Entry {
            key: GroupKey {
                destination: Destination {
                    tenant,
                    logstore: target.route.logstore,
                },
                source,
                topic,
            },
            shards: target.logstore.shards,
            partition: delivery.partition(),
            pieces: encoded.pieces,
            groups: encoded.groups,
            mark,
            deadline: Some(request.give_up_at()),
            waiter: delivery,
        };
        self.batcher.add(entry, Instant::now());
        None
    }

    /// Records the outcome of a ticket's batch; `told` gets everybody who can be answered now.
    pub(super) fn settle(
        &mut self,
        ticket: Ticket,
        delivery: Delivery,
        result: &Result<(), Failure>,
        told: &mut Vec<Told>,
    ) {
        let outcome = outcome(result);
        if outcome == Outcome::Stored && delivery.stored_logs() > 0 {
            self.unfinished.forget(&delivery);
        }
        if self.owners.contains_key(&ticket) {
            self.waiting.entry(ticket).or_default().push(delivery);
        } else {
            // It was answered before, with the failure in front of it.
            told.push(Told::Ended(delivery, result.clone()));
        }
        if let (Err(failure), true) = (result, self.waiting.contains_key(&ticket)) {
            self.failures.insert(ticket, failure.clone());
        }
        for (ticket, verdict) in self.producers.settle(ticket, outcome) {
            self.tell(ticket, verdict, told);
        }
    }

    /// A ticket's verdict goes to all who wait for it.
    pub(super) fn tell(&mut self, ticket: Ticket, verdict: Verdict, told: &mut Vec<Told>) {
        let own = self.failures.remove(&ticket);
        let result = match (verdict, own) {
            (Verdict::Stored, _) => Ok(()),
            (Verdict::Refused(refusal), _) => Err(Failure::Sequence(refusal)),
            (Verdict::Own, Some(own)) => Err(own),
            (Verdict::Failed(failure), Some(own))
                if outcome(&Err(own.clone())) == Outcome::Failed(failure) =>
            {
                Err(own)
            }
            (Verdict::Own, None) => Err(Failure::NotStored("its first try was refused")),
            (Verdict::Failed(Temporary::NotStored(why)), _) => Err(Failure::NotStored(why)),
            (Verdict::Failed(Temporary::Uncertain(why)), _) => Err(Failure::Uncertain(why)),
        };
        if let Some((request, index)) = self.owners.remove(&ticket) {
            told.push(Told::Early(request, index, result.clone()));
        }
        let waiting = self.waiting.remove(&ticket).unwrap_or_default();
        // A batch that waited for its turn behind a failed one goes with it.
        let unsent = self.prepared.remove(&ticket);
        let deliveries = waiting
            .into_iter()
            .chain(unsent.map(|prepared| prepared.delivery));
        told.extend(deliveries.map(|delivery| Told::Ended(delivery, result.clone())));
    }
}

fn outcome(result: &Result<(), Failure>) -> Outcome {
    match result {
        Ok(()) => Outcome::Stored,
        Err(Failure::NotStored(why)) => Outcome::Failed(Temporary::NotStored(why)),
        Err(Failure::Unknown) => {
            Outcome::Failed(Temporary::NotStored("the Log Service cannot tell now"))
        }
        // Clients retry these, so they are no end to the sequence.
        Err(Failure::NoLogstore | Failure::BadPartition(_)) => {
            Outcome::Failed(Temporary::NotStored("an earlier batch had nowhere to go"))
        }
        Err(Failure::Throttled { why, .. } | Failure::Unreachable(why)) => {
            Outcome::Failed(Temporary::NotStored(why))
        }
        Err(Failure::KeyHeld) => {
            Outcome::Failed(Temporary::NotStored("the access key is refused for a time"))
        }
        Err(Failure::Uncertain(why)) => Outcome::Failed(Temporary::Uncertain(why)),
        Err(_) => Outcome::Refused,
    }
}
