//! CPU of the gateway for batches of 1 MiB, beside the sum of its parts.
//!
//! The parts are measured in the same run, each alone on one thread with reused buffers. The network's stand there twice:
//! as measured here, and as constants of the machine on which the limits were found.

use std::thread;
use std::time::Duration;

use sluice::backend::Profile;

use super::client::{Client, produce_frame, times};
use super::gateway::{Body, Gateway, LOGSTORE, PROJECT};
use super::network;
use super::parts::{Work, seconds_each};
use super::service::Service;
use super::support::{CODECS, batch};

const ROUNDS: usize = 3;
const RECORDS: u64 = 5_000;
const REQUESTS: u64 = 250;
const WARM_UP_REQUESTS: u64 = 20;
const CONNECTIONS: u64 = 2;
const DEPTH: usize = 5;
const SLOT: Duration = Duration::from_millis(200);

/// The network where the limits were found: TLS with AES-128, one buffer for each frame, CRC-32C; HTTP.
const NETWORK: Network = Network {
    receive: 0.60 + 0.12 + 0.05,
    send: 0.23,
};

const BODIES: [Body; 4] = [
    body("lz4", "v1"),
    body("lz4", "v4"),
    body("zstd", "v1"),
    body("zstd", "v4"),
];
const INPUTS: [&str; 3] = ["none", "lz4", "gzip"];

const fn body(compression: &'static str, signature: &'static str) -> Body {
    Body {
        compression,
        signature,
    }
}

/// A record set as clients send it.
struct Input {
    set: Vec<u8>,
    /// Bytes before compression.
    raw: usize,
}

/// Least seconds per GiB of uncompressed record sets, over the rounds.
#[derive(Clone, Copy)]
struct Cost {
    whole: f64,
    /// Decoding, mapping, compressing.
    work: f64,
    /// The digest of the body.
    digest: f64,
    /// Bytes of body per byte of the record set.
    share: f64,
}

impl Cost {
    const NONE: Self = Self {
        whole: f64::MAX,
        work: f64::MAX,
        digest: f64::MAX,
        share: 0.0,
    };

    /// The sum of the parts.
    fn parts(&self, input: &Input, network: Network) -> f64 {
        let wire = input.set.len() as f64 / input.raw as f64;
        network.receive * wire + self.work + self.digest + network.send * self.share
    }
}

/// Seconds per GiB on the wire, and per GiB of body.
#[derive(Clone, Copy)]
struct Network {
    receive: f64,
    send: f64,
}

impl Network {
    /// Receives a connection's frames and sends bodies, nothing else.
    fn measure() -> Self {
        let least = |measure: fn() -> f64| (0..ROUNDS).map(|_| measure()).fold(f64::MAX, f64::min);
        Self {
            receive: least(network::receive),
            send: least(network::send),
        }
    }
}

pub fn run() {
    let inputs = INPUTS.map(input);
    let mut costs = [[Cost::NONE; INPUTS.len()]; BODIES.len()];
    for _ in 0..ROUNDS {
        for (body, costs) in BODIES.into_iter().zip(&mut costs) {
            measure(body, &inputs, costs);
        }
    }
    let network = Network::measure();
    println!(
        "network alone: receiving {:.2} s/GiB, sending {:.2} s/GiB; constants {:.2} and {:.2}",
        network.receive, network.send, NETWORK.receive, NETWORK.send
    );
    println!(
        "batches of 1 MiB            gateway    parts  ratio    constants  ratio    work  digest    body"
    );
    for (body, costs) in BODIES.into_iter().zip(&costs) {
        for (name, (input, cost)) in INPUTS.into_iter().zip(inputs.iter().zip(costs)) {
            print(
                &format!("{name} → {}, {}", body.compression, body.signature),
                input,
                cost,
                network,
            );
        }
    }
}

fn print(name: &str, input: &Input, cost: &Cost, network: Network) {
    let parts = cost.parts(input, network);
    let constants = cost.parts(input, NETWORK);
    println!(
        "{name:<22} {:6.2} s/GiB   {parts:6.2}  {:5.2}       {constants:6.2}  {:5.2}  {:6.2}  {:6.2}  {:4.1} %",
        cost.whole,
        cost.whole / parts,
        cost.whole / constants,
        cost.work,
        cost.digest,
        cost.share * 100.0
    );
}

fn input(name: &str) -> Input {
    let codec = CODECS.into_iter().find(|(found, _)| *found == name);
    let (set, raw) = batch(RECORDS, codec.expect("it is known").1);
    Input { set, raw }
}

/// Whole and parts in turn, so that they meet the same neighbours.
fn measure(body: Body, inputs: &[Input], costs: &mut [Cost]) {
    let service = Service::start(Duration::ZERO);
    let gateway = Gateway::start(&service, body);
    let profile = gateway.profile();
    for (input, cost) in inputs.iter().zip(costs) {
        let gib = input.raw as f64 / (1_u64 << 30) as f64;
        load(&gateway, input, WARM_UP_REQUESTS);
        let (cpu, bytes) = (gateway.cpu_seconds(), service.counts().bytes);
        load(&gateway, input, REQUESTS);
        let used = gateway.cpu_seconds() - cpu;
        let written = service.counts().bytes - bytes;
        cost.whole = cost.whole.min(used / REQUESTS as f64 / gib);
        cost.share = written as f64 / (REQUESTS * input.raw as u64) as f64;
        cost.work = cost.work.min(work(profile, input) / gib);
        cost.digest = cost.digest.min(digest(profile, written) / gib);
    }
}

fn load(gateway: &Gateway, input: &Input, requests: u64) {
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let door = gateway.door(PROJECT);
            let mut frame = produce_frame(LOGSTORE, &input.set);
            let more = times(requests / CONNECTIONS);
            thread::spawn(move || Client::log_in(&door).replay(&mut frame, DEPTH, more))
        })
        .collect();
    for thread in threads {
        let answers = thread.join().expect("it ran");
        assert!(answers.iter().all(|answer| answer.code == 0));
    }
}

/// Seconds that decoding, mapping and compressing take for one set.
fn work(mut profile: Profile, input: &Input) -> f64 {
    profile.codec.digest = None;
    let mut work = Work::new(profile, Some("127.0.0.1"));
    seconds_each(SLOT, || _ = work.map_and_close(&input.set))
}

/// Seconds that the digest of the body of one set takes.
fn digest(profile: Profile, written: u64) -> f64 {
    let kind = profile.codec.digest.expect("it is signed");
    let body = vec![7; usize::try_from(written / REQUESTS).expect("it fits")];
    seconds_each(SLOT, || _ = kind.of(&body))
}
