//! What stands in a webhook: bodies that no reader of JSON likes, secrets and readers' data, text that a database or a
//! spreadsheet would act on.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use subledger::providers::{self, check};

use crate::compare::verified;
use crate::load::{Sender, seq_in};
use crate::suite::{Dice, Held, Row, Torture, binary, must};
use crate::support::{Home, PATH_KEY, Serving};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "bodies",
        what: "samples of all providers with bytes changed, cut, doubled, nested and replaced, and the known traps of JSON",
        figure: "3,000 bodies: each 200, kept byte for byte, folded; no panic; verify passes",
        run: bodies,
    },
    Row {
        name: "constant-time",
        what: "the comparison of secrets, two classes (right; wrong in the first byte), Welch's t-test over 200,000 calls each",
        figure: "|t| under 4.5 in one of five tries; the control (an ordinary comparison) is over it in all",
        run: constant_time,
    },
    Row {
        name: "secrets",
        what: "canaries for every secret and everything a reader is, through right, wrong and broken webhooks",
        figure: "0 in logs (`RUST_LOG=trace`), metrics, answers, names of files and the command lines",
        run: secrets,
    },
    Row {
        name: "umask",
        what: "a start with umask 000",
        figure: "every file 0600, every folder 0700",
        run: umask,
    },
    Row {
        name: "sql",
        what: "SQL in every place of a filter, of every list",
        figure: "an empty list or an error of arguments; the ledger stays as it was",
        run: sql,
    },
    Row {
        name: "csv",
        what: "names that are formulas, in every list as CSV and TSV",
        figure: "no cell begins with = + - @, a tab or a line end, numbers of ours excepted",
        run: csv,
    },
];

const TRAPS: &[&[u8]] = &[
    b"",
    b"\xef\xbb\xbf{}",
    b"{\"a\":1,\"a\":2}",
    b"\"\\ud800\"",
    b"{\"a\":\"\\u0000\"}",
    b"{\"a\":1e400}",
    b"{\"a\":-0.0e-0}",
    b"NaN",
    b"[1,]",
    b"{\"a\":1}{\"b\":2}",
    b"{\"a\":\"\xff\xfe\xfd\"}",
    b"\x00\x00\x00\x00",
    b"{\"a\":123456789012345678901234567890123456789012}",
    b"// a comment\n{}",
    b"{'a':1}",
    b"{\"a\":\"\x01\x1b[2J\"}",
];

/// A sample that something happened to.
pub(crate) fn spoilt(dice: &mut Dice, sample: &[u8]) -> Vec<u8> {
    let mut body = sample.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(body.len() + 1);
        let to = (at + dice.below(40)).min(body.len());
        match dice.below(7) {
            0 if at < body.len() => body[at] = dice.below(256).try_into().unwrap(),
            1 => body.truncate(at),
            2 => {
                let part = body[at..to].to_vec();
                body.splice(at..at, part);
            }
            3 => drop(body.drain(at..to)),
            4 => {
                let depth = 1 << dice.below(14);
                body.splice(at..at, vec![b'['; depth]);
            }
            5 => {
                let trap = TRAPS[dice.below(TRAPS.len())];
                body.splice(at..to, trap.iter().copied());
            }
            _ => {
                let digits = "9".repeat(1 + dice.below(60));
                body.splice(at..to, digits.into_bytes());
            }
        }
    }
    body
}

fn bodies(torture: &mut Torture) -> Held {
    let home = Home::new();
    let serving = home.serve();
    let mut sender = Sender::new(home.port);
    let samples: Vec<_> = providers::ALL
        .iter()
        .flat_map(|provider| {
            provider
                .samples()
                .iter()
                .map(|sample| (provider.id(), sample))
        })
        .collect();
    let rounds = torture.rounds(3_000);
    let mut kept = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let (provider, sample) = samples[round % samples.len()];
        let body = match TRAPS.get(round / samples.len()) {
            Some(trap) => trap.to_vec(),
            None => spoilt(&mut torture.dice, sample.body.as_bytes()),
        };
        let answer = sender.post(provider, sample.hook, &body);
        let Some((200, text)) = answer else {
            return Err(crate::suite::Stop::Missed(format!(
                "round {round}, {provider}: {answer:?}"
            )));
        };
        kept.push((seq_in(&text), body));
    }
    assert_eq!(serving.terminate(), Some(0));
    let conn = home.open();
    let mut stored = conn
        .prepare("select cast(body as blob) from deliveries where seq = ?1")
        .unwrap();
    for (seq, body) in &kept {
        let found: Vec<u8> = stored.query_row([seq], |row| row.get(0)).unwrap();
        must(found == *body, || format!("{seq} is not what was sent"))?;
    }
    let counted = |outcome: &str| {
        home.number(&format!(
            "select count(*) from deliveries where outcome = '{outcome}'"
        ))
    };
    verified(&home)?;
    Ok(format!(
        "{rounds} bodies: {} read, {} not understood, {} repeats, all kept exactly",
        counted("stored"),
        counted("quarantined"),
        counted("duplicate")
    ))
}

