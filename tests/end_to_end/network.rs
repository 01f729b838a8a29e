//! The network between gateway and Log Service fails, or is slow.

use std::thread;
use std::time::{Duration, Instant};

use crate::clients::{Client, Way, are_installed, cold, warm};
use crate::fault_proxy::Proxy;
use crate::fault_proxy::http::Answer;
use crate::fault_proxy::request::Call;
use crate::fault_proxy::script::{Action, Moment, Pause, Rule};
use crate::faults::{Fault, check_all, heal};
use crate::shown::{NOT_STORED, PERHAPS_STORED, PUBLISHED, UNAVAILABLE};
use crate::side_by_side::{all_send, side_by_side};

/// How long the Log Service is away at the start.
const DOWN: Duration = Duration::from_secs(3);

#[test]
fn a_connection_that_is_refused_or_never_answered() {
    check_all("no connection", || {
        let silent = Fault {
            settings: "[sls]\nrequest-timeout = \"3s\"\nconnect-timeout = \"1s\"\n",
            ..of_writes(Action::Hang(Moment::AfterBody))
        };
        vec![
            ("refused", Fault::new(Proxy::go_down, NOT_STORED)),
            ("silent", silent),
        ]
    });
}

#[test]
fn a_connection_that_is_reset() {
    check_all("reset", || {
        let reset = |moment| of_writes(Action::Reset(moment));
        let stored = Fault {
            is_stored: true,
            ..reset(Moment::CarriedOut).with_java()
        };
        vec![
            ("before the body", reset(Moment::BeforeBody)),
            ("behind the body", reset(Moment::AfterBody)),
            ("behind what was stored", stored),
        ]
    });
}

/// A captive portal, a proxy: no Log Service says this.
#[test]
fn an_answer_that_is_not_the_log_services() {
    check_all("foreign answer", || {
        let answer = Answer::new(200, "text/html", "<html>Please log in</html>").foreign();
        vec![("foreign", of_writes(Action::Answer(answer)))]
    });
}

#[test]
fn told_as_published_makes_some_clients_give_up() {
    if are_installed("published code") {
        let fault = Fault {
            settings: "[sls]\nnetwork-error = \"published\"\n",
            ..Fault::new(Proxy::go_down, PUBLISHED).with_java()
        };
        fault.lasts();
    }
}

#[test]
fn slowness_is_waited_for_and_not_seen() {
    if are_installed("slowness") {
        let body = Action::ReadSlowly(Duration::from_millis(20));
        let pause = Duration::from_secs(8);
        let answer = Action::AnswerLate(Pause::For(pause));
        side_by_side(vec![
            // Some dozen KiB.
            (
                "body",
                Box::new(|| slow_but_good(body, Duration::from_secs(1), 2_000)),
            ),
            ("answer", Box::new(|| slow_but_good(answer, pause, 10))),
        ]);
    }
}

/// Nobody sees a failure, and nothing is written twice.
fn slow_but_good(action: Action, least: Duration, count: usize) {
    let stack = warm("");
    stack.proxy.script(Rule::on(Call::PutLogs, action));
    let begun = Instant::now();
    let told = all_send(&stack, &Client::ALL, ("slow", count), &Way::patient());
    assert!(begun.elapsed() >= least);
    let stored = stack.stored();
    for (client, told) in told {
        told.assert_all_delivered(client, count);
        PERHAPS_STORED.assert_untold(client, &told);
        let mut sent = client.values("warm", 1);
        sent.extend(client.values("slow", count));
        stored.assert_each_once(client.logstore(), &sent);
    }
}

/// Each client gives up on every answer, but its repeat finds the first try's.
#[test]
fn an_answer_that_is_always_too_late_stores_once_for_an_idempotent_client() {
    if !are_installed("late answers") {
        return;
    }
    let stack = warm("");
    let pause = Pause::For(Duration::from_secs(3));
    let rule = Rule::on(Call::PutLogs, Action::AnswerLate(pause));
    stack.proxy.script(rule);
    let way = Way {
        message_timeout: Duration::from_secs(7),
        ..Way::hasty()
    };
    let told = all_send(&stack, &Client::ALL, ("late", 3), &way);
    let stored = stack.stored();
    for (client, told) in told {
        PERHAPS_STORED.assert_told(client, &told);
        let mut sent = client.values("warm", 1);
        sent.extend(client.values("late", 3));
        match client.is_idempotent() {
            true => {
                told.assert_all_delivered(client, 3);
                stored.assert_each_once(client.logstore(), &sent);
            }
            false => stored.assert_each(client.logstore(), &sent),
        }
    }
}

#[test]
fn a_log_service_that_is_down_at_the_start_is_waited_for() {
    if !are_installed("cold start") {
        return;
    }
    let stack = cold("");
    stack.proxy.go_down();
    let told = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(DOWN);
            heal(&stack);
        });
        all_send(&stack, &Client::ALL, ("early", 10), &Way::patient())
    });
    let stored = stack.stored();
    for (client, told) in told {
        let sent = client.values("early", 10);
        if client == Client::Sarama {
            // It asks four times within a second; whoever uses it has to come again.
            UNAVAILABLE.assert_told(client, &told);
            stored.assert_only(client.logstore(), &sent);
        } else {
            told.assert_all_delivered(client, 10);
            stored.assert_each_once(client.logstore(), &sent);
        }
    }
}

fn of_writes(action: Action) -> Fault {
    Fault::of_writes(action, PERHAPS_STORED)
}
