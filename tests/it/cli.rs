//! The command line: exit codes, messages, files, formats.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use subledger::domain::page::List;

use crate::support::{Home, PATIENCE, Said};

const PROVIDERS: [&str; 4] = ["conscent", "klustr", "expressconsent", "zotlo"];

/// The command fails with this code, says these things, and nothing on stdout.
fn fails(home: &Home, args: &[&str], code: i32, says: &[&str]) {
    let said = home.says(args);
    assert_eq!(said.code, code, "{args:?}: {}", said.err);
    for word in says {
        assert!(
            said.err.contains(word),
            "{args:?}: {:?} lacks {word:?}",
            said.err
        );
    }
    assert_eq!(said.out, "", "{args:?}");
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn settings(home: &Home) -> std::path::PathBuf {
    home.path().join("config/subledger/subledger.toml")
}

/// A home with a receiver and every sample of every provider in its ledger.
fn full() -> (Home, crate::support::Serving) {
    let home = Home::new();
    let serving = home.serve();
    for provider in PROVIDERS {
        home.succeeds(&["send", provider, "--all"]);
    }
    (home, serving)
}

#[test]
fn readers_make_nothing_and_say_that_there_is_nothing() {
    let home = Home::new();
    std::fs::remove_file(settings(&home)).unwrap();
    let commands: &[&[&str]] = &[
        &["events"],
        &["show", "1"],
        &["sql", "select 1"],
        &["today"],
        &["verify"],
        &["rebuild"],
        &["tests", "clear"],
        &["status"],
        &["rejected"],
    ];
    for args in commands {
        fails(&home, args, 3, &["there is no ledger", "subledger.db"]);
    }
    fails(&home, &["tui"], 2, &["terminal"]);
    // With settings of its own: on the usual port another receiver may answer.
    fails(
        &Home::new(),
        &["send", "zotlo"],
        3,
        &["no receiver answers"],
    );
    assert!(!settings(&home).exists());
    assert!(!home.ledger().exists());
}

#[test]
fn wrong_settings_name_the_line_the_key_and_the_nearest() {
    let home = Home::with_settings("[display2]\n");
    fails(
        &home,
        &["serve"],
        2,
        &["subledger.toml:13", "`display2`", "`display`"],
    );
    let home = Home::with_settings("secret = 1\n");
    fails(&home, &["serve"], 2, &["[providers.zotlo]", "`secret`"]);
    let home = Home::with_settings("[providers.klustr.accounts.b]\nsecret = \"not base64 !\"\n");
    let said = home.says(&["serve"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(!said.err.contains("not base64 !"));
    assert!(
        !home.ledger().exists(),
        "nothing is made before the settings hold"
    );
    fails(&home, &["config", "check"], 2, &["klustr"]);
}

#[test]
fn settings_that_others_may_read_are_refused_with_the_way_out() {
    let home = Home::new();
    std::fs::set_permissions(settings(&home), std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&["serve"][..], &["reload"], &["config", "check"]] {
        fails(&home, command, 2, &["chmod 600", "subledger.toml"]);
    }
    std::fs::set_permissions(settings(&home), std::fs::Permissions::from_mode(0o640)).unwrap();
    fails(&home, &["events"], 3, &["there is no ledger"]);
}

#[test]
fn settings_that_others_may_write_are_refused_with_or_without_secrets() {
    let home = Home::new();
    for text in [None, Some("[receiver]\nmetrics = true\n")] {
        if let Some(text) = text {
            std::fs::write(settings(&home), text).unwrap();
        }
        std::fs::set_permissions(settings(&home), std::fs::Permissions::from_mode(0o620)).unwrap();
        for command in [&["serve"][..], &["config", "check"]] {
            fails(
                &home,
                command,
                2,
                &["chmod 600", "subledger.toml", "change"],
            );
        }
    }
}

#[test]
fn what_is_not_ours_beside_a_ledger_is_left_as_it_is() {
    let home = Home::new();
    let serving = home.serve();
    assert_eq!(serving.terminate(), Some(0));
    let beside = |end: &str| {
        home.path()
            .join(format!("data/subledger/subledger.db{end}"))
    };
    let victim = home.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let (lock, socket) = (beside(".lock"), beside(".sock"));
    std::fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&victim, &lock).unwrap();
    fails(&home, &["serve"], 3, &["subledger.db.lock"]);
    home.says(&["status"]);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    std::fs::remove_file(&lock).unwrap();
    std::fs::copy(&victim, &lock).unwrap();
    fails(&home, &["serve"], 3, &["subledger.db.lock", "move it away"]);
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), "precious");
    std::fs::remove_file(&lock).unwrap();
    for make in [
        (|path| std::fs::write(path, "precious").unwrap()) as fn(&Path),
        |path| std::fs::create_dir(path).unwrap(),
        |path| std::os::unix::fs::symlink("/nowhere", path).unwrap(),
    ] {
        make(&socket);
        let said = home.says(&["serve"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.err.contains("subledger.db.sock"), "{said:?}");
        assert!(said.err.contains("move it away"), "{said:?}");
        assert!(!said.err.contains("receiving on"), "{said:?}");
        let kind = std::fs::symlink_metadata(&socket).unwrap().file_type();
        if kind.is_dir() {
            std::fs::remove_dir(&socket).unwrap();
        } else {
            std::fs::remove_file(&socket).unwrap();
        }
    }
    // A socket that a crash has left is none of these.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let serving = home.serve();
    assert_eq!(mode(&socket), 0o600);
    let listed = std::fs::read_dir(beside("").parent().unwrap()).unwrap();
    let names: Vec<_> = listed.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names.iter().all(|name| name != "subledger.db.sock.new"),
        "{names:?}"
    );
    home.succeeds(&["tests", "clear"]);
    drop(serving);
}

#[test]
fn a_ledger_with_json_that_is_none_says_which_and_what_to_do() {
    let (home, serving) = full();
    assert_eq!(serving.terminate(), Some(0));
    let conn = home.open();
    conn.execute("update events set data = '{', type = 'payment.refunded' where id = (select max(id) from events)", [])
        .unwrap();
    let events = "select json_extract(data, '$.x') from events order by id desc limit 1";
    fails(
        &home,
        &["events", "is:unrevoked"],
        1,
        &["`events`", "subledger verify", "subledger rebuild"],
    );
    // What somebody asks of SQL is answered in its own words.
    fails(&home, &["sql", events], 1, &["malformed JSON"]);
}

