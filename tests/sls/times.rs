//! Log times that the Log Service does not take, and its clock.

use std::thread;
use std::time::Duration;

use crate::support::client::{ask, batch, timed_batch};
use crate::support::group::Log;
use crate::support::request::{Call, Request};
use crate::support::script::Rule;
use crate::support::setup::{Setup, now_ms};
use crate::support::{LOGSTORE, PROJECT, eventually};

#[test]
fn a_time_that_is_refused_becomes_that_of_arrival_and_is_kept_beside() {
    let setup = Setup::lingering();
    let odd_ms = now_ms() - 60_000;
    let odd_s = u32::try_from(odd_ms / 1_000).expect("before 2106");
    let refusal = Rule::refuse(Call::PutLogs, 400, "InvalidTimestamp");
    setup.service.script(refusal.when(move |request| {
        let group = request.group();
        group.is_some_and(|group| group.logs.iter().any(|log| log.time == odd_s))
    }));
    let set = timed_batch(&[(now_ms(), "fine"), (odd_ms, "odd")]);
    assert_eq!(setup.client().produce(&ask(LOGSTORE, set)), [0]);
    assert_eq!(setup.stored(), ["fine", "odd"]);
    let logs = setup.service.logs(PROJECT, LOGSTORE);
    let odd = logs.iter().find(|log| log.field("content") == Some("odd"));
    let odd = odd.expect("it is stored");
    assert!(odd.time > odd_s);
    assert_eq!(odd.field("__kafka_timestamp__"), Some(&*odd_ms.to_string()));
}

fn stored_log(setup: &Setup) -> Log {
    setup.service.logs(PROJECT, LOGSTORE).remove(0)
}

fn is_now(setup: &Setup, log: &Log) -> bool {
    let now_s = setup.service.change(|world| world.now_s());
    (i64::from(log.time) - now_s).abs() <= 60
}

#[test]
fn times_outside_the_log_services_window_become_that_of_arrival() {
    let day_ms = 24 * 3_600_000;
    for (offset_ms, kept) in [
        (-6 * day_ms, true),
        (-7 * day_ms, false),
        (10 * 60_000, true),
        (15 * 60_000, false),
    ] {
        let setup = Setup::new();
        let time_ms = now_ms() + offset_ms;
        let asked = ask(LOGSTORE, timed_batch(&[(time_ms, "a")]));
        assert_eq!(setup.client().produce(&asked), [0], "{offset_ms}");
        let log = stored_log(&setup);
        let remembered = log.field("__kafka_timestamp__").map(str::to_owned);
        if kept {
            assert_eq!((i64::from(log.time), remembered), (time_ms / 1_000, None));
        } else {
            assert!(is_now(&setup, &log), "{offset_ms}");
            assert_eq!(remembered, Some(time_ms.to_string()));
        }
    }
}

#[test]
fn a_time_that_leaves_the_window_while_it_waits_is_repaired_at_the_next_try() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    setup
        .service
        .script(Rule::refuse(Call::PutLogs, 503, "ServerBusy"));
    // Inside for another second or two.
    let time_ms = now_ms() - (7 * 24 - 1) * 3_600_000 + 1_500;
    client.send_produce(&ask(LOGSTORE, timed_batch(&[(time_ms, "a")])));
    let first_s = || {
        let requests = setup.service.requests(Call::PutLogs);
        let group = requests.first().and_then(|request| request.group());
        group.map(|group| i64::from(group.logs[0].time))
    };
    eventually("the first try came", || first_s().is_some());
    assert_eq!(first_s(), Some(time_ms / 1_000));
    thread::sleep(Duration::from_millis(2_600));
    setup.service.heal();
    assert_eq!(
        client.receive_produce(9).expect("an answer")[0].error_code,
        0
    );
    let log = stored_log(&setup);
    assert!(is_now(&setup, &log), "{log:?}");
    assert_eq!(log.field("content"), Some("a"));
    assert!(log.field("__kafka_timestamp__").is_some());
}

#[test]
fn times_are_judged_by_the_log_services_clock_once_it_is_known() {
    for offset_s in [-3_600, 3_600] {
        let setup = Setup::new();
        setup
            .service
            .change(|world| world.clock_offset_s = offset_s);
        let mut client = setup.client();
        assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
        // Each answer tells the time.
        for number in 0..12 {
            let topic = format!("logstore-{}", number + 10);
            assert_eq!(client.metadata(&topic, false).0, 3);
        }
        let asked = ask(LOGSTORE, timed_batch(&[(now_ms(), "a")]));
        assert_eq!(client.produce(&asked), [0], "{offset_s}");
        let log = stored_log(&setup);
        let kept = offset_s > 0;
        assert_eq!(
            log.field("__kafka_timestamp__").is_none(),
            kept,
            "{offset_s}"
        );
        assert!(kept || is_now(&setup, &log), "{log:?}");
    }
}

#[test]
fn a_clock_that_is_an_hour_off_costs_one_refusal_at_a_time_and_is_learned() {
    let setup = Setup::new();
    setup.service.change(|world| world.clock_offset_s = 3_600);
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    for _ in 0..20 {
        assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    }
    assert_eq!(setup.stored().len(), 20);
    let requests = setup.service.traffic().requests();
    let refused = |requests: &[std::sync::Arc<Request>]| {
        let each = requests.iter();
        each.filter(|request| request.status() != Some(200)).count()
    };
    assert!(refused(&requests) >= 1);
    assert!(refused(&requests) <= 10, "{} refusals", refused(&requests));
    let latest = &requests[requests.len() - 10..];
    assert_eq!(refused(latest), 0, "it has learned the time");
}
