//! `keys list|rotate|drop`: secrets are changed while webhooks go on coming, the old one valid until it is dropped.

use std::io::{BufRead, Read as _, stdin};

use anyhow::Result;

use crate::cli::args::{Global, KeysCommand};
use crate::cli::ask::Person;
use crate::cli::context::{Context, provider};
use crate::cli::failure::Failure;
use crate::cli::links::tail;
use crate::cli::out::Out;
use crate::cli::running::{self, Running};
use crate::cli::table::{Head, Sheet};
use crate::cli::{settings, urls};
use crate::config::edit::{Change, Edit, SECRETS_MAX, Standings, fresh_path_key};
use crate::config::{Secret, Settings};
use crate::domain::credential::{Came, Used, used};
use crate::domain::delivery::MAIN_ACCOUNT;
use crate::domain::page::Cell;
use crate::domain::printable::Printable;
use crate::domain::time::Zone;
use crate::providers::{Provider, door};
use crate::store;
use crate::store::query::Reader;
use crate::store::task::{Task, submit};
use crate::tui::secrets::{Several, drop_command, spoken};

/// Every provider's secret link.
pub const PATH_KEY: &str = "path_key";

/// No secret is longer, bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Runs one of them.
pub fn run(global: &Global, command: &KeysCommand, out: &mut Out) -> Result<()> {
    let context = Context::read(global)?;
    match command {
        KeysCommand::List { provider } => list(&context, provider.as_deref(), out),
        KeysCommand::Rotate { provider, secret } => {
            let (provider, settings) = whose(&context, provider)?;
            let key = key_of(provider, secret.as_deref())?;
            rotate(&context, settings, key, out)
        }
        KeysCommand::Drop {
            provider,
            secret,
            yes,
        } => {
            let (provider, settings) = whose(&context, provider)?;
            let key = key_of(provider, secret.as_deref())?;
            drop_old(&context, provider, settings, key, *yes, out)
        }
    }
}

/// The provider, and the one account that is meant.
fn whose<'c>(context: &'c Context, id: &str) -> Result<(&'static dyn Provider, &'c Settings)> {
    let provider = provider(id)?;
    let settings = context.account(id)?;
    let accounts = &context.config.accounts;
    let several = accounts.iter().filter(|one| one.provider == id).count() > 1;
    if several && context.global.account.is_none() && settings.account != MAIN_ACCOUNT {
        return Err(Failure::usage(format!(
            "{id} has several accounts: say which with --account"
        ))
        .into());
    }
    Ok((provider, settings))
}

/// The key of a provider's secret that goes by this name.
fn key_of(provider: &dyn Provider, named: Option<&str>) -> Result<&'static str> {
    let named = named.unwrap_or(PATH_KEY);
    let known = || door::secret_keys(provider).map(|(key, _)| key);
    known().find(|key| *key == named).ok_or_else(|| {
        let all = known().collect::<Vec<_>>().join(", ");
        let (name, named) = (provider.name(), Printable::line(named));
        Failure::usage(format!("{name} has no secret `{named}`: there is {all}")).into()
    })
}

/// The name of a key with its tables.
pub fn full_key(settings: &Settings, key: &str) -> String {
    format!("{}.{key}", settings.table().trim_matches(['[', ']']))
}

/// What is to be said of the keys of this account that several secrets stand under, in the ledger that has this
/// fingerprint `key`.
pub fn several_of(context: &Context, id: &str, account: &str, key: &[u8; 32]) -> Vec<Several> {
    let mut accounts = context.config.accounts.iter();
    let settings = accounts.find(|one| one.provider == id && one.account == account);
    let (Ok(provider), Some(settings)) = (provider(id), settings) else {
        return Vec::new();
    };
    door::several(provider, settings)
        .map(|(name, proof, secrets)| Several {
            key: name.to_owned(),
            proof: proof.to_owned(),
            marks: door::marks(key, secrets),
        })
        .collect()
}