#[test]
fn a_ledger_can_be_read_while_its_settings_do_not_hold() {
    let (home, serving) = full();
    let ledger = home.ledger();
    let ledger = ledger.to_str().unwrap();
    let whole = std::fs::read_to_string(settings(&home)).unwrap();
    let reading: &[&[&str]] = &[
        &["events"],
        &["deliveries"],
        &["today"],
        &["status"],
        &["show", "1"],
        &["sql", "select count(*) from events"],
        &["export", "--deliveries"],
        &["verify"],
        &["rebuild", "--check"],
        &["rejected"],
        &["quarantine"],
    ];
    // A key that is none: the file still says which ledger is meant.
    std::fs::write(settings(&home), format!("{whole}[display2]\n")).unwrap();
    for command in reading {
        let said = home.succeeds(command);
        assert!(said.err.contains("left aside"), "{}", said.err);
        assert!(said.err.contains("`display2`"), "{}", said.err);
    }
    fails(&home, &["serve"], 2, &["`display2`"]);
    fails(&home, &["reload"], 2, &["`display2`"]);
    // No settings at all: another ledger than the one that is meant must not be read by mistake.
    std::fs::write(settings(&home), "[store\n").unwrap();
    for command in reading {
        fails(&home, command, 2, &["subledger.toml:1", "--db FILE"]);
        let named = [&["--db", ledger], *command].concat();
        let said = home.succeeds(&named);
        assert!(said.err.contains("left aside"), "{}", said.err);
    }
    home.succeeds(&["--db", ledger, "stop"]);
    drop(serving);
}

