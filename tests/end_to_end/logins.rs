//! Both dialects of the login; wrong keys and names, and what each client makes of them.

use crate::clients::{Client, Way, are_installed, cold, warm};
use crate::shown::{CLOSED, DENIED, MALFORMED, REFUSED, Shown, UNAVAILABLE, UNKNOWN};
use crate::side_by_side::{all_send, side_by_side};
use crate::stack::{PROJECT, Stack};

const WRONG: &str = "dev-access-key-id#wrong";
const UNKNOWN_ID: &str = "nobody#dev-access-key-secret";

#[test]
fn kcat_speaks_the_framed_dialect_and_sarama_the_raw_one() {
    if !are_installed("dialects") {
        return;
    }
    let stack = warm("");
    let told = |client: Client| {
        let value = client.values("hello", 1);
        let told = client.send(&stack, client.logstore(), &value, &Way::patient());
        told.assert_all_delivered(client, 1);
        told
    };
    // librdkafka calls the raw one "legacy".
    assert!(told(Client::Kcat).says("Send SASL Kafka frame to broker"));
    // The four bytes that a server sends back in the raw one.
    let sarama = told(Client::Sarama);
    assert!(sarama.says("Completed pre-auth SASL handshake"));
    assert!(sarama.says("4 - [0 0 0 0]"), "{sarama:#?}");
}

#[test]
fn a_wrong_key_is_told_topic_by_topic() {
    if are_installed("wrong key") {
        let stack = warm("");
        let told = |password| check(&stack, &with_password(password), DENIED);
        side_by_side(vec![
            ("secret", Box::new(|| told(WRONG))),
            ("id", Box::new(|| told(UNKNOWN_ID))),
        ]);
    }
}

#[test]
fn a_login_may_be_refused_or_held() {
    if !are_installed("refused login") {
        return;
    }
    let by = |setting: &str, password: &str, shown| {
        let stack = warm(&format!("[auth]\nbad-key = \"{setting}\"\n"));
        check(&stack, &with_password(password), shown);
    };
    side_by_side(vec![
        ("hold", Box::new(|| by("hold", WRONG, CLOSED))),
        ("refuse", Box::new(|| by("refuse-login", WRONG, REFUSED))),
        (
            "form",
            Box::new(|| by("topic-error", "no-separator", MALFORMED)),
        ),
    ]);
}

/// A project or Logstore that is missing or not passed on is unknown. A wrong secret is not judged before the Log Service
/// has taken any signature: it may be the gateway's own fault, and nobody is told to give up.
#[test]
fn what_is_missing_is_an_unknown_topic_and_what_is_in_doubt_is_none() {
    if !are_installed("missing names") {
        return;
    }
    let other = Way {
        user: "other-project".into(),
        ..Way::hasty()
    };
    let (bare, open) = (Stack::start(&[], ""), warm(""));
    let closed = warm("[sls]\nprojects = [\"test-project-1\"]\n");
    let new = cold("");
    let told = |stack, way, shown| move || check(stack, way, shown);
    let (way, wrong) = (Way::hasty(), with_password(WRONG));
    side_by_side(vec![
        ("Logstore", Box::new(told(&bare, &way, UNKNOWN))),
        ("project", Box::new(told(&open, &other, UNKNOWN))),
        ("not passed on", Box::new(told(&closed, &other, UNKNOWN))),
        ("in doubt", Box::new(told(&new, &wrong, UNAVAILABLE))),
    ]);
    let asked = closed.proxy.traffic().requests();
    assert!(asked.iter().all(|request| request.project == PROJECT));
    let alarms = new.events("the Log Service refused a call; see to it");
    assert!(!alarms.is_empty());
}

fn with_password(password: &str) -> Way {
    Way {
        password: password.into(),
        ..Way::hasty()
    }
}

/// Each client says why nothing is delivered, and nothing is stored.
fn check(stack: &Stack, way: &Way, shown: Shown) {
    for (client, told) in all_send(stack, &Client::ALL, ("refused", 1), way) {
        assert_eq!(told.delivered, 0, "{client:?}: {told:#?}");
        assert!(told.failed, "{client:?}");
        shown.assert_told(client, &told);
    }
    let stored = stack.stored();
    for client in Client::ALL {
        let refused = &client.values("refused", 1)[0];
        assert!(!stored.counts(client.logstore()).contains_key(refused));
    }
}
