//! The same bytes to Apache Kafka 3.9.1 and to Sluice, over TLS with SASL/PLAIN: where their answers differ, the table in
//! `differences` says why, and what stands there does differ.

mod answer;
mod client;
mod compare;
mod connection;
mod dialogue;
mod differences;
mod probes;
mod request;
mod schemas;
mod sets;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sluice::catalog::Spread;
use sluice::server::BadKey;
use sluice::server::limits::Limits;
use sluice::session;
use tempfile::TempDir;

use self::client::Client;
use self::compare::Difference;
use self::connection::Place;
use self::dialogue::{Of, Probe};
use self::differences::Table;
use crate::broker::{self, Broker};
use crate::support::{Gateway, Settings, embedded};

/// All probes take half a minute; a server that stopped answering must not hold the test for ever.
const RUN_MAX: Duration = Duration::from_secs(300);
/// Both servers answer within their next commit; who says nothing for this long is silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what Kafka never answers.
const HANGING: Duration = Duration::from_millis(500);
/// As Kafka shows of a topic by our configuration.
const PARTITIONS: u32 = 2;

#[test]
fn sluice_answers_as_kafka_does_or_the_table_says_why_not() {
    let Some(broker) = Broker::start() else {
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

fn ask_both(probe: &Probe, kafka: &mut Client, sluice: &mut Client) -> Vec<Difference> {
    let patience = if probe.hangs { HANGING } else { PATIENCE };
    let kafka = kafka.run(probe, patience);
    let sluice = sluice.run(probe, PATIENCE);
    compare::differences(&probe.case, &kafka, &sluice)
}

fn start(of: Of, folder: &TempDir) -> Gateway {
    let limits = Limits {
        session: session::Limits {
            frame_before_login_bytes_max: broker::FRAME_BEFORE_LOGIN_BYTES_MAX,
            frame_bytes_max: broker::FRAME_BYTES_MAX,
            ..session::Limits::default()
        },
        failed_login_delay: broker::FAILED_LOGIN_DELAY,
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
        decompressed_bytes_max: broker::SET_BYTES_MAX,
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
