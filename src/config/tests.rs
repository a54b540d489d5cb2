//! The settings file, read, refused and written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::config::edit::{Change, Edit, SECRETS_MAX, Standings};
use crate::config::read::{TEMPLATE, explained, load, parse};
use crate::config::{Config, KeyShape, Known, KnownKey, OnQuit, Secret, SettingsError, edit};

fn key(key: &'static str, shape: KeyShape) -> KnownKey {
    KnownKey {
        key,
        shape,
        help: "what it is",
    }
}

fn known() -> Vec<Known> {
    let secret = KeyShape::Secret;
    let text = KeyShape::Text;
    let provider = |provider, keys: &[KnownKey]| Known {
        provider,
        name: provider,
        keys: keys.to_vec(),
    };
    vec![
        provider(
            "conscent",
            &[
                key("api_key", secret),
                key("api_secret", secret),
                key("webhook_secret", secret),
            ],
        ),
        provider("klustr", &[key("secret", secret)]),
        provider(
            "expressconsent",
            &[
                key("secret", secret),
                key("signature_header", text),
                key("signature_encoding", text),
                key("signature_prefix", text),
                key("signed_content", text),
                key("timestamp_header", text),
            ],
        ),
        provider("zotlo", &[key("allow_ips", KeyShape::List)]),
        provider(
            "acme",
            &[key("secret", secret), key("allow", KeyShape::List)],
        ),
    ]
}

fn read(text: &str) -> Result<Config, SettingsError> {
    let environment = |name: &str| (name == "THERE").then(|| "from outside".to_owned());
    parse(text, Path::new("s.toml"), &known(), &environment)
}

fn set(path: &Path, key: &str, text: &str, known: &[Known]) -> Result<(), SettingsError> {
    change(path, key, Change::Set(text.to_owned()), known)
}

fn change(path: &Path, key: &str, change: Change, known: &[Known]) -> Result<(), SettingsError> {
    let key = key.to_owned();
    edit::apply(path, &[Edit { key, change }], known, &|_| Ok(()))
}

fn refused(text: &str) -> String {
    read(text).unwrap_err().0
}

