//! Random faults: whatever was acknowledged is stored, and stored once where no answer was lost.
//!
//! Each run draws its faults from a seed, so that what went wrong can be looked at again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::LOGSTORE;
use crate::support::client::{Client, PRODUCE_VERSION, batch, producer_batch};
use crate::support::eventually;
use crate::support::http::Answer;
use crate::support::request::Call;
use crate::support::script::{Action, Moment, Pause, Rule};
use crate::support::setup::{Setup, short};

const CLIENTS: usize = 6;
const BATCHES: usize = 60;
/// How long one kind of fault lasts.
const SPELL: Duration = Duration::from_millis(60);
/// A producer that has not got through by then never will.
const TIME_MAX: Duration = Duration::from_secs(60);

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn refuse(status: u16, code: &str) -> Action {
    Action::Answer(Answer::refusal(status, code, "as told"))
}

/// Of none of these is anything stored, or its answer arrives.
fn harmless(random: &mut Random) -> Action {
    match random.below(10) {
        0 => refuse(500, "InternalServerError"),
        1 => refuse(503, "ServerBusy"),
        2 => refuse(403, "ShardWriteQuotaExceed"),
        3 => refuse(403, "WriteQuotaExceed"),
        4 => refuse(400, "ShardNotExist"),
        5 => Action::Close(Moment::AfterBody),
        6 => Action::Reset(Moment::BeforeBody),
        7 => Action::Close(Moment::Answered),
        8 => Action::AnswerLate(Pause::For(Duration::from_millis(random.below(40)))),
        _ => Action::Answer(Answer::new(502, "text/html", "<html>").foreign()),
    }
}

/// Stored, and the gateway cannot know.
fn ambiguous(random: &mut Random) -> Action {
    match random.below(6) {
        // In the middle of a batch that is split, too.
        5 => refuse(413, "PostBodyTooLarge"),
        0 => Action::Close(Moment::CarriedOut),
        1 => Action::Reset(Moment::CarriedOut),
        2 => Action::CutAnswer(10),
        3 => Action::Garbage(b"\0\r\n\r\n".into()),
        _ => Action::Hang(Moment::CarriedOut),
    }
}

/// Changes the faults until told to stop; then all is well again.
fn rage(setup: &Setup, seed: u64, loses_answers: bool, stop: &AtomicBool) {
    let mut random = Random(seed);
    while !stop.load(Ordering::Acquire) {
        setup.service.heal();
        for _ in 0..random.below(3) {
            let action = match loses_answers && random.below(2) == 0 {
                true => ambiguous(&mut random),
                false => harmless(&mut random),
            };
            let (every, phase) = (2 + random.below(3), random.below(2));
            let on = [Call::PutLogs, Call::PutLogs, Call::ListShards][random.below(3) as usize];
            let rule = match action {
                // Single logs are never too large.
                Action::Answer(Answer { status: 413, .. }) => Rule::on(on, action).logs_over(1),
                action => Rule::on(on, action),
            };
            setup
                .service
                .script(rule.when(move |request| request.number % every == phase));
        }
        if loses_answers && random.below(12) == 0 {
            // What is under way is cut off.
            setup.service.go_down();
            thread::sleep(SPELL);
            setup.service.come_back();
        }
        thread::sleep(SPELL);
    }
    setup.service.heal();
}

/// What a client was told of each of its values.
type Told = HashMap<String, bool>;

/// A few records.
fn values(kind: &str, name: usize, number: usize) -> [String; 3] {
    ["a", "b", "c"].map(|record| format!("{kind} {name} {number} {record}"))
}

/// Sends each batch once, several at a time.
fn send_once(setup: &Setup, name: usize, random: &mut Random) -> Told {
    let mut told = Told::new();
    let mut client = setup.client();
    client.metadata(LOGSTORE, false);
    let mut number = 0;
    while number < BATCHES {
        let count = (1 + random.below(4) as usize).min(BATCHES - number);
        let batches = (number..number + count).map(|number| values("plain", name, number));
        let batches: Vec<_> = batches.collect();
        for [a, b, c] in &batches {
            client.send_produce(&short(batch(&[a, b, c])));
        }
        for values in batches {
            let code = code(&mut client);
            assert!([0, 7, 56].contains(&code), "{code} for {values:?}");
            told.extend(values.map(|value| (value, code == 0)));
        }
        number += count;
    }
    told
}

