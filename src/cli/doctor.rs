//! `doctor`: what could keep webhooks from being received and kept, one line each.

mod growth;

pub mod public;

mod answer;

mod certificate;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::cli::args::Global;
use crate::domain::count::in_words;

use crate::cli::context::Context;
use crate::cli::failure::{FAILED, Failure};
use crate::cli::links::{links, near_url};
use crate::cli::out::Out;
use crate::cli::table::{local, tame};
use crate::cli::today::by_settings;
use crate::cli::{alerts, keys, running, service, settings, tasks};
use crate::config::Settings;
use crate::domain::delivery::MAIN_ACCOUNT;
use crate::domain::printable::Printable;
use crate::domain::remedy::{about_quiet, advice};
use crate::domain::size;
use crate::domain::time::{Timestamp, Zone, span};
use crate::store::query::{Connected, Reader, Refusals};
use crate::store::today::{BACKUP_MS_MAX, backup_words};
use crate::store::upkeep::room;
use crate::tui::cell::When;

/// Below so many free bytes something must be done now.
const DISK_BAD: u64 = 64 << 20;
/// Below so many free bytes it is time to think of it.
const DISK_LOW: u64 = 1 << 30;
/// A sync that takes longer keeps every sender waiting.
const SYNC_SLOW: Duration = Duration::from_millis(50);
/// So often a sync is measured; the middle one counts.
const SYNCS: usize = 9;
/// The bits of a mode that other users have.
const NOT_OURS: u32 = 0o077;
/// No clock that is right shows an earlier moment: 2026-01-01.
const CLOCK_FLOOR_MS: i64 = 1_767_225_600_000;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Note,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    level: Level,
    says: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: &str, level: Level, says: impl Into<String>) {
        self.0.push(Finding {
            check: check.to_owned(),
            level,
            says: says.into(),
        });
    }

    /// Writes them all; the error is exit code 1 if anything is bad.
    fn write(&self, json: bool, out: &mut Out) -> Result<()> {
        let bad = self.0.iter().any(|finding| finding.level == Level::Bad);
        if json {
            out.line(tame(&serde_json::to_string(&self.0)?))?;
        } else {
            for finding in &self.0 {
                let word = match finding.level {
                    Level::Ok => "ok  ",
                    Level::Note => "note",
                    Level::Bad => "BAD ",
                };
                out.line(format!(
                    "{word}  {:<22} {}",
                    Printable::line(&finding.check),
                    Printable::line(&finding.says)
                ))?;
            }
        }
        out.flush()?;
        if bad {
            Err(Failure::silent(FAILED).into())
        } else {
            Ok(())
        }
    }
}

/// Looks at everything; exit code 1 if anything is bad.
pub fn run(global: &Global, try_alerts: bool, out: &mut Out) -> Result<()> {
    let mut findings = Findings::default();
    match Context::read(global) {
        Ok(context) if try_alerts => try_out_alerts(&context, &mut findings),
        Ok(context) => examine(&context, &mut findings),
        Err(error) => {
            findings.add("settings", Level::Bad, format!("{error:#}"));
            if !try_alerts {
                examine_without_settings(global, &error, &mut findings);
            }
        }
    }
    findings.write(global.json, out)
}

/// What can be said while the settings do not hold: nothing of providers, backups and alerts, which they name.
fn examine_without_settings(global: &Global, error: &anyhow::Error, findings: &mut Findings) {
    let Ok(context) = Context::without_settings(global, error) else {
        let says = "which one is meant cannot be read out of the settings: --db FILE names it";
        findings.add("database", Level::Note, says);
        return look_at_service(findings);
    };
    look_at_permissions(&context, findings);
    look_at_clock(&context, findings);
    look_at_folder(&context, findings);
    match Reader::open(&context.database) {
        Ok(reader) => {
            look_at_deliveries(&context, &reader, findings);
            look_at_upgrade(&reader, findings);
        }
        Err(error) => look_at_no_ledger(error, findings),
    }
    if running::receiver(&context.database).is_some() {
        // It goes on by the settings that held when it read them.
        look_at_receiver(&context, findings);
    }
    look_at_service(findings);
}

