//! One client's connection to either server: TLS, frames out, frames in, with an end to all waiting.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// For the handshake of TLS.
const DIAL_MAX: Duration = Duration::from_secs(10);

/// Where a server is, and how to know it.
#[derive(Clone)]
pub struct Place {
    pub address: SocketAddr,
    pub certificate: CertificateDer<'static>,
}

pub struct Connection(StreamOwned<ClientConnection, TcpStream>);

/// What came next.
pub enum Heard {
    /// A frame without its size prefix.
    Frame(Vec<u8>),
    Closed,
    Nothing,
}

impl Connection {
    pub fn dial(place: &Place) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(place.certificate.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpStream::connect(place.address).expect("the server listens");
        socket
            .set_read_timeout(Some(DIAL_MAX))
            .expect("a socket option");
        socket.set_nodelay(true).expect("a socket option");
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("TLS");
        Self(StreamOwned::new(tls, socket))
    }

    /// How long `hear` waits.
    pub fn set_patience(&self, patience: Duration) {
        self.0
            .sock
            .set_read_timeout(Some(patience))
            .expect("a socket option");
    }

    /// A server that has closed already is found when its answer is waited for.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).and_then(|()| self.0.flush());
    }

    pub fn hear(&mut self) -> Heard {
        match self.frame() {
            Ok(frame) => Heard::Frame(frame),
            Err(error) if is_silence(&error) => Heard::Nothing,
            Err(_) => Heard::Closed,
        }
    }

    fn frame(&mut self) -> io::Result<Vec<u8>> {
        let mut size = [0; 4];
        self.0.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size)).expect("a server's size is sound");
        let mut frame = vec![0; size];
        self.0.read_exact(&mut frame)?;
        Ok(frame)
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
