//! Connecting a provider, and changing its secrets while webhooks go on coming.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::screen::Terminal;
use crate::support::{Home, PATH_KEY, PATIENCE, Said, Serving};

fn succeeds(home: &Home, args: &[&str], input: &str) -> Said {
    let said = home.given(args, input);
    assert_eq!(said.code, 0, "{args:?}: {}", said.err);
    said
}

/// It fails with this code, says these things, and changes nothing.
fn fails(home: &Home, args: &[&str], input: &str, code: i32, says: &[&str]) -> Said {
    let before = std::fs::read(settings(home)).ok();
    let said = home.given(args, input);
    assert_eq!(said.code, code, "{args:?}: {}", said.err);
    for word in says {
        assert!(
            said.err.contains(word),
            "{args:?}: {:?} lacks {word:?}",
            said.err
        );
    }
    assert_eq!(std::fs::read(settings(home)).ok(), before, "{args:?}");
    said
}

fn settings(home: &Home) -> PathBuf {
    home.path().join("config/subledger/subledger.toml")
}

fn text(home: &Home) -> String {
    std::fs::read_to_string(settings(home)).unwrap()
}

fn write(home: &Home, text: &str) {
    std::fs::write(settings(home), text).unwrap();
}

/// The end of the link that a command printed first.
fn printed_key(said: &Said) -> String {
    let link = said.out.lines().next().unwrap();
    link.rsplit('/').next().unwrap().to_owned()
}

/// Posts a body that is no other's to Zotlo's hook by this key.
fn post(serving: &Serving, key: &str, nth: usize) -> u16 {
    let body = format!(r#"{{"queue":{{"type":"x","n":{nth}}}}}"#);
    let path = format!("/hooks/zotlo/events/{key}");
    let answer = serving.request("POST", &path, "", body.as_bytes());
    answer.unwrap().0
}

fn rows(home: &Home, provider: &str) -> Vec<(String, i64, i64)> {
    let said = succeeds(home, &["keys", "list", provider, "--json"], "");
    let rows: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let number = |key: &str| row[key].as_i64().unwrap();
            let secret = row["secret"].as_str().unwrap().to_owned();
            (secret, number("place"), number("deliveries"))
        })
        .collect()
}

/// Senders that go on posting by every key they know.
struct Load<'s> {
    serving: &'s Serving,
    keys: Mutex<Vec<String>>,
    over: AtomicBool,
    posted: AtomicUsize,
}

