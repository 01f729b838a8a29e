//! The rules for idempotent producers, one test each.

use super::lane::{PENDING_MAX, STORED_MAX};
use super::*;
use proptest::prelude::*;

const DISK: Temporary = Temporary::NotStored("disk");
const TIME_OUT: Temporary = Temporary::Uncertain("time-out");
const LAST: i32 = i32::MAX;

type StoredMark = (Vec<u8>, Vec<u8>);

fn project(name: &str) -> ProjectName {
    ProjectName::parse(name).unwrap()
}

fn batch(first_sequence: i32, record_count: i32) -> ProducerBatch {
    ProducerBatch {
        producer_id: 7,
        epoch: 0,
        first_sequence,
        record_count,
    }
}

fn in_epoch(epoch: i16, first_sequence: i32, record_count: i32) -> ProducerBatch {
    ProducerBatch {
        epoch,
        ..batch(first_sequence, record_count)
    }
}

/// One producer on one partition of a node.
struct Node {
    producers: Producers,
    marks: HashMap<Vec<u8>, Vec<u8>>,
}

impl Node {
    fn new(gaps: Gaps) -> Self {
        Self {
            producers: Producers::new(gaps),
            marks: HashMap::new(),
        }
    }

    fn complete() -> Self {
        Self::new(Gaps::Refuse)
    }

    fn admit(&mut self, batch: ProducerBatch) -> Admission {
        self.producers.admit(&project("shop"), "x", 0, batch, 0)
    }

    #[track_caller]
    fn write(&mut self, batch: ProducerBatch) -> Ticket {
        match self.admit(batch) {
            Admission::Write(ticket) => ticket,
            other => panic!("{batch:?}: {other:?}"),
        }
    }

    /// Admitted, decoded and handed over.
    #[track_caller]
    fn send(&mut self, batch: ProducerBatch) -> Ticket {
        let ticket = self.write(batch);
        assert_eq!(self.producers.ready(ticket), [ticket]);
        ticket
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) -> Vec<(Ticket, Verdict)> {
        if outcome == Outcome::Stored {
            let (key, value) = self.producers.mark(ticket).unwrap();
            self.marks.insert(key, value);
        }
        self.producers.settle(ticket, outcome)
    }

    #[track_caller]
    fn store(&mut self, batch: ProducerBatch) {
        let ticket = self.send(batch);
        let verdicts = self.settle(ticket, Outcome::Stored);
        assert_eq!(verdicts, [(ticket, Verdict::Stored)]);
    }

    fn restart(self) -> Self {
        let mut producers = Producers::new(Gaps::Refuse);
        assert_eq!(restore(&mut producers, self.marks.iter()), 0);
        Self {
            producers,
            marks: self.marks,
        }
    }
}

fn restore<'a>(
    producers: &mut Producers,
    marks: impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>,
) -> usize {
    let shop = project("shop");
    producers.restore(marks.map(|(key, value)| (&shop, key.as_slice(), value.as_slice(), 0)))
}

const GAP: Admission = Admission::Refuse(Refusal::Gap);

fn later(why: Temporary) -> Admission {
    Admission::Refuse(Refusal::Later(why))
}

#[test]
fn a_repeat_of_a_pending_batch_waits_for_its_outcome() {
    let mut node = Node::complete();
    let ticket = node.write(batch(0, 3));
    assert_eq!(node.admit(batch(0, 3)), Admission::Wait(ticket));
    node.producers.ready(ticket);
    assert_eq!(node.admit(batch(0, 3)), Admission::Wait(ticket));
    assert_eq!(
        node.settle(ticket, Outcome::Stored),
        [(ticket, Verdict::Stored)]
    );
}

#[test]
fn a_repeat_of_a_stored_batch_is_a_success_and_writes_nothing() {
    let mut node = Node::complete();
    for n in 0..STORED_MAX as i32 {
        node.store(batch(n * 3, 3));
    }
    for n in 0..STORED_MAX as i32 {
        assert_eq!(node.admit(batch(n * 3, 3)), Admission::Stored);
    }
}

#[test]
fn a_batch_of_another_count_is_no_repeat() {
    let mut node = Node::complete();
    node.store(batch(0, 3));
    assert_eq!(node.admit(batch(0, 2)), GAP);
}

#[test]
fn a_batch_before_the_last_five_is_a_gap() {
    let mut node = Node::complete();
    for n in 0..=STORED_MAX as i32 {
        node.store(batch(n, 1));
    }
    assert_eq!(node.admit(batch(0, 1)), GAP);
    assert_eq!(node.admit(batch(1, 1)), Admission::Stored);
}

