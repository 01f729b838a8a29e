//! Apache Kafka itself, installed by `tests/run`: one node on loopback, in a folder and on ports of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use crate::programs;
use crate::support::{PASSWORD, PROJECT};

/// The folder with its `install`, and the name of what it makes in the cache.
const NAME: &str = "kafka-3.9.1";
/// From the start of the process to its first accepted connection, on a busy machine.
const START_MAX: Duration = Duration::from_secs(90);
/// Any 16 bytes in URL-safe base64.
const CLUSTER_ID: &str = "c2x1aWNlLXdpcmUtdGVzdA";

/// What both servers hold to, so that sizes are judged alike.
pub const FRAME_BYTES_MAX: usize = 4 << 20;
pub const SET_BYTES_MAX: usize = 1 << 20;
pub const FRAME_BEFORE_LOGIN_BYTES_MAX: usize = 16 << 10;
pub const FAILED_LOGIN_DELAY: Duration = Duration::from_millis(20);

/// Killed when dropped, its folder removed.
pub struct Broker {
    pub address: SocketAddr,
    pub certificate: CertificateDer<'static>,
    process: Child,
    dir: TempDir,
}

impl Broker {
    /// `None`, said aloud, where it is not installed.
    pub fn start() -> Option<Self> {
        let program = installed()?;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let certificate = make_certificate(dir.path());
        let (port, controller) = free_ports();
        let file = dir.path().join("server.properties");
        let text = properties(dir.path(), port, controller);
        fs::write(&file, text).expect("the folder can be written");
        format(&program, dir.path(), &file);
        let process = spawn(&program, dir.path(), &[Path::new("kafka.Kafka"), &file]);
        let mut broker = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            certificate,
            process,
            dir,
        };
        broker.wait_until_it_listens();
        Some(broker)
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
        // `run` kills the broker when its standard input ends.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn installed() -> Option<PathBuf> {
    let program = programs::cache().join(NAME).join("run");
    if program.exists() {
        return Some(program);
    }
    programs::missing(&format!("wire: {NAME}"));
    None
}

/// A self-signed certificate: the keystore holds its key and itself, the truststore itself.
fn make_certificate(dir: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let key = made.signing_key.serialize_pem();
    let certificate = made.cert.pem();
    fs::write(dir.join("keystore.pem"), format!("{key}{certificate}")).expect("it can be written");
    fs::write(dir.join("truststore.pem"), certificate).expect("it can be written");
    made.cert.der().clone()
}

/// Two ports that nobody listens on.
fn free_ports() -> (u16, u16) {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = |listener: &TcpListener| listener.local_addr().expect("it has one").port();
    let (one, other) = (listen(), listen());
    (port(&one), port(&other))
}

fn properties(dir: &Path, port: u16, controller: u16) -> String {
    let dir = dir.display();
    let delay_ms = FAILED_LOGIN_DELAY.as_millis();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_SSL://localhost:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username=\"{PROJECT}\" password=\"{PASSWORD}\" user_{PROJECT}=\"{PASSWORD}\";
ssl.keystore.type=PEM
ssl.keystore.location={dir}/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location={dir}/truststore.pem
log.dirs={dir}/data
num.partitions=2
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.cleaner.enable=false
log.retention.ms=-1
message.max.bytes={SET_BYTES_MAX}
socket.request.max.bytes={FRAME_BYTES_MAX}
sasl.server.max.receive.size={FRAME_BEFORE_LOGIN_BYTES_MAX}
connection.failed.authentication.delay.ms={delay_ms}
"
    )
}

fn format(program: &Path, dir: &Path, file: &Path) {
    let arguments = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"];
    let mut arguments: Vec<&Path> = arguments.iter().map(Path::new).collect();
    arguments.push(file);
    let mut process = spawn(program, dir, &arguments);
    let status = programs::wait(&mut process, START_MAX);
    let said = fs::read_to_string(log_file(dir)).unwrap_or_default();
    assert!(
        status.is_some_and(|status| status.success()),
        "cannot format: {said}"
    );
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
