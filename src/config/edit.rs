//! The settings file written: once at first start, later one key at a time, comments kept.
//!
//! A file is only ever replaced whole, by one that has been read and checked.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use crate::config::read::{TEMPLATE, load, nearest, parse};
use crate::config::{COMMON_KEYS, Config, KeyShape, Known, SettingsError};

/// Letters of a path key after `k_`: 160 bits.
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

/// Writes the file of a first start, 0600 in a directory of 0700. Never replaces a file.
pub fn write_first(path: &Path, known: &[Known]) -> Result<(), SettingsError> {
    let text = first_text(known)?;
    let cannot = |error: io::Error| {
        SettingsError(format!(
            "cannot write the settings {}: {error}; name a place with --config",
            path.display()
        ))
    };
    if let Some(dir) = path.parent() {
        create_private_dir(dir).map_err(cannot)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(cannot)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(cannot)
}

/// Makes a directory that only this user can enter, and what is missing above it. One that is there is left as it is.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Sets keys, such as `receiver.public_url` or `providers.zotlo.accounts.weekly.path_key`, to texts. The result is read
/// and checked first, at last by `holds`; a file that would not hold is not written.
pub fn set(
    path: &Path,
    pairs: &[(String, String)],
    known: &[Known],
    holds: &dyn Fn(&Config) -> Result<(), SettingsError>,
) -> Result<(), SettingsError> {
    let old = fs::read_to_string(path)
        .map_err(|error| SettingsError(format!("cannot read {}: {error}", path.display())))?;
    let mut document: DocumentMut = old.parse().map_err(|error: toml_edit::TomlError| {
        SettingsError(format!("{}: {}", path.display(), error.message()))
    })?;
    for (key, text) in pairs {
        set_one(&mut document, key, text, known)?;
    }
    let new = document.to_string();
    let environment = |name: &str| std::env::var(name).ok();
    holds(&parse(&new, path, known, &environment)?)?;
    replace(path, &new)?;
    load(path, known).map(drop)
}

/// Whether there is a setting called `key`; the error names the nearest.
pub fn check_key(key: &str, known: &[Known]) -> Result<(), SettingsError> {
    shape_of(key, known)
        .map(drop)
        .ok_or_else(|| unknown(key, known))
}

fn set_one(
    document: &mut DocumentMut,
    key: &str,
    text: &str,
    known: &[Known],
) -> Result<(), SettingsError> {
    let (head, last) = key.rsplit_once('.').ok_or_else(|| unknown(key, known))?;
    let shape = shape_of(key, known).ok_or_else(|| unknown(key, known))?;
    let value = value_of(key, text, shape)?;
    let mut item = document.as_item_mut();
    for part in head.split('.') {
        let table = item
            .as_table_like_mut()
            .ok_or_else(|| SettingsError(format!("`{part}` of `{key}` is no table")))?;
        if !table.contains_key(part) {
            let mut fresh = Table::new();
            fresh.set_implicit(true);
            table.insert(part, Item::Table(fresh));
        }
        item = table
            .get_mut(part)
            .ok_or_else(|| SettingsError(format!("`{part}` of `{key}` is no table")))?;
    }
    if !item.is_table_like() {
        return Err(SettingsError(format!("`{head}` is no table")));
    }
    put(item, last, value);
    Ok(())
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

/// Replaces the file by a rename; a link is followed, the mode stays.
fn replace(path: &Path, text: &str) -> Result<(), SettingsError> {
    let cannot =
        |error: io::Error| SettingsError(format!("cannot write {}: {error}", path.display()));
    let real = fs::canonicalize(path).map_err(cannot)?;
    let mode = fs::metadata(&real).map_err(cannot)?.permissions().mode() & 0o777;
    let mut name = real.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh: PathBuf = real.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&fresh, &real));
    written.map_err(|error| {
        // What could not be finished must not lie about with secrets in it.
        fs::remove_file(&fresh).ok();
        cannot(error)
    })
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