#[test]
fn a_repeat_of_an_uncertain_batch_is_written_again() {
    let mut node = Node::complete();
    let ticket = node.send(batch(0, 3));
    let verdicts = node.settle(ticket, Outcome::Failed(TIME_OUT));
    assert_eq!(verdicts, [(ticket, Verdict::Failed(TIME_OUT))]);
    let again = node.write(batch(0, 3));
    assert_ne!(again, ticket);
}

#[test]
fn an_unknown_producer_may_start_anywhere() {
    let mut node = Node::complete();
    node.store(batch(4_711, 3));
    node.store(batch(4_714, 1));
}

#[test]
fn an_older_epoch_is_refused() {
    let mut node = Node::complete();
    node.store(in_epoch(2, 0, 1));
    let refused = Admission::Refuse(Refusal::OldEpoch);
    assert_eq!(node.admit(in_epoch(1, 0, 1)), refused);
    assert_eq!(node.admit(in_epoch(-1, 0, 1)), refused);
}

#[test]
fn a_new_epoch_starts_at_zero() {
    let mut node = Node::complete();
    node.store(batch(0, 3));
    let refused = Admission::Refuse(Refusal::NewEpochNotZero);
    assert_eq!(node.admit(in_epoch(1, 3, 1)), refused);
    assert_eq!(node.admit(batch(0, 3)), Admission::Stored);
    node.store(in_epoch(1, 0, 3));
    node.store(in_epoch(1, 3, 3));
}

#[test]
fn a_new_epoch_ends_what_was_not_handed_over_and_lets_the_rest_finish() {
    let mut node = Node::complete();
    let under_way = node.send(batch(0, 1));
    let held = node.send(batch(1, 1));
    assert_eq!(node.settle(held, Outcome::Stored), []);
    let undecoded = node.write(batch(2, 1));
    let new = node.send(in_epoch(1, 0, 1));
    assert_eq!(node.producers.ready(undecoded), []);
    assert_eq!(node.producers.mark(undecoded), None);
    assert_eq!(
        node.settle(new, Outcome::Stored),
        [
            (undecoded, Verdict::Refused(Refusal::OldEpoch)),
            (new, Verdict::Stored)
        ]
    );
    assert_eq!(
        node.settle(under_way, Outcome::Stored),
        [(under_way, Verdict::Stored), (held, Verdict::Stored)]
    );
    assert_eq!(node.producers.lanes.len(), 1);
    assert!(node.producers.tries.is_empty());
}

#[test]
fn a_gap_is_refused_where_the_state_is_complete() {
    let mut node = Node::complete();
    node.store(batch(0, 3));
    assert_eq!(node.admit(batch(4, 1)), GAP);
    node.store(batch(3, 1));
}

#[test]
fn a_gap_is_accepted_where_another_node_may_have_taken_the_missing_batch() {
    let mut node = Node::new(Gaps::AcceptUnlessRefusedHere);
    node.store(batch(0, 3));
    node.store(batch(6, 3));
    node.store(batch(9, 1));
}

#[test]
fn a_gap_is_never_accepted_behind_what_this_node_refused() {
    let mut node = Node::new(Gaps::AcceptUnlessRefusedHere);
    let bad = node.write(batch(0, 3));
    assert_eq!(node.settle(bad, Outcome::Refused), [(bad, Verdict::Own)]);
    assert_eq!(node.admit(batch(3, 3)), GAP);
    let failed = node.send(batch(0, 2));
    node.settle(failed, Outcome::Failed(DISK));
    assert_eq!(node.admit(batch(3, 3)), later(DISK));
}

#[test]
fn a_gap_is_refused_but_never_while_an_earlier_batch_failed_for_a_time() {
    let mut node = Node::complete();
    let ticket = node.send(batch(0, 1));
    node.settle(ticket, Outcome::Failed(DISK));
    for first in 1..4 {
        assert_eq!(node.admit(batch(first, 1)), later(DISK));
    }
    node.store(batch(0, 1));
    assert_eq!(
        node.admit(batch(2, 1)),
        later(DISK),
        "batch 1 was turned away"
    );
    for first in 1..4 {
        node.store(batch(first, 1));
    }
    assert_eq!(node.admit(batch(5, 1)), GAP);
}

