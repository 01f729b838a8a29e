//! What the whole path costs: pre-encoded Produce frames over TLS from another process → the server → a discarding or the
//! embedded Log Service.
//!
//! `cargo bench --bench gateway` prints, for each case, the server's CPU seconds per GiB of uncompressed record set and per
//! million records, CPU per request, and the answer times that the client saw; first, the memory of idle connections. `cargo bench --bench gateway -- small lz4`
//! runs only the cases whose name contains one of the words.

#[path = "support/client.rs"]
mod client;
#[path = "support/process.rs"]
mod process;
mod support;

use std::env;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Command, Stdio, id};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use sluice::backend::Backend;
use sluice::backend::discard::Discard;
use sluice::backend::embedded::access::{KeyConfig, LogstoreConfig, ProjectConfig, Rights};
use sluice::backend::embedded::schema::SyncMode;
use sluice::backend::embedded::{self, Embedded};
use sluice::catalog::Spread;
use sluice::failure::NetworkError;
use sluice::ingest;
use sluice::logs::Mapping;
use sluice::records;
use sluice::server::limits::Limits;
use sluice::server::tls::{Certificates, provider, server_config};
use sluice::server::{BadKey, Listener, Server, Shared};
use sluice::tenant::{Endpoint, Endpoints, LogstoreName, ProjectName, Secret};

use client::{Client, Door, milliseconds_at, produce_frame, times};
use process::{cpu_seconds, resident_kib};
use support::{CODECS, batch};

/// Tells the program that it is the client, and what to do.
const CLIENT_VARIABLE: &str = "SLUICE_BENCH_CLIENT";
/// Tells the client to log in and be silent.
const IDLE_VARIABLE: &str = "SLUICE_BENCH_IDLE";
const IDLE_CONNECTIONS: usize = 1_000;
const PROJECT: &str = "bench-project";
const LOGSTORE: &str = "bench-logstore";

struct Case {
    name: String,
    embedded: bool,
    codec: i16,
    records: u64,
    requests: u64,
    connections: usize,
    depth: usize,
}

fn main() {
    if let Ok(job) = env::var(CLIENT_VARIABLE) {
        return replay(&job);
    }
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen = |case: &Case| {
        words.is_empty() || words.iter().any(|word| case.name.contains(word.as_str()))
    };
    // First: later the allocator has memory from other cases.
    if words.is_empty() || words.iter().any(|word| "idle".contains(word.as_str())) {
        idle();
    }
    println!("case                              s/GiB   s/M rec  µs/request     p50      p99");
    for case in cases().into_iter().filter(chosen) {
        run(&case);
    }
}

/// Memory of connections that have logged in and say nothing.
fn idle() {
    let case = Case {
        name: "idle".into(),
        embedded: false,
        codec: 0,
        records: 1,
        requests: 0,
        connections: IDLE_CONNECTIONS,
        depth: 1,
    };
    serve(&case, |job, _| {
        let before = resident_kib(id());
        let mut child = Command::new(env::current_exe().expect("this program"))
            .env(CLIENT_VARIABLE, job)
            .env(IDLE_VARIABLE, "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the client starts");
        let mut ready = [0; 1];
        let mut said = child.stdout.take().expect("it is piped");
        said.read_exact(&mut ready).expect("all are connected");
        let grown = resident_kib(id()) - before;
        println!(
            "{IDLE_CONNECTIONS} idle connections: {:.1} KiB each",
            grown / IDLE_CONNECTIONS as f64
        );
        drop(child.stdin.take());
        let _ = child.wait();
    });
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for embedded in [false, true] {
        let backend = if embedded { "embedded" } else { "discard" };
        for (codec_name, codec) in CODECS {
            let name = format!("{backend} large {codec_name}");
            cases.push(Case {
                name,
                embedded,
                codec,
                records: 5_000,
                requests: 600,
                connections: 2,
                depth: 5,
            });
        }
        let small = |name, requests, connections, depth| Case {
            name,
            embedded,
            codec: 0,
            records: 1,
            requests,
            connections,
            depth,
        };
        cases.push(small(format!("{backend} small 32x5"), 100_000, 32, 5));
        cases.push(small(format!("{backend} small 1x1"), 4_000, 1, 1));
    }
    cases
}

fn run(case: &Case) {
    serve(case, |job, raw| {
        let before = cpu_seconds(id());
        let told = spawn_client(job);
        report(case, raw, cpu_seconds(id()) - before, &told);
    });
}

