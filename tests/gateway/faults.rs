//! The real program under kill -9, a full disk, failing syncs and SIGTERM: nothing acknowledged is lost, nothing of an
//! idempotent producer is stored twice, and service resumes by itself.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::support::client::{Ask, Client, PRODUCE_VERSION, ask, batch, producer_batch};
use crate::support::{contents, eventually};

const USER: &str = "test-project-1";
const PASSWORD: &str = "dev-access-key-id#dev-access-key-secret";
const LOGSTORE: &str = "test-logstore-1";

/// `sluice dev` on ports of its own.
struct Program {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Program {
    fn start(folder: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        // A write over the file size limit shall be an error, as on a full disk, not a signal.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "trap '' XFSZ; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_sluice"),
            "dev",
            "--port",
            "0",
        ]);
        command
            .arg("--dir")
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        prepare(&mut command);
        let mut child = command.spawn().expect("the program starts");
        let mut greeting = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let address = greeting
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.trim()
                    .strip_prefix("bootstrap")
                    .map(|rest| rest.trim().to_owned())
            })
            .expect("it says where it listens");
        // The pipe is emptied, so that the program never waits for us.
        std::thread::spawn(move || greeting.for_each(drop));
        let address = address
            .to_socket_addrs()
            .expect("an address")
            .find(SocketAddr::is_ipv4)
            .expect("IPv4");
        Self {
            child,
            address,
            folder: folder.to_owned(),
        }
    }

    fn client(&self) -> Client {
        let certificate =
            CertificateDer::from_pem_file(self.folder.join("ca.pem")).expect("the CA");
        let mut client = Client::dial(self.address, &certificate, "localhost");
        client.log_in(USER, PASSWORD).expect("the key of dev");
        client
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// SIGTERM; gives whether it ended with 0.
    fn stop(mut self) -> bool {
        kill_process(self.pid(), Signal::TERM).expect("it runs");
        self.child.wait().expect("it ended").success()
    }
}

