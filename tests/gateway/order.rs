//! Where partitions are shards, a shard holds what one connection sent to its partition in the order in which it was sent.
//!
//! The clients here are no idempotent producers and have many requests in flight. Batches over 32 KiB are decoded on the
//! pool, smaller ones as they arrive.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluice::backend::{Backend, DescribeError};
use sluice::catalog::Spread;

use crate::support::client::{Ask, Client, PRODUCE_VERSION, ask, batch};
use crate::support::told::Told;
use crate::support::{Gateway, LOGSTORE, Settings, contents_by_shard, embedded, eventually};

const PARTITIONS: i32 = 3;
/// As many as stay one log.
const LARGE_BYTES: usize = 1_000_000;

fn gateway(backend: Arc<dyn Backend>) -> Gateway {
    let settings = Settings {
        spread: Spread::ByPartition,
        ..Settings::default()
    };
    Gateway::start(backend, settings)
}

fn to(partition: i32, set: Bytes) -> Ask<'static> {
    Ask {
        sets: vec![(partition, set)],
        ..ask(LOGSTORE, Bytes::new())
    }
}

/// A name and so many letters that do not shrink to nothing when compressed.
fn value(name: &str, letters: usize) -> String {
    let mut state = 0x9e37_79b9_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 24) as u8 % 26)
    });
    format!("{name} {}", String::from_iter(noise.take(letters)))
}

/// The names of the logs of each shard, in the order of storing.
fn names(folder: &tempfile::TempDir) -> Vec<Vec<String>> {
    let name = |value: String| value.split(' ').next().map(str::to_owned);
    let shards = contents_by_shard(folder.path(), LOGSTORE).into_iter();
    shards
        .map(|values| values.into_iter().filter_map(name).collect())
        .collect()
}

fn code(client: &mut Client) -> i16 {
    let answer = client.receive_produce(PRODUCE_VERSION);
    answer.expect("an answer")[0].error_code
}

/// Damaged on the way: 2.
fn damaged(set: &Bytes) -> Bytes {
    let mut set = set.to_vec();
    set[30] ^= 1;
    set.into()
}

/// Made wrong: 87. The batch has one record, whose value's last letter is left over.
fn malformed(set: &Bytes) -> Bytes {
    let mut set = set.to_vec();
    set.push(0);
    let length = i32::try_from(set.len() - 12).expect("small");
    set[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&set[21..]);
    set[17..21].copy_from_slice(&crc.to_be_bytes());
    set.into()
}

#[test]
fn a_large_batch_is_not_overtaken_by_the_small_ones_behind_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gateway = gateway(embedded(folder.path(), false));
    let mut client = Client::new(&gateway);
    let mut sent = vec![Vec::new(); PARTITIONS as usize];
    for round in 0..6 {
        for (step, letters) in [LARGE_BYTES, 10, 40_000, 10, 10].into_iter().enumerate() {
            for partition in 0..PARTITIONS {
                let name = format!("{round}-{step}");
                let set = batch(&[&value(&name, letters)]);
                client.send_produce(&to(partition, set));
                sent[partition as usize].push(name);
            }
        }
        for _ in 0..5 * PARTITIONS {
            assert_eq!(code(&mut client), 0);
        }
    }
    assert_eq!(names(&folder), sent);
}

#[test]
fn batches_of_one_request_keep_their_order_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gateway = gateway(embedded(folder.path(), false));
    let mut client = Client::new(&gateway);
    let names_sent: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    let letters = |number: usize| {
        if number.is_multiple_of(3) {
            200_000
        } else {
            10
        }
    };
    let sets = names_sent.iter().enumerate();
    let sets = sets.map(|(number, name)| (1, batch(&[&value(name, letters(number))])));
    let asked = Ask {
        sets: sets.collect(),
        ..ask(LOGSTORE, Bytes::new())
    };
    assert_eq!(client.produce(&asked), [0; 30]);
    assert_eq!(names(&folder), [vec![], names_sent, vec![]]);
}

