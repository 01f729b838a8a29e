//! The same bytes to Apache Kafka 3.9.1 and to Sluice, over TLS with SASL/PLAIN: where their answers differ, the table in
//! `differences` says why, and what stands there does differ.

mod answer;
#[path = "../support/broker.rs"]
mod broker;
mod client;
mod compare;
mod connection;
mod dialogue;
mod differences;
mod probes;
#[path = "../support/programs.rs"]
#[allow(dead_code, reason = "the clients' own tests use all of it")]
mod programs;
mod request;
mod schemas;
mod sets;
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sluice::catalog::Spread;
use sluice::server::BadKey;
use sluice::server::limits::Limits;
use sluice::session;
use tempfile::TempDir;

use broker::Broker;
use client::Client;
use compare::Difference;
use connection::Place;
use dialogue::{Of, Probe};
use differences::Table;
use support::{Gateway, PASSWORD, PROJECT, Settings, embedded};

/// All probes take half a minute; a server that stopped answering must not hold the test for ever.
const RUN_MAX: Duration = Duration::from_secs(300);
/// Both servers answer within their next commit; who says nothing for this long is silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what Kafka never answers.
const HANGING: Duration = Duration::from_millis(500);
/// As Kafka shows of a topic by our configuration.
const PARTITIONS: u32 = 2;

/// What both servers hold to, so that sizes are judged alike.
const FRAME_BYTES_MAX: usize = 4 << 20;
const SET_BYTES_MAX: usize = 1 << 20;
const FRAME_BEFORE_LOGIN_BYTES_MAX: usize = 16 << 10;
const FAILED_LOGIN_DELAY: Duration = Duration::from_millis(20);

#[test]
fn sluice_answers_as_kafka_does_or_the_table_says_why_not() {
    let Some(broker) = start_broker() else {
        return;
    };
    let folders = [Of::Published, Of::Alike].map(|of| (of, new_folder()));
    let gateways: BTreeMap<Of, Gateway> = folders
        .iter()
        .map(|(of, folder)| (*of, start(*of, folder)))
        .collect();
    let mut kafka = Client::new(Place {
        address: broker.address,
        certificate: broker.certificate.clone(),
    });
    let mut sluice: BTreeMap<Of, Client> = gateways
        .iter()
        .map(|(of, gateway)| (*of, Client::new(place(gateway))))
        .collect();
    for probe in probes::preparations() {
        kafka.run(&probe, PATIENCE);
    }
    let deadline = Instant::now() + RUN_MAX;
    let mut table = Table::new();
    let probes = probes::all();
    for probe in &probes {
        let is_late = Instant::now() > deadline;
        assert!(!is_late, "{}: too late\n{}", probe.case, table.complaints());
        let sluice = sluice.get_mut(&probe.of).expect("each is started");
        for difference in ask_both(probe, &mut kafka, sluice) {
            table.judge(difference);
        }
    }
    println!("{} probes; {}", probes.len(), table.counts());
    assert!(table.holds(), "{}\n{}", table.complaints(), tail(&broker));
}

/// `None`, said aloud, where it is not installed.
fn start_broker() -> Option<Broker> {
    let lines = format!(
        "message.max.bytes={SET_BYTES_MAX}
socket.request.max.bytes={FRAME_BYTES_MAX}
sasl.server.max.receive.size={FRAME_BEFORE_LOGIN_BYTES_MAX}
connection.failed.authentication.delay.ms={}
",
        FAILED_LOGIN_DELAY.as_millis()
    );
    let settings = broker::Settings {
        user: PROJECT,
        password: PASSWORD,
        users: &[],
        advertised_port: None,
        lines: &lines,
    };
    Broker::start("wire", &settings)
}

fn ask_both(probe: &Probe, kafka: &mut Client, sluice: &mut Client) -> Vec<Difference> {
    let patience = if probe.hangs { HANGING } else { PATIENCE };
    let kafka = kafka.run(probe, patience);
    let sluice = sluice.run(probe, PATIENCE);
    compare::differences(&probe.case, &kafka, &sluice)
}

fn start(of: Of, folder: &TempDir) -> Gateway {
    let limits = Limits {
        session: session::Limits {
            frame_before_login_bytes_max: FRAME_BEFORE_LOGIN_BYTES_MAX,
            frame_bytes_max: FRAME_BYTES_MAX,
            ..session::Limits::default()
        },
        failed_login_delay: FAILED_LOGIN_DELAY,
        ..Limits::default()
    };
    let (spread, bad_key) = match of {
        Of::Published => (
            Spread::RoundRobin {
                partitions: Some(PARTITIONS),
            },
            BadKey::TopicError,
        ),
        Of::Alike => (Spread::ByPartition, BadKey::RefuseLogin),
    };
    let settings = Settings {
        limits,
        spread,
        bad_key,
        decompressed_bytes_max: SET_BYTES_MAX,
        ..Settings::default()
    };
    Gateway::start(embedded(folder.path(), of == Of::Alike), settings)
}

fn place(gateway: &Gateway) -> Place {
    Place {
        address: gateway.address,
        certificate: gateway.certificate.clone(),
    }
}

fn new_folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// What Kafka said last: it logs why it refuses.
fn tail(broker: &Broker) -> String {
    let said = broker.said();
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
