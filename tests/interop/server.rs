//! What clients are put before: Sluice, or Apache Kafka itself, which is the measure of what they can be expected to do.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::records::Stored;
use crate::relay::{Fault, Relay};

mod greeting;
mod kafka;
mod lines;
mod sluice;

use kafka::Kafka;
use sluice::Sluice;

/// How long what nobody confirmed (acks=0) may take to appear.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Sluice,
    Kafka,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sluice => "sluice",
            Self::Kafka => "kafka",
        }
    }
}

/// What a test wants of its server.
#[derive(Clone, Copy)]
pub struct Wants {
    pub topic_exists: bool,
    /// Other sizes are refused.
    pub batch_bytes_max: Option<usize>,
    /// Clients pass a relay, which sees what they send and can do them harm.
    pub relayed: bool,
    /// It is to go away and come back.
    pub restarts: bool,
    /// Sluice: a key that is bad is not called so.
    pub holds_bad_keys: bool,
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            topic_exists: true,
            batch_bytes_max: None,
            relayed: false,
            restarts: false,
            holds_bad_keys: false,
        }
    }
}

/// As whom a client logs in.
#[derive(Clone, Copy)]
pub enum Key {
    Good,
    Wrong,
    /// It is good in another project.
    Strange,
    /// It may read.
    Reader,
}

/// Where a client sends to.
#[derive(Clone)]
pub struct Target {
    pub bootstrap: String,
    pub user: String,
    pub password: String,
    pub ca: PathBuf,
    pub topic: String,
}

/// A server with a topic for one test alone; gone when dropped.
pub struct Server {
    inner: Inner,
    relay: Option<Relay>,
}

enum Inner {
    Sluice(Sluice),
    Kafka(Kafka),
}

impl Server {
    pub fn start(kind: Kind, wants: Wants) -> Self {
        match kind {
            Kind::Sluice => {
                let relay = wants.relayed.then(|| Relay::bind(0));
                let port = relay.as_ref().map(|relay| relay.port);
                Self {
                    inner: Inner::Sluice(Sluice::start(wants, port)),
                    relay,
                }
            }
            Kind::Kafka => {
                let kafka = Kafka::start(wants);
                let relay = wants.relayed.then(|| Relay::bind(kafka.advertised_port()));
                Self {
                    inner: Inner::Kafka(kafka),
                    relay,
                }
            }
        }
    }

    /// Where a client sends to, through the relay if there is one.
    pub fn target(&self) -> Target {
        self.target_as(Key::Good)
    }

    pub fn target_as(&self, key: Key) -> Target {
        let target = match &self.inner {
            Inner::Sluice(sluice) => sluice.target(key),
            Inner::Kafka(kafka) => kafka.target(key),
        };
        match &self.relay {
            Some(relay) => Target {
                bootstrap: format!("localhost:{}", relay.port),
                ..target
            },
            None => target,
        }
    }

    /// From now on the relay passes on, and does this; once.
    pub fn relay(&mut self, fault: Fault) -> &Relay {
        let beyond = match &self.inner {
            Inner::Sluice(sluice) => sluice.beyond(),
            Inner::Kafka(kafka) => kafka.beyond(),
        };
        let relay = self.relay.as_mut().expect("it was wanted");
        relay.start(beyond, fault);
        relay
    }

    /// How many requests the relay answered in the server's place.
    pub fn refused(&self) -> usize {
        self.relay.as_ref().map_or(0, Relay::refused)
    }

    /// All records of the topic.
    pub fn stored(&self) -> Vec<Stored> {
        match &self.inner {
            Inner::Sluice(sluice) => sluice.stored(),
            Inner::Kafka(kafka) => kafka.stored(),
        }
    }

    /// All records of the topic, once there are `count` or it took too long.
    pub fn stored_when(&self, count: usize) -> Vec<Stored> {
        let deadline = Instant::now() + ARRIVAL_MAX;
        loop {
            let stored = self.stored();
            if stored.len() >= count || Instant::now() > deadline {
                return stored;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Gives the value of each record of the topic, one at a time: for more than should be held.
    pub fn each_value(&self, mut each: impl FnMut(&[u8])) {
        match &self.inner {
            Inner::Sluice(sluice) => sluice.contents().for_each(|value| each(value.as_bytes())),
            Inner::Kafka(kafka) => kafka.each_value(each),
        }
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        match &mut self.inner {
            Inner::Sluice(sluice) => sluice.kill(),
            Inner::Kafka(kafka) => kafka.broker().kill(),
        }
    }

    /// Ends it as an update would: what is under way is answered.
    pub fn drain(&mut self) {
        match &mut self.inner {
            Inner::Sluice(sluice) => sluice.drain(),
            Inner::Kafka(kafka) => kafka.broker().drain(),
        }
    }

    /// Starts it again after it ended, where it was.
    pub fn start_again(&mut self) {
        match &mut self.inner {
            Inner::Sluice(sluice) => sluice.start_again(),
            Inner::Kafka(kafka) => kafka.broker().start_again(),
        }
    }

    /// Doubles the topic's partitions while clients send.
    pub fn add_partitions(&mut self) {
        match &mut self.inner {
            Inner::Sluice(sluice) => sluice.add_shards(),
            Inner::Kafka(kafka) => kafka.add_partitions(),
        }
    }

    /// Sluice: its key's secret is another one for so long. It reads that when it starts.
    pub fn revoke_key_for(&mut self, time: Duration) {
        self.drain();
        self.sluice().revoke_key();
        self.start_again();
        thread::sleep(time);
        self.drain();
        self.sluice().restore_key();
        self.start_again();
    }

    /// What only Sluice has.
    pub fn sluice(&mut self) -> &mut Sluice {
        match &mut self.inner {
            Inner::Sluice(sluice) => sluice,
            Inner::Kafka(_) => panic!("a test of Sluice's own was put before Kafka"),
        }
    }
}
