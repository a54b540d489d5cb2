//! One line of an import: a delivery, or why it is none. Reasons hold nothing of a body.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::cli::import::pieces::Piece;
use crate::config::read::{is_account_name, nearest};
use crate::domain::delivery::{Delivery, MAIN_ACCOUNT};
use crate::domain::printable::Printable;
use crate::domain::time::{Clock, Timestamp};
use crate::providers::door::Doors;
use crate::providers::{ALL, Request};

/// What came before 2000-01-01 came before there were webhooks.
const EARLIEST: Timestamp = Timestamp::from_ms(946_684_800_000);

/// All headers of a delivery take no more bytes than the receiver would take.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// What a header takes on the wire beside name and value: colon, blank and line end.
const HEADER_BYTES_MORE: usize = 4;

/// A line is at most so many times as long as the body in it: every byte may be an escape of six.
const ESCAPE_BYTES: usize = 6;

/// The keys without which there is no delivery.
const NEEDED: [&str; 4] = ["provider", "hook", "received_at", "body"];

/// What a list of bare bodies does not say itself.
#[derive(Clone, Debug)]
pub(crate) struct Bare {
    /// Whose they are.
    pub(crate) provider: String,
    /// Where they would have gone.
    pub(crate) hook: String,
    /// When they count as received.
    pub(crate) received_at: Timestamp,
}

/// What a line is.
#[derive(Debug)]
pub(crate) enum Line {
    /// A delivery, and when the one had arrived that it repeats, if that is said.
    Delivery(Box<Delivery>, Option<Timestamp>),
    /// A delivery whose body was erased where it comes from.
    Erased,
}

/// Reads lines.
#[derive(Clone)]
pub(crate) struct Lines {
    /// Today's secrets.
    pub(crate) doors: Arc<Doors>,
    /// For lists of bare bodies.
    pub(crate) bare: Option<Bare>,
    /// Of lines that name none.
    pub(crate) account: Option<String>,
    /// `receiver.body_limit`.
    pub(crate) body_bytes_max: usize,
    /// A delivery of the future is none.
    pub(crate) clock: Clock,
}

/// The fields of a line, not yet looked at.
type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl Lines {
    /// No line needs to be longer than this.
    pub(crate) const fn bytes_max(&self) -> usize {
        ESCAPE_BYTES * self.body_bytes_max + 4 * HEADER_BYTES_MAX
    }

    /// What `piece` is, or why it cannot be taken in.
    pub(crate) fn read(&self, piece: &Piece) -> Result<Line, String> {
        if piece.is_stray {
            return Err("it stands behind the end of the list".to_owned());
        }
        if piece.is_cut_off && piece.bytes.is_empty() {
            return Err("the file ends before the list does".to_owned());
        }
        if piece.is_too_long(self.bytes_max()) {
            return Err(format!(
                "it has {} bytes: no body under receiver.body_limit needs so many",
                piece.length
            ));
        }
        self.read_bytes(&piece.bytes).map_err(|why| {
            if piece.is_cut_off && why.starts_with(NO_JSON) {
                "not JSON: the file ends in the middle of it".to_owned()
            } else {
                why
            }
        })
    }

    fn read_bytes(&self, bytes: &[u8]) -> Result<Line, String> {
        if let Some(bare) = &self.bare {
            let raw: &RawValue = parsed(bytes)?;
            let request = Request {
                hook: bare.hook.clone(),
                path_key: None,
                headers: Vec::new(),
                body: self.short(body(raw)?)?,
                received_at: bare.received_at,
                remote_ip: String::new(),
            };
            return self.delivery(&bare.provider, &self.account(None)?, request, false, None);
        }
        let fields: Fields<'_> = parsed(bytes)?;
        if text(&fields, "outcome").ok().flatten().as_deref() == Some("rejected") {
            return Err(
                "it was turned away: `subledger rejected admit` takes it in where it is kept"
                    .to_owned(),
            );
        }
        refuse_slips(&fields)?;
        let (provider, hook) = place(&fields)?;
        let received_at = self.moment(&needed(&fields, "received_at")?)?;
        let Some(body) = body_of(&fields)? else {
            return Ok(Line::Erased);
        };
        let request = Request {
            hook: hook.to_owned(),
            path_key: None,
            headers: headers(&fields)?,
            body: self.short(body)?,
            received_at,
            remote_ip: remote_ip(&fields)?,
        };
        let account = self.account(text(&fields, "account")?)?;
        let repeats_at = text(&fields, "repeats_at")?.and_then(|at| Timestamp::parse(&at));
        self.delivery(provider, &account, request, is_test(&fields)?, repeats_at)
    }

    fn delivery(
        &self,
        provider: &str,
        account: &str,
        request: Request,
        is_test: bool,
        repeats_at: Option<Timestamp>,
    ) -> Result<Line, String> {
        let delivery = self.doors.imported(provider, account, request);
        let mut delivery = delivery.ok_or_else(|| unknown_provider(provider))?;
        delivery.test |= is_test;
        Ok(Line::Delivery(Box::new(delivery), repeats_at))
    }

    fn account(&self, named: Option<String>) -> Result<String, String> {
        let account = named.or_else(|| self.account.clone());
        let account = account.unwrap_or_else(|| MAIN_ACCOUNT.to_owned());
        if is_account_name(&account) {
            Ok(account)
        } else {
            Err("its `account` is no name: a-z, 0-9, `-` and `_`, at most 32".to_owned())
        }
    }

    fn moment(&self, text: &str) -> Result<Timestamp, String> {
        let at = Timestamp::parse(text)
            .ok_or("its `received_at` is no time such as 2026-11-01T09:00:00Z")?;
        if at > self.clock.now() {
            return Err(format!("its `received_at` is in the future: {at}"));
        }
        if at < EARLIEST {
            return Err(format!("its `received_at` is before 2000: {at}"));
        }
        Ok(at)
    }

    fn short(&self, body: Vec<u8>) -> Result<Vec<u8>, String> {
        if body.len() > self.body_bytes_max {
            return Err(format!(
                "its body has {} bytes: over receiver.body_limit, which can be raised",
                body.len()
            ));
        }
        Ok(body)
    }
}

