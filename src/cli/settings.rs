//! `config print|paths|check|set`. Never shows a secret.

use std::io::{BufRead, stdin};

use anyhow::Result;

use crate::cli::args::{ConfigCommand, Global};
use crate::cli::ask::Person;
use crate::cli::context::{self, Context, known};
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::table::{Format, Head, Sheet, tame};
use crate::config::edit::{Change, Edit};
use crate::config::{Config, edit, places, read};
use crate::domain::page::Cell;
use crate::domain::printable::Printable;
use crate::domain::time::Zone;
use crate::providers::door::Doors;
use crate::store::upkeep::backup;

/// Runs one of them.
pub fn run(global: &Global, command: &ConfigCommand, out: &mut Out) -> Result<()> {
    match command {
        ConfigCommand::Print => print(&Context::read(global)?, out),
        ConfigCommand::Paths => paths(global, out),
        ConfigCommand::Check => {
            let context = Context::read(global)?;
            check(&context.config)?;
            lets_something_in(&context)?;
            warn(&context, out)?;
            let path = context.settings.path.display();
            if context.settings.exists {
                out.line(format!("{path}: ok"))?;
            } else {
                out.line(format!("{path}: not there yet, the defaults hold"))?;
            }
            Ok(out.flush()?)
        }
        ConfigCommand::Set { pairs } => set(global, pairs, out),
    }
}

/// Whether every provider takes what the settings give it.
pub fn check(config: &Config) -> Result<()> {
    Doors::open(&config.accounts, [0; 32])?;
    Ok(())
}

/// Whether any webhook could come in, by the settings file that is there.
pub fn lets_something_in(context: &Context) -> Result<()> {
    if context.settings.exists && !context.config.lets_something_in() {
        return Err(Failure::usage(format!(
            "{} lets nothing in: no secret link, no secret",
            context.settings.path.display()
        ))
        .into());
    }
    Ok(())
}

fn print(context: &Context, out: &mut Out) -> Result<()> {
    let shown = &context.config.shown;
    if context.global.json {
        out.line(tame(&serde_json::to_string(shown)?))?;
        return Ok(out.flush()?);
    }
    let width = shown
        .iter()
        .map(|row| row.key.len() + row.value.len() + 3)
        .max()
        .unwrap_or(0);
    for row in shown {
        let line = format!("{} = {}", row.key, row.value);
        out.line(format!("{line:<width$}  # {}", row.origin))?;
    }
    Ok(out.flush()?)
}

/// Works with settings that do not hold, too: that is when one wants to know which file it was.
fn paths(global: &Global, out: &mut Out) -> Result<()> {
    let (places, settings) = context::find(global)?;
    let config = settings
        .exists
        .then(|| read::load(&settings.path, &known()))
        .transpose();
    let by_settings = match &config {
        Ok(config) => config.as_ref().and_then(|config| config.store_path.clone()),
        Err(_) => None,
    };
    let database = places.database(&context::named(global), by_settings.as_deref())?;
    let beside = |ending: &str| {
        let mut name = database.clone().into_os_string();
        name.push(ending);
        std::path::PathBuf::from(name)
    };
    let mut rows = vec![
        ("settings", settings.path.clone()),
        ("database", database.clone()),
        ("lock", beside(".lock")),
        ("socket", beside(".sock")),
    ];
    rows.extend(places.log().ok().map(|log| ("log", log)));
    let heads = [("what", "What"), ("path", "Path"), ("exists", "There")]
        .map(Head::titled)
        .to_vec();
    let format = if global.json {
        Format::Json
    } else {
        Format::Table
    };
    let mut sheet = Sheet::new(out, format, heads, Zone::UTC)?;
    for (what, path) in rows {
        sheet.row(&[
            Cell::Text(what.to_owned()),
            Cell::Text(path.display().to_string()),
            Cell::Text(if path.exists() { "yes" } else { "no" }.to_owned()),
        ])?;
    }
    sheet.end()?;
    if let Err(error) = config {
        out.say(format!("the settings do not hold: {error}"))?;
    }
    Ok(())
}