fn examine(context: &Context, findings: &mut Findings) {
    look_at_settings(context, findings);
    look_at_clock(context, findings);
    look_at_folder(context, findings);
    match Reader::open(&context.database) {
        Ok(reader) => look_at_ledger(context, &reader, findings),
        Err(error) => look_at_no_ledger(error, findings),
    }
    look_at_receiver(context, findings);
    look_at_service(findings);
}

/// Where the database is or will be.
fn look_at_folder(context: &Context, findings: &mut Findings) {
    let dir = context.database.parent().unwrap_or(Path::new("/"));
    if dir.is_dir() {
        look_at_disk(dir, findings);
        look_at_sync(dir, findings);
    }
}

fn look_at_no_ledger(error: crate::store::Error, findings: &mut Findings) {
    match error {
        crate::store::Error::Absent(path) => {
            let says = format!(
                "not there yet: {}; `subledger serve` makes it",
                path.display()
            );
            findings.add("database", Level::Note, says);
        }
        error => findings.add("database", Level::Bad, error.to_string()),
    }
}

fn look_at_settings(context: &Context, findings: &mut Findings) {
    let path = context.settings.path.display();
    match settings::check(&context.config) {
        Err(error) => findings.add("settings", Level::Bad, format!("{error:#}")),
        Ok(()) if context.settings.exists => findings.add("settings", Level::Ok, path.to_string()),
        Ok(()) => findings.add(
            "settings",
            Level::Note,
            format!("not there yet, the defaults hold: {path}"),
        ),
    }
    for warning in &context.config.warnings {
        findings.add("settings", Level::Note, warning);
    }
    look_at_permissions(context, findings);
}

fn look_at_permissions(context: &Context, findings: &mut Findings) {
    for (what, file) in [
        ("settings", &context.settings.path),
        ("database", &context.database),
    ] {
        let Ok(metadata) = fs::metadata(file) else {
            continue;
        };
        let mode = metadata.permissions().mode() & 0o777;
        let check = format!("{what} permissions");
        if mode & NOT_OURS == 0 {
            findings.add(&check, Level::Ok, format!("{mode:o}"));
        } else {
            let path = crate::config::places::quoted(file);
            let says = format!("{mode:o}: others on this machine may use it; chmod 600 {path}");
            findings.add(&check, Level::Note, says);
        }
    }
}

fn look_at_clock(context: &Context, findings: &mut Findings) {
    let now = context.clock.now();
    let zone = context.zone().name();
    if now.ms() < CLOCK_FLOOR_MS {
        findings.add(
            "clock",
            Level::Bad,
            format!("{now} lies in the past: set the machine's clock"),
        );
    } else {
        findings.add("clock", Level::Ok, format!("{now}, zone {zone}"));
    }
}

fn look_at_disk(dir: &Path, findings: &mut Findings) {
    let Some(free) = room::free_bytes(dir) else {
        let says = format!("how much is free in {} cannot be asked", dir.display());
        return findings.add("disk", Level::Note, says);
    };
    let level = match free {
        0..DISK_BAD => Level::Bad,
        DISK_BAD..DISK_LOW => Level::Note,
        _ => Level::Ok,
    };
    findings.add(
        "disk",
        level,
        format!("{} MiB free in {}", free >> 20, dir.display()),
    );
}

/// The bytes left on the disk of `database` where they are few.
pub fn disk_low(database: &Path) -> Option<u64> {
    room::free_bytes(database).filter(|free| *free < DISK_BAD)
}

/// What one durable write costs here: it is the least that every webhook waits for.
fn look_at_sync(dir: &Path, findings: &mut Findings) {
    match sync_cost(dir) {
        Ok(cost) => {
            let ms = cost.as_secs_f64() * 1_000.0;
            let level = if cost > SYNC_SLOW {
                Level::Note
            } else {
                Level::Ok
            };
            findings.add("durable write", level, format!("{ms:.1} ms"));
        }
        Err(error) => {
            let says = format!("cannot write into {}: {error}", dir.display());
            findings.add("durable write", Level::Bad, says);
        }
    }
}

fn sync_cost(dir: &Path) -> std::io::Result<Duration> {
    let path = dir.join(format!(".subledger-doctor-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    let mut measure = || -> std::io::Result<Vec<Duration>> {
        let mut costs = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let started = Instant::now();
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
            costs.push(started.elapsed());
        }
        costs.sort();
        Ok(costs)
    };
    let costs = measure();
    fs::remove_file(&path)?;
    Ok(costs?[SYNCS / 2])
}