/// Sends each batch until it is acknowledged, over a new connection now and then.
fn send_until_stored(setup: &Setup, name: usize, random: &mut Random) -> Told {
    let mut told = Told::new();
    let mut client = setup.client();
    let id = client.producer_id();
    let begin = Instant::now();
    for number in 0..BATCHES {
        let values = values("idempotent", name, number);
        let [a, b, c] = &values;
        let sequence = i32::try_from(number * values.len()).expect("small");
        let set = producer_batch(&[a, b, c], id, 0, sequence);
        loop {
            assert!(begin.elapsed() < TIME_MAX, "{a} never gets through");
            client.send_produce(&short(set.clone()));
            if random.below(8) == 0 {
                // Its answer is lost to the client.
                std::mem::replace(&mut client, setup.client()).cut();
                continue;
            }
            match code(&mut client) {
                0 => break,
                code => assert!([7, 56].contains(&code), "{code} for {a}"),
            }
        }
        told.extend(values.map(|value| (value, true)));
    }
    told
}

fn code(client: &mut Client) -> i16 {
    let partitions = client.receive_produce(PRODUCE_VERSION).expect("an answer");
    partitions[0].error_code
}

/// Clients of both kinds in bad weather; what they were told, and how often each value is stored.
fn run(seed: u64, loses_answers: bool) -> (Told, HashMap<String, usize>) {
    let setup = Setup::with(|wishes| {
        if loses_answers {
            wishes.sls.client.request_timeout = Duration::from_millis(400);
        }
        wishes.sls.shards_refresh = Duration::from_millis(300);
    });
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    let stop = AtomicBool::new(false);
    let told: Vec<Told> = thread::scope(|scope| {
        let weather = scope.spawn(|| rage(&setup, seed, loses_answers, &stop));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|name| {
                let (setup, mut random) = (&setup, Random(seed + 1 + name as u64));
                scope.spawn(move || match name % 2 {
                    0 => send_once(setup, name, &mut random),
                    _ => send_until_stored(setup, name, &mut random),
                })
            })
            .collect();
        let told = clients.into_iter().map(|client| client.join());
        let told = told.collect::<Result<_, _>>();
        stop.store(true, Ordering::Release);
        weather.join().expect("it ended");
        told.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    eventually("nothing is under way", || setup.gateway.budget.used() == 0);
    let Setup {
        gateway, service, ..
    } = setup;
    drop(gateway);
    let mut counts = HashMap::new();
    for value in service.contents(crate::support::PROJECT, LOGSTORE) {
        *counts.entry(value).or_insert(0) += 1;
    }
    (told.into_iter().flatten().collect(), counts)
}

/// Those that are not as they should be.
fn wrong(
    told: &Told,
    counts: &HashMap<String, usize>,
    good: fn(bool, usize) -> bool,
) -> Vec<String> {
    let each = told.iter().map(|(value, acknowledged)| {
        let count = counts.get(value).copied().unwrap_or(0);
        (value, *acknowledged, count)
    });
    let wrong = each.filter(|(_, acknowledged, count)| !good(*acknowledged, *count));
    let text = |(value, acknowledged, count)| {
        format!("{value}: acknowledged {acknowledged}, stored {count} times")
    };
    wrong.map(text).collect()
}

/// One run for each seed, side by side.
fn check(seeds: &[u64], loses_answers: bool, good: fn(bool, usize) -> bool) {
    thread::scope(|scope| {
        for seed in seeds {
            scope.spawn(move || {
                let (told, counts) = run(*seed, loses_answers);
                assert_eq!(told.len(), CLIENTS * BATCHES * 3);
                let wrong = wrong(&told, &counts, good);
                assert!(wrong.is_empty(), "seed {seed:#x}: {wrong:#?}");
            });
        }
    });
}

#[test]
fn nothing_acknowledged_is_missing_when_answers_are_lost_too() {
    check(&[0x5eed, 0xbad], true, |acknowledged, count| {
        !acknowledged || count >= 1
    });
}

#[test]
fn where_no_answer_of_the_log_service_is_lost_all_is_stored_once() {
    check(
        &[0xcafe, 0xf00d],
        false,
        |acknowledged, count| match acknowledged {
            true => count == 1,
            false => count <= 1,
        },
    );
}
