//! `restore`: a backup in the place of the database, the settings too where asked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::args::{Global, RestoreArgs};
use crate::cli::backup::{secrets_elsewhere, settings_beside, show};
use crate::cli::bar::Bar;
use crate::cli::context::{self, Context, named};
use crate::cli::failure::{FAILED, Failure};
use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::cli::table::json_text;
use crate::cli::upkeep;
use crate::config::alerts::origin;
use crate::config::edit::create_private_dir;
use crate::config::fresh::{Fresh, folder_of};
use crate::config::places::{absolute, quoted};
use crate::config::read;
use crate::domain::count::in_words;
use crate::domain::printable::Printable;
use crate::domain::size;
use crate::domain::time::Clock;
use crate::store::Error;
use crate::store::upkeep::copy::Watch;
use crate::store::upkeep::restore::{Restored, restore};
use crate::store::upkeep::verify::verify_until;

/// Verifies the backup and puts it in the place of the database.
pub fn run(global: &Global, args: &RestoreArgs, out: &mut Out) -> Result<()> {
    let file = absolute(&args.file);
    if args.check {
        return check(global, &file, out);
    }
    let clock = Clock::Machine;
    let settings = args
        .with_settings
        .then(|| SettingsBack::look(global, &file, args.replace))
        .transpose()?;
    let database = match &settings {
        Some(settings) => settings.database.clone(),
        None => Context::read(global)?.database,
    };
    let stop = interrupt::noted()?;
    let bar = Bar::new();
    let restored = restore(
        &file,
        &database,
        args.replace,
        clock.now(),
        &mut Watch {
            stop: &stop,
            gentle: false,
            told: &mut |stage| show(&bar, stage),
        },
    );
    drop(bar);
    let restored = restored.map_err(|error| told(error, &file))?;
    let kept_settings = match &settings {
        Some(settings) => {
            settings.write(&clock.now().utc().format("%Y%m%dT%H%M%SZ").to_string())?
        }
        None => None,
    };
    tell(global, &database, &restored, out)?;
    if let Some(settings) = &settings {
        tell_settings(global, settings, kept_settings.as_deref(), out)?;
    }
    Ok(())
}

/// Looks at chain, sequence and file of the backup; exit code 1 if anything is wrong.
fn check(global: &Global, file: &Path, out: &mut Out) -> Result<()> {
    let stop = interrupt::noted()?;
    let bar = Bar::new();
    let verified = verify_until(file, &stop, &mut |done| {
        bar.count("checking deliveries", done, None);
    });
    drop(bar);
    let verified = verified.map_err(|error| told(error, file))?;
    if global.json {
        out.line(upkeep::json(&verified, "null")?)?;
    } else {
        upkeep::tell(&verified, out)?;
    }
    out.flush()?;
    if verified.is_sound() {
        Ok(())
    } else {
        Err(Failure::silent(FAILED).into())
    }
}

/// What went wrong, in the words of somebody who has a backup and wants it back.
fn told(error: Error, file: &Path) -> anyhow::Error {
    match error {
        Error::Absent(path) if path == file => Failure::unreachable(format!(
            "there is no backup at {}: no such file, or an empty one; nothing was changed",
            file.display()
        ))
        .into(),
        Error::Damaged { path, what } if path == file => Failure::failed(format!(
            "the backup {} is damaged ({what}): nothing was changed; take another one",
            file.display()
        ))
        .into(),
        Error::Locked { path, holder } => Failure::unreachable(format!(
            "process {holder} is writing to {}: `subledger stop` ends it, then restore again; nothing was changed",
            path.display()
        ))
        .into(),
        error => interrupt::told(error),
    }
}

fn tell(global: &Global, database: &Path, restored: &Restored, out: &mut Out) -> Result<()> {
    let Restored {
        copied,
        kept,
        left_behind,
        erased,
    } = restored;
    let verified = &copied.verified;
    if global.json {
        let path = |path: &Path| json_text(&path.display().to_string());
        let kept = kept.as_deref().map_or(Ok("null".to_owned()), path)?;
        out.line(format!(
            "[{{\"database\":{},\"bytes\":{},\"last_seq\":{},\"head\":{},\"kept\":{kept},\"left_behind\":{},\
             \"erased\":{erased}}}]",
            path(database)?,
            copied.bytes,
            verified.last_seq,
            json_text(&verified.head)?,
            left_behind.count(),
        ))?;
        return Ok(out.flush()?);
    }
    out.line(format!(
        "{}: {}, {}, the last is {}, verified",
        Printable::line(&database.display().to_string()),
        size::in_words(copied.bytes),
        in_words(verified.deliveries, "delivery", "deliveries"),
        verified.last_seq
    ))?;
    out.flush()?;
    if *erased > 0 {
        out.say(format!(
            "{erased} deliveries, rejected requests and saved filters of readers who were erased since: erased from it too"
        ))?;
    }
    let Some(kept) = kept else { return Ok(()) };
    out.say(format!("the old database is kept: {}", kept.display()))?;
    if left_behind.count() > 0 {
        out.say(format!(
            "{} of its deliveries are not in the backup: to carry them over,\n  subledger --db {} export --deliveries \
             'seq:>{}' > late.ndjson\n  subledger import late.ndjson",
            left_behind.count(),
            quoted(kept),
            left_behind.common_seq
        ))?;
    }
    Ok(())
}