/// What reasons for text that is no JSON begin with.
const NO_JSON: &str = "not JSON";

/// Never in serde's words: they quote values.
fn parsed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(format!("{NO_JSON}: it is not UTF-8 text"));
    }
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Eof => format!("{NO_JSON}: it ends too early"),
        Category::Data => "no JSON object".to_owned(),
        _ => format!("{NO_JSON} from column {} on", error.column()),
    })
}

/// A text field; `None` if absent or null.
fn text(fields: &Fields<'_>, key: &str) -> Result<Option<String>, String> {
    match fields.get(key) {
        None => Ok(None),
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| format!("its `{key}` is no text")),
    }
}

fn needed(fields: &Fields<'_>, key: &str) -> Result<String, String> {
    text(fields, key)?.ok_or_else(|| missing(fields, key))
}

fn missing(fields: &Fields<'_>, key: &str) -> String {
    let hint = slip(fields, key).map_or_else(String::new, |slip| format!(": is `{slip}` meant?"));
    format!("it has no `{key}`{hint}")
}

/// Keys that may be left out, and are misspelt: without them the line would mean something else.
fn refuse_slips(fields: &Fields<'_>) -> Result<(), String> {
    for known in ["account", "headers"] {
        if let (false, Some(slip)) = (fields.contains_key(known), slip(fields, known)) {
            return Err(format!(
                "no key is called `{slip}`: did you mean `{known}`?"
            ));
        }
    }
    if NEEDED.iter().all(|key| !fields.contains_key(*key)) {
        return Err(
            "it has no `provider`, `hook` and `body`: of bare bodies say --provider, --hook and --as-of"
                .to_owned(),
        );
    }
    Ok(())
}

/// A key that is one or two letters from `known`.
fn slip(fields: &Fields<'_>, known: &str) -> Option<Printable> {
    let mut keys = fields.keys();
    let slip = keys.find(|key| (1..=2).contains(&strsim::damerau_levenshtein(key, known)))?;
    Some(Printable::line(slip))
}

fn place(fields: &Fields<'_>) -> Result<(&'static str, &'static str), String> {
    let id = needed(fields, "provider")?;
    let hook = needed(fields, "hook")?;
    known(&id, &hook)
}

