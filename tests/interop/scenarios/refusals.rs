//! What may not be sent is refused, by the code that is published for it, and nothing of it is stored.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};
use tempfile::TempDir;

use super::FEW;
use super::run::{Way, assert_delivered, send};
use crate::card::Seen;
use crate::records::{self, Record};
use crate::rows::{Report, Row};
use crate::server::{Key, Kind, Server, Target, Wants};

/// The time-out of a client that is to give up.
const GIVE_UP: Duration = Duration::from_secs(5);
const BATCH_BYTES_MAX: usize = 1 << 20;

const UNKNOWN_TOPIC: i64 = 3;
const TOO_LARGE: i64 = 10;
const REFUSED_TOPIC: i64 = 29;

/// TopicAuthorizationException in the published table.
pub fn a_wrong_key(row: &Row, on: Kind) -> Seen {
    assert_refused(row, on, Wants::default(), Key::Wrong, REFUSED_TOPIC)
}

pub fn another_projects_key(row: &Row, on: Kind) -> Seen {
    assert_refused(row, on, Wants::default(), Key::Strange, REFUSED_TOPIC)
}

pub fn a_key_that_may_not_write(row: &Row, on: Kind) -> Seen {
    assert_refused(row, on, Wants::default(), Key::Reader, REFUSED_TOPIC)
}

/// UnknownTopicOrPartitionException in the published table.
pub fn a_missing_logstore(row: &Row, on: Kind) -> Seen {
    let wants = Wants {
        topic_exists: false,
        ..Wants::default()
    };
    assert_refused(row, on, wants, Key::Good, UNKNOWN_TOPIC)
}

/// One record: clients wait for each record of a refused topic.
fn assert_refused(row: &Row, on: Kind, wants: Wants, key: Key, code: i64) -> Seen {
    let server = Server::start(on, wants);
    let records = records::mixed("refused", 1);
    let way = Way {
        timeout: GIVE_UP,
        ..Way::plainest(row)
    };
    let report = send(row, &server.target_as(key), way, &records);
    assert_eq!(report.delivered, 0, "{report:?}");
    assert!(server.stored().is_empty(), "it was stored");
    // Kafka has codes of its own for some of this.
    let told = report.names(code) || on == Kind::Kafka;
    assert!(told || row.untold.contains(&code), "{report:?}");
    shown(&report)
}

/// What the client's user is told.
fn shown(report: &Report) -> Seen {
    let error = report.errors.first().expect("a failure has an error");
    let [name, text] = ["name", "text"].map(|part| error[part].as_str().unwrap_or_default());
    Seen::Shown(format!("{name}: {text}"))
}

/// The client's own limit is higher. What it sends afterwards is taken.
pub fn too_large_a_record(row: &Row, on: Kind) -> Seen {
    let wants = Wants {
        batch_bytes_max: Some(BATCH_BYTES_MAX),
        ..Wants::default()
    };
    let server = Server::start(on, wants);
    let target = server.target();
    let way = Way {
        timeout: GIVE_UP,
        ..Way::plainest(row)
    };
    let large = Record::of(vec![b'x'; 2 * BATCH_BYTES_MAX]);
    let report = send(row, &target, way, &[large]);
    assert_eq!(report.delivered, 0, "{report:?}");
    assert!(report.names(TOO_LARGE), "{report:?}");
    let small = records::plain("small", FEW);
    assert_delivered(&send(row, &target, Way::plainest(row), &small), &small);
    assert_eq!(server.stored().len(), FEW);
    shown(&report)
}

/// The client is given the certificate of another authority, and must not send.
pub fn an_unknown_authority(row: &Row, on: Kind) -> Seen {
    let server = Server::start(on, Wants::default());
    let (_folder, ca) = other_authority();
    let way = Way {
        timeout: GIVE_UP,
        ..Way::plainest(row)
    };
    let target = Target {
        ca,
        ..server.target()
    };
    let report = send(row, &target, way, &records::mixed("untrusted", 1));
    assert_eq!(report.delivered, 0, "{report:?}");
    assert!(server.stored().is_empty(), "it was stored");
    shown(&report)
}

/// A certificate that has nothing to do with the server's, as a file in a folder that goes when dropped.
pub fn other_authority() -> (TempDir, PathBuf) {
    let mut authority = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    authority
        .distinguished_name
        .push(DnType::CommonName, "another authority");
    let key = KeyPair::generate().expect("a key can be made");
    let other = authority
        .self_signed(&key)
        .expect("a certificate can be made");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, other.pem()).expect("the folder can be written");
    (folder, ca)
}
