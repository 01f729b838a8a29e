//! What must go nowhere else: requests of other projects, signed requests, secrets.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use sluice::backend::sls::Projects;
use sluice::backend::sls::client::SignatureVersion;
use sluice::server::BadKey;
use sluice::tenant::ProjectName;

use crate::support::client::{ask, batch};
use crate::support::http::Answer;
use crate::support::script::{Action, Moment, Rule};
use crate::support::service::Service;
use crate::support::setup::{KEY, OTHER_PROJECT, Setup, short, two_projects};
use crate::support::{LOGSTORE, PASSWORD, PROJECT, events};

fn refuse_others(verify_logins: bool) {
    let setup = Setup::before(two_projects(), |wishes| {
        let allowed = ProjectName::parse(PROJECT).expect("a name");
        wishes.sls.projects = Projects::Only(BTreeSet::from([allowed]));
        wishes.sls.verify_logins = verify_logins;
        if verify_logins {
            wishes.gateway.bad_key = BadKey::RefuseLogin;
        }
    });
    let json = format!("{LOGSTORE}.json");
    for (project, topic) in [
        (OTHER_PROJECT, LOGSTORE),
        (OTHER_PROJECT, &json),
        ("project-3", LOGSTORE),
    ] {
        let mut client = setup.client_of(project, PASSWORD);
        assert_eq!(client.metadata(topic, true).0, 3, "{project}");
        assert_eq!(client.produce(&ask(topic, batch(&["a"]))), [3]);
    }
    assert!(setup.service.traffic().requests().is_empty());
    assert_eq!(setup.client().produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    assert_eq!(setup.stored(), ["a"]);
}

#[test]
fn projects_that_are_not_allowed_are_refused_without_a_call() {
    refuse_others(false);
    refuse_others(true);
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Service::with(PROJECT, KEY, LOGSTORE);
    let place = format!("http://{}/", elsewhere.address());
    let redirected = |status: u16, foreign: bool| {
        let away = Answer::empty().header("location", &*place);
        let away = Answer {
            status,
            foreign,
            ..away
        };
        let setup = Setup::new();
        let mut client = setup.client();
        assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
        setup.service.script(Rule::all(Action::Answer(away)));
        let asked = short(batch(&["a"]));
        assert_eq!(
            setup.client().metadata("logstore-2", false).0,
            5,
            "{status}"
        );
        assert_eq!(client.produce(&asked), [7], "{status}");
    };
    thread::scope(|scope| {
        for status in [301, 302, 303, 307, 308] {
            for foreign in [false, true] {
                let redirected = &redirected;
                scope.spawn(move || redirected(status, foreign));
            }
        }
    });
    assert!(elsewhere.traffic().requests().is_empty());
    assert_eq!(elsewhere.traffic().connected(), 0);
}

#[test]
fn an_answer_without_end_takes_neither_memory_nor_time() {
    let setup = Setup::new();
    let endless = Rule::all(Action::Endless);
    setup.service.script(endless);
    let asked = short(batch(&["a"]));
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false).0, 5);
    let code = client.produce(&asked)[0];
    assert!([7, 56].contains(&code), "{code}");
}

#[test]
fn secrets_tokens_signatures_and_whole_key_ids_are_in_no_line_of_the_log() {
    let run = |signature| thread::spawn(move || go_wrong_in_all_ways(signature));
    let runs = [SignatureVersion::V1, SignatureVersion::V4].map(run);
    let mut hidden = BTreeSet::from([KEY_ID, SECRET, TOKEN].map(str::to_owned));
    for run in runs {
        let signatures = run.join().expect("it ran");
        assert!(signatures.len() > 5, "signed requests");
        hidden.extend(signatures);
    }
    for word in hidden {
        let lines = events::lines(&[&word]);
        assert!(lines.is_empty(), "{lines:#?}");
    }
    let end = &KEY_ID[KEY_ID.len() - 4..];
    let told = events::lines(&["WARN", &format!("…{end}")]);
    assert!(
        !told.is_empty(),
        "failures are told, with the end of the key's id"
    );
    assert!(!events::lines(&["DEBUG"]).is_empty(), "all lines are kept");
}

const KEY_ID: &str = "id-that-no-log-holds";
const SECRET: &str = "secret-that-no-log-holds";
const TOKEN: &str = "token-that+no/log=holds";

/// Gives the signatures of all requests.
fn go_wrong_in_all_ways(signature: SignatureVersion) -> Vec<String> {
    let setup = Setup::with(|wishes| {
        wishes.sls.client.signature = signature;
        wishes.sls.client.request_timeout = Duration::from_millis(500);
        wishes.sls.shards_refresh = Duration::from_millis(50);
    });
    setup.service.change(|world| {
        world.project(PROJECT).key(KEY_ID, SECRET).token = Some(TOKEN.into());
    });
    let use_key = |suffix: &str| {
        let password = format!("{KEY_ID}#{SECRET}{suffix}#{TOKEN}{suffix}");
        let mut client = setup.client_of(PROJECT, &password);
        client.metadata(LOGSTORE, false);
        client.send_produce(&short(batch(&["a"])));
        client.receive_produce(9).map(|told| told[0].error_code)
    };
    assert_eq!(use_key("").expect("an answer"), 0);
    assert_eq!(use_key("-wrong").expect("an answer"), 29);
    // As the Log Service repeats what it wanted to be signed.
    let repeats = format!("signed was: x-acs-security-token:{TOKEN} {SECRET}");
    let refusal = |status, code| Action::Answer(Answer::refusal(status, code, &repeats));
    for action in [
        refusal(401, "SignatureNotMatch"),
        refusal(403, "SomethingNew"),
        refusal(400, "PostBodyInvalid"),
        Action::Answer(Answer::new(502, "text/html", &*repeats).foreign()),
        Action::Garbage(repeats.clone().into_bytes()),
        Action::Close(Moment::AfterBody),
        Action::Hang(Moment::AfterBody),
    ] {
        setup.service.heal();
        setup.service.script(Rule::all(action));
        let _ = use_key("");
    }
    setup.service.go_down();
    let _ = use_key("");
    let requests = setup.service.traffic().requests();
    let given = requests
        .iter()
        .filter_map(|request| request.head.header("authorization"));
    let last = given.filter_map(|text| text.rsplit([':', '=']).find(|part| part.len() > 20));
    last.map(str::to_owned).collect()
}
