//! What every command starts from: which files, which settings, which account.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::args::Global;
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::table::Format;
use crate::config::places::{self, Named, Places};
use crate::config::{Config, KeyShape, Known, KnownKey, Settings, SettingsError, edit, read};
use crate::domain::time::{Clock, Zone};
use crate::providers::{ALL, Provider, SettingShape};

/// Files, settings and the words of the command line.
#[derive(Clone)]
pub struct Context {
    /// What every command takes.
    pub global: Global,
    /// The user's directories.
    pub places: Places,
    /// The settings file in force.
    pub settings: places::Settings,
    /// What it says, or what holds without it.
    pub config: Config,
    /// The database.
    pub database: PathBuf,
    /// The machine's clock.
    pub clock: Clock,
}

impl Context {
    /// Reads the settings; creates nothing. A settings file that was named must be there.
    pub fn read(global: &Global) -> Result<Self> {
        let (places, settings) = find(global)?;
        if settings.named && !settings.exists {
            let path = settings.path.display();
            return Err(Failure::usage(format!(
                "there are no settings at {path}: `subledger serve` makes them, or name another file with --config"
            ))
            .into());
        }
        Self::with(global, places, settings)
    }

    /// Reads the settings for a command that only looks. Where they do not hold, that is said and the defaults are used, as
    /// long as it is known which database is meant: it is named, or the file can be read that far.
    pub fn look(global: &Global, out: &mut Out) -> Result<Self> {
        let error = match Self::read(global) {
            Err(error) if error.is::<SettingsError>() => error,
            read => return read,
        };
        let context = Self::without_settings(global, &error)?;
        out.say(format!("the settings are left aside: {error:#}"))?;
        Ok(context)
    }

    /// What can be looked at while the settings do not hold, for this `error`: by the defaults, as long as it is known which
    /// database is meant.
    pub fn without_settings(global: &Global, error: &anyhow::Error) -> Result<Self> {
        let (places, settings) = find(global)?;
        let named = named(global);
        let by_settings = if named.database.is_some() {
            None
        } else {
            store_path(&settings.path).map_err(|()| {
                Failure::usage(format!("{error:#}; --db FILE reads a ledger without them"))
            })?
        };
        Ok(Self {
            database: places.database(&named, by_settings.as_deref())?,
            global: global.clone(),
            config: read::defaults(&known())?,
            places,
            settings,
            clock: Clock::Machine,
        })
    }

    /// Reads the settings; where there are none, writes the file of a first start. The second value says whether it
    /// did.
    pub fn read_or_create(global: &Global) -> Result<(Self, bool)> {
        let (places, mut settings) = find(global)?;
        let fresh = !settings.exists && edit::write_first(&settings.path, &known())?;
        settings.exists = true;
        Ok((Self::with(global, places, settings)?, fresh))
    }

    fn with(global: &Global, places: Places, settings: places::Settings) -> Result<Self> {
        let config = if settings.exists {
            read::load(&settings.path, &known())?
        } else {
            read::defaults(&known())?
        };
        let database = places.database(&named(global), config.store_path.as_deref())?;
        Ok(Self {
            global: global.clone(),
            places,
            settings,
            config,
            database,
            clock: Clock::Machine,
        })
    }

