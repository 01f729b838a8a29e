//! Idempotent producers over real connections against a Log Service that fails at random: what a producer believes
//! delivered is stored exactly once, and nothing that was refused for good is.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use crate::support::client::{Client, PRODUCE_VERSION, ask, producer_batch};
use crate::support::told::Told;
use crate::support::{Gateway, LOGSTORE, Settings};

const PRODUCERS: usize = 6;
const BATCHES: usize = 600;
/// Every so many batches one is damaged.
const DAMAGED_EVERY: usize = 23;
/// Every so many batches one is large enough for the pool.
const LARGE_EVERY: usize = 4;

/// A producer that keeps five batches in flight, sends all unacknowledged ones again over a new connection after a
/// retriable error, and begins a new epoch after one that is final.
struct Producer {
    name: usize,
    id: i64,
    epoch: i16,
    /// Number and sequence of what is not acknowledged, in order.
    unacknowledged: VecDeque<(usize, i32)>,
    sequence_next: i32,
    number_next: usize,
    delivered: Vec<usize>,
    refused: Vec<usize>,
    random: u64,
}

impl Producer {
    fn run(mut self, gateway: &Gateway) -> Self {
        while self.delivered.len() + self.refused.len() < BATCHES {
            let mut client = Client::new(gateway);
            if self.id < 0 {
                self.id = client.producer_id();
            }
            self.serve(&mut client);
            if self.below(3) == 0 {
                // Its requests may still be under way when the next connection sends them again.
                client.cut();
            }
        }
        self
    }

    /// Sends and receives over one connection until it has to begin anew.
    fn serve(&mut self, client: &mut Client) {
        let mut in_flight = 0;
        loop {
            while in_flight < 5 {
                if in_flight == self.unacknowledged.len() {
                    if self.number_next == BATCHES {
                        break;
                    }
                    self.unacknowledged
                        .push_back((self.number_next, self.sequence_next));
                    self.number_next += 1;
                    self.sequence_next += 1;
                }
                let (number, sequence) = self.unacknowledged[in_flight];
                client.send_produce(&ask(LOGSTORE, self.batch(number, sequence)));
                in_flight += 1;
            }
            if in_flight == 0 || self.below(25) == 0 {
                return;
            }
            let answer = client.receive_produce(PRODUCE_VERSION).expect("an answer");
            let (number, _) = self.unacknowledged[0];
            match answer[0].error_code {
                0 => {
                    self.unacknowledged.pop_front();
                    self.delivered.push(number);
                    in_flight -= 1;
                }
                56 => return,
                2 => return self.begin_epoch(number),
                code => panic!("{code} for batch {number} of producer {}", self.name),
            }
        }
    }

    fn begin_epoch(&mut self, refused: usize) {
        assert_eq!(refused % DAMAGED_EVERY, DAMAGED_EVERY - 1, "a sound batch");
        self.refused.push(refused);
        self.unacknowledged.pop_front();
        self.epoch += 1;
        self.sequence_next = 0;
        for (_, sequence) in &mut self.unacknowledged {
            *sequence = self.sequence_next;
            self.sequence_next += 1;
        }
    }

    fn batch(&self, number: usize, sequence: i32) -> Bytes {
        let filler = if number.is_multiple_of(LARGE_EVERY) {
            60_000
        } else {
            10
        };
        let value = format!("{}-{number}-{}", self.name, "x".repeat(filler));
        let set = producer_batch(&[&value], self.id, self.epoch, sequence);
        if number % DAMAGED_EVERY != DAMAGED_EVERY - 1 {
            return set;
        }
        let mut damaged = set.to_vec();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        damaged.into()
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }
}

#[test]
fn what_producers_believe_delivered_is_stored_exactly_once() {
    let told = Told::at_random(Duration::from_millis(3), 6);
    let gateway = Gateway::start(Arc::new(told.clone()), Settings::default());
    let producers: Vec<Producer> = thread::scope(|scope| {
        let threads: Vec<_> = (0..PRODUCERS)
            .map(|name| {
                let producer = Producer {
                    name,
                    id: -1,
                    epoch: 0,
                    unacknowledged: VecDeque::new(),
                    sequence_next: 0,
                    number_next: 0,
                    delivered: Vec::new(),
                    refused: Vec::new(),
                    random: 0x9e37_79b9 + name as u64,
                };
                let gateway = &gateway;
                scope.spawn(move || producer.run(gateway))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it ran"))
            .collect()
    });
    let mut counts: HashMap<(usize, usize), usize> = HashMap::new();
    for value in told.stored() {
        let mut parts = value.splitn(3, '-').map_while(|part| part.parse().ok());
        let (Some(name), Some(number)) = (parts.next(), parts.next()) else {
            panic!("not ours: {value}")
        };
        *counts.entry((name, number)).or_insert(0) += 1;
    }
    for producer in &producers {
        assert!(!producer.refused.is_empty());
        for number in &producer.delivered {
            let times = counts.get(&(producer.name, *number)).copied();
            assert_eq!(times, Some(1), "{} of producer {}", number, producer.name);
        }
        for number in &producer.refused {
            assert_eq!(counts.get(&(producer.name, *number)), None);
        }
    }
}
