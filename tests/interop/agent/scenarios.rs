//! What each agent is put through.

use std::thread;
use std::time::Duration;

use super::Agent;
use super::lines::Found;
use super::refusals::{missing_logstore, transactions, unknown_authority, wrong_key};
use super::stage::{LINES, Stage, last_lines};
use crate::card::Section::{Refused, Stored, Trouble};
use crate::card::Seen;
use crate::relay::Fault;
use crate::scenarios::WRONG_KEY_DIFFERS;
use crate::server::{Kind, Server, Wants};
use crate::trials::On::{Both, BothDiffer, SluiceAlone};
use crate::trials::Scenario;

pub const SCENARIOS: &[Scenario<Agent>] = &[
    Scenario::new(
        Stored,
        "every_line_is_stored_once_though_the_file_is_rotated",
        "lines of a rotated file",
        Both,
        rotated,
    )
    .for_every_row(),
    Scenario::new(
        Refused,
        "a_wrong_key_is_told",
        "wrong key",
        BothDiffer(WRONG_KEY_DIFFERS),
        wrong_key,
    ),
    Scenario::new(
        Refused,
        "a_missing_logstore_is_told",
        "no such Logstore",
        Both,
        missing_logstore,
    ),
    Scenario::new(
        Refused,
        "an_unknown_authority_is_told",
        "unknown authority",
        Both,
        unknown_authority,
    ),
    Scenario::new(Trouble, KILLED, "killed midway", Both, killed).for_every_row(),
    Scenario::new(Trouble, DRAINED, "drained midway", Both, drained),
    Scenario::new(
        Refused,
        "transactions_are_refused",
        "transactions",
        SluiceAlone,
        transactions,
    ),
    Scenario::new(
        Trouble,
        LATE_ANSWERS,
        "answers after 8 s",
        Both,
        late_answers,
    ),
    Scenario::new(
        Trouble,
        "a_key_is_revoked_and_restored",
        "key revoked for 5 s",
        SluiceAlone,
        revoked,
    ),
    Scenario::new(Trouble, HELD, "key held for 5 s", SluiceAlone, held),
];

/// Those in which an agent may have ways of its own.
const KILLED: &str = "a_killed_server_loses_no_line";
const DRAINED: &str = "a_drained_server_loses_no_line";
const LATE_ANSWERS: &str = "answers_after_eight_seconds_lose_no_line";
const HELD: &str = "a_held_key_loses_no_line";

const AWAY: Duration = Duration::from_millis(500);
const REVOKED: Duration = Duration::from_secs(5);
/// Few: some agents send one line and wait for its answer.
const LATE_LINES: usize = 10;
const LATE: Duration = Duration::from_secs(8);

fn rotated(agent: &Agent, on: Kind) -> Seen {
    let server = Server::start(on, Wants::default());
    let target = server.target();
    let mut stage = Stage::set(agent, server, &target, LINES);
    if stage.follows() {
        stage.file.append_slowly(LINES / 2);
        stage.file.rotate();
        stage.file.append_slowly(LINES / 2);
    } else {
        assert!(stage.running.end_by_itself(), "{}", stage.running.said());
    }
    let found = stage.settle();
    let said = stage.running.said();
    let once = Found {
        missing: 0,
        repeats: 0,
    };
    assert_eq!(found, once, "{}", last_lines(&said));
    Seen::Good
}

fn killed(agent: &Agent, on: Kind) -> Seen {
    away_and_back(agent, on, KILLED, Server::kill)
}

fn drained(agent: &Agent, on: Kind) -> Seen {
    away_and_back(agent, on, DRAINED, Server::drain)
}

const RESTARTS: Wants = Wants {
    topic_exists: true,
    batch_bytes_max: None,
    relayed: false,
    restarts: true,
    holds_bad_keys: false,
};

fn away_and_back(agent: &Agent, on: Kind, scenario: &str, end: fn(&mut Server)) -> Seen {
    let server = Server::start(on, RESTARTS);
    let target = server.target();
    let mut stage = Stage::set(agent, server, &target, LINES);
    stage.meanwhile(|server| {
        end(server);
        thread::sleep(AWAY);
        server.start_again();
    });
    stage.judge(scenario)
}

fn late_answers(agent: &Agent, on: Kind) -> Seen {
    let wants = Wants {
        relayed: true,
        ..Wants::default()
    };
    let mut server = Server::start(on, wants);
    server.relay(Fault::Late(LATE));
    let target = server.target();
    let mut stage = Stage::set(agent, server, &target, LATE_LINES);
    if stage.follows() {
        stage.file.append_slowly(LATE_LINES);
    }
    stage.judge(LATE_ANSWERS)
}

fn revoked(agent: &Agent, on: Kind) -> Seen {
    let server = Server::start(on, RESTARTS);
    let target = server.target();
    let mut stage = Stage::set(agent, server, &target, LINES);
    stage.meanwhile(|server| server.revoke_key_for(REVOKED));
    let found = stage.settle();
    let written = stage.file.len();
    Seen::Noted(format!(
        "{} of {written} dropped by the agent",
        found.missing
    ))
}

fn held(agent: &Agent, on: Kind) -> Seen {
    let wants = Wants {
        holds_bad_keys: true,
        ..RESTARTS
    };
    let server = Server::start(on, wants);
    let target = server.target();
    let mut stage = Stage::set(agent, server, &target, LINES);
    stage.meanwhile(|server| server.revoke_key_for(REVOKED));
    stage.judge(HELD)
}
