//! What a wrong key gets, in each of the three ways.

use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiKey, MetadataResponse};
use sluice::server::BadKey;

use crate::support::client::{PRODUCE_VERSION, ask, batch};
use crate::support::request::Call;
use crate::support::script::Rule;
use crate::support::setup::{KEY, Setup, WRONG_PASSWORD, short};
use crate::support::{LOGSTORE, PASSWORD, PROJECT};

#[test]
fn refuse_login_asks_the_log_service_and_says_58() {
    let setup = Setup::with(|wishes| {
        wishes.sls.verify_logins = true;
        wishes.gateway.bad_key = BadKey::RefuseLogin;
    });
    assert_eq!(setup.dial().log_in(PROJECT, PASSWORD), Ok(()));
    assert_eq!(setup.service.count(Call::GetProject), 1);
    for (project, password) in [(PROJECT, WRONG_PASSWORD), (PROJECT, "other-id#key-secret")] {
        let (code, text) = setup.dial().log_in(project, password).expect_err("refused");
        assert_eq!(code, 58, "{password}");
        assert!(
            !text.contains("secret#") && !text.contains("wrong-secret"),
            "{text}"
        );
    }
    let mut client = setup.client();
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
}

#[test]
fn hold_closes_without_an_answer_at_login_and_later() {
    let setup = Setup::with(|wishes| {
        wishes.sls.verify_logins = true;
        wishes.sls.shards_refresh = Duration::from_millis(100);
        wishes.gateway.bad_key = BadKey::Hold;
    });
    let mut good = setup.client();
    assert_eq!(good.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    let (code, _) = setup
        .dial()
        .log_in(PROJECT, WRONG_PASSWORD)
        .expect_err("closed");
    assert_eq!(code, 0, "no answer at all");
    setup
        .service
        .change(|world| world.project(PROJECT).key(KEY.0, KEY.1).may_write = false);
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let asked = short(batch(&["b"]));
        good.send_produce(&asked);
        match good.receive_produce(PRODUCE_VERSION) {
            Err(_) => return,
            Ok(partitions) => assert_eq!(partitions[0].error_code, 56, "29 would lose its data"),
        }
        assert!(Instant::now() < end, "it was never held");
    }
}

#[test]
fn a_login_is_taken_while_the_log_service_cannot_judge_it() {
    for bad_key in [BadKey::RefuseLogin, BadKey::Hold] {
        let setup = Setup::with(|wishes| {
            wishes.sls.verify_logins = true;
            wishes.gateway.bad_key = bad_key;
        });
        let busy = Rule::refuse(Call::GetProject, 503, "ServerBusy");
        setup.service.script(busy);
        assert_eq!(setup.dial().log_in(PROJECT, PASSWORD), Ok(()));
        assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    }
}

#[test]
fn by_default_the_login_is_taken_and_asks_nothing() {
    let setup = Setup::new();
    let mut client = setup.client_of(PROJECT, WRONG_PASSWORD);
    assert!(setup.service.traffic().requests().is_empty());
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    assert_eq!(client.metadata(LOGSTORE, false).0, 29);
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [29]);
}

#[test]
fn metadata_and_produce_of_a_wrong_key_are_answered_in_order() {
    let setup = Setup::new();
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    let mut client = setup.client_of(PROJECT, WRONG_PASSWORD);
    let request = kafka_protocol::messages::MetadataRequest::default().with_topics(None);
    let mut frames = client.frame(ApiKey::Metadata, 9, &request);
    frames.extend(client.produce_frame(&ask(LOGSTORE, batch(&["a"]))));
    client.write(&frames);
    let listed: MetadataResponse = client.receive(ApiKey::Metadata, 9).expect("an answer");
    assert!(listed.topics.is_empty());
    let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
    assert_eq!(told[0].error_code, 29);
    assert!(
        setup.service.requests(Call::Other).is_empty(),
        "it never lists"
    );
}
