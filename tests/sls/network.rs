//! What a Kafka client is told when the network to the Log Service fails, or something else answers.

use std::thread;

use sluice::failure::NetworkError;

use crate::codes::{check, metadata, produce, project, start};
use crate::support::http::Answer;
use crate::support::request::Call;
use crate::support::script::{Action, Moment, Rule};
use crate::support::service::Service;
use crate::support::setup::{KEY, Setup};
use crate::support::{LOGSTORE, PASSWORD};

/// As they come from something between, or end the connection.
fn faults() -> Vec<(Action, i16, i16, i16)> {
    let foreign = |status| Action::Answer(Answer::new(status, "text/html", "<html>").foreign());
    let endless = Action::Garbage(b"\0\0\0\0\r\n\r\n".into());
    vec![
        (foreign(200), 7, 7, 5),
        (foreign(302), 7, 7, 5),
        (foreign(404), 7, 7, 5),
        (foreign(502), 7, 7, 5),
        (Action::Close(Moment::AfterBody), 7, 7, 5),
        (Action::Reset(Moment::AfterBody), 7, 7, 5),
        (Action::Hang(Moment::AfterBody), 7, 7, 5),
        (Action::CutAnswer(12), 7, 7, 5),
        (endless, 7, 7, 5),
    ]
}

#[test]
fn each_fault_of_the_network_has_its_code() {
    let faults = faults();
    let run = |call: Call, version: i16| {
        let setup = start(faults.len());
        let mut expected = Vec::new();
        for (row, (action, v9, v7, metadata)) in faults.iter().enumerate() {
            let rule = Rule::on(call, action.clone());
            setup.service.script(rule.project(&project(row)));
            let code = match version {
                9 => v9,
                7 => v7,
                _ => metadata,
            };
            expected.push((format!("{action:?}"), *code));
        }
        check(&expected, |row| match version {
            0 => metadata(&setup, row),
            _ => produce(&setup, row, version),
        });
    };
    thread::scope(|scope| {
        scope.spawn(|| run(Call::PutLogs, 9));
        scope.spawn(|| run(Call::PutLogs, 7));
        scope.spawn(|| run(Call::ListShards, 0));
    });
}

#[test]
fn a_log_service_that_is_down_stores_nothing_so_56_or_6_or_5() {
    let setup = start(1);
    assert_eq!(metadata(&setup, 0), 0);
    setup.service.go_down();
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(produce(&setup, 0, 9), 56));
        scope.spawn(|| assert_eq!(produce(&setup, 0, 7), 6));
        let mut other = setup.client_of(&project(0), PASSWORD);
        assert_eq!(other.metadata("logstore-2", false).0, 5);
    });
}

#[test]
fn network_failures_are_13_where_the_published_code_is_wanted() {
    let rows = [
        Action::Close(Moment::AfterBody),
        Action::Hang(Moment::CarriedOut),
        Action::Answer(Answer::new(200, "text/html", "<html>").foreign()),
    ];
    let service = Service::start();
    service.change(|world| {
        for row in 0..=rows.len() {
            let project = world.project(&project(row));
            project.key(KEY.0, KEY.1);
            project.logstore(LOGSTORE, 3);
        }
    });
    let setup = Setup::before(service, |wishes| {
        wishes.gateway.network_error = NetworkError::Published;
    });
    let mut expected = Vec::new();
    for (row, action) in rows.iter().enumerate() {
        let rule = Rule::on(Call::PutLogs, action.clone());
        setup.service.script(rule.project(&project(row)));
        expected.push((format!("{action:?}"), 13));
    }
    // What the Log Service itself says is no failure of the network.
    let busy = Rule::refuse(Call::PutLogs, 503, "ServerBusy");
    setup.service.script(busy.project(&project(rows.len())));
    expected.push(("503 ServerBusy".into(), 56));
    check(&expected, |row| produce(&setup, row, 9));
    setup.service.heal();
    assert_eq!(produce(&setup, 0, 9), 0);
    setup.service.go_down();
    assert_eq!(produce(&setup, 0, 9), 13);
}

#[test]
fn no_answer_of_the_log_service_becomes_a_code_that_clients_cannot_place() {
    let statuses = [
        201, 204, 301, 400, 401, 403, 404, 409, 413, 429, 500, 501, 503, 599,
    ];
    let bodies = [
        r#"{"errorCode":"","errorMessage":""}"#,
        r#"{"errorCode":"Ünlisted\u0000","errorMessage":"x"}"#,
        r#"{"errorMessage":"no code"}"#,
        "not JSON",
        "",
    ];
    let answers = statuses.iter().flat_map(|status| {
        let answer = move |body: &&str| Answer::new(*status, "application/json", *body);
        bodies.iter().map(answer)
    });
    let answers: Vec<Answer> = answers.collect();
    let setup = start(answers.len() * 2);
    for (row, answer) in answers.iter().enumerate() {
        for (call, row) in [
            (Call::PutLogs, row),
            (Call::ListShards, row + answers.len()),
        ] {
            let rule = Rule::on(call, Action::Answer(answer.clone()));
            setup.service.script(rule.project(&project(row)));
        }
    }
    thread::scope(|scope| {
        for (row, answer) in answers.iter().enumerate() {
            let (setup, described) = (&setup, row + answers.len());
            scope.spawn(move || {
                let code = produce(setup, row, 9);
                assert!([56, 7].contains(&code), "Produce {code} for {answer:?}");
                let code = metadata(setup, described);
                assert_eq!(code, 5, "Metadata for {answer:?}");
            });
        }
    });
}
