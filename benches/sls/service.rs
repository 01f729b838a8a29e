//! A stand-in for the Log Service that costs as little as it can: plain HTTP/1.1, a thread a connection, bodies thrown away.
//!
//! It answers ListShards with four shards and PutLogs with success, after a delay or not at all while it hangs, and counts.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

pub const SHARDS: usize = 4;

/// What is read at once; a request's head is far smaller.
const BUFFER_BYTES: usize = 256 << 10;

/// The service; it runs as long as this process.
pub struct Service {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    delay_ms: AtomicU64,
    /// The project that gets no answer.
    hung: Mutex<Option<&'static str>>,
    told: Condvar,
    writes: [AtomicU64; SHARDS],
    bytes: AtomicU64,
}

/// What was written so far.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub writes: [u64; SHARDS],
    /// Of bodies.
    pub bytes: u64,
}

impl Service {
    pub fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State::default());
        let delay_ms = u64::try_from(delay.as_millis()).expect("short");
        state.delay_ms.store(delay_ms, Ordering::Relaxed);
        let served = Arc::clone(&state);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&served);
                // It ends with the connection, or where the gateway no longer waits for an answer.
                thread::spawn(move || Connection::new(socket, state).serve());
            }
        });
        Self { address, state }
    }

    /// From now on this project's writes get no answer; `None`: all do, also those that wait.
    pub fn hang(&self, project: Option<&'static str>) {
        *self.state.hung.lock().expect("no panic") = project;
        self.state.told.notify_all();
    }

    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            writes: self.state.writes.each_ref().map(load),
            bytes: load(&self.state.bytes),
        }
    }
}

impl State {
    fn wait(&self, host: &str) {
        let hung = self.hung.lock().expect("no panic");
        let is_hung = |hung: &mut Option<&str>| {
            hung.is_some_and(|project| host.split('.').next() == Some(project))
        };
        drop(self.told.wait_while(hung, is_hung).expect("no panic"));
        let delay_ms = self.delay_ms.load(Ordering::Relaxed);
        if delay_ms > 0 {
            thread::sleep(Duration::from_millis(delay_ms));
        }
    }

    fn count(&self, target: &str, bytes: usize) {
        self.writes[shard_of(target)].fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

struct Connection {
    socket: TcpStream,
    state: Arc<State>,
    buffer: Vec<u8>,
    filled: usize,
}

/// What counts of a request.
struct Head {
    target: String,
    host: String,
    body_bytes: usize,
}

impl Connection {
    fn new(socket: TcpStream, state: Arc<State>) -> Self {
        socket.set_nodelay(true).expect("a socket option");
        Self {
            socket,
            state,
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
        }
    }

    fn serve(mut self) -> io::Result<()> {
        while let Some(head) = self.head()? {
            self.skip(head.body_bytes)?;
            let body = if head.target.ends_with("/shards") {
                shards()
            } else {
                self.state.wait(&head.host);
                self.state.count(&head.target, head.body_bytes);
                String::new()
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nx-log-requestid: 0123456789ABCDEF01234567\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            self.socket.write_all(answer.as_bytes())?;
        }
        Ok(())
    }

    /// The next request's head; what follows it stays in the buffer.
    fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            let found = self.buffer[..self.filled]
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = found {
                let head = Head::read(&String::from_utf8_lossy(&self.buffer[..end]));
                self.consume(end + 4);
                return Ok(Some(head));
            }
            match self.socket.read(&mut self.buffer[self.filled..])? {
                0 => return Ok(None),
                count => self.filled += count,
            }
        }
    }

    fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        let have = bytes.min(self.filled);
        self.consume(have);
        bytes -= have;
        while bytes > 0 {
            let room = bytes.min(self.buffer.len());
            match self.socket.read(&mut self.buffer[..room])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => bytes -= count,
            }
        }
        Ok(())
    }

    fn consume(&mut self, count: usize) {
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}

impl Head {
    fn read(text: &str) -> Self {
        let mut lines = text.lines();
        let target = lines.next().and_then(|line| line.split(' ').nth(1));
        let target = target.unwrap_or_default().to_owned();
        let value = |name: &str| {
            let mut headers = lines.clone().filter_map(|line| line.split_once(':'));
            let found = headers.find(|(found, _)| found.eq_ignore_ascii_case(name));
            found.map_or("", |(_, value)| value.trim()).to_owned()
        };
        Self {
            target,
            host: value("host"),
            body_bytes: value("content-length").parse().unwrap_or(0),
        }
    }
}

/// The answer to ListShards: equal parts of the keys.
fn shards() -> String {
    let rows = (0..SHARDS).map(|id| {
        let begin = format!("{:032x}", begin_key(id));
        format!(r#"{{"shardID":{id},"status":"readwrite","inclusiveBeginKey":"{begin}"}}"#)
    });
    format!("[{}]", rows.collect::<Vec<_>>().join(","))
}

fn begin_key(shard: usize) -> u128 {
    u128::MAX / SHARDS as u128 * shard as u128
}

/// The shard that a write's key names.
fn shard_of(target: &str) -> usize {
    let key = target.split_once("key=").map(|(_, key)| key);
    let key = key.and_then(|key| u128::from_str_radix(key, 16).ok());
    let key = key.expect("the gateway names the shard");
    (0..SHARDS)
        .rfind(|shard| begin_key(*shard) <= key)
        .unwrap_or(0)
}
