//! One record whose content the Log Service does not take, in groups that others share.

use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::clients::{Client, Told, Way, are_installed};
use crate::fault_proxy::group::Group;
use crate::fault_proxy::http::Answer;
use crate::fault_proxy::request::Call;
use crate::fault_proxy::script::{Action, Rule};
use crate::shown::INVALID;
use crate::stack::Stack;
use crate::stored::Stored;

/// All send here.
const SHARED: &str = "shared";
/// Groups wait for everybody's batches.
const LINGER: &str = "[sls]\nlinger-min = \"300ms\"\nlinger-max = \"300ms\"\n";
const RECORDS: usize = 60;
/// The bad one's place among them.
const BAD: usize = 25;
/// Records that kcat has on the way at most, and so in one batch.
const BATCH_MAX: usize = 10;
/// Clients without a bad one.
const INNOCENTS: usize = 3;

#[test]
fn that_can_be_repaired_costs_nobody_anything() {
    if !are_installed("repaired record") {
        return;
    }
    let stack = start(|group| holds_bad(group, "content"));
    let (told, stored) = run(&stack);
    let mut sent: Vec<String> = (0..INNOCENTS).flat_map(innocent).collect();
    for (client, told) in told {
        told.assert_all_delivered(client, RECORDS);
        sent.extend(with_bad(client));
    }
    stored.assert_each_once(SHARED, &sent);
    let logs = stored.logs(SHARED).into_iter();
    let repaired = logs.filter(|log| log.contains_key("content_base64"));
    assert_eq!(repaired.count(), Client::ALL.len());
}

#[test]
fn that_cannot_be_repaired_costs_its_own_batch_alone() {
    if !are_installed("bad record") {
        return;
    }
    let stack = start(|group| holds_bad(group, "content") || holds_bad(group, "content_base64"));
    let (told, stored) = run(&stack);
    let mut storable: Vec<String> = (0..INNOCENTS).flat_map(innocent).collect();
    // Java's second batch, if it makes two: it may be stored when the first is refused, and is then told to come again.
    let behind = with_bad(Client::Java).split_off(BAD + 1);
    stored.assert_holds(SHARED, &storable);
    for (client, told) in told {
        INVALID.assert_told(client, &told);
        if client == Client::Java {
            assert_names_the_bad_one(&told);
        }
        assert_eq!(told.delivered + told.errors.len(), RECORDS, "{told:#?}");
        let in_small_batches = matches!(client, Client::Kcat | Client::KcatIdempotent);
        assert!(
            told.errors.len() <= BATCH_MAX || !in_small_batches,
            "{told:#?}"
        );
        let sent = with_bad(client);
        told.assert_acknowledged_are_in(&sent, &stored.counts(SHARED));
        storable.extend(sent.into_iter().filter(|value| !is_bad(value)));
    }
    stored.assert_only(SHARED, &storable);
    stored.assert_none_twice_but(SHARED, &behind);
}

/// Java is told which record it is, and that the others only shared its batch.
fn assert_names_the_bad_one(told: &Told) {
    let is_named = |error: &&String| error.contains(INVALID.java);
    let named: Vec<_> = told.errors.iter().filter(is_named).collect();
    let place = format!("\"record\":{BAD},");
    assert!(named.len() == 1 && named[0].contains(&place), "{told:#?}");
}

fn innocent(number: usize) -> Vec<String> {
    Client::Kcat.values(&format!("innocent {number}"), RECORDS)
}

fn with_bad(client: Client) -> Vec<String> {
    let mut values = client.values("mixed", RECORDS);
    values[BAD] = format!("bad: {}", client.logstore());
    values
}

fn is_bad(value: &str) -> bool {
    value.starts_with("bad: ")
}

/// As it is or in base64.
fn holds_bad(group: &Group, name: &str) -> bool {
    let decoded = |value: &str| BASE64_STANDARD.decode(value).unwrap_or_default();
    let mut values = group.values(name).into_iter();
    values.any(|value| is_bad(value) || decoded(value).starts_with(b"bad: "))
}

fn start(is_refused: fn(&Group) -> bool) -> Stack {
    let stack = Stack::start(&[SHARED], LINGER);
    let answer = Answer::refusal(400, "PostBodyInvalid", "as told");
    let rule = Rule::on(Call::PutLogs, Action::Answer(answer));
    let refusal = rule.when(move |request| request.group().is_some_and(is_refused));
    stack.proxy.script(refusal);
    stack
}

/// Clients with a bad record and innocent ones, all at the same time in many small batches.
fn run(stack: &Stack) -> ([(Client, Told); 4], Stored) {
    let way = &Way {
        queue_max: BATCH_MAX,
        ..Way::patient()
    };
    let send = |client: Client, values: &[String]| client.send(stack, SHARED, values, way);
    let told = thread::scope(|scope| {
        let innocents: Vec<_> = (0..INNOCENTS)
            .map(|number| scope.spawn(move || send(Client::Kcat, &innocent(number))))
            .collect();
        let guilty = Client::ALL
            .map(|client| scope.spawn(move || (client, send(client, &with_bad(client)))));
        for innocent in innocents {
            let told = innocent.join().expect("the client ran");
            told.assert_all_delivered(Client::Kcat, RECORDS);
        }
        guilty.map(|run| run.join().expect("the client ran"))
    });
    assert!(
        shared_a_group(stack),
        "nobody shared a group with a bad record"
    );
    (told, stack.stored())
}

fn shared_a_group(stack: &Stack) -> bool {
    let is_innocent = |value: &&str| value.starts_with("innocent");
    let requests = stack.proxy.traffic().requests();
    let mut refused = requests
        .iter()
        .filter(|request| request.status() == Some(400));
    refused.any(|request| {
        let group = request.group().expect("it was judged by its group");
        group.values("content").iter().any(is_innocent)
    })
}
