//! A key that worked is refused, for a time or for good.

use std::thread;
use std::time::Duration;

use crate::clients::{Client, Told, Way, are_installed, warm};
use crate::eventually::eventually;
use crate::fault_proxy::group::Group;
use crate::fault_proxy::http::Answer;
use crate::fault_proxy::request::Call;
use crate::fault_proxy::script::{Action, Pause, Rule};
use crate::faults::Fault;
use crate::shown::{CLOSED, DENIED, Shown};
use crate::side_by_side::side_by_side;
use crate::stack::Stack;

/// Of a key that is disabled.
const DISABLED: &str = "Unauthorized";
/// Of a key whose secret is another now.
const CHANGED: &str = "SignatureNotMatch";
/// Long enough for clients to come back, and to be held again.
const AND_THEN: Duration = Duration::from_millis(1_500);
const STREAMS: [Client; 2] = [Client::Kcat, Client::KcatIdempotent];
const RECORDS: usize = 200;
const HELD: &str = "a key that worked is refused by the Log Service; its agents are held until the grace is over, then they may drop their data";

#[test]
fn within_its_grace_connections_close_without_an_answer() {
    if are_installed("held key") {
        lasts(CLOSED, "");
    }
}

#[test]
fn beyond_its_grace_clients_are_told() {
    if are_installed("refused key") {
        lasts(DENIED, "[sls]\nkey-grace = \"1s\"\n");
    }
}

#[test]
fn a_rotation_in_the_middle_of_a_stream_costs_no_record() {
    if are_installed("rotated key") {
        side_by_side(vec![
            (DISABLED, Box::new(|| rotate(DISABLED))),
            (CHANGED, Box::new(|| rotate(CHANGED))),
        ]);
    }
}

fn lasts(shown: Shown, settings: &'static str) {
    let refused = |code| Fault {
        settings,
        ..Fault::of_all(refusal(code), shown)
    };
    let (disabled, changed) = (refused(DISABLED).with_java(), refused(CHANGED));
    side_by_side(vec![
        (DISABLED, Box::new(|| disabled.lasts())),
        (CHANGED, Box::new(|| changed.lasts())),
    ]);
}

fn refusal(code: &str) -> Action {
    Action::Answer(Answer::refusal(401, code, "as told"))
}

/// The key is refused in the middle of two streams and before a third begins, and is good again a moment later.
fn rotate(code: &str) {
    let stack = warm("");
    stack.proxy.script(slow());
    let stack = &stack;
    let told = thread::scope(|scope| {
        let stream = |client| scope.spawn(move || send(stack, client));
        let streams = STREAMS.map(stream);
        for client in STREAMS {
            let first = &client.values("stream", 1)[0];
            eventually("the stream begins", || is_stored(stack, first));
        }
        stack.proxy.heal();
        stack.proxy.script(Rule::all(refusal(code)));
        let java = stream(Client::Java);
        eventually("the key is held", || !stack.events(HELD).is_empty());
        thread::sleep(AND_THEN);
        stack.proxy.heal();
        stack.proxy.script(slow());
        let all = streams.into_iter().chain([java]);
        all.map(|stream| stream.join().expect("it ran"))
            .collect::<Vec<_>>()
    });
    let stored = stack.stored();
    for (client, told) in told {
        // Java may have begun too late to see it.
        if client != Client::Java {
            CLOSED.assert_told(client, &told);
        }
        DENIED.assert_untold(client, &told);
        told.assert_all_delivered(client, RECORDS);
        let mut sent = client.values("warm", 1);
        sent.extend(client.values("stream", RECORDS));
        stored.assert_each_once(client.logstore(), &sent);
    }
}

fn send(stack: &Stack, client: Client) -> (Client, Told) {
    let values = client.values("stream", RECORDS);
    let way = Way {
        queue_max: RECORDS / 10,
        ..Way::patient()
    };
    (client, client.send(stack, client.logstore(), &values, &way))
}

/// A stream takes its time.
fn slow() -> Rule {
    let pause = Pause::For(Duration::from_millis(400));
    Rule::on(Call::PutLogs, Action::AnswerLate(pause))
}

/// The Log Service has taken this one.
fn is_stored(stack: &Stack, value: &str) -> bool {
    let requests = stack.proxy.traffic().requests();
    let holds = |group: &Group| group.holds(value);
    let mut stored = requests
        .iter()
        .filter(|request| request.status() == Some(200));
    stored.any(|request| request.group().is_some_and(holds))
}