#[test]
fn the_template_says_what_holds_without_it() {
    let written = read(TEMPLATE).unwrap();
    let silent = read("").unwrap();
    assert_eq!(written.receiver.listen, silent.receiver.listen);
    assert_eq!(written.receiver.body_bytes_max, 1 << 20);
    assert_eq!(
        written.receiver.trusted_proxies,
        silent.receiver.trusted_proxies
    );
    assert_eq!(written.display.on_quit, OnQuit::Ask);
    assert_eq!(written.display.theme, silent.display.theme);
    assert!(written.warnings.is_empty());
    for (a, b) in written.shown.iter().zip(&silent.shown).take(9) {
        assert_eq!((&a.key, &a.value), (&b.key, &b.value));
    }
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_nearest() {
    for (text, line, near) in [
        ("[receiver]\nlistn = \"\"", ":2:", "`listen`"),
        ("\n[reciever]\n", ":2:", "`receiver`"),
        ("[providers.zotl]\n", ":1:", "`zotlo`"),
        ("[providers.klustr]\nsecrets = \"x\"", ":2:", "`secret`"),
        (
            "[providers.zotlo.accounts.weekly]\npathkey = \"x\"",
            ":2:",
            "`path_key`",
        ),
    ] {
        let message = refused(text);
        assert!(
            message.contains(line) && message.contains(near),
            "{message}"
        );
    }
}

#[test]
fn values_of_the_wrong_kind_are_refused_with_what_is_wanted() {
    for (text, wanted) in [
        ("[receiver]\nlisten = 8484", "text in quotes"),
        ("[receiver]\nlisten = \"8484\"", "an address and a port"),
        ("[receiver]\nbody_limit = \"1 parsec\"", "a size"),
        ("[receiver]\nbody_limit = \"1GiB\"", "64MiB"),
        ("[receiver]\nmetrics = \"yes\"", "true or false"),
        (
            "[receiver]\ntrusted_proxies = [\"10.0.0.0/99\"]",
            "networks",
        ),
        ("[receiver]\npublic_url = \"hooks.example\"", "https://"),
        ("[display]\ntimezone = \"Istanbul\"", "IANA"),
        ("[display]\ntheme = \"neon\"", "one of terminal"),
        ("[display]\ntheme = \"drak\"", "did you mean \"dark\"?"),
        ("[display]\non_quit = \"maybe\"", "ask, keep or stop"),
        ("[providers.zotlo]\nexpect_every = \"often\"", "2h"),
        ("[providers.zotlo]\nauth = \"all\"", "\"none\""),
        ("[providers.zotlo]\nallow_ips = \"1.2.3.4\"", "a list"),
        (
            "[providers.zotlo.accounts.Main]\n",
            "cannot name an account",
        ),
        ("[backup]\nkeep = 0", "from 1 to"),
        ("[backup]\nkeep = \"14\"", "whole number"),
        ("[backup]\ndir = 1", "text in quotes"),
        ("receiver = 1", "must be a table"),
    ] {
        let message = refused(text);
        assert!(message.contains(wanted), "{text}: {message}");
    }
}

#[test]
fn no_message_holds_a_secret() {
    for text in [
        "[providers.klustr]\nsecret = \"hunter2",
        "[providers.klustr]\nsecret = \"hunter2\"\nsecret = \"hunter2\"",
        "[providers.klustr]\nsecret = { text = \"hunter2\" }",
        "[providers.klustr]\nsecret = [1, \"hunter2\"]",
        "[providers.klustr]\nsecret = \"hunter2\" trailing",
    ] {
        assert!(!refused(text).contains("hunter2"), "{text}");
    }
    let config = read("[providers.klustr]\nsecret = \"hunter2\"").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_secret_may_stand_elsewhere_or_be_several() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, "from a file\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let settings = dir.path().join("s.toml");
    let text = "[providers.klustr]\nsecret = [\"new\", { env = \"THERE\" }, { file = \"secret\" }]";
    let environment = |name: &str| (name == "THERE").then(|| "from outside".to_owned());
    let config = parse(text, &settings, &known(), &environment).unwrap();
    let klustr = config
        .accounts
        .iter()
        .find(|a| a.provider == "klustr")
        .unwrap();
    let secrets: Vec<&str> = klustr
        .secrets("secret")
        .iter()
        .map(super::Secret::expose)
        .collect();
    assert_eq!(secrets, ["new", "from outside", "from a file"]);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let message = parse(text, &settings, &known(), &environment)
        .unwrap_err()
        .0;
    assert!(message.contains("chmod 600"), "{message}");
    assert!(refused("[providers.klustr]\nsecret = { env = \"GONE\" }").contains("GONE"));

    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "x".repeat(100_000)).unwrap();
    let long = parse(text, &settings, &known(), &environment).unwrap_err();
    assert!(long.0.contains("too long for a secret"), "{}", long.0);
    // It has no end, and others may read it.
    assert!(refused("[providers.klustr]\nsecret = { file = \"/dev/zero\" }").contains("/dev/zero"));
}

#[test]
fn accounts_take_the_same_keys_and_an_unused_main_is_left_out() {
    let config = read(
        "[providers.zotlo.accounts.weekly]\npath_key = \"k_1\"\n[providers.zotlo.accounts.daily]\npath_key = \"k_2\"",
    )
    .unwrap();
    let zotlo: Vec<&str> = config
        .accounts
        .iter()
        .filter(|account| account.provider == "zotlo")
        .map(|account| account.account.as_str())
        .collect();
    assert_eq!(zotlo, ["weekly", "daily"]);
    assert!(
        config
            .accounts
            .iter()
            .any(|account| account.provider == "acme")
    );
}