fn look_at_ledger(context: &Context, reader: &Reader, findings: &mut Findings) {
    let now = context.clock.now();
    let zone = reader.zone().unwrap_or(Zone::UTC);
    look_at_deliveries(context, reader, findings);
    let retention = tasks::retention(&context.config);
    growth::look_at_kept(retention, reader, now, findings);
    look_at_upgrade(reader, findings);
    look_at_backup(context, reader, now, zone, findings);
    look_at_providers(context, reader, now, zone, findings);
    look_at_alerts(context, reader, zone, findings);
}

/// How much is in the ledger, and how it grows.
fn look_at_deliveries(context: &Context, reader: &Reader, findings: &mut Findings) {
    let now = context.clock.now();
    match reader.status(now) {
        Ok(status) => {
            let says = format!(
                "{} in {}",
                in_words(status.last_seq, "delivery", "deliveries"),
                context.database.display()
            );
            findings.add("database", Level::Ok, says);
            look_at_ahead(status.ahead, status.is_ahead, findings);
            if status.lost > 0 {
                let says = format!(
                    "{} turned away in the last 14 days could not be kept, only counted: \
                     somebody sends many with wrong secrets, or one of yours is wrong; see `subledger rejected`",
                    in_words(status.lost, "request", "requests")
                );
                findings.add("turned away", Level::Note, says);
            }
            growth::look(&context.database, reader, now, findings);
        }
        Err(error) => findings.add("database", Level::Bad, error.to_string()),
    }
}

/// Whether anybody would be told, and how that went the last time.
fn look_at_alerts(context: &Context, reader: &Reader, zone: Zone, findings: &mut Findings) {
    let settings = &context.config.alerts;
    let when = |at: Timestamp| local(&at.to_string(), zone);
    let last = reader.alerts().ok().and_then(|alerts| alerts.last);
    match (&settings.command, last) {
        (None, _) => findings.add(
            "alerts",
            Level::Note,
            "nobody is told: alerts.command is empty",
        ),
        (Some(_), None) => findings.add(
            "alerts",
            Level::Ok,
            "nothing had to be told yet; try it: subledger doctor --alerts",
        ),
        (Some(_), Some(last)) => match (last.failing, last.told_at) {
            (Some((since, why)), _) => {
                let says = format!("nobody is told since {}: {why}", when(since));
                findings.add("alerts", Level::Bad, says);
            }
            (None, told_at) => {
                let says = format!("last told {}", when(told_at.unwrap_or(last.at)));
                findings.add("alerts", Level::Ok, says);
            }
        },
    }
    if settings.heartbeat_url.is_none() {
        return;
    }
    let heartbeat = reader.heartbeat().unwrap_or_default();
    match (heartbeat.failing, heartbeat.sent_at) {
        (Some((since, why)), _) => {
            let says = format!("none arrives since {}: {why}", when(since));
            findings.add("heartbeat", Level::Bad, says);
        }
        (None, Some(at)) => findings.add("heartbeat", Level::Ok, format!("last {}", when(at))),
        (None, None) => findings.add("heartbeat", Level::Note, "none was sent yet"),
    }
}

/// Runs the command with a test for its object, and sends a heartbeat.
fn try_out_alerts(context: &Context, findings: &mut Findings) {
    let settings = &context.config.alerts;
    match &settings.command {
        None => {
            let says = "nobody is told: name a program with `subledger config set alerts.command`";
            findings.add("alerts", Level::Bad, says);
        }
        Some(command) => match alerts::try_out(command, context) {
            Err(error) => findings.add("alerts", Level::Bad, format!("{error:#}")),
            Ok(ran) => {
                for line in ran.said.lines() {
                    findings.add("alerts", Level::Note, format!("it says: {line}"));
                }
                match ran.failed {
                    Some(why) => findings.add("alerts", Level::Bad, why),
                    None => findings.add(
                        "alerts",
                        Level::Ok,
                        "the command took a test; see whether it reached you",
                    ),
                }
            }
        },
    }
    match &settings.heartbeat_url {
        None => findings.add(
            "heartbeat",
            Level::Note,
            "none: alerts.heartbeat_url is empty",
        ),
        Some(url) => match alerts::fetch(url.expose()) {
            Ok(()) => findings.add("heartbeat", Level::Ok, "it arrived"),
            Err(why) => findings.add("heartbeat", Level::Bad, why),
        },
    }
}