#[test]
fn a_broken_batch_lets_those_behind_it_go_on_in_their_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gateway = gateway(embedded(folder.path(), false));
    let mut client = Client::new(&gateway);
    let large = |name: &str| batch(&[&value(name, LARGE_BYTES)]);
    let small = |name: &str| batch(&[&value(name, 10)]);
    let sets = [
        (large("a"), 0),
        (damaged(&large("b")), 2),
        (small("c"), 0),
        (malformed(&small("d")), 87),
        (small("e"), 0),
        (malformed(&large("f")), 87),
        (small("g"), 0),
        (large("h"), 0),
        (damaged(&small("i")), 2),
        (small("j"), 0),
    ];
    for partition in 0..PARTITIONS {
        for (set, _) in &sets {
            client.send_produce(&to(partition, set.clone()));
        }
        let codes = sets.each_ref().map(|_| code(&mut client));
        assert_eq!(codes, sets.each_ref().map(|(_, code)| *code));
    }
    let sound = ["a", "c", "e", "g", "h", "j"].map(str::to_owned).to_vec();
    assert_eq!(names(&folder), vec![sound; PARTITIONS as usize]);
}

#[test]
fn a_batch_whose_logstore_is_looked_up_for_long_is_not_overtaken() {
    let told = Told::open();
    let gateway = gateway(Arc::new(told.clone()));
    let mut client = Client::new(&gateway);
    told.describe_late(Duration::from_millis(300), None);
    for name in ["a", "b", "c"] {
        client.send_produce(&to(0, batch(&[name])));
    }
    assert_eq!([(); 3].map(|()| code(&mut client)), [0; 3]);
    assert_eq!(told.stored(), ["a", "b", "c"]);
}

#[test]
fn a_batch_whose_logstore_is_refused_late_lets_those_behind_it_go_on() {
    let told = Told::open();
    let gateway = gateway(Arc::new(told.clone()));
    let mut client = Client::new(&gateway);
    told.describe_late(Duration::from_millis(300), Some(DescribeError::NoLogstore));
    for name in ["a", "b", "c"] {
        client.send_produce(&to(0, batch(&[name])));
    }
    assert_eq!([(); 3].map(|()| code(&mut client)), [3, 0, 0]);
    assert_eq!(told.stored(), ["b", "c"]);
}

#[test]
fn other_partitions_topics_and_connections_do_not_wait() {
    let told = Told::open();
    let gateway = gateway(Arc::new(told.clone()));
    let mut client = Client::new(&gateway);
    told.describe_late(Duration::from_secs(2), None);
    client.send_produce(&to(0, batch(&["slow"])));
    client.send_produce(&to(1, batch(&["partition"])));
    client.send_produce(&ask("logstore-2", batch(&["topic"])));
    client.send_produce(&to(0, batch(&["behind"])));
    eventually("the others are stored", || {
        told.stored() == ["partition", "topic"]
    });
    assert_eq!(
        Client::new(&gateway).produce(&to(0, batch(&["connection"]))),
        [0]
    );
    assert_eq!(told.stored(), ["partition", "topic", "connection"]);
    assert_eq!([(); 4].map(|()| code(&mut client)), [0; 4]);
    assert_eq!(told.stored()[3..], ["slow", "behind"]);
}

#[test]
fn what_a_client_sent_before_it_left_is_stored_in_order_and_nothing_of_it_stays() {
    let told = Told::open();
    let gateway = gateway(Arc::new(told.clone()));
    let mut client = Client::new(&gateway);
    told.describe_late(Duration::from_millis(500), None);
    for name in ["a", "b", "c"] {
        client.send_produce(&to(0, batch(&[name])));
    }
    client.send_produce(&to(1, batch(&["last"])));
    eventually("all has arrived", || told.stored() == ["last"]);
    client.cut();
    eventually("all is stored", || told.stored().len() == 4);
    assert_eq!(told.stored(), ["last", "a", "b", "c"]);
    eventually("nothing is held", || gateway.budget.used() == 0);
}
