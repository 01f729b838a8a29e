//! Record sets: every format and codec in every version of Produce, those of real clients, and every way to be wrong.

mod batches;
mod codecs;
mod legacy;

use std::fs;
use std::path::Path;

use super::set_probe;
use crate::dialogue::Probe;
use crate::sets::{self, CODECS};

const VERSIONS: std::ops::RangeInclusive<i16> = 0..=11;
/// Versions that differ in how they treat a set: message sets, one batch, a batch with zstd, words about it.
const KINDS: [i16; 4] = [2, 3, 7, 9];

pub fn probes() -> Vec<Probe> {
    let formats = VERSIONS.flat_map(formats);
    formats.chain(KINDS.into_iter().flat_map(kind)).collect()
}

/// Every format and codec.
fn formats(version: i16) -> Vec<Probe> {
    let mut probes = Vec::new();
    for magic in 0..=2 {
        for (codec, name) in CODECS {
            let set = sets::set(magic, codec);
            probes.push(set_probe(&format!("magic {magic} {name}"), version, &set));
        }
    }
    probes
}

fn kind(version: i16) -> Vec<Probe> {
    let cases = [
        codecs::cases(),
        batches::batches(),
        batches::records(),
        legacy::entries(),
        legacy::wrappers(),
        captured(),
    ];
    let probe = |(case, set): &Case| set_probe(case, version, set);
    cases.concat().iter().map(probe).collect()
}

type Case = (String, Vec<u8>);

fn named<const N: usize>(format: &str, cases: [(&str, Vec<u8>); N]) -> Vec<Case> {
    cases
        .map(|(case, set)| (format!("{format}: {case}"), set))
        .into()
}

/// What real clients sent.
fn captured() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/records");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .collect();
    files.sort();
    let case = |path: std::path::PathBuf| {
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        (
            format!("captured: {name}"),
            fs::read(path).expect("it can be read"),
        )
    };
    files.into_iter().map(case).collect()
}