fn rotate(context: &Context, settings: &Settings, key: &str, out: &mut Out) -> Result<()> {
    let full = full_key(settings, key);
    let standing = Standings::read(&context.settings.path)?.of(&full);
    if let Some(elsewhere) = standing.elsewhere {
        return Err(Failure::usage(format!(
            "{full} comes from {elsewhere}: put the new one there and keep the old, `{key} = [{elsewhere}, OLD]`, \
             then `subledger reload`"
        ))
        .into());
    }
    if standing.secrets >= SECRETS_MAX {
        let (id, account) = (settings.provider.as_str(), settings.account.as_str());
        let command = drop_command((id, account), key);
        return Err(Failure::usage(format!(
            "{full} has {} values in force, and no more fit: `{command}` first",
            standing.secrets
        ))
        .into());
    }
    let fresh = if key == PATH_KEY {
        Secret::new(fresh_path_key()?)
    } else {
        new_value(&full)?
    };
    if settings.secrets(key).first() == Some(&fresh) {
        return Err(Failure::usage(format!(
            "{full} has that value already: nothing was changed"
        ))
        .into());
    }
    let edit = Edit {
        key: full.clone(),
        change: Change::PutFirst(fresh),
    };
    settings::write(&context.settings, &[edit], out)?;
    let context = Context::read(&context.global)?;
    let settings = again(&context, settings)?;
    let word = spoken(key);
    let valid = match settings.secrets(key).len() {
        0 | 1 => format!("{full}: a first {word}"),
        2 => format!("{full}: a new {word}; the old one stays valid until you drop it"),
        all => format!(
            "{full}: a new {word}; the {} old ones stay valid until you drop them",
            all - 1
        ),
    };
    out.say(valid)?;
    reload(&context, Some(settings), out)?;
    if key == PATH_KEY {
        out.say("")?;
        urls::of_account(&context, settings, out)?;
    }
    let who = (settings.provider.as_str(), settings.account.as_str());
    if settings.secrets(key).len() > 1 {
        out.say(format!(
            "give the provider the new one; `subledger keys list {}` tells what still comes on the old one, \
             and `{}` ends it",
            who.0,
            drop_command(who, key)
        ))?;
    }
    Ok(())
}

/// The new value of a secret that the provider makes: asked for, or the first line of stdin.
fn new_value(full: &str) -> Result<Secret> {
    let given = if let Some(person) = Person::at_terminal()? {
        person.secret(&format!("the new {full}"))?
    } else {
        let mut line = String::new();
        stdin().lock().take(SECRET_BYTES_MAX).read_line(&mut line)?;
        Some(line.trim())
            .filter(|line| !line.is_empty())
            .map(Secret::new)
    };
    given.ok_or_else(|| {
        Failure::usage(format!(
            "no new value for {full}: type it at the terminal or give it on stdin; nothing was changed"
        ))
        .into()
    })
}

/// The same account in settings that were read again.
pub fn again<'c>(context: &'c Context, settings: &Settings) -> Result<&'c Settings> {
    let mut accounts = context.config.accounts.iter();
    accounts
        .find(|one| (&one.provider, &one.account) == (&settings.provider, &settings.account))
        .ok_or_else(|| {
            let table = settings.table();
            Failure::failed(format!("{table} has gone meanwhile: look at the settings")).into()
        })
}

/// Has the receiver that runs take what was written, and sees that it did: the secret link of `account` must open.
pub fn reload(context: &Context, account: Option<&Settings>, out: &mut Out) -> Result<()> {
    let Some(running) = running::receiver(&context.database) else {
        out.say("no receiver runs: it takes the settings when it starts (`subledger` or `subledger serve`)")?;
        return Ok(());
    };
    let nobody = || {
        Err(store::Error::Refused(
            "the receiver has just gone".to_owned(),
        ))
    };
    let behind = |why: &str| {
        Failure::failed(format!(
            "the settings are written, and the receiver goes on with the old ones: {why}"
        ))
    };
    submit(&context.database, Task::Reload, nobody).map_err(|error| behind(&error.to_string()))?;
    if account.is_some_and(|account| !opens(&running, account)) {
        let pid = running.pid;
        let path = context.settings.path.display();
        return Err(behind(&format!(
            "process {pid} does not take the new link; does it use other settings than {path}?"
        ))
        .into());
    }
    let near = crate::cli::links::near_url(running.listen);
    out.say(format!(
        "the receiver on {near} (process {}) has taken it",
        running.pid
    ))?;
    Ok(())
}

fn opens(running: &Running, settings: &Settings) -> bool {
    let Some(hook) = provider(&settings.provider)
        .ok()
        .and_then(|provider| provider.hooks().first())
    else {
        return true;
    };
    settings.secrets(PATH_KEY).is_empty()
        || running::takes(running.listen, &tail(settings, hook.name))
}

/// One secret that is in force.
struct Row {
    provider: String,
    account: String,
    secret: &'static str,
    /// 1 is the newest.
    place: usize,
    /// Deliveries of the last 7 days that came on it, tests aside.
    deliveries: i64,
    last_at: Option<String>,
}

fn list(context: &Context, wanted: Option<&str>, out: &mut Out) -> Result<()> {
    if let Some(id) = wanted {
        provider(id)?;
        context.account(id)?;
    }
    let named = context.global.account.as_deref();
    let ledger = Ledger::open(context)?;
    let mut rows = Vec::new();
    for settings in &context.config.accounts {
        let is_wanted = wanted.is_none_or(|id| settings.provider == id)
            && named.is_none_or(|name| settings.account == name);
        if is_wanted {
            rows.extend(ledger.rows(context, settings)?);
        }
    }
    show(context, &rows, ledger.zone(), out)?;
    out.say(if rows.is_empty() {
        "no secret is set: `subledger` writes the settings with a secret link per provider at its first start"
    } else {
        "place 1 is the one to give out, the others stay valid until `subledger keys drop`; deliveries: of the last 7 \
         days, without tests"
    })?;
    Ok(())
}