#[test]
fn success_comes_only_in_sequence() {
    let mut node = Node::complete();
    let [a, b, c] = [0, 1, 2].map(|first| node.send(batch(first, 1)));
    assert_eq!(node.settle(c, Outcome::Stored), []);
    assert_eq!(node.settle(b, Outcome::Stored), []);
    let stored = [a, b, c].map(|ticket| (ticket, Verdict::Stored));
    assert_eq!(node.settle(a, Outcome::Stored), stored);
}

#[test]
fn later_batches_in_flight_get_the_same_retriable_code_stored_or_not() {
    for why in [DISK, TIME_OUT] {
        let mut node = Node::complete();
        let [a, held, under_way] = [0, 1, 2].map(|first| node.send(batch(first, 1)));
        let undecoded = node.write(batch(3, 1));
        assert_eq!(node.settle(held, Outcome::Stored), []);
        let failed = [a, held, under_way, undecoded].map(|ticket| (ticket, Verdict::Failed(why)));
        assert_eq!(node.settle(a, Outcome::Failed(why)), failed);

        assert_eq!(
            node.admit(batch(1, 1)),
            later(why),
            "stored, but behind a hole"
        );
        assert_eq!(node.admit(batch(2, 1)), Admission::Wait(under_way));
        assert_eq!(node.admit(batch(3, 1)), later(why));
    }
}

#[test]
fn what_was_stored_behind_a_failure_is_recognised_once_the_failed_batch_is_stored() {
    let mut node = Node::complete();
    let [a, held, under_way] = [0, 1, 2].map(|first| node.send(batch(first, 1)));
    node.settle(held, Outcome::Stored);
    node.settle(a, Outcome::Failed(DISK));
    let again = node.send(batch(0, 1));
    let Admission::Wait(held_again) = node.admit(batch(1, 1)) else {
        panic!("waits for the batch before it");
    };
    assert_ne!(held_again, held);
    assert_eq!(node.admit(batch(2, 1)), Admission::Wait(under_way));
    assert_eq!(
        node.settle(again, Outcome::Stored),
        [(again, Verdict::Stored), (held_again, Verdict::Stored)]
    );
    assert_eq!(
        node.settle(under_way, Outcome::Stored),
        [(under_way, Verdict::Stored)]
    );
    node.store(batch(3, 1));
}

#[test]
fn an_outcome_that_nobody_waits_for_is_still_taken() {
    let mut node = Node::complete();
    let [a, stored, failed] = [0, 1, 2].map(|first| node.send(batch(first, 1)));
    node.settle(a, Outcome::Failed(DISK));
    assert_eq!(node.settle(stored, Outcome::Stored), []);
    assert_eq!(node.settle(failed, Outcome::Failed(TIME_OUT)), []);
    node.store(batch(0, 1));
    assert_eq!(node.admit(batch(1, 1)), Admission::Stored);
    node.store(batch(2, 1));
}

#[test]
fn a_failure_is_told_only_after_the_batches_before_it() {
    let mut node = Node::complete();
    let [a, b] = [0, 1].map(|first| node.send(batch(first, 1)));
    let c = node.write(batch(2, 1));
    assert_eq!(node.settle(b, Outcome::Failed(DISK)), []);
    assert_eq!(
        node.producers.ready(c),
        [],
        "nothing is stored behind a failure"
    );
    assert_eq!(node.admit(batch(1, 1)), Admission::Wait(b));
    assert_eq!(
        node.settle(a, Outcome::Stored),
        [
            (a, Verdict::Stored),
            (b, Verdict::Failed(DISK)),
            (c, Verdict::Failed(DISK))
        ]
    );
    assert_eq!(
        node.settle(c, Outcome::Failed(DISK)),
        [],
        "it had its verdict"
    );
}

#[test]
fn batches_are_handed_over_in_sequence_however_they_are_decoded() {
    let mut node = Node::complete();
    let [a, b, c] = [0, 1, 2].map(|first| node.write(batch(first, 1)));
    assert_eq!(node.producers.ready(c), []);
    assert_eq!(node.producers.ready(a), [a]);
    assert_eq!(node.producers.ready(b), [b, c]);
    assert_eq!(node.producers.ready(b), [], "only once");
}

