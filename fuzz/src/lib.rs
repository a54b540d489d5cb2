//! What must hold whatever comes in, one file for each of the fuzzer's targets.
//!
//! Each has `check`, which takes any bytes and a subject, the functions of subledger that are looked at, and tells what
//! does not hold. libFuzzer calls it by the programs in `targets`; the normal suite takes this file in by its path
//! (tests/it/fuzz.rs), runs each over its seeds and some hundreds of changed ones, and shows that a wrong subject is
//! noticed. So these files name each other by `super`, and nothing here may need a nightly compiler.

pub mod authenticate;
pub mod filter;
pub mod fold;
pub mod printable;
pub mod read;
pub mod sheet;

mod draw;
mod judge;
mod keeper;
mod ledger;
mod posted;

/// Nothing, or what does not hold.
pub type Held = Result<(), String>;

/// One target of the fuzzer.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of its program, of its seeds and on cargo-fuzz's command line.
    pub name: &'static str,
    /// Looks at subledger as it is.
    pub check: fn(&[u8]) -> Held,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "authenticate",
        check: |data| authenticate::check(data, &authenticate::REAL),
    },
    Target {
        name: "read",
        check: |data| read::check(data, &read::REAL),
    },
    Target {
        name: "fold",
        check: |data| fold::check(data, fold::REAL),
    },
    Target {
        name: "filter",
        check: |data| filter::check(data, &filter::REAL),
    },
    Target {
        name: "sheet",
        check: |data| sheet::check(data, sheet::REAL),
    },
    Target {
        name: "printable",
        check: |data| printable::check(data, &printable::REAL),
    },
];

/// One input of the fuzzer's: panics with what does not hold of it.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("no target is called {name:?}"));
    if let Err(what) = (target.check)(data) {
        panic!("{name}: {what}");
    }
}

/// Nothing if `holds`, else `what`.
fn must(holds: bool, what: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(what()) }
}
