//! The power goes, and what the disk does not have is gone: an ext4 of our own on a loop device, shut down under load.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::compare::{lost, nothing_lost, verified};
use crate::load::Load;
use crate::suite::{Held, Row, Stop, Torture, binary, control, must, root, tool};
use crate::support::{Home, Serving};

pub(crate) const ROWS: &[Row] = &[Row {
    name: "power",
    what: "power cut under load: ext4 on a loop device, `EXT4_IOC_SHUTDOWN` without a flush, then the journal's recovery",
    figure: "60 rounds: 0 lost, chain, structure and lists hold; the control (`synchronous=NORMAL`) loses some",
    run: power,
}];

const SENDERS: usize = 4;
const ROUNDS_A_DISK: usize = 20;

/// A file system in a file, mounted at a home's data.
struct Disk {
    image: PathBuf,
    place: PathBuf,
}

impl Disk {
    /// Makes and mounts one.
    fn make(home: &Home) -> Result<Self, Stop> {
        let mkfs = tool("mkfs.ext4")?;
        let image = home.path().join("disk");
        std::fs::File::create(&image)
            .unwrap()
            .set_len(96 << 20)
            .unwrap();
        let made = Command::new(mkfs)
            .args(["-q", "-F"])
            .arg(&image)
            .status()
            .unwrap();
        must(made.success(), || "mkfs.ext4 failed".to_owned())?;
        let place = home.path().join("data");
        std::fs::create_dir(&place).unwrap();
        let disk = Self { image, place };
        if !disk.mount() {
            return Err(Stop::Skipped(
                "no loop device may be mounted here".to_owned(),
            ));
        }
        Ok(disk)
    }

    fn mount(&self) -> bool {
        Command::new("mount")
            .args(["-t", "ext4", "-o", "loop"])
            .args([&self.image, &self.place])
            .status()
            .unwrap()
            .success()
    }

    fn unmount(&self) {
        let status = Command::new("umount").arg(&self.place).status().unwrap();
        assert!(status.success(), "the disk cannot be unmounted");
    }

    /// What a machine does after its power came back.
    fn recover(&self) {
        self.unmount();
        assert!(self.mount(), "the disk cannot be mounted again");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A row that failed may have ended while nothing was mounted.
        let _ = Command::new("umount")
            .arg(&self.place)
            .stderr(Stdio::null())
            .status();
    }
}

fn power(torture: &mut Torture) -> Held {
    root()?;
    let cut = torture.compile("cut.c", "cut", &[])?;
    let rounds = torture.rounds(60);
    let (mut acknowledged, mut in_flight) = (0, 0);
    for begun in (0..rounds).step_by(ROUNDS_A_DISK) {
        let home = Home::new();
        let disk = Disk::make(&home)?;
        let load = Load::new(torture.dice.next());
        for done in begun..rounds.min(begun + ROUNDS_A_DISK) {
            let off = round(torture, &home, &disk, &load, (binary(), ""), &cut);
            in_flight += forget(&load, &home, off);
            nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
            if done % 5 == 4 {
                verified(&home)?;
            }
        }
        assert_eq!(home.serve().terminate(), Some(0));
        nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
        verified(&home)?;
        acknowledged += load.said.lock().unwrap().acknowledged.len();
    }
    must(acknowledged > rounds * 10, || {
        format!("only {acknowledged} were acknowledged: no load")
    })?;
    let (missing, of) = broken(torture, &cut)?;
    Ok(format!(
        "{rounds} cuts, {acknowledged} acknowledged, 0 lost, verify passed ({in_flight} answered \
         while the power went were not kept); control lost {missing} of {of}"
    ))
}

/// One start, load, cut and recovery; when the power began to go, nanoseconds of the monotonic clock.
fn round(
    torture: &mut Torture,
    home: &Home,
    disk: &Disk,
    load: &Load,
    (program, control): (&Path, &str),
    cut: &Path,
) -> i64 {
    let child = home
        .command_of(program, &["serve"])
        .env("SUBLEDGER_CONTROL", control)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    let stop = AtomicBool::new(false);
    let off = std::thread::scope(|scope| {
        scope.spawn(|| load.send(home.port, SENDERS, &stop));
        std::thread::sleep(torture.dice.ms(50, 900));
        let output = Command::new(cut).arg(&disk.place).output().unwrap();
        assert!(output.status.success(), "the power cannot be cut");
        serving.kill();
        stop.store(true, Ordering::Relaxed);
        output.stdout
    });
    disk.recover();
    String::from_utf8(off).unwrap().trim().parse().unwrap()
}

/// Takes out what was answered while the power was going and is not there: nobody is answered after a cut, but here a
/// sync may return while the file system is shut down under it. How many they were.
fn forget(load: &Load, home: &Home, off_ns: i64) -> usize {
    let stored = home.number("select coalesce(max(seq), 0) from deliveries");
    let mut said = load.said.lock().unwrap();
    let before = said.acknowledged.len();
    said.acknowledged
        .retain(|one| one.at_ns < off_ns || one.seq <= stored);
    before - said.acknowledged.len()
}

/// The control: how many of how many acknowledged it lost.
fn broken(torture: &mut Torture, cut: &Path) -> Result<(usize, usize), Stop> {
    let program = control();
    let home = Home::new();
    let disk = Disk::make(&home)?;
    let load = Load::new(torture.dice.next());
    // A ledger that is on the disk: what is lost is what was acknowledged.
    assert_eq!(home.serve().terminate(), Some(0));
    disk.recover();
    for _ in 0..8 {
        round(torture, &home, &disk, &load, (&program, "sync-normal"), cut);
    }
    let missing = lost(&home.ledger(), &load.said.lock().unwrap()).len();
    let of = load.said.lock().unwrap().acknowledged.len();
    must(missing > 0, || {
        format!("the control lost none of {of}: this row finds nothing")
    })?;
    Ok((missing, of))
}
