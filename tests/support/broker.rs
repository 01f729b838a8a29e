//! Apache Kafka itself, installed by `tests/run`: one node on loopback, in a folder and on ports of its own.

#![allow(dead_code, reason = "each binary uses a part of it")]

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use crate::programs;

/// The folder with its `install`, and the name of what it makes in the cache.
const NAME: &str = "kafka-3.9.1";
/// From the start of the process to its first accepted connection, on a busy machine.
const START_MAX: Duration = Duration::from_secs(90);
/// Any 16 bytes in URL-safe base64.
const CLUSTER_ID: &str = "c2x1aWNlLXdpcmUtdGVzdA";
const PROPERTIES: &str = "server.properties";
/// The authority's certificate.
const TRUSTSTORE: &str = "truststore.pem";
/// The node's certificate behind its key.
const KEYSTORE: &str = "keystore.pem";

/// What a node is to be.
pub struct Settings<'a> {
    /// Who may do everything.
    pub user: &'a str,
    pub password: &'a str,
    /// Others: name and password.
    pub users: &'a [(&'a str, &'a str)],
    /// The port that a second listener names as its own: clients that dial it come back to that port.
    pub advertised_port: Option<u16>,
    /// Further lines of its configuration.
    pub lines: &'a str,
}

/// Killed when dropped, its folder removed.
pub struct Broker {
    pub address: SocketAddr,
    /// The listener that advertises another port, if there is one.
    pub relayed_address: SocketAddr,
    /// The authority that clients trust.
    pub certificate: CertificateDer<'static>,
    program: PathBuf,
    process: Child,
    dir: TempDir,
}

/// Is it there to be started?
pub fn is_installed() -> bool {
    program().exists()
}

fn program() -> PathBuf {
    programs::cache().join(NAME).join("run")
}

impl Broker {
    /// `None`, said aloud, where it is not installed.
    pub fn start(what: &str, settings: &Settings) -> Option<Self> {
        let program = program();
        if !program.exists() {
            programs::missing(&format!("{what}: {NAME}"));
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let certificate = make_certificate(dir.path());
        let ports = free_ports();
        let text = properties(dir.path(), settings, ports);
        fs::write(dir.path().join(PROPERTIES), text).expect("the folder can be written");
        format(&program, dir.path());
        let [address, relayed_address, _] = ports.map(loopback);
        let process = spawn_broker(&program, dir.path());
        let mut broker = Self {
            address,
            relayed_address,
            certificate,
            program,
            process,
            dir,
        };
        broker.wait_until_it_listens();
        Some(broker)
    }

    /// The authority that clients trust, as a PEM file.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join(TRUSTSTORE)
    }

    /// The PEM file with the node's key and its certificate.
    pub fn identity(&self) -> PathBuf {
        self.dir.path().join(KEYSTORE)
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        // `run` kills the broker when its standard input ends.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }

    /// Ends it as an update would.
    pub fn drain(&mut self) {
        let input = self.process.stdin.as_mut().expect("it is piped");
        input.write_all(b"TERM\n").expect("it runs");
        let status = programs::wait(&mut self.process, START_MAX);
        assert!(status.is_some(), "Kafka does not stop: {}", self.said());
    }

    /// Starts it again after it ended, where it was.
    pub fn start_again(&mut self) {
        self.process = spawn_broker(&self.program, self.dir.path());
        self.wait_until_it_listens();
    }

    /// After a test that left it ended.
    pub fn start_again_if_ended(&mut self) {
        let status = self.process.try_wait().expect("a child can be waited for");
        if status.is_some() {
            self.start_again();
        }
    }

    /// What it said, for whoever reads a failure.
    pub fn said(&self) -> String {
        fs::read_to_string(log_file(self.dir.path())).unwrap_or_default()
    }

    fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect(self.address).is_err() {
            let status = self.process.try_wait().expect("a child can be waited for");
            assert!(status.is_none(), "Kafka ended: {}", self.said());
            assert!(
                Instant::now() < deadline,
                "Kafka does not listen: {}",
                self.said()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An authority, and the certificate that it gives: the truststore holds the one, the keystore the other behind its key.
fn make_certificate(dir: &Path) -> CertificateDer<'static> {
    let key = || KeyPair::generate().expect("a key can be made");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "the tests' authority");
    let issuer = CertifiedIssuer::self_signed(authority, key()).expect("a certificate");
    let own = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let own_key = key();
    let own = own.signed_by(&own_key, &issuer).expect("a certificate");
    let keystore = format!("{}{}", own_key.serialize_pem(), own.pem());
    fs::write(dir.join(KEYSTORE), keystore).expect("it can be written");
    fs::write(dir.join(TRUSTSTORE), issuer.pem()).expect("it can be written");
    issuer.der().clone()
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let [port, ..] = free_ports();
    port
}

/// Such ports, all different: for clients, for clients that are told another port, for itself.
fn free_ports() -> [u16; 3] {
    let listen = || TcpListener::bind(loopback(0)).expect("a free port");
    let listeners: [TcpListener; 3] = std::array::from_fn(|_| listen());
    listeners.map(|listener| listener.local_addr().expect("it has one").port())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn properties(dir: &Path, settings: &Settings, [port, relayed, controller]: [u16; 3]) -> String {
    let dir = dir.display();
    let Settings {
        user,
        password,
        lines,
        ..
    } = settings;
    let others: String = settings
        .users
        .iter()
        .map(|(name, password)| format!(" user_{name}=\"{password}\""))
        .collect();
    let login = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{user}\" password=\"{password}\" \
         user_{user}=\"{password}\"{others};"
    );
    let advertised = settings.advertised_port.unwrap_or(relayed);
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENTS://127.0.0.1:{port},RELAYED://127.0.0.1:{relayed},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENTS://localhost:{port},RELAYED://localhost:{advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,CLIENTS:SASL_SSL,RELAYED:SASL_SSL
inter.broker.listener.name=CLIENTS
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.clients.plain.sasl.jaas.config={login}
listener.name.relayed.plain.sasl.jaas.config={login}
ssl.keystore.type=PEM
ssl.keystore.location={dir}/{KEYSTORE}
ssl.truststore.type=PEM
ssl.truststore.location={dir}/{TRUSTSTORE}
log.dirs={dir}/data
num.partitions=2
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.cleaner.enable=false
log.retention.ms=-1
{lines}"
    )
}

fn format(program: &Path, dir: &Path) {
    let arguments = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"];
    let mut arguments: Vec<&Path> = arguments.iter().map(Path::new).collect();
    let properties = dir.join(PROPERTIES);
    arguments.push(&properties);
    let mut process = spawn(program, dir, &arguments);
    let status = programs::wait(&mut process, START_MAX);
    let said = fs::read_to_string(log_file(dir)).unwrap_or_default();
    assert!(
        status.is_some_and(|status| status.success()),
        "cannot format: {said}"
    );
}

fn spawn_broker(program: &Path, dir: &Path) -> Child {
    spawn(
        program,
        dir,
        &[Path::new("kafka.Kafka"), &dir.join(PROPERTIES)],
    )
}

fn spawn(program: &Path, dir: &Path, arguments: &[&Path]) -> Child {
    let log = File::create(log_file(dir)).expect("the folder can be written");
    let copy = log.try_clone().expect("a file");
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(copy)
        .spawn()
        .expect("the installed program starts")
}

fn log_file(dir: &Path) -> PathBuf {
    dir.join("log")
}
