//! The settings file into [`Config`]: every key known, every value of its kind, every fault with its line.
//!
//! Messages quote keys and plain values, never a secret and never a line of the file.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, TableLike, Value};

use crate::config::alerts::{self, AlertCommand, AlertSettings};
use crate::config::{
    BackupSettings, COMMON_KEYS, Config, Display, KeepSettings, KeyShape, Known, KnownKey, OnQuit,
    ReceiverSettings, Secret, Settings, SettingsError, Shown, values,
};
use crate::domain::delivery::MAIN_ACCOUNT;
use crate::domain::printable::Printable;
use crate::domain::time::DAY_MS;

/// The commented template: what the first start writes, and the default of every key.
pub const TEMPLATE: &str = include_str!("../../assets/subledger.toml");

/// So far may a misspelt word be from the one that was meant.
const NEAR: f64 = 0.6;

/// One key outside the providers' tables.
struct Plain {
    section: &'static str,
    key: &'static str,
    shape: KeyShape,
    default: &'static str,
}

const fn plain(
    section: &'static str,
    key: &'static str,
    shape: KeyShape,
    default: &'static str,
) -> Plain {
    Plain {
        section,
        key,
        shape,
        default,
    }
}

/// Every key outside the providers' tables.
const PLAIN: &[Plain] = &[
    plain("receiver", "listen", KeyShape::Text, r#""127.0.0.1:8484""#),
    plain("receiver", "public_url", KeyShape::Text, r#""""#),
    plain(
        "receiver",
        "trusted_proxies",
        KeyShape::List,
        r#"["loopback"]"#,
    ),
    plain("receiver", "body_limit", KeyShape::Text, r#""1MiB""#),
    plain("receiver", "metrics", KeyShape::Flag, "false"),
    plain("store", "path", KeyShape::Text, r#""""#),
    plain("store", "keep_bodies", KeyShape::Text, r#""""#),
    plain("store", "size_max", KeyShape::Text, r#""""#),
    plain("store", "keep_quarantine", KeyShape::Text, r#""""#),
    plain("store", "quarantine_max", KeyShape::Text, r#""""#),
    plain("display", "timezone", KeyShape::Text, r#""""#),
    plain("display", "theme", KeyShape::Text, r#""terminal""#),
    plain("display", "on_quit", KeyShape::Text, r#""ask""#),
    plain("backup", "dir", KeyShape::Text, r#""""#),
    plain("backup", "keep", KeyShape::Number, "14"),
    plain("alerts", "command", KeyShape::List, "[]"),
    plain("alerts", "heartbeat_url", KeyShape::Text, r#""""#),
];

const ALERT_COMMAND: &str = "alerts.command";
const HEARTBEAT_URL: &str = "alerts.heartbeat_url";
/// Backups that are kept where the file does not say.
const BACKUPS_KEPT: i64 = 14;
/// Nobody keeps more: one a day for 27 years.
const BACKUPS_KEPT_MAX: usize = 10_000;

/// The bits of a mode that everybody on the machine has.
const OTHERS: u32 = 0o007;
/// The bits of a mode by which somebody else than the owner may change a file.
const CHANGED_BY_OTHERS: u32 = 0o022;

/// No secret is longer, bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The themes that the screen knows.
pub const THEMES: &[&str] = &["terminal", "light", "dark", "mono"];

/// Where the values of `{ env = "NAME" }` come from: the process environment, or a test.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Every key of the template, such as `display.theme`, with the first sentence of what stands before it there; empty where
/// nothing does.
pub fn explained() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut section, mut comment) = ("", String::new());
    let mut is_over = false;
    for line in TEMPLATE.lines() {
        if let Some(text) = line.strip_prefix('#') {
            if std::mem::take(&mut is_over) {
                comment.clear();
            }
            comment.push_str(text);
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            comment.clear();
        } else if let Some((key, _)) = line.split_once(" = ") {
            let sentence = comment.split(". ").next().unwrap_or_default();
            let sentence = sentence.trim().trim_end_matches('.').to_owned();
            found.push((format!("{section}.{key}"), sentence));
            // It may hold for the next key too.
            is_over = true;
        }
    }
    found
}

/// Reads and checks the settings file. A file that others may change is refused, as it names a program to run; one that they
/// may read when secrets stand in it.
pub fn load(path: &Path, known: &[Known]) -> Result<Config, SettingsError> {
    let cannot =
        |error: io::Error| SettingsError(format!("cannot read {}: {error}", path.display()));
    // The file that is looked at is the one that is read.
    let mut file = std::fs::File::open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(cannot)?;
    let environment = |name: &str| std::env::var(name).ok();
    let (config, secrets) = parse_whole(&text, path, known, &environment)?;
    refuse_open_to_others(path, &about, secrets > 0)?;
    Ok(config)
}

/// Reads and checks `text` as the settings of file `path`.
pub fn parse(
    text: &str,
    path: &Path,
    known: &[Known],
    environment: Environment<'_>,
) -> Result<Config, SettingsError> {
    parse_whole(text, path, known, environment).map(|(config, _)| config)
}

/// The database that `text`, the settings of file `path`, names; whatever else stands in it is not looked at.
pub fn store_path(text: &str, path: &Path) -> Result<Option<PathBuf>, SettingsError> {
    let document: Document<&str> = Document::parse(text)
        .map_err(|_| SettingsError(format!("{} is no settings file", path.display())))?;
    let stated = document.get("store").and_then(|store| store.get("path"));
    let stated = stated
        .and_then(Item::as_str)
        .filter(|text| !text.is_empty());
    Ok(stated.map(|text| {
        let beside = path
            .parent()
            .map_or_else(|| PathBuf::from(text), |dir| dir.join(text));
        crate::config::places::absolute(&beside)
    }))
}

/// What holds without any settings file.
pub fn defaults(known: &[Known]) -> Result<Config, SettingsError> {
    parse("", Path::new("defaults"), known, &|_| None)
}

/// Of `words` the one that `word` was most likely meant to be.
pub fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    words
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// What the key outside the providers' tables takes; `None` if there is no such key.
pub fn plain_shape(key: &str) -> Option<KeyShape> {
    PLAIN
        .iter()
        .find(|plain| key.split_once('.') == Some((plain.section, plain.key)))
        .map(|plain| plain.shape)
}

/// Every key outside the providers' tables.
pub fn plain_keys() -> impl Iterator<Item = String> {
    PLAIN
        .iter()
        .map(|plain| format!("{}.{}", plain.section, plain.key))
}

/// Refuses a file that somebody else than its owner may change, one whose owner is neither root nor this user, and, if
/// it `has_secrets`, one that everybody on the machine may read. The group may read it. What is no file, such as
/// /dev/null, nobody changes.
pub(crate) fn refuse_open_to_others(
    path: &Path,
    about: &Metadata,
    has_secrets: bool,
) -> Result<(), SettingsError> {
    let quoted = crate::config::places::quoted(path);
    let path = path.display();
    let mode = about.permissions().mode();
    if about.is_file() && mode & CHANGED_BY_OTHERS != 0 {
        return Err(SettingsError(format!(
            "others may change {path}, and so what subledger lets in and runs: run `chmod 600 {quoted}`"
        )));
    }
    if has_secrets && mode & OTHERS != 0 {
        return Err(SettingsError(format!(
            "{path} holds secrets and others may read it: run `chmod 600 {quoted}`"
        )));
    }
    let us = rustix::process::geteuid().as_raw();
    if about.is_file() && is_foreign(about.uid(), us) {
        let owner = about.uid();
        return Err(SettingsError(format!(
            "{path} belongs to another user ({owner}), who may change what subledger lets in and runs: run subledger as that \
             user, or `chown {us} {quoted}`"
        )));
    }
    Ok(())
}

/// Whether a file of `owner` is neither ours nor of root, who may do everything anyway.
const fn is_foreign(owner: u32, us: u32) -> bool {
    owner != 0 && owner != us
}

/// Reads and checks `text`, and counts the secrets that stand in it as texts.
pub(crate) fn parse_whole(
    text: &str,
    path: &Path,
    known: &[Known],
    environment: Environment<'_>,
) -> Result<(Config, usize), SettingsError> {
    let file = File {
        text,
        path,
        environment,
    };
    let document = Document::parse(text).map_err(|error| {
        // Its Display quotes the line, which may hold a secret.
        file.fault(error.span().as_ref(), error.message())
    })?;
    let mut found = Found::default();
    for (name, item) in document.iter() {
        let span = document.key(name).and_then(toml_edit::Key::span);
        if name == "providers" {
            file.providers(item, known, &mut found)?;
        } else {
            file.section(name, span.as_ref(), item, &mut found)?;
        }
    }
    let secrets = found.literal_secrets;
    found
        .into_config(&file, known)
        .map(|config| (config, secrets))
}

/// A value outside the providers' tables, and where it stands.
struct Stated {
    value: Value,
    span: Option<Range<usize>>,
}

/// What was found in the file.
#[derive(Default)]
struct Found {
    plain: BTreeMap<String, Stated>,
    accounts: Vec<Settings>,
    shown: Vec<Shown>,
    literal_secrets: usize,
}

type Span<'s> = Option<&'s Range<usize>>;

struct File<'a> {
    text: &'a str,
    path: &'a Path,
    environment: Environment<'a>,
}

impl File<'_> {
    fn line(&self, span: Span<'_>) -> Option<usize> {
        let upto = self.text.get(..span?.start)?;
        Some(upto.bytes().filter(|b| *b == b'\n').count() + 1)
    }

    fn fault(&self, span: Span<'_>, message: &str) -> SettingsError {
        let place = self
            .line(span)
            .map_or_else(String::new, |line| format!(":{line}"));
        SettingsError(format!("{}{place}: {message}", self.path.display()))
    }

    fn unknown<'w>(
        &self,
        span: Span<'_>,
        what: &str,
        word: &str,
        words: impl IntoIterator<Item = &'w str>,
    ) -> SettingsError {
        let hint = nearest(word, words)
            .map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
        self.fault(
            span,
            &format!("unknown {what} `{}`{hint}", Printable::line(word)),
        )
    }

    fn section(
        &self,
        name: &str,
        span: Span<'_>,
        item: &Item,
        found: &mut Found,
    ) -> Result<(), SettingsError> {
        if !PLAIN.iter().any(|plain| plain.section == name) {
            let mut sections: Vec<&str> = PLAIN.iter().map(|plain| plain.section).collect();
            sections.push("providers");
            let what = if item.is_table_like() { "table" } else { "key" };
            return Err(self.unknown(span, what, name, sections));
        }
        let table = self.table(name, item, span)?;
        for (key, item) in table.iter() {
            let key_span = table.key(key).and_then(toml_edit::Key::span);
            let of_section = PLAIN.iter().filter(|plain| plain.section == name);
            let Some(plain) = of_section.clone().find(|plain| plain.key == key) else {
                let what = format!("key in [{name}]");
                return Err(self.unknown(
                    key_span.as_ref(),
                    &what,
                    key,
                    of_section.map(|plain| plain.key),
                ));
            };
            let full = format!("{name}.{key}");
            let Some(value) = item.as_value().filter(|value| fits(value, plain.shape)) else {
                return Err(self.wrong_kind(key_span.as_ref(), &full, plain.shape));
            };
            if full == HEARTBEAT_URL && value.as_str().is_some_and(|url| !url.is_empty()) {
                found.literal_secrets += 1;
            }
            found.plain.insert(
                full,
                Stated {
                    value: value.clone(),
                    span: key_span,
                },
            );
        }
        Ok(())
    }

    fn table<'i>(
        &self,
        name: &str,
        item: &'i Item,
        span: Span<'_>,
    ) -> Result<&'i dyn TableLike, SettingsError> {
        item.as_table_like()
            .ok_or_else(|| self.fault(span, &format!("`{name}` must be a table: [{name}]")))
    }

    fn wrong_kind(&self, span: Span<'_>, key: &str, shape: KeyShape) -> SettingsError {
        let wants = match shape {
            KeyShape::Secret => r#"text, { env = "NAME" }, { file = "PATH" } or a list of those"#,
            KeyShape::Text => "text in quotes",
            KeyShape::List => r#"a list of texts, such as ["10.0.0.0/8"]"#,
            KeyShape::Flag => "true or false",
            KeyShape::Number => "a whole number",
        };
        self.fault(span, &format!("`{key}` must be {wants}"))
    }

    fn providers(
        &self,
        item: &Item,
        known: &[Known],
        found: &mut Found,
    ) -> Result<(), SettingsError> {
        let providers = self.table("providers", item, item.span().as_ref())?;
        for (name, item) in providers.iter() {
            let span = providers.key(name).and_then(toml_edit::Key::span);
            let Some(provider) = known.iter().find(|known| known.provider == name) else {
                let names = known.iter().map(|known| known.provider);
                return Err(self.unknown(span.as_ref(), "provider", name, names));
            };
            let table = self.table(&format!("providers.{name}"), item, span.as_ref())?;
            self.account(provider, MAIN_ACCOUNT, table, found)?;
            if let Some(accounts) = table.get("accounts") {
                let head = format!("providers.{name}.accounts");
                for (account, item) in self
                    .table(&head, accounts, accounts.span().as_ref())?
                    .iter()
                {
                    if !is_account_name(account) || account == MAIN_ACCOUNT {
                        let say = format!(
                            "`{}` cannot name an account: use a-z, 0-9, `-` and `_`, at most 32, not `main`",
                            Printable::line(account)
                        );
                        return Err(self.fault(item.span().as_ref(), &say));
                    }
                    let head = format!("{head}.{account}");
                    let table = self.table(&head, item, item.span().as_ref())?;
                    self.account(provider, account, table, found)?;
                }
            }
        }
        Ok(())
    }

    fn account(
        &self,
        provider: &Known,
        account: &str,
        table: &dyn TableLike,
        found: &mut Found,
    ) -> Result<(), SettingsError> {
        let mut settings = Settings {
            provider: provider.provider.to_owned(),
            account: account.to_owned(),
            ..Settings::default()
        };
        let head = settings.table().trim_matches(['[', ']']).to_owned();
        let mut stated = false;
        for (key, item) in table.iter() {
            if key == "accounts" && account == MAIN_ACCOUNT {
                continue;
            }
            stated = true;
            let span = table.key(key).and_then(toml_edit::Key::span);
            let Some(known) = keys_of(provider).find(|known| known.key == key) else {
                let what = format!("key in [{head}]");
                let words = keys_of(provider).map(|known| known.key);
                return Err(self.unknown(span.as_ref(), &what, key, words));
            };
            let full = format!("{head}.{key}");
            let value = item
                .as_value()
                .ok_or_else(|| self.wrong_kind(span.as_ref(), &full, known.shape))?;
            let shown = match known.shape {
                KeyShape::Secret => {
                    self.secret(&mut settings, known, value, &full, span.as_ref(), found)?
                }
                _ => self.open(&mut settings, known, value, &full, span.as_ref())?,
            };
            found.shown.push(Shown {
                key: full,
                value: shown,
                origin: self.origin(span.as_ref()),
            });
        }
        let has_others = table.contains_key("accounts");
        if stated || account != MAIN_ACCOUNT || !has_others {
            found.accounts.push(settings);
        }
        Ok(())
    }

    fn origin(&self, span: Span<'_>) -> String {
        self.line(span)
            .map_or_else(|| "default".to_owned(), |line| format!("line {line}"))
    }

    fn open(
        &self,
        settings: &mut Settings,
        known: &KnownKey,
        value: &Value,
        full: &str,
        span: Span<'_>,
    ) -> Result<String, SettingsError> {
        if !fits(value, known.shape) {
            return Err(self.wrong_kind(span, full, known.shape));
        }
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            self.check_common(known.key, text, full, span)?;
            settings.texts.insert(known.key.to_owned(), text.to_owned());
        }
        let list = texts(value);
        if !list.is_empty() {
            settings.lists.insert(known.key.to_owned(), list);
        }
        Ok(plain_text(value))
    }

    fn check_common(
        &self,
        key: &str,
        text: &str,
        full: &str,
        span: Span<'_>,
    ) -> Result<(), SettingsError> {
        let text = Printable::line(text);
        match key {
            "auth" if text.as_str() != "none" => Err(self.fault(
                span,
                &format!(
                    "`{full}` can only be \"none\" or \"\", not {:?}",
                    text.as_str()
                ),
            )),
            "expect_every"
                if text.as_str() != values::NEVER && values::span_ms(text.as_str()).is_none() =>
            {
                Err(self.fault(
                    span,
                    &format!(
                        "`{full}` wants a span such as \"30m\", \"2h\" or \"1d\", or \"never\", not {:?}",
                        text.as_str()
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    fn secret(
        &self,
        settings: &mut Settings,
        known: &KnownKey,
        value: &Value,
        full: &str,
        span: Span<'_>,
        found: &mut Found,
    ) -> Result<String, SettingsError> {
        let parts: Vec<&Value> = match value.as_array() {
            Some(array) => array.iter().collect(),
            None => vec![value],
        };
        let mut secrets = Vec::new();
        let mut shown = Vec::new();
        for part in parts {
            let (text, show) = self.one_secret(part, full, span, found)?;
            if !text.is_empty() {
                secrets.push(Secret::new(text));
                shown.push(show);
            }
        }
        if secrets.is_empty() {
            return Ok(r#""""#.to_owned());
        }
        settings.secrets.insert(known.key.to_owned(), secrets);
        Ok(if value.is_array() {
            format!("[{}]", shown.join(", "))
        } else {
            shown.concat()
        })
    }

    /// The secret and how it is shown.
    fn one_secret(
        &self,
        value: &Value,
        full: &str,
        span: Span<'_>,
        found: &mut Found,
    ) -> Result<(String, String), SettingsError> {
        if let Some(text) = value.as_str() {
            found.literal_secrets += usize::from(!text.is_empty());
            return Ok((text.to_owned(), "[secret]".to_owned()));
        }
        let wrong = || self.wrong_kind(span, full, KeyShape::Secret);
        let table = value.as_inline_table().ok_or_else(wrong)?;
        let mut pairs = table.iter();
        let (Some((form, place)), None) = (pairs.next(), pairs.next()) else {
            return Err(wrong());
        };
        let place = place.as_str().ok_or_else(wrong)?;
        let secret = match form {
            "env" => (self.environment)(place).ok_or_else(|| {
                let say = format!(
                    "`{full}`: the environment has no `{}`",
                    Printable::line(place)
                );
                self.fault(span, &say)
            })?,
            "file" => self.secret_file(place, full, span)?,
            _ => return Err(self.unknown(span, "form of a secret", form, ["env", "file"])),
        };
        if secret.is_empty() {
            let say = format!(
                "`{full}`: {form} {:?} is empty",
                Printable::line(place).as_str()
            );
            return Err(self.fault(span, &say));
        }
        Ok((
            secret,
            format!("{{ {form} = {:?} }}", Printable::line(place).as_str()),
        ))
    }

    fn secret_file(
        &self,
        place: &str,
        full: &str,
        span: Span<'_>,
    ) -> Result<String, SettingsError> {
        let path = self.beside(place);
        let cannot = |why: &dyn std::fmt::Display| {
            let say = format!("`{full}`: cannot read {}: {why}", path.display());
            self.fault(span, &say)
        };
        // The file that is looked at is the one that is read, and a device without an end is no secret.
        let file = std::fs::File::open(&path).map_err(|error| cannot(&error))?;
        let data = file.metadata().map_err(|error| cannot(&error))?;
        refuse_open_to_others(&path, &data, true).map_err(|error| self.fault(span, &error.0))?;
        let mut text = String::new();
        file.take(SECRET_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|error| cannot(&error))?;
        if text.len() as u64 > SECRET_BYTES_MAX {
            return Err(cannot(&"it is too long for a secret"));
        }
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// A path in the file: relative ones stand beside it.
    fn beside(&self, place: &str) -> PathBuf {
        match self.path.parent() {
            Some(dir) => dir.join(place),
            None => PathBuf::from(place),
        }
    }
}

fn keys_of(provider: &Known) -> impl Iterator<Item = &KnownKey> {
    COMMON_KEYS.iter().chain(&provider.keys)
}

/// Whether an account may be called `name`.
pub fn is_account_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

fn fits(value: &Value, shape: KeyShape) -> bool {
    match shape {
        KeyShape::Secret => true,
        KeyShape::Text => value.is_str(),
        KeyShape::List => value
            .as_array()
            .is_some_and(|array| array.iter().all(Value::is_str)),
        KeyShape::Flag => value.is_bool(),
        KeyShape::Number => value.is_integer(),
    }
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flat_map(toml_edit::Array::iter)
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The value as it would stand in a file, without the blanks and comments around it.
fn plain_text(value: &Value) -> String {
    let mut value = value.clone();
    value.decor_mut().clear();
    Printable::line(value.to_string().trim()).into()
}

/// The value as it is shown: what may hold a token is not.
fn shown_value(key: &str, value: &Value) -> String {
    match key {
        ALERT_COMMAND => match AlertCommand::read(&texts(value)) {
            Ok(Some(command)) => command.shown(),
            _ => plain_text(value),
        },
        HEARTBEAT_URL => match value.as_str() {
            Some(url) if !url.is_empty() => alerts::shown_url(url),
            _ => plain_text(value),
        },
        _ => plain_text(value),
    }
}

impl Found {
    fn into_config(self, file: &File<'_>, known: &[Known]) -> Result<Config, SettingsError> {
        let mut warnings = Vec::new();
        let read = PlainValues { found: &self, file };
        let receiver = read.receiver(&mut warnings)?;
        let display = read.display()?;
        let alerts = read.alerts(&mut warnings)?;
        let backup = read.backup()?;
        let keep = read.keep()?;
        let store_path = match read.text("store.path") {
            "" => None,
            text => Some(crate::config::places::absolute(&file.beside(text))),
        };
        let shown = read.shown();
        let mut accounts = self.accounts;
        for provider in known {
            if !accounts.iter().any(|has| has.provider == provider.provider) {
                accounts.push(Settings {
                    provider: provider.provider.to_owned(),
                    account: MAIN_ACCOUNT.to_owned(),
                    ..Settings::default()
                });
            }
        }
        for account in &accounts {
            if account.text("auth").is_some() {
                let who = account.table();
                warnings.push(format!(
                    "{who} has auth = \"none\": anybody can write into it"
                ));
            }
        }
        Ok(Config {
            receiver,
            store_path,
            keep,
            display,
            alerts,
            backup,
            accounts,
            warnings,
            shown: shown.into_iter().chain(self.shown).collect(),
        })
    }
}

/// The keys outside the providers' tables, with their defaults.
struct PlainValues<'a> {
    found: &'a Found,
    file: &'a File<'a>,
}

impl PlainValues<'_> {
    fn stated(&self, key: &str) -> Option<&Value> {
        self.found.plain.get(key).map(|stated| &stated.value)
    }

    fn default(key: &str) -> &'static str {
        PLAIN
            .iter()
            .find(|plain| key.split_once('.') == Some((plain.section, plain.key)))
            .map_or("", |plain| plain.default)
    }

    fn text(&self, key: &str) -> &str {
        match self.stated(key) {
            Some(value) => value.as_str().unwrap_or_default(),
            None => Self::default(key).trim_matches('"'),
        }
    }

    fn wrong(&self, key: &str, wants: &str) -> SettingsError {
        let span = self
            .found
            .plain
            .get(key)
            .and_then(|stated| stated.span.as_ref());
        let value = self.stated(key).map(plain_text).unwrap_or_default();
        self.file
            .fault(span, &format!("`{key}` wants {wants}, not {value}"))
    }

    fn receiver(&self, warnings: &mut Vec<String>) -> Result<ReceiverSettings, SettingsError> {
        let listen = values::address(self.text("receiver.listen")).ok_or_else(|| {
            self.wrong(
                "receiver.listen",
                "an address and a port such as \"127.0.0.1:8484\"",
            )
        })?;
        let public_url = match self.text("receiver.public_url") {
            "" => None,
            text => Some(values::public_url(text).ok_or_else(|| {
                self.wrong(
                    "receiver.public_url",
                    "an address such as \"https://hooks.example.org\"",
                )
            })?),
        };
        if public_url
            .as_deref()
            .is_some_and(|url| url.starts_with("http://"))
        {
            warnings.push(
                "receiver.public_url begins with http://: secret links would cross the network in the clear"
                    .to_owned(),
            );
        }
        let body_bytes_max = values::size(self.text("receiver.body_limit"))
            .filter(|bytes| (values::BODY_BYTES_FLOOR..=values::BODY_BYTES_CEILING).contains(bytes))
            .ok_or_else(|| {
                self.wrong("receiver.body_limit", "a size from \"1KiB\" to \"64MiB\"")
            })?;
        Ok(ReceiverSettings {
            listen,
            public_url,
            trusted_proxies: self.proxies()?,
            body_bytes_max,
            metrics: self
                .stated("receiver.metrics")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        })
    }

    fn proxies(&self) -> Result<Vec<String>, SettingsError> {
        let key = "receiver.trusted_proxies";
        let named = self
            .stated(key)
            .map_or_else(|| vec!["loopback".to_owned()], texts);
        if named.iter().all(|name| values::is_network(name)) {
            Ok(named)
        } else {
            Err(self.wrong(
                key,
                "\"loopback\", addresses or networks such as \"10.0.0.0/8\"",
            ))
        }
    }

    fn display(&self) -> Result<Display, SettingsError> {
        let zone = match self.text("display.timezone") {
            "" => None,
            name => Some(name.parse().map_err(|_| {
                self.wrong(
                    "display.timezone",
                    "an IANA name such as \"Europe/Istanbul\" or \"UTC\"",
                )
            })?),
        };
        let theme = self.text("display.theme").to_owned();
        if !THEMES.contains(&theme.as_str()) {
            let wants = format!("one of {}", THEMES.join(", "));
            let meant = nearest(&theme, THEMES.iter().copied())
                .map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"));
            let SettingsError(why) = self.wrong("display.theme", &wants);
            return Err(SettingsError(why + &meant));
        }
        let on_quit = match self.text("display.on_quit") {
            "ask" => OnQuit::Ask,
            "keep" => OnQuit::Keep,
            "stop" => OnQuit::Stop,
            _ => return Err(self.wrong("display.on_quit", "ask, keep or stop")),
        };
        Ok(Display {
            zone,
            theme,
            on_quit,
        })
    }

    /// A program that is missing is no fault of the file: webhooks are received all the same.
    fn alerts(&self, warnings: &mut Vec<String>) -> Result<AlertSettings, SettingsError> {
        let words = self.stated(ALERT_COMMAND).map(texts).unwrap_or_default();
        let command = AlertCommand::read(&words)
            .map_err(|why| self.fault(ALERT_COMMAND, &format!("`{ALERT_COMMAND}` {why}")))?;
        let path = (self.file.environment)("PATH").unwrap_or_default();
        if let Some(lack) = command.as_ref().and_then(|command| command.lacks(&path)) {
            warnings.push(format!(
                "{ALERT_COMMAND}: {lack}; nobody is alerted until then"
            ));
        }
        let heartbeat_url = match self.text(HEARTBEAT_URL) {
            "" => None,
            url => Some(self.heartbeat_url(url, warnings)?),
        };
        Ok(AlertSettings {
            command,
            heartbeat_url,
        })
    }

    fn heartbeat_url(
        &self,
        url: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Secret, SettingsError> {
        let Some(origin) = alerts::origin(url) else {
            let wants =
                "an address such as \"https://ping.example.org/...\", without user and password";
            return Err(self.fault(HEARTBEAT_URL, &format!("`{HEARTBEAT_URL}` wants {wants}")));
        };
        let host = origin.strip_prefix("http://");
        if host.is_some_and(|host| !host.starts_with("127.") && !host.starts_with("localhost")) {
            warnings.push(format!(
                "{HEARTBEAT_URL} begins with http://: whoever listens can send it in your place"
            ));
        }
        Ok(Secret::new(url))
    }

    fn fault(&self, key: &str, say: &str) -> SettingsError {
        let stated = self.found.plain.get(key);
        self.file
            .fault(stated.and_then(|stated| stated.span.as_ref()), say)
    }

    fn backup(&self) -> Result<BackupSettings, SettingsError> {
        let dir = match self.text("backup.dir") {
            "" => None,
            text => Some(crate::config::places::absolute(&self.file.beside(text))),
        };
        let keep = self.stated("backup.keep").and_then(Value::as_integer);
        let keep = usize::try_from(keep.unwrap_or(BACKUPS_KEPT))
            .ok()
            .filter(|keep| (1..=BACKUPS_KEPT_MAX).contains(keep))
            .ok_or_else(|| self.wrong("backup.keep", "a number of backups from 1 to 10000"))?;
        Ok(BackupSettings { dir, keep })
    }

    fn keep(&self) -> Result<KeepSettings, SettingsError> {
        Ok(KeepSettings {
            bodies_ms: self.kept_ms("store.keep_bodies")?,
            file_bytes: self.bytes_max("store.size_max")?,
            quarantine_ms: self.kept_ms("store.keep_quarantine")?,
            quarantine_bytes: self.bytes_max("store.quarantine_max")?,
        })
    }

    fn kept_ms(&self, key: &str) -> Result<Option<i64>, SettingsError> {
        match self.text(key) {
            "" => Ok(None),
            text => values::span_ms(text)
                .filter(|ms| *ms >= DAY_MS)
                .map(Some)
                .ok_or_else(|| {
                    self.wrong(
                        key,
                        "a time of at least a day such as \"400d\", or \"\" for ever",
                    )
                }),
        }
    }

    fn bytes_max(&self, key: &str) -> Result<Option<i64>, SettingsError> {
        match self.text(key) {
            "" => Ok(None),
            text => values::size(text)
                .filter(|bytes| *bytes >= values::STORE_BYTES_FLOOR)
                .and_then(|bytes| i64::try_from(bytes).ok())
                .map(Some)
                .ok_or_else(|| {
                    self.wrong(
                        key,
                        "a size of at least \"1MiB\" such as \"20GiB\", or \"\" for any",
                    )
                }),
        }
    }

    fn shown(&self) -> Vec<Shown> {
        PLAIN
            .iter()
            .map(|plain| {
                let key = format!("{}.{}", plain.section, plain.key);
                let stated = self.found.plain.get(&key);
                Shown {
                    value: stated.map_or_else(
                        || plain.default.to_owned(),
                        |stated| shown_value(&key, &stated.value),
                    ),
                    origin: self
                        .file
                        .origin(stated.and_then(|stated| stated.span.as_ref())),
                    key,
                }
            })
            .collect()
    }
}