#[test]
fn a_second_receiver_and_a_taken_port_are_told_apart() {
    let home = Home::new();
    let serving = home.serve();
    fails(
        &home,
        &["serve"],
        3,
        &["already", "process", "subledger stop"],
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let other = Home::new();
    other.succeeds(&[
        "config",
        "set",
        "receiver.listen",
        &format!("127.0.0.1:{port}"),
    ]);
    fails(
        &other,
        &["serve"],
        3,
        &[&port, "another program", "config set receiver.listen"],
    );
    assert!(!other.ledger().exists());
    // Another port on the same ledger: the lock tells.
    home.succeeds(&["config", "set", "receiver.listen", "127.0.0.1:0"]);
    fails(&home, &["serve"], 3, &["another subledger", "is writing"]);
    drop(serving);
}

#[test]
fn a_file_that_is_no_ledger_is_left_as_it_is() {
    let home = Home::new();
    let file = home.path().join("notes.txt");
    std::fs::write(
        &file,
        "my notes, and more of them than a page has\n".repeat(200),
    )
    .unwrap();
    let before = std::fs::read(&file).unwrap();
    let name = file.to_str().unwrap();
    for args in [
        &["--db", name, "serve"][..],
        &["--db", name, "events"],
        &["--db", name, "verify"],
    ] {
        fails(&home, args, 1, &["not a subledger database", "untouched"]);
    }
    assert_eq!(std::fs::read(&file).unwrap(), before);

    let foreign = home.path().join("other.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("create table t (x)")
        .unwrap();
    let before = std::fs::read(&foreign).unwrap();
    let name = foreign.to_str().unwrap();
    fails(
        &home,
        &["--db", name, "serve"],
        1,
        &["not a subledger database"],
    );
    fails(
        &home,
        &["--db", name, "events"],
        1,
        &["not a subledger database"],
    );
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let home = Home::new();
    assert_eq!(home.serve().terminate(), Some(0));
    home.open().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(home.ledger()).unwrap();
    for args in [&["serve"][..], &["events"], &["rebuild"]] {
        fails(&home, args, 1, &["newer subledger", "99", "upgrade"]);
    }
    assert_eq!(std::fs::read(home.ledger()).unwrap(), before);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let home = Home::new();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let inside = file.join("subledger.db");
    fails(
        &home,
        &["--db", inside.to_str().unwrap(), "serve"],
        3,
        &["cannot make the directory", "--db"],
    );
    let folder = home.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let said = home.says(&["--db", folder.to_str().unwrap(), "serve"]);
    assert!(matches!(said.code, 1 | 3), "{}", said.err);
    assert!(said.err.contains("folder"), "{}", said.err);
    let config = inside.with_file_name("subledger.toml");
    fails(
        &home,
        &["--config", config.to_str().unwrap(), "serve"],
        2,
        &["cannot write the settings", "--config"],
    );
}

#[test]
fn without_a_home_the_message_says_what_to_set() {
    let home = Home::new();
    let bare = |args: &[&str]| {
        let mut command = home.command(args);
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        Said::from(
            command
                .env("HOME", "not/absolute")
                .stdin(Stdio::null())
                .output()
                .unwrap(),
        )
    };
    let said = bare(&["serve"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err.contains("HOME") && said.err.contains("--config"),
        "{}",
        said.err
    );
    let said = bare(&["--config", settings(&home).to_str().unwrap(), "events"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("--db"), "{}", said.err);
}

#[test]
fn the_first_start_writes_private_files_says_where_and_keeps_them() {
    let home = Home::new();
    std::fs::remove_dir_all(home.path().join("config")).unwrap();
    let log = home.path().join("err");
    let start = || {
        // Port 8484 may be taken on the machine that tests: the settings are written before the port is opened.
        home.command(&["serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap()
    };
    let mut child = start();
    let deadline = Instant::now() + PATIENCE;
    let said = loop {
        let said = std::fs::read_to_string(&log).unwrap();
        if said.contains("receiving on") || said.contains("subledger: ") {
            break said;
        }
        assert!(Instant::now() < deadline, "{said}");
        std::thread::sleep(Duration::from_millis(10));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.contains("wrote the settings"), "{said}");
    assert_eq!(mode(&settings(&home)), 0o600);
    assert_eq!(mode(settings(&home).parent().unwrap()), 0o700);
    let first = std::fs::read_to_string(settings(&home)).unwrap();
    home.succeeds(&[
        "config",
        "set",
        "receiver.listen",
        &format!("127.0.0.1:{}", home.port),
    ]);
    let serving = home.serve();
    assert_eq!(mode(&home.ledger()), 0o600);
    assert_eq!(mode(home.ledger().parent().unwrap()), 0o700);
    drop(serving);
    let second = std::fs::read_to_string(settings(&home)).unwrap();
    assert_eq!(
        first.replace("127.0.0.1:8484", &format!("127.0.0.1:{}", home.port)),
        second
    );
    assert_eq!(second.matches("path_key = \"k_").count(), 4);
}

#[test]
fn settings_that_let_nothing_in_do_not_pass_the_check() {
    let home = Home::new();
    std::fs::write(settings(&home), "[receiver]\nmetrics = true\n").unwrap();
    fails(&home, &["config", "check"], 2, &["lets nothing in"]);
    // What is no key is refused before its value is asked for.
    fails(
        &home,
        &["config", "set", "receiver.lisen"],
        2,
        &["did you mean `receiver.listen`"],
    );
}

#[test]
fn a_setting_can_be_set_before_the_first_start() {
    let home = Home::new();
    std::fs::remove_dir_all(home.path().join("config")).unwrap();
    let said = home.succeeds(&["config", "set", "receiver.metrics", "true"]);
    assert!(said.err.contains("wrote the settings"), "{}", said.err);
    let text = std::fs::read_to_string(settings(&home)).unwrap();
    assert!(text.contains("metrics = true"), "{text}");
    assert_eq!(text.matches("path_key = \"k_").count(), 4);
    assert_eq!(mode(&settings(&home)), 0o600);
}

#[test]
fn config_shows_where_each_value_comes_from_and_never_a_secret() {
    let home = Home::with_settings(
        "[providers.klustr.accounts.b]\nsecret = \"whsec_aHVudGVyMmh1bnRlcjI=\"\n",
    );
    let shown = home.succeeds(&["config", "print"]);
    assert!(shown.out.contains("receiver.listen") && shown.out.contains("# line 2"));
    assert!(shown.out.contains("display.theme") && shown.out.contains("# default"));
    let json_shown = home.succeeds(&["config", "print", "--json"]);
    for text in [&shown.out, &json_shown.out] {
        assert!(
            !text.contains("whsec_") && !text.contains("k_test"),
            "{text}"
        );
    }
    assert!(json(&json_shown.out).as_array().unwrap().len() > 10);
    let paths = json(&home.succeeds(&["config", "paths", "--json"]).out);
    assert_eq!(paths[0]["path"], settings(&home).to_str().unwrap());
    assert_eq!(paths[1]["path"], home.ledger().to_str().unwrap());
    fails(
        &home,
        &["config", "set", "receiver.listn", "x"],
        2,
        &["`receiver.listen`"],
    );
    fails(
        &home,
        &["config", "set", "receiver.listen", "x"],
        2,
        &["an address"],
    );
    let said = home.given(
        &["config", "set", "providers.klustr.secret"],
        "not base64 !\n",
    );
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("klustr") && !said.err.contains("not base64 !"));
    home.succeeds(&["config", "check"]);
}

#[test]
fn a_secret_is_not_taken_from_the_command_line() {
    let home = Home::new();
    let before = std::fs::read_to_string(settings(&home)).unwrap();
    for words in [
        &["providers.conscent.api_secret", "s3cret-on-argv"][..],
        &["providers.zotlo.path_key", "s3cret-on-argv"],
        &[
            "providers.zotlo.path_key",
            "[\"s3cret-on-argv\", { env = \"OLD\" }]",
        ],
        &[
            "receiver.metrics",
            "true",
            "providers.klustr.secret",
            "s3cret-on-argv",
        ],
        &["providers.klustr.secret=s3cret-on-argv"],
        &["providers.klustr.secrt", "s3cret-on-argv"],
    ] {
        let said = home.says(&[&["config", "set"], words].concat());
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(!said.err.contains("s3cret-on-argv"), "{}", said.err);
        assert_eq!(std::fs::read_to_string(settings(&home)).unwrap(), before);
    }
    // Where a secret is found is none, and neither is nothing.
    let elsewhere = "{ env = \"HOME\" }";
    home.succeeds(&[
        "config",
        "set",
        "providers.conscent.webhook_secret",
        elsewhere,
    ]);
    home.succeeds(&["config", "set", "providers.conscent.webhook_secret", ""]);
    // Several at once, a line each, in their order among other keys.
    let said = home.given(
        &[
            "config",
            "set",
            "providers.conscent.api_key",
            "providers.conscent.api_secret",
            "receiver.metrics",
            "true",
        ],
        "user\npassword\n",
    );
    assert_eq!(said.code, 0, "{}", said.err);
    let text = std::fs::read_to_string(settings(&home)).unwrap();
    assert!(text.contains("api_key = \"user\"") && text.contains("api_secret = \"password\""));
    assert!(text.contains("metrics = true"));
    let said = home.given(&["config", "set", "providers.klustr.secret"], "");
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("no value"), "{}", said.err);
}

#[test]
fn a_secret_can_be_set_from_stdin() {
    use std::io::Write as _;
    let home = Home::new();
    let mut child = home
        .command(&["config", "set", "providers.conscent.api_secret"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"from stdin\n")
        .unwrap();
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.err.contains("from stdin"));
    let text = std::fs::read_to_string(settings(&home)).unwrap();
    assert!(text.contains("api_secret = \"from stdin\""));
}

#[test]
fn urls_are_one_a_line_and_their_curl_lines_work_in_a_shell() {
    let home = Home::new();
    let serving = home.serve();
    let printed = home.succeeds(&["urls"]);
    let urls: Vec<&str> = printed.out.lines().collect();
    assert!(urls.len() >= 12);
    assert!(
        urls.iter()
            .all(|line| line.starts_with("http://127.0.0.1:") && line.contains("/hooks/"))
    );
    assert!(printed.err.contains("Zotlo") && printed.err.contains("public_url"));
    fails(&home, &["urls", "zotl"], 2, &["did you mean `zotlo`?"]);
    let links = json(&home.succeeds(&["urls", "--json"]).out);
    if std::process::Command::new("curl")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: no curl on this machine");
        return;
    }
    for link in links.as_array().unwrap() {
        let line = link["curl"].as_str().unwrap();
        let done = std::process::Command::new("sh")
            .args(["-c", line])
            .output()
            .unwrap();
        let answer = json(&String::from_utf8(done.stdout).unwrap());
        assert!(
            matches!(answer["status"].as_str(), Some("stored" | "duplicate")),
            "{line}: {answer}"
        );
    }
    assert_eq!(
        home.number("select count(*) from deliveries where test = 0"),
        0
    );
    drop(serving);
}

#[test]
fn public_links_keep_their_prefix_and_plain_http_is_warned_of() {
    let home = Home::new();
    home.succeeds(&[
        "config",
        "set",
        "receiver.public_url",
        "http://a.example/in/",
    ]);
    let urls = home.succeeds(&["urls", "klustr"]);
    assert!(
        urls.out
            .starts_with("http://a.example/in/hooks/klustr/events/k_"),
        "{}",
        urls.out
    );
    assert!(urls.err.contains("in the clear"), "{}", urls.err);
}

#[test]
fn settings_that_only_a_screen_reads_need_no_reload() {
    let home = Home::new();
    let said = home.succeeds(&["config", "set", "display.theme", "light"]);
    assert!(said.err.contains("when it is opened"), "{}", said.err);
    let said = home.succeeds(&["config", "set", "display.timezone", "UTC"]);
    assert!(said.err.contains("subledger reload"), "{}", said.err);
}

#[test]
fn every_sample_of_every_provider_is_stored_as_a_test() {
    let (home, serving) = full();
    for (args, wanted) in [
        (&["rejected"][..], "nothing was turned away in the last 14"),
        (&["rejected", "provider:zotlo"], "nothing that was turned"),
        (&["quarantine"], "nothing is kept and not understood"),
        (&["quarantine", "provider:zotlo"], "nothing that is kept"),
    ] {
        let said = home.succeeds(args);
        assert!(said.err.contains(wanted), "{args:?}: {}", said.err);
    }
    let samples =
        home.number("select count(*) from deliveries where test = 1 and outcome = 'stored'");
    assert_eq!(home.number("select count(*) from deliveries"), samples);
    assert!(samples >= 40, "{samples}");
    for table in [
        "events",
        "users",
        "subscriptions",
        "cancellations",
        "consents",
        "payments",
    ] {
        assert!(
            home.number(&format!("select count(*) from {table} where test = 1")) > 0,
            "{table}"
        );
        assert_eq!(
            home.number(&format!("select count(*) from {table} where test = 0")),
            0,
            "{table}"
        );
    }
    assert!(home.done(&["today"]).contains("tests arrived"));
    let cleared = home.succeeds(&["tests", "clear"]);
    assert!(!cleared.out.is_empty());
    let today = home.done(&["today"]);
    assert!(!today.contains("arrived, and no real webhook"), "{today}");
    assert_eq!(home.number("select count(*) from events"), 0);
    assert_eq!(
        home.number("select count(*) from deliveries where body is not null"),
        0
    );
    home.succeeds(&["verify"]);
    drop(serving);
}

/// Of what was not understood, tests are listed only where they are asked for.
fn tests_are_left_out(home: &Home, tests: usize) {
    let rows = json(&home.succeeds(&["quarantine", "is:test", "--json"]).out);
    assert_eq!(rows.as_array().map(Vec::len), Some(tests));
    let without = home.succeeds(&["quarantine", "--format", "ndjson"]);
    assert_eq!(without.out, "");
    let says = format!("{tests} tests are left out");
    assert!(without.err.contains(&says), "{}", without.err);
    let status = json(&home.succeeds(&["status", "--json"]).out);
    let bytes = home.number("select sum(body_bytes) from deliveries where outcome = 'quarantined'");
    assert_eq!(status[0]["quarantine_bytes"].as_i64(), Some(bytes));
}

#[test]
fn signed_samples_are_let_in_by_their_signature_and_spoilt_ones_are_not() {
    let home = Home::with_settings("");
    let said = home.given(&["config", "set", "providers.conscent.api_key"], "key\n");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("api_secret"), "{}", said.err);
    let keys = [
        "config",
        "set",
        "providers.conscent.api_key",
        "providers.conscent.api_secret",
        "providers.conscent.webhook_secret",
        "providers.klustr.secret",
    ];
    let secrets = "key\nsecret\nanother\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
    let said = home.given(&keys, secrets);
    assert_eq!(said.code, 0, "{}", said.err);
    let serving = home.serve();
    for provider in ["conscent", "klustr"] {
        home.succeeds(&["send", provider]);
    }
    let proofs = "select count(*) from deliveries where credential like '%signature%' or credential like '%basic%'";
    assert_eq!(home.number(proofs), 2);
    for provider in PROVIDERS {
        let said = home.says(&["send", provider, "--corrupt", "signature"]);
        assert_eq!(
            (said.code, said.out.starts_with("401 ")),
            (1, true),
            "{provider}: {}",
            said.out
        );
        let said = home.says(&["send", provider, "--corrupt", "body"]);
        assert_eq!(said.code, 0, "{provider}: {}{}", said.out, said.err);
        assert!(
            said.out.starts_with("200 quarantined"),
            "{provider}: {}",
            said.out
        );
    }
    tests_are_left_out(&home, 4);
    let deadline = Instant::now() + PATIENCE;
    while home.number("select count(*) from rejected") < 4 {
        assert!(Instant::now() < deadline, "what is turned away is kept");
        std::thread::sleep(Duration::from_millis(20));
    }
    let list = home.succeeds(&["rejected"]);
    assert_eq!(list.out.lines().count(), 5, "{}", list.out);
    assert!(!list.out.contains("k_wrong"));
    let shown = home.succeeds(&["rejected", "show", "1"]);
    assert!(
        shown.out.contains("Headers") && shown.out.contains("Body"),
        "{}",
        shown.out
    );
    json(&home.succeeds(&["rejected", "show", "1", "--json"]).out);
    fails(
        &home,
        &["send", "zotlo", "transactio"],
        2,
        &["did you mean `transaction"],
    );
    drop(serving);
}

#[test]
fn what_was_turned_away_can_be_taken_in_with_the_right_secret() {
    let home = Home::new();
    let body = r#"{"a":1}"#;
    let serving = home.serve();
    let answer = serving.request(
        "POST",
        "/hooks/zotlo/events/k_forgotten",
        "",
        body.as_bytes(),
    );
    assert_eq!(answer.unwrap().0, 401);
    let deadline = Instant::now() + PATIENCE;
    while home.number("select count(*) from rejected") < 1 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    let refused = home.says(&["rejected", "admit", "1"]);
    assert_eq!(refused.code, 1, "{}{}", refused.out, refused.err);
    let said = home.given(
        &["config", "set", "providers.zotlo.path_key"],
        "k_forgotten\n",
    );
    assert_eq!(said.code, 0, "{}", said.err);
    let reloaded = home.succeeds(&["reload"]);
    assert!(
        reloaded.err.contains("took the settings again"),
        "{}",
        reloaded.err
    );
    home.succeeds(&["rejected", "admit", "1"]);
    assert_eq!(
        home.number("select count(*) from deliveries where origin = 'admitted'"),
        1
    );
    drop(serving);
    // And with no receiver, by this process.
    let again = home.says(&["rejected", "admit", "1"]);
    assert_ne!(again.code, 3, "{}", again.err);
}

#[test]
fn settings_that_do_not_hold_leave_the_old_in_force() {
    let home = Home::new();
    let serving = home.serve();
    let good = std::fs::read_to_string(settings(&home)).unwrap();
    let still = || assert_eq!(serving.post("zotlo", "events", b"{}").unwrap().0, 200);
    std::fs::write(settings(&home), format!("{good}nonsense = 1\n")).unwrap();
    fails(&home, &["reload"], 2, &["nonsense"]);
    still();
    let hang_up = ["-HUP", &serving.child.id().to_string()];
    std::process::Command::new("kill")
        .args(hang_up)
        .status()
        .unwrap();
    (0..20).for_each(|_| still());
    std::fs::write(settings(&home), "").unwrap();
    fails(
        &home,
        &["reload"],
        1,
        &["the old settings stay in force", "lets nothing in"],
    );
    still();
    home.succeeds(&["status"]);
    drop(serving);
}

#[test]
fn status_and_stop_tell_what_is() {
    let home = Home::new();
    let mut serving = home.serve();
    let status = json(&home.succeeds(&["status", "--json"]).out);
    assert_eq!(status[0]["running"], true);
    assert_eq!(status[0]["pid"], serving.child.id());
    let stopped = home.succeeds(&["stop"]);
    assert!(stopped.err.contains("has stopped"), "{}", stopped.err);
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    let status = home.says(&["status"]);
    assert_eq!(status.code, 3);
    assert!(status.out.contains("no receiver runs"));
    assert!(home.succeeds(&["stop"]).err.contains("no receiver runs"));
    fails(&home, &["reload"], 3, &["no receiver runs"]);
}

#[test]
fn lists_parse_in_every_format_and_say_what_they_left_out() {
    let (home, serving) = full();
    for list in List::ALL.iter().map(|list| list.as_str()) {
        let rows = json(&home.succeeds(&[list, "--json"]).out);
        let rows = rows.as_array().unwrap();
        assert!(!rows.is_empty(), "{list}");
        let lines = home.succeeds(&[list, "--format", "ndjson"]).out;
        assert_eq!(lines.lines().map(json).collect::<Vec<_>>(), *rows, "{list}");
        for (format, delimiter) in [("csv", b','), ("tsv", b'\t')] {
            let text = home.succeeds(&[list, "--format", format]).out;
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(delimiter)
                .from_reader(text.as_bytes());
            let heads = reader.headers().unwrap().clone();
            for key in rows[0].as_object().unwrap().keys() {
                assert!(heads.iter().any(|head| head == key), "{list} {key}");
            }
            let count = reader.records().map(Result::unwrap).count();
            assert_eq!(count, rows.len(), "{list}");
        }
        let md = home.succeeds(&[list, "--format", "md"]).out;
        assert_eq!(md.lines().count(), rows.len() + 2, "{list}");
        let table = home.succeeds(&[list]).out;
        assert_eq!(table.lines().count(), rows.len() + 1, "{list}");
        let cut = home.succeeds(&[list, "--limit", "1", "--format", "ndjson"]);
        assert_eq!(cut.out.lines().count(), 1, "{list}");
        if rows.len() > 1 {
            assert!(
                cut.err.contains(&format!("1 of {}", rows.len())),
                "{list}: {}",
                cut.err
            );
        }
    }
    drop(serving);
}

#[test]
fn filters_narrow_and_a_wrong_one_never_widens() {
    let (home, serving) = full();
    let zotlo = json(&home.succeeds(&["events", "provider:zotlo", "--json"]).out);
    assert!(
        zotlo
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["provider"] == "zotlo")
    );
    let others = json(&home.succeeds(&["events", "-provider:zotlo", "--json"]).out);
    assert!(
        others
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["provider"] != "zotlo")
    );
    let main = json(
        &home
            .succeeds(&["events", "--account", "main", "--json"])
            .out,
    );
    assert!(main.as_array().unwrap().len() > zotlo.as_array().unwrap().len());
    fails(&home, &["events", "--account", "weekly"], 2, &["weekly"]);
    fails(&home, &["today", "--account", "weekly"], 2, &["weekly"]);
    let today = home.done(&["today", "--account", "main"]);
    assert!(today.contains("account main alone"), "{today}");
    for refused in [
        &["status"][..],
        &["tui"],
        &["verify"],
        &["sql", "select 1"],
        &["rebuild"],
        &["shot"],
        &["show", "1"],
        &["doctor"],
        &[],
    ] {
        let args = [refused, &["--account", "main"]].concat();
        fails(&home, &args, 2, &["this command is of every account"]);
    }
    home.succeeds(&["events", "provider:zotlo OR -is:test", "--account", "main"]);
    fails(
        &home,
        &["events", "provder:zotlo"],
        2,
        &["provder", "^^^", "provider"],
    );
    drop(serving);
}