/// How often each value is stored.
fn stored(folder: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for value in contents(folder, LOGSTORE) {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

/// Small steps of a generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A producer that keeps five batches in flight and, if idempotent, sends what was not acknowledged again.
struct Producer {
    id: Option<i64>,
    name: &'static str,
    sent: i32,
    in_flight: VecDeque<i32>,
    again: VecDeque<i32>,
    acknowledged: Vec<String>,
}

impl Producer {
    fn new(name: &'static str, id: Option<i64>) -> Self {
        Self {
            id,
            name,
            sent: 0,
            in_flight: VecDeque::new(),
            again: VecDeque::new(),
            acknowledged: Vec::new(),
        }
    }

    fn value(&self, sequence: i32) -> String {
        format!("{}-{sequence}", self.name)
    }

    /// Sends and receives until the connection breaks or, with `until_done`, all is acknowledged.
    fn run(&mut self, client: &mut Client, until_done: bool) {
        loop {
            let room = self.in_flight.len() < 5;
            if room && let Some(sequence) = self.next(until_done) {
                let value = self.value(sequence);
                let set = match self.id {
                    Some(id) => producer_batch(&[&value], id, 0, sequence),
                    None => batch(&[&value]),
                };
                let frame = client.produce_frame(&ask(LOGSTORE, set));
                self.in_flight.push_back(sequence);
                if client.try_write(&frame).is_err() {
                    return self.lose();
                }
                continue;
            }
            if self.in_flight.is_empty() {
                return;
            }
            match client.receive_produce(PRODUCE_VERSION) {
                Ok(partitions) => {
                    assert_eq!(partitions[0].error_code, 0);
                    let sequence = self.in_flight.pop_front().expect("an answer to a request");
                    self.acknowledged.push(self.value(sequence));
                }
                Err(_) => return self.lose(),
            }
        }
    }

    fn next(&mut self, until_done: bool) -> Option<i32> {
        self.again.pop_front().or_else(|| {
            if until_done {
                return None;
            }
            self.sent += 1;
            Some(self.sent - 1)
        })
    }

    /// The connection broke.
    fn lose(&mut self) {
        let lost: Vec<i32> = self.in_flight.drain(..).collect();
        if self.id.is_some() {
            for sequence in lost.into_iter().rev() {
                self.again.push_front(sequence);
            }
        }
    }
}

#[test]
fn fifty_kills_lose_nothing_acknowledged_and_double_nothing_idempotent() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut random = Random(0x5eed);
    let mut plain = Producer::new("plain", None);
    let mut idempotent = Producer::new("idempotent", None);
    for _ in 0..50 {
        let program = Program::start(folder.path(), |_| ());
        let (mut one, mut other) = (program.client(), program.client());
        if idempotent.id.is_none() {
            idempotent.id = Some(other.producer_id());
        }
        let pause = Duration::from_millis(5 + random.below(80));
        std::thread::scope(|scope| {
            scope.spawn(|| plain.run(&mut one, false));
            scope.spawn(|| idempotent.run(&mut other, false));
            std::thread::sleep(pause);
            program.kill();
        });
    }
    let program = Program::start(folder.path(), |_| ());
    idempotent.run(&mut program.client(), true);
    assert!(program.stop());
    let stored = stored(folder.path());
    assert!(
        plain.acknowledged.len() > 50 && idempotent.acknowledged.len() > 50,
        "hardly anything was sent"
    );
    for value in plain.acknowledged.iter().chain(&idempotent.acknowledged) {
        assert!(
            stored.contains_key(value),
            "{value} was acknowledged and is lost"
        );
    }
    assert_eq!(
        idempotent.acknowledged.len(),
        usize::try_from(idempotent.sent).expect("positive")
    );
    let doubled: Vec<_> = stored
        .iter()
        .filter(|(value, count)| value.starts_with("idem") && **count > 1)
        .collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}

/// Four clients that send numbered values for some time; gives what was acknowledged and how many were refused.
fn load(program: &Program, name: &str, seconds: u64) -> (Vec<String>, usize) {
    let end = Instant::now() + Duration::from_secs(seconds);
    let one = |client_index: usize| {
        let mut client = program.client();
        let mut filler = Random(client_index as u64 + 7);
        let (mut acknowledged, mut refused) = (Vec::new(), 0);
        for number in 0.. {
            if Instant::now() > end {
                break;
            }
            let value = value(&format!("{name}-{client_index}"), number, &mut filler);
            let begin = Instant::now();
            let asked = Ask {
                timeout_ms: 5_000,
                ..ask(LOGSTORE, batch(&[&value]))
            };
            match client.produce(&asked)[0] {
                0 => acknowledged.push(value),
                code => {
                    assert!([56, 7].contains(&code), "{code}");
                    refused += 1;
                }
            }
            // 0.8 of its time-out, and some room for a busy machine.
            assert!(begin.elapsed() < Duration::from_secs(10));
        }
        (acknowledged, refused)
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|index| scope.spawn(move || one(index)))
            .collect();
        let (mut acknowledged, mut refused) = (Vec::new(), 0);
        for client in clients {
            let (more, count) = client.join().expect("it ran");
            acknowledged.extend(more);
            refused += count;
        }
        (acknowledged, refused)
    })
}

/// 16 KiB that do not compress.
fn value(name: &str, number: usize, filler: &mut Random) -> String {
    let noise = std::iter::repeat_with(|| char::from(b'!' + filler.below(90) as u8)).take(16 << 10);
    format!("{name}-{number}-{}", noise.collect::<String>())
}

