//! Hours of ordinary work: what grows that should not. Only with `--soak MINUTES`.

use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::compare::{nothing_lost, verified};
use crate::load::{Load, Sender};
use crate::suite::{Held, Row, SOAK, Torture, must};
use crate::support::{Home, Serving};

pub(crate) const ROWS: &[Row] = &[Row {
    name: SOAK,
    what: "200 webhooks a second for as many minutes as asked, with a look at the lists every 10 s",
    figure: "memory grows by less than 1 MiB from the third fifth to the last, its caches being full by then; descriptors stay; nothing lost",
    run: soak,
}];

const PER_SECOND: u32 = 200;

/// A sample of the receiver: resident KiB, and open descriptors.
pub(crate) fn vitals(serving: &Serving) -> (u64, usize) {
    let pid = serving.child.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    (resident, open)
}

fn soak(torture: &mut Torture) -> Held {
    let time = Duration::from_secs(60 * torture.soak_minutes());
    let home = Home::new();
    let serving = home.serve();
    let load = Load::new(torture.dice.next());
    let mut sender = Sender::new(home.port);
    let begun = Instant::now();
    let (mut sent, mut samples) = (0_u32, Vec::new());
    while begun.elapsed() < time {
        load.send_one(&mut sender);
        sent += 1;
        if sent.is_multiple_of(PER_SECOND) {
            samples.push(vitals(&serving));
        }
        if sent.is_multiple_of(PER_SECOND * 10) {
            let looked = home.command(&["today"]).stdout(Stdio::null()).status();
            assert!(looked.unwrap().success());
        }
        let due = Duration::from_secs(1) * sent / PER_SECOND;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    assert_eq!(serving.terminate(), Some(0));
    nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
    verified(&home)?;
    let fifth = samples.len() / 5;
    must(fifth > 0, || "too short to say anything".to_owned())?;
    let mean =
        |part: &[(u64, usize)]| part.iter().map(|one| one.0).sum::<u64>() / part.len() as u64;
    let fifths: Vec<u64> = samples.chunks_exact(fifth).take(5).map(mean).collect();
    let told: Vec<String> = fifths.iter().map(u64::to_string).collect();
    let most = |part: &[(u64, usize)]| part.iter().map(|one| one.1).max().unwrap();
    let (early, late) = (most(&samples[..2 * fifth]), most(&samples[2 * fifth..]));
    let figures = format!(
        "{} min, {} acknowledged, p99 {} ms; memory by fifths of the time {} KiB, descriptors {early} to {late}",
        time.as_secs() / 60,
        load.count.load(Ordering::Relaxed),
        load.p99(0).as_millis(),
        told.join(", ")
    );
    must(fifths[4] < fifths[2] + 1_024 && late <= early + 2, || {
        figures.clone()
    })?;
    Ok(figures)
}
