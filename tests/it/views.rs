//! Saved filters, the command that brings a screen back, and what `E` writes: the built binary in a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::screen::Terminal;
use crate::support::{Home, PATIENCE, Said};

/// A home whose ledger holds a made-up year.
fn home() -> Home {
    let home = Home::new();
    let ledger = home.ledger();
    fs::create_dir_all(ledger.parent().unwrap()).unwrap();
    let made = home
        .command(&[
            "demo",
            "--seed",
            "2",
            "--events",
            "500",
            "--until",
            "2026-11-20T09:00:00Z",
        ])
        .args(["--out", ledger.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    home
}

/// Waits until `found` gives something.
fn poll<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What was handed to the terminal's clipboard last.
fn copied(terminal: &Terminal) -> Option<String> {
    let bytes = terminal.bytes();
    let text = String::from_utf8_lossy(&bytes);
    let (_, after) = text.rsplit_once("\x1b]52;c;")?;
    let end = after.find(['\x07', '\x1b'])?;
    let text = STANDARD.decode(&after[..end]).unwrap();
    Some(String::from_utf8(text).unwrap())
}

#[test]
fn a_filter_saved_on_screen_is_a_word_on_the_command_line() {
    let home = home();
    let mut terminal = Terminal::start(&home, &["tui", "--list", "events"], &[]);
    terminal.wait_for("Enter open");
    terminal.press("/provider:zotlo type:user -is:test\r");
    terminal.wait_for("x clear");
    terminal.press(":sort oldest\r");
    terminal.wait_for("oldest first");
    terminal.press(":save who's \"new\"\r");
    terminal.wait_for("saved as");
    terminal.press(":pin who's \"new\" 4\r");
    terminal.wait_for("v4 opens");
    terminal.press("x3v4");
    terminal.wait_for("Events  provider:zotlo type:user -is:test");
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
    let Said { out: kept, .. } = home.says(&[
        "sql",
        "--format",
        "csv",
        "select name, list, query from views",
    ]);
    assert!(kept.contains("provider:zotlo type:user -is:test"), "{kept}");
    let ids = ["--format", "csv", "--limit", "0"];
    let direct = [
        "events",
        "provider:zotlo type:user -is:test",
        "--sort",
        "oldest",
    ];
    let direct = home.says(&[&direct[..], &ids].concat());
    let saved = home.says(&[&["events", "@who's \"new\""][..], &ids].concat());
    assert!(
        direct.code == 0 && direct.out.lines().count() > 3,
        "{direct:?}"
    );
    assert_eq!(saved, direct, "the order is saved too");
    let newest = ["events", "@who's \"new\"", "--sort", "newest"];
    let newest = home.says(&[&newest[..], &ids].concat());
    assert_ne!(newest, direct, "and another one can be asked for");
    let Said {
        code, err: said, ..
    } = home.says(&["users", "@who's \"new\""]);
    assert!(
        code != 0 && said.contains("is of events, not of users"),
        "{said}"
    );
    // What no saved filter is called is a word.
    let Said {
        code, err: said, ..
    } = home.says(&["users", "@nowhere.example"]);
    assert!(code == 0 && said.contains("no users fit"), "{said}");
    let named = "no saved filter is called \"nowhere.example\"";
    assert!(said.contains(named), "{said}");
    let slip = home.says(&["users", "@who"]);
    assert_eq!((slip.code, slip.out.as_str()), (2, ""), "{}", slip.err);
    assert!(slip.err.contains("no saved filter is called \"who\""));
    let mut terminal = Terminal::start(&home, &["tui", "@who"], &[]);
    assert_eq!(terminal.wait(), 2);
}

#[test]
fn the_copied_command_brings_list_filter_and_row_back() {
    let home = home();
    let query = "-\"it's $(touch pwned) `x` \\\\ \u{202e}\" provider:zotlo";
    let mut terminal = Terminal::start(&home, &["tui", "--list", "users", "--", query], &[]);
    terminal.wait_for("Last seen");
    terminal.press("jjjjY");
    let command = poll("the command", || copied(&terminal));
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
    assert!(
        command.starts_with("subledger tui --list users --at "),
        "{command}"
    );
    // A shell reads it as one program with these words, and runs nothing else.
    let folder = tempfile::tempdir().unwrap();
    let told = format!("subledger() {{ printf '%s\\0' \"$@\"; }}\n{command}");
    let Ok(read) = Command::new("bash")
        .args(["-c", &told])
        .current_dir(folder.path())
        .output()
    else {
        eprintln!("skipped: no bash");
        return;
    };
    let read = String::from_utf8(read.stdout).unwrap();
    let words: Vec<&str> = read.trim_end_matches('\0').split('\0').collect();
    assert_eq!(words.last(), Some(&query), "{command}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let mut again = Terminal::start(&home, &words, &[]);
    again.wait_for("Last seen");
    again.press("Y");
    assert_eq!(poll("the command", || copied(&again)), command);
    again.leave();
    assert_eq!(again.wait(), 0);
}

#[test]
fn what_is_seen_goes_into_a_file_as_the_command_line_writes_it() {
    let home = home();
    let mut terminal = Terminal::start(&home, &["tui", "type:payment"], &[]);
    terminal.wait_for("Enter open");
    for _ in 0..2 {
        terminal.press("E\r");
        terminal.wait_for(" rows in ");
        terminal.press("g");
        poll("the keys", || {
            terminal.text().contains("Enter open").then_some(())
        });
    }
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
    let files = || {
        let folder = fs::read_dir(home.path()).unwrap();
        let paths = folder.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with("subledger-events-")
            })
            .collect();
        paths.sort();
        paths
    };
    let Said { out: wanted, .. } =
        home.says(&["events", "type:payment", "--limit", "0", "--format", "csv"]);
    let files = files();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        assert_eq!(fs::read_to_string(&file).unwrap(), wanted);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