/// Welch's t of how long two calls take, without the slowest tenth, which the machine makes.
fn welch(dice: &mut Dice, compare: impl Fn(&[u8], &[u8]) -> bool) -> f64 {
    const CALLS: usize = 400_000;
    let secret = [b'k'; 64];
    let mut wrong = secret;
    wrong[0] = b'x';
    let mut took = [Vec::with_capacity(CALLS), Vec::with_capacity(CALLS)];
    for _ in 0..CALLS {
        let class = dice.below(2);
        // The same bytes at the same place, whichever class.
        let given = std::hint::black_box(if class == 0 { secret } else { wrong });
        let begun = Instant::now();
        // Several calls: one is shorter than what the clock tells.
        for _ in 0..4 {
            std::hint::black_box(compare(
                std::hint::black_box(&given),
                std::hint::black_box(&secret),
            ));
        }
        took[class].push(u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    let mut all: Vec<u32> = took.iter().flatten().copied().collect();
    all.sort_unstable();
    let most = all[all.len() * 9 / 10];
    let [(mean_a, spread_a), (mean_b, spread_b)] = took.map(|times| {
        let times: Vec<f64> = times
            .into_iter()
            .filter(|ns| *ns <= most)
            .map(f64::from)
            .collect();
        let count = f64::from(u32::try_from(times.len()).unwrap());
        let mean = times.iter().sum::<f64>() / count;
        let variance = times.iter().map(|ns| (ns - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    });
    (mean_a - mean_b) / (spread_a + spread_b).sqrt()
}

/// What must not be used: it ends at the first byte that differs.
fn ordinary(a: &[u8], b: &[u8]) -> bool {
    a.iter()
        .zip(b)
        .all(|(a, b)| std::hint::black_box(a) == std::hint::black_box(b))
}

fn constant_time(torture: &mut Torture) -> Held {
    // A machine that does something else meanwhile gives differences that are not there; a leak is there each time.
    let mut tries = Vec::new();
    while tries.len() < 5 && tries.last().is_none_or(|t: &f64| t.abs() >= 4.5) {
        tries.push(welch(&mut torture.dice, check::equal));
    }
    let t = *tries.last().unwrap();
    must(t.abs() < 4.5, || format!("t of five tries: {tries:.1?}"))?;
    let leak = welch(&mut torture.dice, ordinary);
    must(leak.abs() > 4.5, || {
        format!("the control's t is {leak:.1}: this row finds nothing")
    })?;
    Ok(format!(
        "t = {t:.1} at try {}; control t = {leak:.0}",
        tries.len()
    ))
}

const CANARY: &str = "kanarienvogel";

/// Settings whose every secret is a canary.
fn settings() -> String {
    use std::fmt::Write as _;
    let mut text = String::from("[receiver]\nmetrics = true\n");
    for provider in providers::ALL {
        writeln!(text, "[providers.{}.accounts.second]", provider.id()).unwrap();
        writeln!(
            text,
            "path_key = \"k_{CANARY}{}aaaaaaaaaaaaaaaa\"",
            provider.id()
        )
        .unwrap();
    }
    text
}

/// Right, wrong and broken webhooks with a canary wherever one fits: all answers, and how many were sent.
fn send_canaries(serving: &Serving) -> (String, usize) {
    let mut said = String::new();
    let mut sent = 0;
    for provider in providers::ALL {
        for sample in provider.samples() {
            let body = sample
                .body
                .replace("example.org", &format!("{CANARY}.example.org"))
                .replace("example.com", &format!("{CANARY}.example.com"));
            for path in [
                format!("/hooks/{}/{}/{PATH_KEY}", provider.id(), sample.hook),
                format!(
                    "/hooks/{}/{}/k_{CANARY}{}aaaaaaaaaaaaaaaa",
                    provider.id(),
                    sample.hook,
                    provider.id()
                ),
                format!("/hooks/{}/{}/k_{CANARY}wrong", provider.id(), sample.hook),
                format!("/hooks/{CANARY}/{}", sample.hook),
                format!("/hooks/{}/{CANARY}?{CANARY}={CANARY}", provider.id()),
            ] {
                let headers = format!(
                    "Authorization: Basic {CANARY}\r\nX-{CANARY}: {CANARY}\r\nUser-Agent: {CANARY}\r\nX-Conscent-Signature: {CANARY}\r\nsvix-signature: v1,{CANARY}\r\n"
                );
                let whole = [
                    body.clone(),
                    format!("{{\"name\":\"{CANARY}\",\"email\":\"{CANARY}"),
                ];
                for body in whole {
                    let answer = serving.request("POST", &path, &headers, body.as_bytes());
                    said.push_str(&answer.map(|answer| answer.1).unwrap_or_default());
                    sent += 1;
                }
            }
        }
    }
    (said, sent)
}

fn secrets(_: &mut Torture) -> Held {
    let home = Home::new();
    let folder = home.path().join("config/subledger/subledger.toml");
    let before = std::fs::read_to_string(&folder).unwrap();
    let more = settings().replace("[receiver]\nmetrics = true\n", "");
    let with_metrics = before.replace("[receiver]\n", "[receiver]\nmetrics = true\n");
    std::fs::write(&folder, format!("{with_metrics}{more}")).unwrap();
    let log = home.path().join("log");
    let child = home
        .command(&["serve", "-v"])
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    let (mut said, sent) = send_canaries(&serving);
    said.push_str(&serving.get("/metrics").unwrap().1);
    said.push_str(&serving.get("/readyz").unwrap().1);
    said.push_str(
        &std::fs::read_to_string(format!("/proc/{}/cmdline", serving.child.id())).unwrap(),
    );
    for args in [&["status"][..], &["stop"]] {
        let output = home.command(args).output().unwrap();
        said.push_str(&String::from_utf8_lossy(&output.stdout));
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(serving.terminate(), Some(0));
    let logged = std::fs::read_to_string(&log).unwrap();
    must(logged.lines().count() > sent, || {
        "the log says too little to tell".to_owned()
    })?;
    let names: Vec<String> = walk(home.path())
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    for (what, text) in [
        ("answers", &said),
        ("the log", &logged),
        ("names of files", &names.join("\n")),
    ] {
        let found = text
            .lines()
            .find(|line| line.to_lowercase().contains(CANARY));
        must(found.is_none(), || {
            format!("{what}: {}", found.unwrap_or_default())
        })?;
    }
    must(home.number("select count(*) from deliveries") > 20, || {
        "nothing was stored".to_owned()
    })?;
    Ok(format!(
        "{sent} requests, {} lines of log, 0 canaries",
        logged.lines().count()
    ))
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

fn umask(_: &mut Torture) -> Held {
    let home = Home::new();
    // Everything is made by it, settings too.
    std::fs::remove_dir_all(home.path().join("config")).unwrap();
    let under = |words: &str| {
        let script = format!("umask 000; exec \"$0\" {words}");
        home.command_of(Path::new("/bin/sh"), &["-c", &script])
            .arg(binary())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    must(
        under(&format!(
            "config set receiver.listen 127.0.0.1:{}",
            home.port
        )),
        || "no settings were written".to_owned(),
    )?;
    let child = home
        .command_of(
            Path::new("/bin/sh"),
            &["-c", "umask 000; exec \"$0\" serve"],
        )
        .arg(binary())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    must(under("send zotlo --all"), || {
        "samples could not be sent".to_owned()
    })?;
    let copy = home.path().join("data/copy.db");
    must(under(&format!("backup {}", copy.display())), || {
        "no backup was made".to_owned()
    })?;
    let look = || -> Result<usize, crate::suite::Stop> {
        let found = walk(home.path());
        for path in &found {
            let about = std::fs::symlink_metadata(path).unwrap();
            // The folders of the home itself are made by its owner's system, not by us.
            let is_ours = path
                .components()
                .any(|part| part.as_os_str() == "subledger")
                || about.is_file();
            let wanted = if about.is_dir() { 0o700 } else { 0o600 };
            let mode = about.permissions().mode() & 0o777;
            must(!is_ours || mode == wanted, || {
                format!("{} is {mode:o}", path.display())
            })?;
        }
        Ok(found.len())
    };
    let running = look()?;
    assert_eq!(serving.terminate(), Some(0));
    look()?;
    Ok(format!(
        "{running} files and folders, all their owner's alone"
    ))
}

const INJECTIONS: &[&str] = &[
    "' or 1=1 --",
    "'; drop table deliveries; --",
    "\" or \"\"=\"",
    "') union select name from sqlite_schema --",
    "1; pragma query_only=off",
    "%' or '%'='",
    "_%_",
    "\\'; delete from users; --",
    "x' and randomblob(1000000000) --",
    "NEAR(a b)",
    "a\" OR b*",
    "*",
    "^a:b",
];

const LISTS: &[&str] = &[
    "events",
    "users",
    "subscriptions",
    "cancellations",
    "consents",
    "changes",
    "payments",
    "deliveries",
];

fn sql(_: &mut Torture) -> Held {
    let home = Home::new();
    let serving = home.serve();
    for provider in providers::ALL {
        for sample in provider.samples() {
            let answer = serving.post(provider.id(), sample.hook, sample.body.as_bytes());
            assert_eq!(answer.map(|answer| answer.0), Some(200));
        }
    }
    let before = home.number("select count(*) from deliveries");
    let mut tried = 0;
    for list in LISTS {
        for injection in INJECTIONS {
            let quoted = injection.replace('"', "");
            for query in [
                (*injection).to_owned(),
                format!("\"{quoted}\""),
                format!("user:\"{quoted}\""),
                format!("provider:\"{quoted}\""),
                format!("type:\"{quoted}\""),
                format!("since:\"{quoted}\""),
                format!("amount:>=\"{quoted}\""),
                format!("plan:\"{quoted}\" -account:\"{quoted}\""),
            ] {
                let output = home
                    .command(&[list, "--format", "json", "--limit", "0", "--", &query])
                    .output()
                    .unwrap();
                tried += 1;
                let (code, text) = (
                    output.status.code(),
                    String::from_utf8_lossy(&output.stdout),
                );
                let words = String::from_utf8_lossy(&output.stderr).into_owned();
                let is_honest = match code {
                    Some(0) => {
                        text.trim() == "[]" || query.starts_with('-') || query.contains("-account")
                    }
                    Some(2) => true,
                    _ => false,
                };
                must(is_honest && !words.contains("panicked"), || {
                    format!(
                        "{list} {query:?}: {code:?} {words}{}",
                        &text[..text.len().min(200)]
                    )
                })?;
                must(
                    !words.contains("sqlite: ") && !words.contains("syntax error"),
                    || format!("{list} {query:?}: {words}"),
                )?;
            }
        }
    }
    assert_eq!(serving.terminate(), Some(0));
    must(
        home.number("select count(*) from deliveries") == before,
        || "rows are gone".to_owned(),
    )?;
    verified(&home)?;
    Ok(format!(
        "{tried} queries, none found a row, the ledger stays"
    ))
}

const FORMULAS: &[&str] = &[
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\u{ff1d}1",
    "\u{ff0b}1",
    "\u{ff0d}1",
    "\u{ff20}a",
    "=cmd|' /C calc'!A0",
    "\"=1",
    ",=1",
    "\u{0}=1",
    "Ann;=1+1;x",
    "Ann;\"=1+1\"",
    "Ann\t@SUM(A1)",
    "Ann\r\n\u{ff1d}1",
];

fn csv(_: &mut Torture) -> Held {
    let home = Home::new();
    let serving = home.serve();
    for (number, formula) in FORMULAS.iter().enumerate() {
        let text = serde_json::to_string(formula).unwrap();
        for (provider, hook, body) in [
            (
                "conscent",
                "sign-up",
                format!(r#"{{"_id":{text},"email":{text},"name":{text},"phoneNumber":{text}}}"#),
            ),
            (
                "zotlo",
                "events",
                format!(
                    r#"{{"subscriberId":{text},"subscriberName":{text},"country":{text},"clientUuid":"{number}","appId":1,"registerDate":"2026-02-03 04:05:06"}}"#
                ),
            ),
        ] {
            let answer = serving.post(provider, hook, body.as_bytes());
            must(matches!(answer, Some((200, _))), || {
                format!("{formula:?}: {answer:?}")
            })?;
        }
    }
    assert_eq!(serving.terminate(), Some(0));
    let mut cells = 0;
    for list in LISTS {
        for (format, delimiter) in [("csv", b','), ("tsv", b'\t')] {
            let output = home
                .command(&[list, "--format", format, "--limit", "0"])
                .output()
                .unwrap();
            let mut rows = csv_reader(&output.stdout, delimiter);
            for row in rows.records() {
                for cell in &row.unwrap() {
                    cells += 1;
                    let acts = computed(cell);
                    must(!acts || cell.parse::<f64>().is_ok(), || {
                        format!("{list} as {format}: {cell:?}")
                    })?;
                }
            }
        }
    }
    must(cells > 500, || format!("only {cells} cells"))?;
    Ok(format!("{} formulas, {cells} cells", FORMULAS.len()))
}

/// Whether a spreadsheet computes `cell`, or what it finds in it by splitting at `;`, tabs and lines.
fn computed(cell: &str) -> bool {
    let mut parts = cell.split([';', '\t', '\r', '\n']);
    let begins = [
        '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ];
    cell.starts_with(['\t', '\r', '\n'])
        || parts.any(|part| part.trim_start_matches('"').starts_with(begins))
}

fn csv_reader(bytes: &[u8], delimiter: u8) -> ::csv::Reader<&[u8]> {
    ::csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(bytes)
}