#[test]
fn behind_a_batch_refused_for_good_the_client_numbers_anew() {
    let mut node = Node::complete();
    node.store(batch(0, 1));
    let [bad, next] = [1, 2].map(|first| node.write(batch(first, 1)));
    assert_eq!(
        node.settle(bad, Outcome::Refused),
        [(bad, Verdict::Own), (next, Verdict::Refused(Refusal::Gap))]
    );
    assert_eq!(node.producers.ready(next), []);
    assert_eq!(node.admit(batch(2, 1)), GAP);
    node.store(batch(1, 5));
    node.store(batch(6, 1));
    assert_eq!(node.admit(batch(0, 1)), Admission::Stored);
}

#[test]
fn sequences_wrap() {
    let mut node = Node::complete();
    node.store(batch(LAST - 2, 2));
    node.store(batch(LAST, 3));
    node.store(batch(2, 1));
    assert_eq!(node.admit(batch(LAST, 3)), Admission::Stored);
    assert_eq!(node.admit(batch(LAST - 2, 2)), Admission::Stored);
    assert_eq!(node.admit(batch(4, 1)), GAP);
    let mut node = node.restart();
    assert_eq!(node.admit(batch(LAST, 3)), Admission::Stored);
    node.store(batch(3, 1));
}

#[test]
fn x_and_x_json_count_apart() {
    let mut producers = Producers::new(Gaps::Refuse);
    let (shop, mall) = (project("shop"), project("mall"));
    let keys = [
        (&shop, "x", 0),
        (&shop, "x.json", 0),
        (&shop, "x", 1),
        (&mall, "x", 0),
    ];
    let mut marks = Vec::new();
    for (project, topic, partition) in keys {
        let admission = producers.admit(project, topic, partition, batch(0, 1), 0);
        let Admission::Write(ticket) = admission else {
            panic!("{project} {topic} {partition}: {admission:?}");
        };
        marks.push((project, producers.mark(ticket).unwrap()));
    }
    let mut restored = Producers::new(Gaps::Refuse);
    let read = marks
        .iter()
        .map(|(project, (key, value))| (*project, key.as_slice(), value.as_slice(), 0));
    assert_eq!(restored.restore(read), 0);
    for (project, topic, partition) in keys {
        let admission = restored.admit(project, topic, partition, batch(0, 1), 0);
        assert_eq!(
            admission,
            Admission::Stored,
            "{project} {topic} {partition}"
        );
    }
}

#[test]
fn one_producer_has_a_bounded_number_under_way_and_the_rest_comes_later() {
    let mut node = Node::complete();
    let pending = PENDING_MAX as i32;
    let tickets: Vec<_> = (0..pending)
        .map(|first| node.send(batch(first, 1)))
        .collect();
    let too_many = Admission::Refuse(Refusal::TooMany);
    assert_eq!(node.admit(batch(pending, 1)), too_many);
    assert!(matches!(
        node.admit(batch(pending + 1, 1)),
        Admission::Refuse(Refusal::Later(_))
    ));
    for ticket in tickets {
        node.settle(ticket, Outcome::Stored);
    }
    assert!(matches!(
        node.admit(batch(pending + 1, 1)),
        Admission::Refuse(Refusal::Later(_))
    ));
    node.store(batch(pending, 1));
    node.store(batch(pending + 1, 1));
}

#[test]
fn a_producer_is_forgotten_after_a_day_but_not_while_it_waits() {
    let mut producers = Producers::new(Gaps::Refuse);
    let shop = project("shop");
    let Admission::Write(ticket) = producers.admit(&shop, "x", 0, batch(0, 1), 100) else {
        panic!("a new producer");
    };
    producers.expire(100 + 2 * PRODUCER_IDLE_MAX_S);
    producers.ready(ticket);
    let verdicts = producers.settle(ticket, Outcome::Stored);
    assert_eq!(verdicts, [(ticket, Verdict::Stored)]);

    producers.expire(99 + PRODUCER_IDLE_MAX_S);
    let repeat = producers.admit(&shop, "x", 0, batch(0, 1), 200);
    assert_eq!(repeat, Admission::Stored);
    producers.expire(199 + PRODUCER_IDLE_MAX_S);
    assert_eq!(producers.lanes.len(), 1, "the repeat was a use");
    producers.expire(200 + PRODUCER_IDLE_MAX_S);
    assert!(producers.lanes.is_empty() && producers.projects.is_empty());
}

