//! The settings file written: once at first start, later a few keys at a time, comments kept.
//!
//! A file is only ever replaced whole, by one that has been read and checked, while a lock on its directory keeps other
//! writers of this program waiting.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use toml_edit::{Array, DocumentMut, Item, Table, Value};

use crate::config::fresh::{Fresh, folder_of};
use crate::config::read::{TEMPLATE, load, nearest, parse_whole, refuse_open_to_others};
use crate::config::{COMMON_KEYS, Config, KeyShape, Known, Secret, SettingsError};

/// Letters of a path key after `k_`: 130 bits.
const PATH_KEY_LETTERS: usize = 26;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A fresh path key: `k_` and 26 letters and digits (130 bits) that nobody can guess.
pub fn fresh_path_key() -> Result<String, SettingsError> {
    let mut random = [0_u8; PATH_KEY_LETTERS];
    getrandom::fill(&mut random)
        .map_err(|error| SettingsError(format!("the system gives no random bytes: {error}")))?;
    let letters = random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok("k_".chars().chain(letters).collect())
}

/// The file of a first start: the template with a path key for each provider.
pub fn first_text(known: &[Known]) -> Result<String, SettingsError> {
    let mut document = template()?;
    let providers = providers_of(&mut document)?;
    for provider in known {
        if !providers.contains_key(provider.provider) {
            providers.insert(provider.provider, Item::Table(table_of(provider)));
        }
        let key = Value::from(fresh_path_key()?);
        put(&mut providers[provider.provider], "path_key", key);
    }
    Ok(document.to_string())
}

/// Writes the file of a first start, 0600 in a directory of 0700, whole or not at all. Never replaces a file: `false`
/// if another process wrote one meanwhile.
pub fn write_first(path: &Path, known: &[Known]) -> Result<bool, SettingsError> {
    let text = first_text(known)?;
    let cannot = |error: io::Error| {
        SettingsError(format!(
            "cannot write the settings {}: {error}; name a place with --config",
            path.display()
        ))
    };
    let dir = folder_of(path);
    create_private_dir(dir).map_err(cannot)?;
    let lock = lock(dir).map_err(cannot)?;
    if path.exists() {
        return Ok(false);
    }
    Fresh::beside(path)
        .and_then(|fresh| fresh.write(text.as_bytes()))
        .and_then(Fresh::put_where_nothing_is)
        .map_err(cannot)?;
    drop(lock);
    Ok(true)
}

/// Makes a directory that only this user can enter, and what is missing above it. One that is there is left as it is.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// What becomes of one key.
#[derive(Clone, Debug)]
pub enum Change {
    /// It gets this value, as typed: `true`, `10.0.0.0/8, 192.0.2.1`, `{ env = "NAME" }`.
    Set(String),
    /// This secret is the newest from now on; those that are there stay valid behind it.
    PutFirst(Secret),
    /// Only the newest of so many secrets stays; refused if there are more or fewer by now.
    KeepNewestOf(usize),
}

/// A key, such as `receiver.public_url` or `providers.zotlo.accounts.weekly.path_key`, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The key with its tables.
    pub key: String,
    /// What becomes of it.
    pub change: Change,
}

/// So many secrets may be valid under one key: each is tried on every request.
pub const SECRETS_MAX: usize = 5;

/// How a secret stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many there are, empty ones aside.
    pub secrets: usize,
    /// Where the newest comes from if it is no text: `{ env = "NAME" }`.
    pub elsewhere: Option<String>,
    /// The key stands in the file, perhaps empty.
    pub stated: bool,
}

/// What the file at `path` says of secrets, before any is read from elsewhere.
pub struct Standings(DocumentMut);

