//! Promise 1 and 2 of DESIGN.md: `kill -9` in the middle of a load loses nothing that got its 200.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::Home;

const SENDERS: usize = 4;
const ROUNDS: usize = 3;

fn registration(sender: usize, number: usize) -> Vec<u8> {
    format!(
        r#"{{"clientUuid":"c-{sender}-{number}","country":"TR","storeRegister":false,"subscriberId":"r{sender}x{number}@example.org","subscriberName":"Reader","appId":1,"registerDate":"2026-02-03 04:05:06"}}"#
    )
    .into_bytes()
}

#[test]
fn kill_in_the_middle_of_a_load_loses_nothing_that_got_its_200() {
    let home = Home::new();
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let numbers: Arc<Vec<AtomicUsize>> =
        Arc::new((0..SENDERS).map(|_| AtomicUsize::new(0)).collect());
    for _ in 0..ROUNDS {
        let serving = home.serve();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                let (serving, stop, acknowledged, numbers) =
                    (&serving, &stop, &acknowledged, &numbers);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let number = numbers[sender].fetch_add(1, Ordering::Relaxed);
                        if let Some((200, _)) =
                            serving.post("zotlo", "events", &registration(sender, number))
                        {
                            acknowledged
                                .lock()
                                .unwrap()
                                .insert(format!("r{sender}x{number}@example.org"));
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(400));
            let pid = serving.child.id().to_string();
            std::process::Command::new("kill")
                .args(["-9", &pid])
                .status()
                .unwrap();
            stop.store(true, Ordering::Relaxed);
        });
        serving.kill();
    }
    let serving = home.serve();
    let acknowledged = acknowledged.lock().unwrap();
    assert!(
        acknowledged.len() > 50,
        "only {} were acknowledged: no load",
        acknowledged.len()
    );
    let conn = home.open();
    let mut statement = conn
        .prepare("select json_extract(body, '$.subscriberId'), count(*) from deliveries group by 1")
        .unwrap();
    let stored: std::collections::BTreeMap<String, i64> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for reader in acknowledged.iter() {
        assert_eq!(stored.get(reader), Some(&1), "{reader} was acknowledged");
    }
    let (highest, rows) = (
        home.number("select max(seq) from deliveries"),
        home.number("select count(*) from deliveries"),
    );
    assert_eq!(highest, rows, "the sequence has no gaps");
    assert_eq!(serving.terminate(), Some(0));
    // What was stored but not folded when it died is folded now.
    assert_eq!(home.number("select count(*) from users"), rows);
    let check = home.command(&["verify"]).output().unwrap();
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stderr)
    );
}

/// What another program does that opens the ledger, reads, and closes it: as the last one it would empty the
/// write-ahead log and remove it.
fn look(home: &Home) -> i64 {
    home.number("select count(*) from deliveries")
}

#[test]
fn a_program_that_opens_and_closes_the_ledger_takes_nothing_away() {
    let home = Home::new();
    let serving = home.serve();
    for number in 0..5 {
        let (status, _) = serving
            .post("zotlo", "events", &registration(0, number))
            .unwrap();
        assert_eq!(status, 200);
        // The receiver looks at its own file too.
        let check = home.command(&["rebuild", "--check"]).output().unwrap();
        assert!(check.status.success());
        assert_eq!(look(&home), i64::try_from(number).unwrap() + 1);
    }
    serving.kill();
    assert_eq!(look(&home), 5);
}

#[test]
fn nothing_is_acknowledged_into_files_that_were_taken_away() {
    for ending in ["", "-wal"] {
        let home = Home::new();
        let serving = home.serve();
        let post = |number| {
            let answer = serving.post("zotlo", "events", &registration(0, number));
            answer.unwrap().0
        };
        assert_eq!(post(0), 200);
        let mut file = home.ledger().into_os_string();
        file.push(ending);
        let mut away = file.clone();
        away.push(".away");
        std::fs::rename(&file, &away).unwrap();
        assert_eq!(post(1), 503);
        std::fs::rename(&away, &file).unwrap();
        // It is tried again every second.
        let deadline = std::time::Instant::now() + crate::support::PATIENCE;
        while post(2) != 200 {
            assert!(std::time::Instant::now() < deadline, "it does not recover");
            std::thread::sleep(Duration::from_millis(50));
        }
        serving.kill();
        assert!(look(&home) >= 2);
    }
}
