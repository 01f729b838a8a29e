//! Clients, connections, a server and a store, all driven by one seed: whatever fails in whatever order, what a client
//! believes delivered is stored, and stored once.
//!
//! A client keeps at most five batches in flight, numbers them in sequence, and repeats in order what failed for a time.
//! Its connection may break while its frames still arrive; it may give up and go on in a new epoch; the server may
//! crash and read its marks. The store commits in the order of submission, its outcomes are told in any order.

use std::collections::{HashMap, HashSet, VecDeque};

use super::*;

const SEEDS: u64 = 1_500;
const STEPS: usize = 500;
/// Well over what an undisturbed world needs to come to rest.
const CALM_STEPS: usize = 20_000;
const IN_FLIGHT_MAX: usize = 5;
const TOPIC: &str = "x";

/// SplitMix64: small, and good enough to choose events.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// What may go wrong in one run.
#[derive(Clone, Copy)]
struct Plan {
    gaps: Gaps,
    uncertain: bool,
    crashes: bool,
    refused_percent: usize,
    failed_percent: usize,
    /// Breaks, given-up batches and crashes, in percent of the steps.
    trouble_percent: usize,
}

impl Plan {
    fn draw(dice: &mut Dice) -> Self {
        let complete = dice.percent(60);
        Self {
            gaps: if complete {
                Gaps::Refuse
            } else {
                Gaps::AcceptUnlessRefusedHere
            },
            uncertain: dice.percent(40),
            crashes: complete && dice.percent(70),
            refused_percent: [0, 10][dice.below(2)],
            failed_percent: [0, 15, 50][dice.below(3)],
            trouble_percent: [0, 2, 6][dice.below(3)],
        }
    }
}

/// A batch's content; each is made once.
type Payload = usize;

#[derive(Clone, Copy, Debug)]
struct Frame {
    payload: Payload,
    batch: ProducerBatch,
    /// How often its client had numbered anew when it sent this.
    numbering: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Stored,
    Repeat,
    RefusedForGood,
    Refused(Refusal),
}

#[derive(Debug)]
struct Connection {
    client: usize,
    travelling: VecDeque<Frame>,
    /// Arrived, in order; replies leave in this order.
    arrived: VecDeque<(Frame, Option<Reply>)>,
    replied: usize,
}

#[derive(Clone, Copy, Debug)]
struct Batch {
    payload: Payload,
    /// How many batches its client made before it.
    number: usize,
    first_sequence: i32,
    record_count: i32,
    sent: bool,
    retry: bool,
}

#[derive(Debug)]
struct Client {
    producer_id: i64,
    epoch: i16,
    next_sequence: i32,
    batches_made: usize,
    numbering: usize,
    in_flight: VecDeque<Batch>,
    connection: usize,
    /// Repeats one batch at a time, as Java does; else all of them at once, as librdkafka does.
    one_by_one: bool,
}

impl Client {
    fn may_make_another(&self) -> bool {
        let first = self.in_flight.front();
        let span = first.map_or(0, |first| self.batches_made - first.number);
        span < IN_FLIGHT_MAX && self.in_flight.iter().all(|batch| batch.sent)
    }

    fn renumber(&mut self, first_sequence: i32) {
        self.numbering += 1;
        self.next_sequence = first_sequence;
        for batch in &mut self.in_flight {
            batch.first_sequence = self.next_sequence;
            batch.sent = false;
            batch.retry = true;
            self.next_sequence = wrapping(self.next_sequence, batch.record_count);
        }
    }

    fn bump_epoch(&mut self) {
        self.epoch += 1;
        self.renumber(0);
    }
}

fn wrapping(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}