#[test]
fn hostile_text_reaches_neither_terminal_nor_spreadsheet() {
    let home = Home::new();
    let serving = home.serve();
    let body = "{\"clientUuid\":\"u1\",\"subscriberId\":\"=1+1\\u001b[2J\\u202e\\u009b@example.com\",\"subscriberName\":\"=cmd|'/C calc'!A0\",\"registerDate\":\"2026-01-01 00:00:00\",\"appId\":1,\"country\":\"TR\"}";
    assert_eq!(
        serving.post("zotlo", "events", body.as_bytes()).unwrap().0,
        200
    );
    for args in [
        &["users"][..],
        &["users", "--format", "csv"],
        &["users", "--json"],
        &["users", "--format", "md"],
        &["events", "--json"],
        &["deliveries", "--json"],
        &["show", "1"],
        &["show", "1", "--json"],
        &["sql", "select * from users"],
    ] {
        let out = home.succeeds(args).out;
        assert!(
            !out.contains(['\u{1b}', '\u{202e}', '\u{9b}']),
            "{args:?}: {out}"
        );
        assert!(
            out.contains("cmd|") || out.contains("cmd\\|"),
            "{args:?}: {out}"
        );
    }
    let csv = home.succeeds(&["users", "--format", "csv"]).out;
    assert!(csv.contains("'=cmd|"), "{csv}");
    let exact = home.command(&["show", "1", "--body"]).output().unwrap();
    assert_eq!(exact.stdout, body.as_bytes());
    drop(serving);
}