fn look_at_upgrade(reader: &Reader, findings: &mut Findings) {
    if let Some(pid) = reader.older_writer() {
        let says =
            format!("process {pid} is an older version: `subledger stop`, then start it again");
        findings.add("receiver", Level::Note, says);
    }
    match reader.upgrade() {
        Ok(Some(upgrade)) if upgrade.lost > 0 => {
            findings.add("upgrade", Level::Note, upgrade.sentence());
        }
        Ok(Some(upgrade)) => findings.add("upgrade", Level::Ok, upgrade.sentence()),
        Ok(None) => {}
        Err(error) => findings.add("upgrade", Level::Bad, error.to_string()),
    }
}

fn look_at_backup(
    context: &Context,
    reader: &Reader,
    now: Timestamp,
    zone: Zone,
    findings: &mut Findings,
) {
    let record = match reader.backups() {
        Ok(record) => record,
        Err(error) => return findings.add("backup", Level::Bad, error.to_string()),
    };
    if let Some(failed) = &record.failed {
        let at = local(&failed.at.to_string(), zone);
        findings.add("backup", Level::Bad, format!("failed {at}: {}", failed.why));
    }
    match record.last() {
        Some(last) => {
            let old = now.ms() - last.at.ms() > BACKUP_MS_MAX;
            let level = if old { Level::Bad } else { Level::Ok };
            let words = backup_words(last.at, now, zone);
            let says = format!(
                "{words}, {}, {}",
                size::in_words(last.bytes),
                last.file.display()
            );
            findings.add("backup", level, says);
        }
        None if context.config.backup.dir.is_none() => {
            let says = "none is made: subledger config set backup.dir FOLDER";
            findings.add("backup", Level::Note, says);
        }
        None => findings.add("backup", Level::Note, "none was made yet"),
    }
    let dir = context.config.backup.dir.as_deref();
    if let Some(dir) = dir
        && record.failed.is_none()
        && !dir.is_dir()
    {
        let says = format!(
            "there is no folder {}: make it, or name another with `subledger config set backup.dir`",
            dir.display()
        );
        findings.add("backup", Level::Bad, says);
    }
    let disk = |path: &Path| fs::metadata(path).ok().map(|there| there.dev());
    if let Some(dir) = dir
        && disk(dir).is_some_and(|found| Some(found) == disk(&context.database))
    {
        let says = format!(
            "{} is on the disk of the database: take copies elsewhere too",
            dir.display()
        );
        findings.add("backup", Level::Note, says);
    }
}

/// Webhooks dated in the future: a finding as long as the newest is one of them, later a note.
fn look_at_ahead(ahead: i64, is_ahead: bool, findings: &mut Findings) {
    if is_ahead {
        let says =
            "the newest webhook lies more than a day in the future: the clock was or is wrong";
        findings.add("clock", Level::Bad, says);
    } else if ahead > 0 {
        let says = format!(
            "{ahead} webhooks are dated in the future: the clock was wrong when they came; the newest is right"
        );
        findings.add("clock", Level::Note, says);
    }
}

fn look_at_receiver(context: &Context, findings: &mut Findings) {
    match running::receiver(&context.database) {
        Some(running) if running::is_live(running.listen) => {
            let says = format!("process {} on {}", running.pid, near_url(running.listen));
            findings.add("receiver", Level::Ok, says);
        }
        Some(running) => {
            let says = format!(
                "process {} does not answer on {}",
                running.pid, running.listen
            );
            findings.add("receiver", Level::Bad, says);
        }
        None => {
            let level = if context.database.exists() {
                Level::Bad
            } else {
                Level::Note
            };
            let says = match TcpListener::bind(context.listen()) {
                Ok(_) => "none runs: start it with `subledger serve`".to_owned(),
                Err(error) => format!("none runs, and {} cannot be had: {error}", context.listen()),
            };
            findings.add("receiver", level, says);
        }
    }
}

