//! Pictures of screens: the same keys give the same picture, and those in the README are what the screen draws today.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::Home;

/// The pictures of the README: the file, and what it is made with.
const PICTURES: &[(&str, &str)] = &[
    ("today.txt", "--screen today"),
    ("today.svg", "--screen today --size 100x30"),
    (
        "cancellations.svg",
        "--screen events --size 120x30 --keys /type:cancel<Enter>jj<Enter>",
    ),
    (
        "consent.svg",
        "--screen changes --size 100x30 --theme light --keys jj",
    ),
];

/// The data of the pictures.
const DATA: &str = "--seed 1 --events 4000 --until 2026-11-20T09:14:00Z";

/// What `shot` writes for `args`.
fn shot(home: &Home, args: &[&str]) -> String {
    let output = home.command(&[&["shot"], args].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_pictures_of_the_readme_are_what_the_screen_draws() {
    let home = Home::new();
    let screens = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/screens");
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let mut stale = String::new();
    for (file, args) in PICTURES {
        let (_, format) = file.split_once('.').unwrap();
        let all = format!("{args} {DATA} --format {format}");
        let drawn = shot(&home, &all.split(' ').collect::<Vec<_>>());
        let kept = std::fs::read_to_string(screens.join(file)).unwrap_or_default();
        if kept != drawn {
            let all = args.replace(
                "/type:cancel<Enter>jj<Enter>",
                "'/type:cancel<Enter>jj<Enter>'",
            );
            writeln!(
                stale,
                "cargo run -- shot {all} {DATA} --out assets/screens/{file}"
            )
            .unwrap();
        }
        assert!(
            readme.contains(&format!("assets/screens/{file}")),
            "{file} is not in the README"
        );
        if *file == "today.txt" {
            // Its empty lines say nothing there.
            let lines = kept.lines().filter(|line| !line.is_empty());
            let shown = lines.collect::<Vec<_>>().join("\n");
            assert!(readme.contains(&shown), "the README shows another {file}");
        }
    }
    assert!(
        stale.is_empty(),
        "the screen looks different by now; look at it, and make the pictures anew:\n{stale}"
    );
    let kept = std::fs::read_dir(&screens).unwrap().count();
    assert_eq!(
        kept,
        PICTURES.len(),
        "a picture in {} is in no test",
        screens.display()
    );
}

#[test]
fn a_picture_changes_nothing_in_a_ledger() {
    let home = Home::new();
    let made = home.path().join("made.db");
    let made = made.to_str().unwrap();
    let until = "2026-11-20T09:14:00Z";
    let demo = ["demo", "--events", "300", "--until", until, "--out", made];
    assert!(home.command(&demo).output().unwrap().status.success());
    let before = std::fs::read(made).unwrap();
    let args = [
        "--db", made, "--until", until, "--screen", "today", "--keys", "R",
    ];
    let text = shot(&home, &args);
    assert!(
        text.contains("a picture changes nothing in this ledger"),
        "{text}"
    );
    assert!(text.contains("DEMO"), "{text}");
    assert_eq!(std::fs::read(made).unwrap(), before);
    // Its own throw-away ledger it may change.
    let text = shot(
        &home,
        &["--events", "300", "--until", until, "--keys", "1R"],
    );
    assert!(text.contains("reviewed"), "{text}");
}

#[test]
fn what_cannot_be_pictured_is_refused_with_what_to_do() {
    let home = Home::new();
    let missing = home.path().join("missing/x.svg");
    for (args, code, says) in [
        (&["--size", "9"][..], 2, "80x24"),
        (&["--size", "0x5"], 2, "80x24"),
        (&["--screen", "tody"], 2, "today"),
        (&["--theme", "drak"], 2, "dark"),
        (&["--zone", "Istanbul"], 2, "Istanbul"),
        (&["--until", "soon"], 2, "2026-11-01T09:00:00Z"),
        (&["--keys", "<Return>"], 2, "<Enter>"),
        (&["--keys", "a<b"], 2, "<lt>"),
        (&["--out", "picture.png"], 2, "--format"),
        (&["--db", "/nowhere/x.db"], 3, "no ledger"),
        (
            &["--events", "300", "--out", missing.to_str().unwrap()],
            1,
            "cannot write",
        ),
    ] {
        let output = home.command(&[&["shot"], args].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_picture_is_written_in_the_form_that_its_name_says() {
    let home = Home::new();
    let data = ["--events", "300", "--until", "2026-11-20T09:14:00Z"];
    let mut written = Vec::new();
    for name in ["a.txt", "a.ansi", "a.svg"] {
        let path = home.path().join(name);
        let args = ["--screen", "events", "--out", path.to_str().unwrap()];
        assert_eq!(shot(&home, &[&data[..], &args[..]].concat()), "");
        written.push(std::fs::read_to_string(path).unwrap());
    }
    assert!(written[0].contains(" 2 Events") && !written[0].contains('\u{1b}'));
    assert!(
        written[1].contains("\u{1b}[0;1;4m2 Events\u{1b}[0m"),
        "{}",
        written[1]
    );
    assert!(written[2].starts_with("<svg ") && written[2].ends_with("</svg>\n"));
    // Without colours the two texts are one.
    let mono = [&data[..], &["--screen", "events", "--theme", "mono"]].concat();
    assert_eq!(shot(&home, &mono), written[0]);
}

#[test]
fn a_picture_of_a_ledger_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let made = home.path().join("made.db");
    home.succeeds(&["demo", "--events", "300", "--out", made.to_str().unwrap()]);
    let path = home.path().join("picture.svg");
    for (db, mode) in [(Some(made.to_str().unwrap()), 0o600), (None, 0o666)] {
        let mut args = vec![
            "-c",
            "umask 0; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_subledger"),
        ];
        args.extend(["shot", "--events", "300", "--out", path.to_str().unwrap()]);
        args.extend(db.iter().flat_map(|db| ["--db", db]));
        let said = home
            .command_of(std::path::Path::new("sh"), &args)
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
        let found = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{db:?}");
    }
}

#[test]
fn redacted_nothing_names_a_reader_in_any_format_and_every_column_stays() {
    let home = Home::new();
    let made = home.path().join("made.db");
    let made = made.to_str().unwrap();
    let until = "2026-11-20T09:14:00Z";
    let demo = ["demo", "--events", "300", "--until", until, "--out", made];
    assert!(home.command(&demo).output().unwrap().status.success());
    let run = |args: &[&str]| {
        let output = home
            .command(&[&["--db", made], args].concat())
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let users: Vec<serde_json::Value> = serde_json::from_str(&run(&["users", "--json"])).unwrap();
    let theirs: Vec<&str> = users
        .iter()
        .flat_map(|user| ["name", "email", "phone", "user_id"].map(|key| user[key].as_str()))
        .flatten()
        .collect();
    assert!(theirs.len() > 20, "{theirs:?}");
    for list in [
        "events",
        "users",
        "subscriptions",
        "consents",
        "payments",
        "deliveries",
    ] {
        for format in ["table", "csv", "json", "md"] {
            let args = [list, "--format", format, "--limit", "0"];
            let (open, masked) = (run(&args), run(&[&args[..], &["--redact"]].concat()));
            assert_eq!(open.lines().count(), masked.lines().count(), "{args:?}");
            if format == "csv" {
                assert_eq!(open.lines().next(), masked.lines().next(), "{args:?}");
            }
            for one in &theirs {
                assert!(!masked.contains(one), "{one} in {args:?}");
            }
        }
    }
    for args in [
        &["show", "3", "--redact"][..],
        &["show", "3", "--redact", "--body"],
        &[
            "shot", "--until", until, "--redact", "--screen", "users", "--keys", "j<Enter>",
            "--size", "250x60",
        ],
    ] {
        let masked = run(args);
        for one in &theirs {
            assert!(!masked.contains(one), "{one} in {args:?}");
        }
    }
    // The same value, the same tag, wherever and whenever.
    let again = run(&["users", "--json", "--redact"]);
    assert_eq!(again, run(&["users", "--json", "--redact"]));
    let masked: Vec<serde_json::Value> = serde_json::from_str(&again).unwrap();
    let of = |user: &str| {
        let at = users.iter().position(|one| one["user_id"] == user).unwrap();
        masked[at]["user_id"].as_str().unwrap().to_owned()
    };
    let events: Vec<serde_json::Value> =
        serde_json::from_str(&run(&["events", "--json", "--limit", "0"])).unwrap();
    let hidden: Vec<serde_json::Value> =
        serde_json::from_str(&run(&["events", "--json", "--limit", "0", "--redact"])).unwrap();
    for (open, masked) in events.iter().zip(&hidden) {
        if let Some(user) = open["user_id"].as_str() {
            assert_eq!(masked["user_id"], of(user));
        }
    }
}