#[test]
fn sql_reads_and_refuses_to_write() {
    use std::io::Write as _;
    let (home, serving) = full();
    let counted = home.succeeds(&["sql", "select count(*) as n from deliveries", "--json"]);
    assert_eq!(
        json(&counted.out)[0]["n"],
        home.number("select count(*) from deliveries")
    );
    let mut child = home
        .command(&["sql", "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"select 1 as a, 2 as b")
        .unwrap();
    let piped = child.wait_with_output().unwrap();
    assert_eq!(piped.stdout, b"a,b\r\n1,2\r\n");
    let sql =
        "select 'a' || char(9) || char(10) || 'b' as a, 'say \"no\"' as b, '\"' as c, -1 as d";
    let tabs = home.command(&["sql", sql, "--format", "tsv"]).output();
    assert_eq!(
        String::from_utf8(tabs.unwrap().stdout).unwrap(),
        "a\tb\tc\td\na\\t\\nb\tsay \"no\"\t'\"\t-1\n"
    );
    for write in [
        "delete from users",
        "pragma user_version = 3",
        "attach 'x' as y",
        "vacuum into 'x'",
    ] {
        fails(&home, &["sql", write], 1, &[]);
    }
    fails(&home, &["sql", "selec 1"], 1, &["syntax error"]);
    let long =
        "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    fails(
        &home,
        &["sql", long, "--time-limit", "1"],
        1,
        &["stopped after 1 s"],
    );
    let listed = home.succeeds(&["sql", "@"]);
    assert_eq!(listed.out.lines().count(), 21);
    home.succeeds(&["sql", "@refunds", "--json"]);
    fails(&home, &["sql", "@refunbs"], 2, &["`@refunds`"]);
    let cut = home.succeeds(&[
        "sql",
        "select * from events",
        "--limit",
        "2",
        "--format",
        "ndjson",
    ]);
    assert_eq!(cut.out.lines().count(), 2);
    assert!(cut.err.contains("--limit 0"));
    drop(serving);
}

#[test]
fn a_delivery_is_shown_whole() {
    let (home, serving) = full();
    let shown = home.succeeds(&["show", "1"]);
    for part in ["Events", "Headers", "Body", "conscent"] {
        assert!(shown.out.contains(part), "{}", shown.out);
    }
    let one = json(&home.succeeds(&["show", "1", "--json"]).out);
    assert_eq!(one[0]["seq"], 1);
    assert!(!one[0]["events"].as_array().unwrap().is_empty());
    assert!(one[0]["body"].as_str().unwrap().starts_with('{'));
    fails(&home, &["show", "99999"], 1, &["no delivery 99999"]);
    drop(serving);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (home, serving) = full();
    let mut child = home
        .command(&["deliveries", "--json", "--limit", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    drop(serving);
}

#[test]
fn followed_events_arrive_as_they_are_stored() {
    use std::io::{BufRead as _, BufReader};
    let home = Home::new();
    let serving = home.serve();
    home.succeeds(&["send", "zotlo", "transaction"]);
    let mut child = home
        .command(&[
            "events",
            "--follow",
            "--format",
            "ndjson",
            "provider:klustr",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let stdout = child.stdout.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    // Sent again until the follower, which starts with what is there, has begun to look.
    let deadline = Instant::now() + PATIENCE;
    let line = loop {
        home.succeeds(&["send", "klustr", "--all"]);
        match receiver.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => break line,
            Err(_) => assert!(Instant::now() < deadline, "nothing came"),
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(json(&line)["provider"], "klustr");
    fails(&home, &["events", "--follow", "--json"], 2, &["ndjson"]);
    drop(serving);
}

#[test]
fn deliveries_and_users_can_be_marked_as_tests_by_hand() {
    let home = Home::new();
    let serving = home.serve();
    let body = r#"{"clientUuid":"u1","subscriberId":"a@example.com","registerDate":"2026-01-01 00:00:00","appId":1}"#;
    serving.post("zotlo", "events", body.as_bytes()).unwrap();
    let user = json(&home.succeeds(&["users", "--json"]).out)[0]["user_id"]
        .as_str()
        .unwrap()
        .to_owned();
    home.succeeds(&["tests", "mark", "1"]);
    assert_eq!(home.number("select test from users"), 1);
    home.succeeds(&["tests", "mark", "1", "--undo"]);
    assert_eq!(home.number("select test from users"), 0);
    assert_eq!(serving.terminate(), Some(0));
    // With no receiver, by this process.
    home.succeeds(&["tests", "mark", "--user", &format!("zotlo:{user}")]);
    assert_eq!(home.number("select test from deliveries"), 1);
    fails(
        &home,
        &["tests", "mark", "--user", "nobody"],
        2,
        &["provider:id"],
    );
    fails(
        &home,
        &["tests", "mark", "1", "99"],
        1,
        &["no delivery 99", "the last is 1"],
    );
}

#[test]
fn the_demo_is_the_same_again_and_touches_nothing_else() {
    let home = Home::new();
    let make = |name: &str| {
        let path = home.path().join(name);
        let path = path.to_str().unwrap();
        home.succeeds(&[
            "demo",
            "--out",
            path,
            "--events",
            "2000",
            "--until",
            "2026-11-01",
        ]);
        // The salt is random in a demo, too, and the chain hangs on it.
        let deliveries = "select seq, received_at, provider, account, hook, outcome, duplicate_of, reason, dedupe_key,
            confidence, credential, identity_proof, headers, body, origin, test from deliveries order by seq";
        let list = |args: &[&str]| {
            let mut all = vec!["--db", path];
            all.extend(args);
            all.extend(["--limit", "0", "--format", "csv"]);
            home.succeeds(&all).out
        };
        (
            list(&["events"]),
            list(&["sql", deliveries]),
            list(&["sql", "select reviewed_at, seq from reviews"]),
        )
    };
    let one = make("one.db");
    assert_eq!(one, make("two.db"));
    assert!(one.2.contains("2026-10-31T00:00:00.000Z"), "{}", one.2);
    assert!(!home.ledger().exists());
    fails(&home, &["demo"], 2, &["terminal", "--out"]);
    let there = home.path().join("one.db");
    fails(
        &home,
        &["demo", "--out", there.to_str().unwrap()],
        2,
        &["there already"],
    );
    home.succeeds(&["--db", there.to_str().unwrap(), "verify"]);
}

#[test]
fn a_receiver_that_goes_away_before_its_answer_is_named() {
    let home = Home::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", home.port)).unwrap();
    let gone = std::thread::spawn(move || drop(listener.accept().unwrap()));
    fails(
        &home,
        &["send", "zotlo"],
        3,
        &["went away before it answered"],
    );
    gone.join().unwrap();
}

#[test]
fn without_a_terminal_no_command_means_serve() {
    let home = Home::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", home.port)).unwrap();
    fails(&home, &[], 3, &["running as `subledger serve`", "in use"]);
    drop(listener);
}

#[test]
fn doctor_finds_what_is_wrong_and_says_so() {
    let home = Home::new();
    let serving = home.serve();
    home.succeeds(&["send", "zotlo"]);
    let well = json(&home.succeeds(&["doctor", "--json"]).out);
    for check in [
        "settings",
        "database",
        "receiver",
        "disk",
        "durable write",
        "clock",
        "zotlo",
    ] {
        assert!(
            well.as_array()
                .unwrap()
                .iter()
                .any(|one| one["check"] == check),
            "{check}"
        );
    }
    drop(serving);
    let ill = home.says(&["doctor"]);
    assert_eq!(ill.code, 1);
    assert!(
        ill.out.contains("BAD") && ill.out.contains("none runs"),
        "{}",
        ill.out
    );
}

#[test]
fn doctor_looks_at_what_it_can_while_the_settings_do_not_hold() {
    let home = Home::new();
    let serving = home.serve();
    let settings = home.path().join("config/subledger/subledger.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{text}\n[store]\nsise_max = 1\n")).unwrap();
    let levels = |found: &serde_json::Value, check: &str| {
        let found = found.as_array().unwrap().iter();
        let of = found.filter(|one| one["check"] == check);
        of.map(|one| one["level"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let ill = home.says(&["doctor", "--json"]);
    assert_eq!(ill.code, 1);
    let found = json(&ill.out);
    for (check, level) in [
        ("settings", "bad"),
        ("settings permissions", "ok"),
        ("clock", "ok"),
        ("durable write", "ok"),
        ("database", "ok"),
        ("receiver", "ok"),
    ] {
        assert_eq!(levels(&found, check), [level], "{check}: {found}");
    }
    for check in ["zotlo", "backup", "alerts"] {
        assert!(
            levels(&found, check).is_empty(),
            "{check} is in the settings: {found}"
        );
    }
    drop(serving);
    // Not even which database is meant can be read.
    std::fs::write(&settings, "listen = = 1").unwrap();
    let ill = home.says(&["doctor", "--json"]);
    let found = json(&ill.out);
    assert_eq!(levels(&found, "settings"), ["bad"]);
    assert_eq!(levels(&found, "database"), ["note"], "{found}");
    let ledger = home.ledger();
    let named = home.says(&["--db", ledger.to_str().unwrap(), "doctor", "--json"]);
    assert_eq!(
        levels(&json(&named.out), "database"),
        ["ok"],
        "{}",
        named.out
    );
}

#[test]
fn completions_and_manual_hold_every_command_that_is_listed() {
    let home = Home::new();
    let help = home.succeeds(&["--help"]).out;
    let man = home.succeeds(&["man"]).out;
    let bash = home.succeeds(&["completions", "bash"]).out;
    let commands = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next());
    let mut count = 0;
    for command in commands.filter(|command| *command != "help") {
        count += 1;
        assert!(bash.contains(command), "{command}");
        assert!(man.contains(&command.to_uppercase()), "{command}");
        home.succeeds(&[command, "--help"]);
    }
    assert!(count > 20, "{count}");
    assert!(!help.contains("detached"));
}

/// The words of a shell line, `'` the only quote; a comment ends it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            '#' if !quoted => break,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn the_commands_of_the_readme_work_in_its_order() {
    let readme = include_str!("../../README.md");
    let (home, _serving) = full();
    let mut tried = 0;
    for line in readme.lines() {
        let Some(command) = line.trim().strip_prefix("$ subledger ") else {
            continue;
        };
        // tests/it/service.rs installs it, on a systemd of its own.
        if command.starts_with("service ") {
            continue;
        }
        let words = words(command);
        home.succeeds(&words.iter().map(String::as_str).collect::<Vec<_>>());
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
}

#[test]
fn the_filters_of_the_readme_are_filters_of_some_list() {
    let readme = include_str!("../../README.md");
    let (home, _serving) = full();
    let table = readme.split("| you want | you write |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut tried = 0;
    for row in rows {
        // Every other piece stands between backticks.
        for filter in row.split('`').skip(1).step_by(2) {
            let taken = ["events", "subscriptions", "changes", "deliveries"]
                .iter()
                .any(|list| home.says(&[list, filter]).code == 0);
            assert!(taken, "{filter}");
            tried += 1;
        }
    }
    assert!(tried > 10, "{tried}");
}

#[test]
fn what_was_turned_away_and_not_kept_is_counted_and_said() {
    let home = Home::new();
    drop(home.serve());
    let quiet = home.says(&["rejected"]);
    assert!(!quiet.err.contains("could not be kept"), "{}", quiet.err);
    home.open()
        .execute_batch(
            "insert into rejected_lost values
               (strftime('%Y-%m-%dT%H:00:00.000Z', 'now', '-1 day'), 'zotlo', 'wrong path key', 300),
               (strftime('%Y-%m-%dT%H:00:00.000Z', 'now'), '', 'no such path', 12),
               (strftime('%Y-%m-%dT%H:00:00.000Z', 'now', '-15 days'), '', 'no such path', 7)",
        )
        .unwrap();
    let said = home.succeeds(&["rejected"]);
    assert!(
        said.err.contains("312 more were turned away"),
        "{}",
        said.err
    );
    let rows = home.succeeds(&["rejected", "--format", "csv"]);
    assert_eq!(rows.out.lines().count(), 1, "{}", rows.out);
    let doctor = json(&home.says(&["doctor", "--json"]).out);
    let counted = doctor
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["check"] == "turned away");
    let says = counted.unwrap()["says"].as_str().unwrap();
    assert!(says.starts_with("312 requests turned away"), "{says}");
}

#[test]
fn stop_signals_nobody_but_the_process_that_holds_the_lock() {
    let home = Home::new();
    let mut serving = home.serve();
    let lock = home.path().join("data/subledger/subledger.db.lock");
    let words = std::fs::read_to_string(&lock).unwrap();
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let forged = words.replace(
        &format!("\"pid\":{}", serving.child.id()),
        &format!("\"pid\":{}", other.id()),
    );
    assert_ne!(forged, words);
    let still_runs = |child: &mut std::process::Child| child.try_wait().unwrap().is_none();

    // The number is another process's, as after a crash or in a container: the holder is asked instead.
    std::fs::write(&lock, &forged).unwrap();
    let said = home.succeeds(&["stop"]);
    assert!(said.err.contains("has stopped"), "{}", said.err);
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    assert!(still_runs(&mut other));

    // It cannot be asked either: nothing is done.
    let mut serving = home.serve();
    std::fs::write(&lock, &forged).unwrap();
    std::fs::remove_file(home.path().join("data/subledger/subledger.db.sock")).unwrap();
    fails(&home, &["stop"], 3, &["nothing was stopped"]);
    assert!(still_runs(&mut serving.child) && still_runs(&mut other));
    drop(serving);

    // The lock file says nothing, as on a disk that was full.
    let mut serving = home.serve();
    std::fs::write(&lock, "").unwrap();
    home.succeeds(&["stop"]);
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));

    // Whoever writes and receives nothing, an import say, goes on.
    let now = subledger::domain::time::Timestamp::parse("2026-04-01").unwrap();
    let held = subledger::store::lock::Lock::take(&home.ledger(), "", now).unwrap();
    assert!(home.succeeds(&["stop"]).err.contains("no receiver runs"));
    drop(held);
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_folder_that_no_backup_can_be_kept_in_is_told_when_it_is_set() {
    let home = Home::new();
    let folder = home.path().join("copies");
    let folder = folder.to_str().unwrap();
    let said = home.succeeds(&["config", "set", "backup.dir", folder]);
    assert!(
        said.err.contains("warning: no backup will be made") && said.err.contains("is not there"),
        "{}",
        said.err
    );
    let said = home.succeeds(&["config", "check"]);
    assert!(said.err.contains("is not there"), "{}", said.err);
    std::fs::write(folder, "").unwrap();
    let said = home.succeeds(&["config", "check"]);
    assert!(said.err.contains("is no folder"), "{}", said.err);
    std::fs::remove_file(folder).unwrap();
    std::fs::create_dir(folder).unwrap();
    let said = home.succeeds(&["config", "set", "backup.dir", folder]);
    assert!(!said.err.contains("warning"), "{}", said.err);
}

#[test]
fn a_list_is_turned_round_and_no_other_order_is_taken() {
    let home = Home::new();
    let serving = home.serve();
    for n in 0..3 {
        let body =
            format!(r#"{{"userId":"6c000000000000000000000{n}","email":"o{n}@example.org"}}"#);
        assert_eq!(
            serving
                .post("conscent", "login", body.as_bytes())
                .unwrap()
                .0,
            200
        );
    }
    assert_eq!(serving.terminate(), Some(0));
    let lines = |args: &[&str]| -> Vec<String> {
        home.succeeds(args).out.lines().map(str::to_owned).collect()
    };
    let newest = lines(&["users", "--format", "ndjson"]);
    let mut oldest = lines(&["users", "--format", "ndjson", "--sort", "oldest"]);
    assert!(oldest[0].contains("o0@example.org"), "{oldest:?}");
    oldest.reverse();
    assert_eq!(newest, oldest);
    let first = lines(&[
        "users", "--format", "ndjson", "--sort", "oldest", "--limit", "1",
    ]);
    assert_eq!(first[..], newest[2..]);
    fails(
        &home,
        &["users", "--sort", "email"],
        2,
        &["email", "newest or oldest", "subledger sql"],
    );
    fails(
        &home,
        &["events", "--follow", "--sort", "oldest"],
        2,
        &["--sort"],
    );
}

#[test]
fn what_cannot_be_meant_is_refused_in_words() {
    let home = Home::new();
    let demo = home.path().join("demo.db");
    let demo = demo.to_str().unwrap();
    home.succeeds(&["demo", "--out", demo, "--events", "500"]);
    for (args, says) in [
        (&["events", "@my"][..], "no saved filter is called \"my\""),
        (&["events", "--limit", "x"], "a whole number is wanted"),
        (&["show", "abc"], "a whole number is wanted"),
        (&["today", "--since", "2999-01-01"], "begins in the future"),
        (
            &["today", "--since", "2026-02-01..2026-01-01"],
            "ends before it begins",
        ),
        (&["today", "--since", "soon"], "a range such as mon.."),
        (&["shot", "--size", "5x5"], "at least 40x8"),
        (&["events", "--sort", "amount"], "newest or oldest first"),
    ] {
        fails(&home, &[args, &["--db", demo]].concat(), 2, &[says]);
    }
    let nothing = home.succeeds(&["export", "nobody.example", "--db", demo]);
    assert_eq!(nothing.out, "");
    assert!(
        nothing.err.contains("nothing is exported"),
        "{}",
        nothing.err
    );
    let last_month = home.done(&["today", "--since", "last-month", "--db", demo]);
    assert!(last_month.contains("are of now"), "{last_month}");
    assert!(!home.done(&["today", "--db", demo]).contains("are of now"));
    let mut with = home.command(&["config", "paths"]);
    let with: Said = with.env("SUBLEDGER_CONFIG", "").output().unwrap().into();
    assert_eq!(with.code, 0, "{}", with.err);
}

#[test]
fn the_zone_of_the_shell_is_the_machines() {
    let home = Home::new();
    let text =
        std::fs::read_to_string(home.path().join("config/subledger/subledger.toml")).unwrap();
    let text = text.replace("timezone = \"UTC\"\n", "");
    std::fs::write(home.path().join("config/subledger/subledger.toml"), text).unwrap();
    let db = home.path().join("demo.db");
    let db = db.to_str().unwrap();
    for (told, zone) in [
        ("Asia/Tokyo", "Asia/Tokyo"),
        (":Europe/Paris", "Europe/Paris"),
    ] {
        let mut made = home.command(&["demo", "--out", db, "--events", "100"]);
        assert!(made.env("TZ", told).output().unwrap().status.success());
        let today = home.done(&["today", "--db", db]);
        assert!(today.contains(zone), "{today}");
        std::fs::remove_file(db).unwrap();
    }
}
