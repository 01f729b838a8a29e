//! Requests of one record each: their CPU, how many writes they make, and how long they wait.

use std::iter;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Answered, Client, Door, milliseconds_at, produce_frame, request, times};
use super::gateway::{DEFAULT, Gateway, LOGSTORE, PROJECT};
use super::service::{SHARDS, Service};
use super::support::batch;

/// How long the service takes for its answers.
const DELAY: Duration = Duration::from_millis(20);

/// A client's frame, and whether there is one more to send.
type More = Box<dyn FnMut(&mut [u8]) -> bool + Send>;

/// A kind of producer, with a gateway of its own.
struct Kind {
    name: &'static str,
    service: Service,
    gateway: Gateway,
    /// CPU seconds of the cheapest round.
    least: f64,
}

impl Kind {
    fn new(name: &'static str) -> Self {
        let service = Service::start(Duration::ZERO);
        Self {
            name,
            gateway: Gateway::start(&service, DEFAULT),
            service,
            least: f64::MAX,
        }
    }

    fn round(&mut self, run: impl FnOnce(&Gateway)) {
        let before = self.gateway.cpu_seconds();
        run(&self.gateway);
        self.least = self.least.min(self.gateway.cpu_seconds() - before);
    }
}

/// CPU of the gateway for each request.
pub fn requests() {
    const CONNECTIONS: u16 = 32;
    const DEPTH: usize = 5;
    const EACH: u64 = 600;
    const ROUNDS: usize = 3;
    let (mut plain, mut idempotent) = (Kind::new("plain"), Kind::new("idempotent"));
    for _ in 0..ROUNDS {
        plain.round(|gateway| {
            run(gateway, CONNECTIONS, DEPTH, |_| Box::new(times(EACH)));
        });
        idempotent.round(|gateway| {
            run(gateway, CONNECTIONS, DEPTH, |client| producer(client, EACH));
        });
    }
    println!("\none record a request, {CONNECTIONS} connections × {DEPTH} in flight");
    let requests = (u64::from(CONNECTIONS) * EACH) as f64;
    for kind in [plain, idempotent] {
        let writes: u64 = kind.service.counts().writes.iter().sum();
        println!(
            "{:<12} {:5.1} µs of CPU a request, {:.0} requests a write",
            kind.name,
            kind.least / requests * 1e6,
            requests * ROUNDS as f64 / writes as f64
        );
    }
}

/// Writes that a thousand clients make who send one small request a second each.
pub fn writes() {
    const CLIENTS: u16 = 1_000;
    const SECONDS: u64 = 8;
    let service = Service::start(DELAY);
    let gateway = Gateway::start(&service, DEFAULT);
    let frame = small_frame();
    let begin = Instant::now() + Duration::from_secs(3);
    let threads: Vec<_> = (0..CLIENTS)
        .map(|index| {
            let [high, low] = index.to_be_bytes();
            let door = Door {
                from: Some(IpAddr::V4(Ipv4Addr::new(127, 1, high, low))),
                ..gateway.door(PROJECT)
            };
            let mut frame = frame.clone();
            thread::spawn(move || {
                let mut client = Client::log_in(&door);
                let mut due = begin + Duration::from_millis(u64::from(index));
                for _ in 0..SECONDS {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    due += Duration::from_secs(1);
                    let answers = client.replay(&mut frame, 1, times(1));
                    assert!(answers.iter().all(|answer| answer.code == 0));
                }
            })
        })
        .collect();
    thread::sleep(begin.saturating_duration_since(Instant::now()));
    let before = (gateway.cpu_seconds(), service.counts().writes);
    for thread in threads {
        thread.join().expect("it ran");
    }
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = (gateway.cpu_seconds() - before.0) / seconds;
    let after = service.counts().writes;
    let rates: Vec<f64> = iter::zip(after, before.1)
        .map(|(after, before)| (after - before) as f64 / seconds)
        .collect();
    let most = rates.iter().copied().fold(0.0, f64::max);
    println!(
        "\n{CLIENTS} clients × 1 request a second, service in {} ms: {:.0} writes a second, {most:.0} on the busiest of {SHARDS} shards; {:.1} % of a core",
        DELAY.as_millis(),
        rates.iter().sum::<f64>(),
        cpu * 100.0
    );
}

/// How long answers take.
pub fn latency() {
    println!(
        "\none record a request, service in {} ms",
        DELAY.as_millis()
    );
    for (connections, each) in [(1, 150), (32, 100)] {
        let service = Service::start(DELAY);
        let gateway = Gateway::start(&service, DEFAULT);
        let answers = run(&gateway, connections, 1, |_| Box::new(times(each)));
        let mut times: Vec<Duration> = answers.iter().map(|answer| answer.after).collect();
        times.sort();
        println!(
            "{connections:>3} at a time: p50 {:.1} ms, p99 {:.1} ms",
            milliseconds_at(&times, 0.5),
            milliseconds_at(&times, 0.99)
        );
    }
}

/// Lets each connection send one small request after another.
fn run(
    gateway: &Gateway,
    connections: u16,
    depth: usize,
    more: impl Fn(&mut Client) -> More,
) -> Vec<Answered> {
    let frame = small_frame();
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let mut client = Client::log_in(&gateway.door(PROJECT));
            let more = more(&mut client);
            (client, more)
        })
        .collect();
    let threads: Vec<_> = clients
        .into_iter()
        .map(|(mut client, more)| {
            let mut frame = frame.clone();
            thread::spawn(move || client.replay(&mut frame, depth, more))
        })
        .collect();
    let answers: Vec<Answered> = threads
        .into_iter()
        .flat_map(|thread| thread.join().expect("it ran"))
        .collect();
    assert!(answers.iter().all(|answer| answer.code == 0));
    answers
}

fn small_frame() -> Vec<u8> {
    produce_frame(LOGSTORE, &batch(1, 0).0)
}

/// Makes each frame the next one of an idempotent producer, whose id the gateway gives (the batch's layout: `records/v2.rs`).
fn producer(client: &mut Client, count: u64) -> More {
    let mut request = request(22, 0);
    // No transactional id; its time-out.
    request.extend_from_slice(&(-1_i16).to_be_bytes());
    request.extend_from_slice(&60_000_i32.to_be_bytes());
    let answer = client.call(request);
    // Behind correlation id, throttle time and error code.
    let id_and_epoch: [u8; 10] = answer[4 + 4 + 2..].try_into().expect("an id and an epoch");
    let set_len = batch(1, 0).0.len();
    let mut more = times(count);
    let mut sequence = 0_i32;
    Box::new(move |frame| {
        let set_at = frame.len() - set_len;
        let set = &mut frame[set_at..];
        set[43..53].copy_from_slice(&id_and_epoch);
        set[53..57].copy_from_slice(&sequence.to_be_bytes());
        let checksum = crc32c::crc32c(&set[21..]);
        set[17..21].copy_from_slice(&checksum.to_be_bytes());
        sequence += 1;
        more(frame)
    })
}