/// Starts a server for the case; `load` gets the client's job and the size of the record set before compression.
fn serve(case: &Case, load: impl FnOnce(&str, usize)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let certificate = folder.path().join("server.der");
    std::fs::write(&certificate, made.cert.der()).expect("written");
    let (set, raw) = batch(case.records, case.codec);
    let frame_file = folder.path().join("frame");
    std::fs::write(&frame_file, produce_frame(LOGSTORE, &set)).expect("written");
    let private = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("PKCS#8");
    let key = CertifiedKey::from_der(vec![made.cert.der().clone()], private, &provider())
        .expect("they fit");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (backend, address, serving) = runtime.block_on(async {
        let backend = backend(case, folder.path());
        let server = server(Arc::clone(&backend), Arc::new(key)).await;
        let address = server.addresses().next().expect("one listener").1;
        let serving = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        (backend, address, serving)
    });
    let job = format!(
        "{address} {} {} {} {} {}",
        certificate.display(),
        frame_file.display(),
        case.requests,
        case.connections,
        case.depth
    );
    load(&job, raw);
    drop(stop);
    runtime.block_on(async {
        let _ = serving.await;
        backend.close().await;
    });
}

fn report(case: &Case, raw: usize, used: f64, told: &str) {
    let gib = (raw as u64 * case.requests) as f64 / (1_u64 << 30) as f64;
    let million = (case.records * case.requests) as f64 / 1e6;
    let each = used / case.requests as f64 * 1e6;
    println!(
        "{:<32} {:6.2}    {:6.2}   {:9.1}  {told}",
        case.name,
        used / gib,
        used / million,
        each
    );
}

fn spawn_client(job: &str) -> String {
    let output = Command::new(env::current_exe().expect("this program"))
        .env(CLIENT_VARIABLE, job)
        .stderr(Stdio::inherit())
        .output()
        .expect("the client starts");
    assert!(output.status.success(), "the client failed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn backend(case: &Case, folder: &std::path::Path) -> Arc<dyn Backend> {
    if !case.embedded {
        return Arc::new(Discard::new(2));
    }
    let name = |text| LogstoreName::parse(text).expect("a good name");
    let project = ProjectConfig {
        name: ProjectName::parse(PROJECT).expect("a good name"),
        keys: vec![KeyConfig {
            id: "id".into(),
            secret: Secret::new("secret"),
            rights: Rights::default(),
            logstores: None,
        }],
        logstores: vec![LogstoreConfig {
            name: name(LOGSTORE),
            shard_count: 2,
        }],
        create_on_first_use: false,
        created_shard_count: 2,
    };
    let store = Embedded::open(embedded::Config {
        data_dir: folder.join("data"),
        sync: SyncMode::Full,
        retention_age: embedded::RETENTION_AGE_DEFAULT,
        retention_bytes_max: embedded::RETENTION_BYTES_DEFAULT,
        free_bytes_min: embedded::FREE_BYTES_MIN_DEFAULT,
        projects: vec![project],
    });
    Arc::new(store.expect("the store opens"))
}

async fn server(backend: Arc<dyn Backend>, key: Arc<CertifiedKey>) -> Server {
    let config = ingest::Config {
        mapping: Mapping::default(),
        spread: Spread::RoundRobin { partitions: None },
        records: records::Limits::default(),
        network_error: NetworkError::Safe,
    };
    let shared =
        Shared::start(backend, config, Limits::default(), BadKey::TopicError).expect("threads");
    let endpoint = Endpoint {
        name: "localhost".into(),
        region: "local".into(),
    };
    let listener = Listener {
        name: "bench".into(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        advertised_port: None,
        advertised_host: None,
        endpoints: Endpoints::new(vec![endpoint]).expect("one"),
        tls: server_config(Certificates {
            default: key,
            by_name: Default::default(),
            strict: false,
        })
        .expect("TLS"),
    };
    Server::bind(vec![listener], shared)
        .await
        .expect("a free port")
}

/// The client's side.
fn replay(job: &str) {
    let words: Vec<&str> = job.split(' ').collect();
    let [address, certificate, frame, requests, connections, depth] = words[..] else {
        panic!("six words")
    };
    let certificate = std::fs::read(certificate).expect("readable");
    let door = Door {
        address: address.parse().expect("an address"),
        tls: client::tls(CertificateDer::from(certificate)),
        project: PROJECT,
        logstore: LOGSTORE,
        from: None,
    };
    let frame = std::fs::read(frame).expect("readable");
    let connections: u64 = connections.parse().expect("a number");
    if env::var_os(IDLE_VARIABLE).is_some() {
        let _held: Vec<_> = (0..connections).map(|_| Client::log_in(&door)).collect();
        println!("ready");
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    let each = requests.parse::<u64>().expect("a number") / connections;
    let depth: usize = depth.parse().expect("a number");
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let (door, mut frame) = (door.clone(), frame.clone());
            let replay = move || Client::log_in(&door).replay(&mut frame, depth, times(each));
            std::thread::spawn(replay)
        })
        .collect();
    let mut times: Vec<Duration> = threads
        .into_iter()
        .flat_map(|thread| thread.join().expect("it ran"))
        .inspect(|answer| assert_eq!(answer.code, 0, "the server refused"))
        .map(|answer| answer.after)
        .collect();
    times.sort();
    let at = |share| milliseconds_at(&times, share);
    println!("{:6.2} ms {:6.2} ms", at(0.5), at(0.99));
}