    /// Refuses to write to `path` where one of our own files stands or will stand: the settings, the database, its log
    /// and its locks. Whatever is forced.
    pub fn refuse_own(&self, path: &Path) -> Result<()> {
        let wanted = [real(path), beside_others(path)];
        let is_own = |own: PathBuf| wanted.contains(&real(&own));
        let beside_database = BESIDE_DATABASE.iter().any(|ending| {
            let mut name = real(&self.database).into_os_string();
            name.push(ending);
            is_own(PathBuf::from(name))
        });
        if !beside_database && !is_own(self.settings.path.clone()) {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "{} is subledger's own: name another file",
            path.display()
        ))
        .into())
    }

    /// How rows are to be written: `--format`, else `--json`, else a table.
    pub fn format(&self, asked: Option<Format>) -> Format {
        let by_json = if self.global.json {
            Format::Json
        } else {
            Format::default()
        };
        asked.unwrap_or(by_json)
    }

    /// The zone that days are counted in where no ledger says so yet: the settings', else the machine's, else UTC.
    pub fn zone(&self) -> Zone {
        self.config.display.zone.unwrap_or_else(machine_zone)
    }

    /// Where the receiver is told to listen.
    pub fn listen(&self) -> SocketAddr {
        self.config.receiver.listen
    }

    /// The provider called `id`.
    pub fn provider(&self, id: &str) -> Result<&'static dyn Provider> {
        provider(id)
    }

    /// The settings of `provider` and of the account that was named; without a name `main`, else the only account.
    pub fn account(&self, provider: &str) -> Result<&Settings> {
        let mut of_provider = self
            .config
            .accounts
            .iter()
            .filter(|settings| settings.provider == provider);
        let wanted = self.global.account.as_deref();
        let found = match wanted {
            Some(name) => of_provider.find(|settings| settings.account == name),
            None => of_provider.next(),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self
                .config
                .accounts
                .iter()
                .filter(|settings| settings.provider == provider)
                .map(|settings| settings.account.as_str())
                .collect();
            let wanted = wanted.unwrap_or_default();
            let names = names.join(", ");
            Failure::usage(format!(
                "{provider} has no account {wanted:?}: there is {names}"
            ))
            .into()
        })
    }
}

/// The database that the settings at `path` name, whatever else they say; an error if they cannot be read that far.
fn store_path(path: &Path) -> Result<Option<PathBuf>, ()> {
    let text = std::fs::read_to_string(path).map_err(drop)?;
    read::store_path(&text, path).map_err(drop)
}

/// Endings of the files that belong to a database, itself among them.
const BESIDE_DATABASE: [&str; 6] = ["", "-wal", "-shm", "-journal", ".lock", ".sock"];

/// The file that `path` leads to, or would once it is there.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| beside_others(path))
}

/// `path` itself, in the folder that it leads to.
fn beside_others(path: &Path) -> PathBuf {
    let path = places::absolute(path);
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// The provider called `id`.
pub fn provider(id: &str) -> Result<&'static dyn Provider> {
    ALL.iter()
        .copied()
        .find(|provider| provider.id() == id)
        .ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|provider| provider.id()).collect();
            let hint = match read::nearest(id, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is {}", names.join(", ")),
            };
            let id = crate::domain::printable::Printable::line(id);
            Failure::usage(format!("no provider is called `{id}`: {hint}")).into()
        })
}

/// The files that were named or are found, without a look inside.
pub fn find(global: &Global) -> Result<(Places, places::Settings)> {
    let places = Places::from_environment();
    let settings = places.settings(&named(global))?;
    Ok((places, settings))
}

/// Every provider with the keys of its settings table.
pub fn known() -> Vec<Known> {
    ALL.iter()
        .map(|provider| Known {
            provider: provider.id(),
            name: provider.name(),
            keys: provider
                .settings()
                .iter()
                .map(|setting| KnownKey {
                    key: setting.key,
                    shape: match setting.shape {
                        SettingShape::Secret => KeyShape::Secret,
                        SettingShape::Text => KeyShape::Text,
                        SettingShape::List => KeyShape::List,
                    },
                    help: setting.help,
                })
                .collect(),
        })
        .collect()
}

/// What `--db` and `--config` name; an empty name is none.
pub fn named(global: &Global) -> Named {
    let some = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
    Named {
        settings: some(&global.config),
        database: some(&global.db),
    }
}

/// Makes the directory that the database is to stand in.
pub fn create_directory_of(database: &Path) -> Result<()> {
    let Some(dir) = database.parent() else {
        return Ok(());
    };
    edit::create_private_dir(dir).map_err(|error| {
        let dir = dir.display();
        Failure::unreachable(format!(
            "cannot make the directory {dir}: {error}; name another database with --db"
        ))
        .into()
    })
}

/// The zone that `TZ` names, else the machine's, else UTC.
pub fn machine_zone() -> Zone {
    let told = std::env::var("TZ").ok();
    let told = told.as_deref().map(|name| name.trim_start_matches(':'));
    let told = told.filter(|name| name.parse::<Zone>().is_ok());
    told.map(str::to_owned)
        .or_else(|| iana_time_zone::get_timezone().ok())
        .filter(|name| name != "Etc/UTC")
        .and_then(|name| name.parse().ok())
        .unwrap_or(Zone::UTC)
}
