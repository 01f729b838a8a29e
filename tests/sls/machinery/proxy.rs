//! The fault proxy passes on what it is not told to break.

use super::caller::{Caller, KEY, LOAD_BALANCED, LOGSTORE, PROJECT};
use crate::support::proxy::Proxy;
use crate::support::request::Call;
use crate::support::script::{Action, Moment, Rule};
use crate::support::service::Service;

fn start() -> (Service, Proxy, Caller) {
    let service = Service::with(PROJECT, KEY, LOGSTORE);
    let proxy = Proxy::start(service.address());
    let caller = Caller::dial(proxy.address());
    (service, proxy, caller)
}

#[test]
fn requests_and_answers_pass_unchanged() {
    let (service, proxy, mut caller) = start();
    let told = caller.put(LOAD_BALANCED, &["a"]).expect("an answer");
    assert_eq!(told.outcome(), "200");
    assert_eq!(told.head.matches("x-log-requestid").count(), 1);
    caller.key = ("key-id", "wrong");
    let told = caller.get("/logstores/logstore-1").expect("an answer");
    assert_eq!(told.outcome(), "401 SignatureNotMatch");
    assert_eq!(service.contents(PROJECT, LOGSTORE), ["a"]);
    assert_eq!(
        (
            proxy.traffic().count(Call::PutLogs),
            proxy.traffic().count(Call::GetLogStore)
        ),
        (1, 1)
    );
}

#[test]
fn the_next_few_are_answered_by_the_proxy() {
    let (service, proxy, mut caller) = start();
    proxy.script(Rule::refuse(Call::PutLogs, 503, "ServerBusy").times(2));
    let outcomes = [0; 3].map(|_| {
        caller
            .put(LOAD_BALANCED, &["a"])
            .expect("an answer")
            .outcome()
    });
    assert_eq!(outcomes, ["503 ServerBusy", "503 ServerBusy", "200"]);
    assert_eq!(service.count(Call::PutLogs), 1);
}

#[test]
fn an_answer_is_lost_behind_what_was_stored() {
    let (service, proxy, mut caller) = start();
    proxy.script(Rule::on(Call::PutLogs, Action::Reset(Moment::CarriedOut)).times(1));
    assert!(caller.put(LOAD_BALANCED, &["a"]).is_err());
    assert_eq!(service.contents(PROJECT, LOGSTORE), ["a"]);
    proxy.heal();
    proxy.go_down();
    proxy.come_back();
    let mut caller = Caller::dial(proxy.address());
    assert_eq!(
        caller.put(LOAD_BALANCED, &["b"]).expect("an answer").status,
        200
    );
}
