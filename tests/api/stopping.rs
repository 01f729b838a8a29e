//! The end: what is under way is answered, nothing else is begun.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::group::encoded;
use crate::support::request::{Reply, Request, Version, connect};
use crate::support::{ALL, Server};

#[test]
fn a_request_under_way_is_answered_and_idle_connections_are_closed() {
    let mut server = Server::start();
    let request = Request::put("/logstores/logstore-1", &encoded("hello")).signed(Version::V1, ALL);
    let (head, body) = (request.head(), request.body.clone());
    let mut idle = connect(server.address);
    idle.write_all(&request.bytes()).unwrap();
    Reply::read(&mut idle).ok();
    let mut fresh = connect(server.address);
    let mut busy = connect(server.address);
    busy.write_all(&head).unwrap();
    thread::sleep(Duration::from_millis(200));

    server.begin_stop();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    assert_eq!(fresh.read(&mut [0]).unwrap(), 0);
    assert!(TcpStream::connect(server.address).is_err());
    busy.write_all(&body).unwrap();
    Reply::read(&mut busy).ok();
    assert_eq!(busy.read(&mut [0]).unwrap(), 0);
    assert!(server.end(), "it drained in order");
    assert_eq!(server.stored_count(), 2);
}