#[test]
fn a_full_project_forgets_its_producer_longest_unused_and_no_other_projects() {
    let mut producers = Producers::new(Gaps::Refuse);
    let (shop, mall) = (project("shop"), project("mall"));
    let mut store = |project: &ProjectName, partition: i32, now_s: i64| match producers.admit(
        project,
        "x",
        partition,
        batch(0, 1),
        now_s,
    ) {
        Admission::Write(ticket) => {
            producers.ready(ticket);
            producers.settle(ticket, Outcome::Stored);
            "written"
        }
        Admission::Stored => "known",
        _ => "refused",
    };
    store(&mall, 0, 0);
    for partition in 0..PRODUCERS_PER_PROJECT_MAX as i32 {
        store(&shop, partition, i64::from(partition));
    }
    assert_eq!(store(&shop, 0, 1_000_000), "known");
    assert_eq!(store(&shop, -1, 1_000_001), "written");
    assert_eq!(store(&shop, 0, 1_000_002), "known");
    assert_eq!(
        store(&shop, 1, 1_000_003),
        "written",
        "the oldest made room"
    );
    assert_eq!(store(&mall, 0, 1_000_004), "known");
}

#[test]
fn the_last_five_batches_survive_a_restart() {
    let mut node = Node::complete();
    for n in 0..20 {
        node.store(batch(n * 2, 2));
    }
    let mut node = node.restart();
    assert_eq!(node.admit(batch(28, 2)), GAP);
    for n in 15..20 {
        assert_eq!(node.admit(batch(n * 2, 2)), Admission::Stored);
    }
    node.store(batch(40, 2));
}

#[test]
fn batches_missing_between_stored_ones_are_taken_in_order_after_a_restart() {
    for before in [0, 1, 30] {
        let mut node = Node::complete();
        for first in 0..before {
            node.store(batch(first, 1));
        }
        let tickets = [0, 1, 2, 3].map(|n| node.send(batch(before + n, 1)));
        node.settle(tickets[3], Outcome::Stored);
        node.settle(tickets[1], Outcome::Stored);
        let mut node = node.restart();
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| batch(before + n, 1));
        assert!(matches!(
            node.admit(c),
            Admission::Refuse(Refusal::Later(_))
        ));
        assert!(matches!(
            node.admit(d),
            Admission::Refuse(Refusal::Later(_))
        ));
        node.store(a);
        assert_eq!(node.admit(b), Admission::Stored);
        node.store(c);
        assert_eq!(node.admit(d), Admission::Stored);
        let mut node = node.restart();
        for repeat in [a, b, c, d] {
            assert_eq!(node.admit(repeat), Admission::Stored);
        }
        node.store(batch(before + 4, 1));
    }
}

#[test]
fn marks_that_have_expired_before_others_leave_no_gap() {
    let mut node = Node::complete();
    for first in 0..3 {
        node.store(batch(first, 1));
    }
    // A producer that sends a batch every ten hours: the store has forgotten the first.
    let (expired, _) = node
        .marks
        .iter()
        .find(|(_, value)| value[2..6] == [0; 4])
        .map(|(key, value)| (key.clone(), value.clone()))
        .unwrap();
    node.marks.remove(&expired);
    let mut node = node.restart();
    assert_eq!(node.admit(batch(2, 1)), Admission::Stored);
    node.store(batch(3, 1));
}

#[test]
fn a_batch_sent_again_keeps_the_place_of_its_mark() {
    let mut node = Node::complete();
    let tickets = [0, 1, 2, 3, 4].map(|first| node.send(batch(first, 1)));
    for ticket in &tickets[1..] {
        node.settle(*ticket, Outcome::Stored);
    }
    node.settle(tickets[0], Outcome::Failed(DISK));
    for _ in 0..20 {
        let again = node.send(batch(0, 1));
        node.settle(again, Outcome::Failed(DISK));
    }
    node.store(batch(0, 1));
    let mut node = node.restart();
    for first in 0..5 {
        assert_eq!(node.admit(batch(first, 1)), Admission::Stored);
    }
}

#[test]
fn marks_of_an_earlier_epoch_mean_nothing_after_a_restart() {
    let mut node = Node::complete();
    for first in 0..8 {
        node.store(batch(first, 1));
    }
    node.store(in_epoch(1, 0, 1));
    node.store(in_epoch(1, 1, 1));
    let mut node = node.restart();
    let refused = Admission::Refuse(Refusal::OldEpoch);
    assert_eq!(node.admit(batch(7, 1)), refused);
    assert_eq!(node.admit(in_epoch(1, 0, 1)), Admission::Stored);
    node.store(in_epoch(1, 2, 1));
}

