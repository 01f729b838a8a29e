//! What both servers are asked: a file for each kind of question. Those that make topics come last, so that all servers
//! list the same.

mod clients;
mod framing;
mod login;
mod metadata;
mod produce;
mod producers;
mod record_sets;
mod refused;
mod versions;

use super::dialogue::{Probe, Step};
use super::request::Request;
use super::schemas::PRODUCE;
use crate::support::LOGSTORE;

pub fn all() -> Vec<Probe> {
    [
        metadata::probes(),
        versions::probes(),
        login::probes(),
        framing::probes(),
        record_sets::probes(),
        produce::probes(),
        producers::probes(),
        clients::probes(),
        refused::probes(),
        metadata::making_probes(),
    ]
    .concat()
}

/// For Kafka's side alone: the one topic that both servers have, and its first block of producer ids.
pub fn preparations() -> [Probe; 2] {
    let id = Step::Ask(producers::init(4, None, 60_000, (-1, -1)));
    [
        metadata::made(12, LOGSTORE),
        Probe::new("a producer id", vec![id]).settles(),
    ]
}

/// What most Produce requests say.
#[derive(Clone, Copy)]
struct Produce<'a> {
    version: i16,
    acks: i16,
    timeout_ms: i32,
    topic: &'a str,
}

impl Produce<'_> {
    fn new(version: i16) -> Self {
        Self {
            version,
            acks: -1,
            timeout_ms: 10_000,
            topic: LOGSTORE,
        }
    }

    /// Up to the count of topics.
    fn head(&self) -> Request {
        Request::new(PRODUCE, self.version)
            .when(self.version >= 3, |request| request.nullable_text(None))
            .i16(self.acks)
            .i32(self.timeout_ms)
    }

    /// With one topic.
    fn request(&self, sets: &[(i32, Option<&[u8]>)]) -> Request {
        let topic = |request: Request| topic(request, self.topic, sets);
        topic(self.head().count(1)).tags()
    }

    /// With one set for partition 0.
    fn set(&self, set: &[u8]) -> Request {
        self.request(&[(0, Some(set))])
    }
}

/// One topic of a Produce.
fn topic(request: Request, name: &str, sets: &[(i32, Option<&[u8]>)]) -> Request {
    let head = request.text(name).count(sets.len() as i64);
    let partition = |request: Request, (index, set): &(i32, Option<&[u8]>)| {
        request.i32(*index).bytes(*set).tags()
    };
    sets.iter().fold(head, partition).tags()
}

/// A probe that sends one set in a Produce of this version.
fn set_probe(case: &str, version: i16, set: &[u8]) -> Probe {
    let case = format!("Produce v{version}, {case}");
    Probe::ask(case, Produce::new(version).set(set))
}

fn asks(requests: impl IntoIterator<Item = Request>) -> Vec<Step> {
    requests.into_iter().map(Step::Ask).collect()
}
