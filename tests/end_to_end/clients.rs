//! The clients that are put before faults, each with a Logstore of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::kcat;
use crate::programs::{is_on_path, missing};
use crate::records::{self, Record};
use crate::rows::{Row, Source, Spec};
use crate::sdk;
use crate::stack::{KEY_ID, PROJECT, SECRET, Stack};

const SARAMA: &str = "sarama-1.38.1";
const JAVA: &str = "java-3.9.1";
/// A busy machine may take so long to start a virtual machine and all that it loads.
const JAVA_START: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// librdkafka; the framed SASL dialect.
    Kcat,
    /// The same as an idempotent producer.
    KcatIdempotent,
    /// The raw SASL dialect.
    Sarama,
    /// The framed SASL dialect, idempotent as it is by default.
    Java,
}

/// How a client sends.
#[derive(Clone)]
pub struct Way {
    pub idempotent: bool,
    pub user: String,
    pub password: String,
    /// The client's own time-out for a record.
    pub message_timeout: Duration,
    /// What it tells the gateway to take at most.
    pub request_timeout: Duration,
    /// Records that kcat has on the way at most.
    pub queue_max: usize,
}

/// What a client was told.
#[derive(Debug)]
pub struct Told {
    pub delivered: usize,
    /// One for each record that was not delivered.
    pub errors: Vec<String>,
    /// Their places among what was sent, where the client says so: kcat does not.
    pub lost: Option<Vec<usize>>,
    /// The client says that something failed.
    pub failed: bool,
    /// The client's own log.
    pub log: String,
}

impl Client {
    pub const ALL: [Self; 4] = [Self::Kcat, Self::KcatIdempotent, Self::Sarama, Self::Java];
    pub const QUICK: [Self; 3] = [Self::Kcat, Self::KcatIdempotent, Self::Sarama];

    pub fn logstore(self) -> &'static str {
        match self {
            Self::Kcat => "kcat",
            Self::KcatIdempotent => "kcat-idempotent",
            Self::Sarama => "sarama",
            Self::Java => "java",
        }
    }

    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::KcatIdempotent | Self::Java)
    }

    /// So many, no two alike whoever sends them in whatever run, of some length.
    pub fn values(self, run: &str, count: usize) -> Vec<String> {
        let of = self.logstore();
        let value = |number| format!("{run} {number} of {of} {:0>80}", number * 7919);
        (0..count).map(value).collect()
    }

    /// Sends all of these at once and waits for their outcome.
    pub fn send(self, stack: &Stack, topic: &str, values: &[String], way: &Way) -> Told {
        let way = way.clone().of(self);
        match self {
            Self::Kcat | Self::KcatIdempotent => kcat::send(stack, topic, values, &way),
            Self::Sarama => send_by_row(SARAMA, topic, stack, values, &way),
            Self::Java => {
                let message_timeout = way.message_timeout + JAVA_START;
                let way = Way {
                    message_timeout,
                    ..way
                };
                send_by_row(JAVA, topic, stack, values, &way)
            }
        }
    }
}

impl Told {
    /// In its log or in an error, in whatever case.
    pub fn says(&self, words: &str) -> bool {
        let says = |text: &String| text.to_lowercase().contains(&words.to_lowercase());
        says(&self.log) || self.errors.iter().any(says)
    }

    /// Whatever the client takes for delivered is among these.
    pub fn assert_acknowledged_are_in(&self, sent: &[String], stored: &BTreeMap<String, usize>) {
        let is_stored = |value: &&String| stored.contains_key(*value);
        match &self.lost {
            None => assert!(sent.iter().filter(is_stored).count() >= self.delivered),
            Some(lost) => {
                let delivered = sent
                    .iter()
                    .enumerate()
                    .filter(|(place, _)| !lost.contains(place));
                for (_, value) in delivered {
                    assert!(is_stored(&value), "acknowledged and missing: {value}");
                }
            }
        }
    }

    pub fn assert_all_delivered(&self, client: Client, count: usize) {
        let is_so = self.delivered == count && self.errors.is_empty() && !self.failed;
        assert!(is_so, "{client:?}, not {count} delivered: {self:#?}");
    }
}

/// False, said aloud, when a client or the SDK is not installed.
pub fn are_installed(what: &str) -> bool {
    if !is_on_path("kcat") {
        missing(&format!("{what}: kcat"));
        return false;
    }
    let mut rows = [SARAMA, JAVA].into_iter();
    rows.all(|name| Row::installed(name, what).is_some()) && sdk::is_installed(what)
}

impl Way {
    /// For a client that is to get through.
    pub fn patient() -> Self {
        Self {
            idempotent: false,
            user: PROJECT.into(),
            password: format!("{KEY_ID}#{SECRET}"),
            message_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
            queue_max: 100_000,
        }
    }

    /// For a client that is to give up, after a few answers.
    pub fn hasty() -> Self {
        Self {
            message_timeout: Duration::from_secs(4),
            request_timeout: Duration::from_secs(2),
            ..Self::patient()
        }
    }

    pub fn of(self, client: Client) -> Self {
        Self {
            idempotent: client.is_idempotent(),
            ..self
        }
    }
}

/// A stack with each client's Logstore.
pub fn cold(settings: &str) -> Stack {
    Stack::start(&Client::ALL.map(Client::logstore), settings)
}

/// The same with a log of the run "warm" in each: the gateway knows them, and that the key is good.
pub fn warm(settings: &str) -> Stack {
    let stack = cold(settings);
    send_one_each(&stack, "warm");
    stack
}

/// Sends, by kcat, a record into each client's Logstore.
pub fn send_one_each(stack: &Stack, run: &str) {
    for client in Client::ALL {
        let (topic, value) = (client.logstore(), client.values(run, 1));
        let told = Client::Kcat.send(stack, topic, &value, &Way::patient());
        told.assert_all_delivered(client, 1);
    }
}

fn send_by_row(name: &str, topic: &str, stack: &Stack, values: &[String], way: &Way) -> Told {
    let row = Row::installed(name, topic).expect("the test has asked for it");
    let records: Vec<Record> = values
        .iter()
        .map(|value| Record::of(value.clone().into_bytes()))
        .collect();
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    records::write(file.path(), &records);
    let report = row.send(&Spec {
        bootstrap: &stack.bootstrap,
        user: &way.user,
        password: &way.password,
        ca: &stack.ca(),
        topic,
        codec: "none",
        acks: "all",
        idempotent: way.idempotent,
        message_format: row.newest_format(),
        broker: None,
        timeout_ms: way.message_timeout.as_millis() as u64,
        patient: false,
        producers: 1,
        pause_ms: 0,
        request_timeout_ms: Some(way.request_timeout.as_millis() as u64),
        verbose: true,
        source: Source::Records(file.path()),
    });
    let place = |error: &Value| error["record"].as_u64().map(|place| place as usize);
    Told {
        delivered: report.delivered,
        errors: report.errors.iter().map(Value::to_string).collect(),
        lost: Some(report.errors.iter().filter_map(place).collect()),
        failed: !report.errors.is_empty(),
        log: report.log,
    }
}