fn tell_settings(
    global: &Global,
    settings: &SettingsBack,
    kept: Option<&Path>,
    out: &mut Out,
) -> Result<()> {
    out.say(format!("the settings: {}", settings.to.display()))?;
    if let Some(kept) = kept {
        out.say(format!("the old settings are kept: {}", kept.display()))?;
    }
    // What they name may not be here: the ledger is restored all the same, and serving says it again.
    match Context::read(global) {
        Ok(context) => {
            for elsewhere in secrets_elsewhere(&context.config) {
                out.say(format!("not in the file, and found here: {elsewhere}"))?;
            }
            tell_alerts(&context, out)?;
        }
        Err(error) => out.say(format!("the settings do not hold here yet: {error:#}"))?,
    }
    Ok(())
}

/// What a receiver would run and fetch by settings that came from elsewhere.
fn tell_alerts(context: &Context, out: &mut Out) -> Result<()> {
    let alerts = &context.config.alerts;
    if let Some(command) = &alerts.command {
        let args = in_words(command.args.len(), "argument", "arguments");
        let program = Printable::line(&command.program);
        out.say(format!(
            "alerts.command comes with them: `subledger serve` will run `{program}` with {args} when something needs you; \
             look at it there first, or `subledger config set alerts.command \"[]\"`"
        ))?;
        if let Some(lacks) = command.lacks(&std::env::var("PATH").unwrap_or_default()) {
            out.say(format!("warning: alerts.command: {lacks}"))?;
        }
    }
    if let Some(url) = &alerts.heartbeat_url {
        let origin = origin(url.expose()).unwrap_or_default();
        out.say(format!(
            "alerts.heartbeat_url comes with them: `subledger serve` will fetch an address at {}",
            Printable::line(origin)
        ))?;
    }
    Ok(())
}

/// The settings of a backup on their way back.
struct SettingsBack {
    text: String,
    to: PathBuf,
    /// Something is there already, and is to be replaced.
    replaces: bool,
    /// The database that they name, unless the command line does.
    database: PathBuf,
}

impl SettingsBack {
    /// Everything that can be refused, before anything is changed.
    fn look(global: &Global, file: &Path, replace: bool) -> Result<Self> {
        let from = settings_beside(file);
        let text = fs::read_to_string(&from).map_err(|error| {
            Failure::usage(format!(
                "cannot read the settings of the backup: {}: {error}",
                from.display()
            ))
        })?;
        let (places, settings) = context::find(global)?;
        if settings.exists && !replace {
            return Err(Failure::failed(format!(
                "there are settings already: {}; leave --with-settings away, or say --replace, which keeps them under \
                 another name",
                settings.path.display()
            ))
            .into());
        }
        let by_settings = read::store_path(&text, &settings.path)?;
        Ok(Self {
            database: places.database(&named(global), by_settings.as_deref())?,
            text,
            to: settings.path.canonicalize().unwrap_or(settings.path),
            replaces: settings.exists,
        })
    }

    /// Writes them; where those that were there are kept.
    fn write(&self, stamp: &str) -> Result<Option<PathBuf>> {
        let cannot = |error: std::io::Error| {
            Failure::unreachable(format!(
                "the database is restored, and the settings are not: cannot write {}: {error}",
                self.to.display()
            ))
        };
        create_private_dir(folder_of(&self.to)).map_err(cannot)?;
        let fresh = Fresh::beside(&self.to)
            .and_then(|fresh| fresh.write(self.text.as_bytes()))
            .map_err(cannot)?;
        let kept = self.replaces.then(|| {
            let mut name = self.to.as_os_str().to_owned();
            name.push(format!(".before-restore-{stamp}"));
            PathBuf::from(name)
        });
        if let Some(kept) = &kept {
            fs::copy(&self.to, kept).map_err(cannot)?;
        }
        fresh.put().map_err(cannot)?;
        Ok(kept)
    }
}