fn look_at_service(findings: &mut Findings) {
    let (is_lacking, says) = service::brief();
    let level = if is_lacking { Level::Note } else { Level::Ok };
    findings.add("service", level, says);
}

/// The links of this provider and account, for what they lack.
fn lacks(context: &Context, provider: &str, account: &str) -> Vec<String> {
    links(&context.config, context.listen(), context.clock.now())
        .into_iter()
        .find(|link| link.provider == provider && link.account == account)
        .map(|link| link.add.iter().map(ToString::to_string).collect())
        .unwrap_or_default()
}

/// What still comes on old secrets, while they are being changed.
fn look_at_old_secrets(
    context: &Context,
    reader: &Reader,
    settings: &Settings,
    check: &str,
    findings: &mut Findings,
) {
    let who = (settings.provider.as_str(), settings.account.as_str());
    let now = context.clock.now();
    let zone = reader.zone().unwrap_or(Zone::UTC);
    let said = reader.fingerprint_key().and_then(|key| {
        let several = keys::several_of(context, who.0, who.1, &key);
        if several.is_empty() {
            return Ok(Vec::new());
        }
        let came = reader.came(who.0, who.1, now)?;
        let when = When { now, zone };
        Ok(several
            .iter()
            .map(|key| key.said(who, &came, when))
            .collect())
    });
    match said {
        Ok(said) => {
            for (title, text, _) in said {
                findings.add(check, Level::Note, format!("{title}: {text}"));
            }
        }
        Err(error) => findings.add(check, Level::Bad, error.to_string()),
    }
}

/// Requests that were turned away for one reason, and what to do about it.
fn look_at_refusal(reader: &Reader, provider: &str, refusal: &Refusals, findings: &mut Findings) {
    let was_valid = matches!(reader.let_in(provider, &refusal.path), Ok(Some(_)));
    let todo = advice(&refusal.reason, was_valid)
        .map_or_else(String::new, |words| format!("; what to do: {words}"));
    let says = format!("{} turned away: {}{todo}", refusal.requests, refusal.reason);
    let check = if provider.is_empty() {
        "no provider's path"
    } else {
        provider
    };
    findings.add(check, Level::Note, says);
}

fn look_at_providers(
    context: &Context,
    reader: &Reader,
    now: Timestamp,
    zone: Zone,
    findings: &mut Findings,
) {
    let accounts = context.config.accounts.iter();
    let wanted: Vec<_> = accounts
        .map(|settings| (settings.provider.as_str(), settings.account.as_str()))
        .collect();
    let connections = match reader.connections(now, &wanted, &by_settings(context)) {
        Ok(connections) => connections,
        Err(error) => return findings.add("providers", Level::Bad, error.to_string()),
    };
    for settings in &context.config.accounts {
        let (provider, account) = (settings.provider.as_str(), settings.account.as_str());
        let found = connections
            .iter()
            .find(|one| one.provider == provider && one.account == account);
        let check = if account == MAIN_ACCOUNT {
            provider.to_owned()
        } else {
            format!("{provider}/{account}")
        };
        match found.and_then(|one| one.last.as_ref()) {
            Some((_, at, hook)) => {
                let at = local(&at.to_string(), zone);
                findings.add(&check, Level::Ok, format!("last webhook {at} on {hook}"));
            }
            None if found.is_some_and(|one| one.tests > 0) => {
                findings.add(
                    &check,
                    Level::Note,
                    "only tests so far, no real webhook yet",
                );
            }
            None => findings.add(&check, Level::Note, "not connected: no webhook yet"),
        }
        if let Some(quiet) = found.and_then(|one| one.quiet.as_ref()) {
            let says = format!(
                "quiet for {}; {}; {}",
                span(quiet.gap_ms),
                quiet.than(),
                about_quiet(found.is_some_and(Connected::is_refused))
            );
            findings.add(&check, Level::Bad, says);
        }
        look_at_old_secrets(context, reader, settings, &check, findings);
        for lack in lacks(context, provider, account) {
            findings.add(&check, Level::Note, format!("could add {lack}"));
        }
    }
    // Whoever is turned away names no account.
    for one in connections.chunk_by(|one, next| one.provider == next.provider) {
        for refusal in &one[0].refusals {
            look_at_refusal(reader, &one[0].provider, refusal, findings);
        }
    }
}
