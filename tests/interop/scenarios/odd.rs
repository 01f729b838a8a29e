//! Records that are sound and unusual.

use std::time::Duration;

use super::FEW;
use super::run::{Way, assert_delivered, expected, send};
use crate::card::Seen;
use crate::records::{self, Record};
use crate::rows::Row;
use crate::server::{Kind, Server, Wants};

/// Over the published window of a log's time, which is seven days.
const OLD: Duration = Duration::from_secs(8 * 24 * 3600);
const LARGE: usize = 2 << 20;

pub fn among_good_ones(row: &Row, on: Kind) -> Seen {
    let server = Server::start(on, Wants::default());
    let mut records = records::plain("odd", FEW);
    let odd = [
        Record::of(vec![b'x'; LARGE]),
        Record::of(b"its key is no text".to_vec()).with_key(b"\x00\xff\xfe\x80"),
        Record::of(b"{}".to_vec()),
        Record::of(b"eight days old".to_vec()).older(OLD),
    ];
    for (at, record) in odd.into_iter().enumerate() {
        records.insert(3 * at + 1, record);
    }
    let way = Way::plainest(row);
    assert_delivered(&send(row, &server.target(), way, &records), &records);
    expected(row, way, &records).assert_stored(&server.stored());
    Seen::Good
}