impl Standings {
    /// Reads the file; one that is not there says nothing.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        if !path.exists() {
            return Ok(Self(DocumentMut::new()));
        }
        document(path).map(|(document, _)| Self(document))
    }

    /// How the secret `key` (with its tables) stands.
    pub fn of(&self, key: &str) -> Standing {
        let value = self.item(key).and_then(Item::as_value);
        let parts = value.map(secrets_in).unwrap_or_default();
        Standing {
            secrets: parts.len(),
            elsewhere: parts
                .first()
                .and_then(Value::as_inline_table)
                .map(|table| plain(&Value::from(table.clone()))),
            stated: value.is_some(),
        }
    }

    /// Whether there is a table of this name: `providers.zotlo.accounts.weekly`.
    pub fn has_table(&self, name: &str) -> bool {
        self.item(name).is_some_and(Item::is_table_like)
    }

    fn item(&self, key: &str) -> Option<&Item> {
        key.split('.').try_fold(self.0.as_item(), |item, part| {
            item.as_table_like()?.get(part)
        })
    }
}

/// Changes keys, all or none. The result is read and checked first, at last by `holds`; a file that would not hold is
/// not written.
pub fn apply(
    path: &Path,
    edits: &[Edit],
    known: &[Known],
    holds: &dyn Fn(&Config) -> Result<(), SettingsError>,
) -> Result<(), SettingsError> {
    let cannot =
        |error: io::Error| SettingsError(format!("cannot write {}: {error}", path.display()));
    let real = fs::canonicalize(path)
        .map_err(|error| SettingsError(format!("cannot read {}: {error}", path.display())))?;
    let lock = lock(folder_of(&real)).map_err(cannot)?;
    let (mut document, old) = document(path)?;
    for edit in edits {
        apply_one(&mut document, edit, known)?;
    }
    let new = document.to_string();
    let environment = |name: &str| std::env::var(name).ok();
    let (config, secrets) = parse_whole(&new, path, known, &environment)?;
    let about = fs::metadata(path)
        .map_err(|error| SettingsError(format!("cannot read {}: {error}", path.display())))?;
    refuse_open_to_others(path, &about, secrets > 0)?;
    holds(&config)?;
    if new != old {
        replace(&real, &new)?;
    }
    drop(lock);
    load(path, known).map(drop)
}

fn document(path: &Path) -> Result<(DocumentMut, String), SettingsError> {
    let text = fs::read_to_string(path)
        .map_err(|error| SettingsError(format!("cannot read {}: {error}", path.display())))?;
    match text.parse::<DocumentMut>() {
        Ok(document) => Ok((document, text)),
        // Its Display quotes the line, which may hold a secret.
        Err(error) => {
            let upto = error.span().and_then(|span| text.get(..span.start));
            let line = upto.unwrap_or_default().matches('\n').count() + 1;
            let path = path.display();
            Err(SettingsError(format!("{path}:{line}: {}", error.message())))
        }
    }
}

/// Whether there is a setting called `key`; the error names the nearest.
pub fn check_key(key: &str, known: &[Known]) -> Result<(), SettingsError> {
    shape_of(key, known)
        .map(drop)
        .ok_or_else(|| unknown(key, known))
}

/// Whether what stands under `key` is a secret.
pub fn is_secret(key: &str, known: &[Known]) -> bool {
    shape_of(key, known) == Some(KeyShape::Secret)
}

/// Whether `text`, the value of a secret, holds none itself: it is empty, or says where each is found.
pub fn names_secrets_elsewhere(text: &str) -> bool {
    let is_named = |value: &Value| value.is_inline_table() || value.as_str() == Some("");
    text.is_empty()
        || match text.parse::<Value>() {
            Ok(Value::Array(parts)) => parts.iter().all(is_named),
            Ok(value) => value.is_inline_table(),
            Err(_) => false,
        }
}

fn apply_one(
    document: &mut DocumentMut,
    edit: &Edit,
    known: &[Known],
) -> Result<(), SettingsError> {
    let key = edit.key.as_str();
    let (head, last) = key.rsplit_once('.').ok_or_else(|| unknown(key, known))?;
    let shape = shape_of(key, known).ok_or_else(|| unknown(key, known))?;
    let item = table_at(document, head, key)?;
    let there = item.get(last).and_then(Item::as_value);
    let value = match &edit.change {
        Change::Set(text) => value_of(key, text, shape)?,
        Change::PutFirst(secret) => with_newest(key, there, secret)?,
        Change::KeepNewestOf(count) => newest_of(*count, key, there)?,
    };
    put(item, last, value);
    Ok(())
}