struct World {
    dice: Dice,
    plan: Plan,
    project: ProjectName,
    producers: Producers,
    clients: Vec<Client>,
    connections: Vec<Connection>,
    waiting: HashMap<Ticket, Vec<(usize, usize)>>,
    tries: HashMap<Ticket, Payload>,
    undecoded: Vec<Ticket>,
    decoded: Vec<Ticket>,
    submitted: VecDeque<Ticket>,
    committed: Vec<(Ticket, Outcome)>,
    /// Tries that had a verdict before they were handed over.
    lapsed: HashSet<Ticket>,
    stored: Vec<Payload>,
    marks: HashMap<Vec<u8>, Vec<u8>>,
    /// By payload: cannot be decoded.
    bad: Vec<bool>,
    /// By payload: how often it was stored and its client told that this is uncertain.
    stored_unknown: Vec<usize>,
    delivered: Vec<Payload>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let plan = Plan::draw(&mut dice);
        let mut world = Self {
            plan,
            project: ProjectName::parse("shop").unwrap(),
            producers: Producers::new(plan.gaps),
            clients: Vec::new(),
            connections: Vec::new(),
            waiting: HashMap::new(),
            tries: HashMap::new(),
            undecoded: Vec::new(),
            decoded: Vec::new(),
            submitted: VecDeque::new(),
            committed: Vec::new(),
            lapsed: HashSet::new(),
            stored: Vec::new(),
            marks: HashMap::new(),
            bad: Vec::new(),
            stored_unknown: Vec::new(),
            delivered: Vec::new(),
            dice,
        };
        for client in 0..=world.dice.below(2) {
            let start = [0, 3, i32::MAX - 20][world.dice.below(3)];
            let one_by_one = world.dice.percent(50);
            world.clients.push(Client {
                producer_id: client as i64,
                epoch: 0,
                next_sequence: start,
                batches_made: 0,
                numbering: 0,
                in_flight: VecDeque::new(),
                connection: 0,
                one_by_one,
            });
            world.connect(client);
        }
        world
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            if self.dice.percent(self.plan.trouble_percent) {
                self.trouble();
            } else {
                self.step(true);
            }
        }
        self.plan.failed_percent = 0;
        for _ in 0..CALM_STEPS {
            if self.is_at_rest() {
                break;
            }
            self.step(false);
        }
        self.check_end();
    }

    fn trouble(&mut self) {
        let client = self.dice.below(self.clients.len());
        match self.dice.below(6) {
            0..=2 => self.reconnect(client),
            3..=4 => self.give_up(client),
            _ if self.plan.crashes => self.crash(),
            _ => {}
        }
    }

    fn step(&mut self, more: bool) {
        match self.dice.below(7) {
            0 | 1 => self.send(more),
            2 => self.arrive(),
            3 => self.decode(),
            4 => self.commit(),
            5 => self.report(),
            _ => self.reply(),
        }
    }

    // The clients.

    fn connect(&mut self, client: usize) {
        self.clients[client].connection = self.connections.len();
        for batch in &mut self.clients[client].in_flight {
            batch.retry |= batch.sent;
            batch.sent = false;
        }
        self.connections.push(Connection {
            client,
            travelling: VecDeque::new(),
            arrived: VecDeque::new(),
            replied: 0,
        });
    }

    /// The connection breaks; some of what was sent on it still arrives.
    fn reconnect(&mut self, client: usize) {
        let Client {
            connection,
            numbering,
            ..
        } = self.clients[client];
        let travelling = &mut self.connections[connection].travelling;
        let arriving = self.dice.below(travelling.len() + 1);
        travelling.truncate(arriving);
        // No protocol can tell such frames from those that were numbered anew without a new epoch.
        travelling.retain(|frame| frame.numbering == numbering);
        self.connect(client);
    }

    /// The client reports its batches as lost and starts a new epoch.
    fn give_up(&mut self, client: usize) {
        self.clients[client].in_flight.clear();
        self.clients[client].bump_epoch();
    }

    fn send(&mut self, more: bool) {
        let client = self.dice.below(self.clients.len());
        if more && self.clients[client].may_make_another() {
            self.make_batch(client);
        }
        let client = &mut self.clients[client];
        let Some(at) = client.in_flight.iter().position(|batch| !batch.sent) else {
            return;
        };
        let batch = &mut client.in_flight[at];
        if batch.retry && client.one_by_one && at > 0 {
            return;
        }
        batch.sent = true;
        let frame = Frame {
            payload: batch.payload,
            batch: ProducerBatch {
                producer_id: client.producer_id,
                epoch: client.epoch,
                first_sequence: batch.first_sequence,
                record_count: batch.record_count,
            },
            numbering: client.numbering,
        };
        self.connections[client.connection]
            .travelling
            .push_back(frame);
    }

    fn make_batch(&mut self, client: usize) {
        let payload = self.bad.len();
        self.bad.push(self.dice.percent(self.plan.refused_percent));
        self.stored_unknown.push(0);
        let record_count = 1 + self.dice.below(3) as i32;
        let client = &mut self.clients[client];
        client.in_flight.push_back(Batch {
            payload,
            number: client.batches_made,
            first_sequence: client.next_sequence,
            record_count,
            sent: false,
            retry: false,
        });
        client.batches_made += 1;
        client.next_sequence = wrapping(client.next_sequence, record_count);
    }

    fn take_reply(&mut self, client: usize, frame: Frame, reply: Reply) {
        if frame.numbering != self.clients[client].numbering {
            // Given up since, or numbered anew; the latter must not have been stored under the old number.
            let is_kept = |batch: &Batch| batch.payload == frame.payload;
            let kept = self.clients[client].in_flight.iter().any(is_kept);
            assert!(!kept || reply != Reply::Stored, "{frame:?}");
            return;
        }
        let one_by_one = self.clients[client].one_by_one;
        let in_flight = &mut self.clients[client].in_flight;
        let is_this = |batch: &Batch| batch.payload == frame.payload;
        let Some(at) = in_flight.iter().position(is_this) else {
            return; // a later success proved it
        };
        match reply {
            Reply::Stored => {
                // An earlier one may have been told to repeat what is stored; then this success is its proof.
                let proven = if one_by_one { at..=at } else { 0..=at };
                for batch in in_flight.range(..=at) {
                    assert!(self.stored.contains(&batch.payload), "lost: {batch:?}");
                }
                self.delivered
                    .extend(in_flight.drain(proven).map(|batch| batch.payload));
            }
            Reply::Repeat => {
                in_flight[at].sent = false;
                in_flight[at].retry = true;
            }
            Reply::RefusedForGood => {
                assert!(self.bad[frame.payload], "{frame:?}");
                // Earlier ones that it was told to repeat are stored by now; to number them anew would be its own fault.
                for batch in in_flight.drain(..=at).take(at) {
                    assert!(
                        self.stored.contains(&batch.payload),
                        "refused before {batch:?}"
                    );
                }
                self.go_on_after_refusal(client, frame.batch.first_sequence);
            }
            Reply::Refused(refusal) => {
                // A straggler of a broken connection may have been refused for good before this connection hears of it.
                let mut earlier = in_flight.range(..at);
                let is_explained = earlier.any(|batch| self.bad[batch.payload]);
                assert!(
                    refusal == Refusal::Gap && is_explained,
                    "{refusal:?}: {frame:?}"
                );
                in_flight[at].sent = false;
                in_flight[at].retry = true;
            }
        }
    }

    fn go_on_after_refusal(&mut self, client: usize, first_sequence: i32) {
        let current = self.clients[client].connection;
        // Without a new epoch nothing tells the old number of such a frame from the new one of another batch.
        let stragglers = self.connections.iter().enumerate().any(|(at, other)| {
            let undecided = other.arrived.iter().any(|(_, reply)| reply.is_none());
            other.client == client && at != current && (undecided || !other.travelling.is_empty())
        });
        if stragglers {
            self.give_up(client);
        } else if self.dice.percent(50) {
            self.clients[client].bump_epoch();
        } else {
            self.clients[client].renumber(first_sequence);
        }
    }

    // The server.

    fn arrive(&mut self) {
        let busy: Vec<_> = (0..self.connections.len())
            .filter(|at| !self.connections[*at].travelling.is_empty())
            .collect();
        if busy.is_empty() {
            return;
        }
        let at = busy[self.dice.below(busy.len())];
        let frame = self.connections[at].travelling.pop_front().unwrap();
        let waiter = (
            at,
            self.connections[at].replied + self.connections[at].arrived.len(),
        );
        let admission = self
            .producers
            .admit(&self.project, TOPIC, 0, frame.batch, 0);
        let reply = match admission {
            Admission::Write(ticket) => {
                assert!(
                    self.waiting.insert(ticket, vec![waiter]).is_none(),
                    "{ticket:?} again"
                );
                self.tries.insert(ticket, frame.payload);
                self.undecoded.push(ticket);
                None
            }
            Admission::Wait(ticket) => {
                let tried = self.tries.get(&ticket).unwrap_or(&frame.payload);
                assert_eq!(*tried, frame.payload, "waits for another batch");
                self.waiting.entry(ticket).or_default().push(waiter);
                None
            }
            Admission::Stored => {
                assert!(
                    self.stored.contains(&frame.payload),
                    "taken for a repeat: {frame:?}"
                );
                Some(Reply::Stored)
            }
            Admission::Refuse(Refusal::Later(_) | Refusal::TooMany) => Some(Reply::Repeat),
            Admission::Refuse(refusal) => Some(Reply::Refused(refusal)),
        };
        self.connections[at].arrived.push_back((frame, reply));
    }

    fn decode(&mut self) {
        // Some wait for their turn until their time is over.
        if !self.decoded.is_empty() && self.dice.percent(self.plan.failed_percent / 3) {
            let at = self.dice.below(self.decoded.len());
            let ticket = self.decoded.swap_remove(at);
            return self.settle(ticket, Outcome::Failed(Temporary::NotStored("late")));
        }
        if self.undecoded.is_empty() {
            return;
        }
        let at = self.dice.below(self.undecoded.len());
        let ticket = self.undecoded.swap_remove(at);
        if self.bad[self.tries[&ticket]] {
            return self.settle(ticket, Outcome::Refused);
        }
        if self.dice.percent(self.plan.failed_percent / 3) {
            return self.settle(ticket, Outcome::Failed(Temporary::NotStored("busy")));
        }
        self.decoded.push(ticket);
        for released in self.producers.ready(ticket) {
            assert!(
                !self.lapsed.contains(&released),
                "{released:?} failed before"
            );
            let at = self.decoded.iter().position(|decoded| *decoded == released);
            self.decoded
                .swap_remove(at.expect("released once, after its decoding"));
            self.submitted.push_back(released);
        }
    }

    fn commit(&mut self) {
        let Some(ticket) = self.submitted.pop_front() else {
            return;
        };
        let payload = self.tries[&ticket];
        let failed = self.dice.percent(self.plan.failed_percent);
        let uncertain = failed && self.plan.uncertain && self.dice.percent(50);
        let stored = !failed || uncertain && self.dice.percent(50);
        if stored {
            assert!(!self.bad[payload]);
            self.stored.push(payload);
            self.stored_unknown[payload] += usize::from(uncertain);
            self.marks.extend(self.producers.mark(ticket));
        }
        let outcome = match (failed, uncertain) {
            (false, _) => Outcome::Stored,
            (true, false) => Outcome::Failed(Temporary::NotStored("disk")),
            (true, true) => Outcome::Failed(Temporary::Uncertain("time-out")),
        };
        self.committed.push((ticket, outcome));
    }

    fn report(&mut self) {
        if !self.committed.is_empty() {
            let at = self.dice.below(self.committed.len());
            let (ticket, outcome) = self.committed.swap_remove(at);
            self.settle(ticket, outcome);
        }
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        for (told, verdict) in self.producers.settle(ticket, outcome) {
            let reply = match verdict {
                Verdict::Stored => Reply::Stored,
                Verdict::Failed(_) => Reply::Repeat,
                Verdict::Own => Reply::RefusedForGood,
                Verdict::Refused(refusal) => Reply::Refused(refusal),
            };
            if self.undecoded.contains(&told) || self.decoded.contains(&told) {
                self.lapsed.insert(told);
            }
            let waiters = self.waiting.remove(&told).expect("a verdict for somebody");
            for (connection, number) in waiters {
                let connection = &mut self.connections[connection];
                let asked = &mut connection.arrived[number - connection.replied];
                assert_eq!(asked.1.replace(reply), None, "a second verdict");
            }
        }
    }

    /// Sends the first reply of a connection that has one, as its client sees it.
    fn reply(&mut self) {
        let at = self.dice.below(self.connections.len());
        let connection = &mut self.connections[at];
        let Some((frame, Some(reply))) = connection.arrived.front().copied() else {
            return;
        };
        connection.arrived.pop_front();
        connection.replied += 1;
        let client = connection.client;
        if self.clients[client].connection == at {
            self.take_reply(client, frame, reply);
        }
    }

    fn crash(&mut self) {
        self.producers = Producers::new(self.plan.gaps);
        let marks = self.marks.iter();
        let marks = marks.map(|(key, value)| (&self.project, key.as_slice(), value.as_slice(), 0));
        assert_eq!(self.producers.restore(marks), 0);
        self.waiting.clear();
        self.tries.clear();
        self.undecoded.clear();
        self.decoded.clear();
        self.submitted.clear();
        self.committed.clear();
        self.lapsed.clear();
        for connection in &mut self.connections {
            connection.travelling.clear();
            connection.arrived.clear();
        }
        for client in 0..self.clients.len() {
            self.connect(client);
        }
    }

    // The end.

    fn is_at_rest(&self) -> bool {
        self.clients
            .iter()
            .all(|client| client.in_flight.is_empty())
            && self.connections.iter().all(|c| c.travelling.is_empty())
            && self.undecoded.is_empty()
            && self.submitted.is_empty()
            && self.committed.is_empty()
    }

    fn check_end(&mut self) {
        assert!(self.is_at_rest(), "somebody waits for ever");
        let due = self.producers.settle(Ticket(0), Outcome::Stored);
        assert_eq!(self.waiting.len(), due.len(), "a verdict was forgotten");
        assert!(self.producers.tries.is_empty());
        assert!(
            self.producers
                .lanes
                .values()
                .all(|kept| !kept.lane.is_busy() && !kept.retired)
        );

        let mut times = vec![0; self.bad.len()];
        for payload in &self.stored {
            times[*payload] += 1;
        }
        for (payload, times) in times.iter().enumerate() {
            let allowed = 1 + self.stored_unknown[payload];
            assert!(*times <= allowed, "batch {payload} stored {times} times");
        }
        assert!(self.delivered.iter().all(|payload| times[*payload] > 0));
    }
}

#[test]
fn what_a_client_believes_delivered_is_stored_once_whatever_fails() {
    let mut delivered = 0;
    for seed in 0..SEEDS {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.run();
            world.delivered.len()
        });
        match run {
            Ok(count) => delivered += count,
            Err(why) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(why);
            }
        }
    }
    assert!(
        delivered > 10 * SEEDS as usize,
        "the worlds stand still: {delivered}"
    );
}