/// What `words`, keys with their values, ask for. A secret's value is never among them: any user of the machine reads the
/// words that a program was started with.
fn edits(words: &[String]) -> Result<Vec<Edit>> {
    let known = known();
    let mut edits = Vec::new();
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(key) = words.next() {
        if let Some((key, _)) = key.split_once('=') {
            // What stands behind it may be a secret.
            let key = Printable::line(key);
            return Err(Failure::usage(format!("write it with a blank: {key} VALUE")).into());
        }
        // Nobody is asked for the value of a key that is none.
        edit::check_key(key, &known)?;
        let value = if !edit::is_secret(key, &known) {
            words.next()
        } else if words
            .peek()
            .is_none_or(|next| edit::check_key(next, &known).is_ok())
        {
            None
        } else {
            let value = words.next().unwrap_or_default();
            if !edit::names_secrets_elsewhere(value) {
                return Err(on_the_command_line(key).into());
            }
            Some(value)
        };
        edits.push(Edit {
            key: key.to_owned(),
            change: Change::Set(value.map_or_else(|| ask(key), |value| Ok(value.to_owned()))?),
        });
    }
    Ok(edits)
}

fn on_the_command_line(key: &str) -> Failure {
    Failure::usage(format!(
        "{key} is a secret, and a command line can be read by others on this machine: give the key alone and type the \
         value, or pass it on stdin; `{{ env = \"NAME\" }}` and `{{ file = \"PATH\" }}` may stand there"
    ))
}

fn set(global: &Global, words: &[String], out: &mut Out) -> Result<()> {
    let (_, settings) = context::find(global)?;
    let edits = edits(words)?;
    write(&settings, &edits, out)?;
    let keys: Vec<&str> = edits.iter().map(|edit| edit.key.as_str()).collect();
    let is_screens = |key: &&str| matches!(*key, "display.theme" | "display.on_quit");
    let taken = if keys.iter().all(is_screens) {
        "the screen takes it when it is opened"
    } else {
        "a running receiver takes it at `subledger reload`"
    };
    out.say(format!(
        "set {} in {}; {taken}",
        Printable::line(&keys.join(", ")),
        settings.path.display()
    ))?;
    warn(&Context::read(global)?, out)
}

/// What holds and will not do what was meant.
fn warn(context: &Context, out: &mut Out) -> Result<()> {
    let config = &context.config;
    let dir = config.backup.dir.as_deref();
    let unfit = dir.and_then(|dir| backup::fits(dir, &context.database).err());
    let unfit = unfit.map(|error| format!("no backup will be made: {error}"));
    for warning in config.warnings.iter().chain(&unfit) {
        out.say(format!("warning: {}", Printable::line(warning)))?;
    }
    Ok(())
}

/// Changes the settings, which are made first where there are none. What no provider takes is not written.
pub fn write(settings: &places::Settings, edits: &[Edit], out: &mut Out) -> Result<()> {
    if !settings.exists && edit::write_first(&settings.path, &known())? {
        out.say(format!("wrote the settings: {}", settings.path.display()))?;
    }
    Ok(edit::apply(&settings.path, edits, &known(), &|config| {
        Doors::open(&config.accounts, [0; 32]).map(drop)
    })?)
}

fn ask(key: &str) -> Result<String> {
    if let Some(person) = Person::at_terminal()? {
        return Ok(if edit::is_secret(key, &known()) {
            let secret = person.secret(key)?;
            secret.map_or_else(String::new, |secret| secret.expose().to_owned())
        } else {
            person.text(key)?.unwrap_or_default()
        });
    }
    let mut line = String::new();
    stdin().lock().read_line(&mut line)?;
    let value = line.trim_end_matches(['\n', '\r']);
    if line.is_empty() {
        return Err(Failure::usage(format!(
            "no value for {key}: give it after the key, or on stdin"
        ))
        .into());
    }
    Ok(value.to_owned())
}