#[test]
fn the_first_file_has_its_own_keys_is_private_and_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/subledger.toml");
    assert!(edit::write_first(&path, &known()).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("# Zotlo documents no signature"));
    let config = load(&path, &known()).unwrap();
    let mut keys: Vec<String> = config
        .accounts
        .iter()
        .map(|account| account.secrets("path_key")[0].expose().to_owned())
        .collect();
    assert!(
        keys.iter()
            .all(|key| key.starts_with("k_") && key.len() >= 28)
    );
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), known().len());
    assert!(text.contains("[providers.acme]") && text.contains("# what it is"));
    assert!(!edit::write_first(&path, &known()).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_file_with_secrets_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    fs::write(&path, "[providers.zotlo]\npath_key = \"k_1\"\n").unwrap();
    for (mode, good) in [
        (0o644, false),
        (0o602, false),
        (0o660, false),
        (0o620, false),
        (0o640, true),
        (0o600, true),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let result = load(&path, &known());
        assert_eq!(result.is_ok(), good, "{mode:o}");
        if let Err(error) = result {
            assert!(error.0.contains("chmod 600"), "{error}");
        }
    }
    fs::write(&path, "[receiver]\nmetrics = true\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(load(&path, &known()).is_ok());
}

#[test]
fn a_file_that_others_may_change_is_refused_without_secrets_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    fs::write(&path, "[receiver]\nmetrics = true\n").unwrap();
    for (mode, good) in [(0o646, false), (0o664, false), (0o644, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(load(&path, &known()).is_ok(), good, "{mode:o}");
    }
    if !rustix::process::geteuid().is_root() {
        return;
    }
    std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
    let error = load(&path, &known()).unwrap_err().0;
    assert!(
        error.contains("another user (12345)") && error.contains("chown 0"),
        "{error}"
    );
    assert!(set(&path, "receiver.metrics", "false", &known()).is_err());
}

#[test]
fn setting_a_key_keeps_comments_and_mode_and_refuses_what_would_not_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    assert!(edit::write_first(&path, &known()).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    set(
        &path,
        "receiver.public_url",
        "https://a.example/in",
        &known(),
    )
    .unwrap();
    set(&path, "receiver.metrics", "true", &known()).unwrap();
    set(
        &path,
        "providers.zotlo.allow_ips",
        "10.0.0.0/8, 1.2.3.4",
        &known(),
    )
    .unwrap();
    set(
        &path,
        "providers.zotlo.accounts.weekly.path_key",
        "k_w",
        &known(),
    )
    .unwrap();
    set(
        &path,
        "providers.klustr.secret",
        r#"["b", { env = "PATH" }]"#,
        &known(),
    )
    .unwrap();
    let config = load(&path, &known()).unwrap();
    assert_eq!(
        config.receiver.public_url.as_deref(),
        Some("https://a.example/in")
    );
    assert!(config.receiver.metrics);
    let zotlo: Vec<_> = config
        .accounts
        .iter()
        .filter(|a| a.provider == "zotlo")
        .collect();
    assert_eq!(zotlo[0].list("allow_ips"), ["10.0.0.0/8", "1.2.3.4"]);
    assert_eq!(zotlo[1].account, "weekly");
    let klustr = config
        .accounts
        .iter()
        .find(|a| a.provider == "klustr")
        .unwrap();
    assert_eq!(klustr.secrets("secret").len(), 2);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("# Longest webhook that is taken."));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );

    for (key, value, says) in [
        ("receiver.listen", "nowhere", "an address"),
        ("receiver.lisen", "x", "`receiver.listen`"),
        ("providers.klustr.secrt", "x", "`providers.klustr.secret`"),
        ("receiver.metrics", "perhaps", "true or false"),
    ] {
        let message = set(&path, key, value, &known()).unwrap_err().0;
        assert!(message.contains(says), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn alerts_are_read_checked_and_not_shown_whole() {
    let silent = read("").unwrap();
    assert_eq!(
        silent.alerts,
        crate::config::alerts::AlertSettings::default()
    );
    let url = "https://ping.example.org/token-of-mine?x=1";
    let text =
        format!("[alerts]\ncommand = [\"/bin/sh\", \"token-of-mine\"]\nheartbeat_url = \"{url}\"");
    let config = read(&text).unwrap();
    assert_eq!(config.alerts.heartbeat_url.unwrap().expose(), url);
    let command = config.alerts.command.unwrap();
    assert_eq!(command.program, "/bin/sh");
    assert_eq!(command.args[0].expose(), "token-of-mine");
    assert!(config.warnings.is_empty());
    let shown = |key: &str| config.shown.iter().find(|shown| shown.key == key).unwrap();
    assert_eq!(shown("alerts.command").value, "[\"/bin/sh\", [secret]]");
    assert_eq!(
        shown("alerts.heartbeat_url").value,
        "\"https://ping.example.org/[secret]\""
    );
    for (wrong, says) in [
        ("command = [\"./token\"]", "absolute path"),
        ("command = [\"\", \"token\"]", "empty text"),
        ("command = \"/bin/sh\"", "a list of texts"),
        ("heartbeat_url = \"token\"", "an address"),
        (
            "heartbeat_url = \"https://a:token@b.example/\"",
            "an address",
        ),
        ("comand = []", "`command`"),
    ] {
        let message = refused(&format!("[alerts]\n{wrong}"));
        assert!(message.starts_with("s.toml:2: "), "{message}");
        assert!(
            message.contains(says) && !message.contains("token"),
            "{message}"
        );
    }
    for (odd, says) in [
        ("command = [\"/nowhere/at/all\"]", "No such file"),
        ("command = [\"no-such-program-here\"]", "not found on PATH"),
        (
            "heartbeat_url = \"http://ping.example.org/token\"",
            "http://",
        ),
    ] {
        let config = read(&format!("[alerts]\n{odd}")).unwrap();
        assert!(config.warnings[0].contains(says), "{:?}", config.warnings);
        assert!(!config.warnings[0].contains("token"));
    }
}

/// A settings file with `text` in a directory of its own.
fn written(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    (dir, path)
}

#[test]
fn a_new_secret_goes_in_front_and_the_old_ones_stay_until_they_are_dropped() {
    let text = "[providers.zotlo]\n# the link\npath_key = \"k_1\" # since May\n[providers.klustr]\nsecret = \"\"\n";
    let (_dir, path) = written(text);
    let key = "providers.zotlo.path_key";
    let first = |secret: &str| change(&path, key, Change::PutFirst(Secret::new(secret)), &known());
    let says = |line: &str| {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("# the link") && text.contains("# since May"),
            "{text}"
        );
    };
    first("k_2").unwrap();
    says(r#"path_key = ["k_2", "k_1"] # since May"#);
    assert_eq!(Standings::read(&path).unwrap().of(key).secrets, 2);
    first("k_3").unwrap();
    says(r#"["k_3", "k_2", "k_1"]"#);
    first("k_1").unwrap();
    says(r#"["k_1", "k_3", "k_2"]"#);
    first("k_4").unwrap();
    first("k_5").unwrap();
    let full = fs::read_to_string(&path).unwrap();
    let message = first("k_6").unwrap_err().0;
    assert!(
        message.contains("keys drop") && !message.contains("k_6"),
        "{message}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), full);
    assert_eq!(Standings::read(&path).unwrap().of(key).secrets, SECRETS_MAX);
    let message = change(&path, key, Change::KeepNewestOf(4), &known()).unwrap_err();
    assert!(message.0.contains("changed meanwhile"), "{message}");
    change(&path, key, Change::KeepNewestOf(5), &known()).unwrap();
    says(r#"path_key = "k_5" # since May"#);
    // Nothing is there: the secret stands alone.
    let secret = "providers.klustr.secret";
    change(&path, secret, Change::PutFirst(Secret::new("s")), &known()).unwrap();
    says("secret = \"s\"");
}

#[test]
fn comments_inside_a_list_of_secrets_stay() {
    let (_dir, path) = written(
        "[providers.zotlo]\npath_key = [\n  \"k_2\", # the new one\n  { env = \"PATH\" }, # the old one\n]\n",
    );
    let key = "providers.zotlo.path_key";
    let standing = Standings::read(&path).unwrap().of(key);
    assert_eq!((standing.secrets, standing.elsewhere), (2, None));
    change(&path, key, Change::PutFirst(Secret::new("k_3")), &known()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("# the new one") && text.contains("{ env = \"PATH\" }, # the old one"));
    let zotlo = load(&path, &known()).unwrap();
    let zotlo = zotlo
        .accounts
        .iter()
        .find(|a| a.provider == "zotlo")
        .unwrap();
    assert_eq!(zotlo.secrets("path_key").len(), 3);
    let (_dir, path) = written("[providers.zotlo]\npath_key = { env = \"PATH\" }\n");
    let standing = Standings::read(&path).unwrap().of(key);
    assert_eq!(standing.elsewhere.as_deref(), Some("{ env = \"PATH\" }"));
}

#[test]
fn changes_are_written_all_or_none() {
    let (dir, path) = written("[providers.zotlo]\npath_key = \"k_1\"\n");
    let text = fs::read_to_string(&path).unwrap();
    let edit = |key: &str, value: &str| Edit {
        key: key.to_owned(),
        change: Change::Set(value.to_owned()),
    };
    let two = [
        edit("receiver.metrics", "true"),
        edit("receiver.listen", "x"),
    ];
    assert!(edit::apply(&path, &two, &known(), &|_| Ok(())).is_err());
    let refuse = |_: &Config| Err(SettingsError("no provider takes that".to_owned()));
    let message = edit::apply(&path, &two[..1], &known(), &refuse).unwrap_err();
    assert_eq!(message.0, "no provider takes that");
    // Others may read it: no secret is added to it.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let message = set(&path, "providers.klustr.secret", "s", &known()).unwrap_err();
    assert!(message.0.contains("chmod 600"), "{message}");
    // It is not to be changed at all.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let message = set(&path, "receiver.metrics", "true", &known()).unwrap_err();
    assert!(message.0.contains("chmod u+w"), "{message}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    // Half of a file names the line and nothing of it.
    let (_dir, path) = written("[receiver]\n[providers.zotlo]\npath_key = \"k_secret\n");
    let message = set(&path, "receiver.metrics", "true", &known())
        .unwrap_err()
        .0;
    assert!(
        message.contains("s.toml:3: ") && !message.contains("k_secret"),
        "{message}"
    );
}

#[test]
fn what_a_killed_process_left_half_written_is_in_nobodys_way() {
    let (dir, path) = written("[receiver]\n");
    fs::write(dir.path().join("s.toml.part"), "half of a se").unwrap();
    set(&path, "receiver.metrics", "true", &known()).unwrap();
    assert!(load(&path, &known()).unwrap().receiver.metrics);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_linked_file_is_changed_where_it_is_and_keeps_its_group() {
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};
    let (dir, path) = written("[providers.zotlo]\npath_key = \"k_1\"\n");
    let link = dir.path().join("link.toml");
    symlink("s.toml", &link).unwrap();
    let is_root = fs::metadata(&path).unwrap().uid() == 0;
    if is_root {
        chown(&path, None, Some(23_456)).unwrap();
    }
    let before = fs::metadata(&path).unwrap();
    set(&link, "receiver.metrics", "true", &known()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino());
    assert!(load(&link, &known()).unwrap().receiver.metrics);
}

#[test]
fn writers_at_once_lose_nothing_of_each_other() {
    let (_dir, path) = written("");
    let keys = ["a", "b", "c", "d", "e", "f"].map(|name| {
        let key = format!("providers.zotlo.accounts.{name}.path_key");
        (key, format!("k_{name}"))
    });
    std::thread::scope(|scope| {
        for (key, value) in &keys {
            scope.spawn(|| set(&path, key, value, &known()).unwrap());
        }
    });
    let config = load(&path, &known()).unwrap();
    let zotlo = config.accounts.iter().filter(|a| a.provider == "zotlo");
    assert_eq!(zotlo.count(), keys.len());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("first.toml");
    let wrote: Vec<bool> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| edit::write_first(&path, &known()).unwrap()))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    assert_eq!(wrote.iter().filter(|wrote| **wrote).count(), 1);
}

#[test]
fn backups_go_beside_the_settings_unless_the_path_is_whole() {
    let backup = read("").unwrap().backup;
    assert_eq!((backup.dir, backup.keep), (None, 14));
    let text = "[backup]\ndir = \"/mnt/usb\"\nkeep = 3";
    let backup = read(text).unwrap().backup;
    assert_eq!(backup.dir.as_deref(), Some(Path::new("/mnt/usb")));
    assert_eq!(backup.keep, 3);
    let text = "[backup]\ndir = \"copies\"";
    let config = parse(text, Path::new("/etc/sub/s.toml"), &known(), &|_| None).unwrap();
    let dir = config.backup.dir;
    assert_eq!(dir.as_deref(), Some(Path::new("/etc/sub/copies")));
}

#[test]
fn every_key_is_explained_in_a_sentence() {
    let explained = explained();
    let of = |key: &str| {
        let found = explained.iter().find(|(known, _)| known == key);
        found.map(|(_, sentence)| sentence.as_str())
    };
    let theme = of("display.theme").unwrap();
    assert!(
        theme.starts_with("terminal") && theme.ends_with("mono (none)"),
        "{theme}"
    );
    assert_eq!(
        of("display.timezone").unwrap().split(',').next(),
        Some("IANA name")
    );
    assert_eq!(of("backup.keep"), Some("So many copies are kept"));
    assert_eq!(
        of("providers.zotlo.allow_ips"),
        Some("Addresses or networks that Zotlo may send from; empty: any")
    );
    for (key, sentence) in &explained {
        assert!(
            !sentence.is_empty() || key.starts_with("providers."),
            "{key} has no comment in the template"
        );
        assert!(
            !sentence.contains('#') && !sentence.contains('\n'),
            "{sentence}"
        );
    }
    assert_eq!(
        explained.len(),
        TEMPLATE
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains(" = "))
            .count()
    );
}