#[test]
fn marks_from_before_a_producer_was_forgotten_mean_nothing() {
    let mut node = Node::complete();
    for first in 0..8 {
        node.store(batch(first, 1));
    }
    node.producers.expire(PRODUCER_IDLE_MAX_S);
    node.store(batch(500, 1));
    let mut node = node.restart();
    assert_eq!(node.admit(batch(500, 1)), Admission::Stored);
    node.store(batch(501, 1));
}

#[test]
fn malformed_marks_are_skipped_and_counted() {
    let mut node = Node::complete();
    node.store(batch(0, 1));
    let (key, value) = node.marks.iter().next().unwrap();
    let cut = (key.clone(), value[1..].to_vec());
    let long = (key.clone(), [value.as_slice(), &[0]].concat());
    let negative = (key.clone(), [&[0xff], &value[1..]].concat());
    let version = ([&[9], &key[1..]].concat(), value.clone());
    let slot = ([&key[..key.len() - 1], &[5]].concat(), value.clone());
    let bad = [cut, long, negative, version, slot, (vec![], vec![])];
    let good = (key.clone(), value.clone());
    let marks = bad.iter().chain([&good]).map(|(key, value)| (key, value));
    let mut producers = Producers::new(Gaps::Refuse);
    assert_eq!(restore(&mut producers, marks), bad.len());
    let repeat = producers.admit(&project("shop"), "x", 0, batch(0, 1), 0);
    assert_eq!(repeat, Admission::Stored);
}

#[test]
fn unknown_tickets_are_ignored() {
    let mut producers = Producers::new(Gaps::Refuse);
    assert_eq!(producers.ready(Ticket(9)), []);
    assert_eq!(producers.mark(Ticket(9)), None);
    assert_eq!(producers.settle(Ticket(9), Outcome::Stored), []);
}

#[test]
fn a_batch_without_a_sequence_or_records_leaves_no_trace() {
    let mut node = Node::complete();
    for impossible in [batch(-1, 1), batch(0, 0), batch(0, -1)] {
        assert_eq!(node.admit(impossible), GAP);
    }
    assert!(node.producers.lanes.is_empty());
}

#[test]
fn producer_ids_are_positive_and_differ() {
    let (a, b) = (new_producer_id(), new_producer_id());
    assert!(a > 0 && b > 0 && a != b);
}

fn any_stored_mark() -> impl Strategy<Value = StoredMark> {
    let key = (0..3_i64, "[a-c]{0,2}", any::<u64>());
    let numbers = (
        -1..3_i16,
        any::<i32>(),
        -1..4_i32,
        0..3_u64,
        any::<u64>(),
        any::<i64>(),
    );
    (key, numbers, 0..40_u64).prop_map(|((producer_id, topic, index), n, near)| {
        let index = if n.4 % 2 == 0 { near } else { index };
        let key = mark::Key {
            producer_id,
            partition: 0,
            topic: &topic,
        };
        let value = mark::Value {
            epoch: n.0,
            first_sequence: n.1,
            record_count: n.2,
            life: n.3,
            index,
            at: n.5 % 64,
            settled_before: n.5 % 2 == 0,
        };
        (key.encode(index), value.encode())
    })
}

proptest! {
    #[test]
    fn any_marks_are_restored_without_a_panic(
        marks in proptest::collection::vec(any_stored_mark(), 0..40),
        noise in proptest::collection::vec(any::<u8>(), 0..60),
        batches in proptest::collection::vec((0..3_i64, 0..3_i16, any::<i32>(), 0..3_i32), 0..20),
    ) {
        let mut producers = Producers::new(Gaps::Refuse);
        let noise = (noise.clone(), noise);
        restore(&mut producers, marks.iter().chain([&noise]).map(|(key, value)| (key, value)));
        for (producer_id, epoch, first_sequence, record_count) in batches {
            let batch = ProducerBatch { producer_id, epoch, first_sequence, record_count };
            producers.admit(&project("shop"), "a", 0, batch, 0);
        }
    }

    #[test]
    fn a_mark_reads_as_written(index in 0..1_000_u64, at in 0..1_000_000_i64, first_sequence in 0..LAST, topic in "[a-z.]{1,249}") {
        let key = mark::Key { producer_id: 5, partition: 3, topic: &topic };
        let value = mark::Value { epoch: 4, first_sequence, record_count: 9, life: 8, index, at, settled_before: true };
        let (key_bytes, value_bytes) = (key.encode(index), value.encode());
        prop_assert_eq!(mark::decode(&key_bytes, &value_bytes), Some((key, value)));
    }
}