impl Load<'_> {
    /// Posts until it is over: every status that came.
    fn run(&self) -> BTreeSet<u16> {
        let mut answers = BTreeSet::new();
        while !self.over.load(Ordering::SeqCst) {
            let nth = self.posted.fetch_add(1, Ordering::SeqCst);
            let key = {
                let keys = self.keys.lock().unwrap();
                keys[nth % keys.len()].clone()
            };
            answers.insert(post(self.serving, &key, nth));
        }
        answers
    }

    /// Waits until so many more were posted.
    fn wait_for(&self, more: usize) {
        let wanted = self.posted.load(Ordering::SeqCst) + more;
        let deadline = Instant::now() + PATIENCE;
        while self.posted.load(Ordering::SeqCst) < wanted {
            assert!(Instant::now() < deadline, "the senders hang");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_rotation_under_load_refuses_nothing_and_a_drop_shuts_the_old_link() {
    let home = Home::new();
    let serving = home.serve();
    let load = Load {
        serving: &serving,
        keys: Mutex::new(vec![PATH_KEY.to_owned()]),
        over: AtomicBool::new(false),
        posted: AtomicUsize::new(0),
    };
    let answers: BTreeSet<u16> = std::thread::scope(|scope| {
        let load = &load;
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(move || load.run())).collect();
        for _ in 0..3 {
            load.wait_for(10);
            let said = succeeds(&home, &["keys", "rotate", "zotlo"], "");
            assert!(said.err.contains("has taken it"), "{}", said.err);
            load.keys.lock().unwrap().push(printed_key(&said));
            load.wait_for(30);
        }
        load.over.store(true, Ordering::SeqCst);
        senders
            .into_iter()
            .flat_map(|sender| sender.join().unwrap())
            .collect()
    });
    assert_eq!(answers, BTreeSet::from([200]));
    let all = home.number("select count(*) from deliveries");
    assert_eq!(all, i64::try_from(load.posted.into_inner()).unwrap());
    let counted: Vec<i64> = rows(&home, "zotlo").iter().map(|row| row.2).collect();
    assert_eq!(counted.len(), 4);
    assert!(counted.iter().all(|count| *count > 0), "{counted:?}");
    assert_eq!(counted.iter().sum::<i64>(), all);

    let says = [
        "of the last 7 days came on the old one",
        "nothing was dropped",
        "--yes",
    ];
    fails(&home, &["keys", "drop", "zotlo"], "", 1, &says);
    let said = succeeds(&home, &["keys", "drop", "zotlo", "--yes"], "");
    assert!(said.err.contains("3 old ones are dropped"), "{}", said.err);
    let keys = load.keys.into_inner().unwrap();
    for old in &keys[..3] {
        assert_eq!(post(&serving, old, 1_000_000), 401);
    }
    assert_eq!(post(&serving, &keys[3], 1_000_001), 200);
    assert_eq!(
        home.number("select count(*) from checks"),
        0,
        "our own looks"
    );
    let said = succeeds(&home, &["keys", "drop", "zotlo"], "");
    assert!(said.err.contains("nothing to drop"), "{}", said.err);
}

#[test]
fn the_old_link_is_dropped_without_a_word_once_nothing_comes_on_it() {
    let home = Home::new();
    let serving = home.serve();
    let new = printed_key(&succeeds(&home, &["keys", "rotate", "zotlo"], ""));
    let drop_it = &["keys", "drop", "zotlo"];
    fails(
        &home,
        drop_it,
        "",
        1,
        &["nothing has come on the new one yet"],
    );
    // A test of one's own proves nothing of the provider.
    succeeds(&home, &["send", "zotlo"], "");
    fails(
        &home,
        drop_it,
        "",
        1,
        &["nothing has come on the new one yet"],
    );
    assert_eq!(post(&serving, PATH_KEY, 1), 200);
    assert_eq!(post(&serving, &new, 2), 200);
    assert_eq!(
        rows(&home, "zotlo"),
        [("path_key".to_owned(), 1, 1), ("path_key".to_owned(), 2, 1)]
    );
    fails(&home, drop_it, "", 1, &["1 webhook of the last 7 days"]);
    let doctor = home.given(&["doctor"], "");
    assert!(
        doctor.out.contains("old secret link: 1 in the last 7 days"),
        "{}",
        doctor.out
    );
    // A week later.
    let ledger = home.open();
    ledger
        .execute_batch(
            "drop trigger deliveries_no_update; update deliveries set received_at = '2020-01-01T00:00:00.000Z' \
             where credential like 'path_key#2%'",
        )
        .unwrap();
    let doctor = home.given(&["doctor"], "");
    assert!(
        doctor
            .out
            .contains("old secret link: not used any more: subledger keys drop zotlo"),
        "{}",
        doctor.out
    );
    succeeds(&home, drop_it, "");
    assert_eq!(post(&serving, PATH_KEY, 3), 401);
    assert_eq!(post(&serving, &new, 4), 200);
    drop(serving);
}

#[test]
fn there_is_an_end_to_rotating_without_dropping() {
    let home = Home::new();
    for wanted in 2..=5 {
        let said = succeeds(&home, &["keys", "rotate", "klustr"], "");
        let old = wanted - 1;
        let word = if old == 1 {
            "the old one stays"
        } else {
            "old ones stay"
        };
        assert!(said.err.contains(word), "{}", said.err);
        assert!(said.err.contains("no receiver runs"), "{}", said.err);
    }
    let full = ["5 values in force", "subledger keys drop klustr"];
    fails(&home, &["keys", "rotate", "klustr"], "", 2, &full);
    succeeds(&home, &["keys", "drop", "klustr", "--yes"], "");
    assert_eq!(rows(&home, "klustr").len(), 1);
    let link = succeeds(&home, &["urls", "klustr"], "").out;
    let said = succeeds(&home, &["keys", "rotate", "klustr", "--json"], "");
    let links: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_ne!(links[0]["url"].as_str(), Some(link.trim()));
}

#[test]
fn other_secrets_are_changed_by_name_and_never_shown() {
    let home = Home::with_settings("");
    succeeds(
        &home,
        &["connect", "conscent"],
        "api_key=me\napi_secret=first-password\n",
    );
    let serving = home.serve();
    let rotate = &["keys", "rotate", "conscent", "api_secret"];
    fails(
        &home,
        rotate,
        "",
        2,
        &["no new value", "nothing was changed"],
    );
    fails(
        &home,
        rotate,
        "first-password\n",
        2,
        &["has that value already"],
    );
    let said = succeeds(&home, rotate, "second-password\n");
    for line in [&said.out, &said.err] {
        assert!(!line.contains("password"), "{line}");
    }
    assert!(
        said.err.contains("keys drop conscent api_secret"),
        "{}",
        said.err
    );
    let basic = |password: &str| {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("me:{password}"));
        let headers = format!("Authorization: Basic {pair}\r\n");
        let body = format!(r#"{{"userId":"6a0000000000000000000001","n":"{password}"}}"#);
        let path = "/hooks/conscent/login";
        serving
            .request("POST", path, &headers, body.as_bytes())
            .unwrap()
            .0
    };
    assert_eq!(basic("first-password"), 200);
    assert_eq!(basic("second-password"), 200);
    let of = |place: i64| ("api_secret".to_owned(), place, 1);
    let all = rows(&home, "conscent");
    assert!(all.contains(&of(1)) && all.contains(&of(2)), "{all:?}");
    succeeds(
        &home,
        &["keys", "drop", "conscent", "api_secret", "--yes"],
        "",
    );
    assert_eq!(basic("first-password"), 401);
    assert_eq!(basic("second-password"), 200);
    fails(
        &home,
        &["keys", "rotate", "conscent", "secret"],
        "x\n",
        2,
        &[
            "no secret `secret`",
            "path_key, api_key, api_secret, webhook_secret",
        ],
    );
    drop(serving);
}

#[test]
fn an_account_is_connected_from_lines_on_stdin() {
    let home = Home::new();
    let serving = home.serve();
    let weekly = &["connect", "zotlo", "--account", "weekly"];
    let said = succeeds(
        &home,
        weekly,
        "# what I know\n\nallow_ips = 127.0.0.1, 192.0.2.0/24\n",
    );
    let key = printed_key(&said);
    assert!(key.starts_with("k_") && key.len() == 28, "{key}");
    assert!(said.err.contains("has taken it"), "{}", said.err);
    assert!(text(&home).contains(r#"allow_ips = ["127.0.0.1", "192.0.2.0/24"]"#));
    assert_eq!(post(&serving, &key, 1), 200);
    let of_weekly = "select count(*) from deliveries where account = 'weekly'";
    assert_eq!(home.number(of_weekly), 1);
    // Again, with nothing new: the same link, the same file.
    let before = text(&home);
    let said = succeeds(&home, weekly, "allow_ips =\n");
    assert_eq!(printed_key(&said), key);
    assert!(said.err.contains("stays as it is"), "{}", said.err);
    assert_eq!(text(&home), before);

    let connect = |provider: &'static str| ["connect", provider];
    for (provider, input, says) in [
        (
            "klustr",
            "secre=x",
            "line 1 of stdin: no such key, did you mean `secret`?",
        ),
        (
            "klustr",
            "\nhidden-value",
            "line 2 of stdin: it is not KEY=VALUE",
        ),
        (
            "klustr",
            "secret=YWJj\nsecret=YWJk",
            "line 2 of stdin: secret is there twice",
        ),
        ("klustr", "secret=hidden value!", "[providers.klustr]"),
        ("conscent", "api_key=hidden-value", "no api_secret"),
        ("expressconsent", "secret=hidden-value", "signature_header"),
        ("zotl", "", "did you mean `zotlo`?"),
    ] {
        let said = fails(&home, &connect(provider), input, 2, &[says]);
        assert!(!said.err.contains("hidden"), "{}", said.err);
    }
    let odd = ["connect", "zotlo", "--account", "We ekly"];
    fails(&home, &odd, "", 2, &["cannot name an account"]);
    drop(serving);
}

#[test]
fn a_list_of_keys_says_what_its_places_are_and_why_it_is_empty() {
    let home = Home::new();
    let said = succeeds(&home, &["keys", "list"], "");
    assert!(
        said.err.contains("place 1 is the one to give out"),
        "{}",
        said.err
    );
    std::fs::remove_file(settings(&home)).unwrap();
    let said = succeeds(&home, &["keys", "list"], "");
    assert!(said.err.contains("no secret is set"), "{}", said.err);
}

#[test]
fn connecting_before_the_first_start_makes_the_settings() {
    let home = Home::new();
    std::fs::remove_dir_all(home.path().join("config")).unwrap();
    let said = succeeds(&home, &["connect", "klustr"], "secret=YWJjZGVmZ2g=\n");
    assert!(said.err.contains("wrote the settings"), "{}", said.err);
    assert!(said.err.contains("no receiver runs"), "{}", said.err);
    let mode = std::fs::metadata(settings(&home))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(text(&home).matches("path_key = \"k_").count(), 4);
    assert!(text(&home).contains("secret = \"YWJjZGVmZ2g=\""));
    succeeds(&home, &["connect", "klustr"], "secret=bmV3ZXIgb25l\n");
    assert!(text(&home).contains(r#"secret = ["bmV3ZXIgb25l", "YWJjZGVmZ2g="]"#));
    let dir = settings(&home).parent().unwrap().to_owned();
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 1);
    assert!(!home.ledger().exists());
}

#[test]
fn what_stands_elsewhere_is_not_written_over() {
    let home = Home::with_settings("");
    let key = home.path().join("key");
    std::fs::write(&key, "k_from-a-file-of-its-own\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let elsewhere = format!("{{ file = {:?} }}", key.to_str().unwrap());
    let changed = text(&home).replacen(&format!("{PATH_KEY:?}"), &elsewhere, 1);
    write(
        &home,
        &changed.replace(
            "[providers.klustr]",
            "[providers.klustr]\nsecret = { env = \"PATH\" }",
        ),
    );
    fails(
        &home,
        &["keys", "rotate", "conscent"],
        "",
        2,
        &["comes from { file = ", "put the new one there"],
    );
    let said = home.given(&["connect", "klustr"], "secret=YWJj\n");
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err.contains("secret comes from { env = \"PATH\" }"),
        "{}",
        said.err
    );
}

#[test]
fn files_that_cannot_be_changed_stay_and_say_why() {
    let home = Home::new();
    let good = text(&home);
    let mode = |mode| {
        std::fs::set_permissions(settings(&home), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let rotate = &["keys", "rotate", "zotlo"];
    mode(0o400);
    fails(&home, rotate, "", 2, &["read-only", "chmod u+w"]);
    mode(0o644);
    fails(&home, rotate, "", 2, &["others may read it", "chmod 600"]);
    mode(0o640);
    succeeds(&home, rotate, "");
    let kept = std::fs::metadata(settings(&home))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(kept & 0o777, 0o640);
    write(
        &home,
        &format!("{good}[providers.zotlo.accounts.b]\npath_key = \"k_cut-off"),
    );
    for args in [
        &["connect", "zotlo"][..],
        rotate,
        &["keys", "drop", "zotlo", "--yes"],
        &["config", "set", "receiver.metrics", "true"],
        &["config", "check"],
        &["serve"],
    ] {
        let said = fails(&home, args, "", 2, &["subledger.toml:14: "]);
        assert!(!said.err.contains("k_cut-off"), "{}", said.err);
    }
    assert!(!home.ledger().exists());
}

#[test]
fn a_check_before_a_start_says_one_line_and_touches_nothing() {
    let home = Home::new();
    let said = succeeds(&home, &["config", "check"], "");
    assert_eq!((said.out.lines().count(), said.err.as_str()), (1, ""));
    assert!(!home.path().join("data").exists());
    // A ledger that is none, or cannot be read, is another matter.
    std::fs::create_dir_all(home.ledger().parent().unwrap()).unwrap();
    std::fs::create_dir(home.ledger()).unwrap();
    succeeds(&home, &["config", "check"], "");
    write(&home, &text(&home).replace("timezone", "timezon"));
    let said = fails(
        &home,
        &["config", "check"],
        "",
        2,
        &["subledger.toml:4: ", "`timezone`"],
    );
    assert_eq!(said.err.lines().count(), 1);
}

#[test]
fn settings_that_do_not_hold_leave_the_old_in_force_and_everybody_is_told() {
    let home = Home::new();
    let log = home.path().join("log");
    let child = home
        .command(&["serve"])
        .stdout(Stdio::null())
        .stderr(Stdio::from(std::fs::File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    let mut screen = Terminal::start(&home, &["tui"], &[]);
    screen.wait_for("No real webhook yet");
    let good = text(&home);
    write(&home, &format!("{good}nonsense = 1\n"));
    fails(
        &home,
        &["reload"],
        "",
        2,
        &["subledger.toml:13: ", "`nonsense`"],
    );
    screen.wait_for("The settings do not hold, the old ones stay in force");
    let pid = serving.child.id().to_string();
    let done = std::process::Command::new("kill")
        .args(["-HUP", &pid])
        .status();
    assert!(done.unwrap().success());
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&log)
        .unwrap()
        .contains("the old settings stay in force")
    {
        assert!(Instant::now() < deadline, "the log says nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(post(&serving, PATH_KEY, 1), 200);
    write(&home, &good);
    let new = printed_key(&succeeds(&home, &["keys", "rotate", "zotlo"], ""));
    screen.wait_for(&new[..20]);
    assert!(!screen.text().contains("do not hold"));
    assert_eq!(post(&serving, PATH_KEY, 2), 200);
    screen.wait_for("old secret link: 2 in the last 7 days, last just now");
    // A receiver that goes by other settings is not taken for one that has the new link.
    let other = home.path().join("other.toml");
    std::fs::copy(settings(&home), &other).unwrap();
    let args = [
        "keys",
        "rotate",
        "zotlo",
        "--config",
        other.to_str().unwrap(),
    ];
    let said = home.given(&args, "");
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("does not take the new link"),
        "{}",
        said.err
    );
    assert_eq!(said.out, "");
    screen.press("q");
    screen.wait();
    drop(serving);
}

#[test]
fn secrets_are_typed_unseen_and_an_interruption_gives_the_terminal_back() {
    let home = Home::new();
    let before = text(&home);
    let mut terminal = Terminal::start(&home, &["connect", "conscent"], &[]);
    let flags = |terminal: &Terminal| {
        let termios = terminal.master.as_ref().unwrap().get_termios().unwrap();
        format!("{:?}", termios.local_flags)
    };
    terminal.wait_for("api_key (not shown):");
    assert!(!flags(&terminal).contains("ECHO "), "{}", flags(&terminal));
    terminal.press("typed-and-unseen\r");
    terminal.wait_for("api_secret (not shown):");
    terminal.press("half of a sec\x03");
    assert_eq!(terminal.wait(), 130);
    assert!(flags(&terminal).contains("ECHO "), "{}", flags(&terminal));
    assert!(!terminal.text().contains("unseen") && !terminal.text().contains("half"));
    assert_eq!(text(&home), before);

    // Whole: what does not hold is explained, and asked again.
    let mut terminal = Terminal::start(&home, &["connect", "conscent"], &[]);
    terminal.wait_for("api_key (not shown):");
    terminal.press("typed-and-unseen\r");
    terminal.wait_for("api_secret (not shown):");
    terminal.press("\r");
    terminal.wait_for("webhook_secret (not shown):");
    terminal.press("\r");
    terminal.wait_for("Nothing was written: no api_secret");
    assert_eq!(text(&home), before);
    terminal.press("\r");
    terminal.wait_for("Basic password");
    terminal.press("the-password\r");
    terminal.press("\r");
    assert_eq!(terminal.wait(), 0, "{}", terminal.text());
    assert!(text(&home).contains("api_key = \"typed-and-unseen\"\napi_secret = \"the-password\""));
    assert!(!terminal.text().contains("unseen") && !terminal.text().contains("the-password"));
    // No more input: nothing is written.
    let before = text(&home);
    let mut terminal = Terminal::start(&home, &["connect", "zotlo"], &[]);
    terminal.wait_for("allow_ips:");
    terminal.press("\x04");
    assert_eq!(terminal.wait(), 130);
    terminal.wait_for("nothing was written");
    assert_eq!(text(&home), before);
}
