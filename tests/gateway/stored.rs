//! Against the embedded Log Service: what is acknowledged is on the disk, and can be read back.

use bytes::Bytes;

use crate::support::client::{Ask, Client, ask, batch, producer_batch};
use crate::support::{Gateway, LOGSTORE, Settings, contents, embedded};

#[test]
fn many_clients_and_sizes_are_stored_once_each() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gateway = Gateway::start(embedded(folder.path(), false), Settings::default());
    let mut wanted: Vec<String> = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut client = Client::new(gateway);
                    let mut sent = Vec::new();
                    for round in 0..30 {
                        let length = [10, 1_000, 50_000][round % 3];
                        let values: Vec<String> = (0..1 + round % 4)
                            .map(|n| format!("{thread}-{round}-{n}-{}", "z".repeat(length)))
                            .collect();
                        let values: Vec<&str> = values.iter().map(String::as_str).collect();
                        assert_eq!(client.produce(&ask(LOGSTORE, batch(&values))), [0]);
                        sent.extend(values.iter().map(|value| (*value).to_owned()));
                    }
                    sent
                })
            })
            .collect();
        for thread in threads {
            wanted.extend(thread.join().expect("it ran"));
        }
    });
    let mut stored = contents(folder.path(), LOGSTORE);
    stored.sort();
    wanted.sort();
    assert_eq!(stored.len(), wanted.len());
    assert!(stored == wanted);
}

#[test]
fn a_repeat_after_a_restart_is_stored_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let id;
    {
        let gateway = Gateway::start(embedded(folder.path(), false), Settings::default());
        let mut client = Client::new(&gateway);
        id = client.producer_id();
        for sequence in 0..7 {
            let set = producer_batch(&[&format!("n{sequence}")], id, 0, sequence);
            assert_eq!(client.produce(&ask(LOGSTORE, set)), [0]);
        }
    }
    let gateway = Gateway::start(embedded(folder.path(), false), Settings::default());
    let mut client = Client::new(&gateway);
    let mut send = |sequence| {
        let set = producer_batch(&[&format!("n{sequence}")], id, 0, sequence);
        client.produce(&ask(LOGSTORE, set))[0]
    };
    for sequence in 2..7 {
        assert_eq!(send(sequence), 0, "the last five are recognised");
    }
    assert_eq!(send(8), 45, "a gap is still a gap");
    assert_eq!(send(7), 0);
    let mut stored = contents(folder.path(), LOGSTORE);
    stored.sort();
    assert_eq!(stored, ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"]);
}

#[test]
fn a_logstore_is_created_by_the_first_stored_group_and_by_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gateway = Gateway::start(embedded(folder.path(), true), Settings::default());
    let mut client = Client::new(&gateway);
    assert_eq!(
        client.metadata("new-store", false).0,
        3,
        "without the flag it does not exist"
    );
    assert_eq!(
        client.metadata("new-store", true),
        (0, 2),
        "with it, it is as good as there"
    );
    assert_eq!(
        client.metadata("new-store", false).0,
        3,
        "asking has not made it"
    );
    assert_eq!(
        client.produce(&ask("new-store.json", batch(&["first"]))),
        [0]
    );
    assert_eq!(
        client.metadata("new-store", false),
        (0, 2),
        "x.json makes x"
    );
    assert_eq!(contents(folder.path(), "new-store"), ["first"]);
}

#[test]
fn nothing_is_created_where_that_is_off() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gateway = Gateway::start(embedded(folder.path(), false), Settings::default());
    let mut client = Client::new(&gateway);
    assert_eq!(client.metadata("new-store", true).0, 3);
    assert_eq!(client.produce(&ask("new-store", batch(&["x"]))), [3]);
}

#[test]
fn all_groups_of_a_large_batch_are_stored_together_over_the_shards() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gateway = Gateway::start(embedded(folder.path(), false), Settings::default());
    let mut client = Client::new(&gateway);
    let values: Vec<String> = (0..9_000)
        .map(|n| format!("{n}-{}", "y".repeat(500)))
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let asked = Ask {
        sets: vec![(0, batch(&values))],
        ..ask(LOGSTORE, Bytes::new())
    };
    assert_eq!(client.produce(&asked), [0]);
    let mut stored = contents(folder.path(), LOGSTORE);
    stored.sort();
    let mut wanted = values;
    wanted.sort_unstable();
    assert!(stored == wanted);
}
