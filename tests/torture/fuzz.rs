//! What takes foreign bytes, by the functions of the fuzzer's targets, for longer than the normal suite does it.

use std::fs;
use std::path::{Path, PathBuf};

use subledger::providers;

use crate::content::spoilt;
use crate::suite::{Dice, Held, Row, Stop, Torture};

use targets::{TARGETS, read};

#[expect(
    dead_code,
    unreachable_pub,
    reason = "the fuzzer's programs and the normal suite use the rest"
)]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

pub(crate) const ROWS: &[Row] = &[Row {
    name: "fuzz",
    what: "the seeds of the six fuzz targets (who may come in, reading, folding, filters, CSV, what is shown) with bytes changed, cut, doubled and crossed",
    figure: "3,000 inputs each: what must hold of any holds, no panic",
    run: fuzz,
}];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let own = files(&folder.join(target)).into_iter();
    let mut seeds: Vec<Vec<u8>> = own.map(|file| fs::read(file).unwrap()).collect();
    if target == "read" {
        let samples = providers::ALL.iter().flat_map(|one| one.samples());
        seeds.extend(samples.map(|sample| sample.body.as_bytes().to_vec()));
    }
    seeds
}

/// A seed that something happened to, or its beginning with the end of another.
fn changed(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut seed = seeds[dice.below(seeds.len())].clone();
    if dice.below(4) == 0 {
        let other = &seeds[dice.below(seeds.len())];
        seed.truncate(dice.below(seed.len() + 1));
        seed.extend_from_slice(&other[dice.below(other.len() + 1)..]);
    }
    spoilt(dice, &seed)
}

fn fuzz(torture: &mut Torture) -> Held {
    let rounds = torture.rounds(3_000);
    for target in TARGETS {
        let seeds = seeds(target.name);
        for round in 0..rounds {
            let data = changed(&mut torture.dice, &seeds);
            let held = (target.check)(&data);
            held.map_err(|what| Stop::Missed(format!("{} {round}: {what}", target.name)))?;
        }
    }
    read::settled().map_err(Stop::Missed)?;
    Ok(format!(
        "{} targets, {} inputs, 0 found",
        TARGETS.len(),
        rounds * TARGETS.len()
    ))
}
