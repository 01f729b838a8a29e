//! How each codec may be written, and miswritten.

use super::{Case, named};
use crate::sets::{Batch, CODECS, GZIP, LZ4, SNAPPY, ZSTD, compress, snappy_framed};

pub fn cases() -> Vec<Case> {
    let records = Batch::new(&["one", "two"]).records;
    let of = |codec: u8, bytes: Vec<u8>| {
        let batch = Batch::of(bytes, 2);
        batch
            .with(|batch| batch.attributes = i16::from(codec))
            .bytes()
    };
    let broken = |codec| {
        let mut bytes = compress(codec, &records);
        let middle = bytes.len() / 2;
        bytes.truncate(middle);
        of(codec, bytes)
    };
    let members = [compress(GZIP, &records[..5]), compress(GZIP, &records[5..])].concat();
    let frames = [compress(ZSTD, &records[..5]), compress(ZSTD, &records[5..])].concat();
    let mut lz4 = compress(LZ4, &records);
    lz4[6] ^= 0xff;
    let mut cases = named(
        "codec",
        [
            ("snappy framed", of(SNAPPY, snappy_framed(&records))),
            ("gzip of two members", of(GZIP, members)),
            ("zstd of two frames", of(ZSTD, frames)),
            (
                "gzip with bytes behind",
                of(GZIP, [compress(GZIP, &records), b"more".to_vec()].concat()),
            ),
            (
                "lz4 with bytes behind",
                of(LZ4, [compress(LZ4, &records), b"more".to_vec()].concat()),
            ),
            ("lz4 with a wrong header checksum", of(LZ4, lz4)),
            ("5", of(5, records.clone())),
            ("6", of(6, records.clone())),
            ("7", of(7, records.clone())),
            ("gzip cut", broken(GZIP)),
            ("snappy cut", broken(SNAPPY)),
            ("lz4 cut", broken(LZ4)),
            ("zstd cut", broken(ZSTD)),
            ("gzip of nothing", of(GZIP, compress(GZIP, b""))),
        ],
    );
    for (codec, name) in &CODECS[1..] {
        cases.push((
            format!("codec: no {name} at all"),
            of(*codec, b"neither this nor that".to_vec()),
        ));
        cases.push((
            format!("codec: {name} without a byte"),
            of(*codec, Vec::new()),
        ));
    }
    cases
}