/// The table called `head`, made where it is not there yet.
fn table_at<'d>(
    document: &'d mut DocumentMut,
    head: &str,
    key: &str,
) -> Result<&'d mut Item, SettingsError> {
    let no_table = |part: &str| SettingsError(format!("`{part}` of `{key}` is no table"));
    let mut item = document.as_item_mut();
    for part in head.split('.') {
        let table = item.as_table_like_mut().ok_or_else(|| no_table(part))?;
        if !table.contains_key(part) {
            let mut fresh = Table::new();
            fresh.set_implicit(true);
            table.insert(part, Item::Table(fresh));
        }
        item = table.get_mut(part).ok_or_else(|| no_table(part))?;
    }
    if item.is_table_like() {
        Ok(item)
    } else {
        Err(SettingsError(format!("`{head}` is no table")))
    }
}

/// The secrets of a value, newest first, each as it stands without the blanks around it.
fn secrets_in(value: &Value) -> Vec<Value> {
    let parts: Vec<&Value> = match value.as_array() {
        Some(array) => array.iter().collect(),
        None => vec![value],
    };
    parts
        .into_iter()
        .filter(|part| part.as_str() != Some(""))
        .map(|part| {
            let mut part = part.clone();
            part.decor_mut().clear();
            part
        })
        .collect()
}

/// `there` with `secret` in front; one that is among the older ones moves. Comments between the others stay.
fn with_newest(key: &str, there: Option<&Value>, secret: &Secret) -> Result<Value, SettingsError> {
    let mut others = match there {
        Some(Value::Array(array)) => array.clone(),
        Some(value) => secrets_in(value).into_iter().collect(),
        None => Array::new(),
    };
    others.retain(
        |part| !matches!(part.as_str(), Some(text) if text.is_empty() || text == secret.expose()),
    );
    if others.len() >= SECRETS_MAX {
        return Err(SettingsError(format!(
            "`{key}` has {SECRETS_MAX} values in force already: drop the old ones with `subledger keys drop` first"
        )));
    }
    if others.is_empty() {
        return Ok(Value::from(secret.expose()));
    }
    if let Some(second) = others.get_mut(0) {
        let decor = second.decor_mut();
        if decor
            .prefix()
            .and_then(|prefix| prefix.as_str())
            .is_none_or(str::is_empty)
        {
            decor.set_prefix(" ");
        }
    }
    others.insert(0, secret.expose());
    Ok(others.into())
}

/// The newest secret of `there`, whose others were looked at when there were `count` in all.
fn newest_of(count: usize, key: &str, there: Option<&Value>) -> Result<Value, SettingsError> {
    let parts = there.map(secrets_in).unwrap_or_default();
    let is_as_seen = parts.len() == count;
    parts
        .into_iter()
        .next()
        .filter(|_| is_as_seen)
        .ok_or_else(|| {
            SettingsError(format!(
                "`{key}` was changed meanwhile: nothing was dropped; look again and repeat"
            ))
        })
}

/// The form of a value that says where a secret is, without the blanks around it.
fn plain(value: &Value) -> String {
    let mut value = value.clone();
    value.decor_mut().clear();
    crate::domain::printable::Printable::line(value.to_string().trim()).into()
}

/// Replaces the value of `key` and leaves the comment behind it where it is.
fn put(table: &mut Item, key: &str, mut value: Value) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    if let Some(table) = table.as_table_like_mut() {
        match table.get_mut(key) {
            Some(item) => *item = Item::Value(value),
            None => {
                table.insert(key, Item::Value(value));
            }
        }
    }
}

fn shape_of(key: &str, known: &[Known]) -> Option<KeyShape> {
    let parts: Vec<&str> = key.split('.').collect();
    let (["providers", provider, last] | ["providers", provider, "accounts", _, last]) =
        parts.as_slice()
    else {
        return crate::config::read::plain_shape(key);
    };
    let provider = known.iter().find(|known| known.provider == *provider)?;
    COMMON_KEYS
        .iter()
        .chain(&provider.keys)
        .find(|known| known.key == *last)
        .map(|known| known.shape)
}

