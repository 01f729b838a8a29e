//! What the network costs by itself on this machine: a thread that receives frames over TLS and sums them up, and one that
//! sends bodies over plain TCP, both with buffers that they reuse.

use std::hint::black_box;
use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use sluice::server::tls::{Certificates, provider, server_config};

use super::client;
use super::parts::thread_seconds;

const FRAME_BYTES: usize = 1 << 20;
/// Of a group's body.
const BODY_BYTES: usize = 400 << 10;
const BYTES: usize = 512 << 20;

/// Seconds per GiB received: TLS, one buffer for each frame, CRC-32C.
pub fn receive() -> f64 {
    let (near, far) = pair();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let trusted = client::tls(made.cert.der().clone());
    let sender = thread::spawn(move || {
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(trusted, name).expect("TLS");
        let mut stream = StreamOwned::new(session, far);
        send_all(&mut stream, FRAME_BYTES);
        // Closed with tickets unread it would be reset.
        stream
    });
    let private = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("PKCS#8");
    let key = CertifiedKey::from_der(vec![made.cert.der().clone()], private, &provider());
    let config = server_config(Certificates {
        default: Arc::new(key.expect("they fit")),
        by_name: Default::default(),
        strict: false,
    });
    let session = ServerConnection::new(config.expect("TLS")).expect("TLS");
    let mut stream = StreamOwned::new(session, near);
    let before = thread_seconds();
    let mut frame = Vec::with_capacity(FRAME_BYTES);
    for _ in 0..BYTES / FRAME_BYTES {
        fill(&mut stream, &mut frame);
        black_box(crc32c::crc32c(&frame));
    }
    let used = thread_seconds() - before;
    sender.join().expect("it ran");
    per_gib(used)
}

/// Seconds per GiB sent over TCP.
pub fn send() -> f64 {
    let (mut near, mut far) = pair();
    let receiver = thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        while far.read(&mut buffer).is_ok_and(|count| count > 0) {}
    });
    let before = thread_seconds();
    send_all(&mut near, BODY_BYTES);
    let used = thread_seconds() - before;
    drop(near);
    receiver.join().expect("it ran");
    per_gib(used)
}

/// Two ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let far = TcpStream::connect(address).expect("it listens");
    let (near, _) = listener.accept().expect("it is there");
    (near, far)
}

fn send_all(stream: &mut impl Write, chunk: usize) {
    let chunk = vec![7; chunk];
    for _ in 0..BYTES / chunk.len() {
        stream.write_all(&chunk).expect("the other side reads");
    }
    stream.flush().expect("the other side reads");
}

fn fill(stream: &mut impl BufRead, frame: &mut Vec<u8>) {
    frame.clear();
    while frame.len() < FRAME_BYTES {
        let bytes = stream.fill_buf().expect("the other side sends");
        let count = bytes.len().min(FRAME_BYTES - frame.len());
        assert!(count > 0, "the other side sends");
        frame.extend_from_slice(&bytes[..count]);
        stream.consume(count);
    }
}

fn per_gib(seconds: f64) -> f64 {
    seconds / BYTES as f64 * f64::from(1 << 30)
}
