//! Memory while the service answers nothing to one of two projects, both of which send all they can; and how the other
//! one fares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::client::{Client, produce_frame};
use super::gateway::{DEFAULT, Gateway, LOGSTORE, PROJECT};
use super::service::Service;
use super::support::batch;

const HUNG_PROJECT: &str = "hung-project";
/// Of each project.
const CONNECTIONS: usize = 16;
const DEPTH: usize = 16;
const RECORDS: u64 = 5_000;
const WARM_UP: Duration = Duration::from_secs(1);
const HEALTHY: Duration = Duration::from_secs(3);
const HANG: Duration = Duration::from_secs(60);
const AFTERWARDS: Duration = Duration::from_secs(5);

/// One project's clients.
struct Load {
    stop: Arc<AtomicBool>,
    /// Batches that were acknowledged.
    stored: Arc<AtomicU64>,
    batch_bytes: u64,
    clients: Vec<JoinHandle<()>>,
}

pub fn run() {
    let service = Service::start(Duration::ZERO);
    let gateway = Gateway::start(&service, DEFAULT);
    let idle = gateway.resident_mib();
    let loads = [HUNG_PROJECT, PROJECT].map(|project| Load::start(&gateway, project));
    println!(
        "\n{CONNECTIONS} connections × {DEPTH} in flight of each of two projects, batches of 1 MiB; one's service hangs for {} s",
        HANG.as_secs()
    );
    println!("                 most memory    hung project   other project");
    println!("idle             {idle:7.0} MiB");
    thread::sleep(WARM_UP);
    watch("before", HEALTHY, &gateway, &loads);
    service.hang(Some(HUNG_PROJECT));
    watch("hanging", HANG, &gateway, &loads);
    service.hang(None);
    watch("answering", HEALTHY, &gateway, &loads);
    loads.into_iter().for_each(Load::end);
    thread::sleep(AFTERWARDS);
    println!("afterwards       {:7.0} MiB", gateway.resident_mib());
}

/// Prints the most memory over a time, and what each project could store in it.
fn watch(name: &str, time: Duration, gateway: &Gateway, loads: &[Load; 2]) {
    let began = Instant::now();
    let stored = loads.each_ref().map(Load::stored_mib);
    let mut most = 0.0_f64;
    while began.elapsed() < time {
        most = most.max(gateway.resident_mib());
        thread::sleep(Duration::from_millis(100));
    }
    let seconds = began.elapsed().as_secs_f64();
    let [hung, other] = [0, 1].map(|index| (loads[index].stored_mib() - stored[index]) / seconds);
    println!("{name:<16} {most:7.0} MiB   {hung:7.0} MiB/s   {other:7.0} MiB/s");
}

impl Load {
    fn start(gateway: &Gateway, project: &'static str) -> Self {
        let (set, raw) = batch(RECORDS, 0);
        let mut load = Self {
            stop: Arc::default(),
            stored: Arc::default(),
            batch_bytes: raw as u64,
            clients: Vec::new(),
        };
        for _ in 0..CONNECTIONS {
            let (stop, stored) = (Arc::clone(&load.stop), Arc::clone(&load.stored));
            let door = gateway.door(project);
            let mut frame = produce_frame(LOGSTORE, &set);
            load.clients.push(thread::spawn(move || {
                let mut client = Client::log_in(&door);
                let more = |_: &mut [u8]| !stop.load(Ordering::Relaxed);
                client.replay_telling(&mut frame, DEPTH, more, |answer| {
                    stored.fetch_add(u64::from(answer.code == 0), Ordering::Relaxed);
                });
            }));
        }
        load
    }

    fn stored_mib(&self) -> f64 {
        (self.stored.load(Ordering::Relaxed) * self.batch_bytes) as f64 / f64::from(1 << 20)
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("it ran");
        }
    }
}