fn unknown(key: &str, known: &[Known]) -> SettingsError {
    let words: Vec<String> = crate::config::read::plain_keys()
        .chain(known.iter().flat_map(|provider| {
            COMMON_KEYS
                .iter()
                .chain(&provider.keys)
                .map(move |key| format!("providers.{}.{}", provider.provider, key.key))
        }))
        .collect();
    let hint = nearest(key, words.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
    let key = crate::domain::printable::Printable::line(key);
    SettingsError(format!("unknown key `{key}`{hint}"))
}

fn value_of(key: &str, text: &str, shape: KeyShape) -> Result<Value, SettingsError> {
    let wrong = |wants: &str| SettingsError(format!("`{key}` must be {wants}"));
    match shape {
        KeyShape::Text => Ok(Value::from(text)),
        KeyShape::Flag => text
            .parse::<bool>()
            .map(Value::from)
            .map_err(|_| wrong("true or false")),
        KeyShape::Number => text
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| wrong("a whole number")),
        KeyShape::List => Ok(match text.parse::<Value>() {
            Ok(value) if value.is_array() => value,
            _ => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect::<Array>()
                .into(),
        }),
        KeyShape::Secret => Ok(match text.parse::<Value>() {
            Ok(value) if value.is_array() || value.is_inline_table() => value,
            _ => Value::from(text),
        }),
    }
}

/// Replaces the file at `real` by a rename; mode and owner stay.
fn replace(real: &Path, text: &str) -> Result<(), SettingsError> {
    let cannot =
        |error: io::Error| SettingsError(format!("cannot write {}: {error}", real.display()));
    let old = fs::metadata(real).map_err(cannot)?;
    let mode = old.permissions().mode() & 0o777;
    if mode & 0o222 == 0 {
        let quoted = crate::config::places::quoted(real);
        return Err(SettingsError(format!(
            "{} is read-only, so it stays as it is: run `chmod u+w {quoted}` to have it changed",
            real.display()
        )));
    }
    let fresh = Fresh::beside(real).map_err(cannot)?;
    keep_owner(fresh.file(), &old).map_err(cannot)?;
    fresh
        .with_mode(mode)
        .and_then(|fresh| fresh.write(text.as_bytes()))
        .and_then(Fresh::put)
        .map_err(cannot)
}

/// Whoever could read the settings, a service of another user above all, must still be able to.
fn keep_owner(file: &File, old: &fs::Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(file, Some(old.uid()), Some(old.gid())).map_err(|error| {
        let (uid, gid) = (old.uid(), old.gid());
        let say = format!("it belongs to user {uid}, group {gid}, and that cannot be kept ({error}): run this as that user");
        io::Error::new(error.kind(), say)
    })
}

/// Keeps other writers of this program out of `dir` until it is dropped. Writers hold it for milliseconds.
fn lock(dir: &Path) -> io::Result<File> {
    let dir = File::open(dir)?;
    flock(&dir, FlockOperation::LockExclusive)?;
    Ok(dir)
}

fn template() -> Result<DocumentMut, SettingsError> {
    TEMPLATE
        .parse()
        .map_err(|error: toml_edit::TomlError| SettingsError(error.message().to_owned()))
}

fn providers_of(document: &mut DocumentMut) -> Result<&mut Table, SettingsError> {
    document
        .entry("providers")
        .or_insert_with(|| Item::Table(Table::new()))
        .as_table_mut()
        .ok_or_else(|| SettingsError("`providers` is no table".to_owned()))
}

/// A table for a provider that the template does not have: each key empty, under its line of help.
fn table_of(provider: &Known) -> Table {
    let mut table = Table::new();
    for known in COMMON_KEYS.iter().take(1).chain(&provider.keys) {
        let empty = match known.shape {
            KeyShape::List => Value::from(Array::new()),
            _ => Value::from(""),
        };
        table.insert(known.key, Item::Value(empty));
        if let Some(mut key) = table.key_mut(known.key) {
            key.leaf_decor_mut()
                .set_prefix(format!("# {}\n", known.help));
        }
    }
    table
}
