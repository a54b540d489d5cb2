//! What writes into the ledger from the screen, in a pseudo-terminal: taking in, reading again, marking tests; with a
//! receiver, without one, with the lock held by somebody who does not answer, on a full disk.

use std::io::Write as _;

use subledger::domain::time::Timestamp;
use subledger::store::lock::Lock;

use crate::screen::Terminal;
use crate::support::{Disk, Home, PATH_KEY};

/// A secret link that the settings do not know yet.
const OTHER_KEY: &str = "k_otherotherotherotherotherothe";

const READER: &str = r#"{"clientUuid":"u1","country":"TR","subscriberId":"ayla@example.org","subscriberName":"Ayla Demir","appId":1,"registerDate":"2026-02-03 04:05:06"}"#;

/// A home where one webhook came in and one was turned away, and nothing runs.
fn one_turned_away() -> Home {
    let home = Home::new();
    let serving = home.serve();
    assert_eq!(
        serving
            .post("zotlo", "events", READER.as_bytes())
            .unwrap()
            .0,
        200
    );
    let path = format!("/hooks/zotlo/events/{OTHER_KEY}");
    let other = READER.replace("u1", "u2");
    assert_eq!(
        serving
            .request("POST", &path, "", other.as_bytes())
            .unwrap()
            .0,
        401
    );
    serving.terminate();
    home
}

/// The settings take the other link too.
fn trust_other(home: &Home) {
    let path = home.path().join("config/subledger/subledger.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let table = "[providers.zotlo]\n";
    let now = format!("{table}path_key = [\"{PATH_KEY}\", \"{OTHER_KEY}\"]");
    let text = text.replace(&format!("{table}path_key = \"{PATH_KEY}\""), &now);
    std::fs::write(&path, text).unwrap();
}

/// The screen on the webhooks that were turned away, the first one selected.
fn among_rejected(home: &Home) -> Terminal {
    let mut terminal = Terminal::start(home, &["tui"], &[]);
    terminal.wait_for("1 Today");
    terminal.press("7");
    terminal.wait_for("stored");
    terminal.press("/is:rejected\r");
    terminal.wait_for("is:rejected  1 ");
    terminal.wait_for("take in");
    terminal
}

fn stored(home: &Home) -> i64 {
    home.number("select count(*) from deliveries")
}

#[test]
fn without_a_receiver_the_screen_takes_the_lock_and_judges_by_the_settings_of_now() {
    let home = one_turned_away();
    let mut terminal = among_rejected(&home);
    terminal.press("a");
    terminal.wait_for("Judge 1 webhook again");
    terminal.press("n");
    terminal.wait_for("nothing was changed");
    terminal.press("a");
    terminal.wait_for("Judge 1 webhook again");
    terminal.press("y");
    terminal.wait_for("not taken in: secret link wrong");
    assert_eq!(stored(&home), 1);
    // The screen has been open all the while.
    trust_other(&home);
    terminal.press("a");
    terminal.wait_for("Judge 1 webhook again");
    terminal.press("y");
    terminal.wait_for("taken in as webhook 2");
    assert_eq!(stored(&home), 2);
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_receiver_is_handed_what_the_screen_wants_written() {
    let home = one_turned_away();
    trust_other(&home);
    let serving = home.serve();
    let mut terminal = among_rejected(&home);
    terminal.press("a");
    terminal.wait_for("Judge 1 webhook again");
    terminal.press("y");
    terminal.wait_for("taken in as webhook 2");
    terminal.press("x");
    terminal.wait_for("Deliveries  3 ");
    terminal.press("gt");
    terminal.wait_for("1 delivery marked as a test");
    terminal.wait_for("TEST");
    assert_eq!(
        home.number("select count(*) from deliveries where test = 1"),
        1
    );
    // The last key before leaving is done too.
    terminal.press("t");
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
    assert_eq!(
        home.number("select count(*) from deliveries where test = 1"),
        0
    );
    drop(serving);
}

#[test]
fn what_was_not_understood_is_read_again_and_all_of_a_reader_marked() {
    let home = Home::new();
    let serving = home.serve();
    serving.post("zotlo", "events", READER.as_bytes()).unwrap();
    assert_eq!(serving.post("zotlo", "events", b"not json").unwrap().0, 200);
    let mut terminal = Terminal::start(&home, &["tui"], &[]);
    terminal.wait_for("1 Today");
    terminal.press("7");
    terminal.wait_for("kept, not");
    terminal.press("/is:quarantined\r");
    terminal.wait_for("is:quarantined  1 ");
    terminal.wait_for("read again");
    terminal.press("r");
    terminal.wait_for("Read 1 webhook again (2: zotlo, events)?");
    terminal.press("y");
    terminal.wait_for("0 of 1 understood now");
    terminal.press("R");
    terminal.wait_for("(1 webhook)?");
    terminal.press("y");
    terminal.wait_for("0 of 1 understood now");
    terminal.press("3");
    terminal.wait_for("Ayla");
    terminal.press("T");
    terminal.wait_for("event");
    terminal.press("y");
    terminal.wait_for("1 delivery marked as a test");
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
    // The same by numbers on the command line.
    let retried = home
        .command(&["quarantine", "retry", "2", "1", "9"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&retried.stdout).into_owned();
    assert!(said.starts_with("0 of 3 understood now"), "{said}");
    assert!(said.contains("delivery 1 was understood"), "{said}");
    assert!(said.contains("there is no delivery 9"), "{said}");
    drop(serving);
}

#[test]
fn a_holder_that_does_not_answer_is_named_and_the_screen_goes_on() {
    let home = one_turned_away();
    let mut terminal = among_rejected(&home);
    let now = Timestamp::parse("2026-04-01").unwrap();
    let held = Lock::take(&home.ledger(), "", now).unwrap();
    terminal.press("a");
    terminal.wait_for("Judge 1 webhook again");
    terminal.press("y");
    terminal.wait_for("another subledger (process");
    terminal.press("2");
    terminal.wait_for("user.registered");
    drop(held);
    terminal.press("t");
    terminal.wait_for("1 delivery marked as a test");
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_full_disk_is_told_and_nothing_changes() {
    let home = one_turned_away();
    let folder = home.path().join("data/subledger");
    let ledger = std::fs::read(home.ledger()).unwrap();
    let Some(_disk) = Disk::of(&folder, 4 << 10) else {
        return;
    };
    std::fs::write(home.ledger(), ledger).unwrap();
    let mut terminal = among_rejected(&home);
    let mut filler = std::fs::File::create(folder.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    terminal.press("a");
    terminal.wait_for("Judge 1 webhook again");
    terminal.press("y");
    terminal.wait_for("make room on its disk");
    terminal.press("?");
    terminal.wait_for("a key or what it does");
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
    drop(filler);
    std::fs::remove_file(folder.join("filler")).unwrap();
    assert_eq!(stored(&home), 1);
}