/// The provider called `id` and its hook called `hook`.
pub(crate) fn known(id: &str, hook: &str) -> Result<(&'static str, &'static str), String> {
    let provider = ALL.iter().find(|known| known.id() == id);
    let provider = provider.ok_or_else(|| unknown_provider(id))?;
    let hooks = provider.hooks();
    let found = hooks.iter().find(|known| known.name == hook);
    let found = found.ok_or_else(|| {
        let names = hooks.iter().map(|known| known.name);
        format!(
            "{} has no hook {:?}{}",
            provider.id(),
            Printable::line(hook).cut(40).as_str(),
            meant(hook, names)
        )
    })?;
    Ok((provider.id(), found.name))
}

fn unknown_provider(id: &str) -> String {
    format!(
        "no provider is called {:?}{}",
        Printable::line(id).cut(40).as_str(),
        meant(id, ALL.iter().map(|known| known.id()))
    )
}

fn meant<'a>(word: &str, words: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(word, words.clone()) {
        Some(near) => format!(": did you mean {near:?}?"),
        None => format!(": there is {}", words.collect::<Vec<_>>().join(", ")),
    }
}

/// The exact bytes; `None` if they were erased, or dropped for their age.
fn body_of(fields: &Fields<'_>) -> Result<Option<Vec<u8>>, String> {
    let is_there = |key: &str| fields.get(key).filter(|raw| raw.get() != "null");
    if let Some(raw) = is_there("body_base64") {
        if is_there("body").is_some() {
            return Err("it has both `body` and `body_base64`".to_owned());
        }
        return decoded(raw.get()).map(Some);
    }
    match is_there("body") {
        Some(raw) => body(raw).map(Some),
        None if is_there("erased_at").or(is_there("pruned")).is_some() => Ok(None),
        None => Err(missing(fields, "body")),
    }
}

/// What a JSON value means as a body: a string its text, `{"base64": "..."}` these bytes, anything else itself as it
/// is written.
fn body(raw: &RawValue) -> Result<Vec<u8>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Encoded<'a> {
        #[serde(borrow)]
        base64: &'a RawValue,
    }
    let source = raw.get();
    if source.starts_with('"') {
        let text: Cow<'_, str> = serde_json::from_str(source)
            .map_err(|_| "its `body` is no whole text: give it as `body_base64`")?;
        return Ok(text.into_owned().into_bytes());
    }
    if let Ok(Encoded { base64 }) = serde_json::from_str(source)
        && base64.get().starts_with('"')
    {
        return decoded(base64.get());
    }
    Ok(source.as_bytes().to_vec())
}

fn decoded(source: &str) -> Result<Vec<u8>, String> {
    let text: Option<String> = serde_json::from_str(source).ok();
    text.and_then(|text| STANDARD.decode(text).ok())
        .ok_or_else(|| "its body is no base64".to_owned())
}

/// Pairs, or an object: names in lower case.
fn headers(fields: &Fields<'_>) -> Result<Vec<(String, Vec<u8>)>, String> {
    let Some(raw) = fields.get("headers") else {
        return Ok(Vec::new());
    };
    let pairs: Option<Vec<(String, String)>> = serde_json::from_str(raw.get())
        .ok()
        .or_else(|| {
            let object: BTreeMap<String, String> = serde_json::from_str(raw.get()).ok()?;
            Some(object.into_iter().collect())
        })
        .or_else(|| (raw.get() == "null").then(Vec::new));
    let pairs = pairs.ok_or("its `headers` are no list of [name, value]")?;
    let bytes: usize = pairs
        .iter()
        .map(|(name, value)| name.len() + value.len() + HEADER_BYTES_MORE)
        .sum();
    if bytes > HEADER_BYTES_MAX {
        return Err(format!("its `headers` have {bytes} bytes"));
    }
    let pairs = pairs.into_iter();
    Ok(pairs
        .map(|(name, value)| (name.to_ascii_lowercase(), value.into_bytes()))
        .collect())
}

fn remote_ip(fields: &Fields<'_>) -> Result<String, String> {
    match text(fields, "remote_ip")? {
        Some(address) if !address.is_empty() => match address.parse::<IpAddr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Err("its `remote_ip` is no address".to_owned()),
        },
        _ => Ok(String::new()),
    }
}

fn is_test(fields: &Fields<'_>) -> Result<bool, String> {
    match fields.get("test").map(|raw| raw.get()) {
        None | Some("null" | "false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err("its `test` is neither true nor false".to_owned()),
    }
}