/// Sends one value until it is taken, as agents do.
fn send_until_taken(client: &mut Client, value: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match client.produce(&ask(LOGSTORE, batch(&[value])))[0] {
            0 => return,
            code => assert!([56, 7].contains(&code), "{code}"),
        }
        assert!(Instant::now() < deadline, "service did not resume");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn check_all_stored(folder: &Path, acknowledged: &[String]) {
    let stored = stored(folder);
    for value in acknowledged {
        assert!(
            stored.contains_key(value),
            "{}… was acknowledged and is lost",
            &value[..20]
        );
    }
}

#[test]
fn a_full_disk_under_load_loses_nothing_acknowledged_and_service_resumes_by_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Program::start(folder.path(), |_| ());
    let file_size = |bytes| {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(program.pid()), Resource::Fsize, limit).expect("a limit may be set");
    };
    send_until_taken(&mut program.client(), "before");
    file_size(Some(3 << 20));
    let (mut acknowledged, refused) = load(&program, "full", 3);
    assert!(
        !acknowledged.is_empty() && refused > 0,
        "the disk was never full"
    );
    file_size(None);
    send_until_taken(&mut program.client(), "after");
    acknowledged.extend(["before".to_owned(), "after".to_owned()]);
    assert!(program.stop());
    check_all_stored(folder.path(), &acknowledged);
}

#[test]
fn a_failing_sync_under_load_acknowledges_nothing_and_service_resumes_by_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shim = folder.path().join("failing_sync.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateway/faults/failing_sync.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&shim)
        .arg(source)
        .status();
    assert!(
        built
            .expect("the C compiler that the build needs too")
            .success()
    );
    let switch = folder.path().join("syncs-fail");
    let program = Program::start(&folder.path().join("dev"), |command| {
        command
            .env("LD_PRELOAD", &shim)
            .env("SLUICE_FAIL_SYNC", &switch);
    });
    let (mut acknowledged, refused) = load(&program, "sound", 1);
    assert!(!acknowledged.is_empty() && refused == 0);
    fs::write(&switch, "").expect("written");
    // What was under way when the first sync failed may still have been stored.
    std::thread::sleep(Duration::from_millis(200));
    let (unsynced, refused) = load(&program, "unsynced", 3);
    assert!(
        unsynced.is_empty() && refused > 0,
        "acknowledged without a sync"
    );
    fs::remove_file(&switch).expect("it was there");
    send_until_taken(&mut program.client(), "after");
    acknowledged.push("after".to_owned());
    assert!(program.stop());
    check_all_stored(&folder.path().join("dev"), &acknowledged);
}

#[test]
fn sigterm_with_pipelined_clients_loses_no_answer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Program::start(folder.path(), |_| ());
    let mut producers: Vec<Producer> = ["a", "b", "c", "d"]
        .map(|name| Producer::new(name, None))
        .into();
    let mut clients: Vec<Client> = producers.iter().map(|_| program.client()).collect();
    std::thread::scope(|scope| {
        for (producer, client) in producers.iter_mut().zip(&mut clients) {
            scope.spawn(|| producer.run(client, false));
        }
        std::thread::sleep(Duration::from_millis(500));
        assert!(program.stop(), "it ends in order");
    });
    let mut acknowledged: Vec<String> = producers
        .into_iter()
        .flat_map(|producer| producer.acknowledged)
        .collect();
    assert!(acknowledged.len() > 20, "hardly anything was sent");
    acknowledged.sort();
    let stored: Vec<String> = stored(folder.path()).into_keys().collect();
    assert_eq!(
        stored.len(),
        acknowledged.len(),
        "what was stored was answered, and the other way round"
    );
    assert!(stored == acknowledged);
}

#[test]
fn logs_can_be_read_while_the_server_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Program::start(folder.path(), |_| ());
    let mut client = program.client();
    for number in 0..20 {
        assert_eq!(
            client.produce(&ask(LOGSTORE, batch(&[&format!("line {number}")]))),
            [0]
        );
    }
    eventually("all can be read", || {
        contents(folder.path(), LOGSTORE).len() == 20
    });
    let logs = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args([
            "logs",
            LOGSTORE,
            "--format",
            "json",
            "--grep",
            "line 1[0-9]$",
            "--limit",
            "3",
            "--dir",
        ])
        .arg(folder.path())
        .output()
        .expect("it runs");
    assert!(
        logs.status.success(),
        "{}",
        String::from_utf8_lossy(&logs.stderr)
    );
    let lines: Vec<serde_json::Value> = String::from_utf8(logs.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["content"], "line 19");
    assert_eq!(lines[2]["__source__"], "127.0.0.1");
    assert!(program.stop());
}
