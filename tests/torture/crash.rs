//! `kill -9` under load.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::compare::{lost, nothing_lost, verified};
use crate::load::Load;
use crate::suite::{Held, Row, Torture, binary, control, must};
use crate::support::{Home, Serving};

pub(crate) const ROWS: &[Row] = &[Row {
    name: "kill",
    what: "`kill -9` at random moments under four senders, then the next start",
    figure: "60 rounds: every 200 is there once, byte for byte; start under 2 s; the control loses some",
    run: kill,
}];

const SENDERS: usize = 4;
/// Rounds of one ledger; then a new one.
const ROUNDS_A_LEDGER: usize = 15;

fn kill(torture: &mut Torture) -> Held {
    let rounds = torture.rounds(60);
    let (mut acknowledged, mut slowest_ms) = (0, 0);
    for begun in (0..rounds).step_by(ROUNDS_A_LEDGER) {
        let home = Home::new();
        let load = Load::new(torture.dice.next());
        for _ in begun..rounds.min(begun + ROUNDS_A_LEDGER) {
            slowest_ms = slowest_ms.max(round(torture, &home, &load, binary(), ""));
            nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
        }
        assert_eq!(home.serve().terminate(), Some(0));
        nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
        verified(&home)?;
        acknowledged += load.said.lock().unwrap().acknowledged.len();
    }
    must(acknowledged > rounds * 20, || {
        format!("only {acknowledged} were acknowledged: no load")
    })?;
    must(slowest_ms < 2_000, || {
        format!("a start took {slowest_ms} ms")
    })?;
    let (missing, of) = broken(torture)?;
    Ok(format!(
        "{rounds} rounds, {acknowledged} acknowledged, 0 lost, slowest start {slowest_ms} ms; \
         control lost {missing} of {of}"
    ))
}

/// One start, load and kill; how long the start took, milliseconds.
fn round(torture: &mut Torture, home: &Home, load: &Load, program: &Path, control: &str) -> u128 {
    let begun = Instant::now();
    let child = home
        .command_of(program, &["serve"])
        .env("SUBLEDGER_CONTROL", control)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    let took = begun.elapsed().as_millis();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| load.send(home.port, SENDERS, &stop));
        std::thread::sleep(torture.dice.ms(100, 700));
        serving.kill();
        stop.store(true, Ordering::Relaxed);
    });
    took
}

/// The control: how many of how many acknowledged it lost.
fn broken(torture: &mut Torture) -> Result<(usize, usize), crate::suite::Stop> {
    let program = control();
    let home = Home::new();
    let load = Load::new(torture.dice.next());
    let mut missing = 0;
    for _ in 0..12 {
        round(torture, &home, &load, &program, "answer-early");
        missing = lost(&home.ledger(), &load.said.lock().unwrap()).len();
    }
    let of = load.said.lock().unwrap().acknowledged.len();
    must(missing > 0, || {
        format!("the control lost none of {of}: this row finds nothing")
    })?;
    Ok((missing, of))
}