/// The ledger, if there is one yet.
struct Ledger(Option<(Reader, [u8; 32])>);

impl Ledger {
    fn open(context: &Context) -> Result<Self> {
        match Reader::open(&context.database) {
            Ok(reader) => {
                let key = reader.fingerprint_key()?;
                Ok(Self(Some((reader, key))))
            }
            Err(store::Error::Absent(_)) => Ok(Self(None)),
            Err(error) => Err(error.into()),
        }
    }

    fn zone(&self) -> Zone {
        self.0
            .as_ref()
            .and_then(|(reader, _)| reader.zone().ok())
            .unwrap_or(Zone::UTC)
    }

    /// How each of these secrets was used in the last 7 days, newest first.
    fn used(&self, context: &Context, settings: &Settings, key: &Key<'_>) -> Result<Vec<Used>> {
        let Some((reader, print)) = &self.0 else {
            return Ok(vec![Used::default(); key.secrets.len()]);
        };
        let came: Vec<Came> =
            reader.came(&settings.provider, &settings.account, context.clock.now())?;
        Ok(used(key.proof, &door::marks(print, key.secrets), &came))
    }

    fn rows(&self, context: &Context, settings: &Settings) -> Result<Vec<Row>> {
        let provider = provider(&settings.provider)?;
        let mut rows = Vec::new();
        for (name, proof) in door::secret_keys(provider) {
            let key = Key {
                name,
                proof,
                secrets: settings.secrets(name),
            };
            let used = self.used(context, settings, &key)?;
            rows.extend(used.into_iter().enumerate().map(|(at, used)| Row {
                provider: settings.provider.clone(),
                account: settings.account.clone(),
                secret: name,
                place: at + 1,
                deliveries: used.deliveries,
                last_at: used.last_at.map(|at| at.to_string()),
            }));
        }
        Ok(rows)
    }
}

/// The secrets under one key.
struct Key<'s> {
    name: &'static str,
    proof: &'static str,
    secrets: &'s [Secret],
}

fn show(context: &Context, rows: &[Row], zone: Zone, out: &mut Out) -> Result<()> {
    let names = [
        ("provider", "Provider"),
        ("account", "Account"),
        ("secret", "Secret"),
        ("place", "Place"),
        ("deliveries", "Deliveries"),
        ("last_at", "Last used"),
    ];
    let heads = names.map(Head::titled).to_vec();
    let mut sheet = Sheet::new(out, context.format(None), heads, zone)?;
    for row in rows {
        sheet.row(&[
            Cell::Text(row.provider.clone()),
            Cell::Text(row.account.clone()),
            Cell::Text(row.secret.to_owned()),
            Cell::Int(i64::try_from(row.place).unwrap_or(i64::MAX)),
            Cell::Int(row.deliveries),
            row.last_at.clone().map_or(Cell::Null, Cell::Text),
        ])?;
    }
    sheet.end()?;
    Ok(())
}

fn drop_old(
    context: &Context,
    provider: &dyn Provider,
    settings: &Settings,
    name: &'static str,
    yes: bool,
    out: &mut Out,
) -> Result<()> {
    let full = full_key(settings, name);
    let proof = door::secret_keys(provider)
        .find(|(key, _)| *key == name)
        .map_or(name, |(_, proof)| proof);
    let key = Key {
        name,
        proof,
        secrets: settings.secrets(name),
    };
    let old = key.secrets.len().saturating_sub(1);
    if old == 0 {
        out.say(format!("{full} has no old value: nothing to drop"))?;
        return Ok(());
    }
    let ledger = Ledger::open(context)?;
    let used = ledger.used(context, settings, &key)?;
    if !yes && let Some(why) = still_needed(&used) {
        return Err(Failure::failed(format!(
            "{full}: {why}; nothing was dropped. Once the provider has the new one everywhere: \
             the same with --yes, or wait (`subledger keys list {}`)",
            settings.provider
        ))
        .into());
    }
    let edit = Edit {
        key: full.clone(),
        change: Change::KeepNewestOf(old + 1),
    };
    settings::write(&context.settings, &[edit], out)?;
    let word = spoken(key.name);
    out.say(match old {
        1 => format!("{full}: the old {word} is dropped"),
        old => format!("{full}: the {old} old ones are dropped"),
    })?;
    let context = Context::read(&context.global)?;
    reload(&context, Some(again(&context, settings)?), out)
}

/// Why the older secrets cannot be dropped without a word, by how each was used in 7 days.
fn still_needed(used: &[Used]) -> Option<String> {
    let (newest, old) = used.split_first()?;
    let old = old.iter().copied().fold(Used::default(), Used::and);
    match (old.last_at, newest.last_at) {
        (Some(at), _) => Some(format!(
            "{} of the last 7 days came on the old one, the last at {at}",
            match old.deliveries {
                1 => "1 webhook".to_owned(),
                many => format!("{many} webhooks"),
            }
        )),
        (None, None) => Some("nothing has come on the new one yet".to_owned()),
        (None, Some(_)) => None,
    }
}
