//! Each fault, as the one at the other end sees it.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use super::caller::{Caller, KEY, LOAD_BALANCED, LOGSTORE, PROJECT};
use crate::support::eventually;
use crate::support::http::Answer;
use crate::support::request::Call;
use crate::support::script::{Action, Gate, Moment, Pause, Rule};
use crate::support::service::Service;

const TICK: Duration = Duration::from_millis(1);

fn start() -> Service {
    Service::with(PROJECT, KEY, LOGSTORE)
}

/// One write over a connection of its own: status and code, or how the connection ended.
fn put(service: &Service, content: &str) -> String {
    match Caller::dial(service.address()).put(LOAD_BALANCED, &[content]) {
        Ok(told) => told.outcome(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn with(action: Action) -> Service {
    let service = start();
    service.script(Rule::on(Call::PutLogs, action));
    service
}

fn stored(service: &Service) -> usize {
    service.logs(PROJECT, LOGSTORE).len()
}

#[test]
fn the_first_rule_that_fits_decides_as_often_as_it_says() {
    let service = start();
    service.script(Rule::refuse(Call::PutLogs, 500, "InternalServerError").times(2));
    service.script(Rule::refuse(Call::PutLogs, 403, "WriteQuotaExceed").project("other"));
    service.script(Rule::refuse(Call::PutLogs, 400, "PostBodyInvalid").holding("poison"));
    let outcomes = ["a", "b", "poison", "c"].map(|content| put(&service, content));
    let refused = "500 InternalServerError";
    assert_eq!(outcomes, [refused, refused, "400 PostBodyInvalid", "200"]);
    service.heal();
    assert_eq!(put(&service, "poison"), "200");
}

#[test]
fn a_rule_may_hold_until_an_instant() {
    let service = start();
    let quota = Rule::refuse(Call::PutLogs, 403, "ShardWriteQuotaExceed");
    service.script(quota.until(Instant::now() + Duration::from_secs(300)));
    service.script(Rule::refuse(Call::PutLogs, 500, "unreached").until(Instant::now()));
    assert_eq!(put(&service, "a"), "403 ShardWriteQuotaExceed");
    service.heal();
    service.script(Rule::refuse(Call::PutLogs, 403, "over").until(Instant::now()));
    assert_eq!(put(&service, "a"), "200");
}

#[test]
fn a_rule_may_look_at_shard_size_and_anything_else() {
    let service = start();
    let range = service
        .change(|world| world.project(PROJECT).logstores[LOGSTORE].range(1))
        .expect("it is writable");
    let (inside, outside) = (*range.start(), *range.end() + 1);
    service.script(Rule::refuse(Call::PutLogs, 403, "ShardWriteQuotaExceed").keys(range));
    service.script(Rule::refuse(Call::PutLogs, 413, "PostBodyTooLarge").logs_over(2));
    service.script(
        Rule::refuse(Call::ListShards, 404, "x")
            .logstore("logstore-1")
            .when(|request| request.number > 1),
    );
    let mut caller = Caller::dial(service.address());
    let mut routed = |key: u128, contents: &[&str]| {
        let target = format!("/logstores/logstore-1/shards/route?key={key:032x}");
        caller.put(&target, contents).expect("an answer").outcome()
    };
    assert_eq!(routed(inside, &["a"]), "403 ShardWriteQuotaExceed");
    assert_eq!(routed(outside, &["a"; 3]), "413 PostBodyTooLarge");
    assert_eq!(routed(outside, &["a"; 2]), "200");
    let told = caller
        .get("/logstores/logstore-1/shards")
        .expect("an answer");
    assert_eq!(told.outcome(), "404 x");
}

#[test]
fn a_connection_ends_at_the_moment_told() {
    let closed = "UnexpectedEof";
    for (moment, how, logs) in [
        (Moment::BeforeBody, closed, 0),
        (Moment::AfterBody, closed, 0),
        (Moment::CarriedOut, closed, 1),
        (Moment::Answered, "200", 1),
    ] {
        let service = with(Action::Close(moment));
        assert_eq!(put(&service, "a"), how, "{moment:?}");
        assert_eq!(stored(&service), logs, "{moment:?}");
        let service = with(Action::Reset(moment));
        let seen = put(&service, "a");
        assert!(
            seen == "ConnectionReset" || (moment == Moment::Answered && seen == "200"),
            "{moment:?}: {seen}"
        );
        assert_eq!(stored(&service), logs, "{moment:?}");
    }
}

#[test]
fn a_connection_that_was_to_be_kept_is_closed_behind_its_answer() {
    let service = with(Action::Close(Moment::Answered));
    let mut caller = Caller::dial(service.address());
    assert_eq!(
        caller.put(LOAD_BALANCED, &["a"]).expect("an answer").status,
        200
    );
    assert_eq!(caller.stream().read(&mut [0]).expect("FIN"), 0);
}

#[test]
fn hanging_says_nothing_and_stores_only_when_told_to() {
    for (moment, logs) in [
        (Moment::BeforeBody, 0),
        (Moment::AfterBody, 0),
        (Moment::CarriedOut, 1),
    ] {
        let service = with(Action::Hang(moment));
        let mut caller = Caller::dial(service.address());
        let limit = Some(Duration::from_millis(300));
        caller
            .stream()
            .set_read_timeout(limit)
            .expect("a socket option");
        let error = caller.put(LOAD_BALANCED, &["a"]).expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(stored(&service), logs, "{moment:?}");
        assert_eq!(service.traffic().at_once(PROJECT), 1);
        drop(caller);
        if moment != Moment::BeforeBody {
            eventually("its leaving was seen", || {
                service.traffic().at_once(PROJECT) == 0
            });
        }
    }
}

#[test]
fn requests_wait_at_a_gate_and_are_counted_while_they_do() {
    let service = start();
    let (before, behind) = (Gate::closed(), Gate::closed());
    service.script(
        Rule::on(
            Call::PutLogs,
            Action::AnswerLate(Pause::Until(behind.clone())),
        )
        .holding("late"),
    );
    service.script(Rule::on(Call::PutLogs, Action::Pass).after(Pause::Until(before.clone())));
    std::thread::scope(|scope| {
        for content in ["a", "b", "late"] {
            scope.spawn(|| assert_eq!(put(&service, content), "200"));
        }
        service.traffic().wait_for(Call::PutLogs, 3);
        eventually("one was stored", || stored(&service) == 1);
        assert_eq!(
            service.contents(PROJECT, LOGSTORE),
            ["late"],
            "only its answer is held"
        );
        before.open();
        behind.open();
    });
    assert_eq!(stored(&service), 3);
    assert_eq!(service.traffic().at_once_max(PROJECT), 3);
    assert_eq!(service.traffic().at_once(PROJECT), 0);
}

#[test]
fn slow_bodies_and_slow_answers_arrive_whole() {
    let service = with(Action::Drip(TICK));
    assert_eq!(put(&service, "a"), "200");
    let service = with(Action::ReadSlowly(TICK));
    assert_eq!(put(&service, &"a".repeat(8_000)), "200");
    let service = with(Action::AnswerLate(Pause::For(TICK)));
    assert_eq!(put(&service, "a"), "200");
    assert_eq!(stored(&service), 1);
}

#[test]
fn answers_may_be_cut_senseless_or_without_an_end() {
    let service = with(Action::CutAnswer(20));
    assert_eq!(put(&service, "a"), "UnexpectedEof");
    assert_eq!(stored(&service), 1);
    let service = with(Action::Garbage(
        b"\x15\x03\x01\x00\x02\x02\x50\r\n\r\n".into(),
    ));
    assert_eq!(put(&service, "a"), "InvalidData");
    let service = with(Action::Endless);
    let mut caller = Caller::dial(service.address());
    assert_eq!(
        caller.put(LOAD_BALANCED, &["a"]).expect("a head").status,
        200
    );
    let mut some = vec![0; 4 << 20];
    caller
        .stream()
        .read_exact(&mut some)
        .expect("more and more");
}

#[test]
fn answers_may_come_from_elsewhere_or_lead_there() {
    let portal = Answer::new(200, "text/html", "<html>").foreign();
    let service = with(Action::Answer(portal));
    let told = Caller::dial(service.address())
        .put(LOAD_BALANCED, &["a"])
        .expect("an answer");
    assert_eq!((told.status, told.header("x-log-requestid")), (200, None));
    assert_eq!(stored(&service), 0);
    let away = Answer::empty().header("location", "http://127.0.0.1:1/");
    let service = with(Action::Answer(Answer {
        status: 302,
        ..away
    }));
    let told = Caller::dial(service.address())
        .put(LOAD_BALANCED, &["a"])
        .expect("an answer");
    assert_eq!(
        (told.status, told.header("location")),
        (302, Some("http://127.0.0.1:1/"))
    );
    assert!(told.header("x-log-requestid").is_some());
}

#[test]
fn what_is_down_refuses_connections_and_cuts_those_that_are_open() {
    let service = start();
    let mut caller = Caller::dial(service.address());
    assert_eq!(caller.get("/").expect("an answer").status, 200);
    service.go_down();
    assert!(caller.get("/").is_err());
    assert!(std::net::TcpStream::connect(service.address()).is_err());
    service.come_back();
    assert_eq!(put(&service, "a"), "200");
}
