//! A gateway with the `sls` backend in front of a scripted Log Service.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sluice::backend::sls::client::{self, Endpoint, SignatureVersion};

use sluice::backend::sls::{Config, Projects, Route, Sls};
use sluice::logs::Compression;

use super::client::{Ask, Client, ask};
use super::service::Service;
use super::{Gateway, LOGSTORE, PASSWORD, PROJECT, Settings, events};

pub const KEY: (&str, &str) = ("key-id", "key-secret");
pub const WRONG_PASSWORD: &str = "key-id#wrong-secret";
/// Beside [`PROJECT`], where there are two.
pub const OTHER_PROJECT: &str = "project-2";
/// Of [`Setup::refreshing`].
pub const SHARDS_REFRESH: Duration = Duration::from_millis(200);
const LINGER: Duration = Duration::from_millis(200);

/// The gateway is stopped before its Log Service.
pub struct Setup {
    pub gateway: Gateway,
    pub service: Service,
    dialled: AtomicU16,
}

/// What a test may want otherwise.
pub struct Wishes {
    pub sls: Config,
    pub gateway: Settings,
}

impl Setup {
    /// With a project, a key and a Logstore of three shards.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// Whose lists of shards are soon asked for anew.
    pub fn refreshing() -> Self {
        Self::with(|wishes| wishes.sls.shards_refresh = SHARDS_REFRESH)
    }

    /// Whose requests meet in one group if they come within a fifth of a second.
    pub fn lingering() -> Self {
        Self::with(|wishes| {
            wishes.sls.linger_min = LINGER;
            wishes.sls.linger_max = LINGER;
        })
    }

    pub fn with(change: impl FnOnce(&mut Wishes)) -> Self {
        let service = Service::with(PROJECT, KEY, LOGSTORE);
        Self::before(service, change)
    }

    pub fn before(service: Service, change: impl FnOnce(&mut Wishes)) -> Self {
        events::keep();
        let mut wishes = Wishes {
            sls: config(service.address()),
            gateway: Settings::default(),
        };
        change(&mut wishes);
        let backend = Sls::new(wishes.sls).expect("nothing is missing");
        Self {
            gateway: Gateway::start(Arc::new(backend), wishes.gateway),
            service,
            dialled: AtomicU16::new(0),
        }
    }

    /// Logged in with the good key, from an address of its own.
    pub fn client(&self) -> Client {
        self.client_of(PROJECT, PASSWORD)
    }

    /// Logged in to another project, or with another password.
    pub fn client_of(&self, project: &str, password: &str) -> Client {
        let mut client = self.dial();
        client.log_in(project, password).expect("it is taken");
        client
    }

    /// From an address that nobody has dialled from yet.
    pub fn dial(&self) -> Client {
        let number = self.dialled.fetch_add(1, Ordering::Relaxed);
        Client::dial_from(
            address(number),
            self.gateway.address,
            &self.gateway.certificate,
        )
    }

    /// What is stored, in no order.
    pub fn stored(&self) -> Vec<String> {
        let mut contents = self.service.contents(PROJECT, LOGSTORE);
        contents.sort();
        contents
    }

    /// Content of the logs of each shard, in the order of storing.
    pub fn by_shard(&self) -> BTreeMap<u32, Vec<String>> {
        self.service.change(|world| {
            let mut shards: BTreeMap<u32, Vec<String>> = BTreeMap::new();
            for stored in &world.stored {
                let values = stored.group.values("content");
                let shard = shards.entry(stored.shard).or_default();
                shard.extend(values.into_iter().map(str::to_owned));
            }
            shards
        })
    }
}

/// With short pauses, and nothing that holds a key back.
pub fn config(service: SocketAddr) -> Config {
    let connect = service.to_string().parse().expect("an address and a port");
    let endpoint = Endpoint {
        connect: Some(connect),
        ..Endpoint::parse("local", "http://region-1.log.example").expect("a URL")
    };
    Config {
        client: client::Settings {
            signature: SignatureVersion::V1,
            compression: Compression::Lz4,
            endpoints: vec![endpoint],
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
            proxy: None,
            authorities: Vec::new(),
        },
        projects: Projects::All,
        route: Route::KeyHash,
        by_partition: false,
        verify_logins: false,
        linger_min: Duration::from_millis(5),
        linger_max: Duration::from_millis(50),
        writes_per_logstore_max: 8,
        shards_refresh: Duration::from_secs(60),
        key_grace: Duration::ZERO,
    }
}

/// One of loopback's many addresses.
pub fn address(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low).into()
}

/// The project of [`Setup::new`] and another one like it.
pub fn two_projects() -> Service {
    let service = Service::with(PROJECT, KEY, LOGSTORE);
    service.change(|world| {
        let project = world.project(OTHER_PROJECT);
        project.key(KEY.0, KEY.1);
        project.logstore(LOGSTORE, 3);
    });
    service
}

/// A Produce that is answered within two seconds, whatever happens.
pub fn short(set: Bytes) -> Ask<'static> {
    Ask {
        timeout_ms: 2_000,
        ..ask(LOGSTORE, set)
    }
}

/// Code and throttle time of one Produce.
pub fn told(client: &mut Client, asked: &Ask<'_>) -> (i16, i32) {
    client.send_produce(asked);
    let (partitions, throttle_ms) = client.receive_throttled(asked.version).expect("an answer");
    (partitions[0].error_code, throttle_ms)
}

/// Milliseconds since the epoch, by the clock of this machine.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let elapsed = elapsed.expect("after 1970").as_millis();
    i64::try_from(elapsed).expect("not that late")
}
