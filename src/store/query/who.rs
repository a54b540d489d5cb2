//! Who a reader is: what a publisher writes, found at every provider and account, and in the bodies that name them.
//!
//! WHO is an e-mail (in any case), a phone (digits compared), a provider's id, or `provider[/account]:id`. A reader is
//! matched by their id, e-mail, phone, the publisher's own id or an alias; within one account aliases are followed
//! further, since that provider itself says that both ids are one person. The same address elsewhere is another match
//! only where WHO is that address: what is merely also seen as somebody is shown, never taken.
//!
//! An e-mail that is the same only if the dotless and the dotted i of Turkish are one letter may be another person's: it
//! is similar, told of, and never taken.
//!
//! Two phones are one if their digits are the same without `00`, `+` and zeros in front, or if one of them ends in the
//! other, which has at least eight digits, and has at most three more: the country's prefix.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use crate::domain::query::caseless;
use crate::store::Error;
use crate::store::append::body_bytes;
use crate::store::query::Reader;
use crate::store::query::functions::digits;
use crate::store::upkeep::retention;

/// So many rows are read in one statement.
const CHUNK: i64 = 10_000;
/// So many deliveries are looked through in one statement: their bodies are read.
const BODIES: i64 = 500;
/// Digits of a phone without its country's prefix; fewer are compared whole.
const PHONE_DIGITS_MIN: usize = 8;
/// Digits of the longest country prefix.
const PREFIX_DIGITS_MAX: usize = 3;
/// Shorter ids, unless they are e-mails, are not looked for in bodies: they would be found in everybody's.
const WORD_MIN: usize = 8;
/// A longer WHO is nobody.
const WHO_MAX: usize = 1_000;

/// Why a text names nobody.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WhoError {
    /// There is nothing in it.
    #[error("name a reader: an e-mail, a phone, a provider's id, or provider:id")]
    Empty,
    /// It is longer than any id.
    #[error("that is too long to name a reader: {WHO_MAX} characters at most")]
    TooLong,
}

/// Whom a publisher means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Only at this provider.
    pub provider: Option<String>,
    /// Only in this account.
    pub account: Option<String>,
    /// The id, e-mail or phone as written, without blanks around.
    pub text: String,
}

impl Who {
    /// Reads `text`. Only one of `providers` before a colon is a provider: ids may hold colons.
    pub fn parse(text: &str, providers: &[&str]) -> Result<Self, WhoError> {
        let text = text.trim();
        if text.chars().count() > WHO_MAX {
            return Err(WhoError::TooLong);
        }
        let scoped = text.split_once(':').and_then(|(place, id)| {
            let (provider, account) = match place.split_once('/') {
                Some((provider, account)) => (provider, Some(account.to_owned())),
                None => (place, None),
            };
            providers.contains(&provider).then(|| Self {
                provider: Some(provider.to_owned()),
                account: account.filter(|account| !account.is_empty()),
                text: id.trim().to_owned(),
            })
        });
        let who = scoped.unwrap_or_else(|| Self {
            provider: None,
            account: None,
            text: text.to_owned(),
        });
        if who.text.is_empty() {
            return Err(WhoError::Empty);
        }
        Ok(who)
    }

    /// Whether a reader of this account may be meant.
    pub(crate) fn admits(&self, provider: &str, account: &str) -> bool {
        self.provider.as_deref().is_none_or(|own| own == provider)
            && self.account.as_deref().is_none_or(|own| own == account)
    }
}

/// By what a reader was matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// The provider's id.
    Id,
    /// E-mail, in any case.
    Email,
    /// An e-mail or id that differs in nothing but the dots of an i.
    Similar,
    /// The same digits.
    Phone,
    /// The same digits, but for the country's prefix.
    PhoneWithoutPrefix,
    /// The publisher's own id.
    ClientId,
    /// Another id in one of their bodies.
    Alias,
    /// An alias of another match, or the reader that another match is an alias of, in the same account.
    SameAccount,
}

impl By {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Email => "e-mail",
            Self::Similar => "similar, but for the dots of an i",
            Self::Phone => "phone",
            Self::PhoneWithoutPrefix => "phone without country prefix",
            Self::ClientId => "your own id",
            Self::Alias => "another id",
            Self::SameAccount => "another id of the same reader",
        }
    }
}

/// One reader that WHO names, as one account of one provider knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Their row in `users`.
    pub id: i64,
    /// The provider.
    pub provider: String,
    /// The account.
    pub account: String,
    /// The provider's id, or one made of e-mail, phone or lead.
    pub user_id: String,
    /// E-mail, as last told.
    pub email: Option<String>,
    /// Phone, as last told.
    pub phone: Option<String>,
    /// Name, as last told.
    pub name: Option<String>,
    /// The publisher's own id.
    pub client_user_id: Option<String>,
    /// By what, each once.
    pub by: BTreeSet<By>,
}

impl Match {
    /// `provider/account:id`, the account only where it is not the first; what `Who::parse` takes.
    pub fn place(&self) -> String {
        if self.account == "main" {
            format!("{}:{}", self.provider, self.user_id)
        } else {
            format!("{}/{}:{}", self.provider, self.account, self.user_id)
        }
    }
}

/// A text that a reader is told by, ready to be compared.
struct Sought {
    exact: String,
    lower: String,
    caseless: String,
    /// Of a text that can be a phone.
    phone: Option<String>,
}

/// How sure it is that two ids are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    Surely,
    /// But for the dots of an i.
    Perhaps,
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

impl Sought {
    fn of(text: &str) -> Self {
        Self {
            exact: text.to_owned(),
            lower: lower(text),
            caseless: caseless(text),
            phone: phone(text),
        }
    }

    /// Whether `value` is this id: byte for byte, e-mails in any case.
    fn is_id(&self, value: &str) -> Option<Same> {
        let are_mails = self.exact.contains('@') && value.contains('@');
        if value == self.exact || are_mails && lower(value) == self.lower {
            return Some(Same::Surely);
        }
        (are_mails && caseless(value) == self.caseless).then_some(Same::Perhaps)
    }

    fn phone_by(&self, value: &str) -> Option<By> {
        same_phone(self.phone.as_deref()?, &phone(value)?)
    }
}

/// The digits by which a phone is compared; `None` if `text` is none.
pub(crate) fn phone(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_digit() || " +-().\u{a0}/".contains(c);
    if !text.chars().all(plain) {
        return None;
    }
    let digits = digits(text);
    let digits = digits.trim_start_matches('0');
    (digits.len() >= 7).then(|| digits.to_owned())
}

/// Whether two phones, as `phone` gives them, are one.
fn same_phone(one: &str, other: &str) -> Option<By> {
    if one == other {
        return Some(By::Phone);
    }
    let (short, long) = if one.len() < other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let within = short.len() >= PHONE_DIGITS_MIN
        && long.len() - short.len() <= PREFIX_DIGITS_MAX
        && long.len() > short.len();
    (within && long.ends_with(short)).then_some(By::PhoneWithoutPrefix)
}

/// Every reader that `who` names, in the order of their rows.
pub(crate) fn matches(conn: &Connection, who: &Who) -> Result<Vec<Match>, Error> {
    Ok(look(conn, who)?.0)
}

/// Every reader whom `who` may mean and does not name.
pub(crate) fn similar(conn: &Connection, who: &Who) -> Result<Vec<Match>, Error> {
    Ok(look(conn, who)?.1)
}

fn look(conn: &Connection, who: &Who) -> Result<(Vec<Match>, Vec<Match>), Error> {
    let sought = Sought::of(&who.text);
    let mut found = by_own_facts(conn, who, &sought)?;
    for ((provider, account, user_id), by) in by_alias(conn, who, &sought)? {
        take(conn, &mut found, (&provider, &account, &user_id), by)?;
    }
    let only_similar = |one: &Match| one.by.iter().all(|by| *by == By::Similar);
    let (mut similar, mut found): (Vec<_>, Vec<_>) = found.into_iter().partition(only_similar);
    follow_aliases(conn, &mut found)?;
    similar.retain(|one| found.iter().all(|sure| sure.id != one.id));
    found.sort_by_key(|one| one.id);
    similar.sort_by_key(|one| one.id);
    Ok((found, similar))
}

fn by_own_facts(conn: &Connection, who: &Who, sought: &Sought) -> Result<Vec<Match>, Error> {
    let mut statement = conn.prepare_cached(
        "select id, provider, account, user_id, email, phone, name, client_user_id \
         from users where id > ?1 order by id limit ?2",
    )?;
    let mut found = Vec::new();
    let mut after = i64::MIN;
    loop {
        let mut rows = statement.query([after, CHUNK])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            after = row.get(0)?;
            if !who.admits(&text(row, 1)?, &text(row, 2)?) {
                continue;
            }
            let by = compared(row, sought)?;
            if !by.is_empty() {
                found.push(Match { by, ..reader(row)? });
            }
        }
        if count < CHUNK {
            return Ok(found);
        }
    }
}

fn compared(row: &rusqlite::Row<'_>, sought: &Sought) -> Result<BTreeSet<By>, Error> {
    let mut by = BTreeSet::new();
    for (place, kind) in [(3, By::Id), (4, By::Email), (5, By::Id), (7, By::ClientId)] {
        let Some(value) = text_or_null(row, place)? else {
            continue;
        };
        // A phone is told by its digits alone, wherever it stands; the publisher's own id never is one.
        if place != 5 {
            by.extend(sought.is_id(&value).map(|same| match same {
                Same::Surely => kind,
                Same::Perhaps => By::Similar,
            }));
        }
        if matches!(place, 3 | 5) {
            by.extend(sought.phone_by(&value));
        }
    }
    Ok(by)
}

fn reader(row: &rusqlite::Row<'_>) -> rusqlite::Result<Match> {
    let owned = |place| text_or_null(row, place).map(|text| text.map(Cow::into_owned));
    Ok(Match {
        id: row.get(0)?,
        provider: text(row, 1)?.into_owned(),
        account: text(row, 2)?.into_owned(),
        user_id: text(row, 3)?.into_owned(),
        email: owned(4)?,
        phone: owned(5)?,
        name: owned(6)?,
        client_user_id: owned(7)?,
        by: BTreeSet::new(),
    })
}

/// A text; where damage has made it none, what is left of it: one bad row is no reason not to find the others.
pub(crate) fn text<'a>(row: &'a rusqlite::Row<'_>, place: usize) -> rusqlite::Result<Cow<'a, str>> {
    Ok(text_or_null(row, place)?.unwrap_or_default())
}

fn text_or_null<'a>(
    row: &'a rusqlite::Row<'_>,
    place: usize,
) -> rusqlite::Result<Option<Cow<'a, str>>> {
    Ok(match row.get_ref(place)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    })
}

/// Provider, account and id.
type Place = (String, String, String);

/// Whose alias it is.
fn by_alias(conn: &Connection, who: &Who, sought: &Sought) -> Result<Vec<(Place, By)>, Error> {
    let mut statement = conn.prepare_cached(
        "select provider, account, user_id, alias from user_aliases \
         where (provider, account, user_id, alias) > (?1, ?2, ?3, ?4) \
         order by provider, account, user_id, alias limit ?5",
    )?;
    let mut found = Vec::new();
    let mut after = [const { String::new() }; 4];
    loop {
        let [provider, account, user_id, alias] = &after;
        let mut rows = statement.query(params![provider, account, user_id, alias, CHUNK])?;
        let (mut count, mut last) = (0, None);
        while let Some(row) = rows.next()? {
            count += 1;
            let own = |place| text(row, place).map(Cow::into_owned);
            let alias = own(3)?;
            let by = match (sought.is_id(&alias), sought.phone_by(&alias)) {
                (Some(Same::Surely), _) | (_, Some(_)) => Some(By::Alias),
                (Some(Same::Perhaps), None) => Some(By::Similar),
                (None, None) => None,
            };
            if let Some(by) = by
                && who.admits(&text(row, 0)?, &text(row, 1)?)
            {
                found.push(((own(0)?, own(1)?, own(2)?), by));
            }
            if count == CHUNK {
                last = Some([own(0)?, own(1)?, own(2)?, alias]);
            }
        }
        match last {
            Some(last) => after = last,
            None => return Ok(found),
        }
    }
}

/// Adds the reader at `place`, if there is one, or the reason to the match that is there.
fn take(
    conn: &Connection,
    found: &mut Vec<Match>,
    (provider, account, user_id): (&str, &str, &str),
    by: By,
) -> Result<(), Error> {
    let is = |one: &&mut Match| {
        one.provider == provider && one.account == account && one.user_id == user_id
    };
    if let Some(known) = found.iter_mut().find(is) {
        if by != By::SameAccount {
            known.by.insert(by);
        }
        return Ok(());
    }
    let mut statement = conn.prepare_cached(
        "select id, provider, account, user_id, email, phone, name, client_user_id \
         from users where provider = ?1 and account = ?2 and user_id = ?3",
    )?;
    let mut rows = statement.query([provider, account, user_id])?;
    if let Some(row) = rows.next()? {
        found.push(Match {
            by: BTreeSet::from([by]),
            ..reader(row)?
        });
    }
    Ok(())
}

/// Readers that are an alias of a match, or that a match is an alias of, in its account; and theirs.
fn follow_aliases(conn: &Connection, found: &mut Vec<Match>) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(
        "select alias from user_aliases where provider = ?1 and account = ?2 and user_id = ?3 \
         union select user_id from user_aliases \
         where alias = ?3 and provider = ?1 and account = ?2",
    )?;
    let mut next = 0;
    while let Some(one) = found.get(next) {
        let (provider, account) = (one.provider.clone(), one.account.clone());
        let ids = statement
            .query_map([&one.provider, &one.account, &one.user_id], |row| {
                text(row, 0).map(Cow::into_owned)
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for id in ids {
            take(conn, found, (&provider, &account, &id), By::SameAccount)?;
        }
        next += 1;
    }
    Ok(())
}

/// What a reader's bodies are recognised by, where no row says whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needles {
    /// Ids and e-mails, without case.
    words: BTreeSet<String>,
    /// Digits, as `phone` gives them.
    phones: BTreeSet<String>,
    /// Ids too short to be looked for.
    pub too_short: BTreeSet<String>,
}

impl Needles {
    /// What `who` and the readers it names are told by.
    pub(crate) fn of(conn: &Connection, who: &Who, matches: &[Match]) -> Result<Self, Error> {
        let mut needles = Self::default();
        needles.add(&who.text);
        for one in matches {
            for text in told_by(conn, one)? {
                needles.add(&text);
            }
        }
        Ok(needles)
    }

    /// What readers of these ids, e-mails and phones are told by.
    pub(crate) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Self::default();
        for text in texts {
            needles.add(text);
        }
        needles
    }

    fn add(&mut self, text: &str) {
        if let Some(phone) = phone(text) {
            // Shorter digits stand in every other number.
            if phone.len() >= PHONE_DIGITS_MIN {
                self.phones.insert(phone);
                return;
            }
        }
        if text.contains('@') || text.chars().count() >= WORD_MIN {
            self.words.insert(caseless(text));
        } else {
            self.too_short.insert(text.to_owned());
        }
    }

    /// There is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.phones.is_empty()
    }

    /// Whether any of them stands in `bytes`, as it is, as JSON or a form escapes it, or as a signed token carries it.
    pub(crate) fn are_in(&self, bytes: &[u8]) -> bool {
        let raw = String::from_utf8_lossy(bytes);
        let text = caseless(&raw);
        self.stand_in(&text)
            || text.contains('\\') && self.stand_in(&caseless(&without_json_escapes(&text)))
            || text.contains('%') && self.stand_in(&caseless(&without_form_escapes(&text)))
            || tokens(&raw).any(|told| {
                let told = caseless(&String::from_utf8_lossy(&told));
                self.stand_in(&told) || self.stand_in(&caseless(&without_json_escapes(&told)))
            })
    }

    fn stand_in(&self, text: &str) -> bool {
        self.words.iter().any(|word| stands_alone(text, word)) || self.phones_in(text)
    }

    /// Whether a run of digits, with what is written between them, is one of the phones.
    fn phones_in(&self, text: &str) -> bool {
        if self.phones.is_empty() {
            return false;
        }
        let between = |c: char| !(c.is_ascii_digit() || " +-().\u{a0}".contains(c));
        text.split(between).filter(|run| run.len() >= 7).any(|run| {
            phone(run).is_some_and(|found| {
                self.phones
                    .iter()
                    .any(|phone| same_phone(phone, &found).is_some())
            })
        })
    }
}

/// What the signed tokens in `text` say: the part in base64 behind one that holds a JSON object. Every character is
/// looked at a few times only, whatever a body holds.
fn tokens(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let parts = |run: &'_ str| -> Vec<Vec<u8>> {
        let heads = run.split('.').zip(run.split('.').skip(1));
        heads
            .filter(|(head, _)| head.contains("eyJ"))
            .filter_map(|(_, told)| URL_SAFE_NO_PAD.decode(told).ok())
            .collect()
    };
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .flat_map(parts)
}

/// All that `one` is or ever was told by: ids, aliases, and every e-mail and phone that an event gave.
pub(crate) fn told_by(conn: &Connection, one: &Match) -> Result<BTreeSet<String>, Error> {
    let own = [&one.email, &one.phone, &one.client_user_id];
    let mut told: BTreeSet<String> = own.into_iter().flatten().cloned().collect();
    told.insert(one.user_id.clone());
    let mut more = conn.prepare_cached(
        "select alias from user_aliases where provider = ?1 and account = ?2 and user_id = ?3
         union select email from events indexed by events_user
           where provider = ?1 and account = ?2 and user_id = ?3 and email is not null
         union select phone from events indexed by events_user
           where provider = ?1 and account = ?2 and user_id = ?3 and phone is not null",
    )?;
    let mut rows = more.query([&one.provider, &one.account, &one.user_id])?;
    while let Some(row) = rows.next()? {
        told.insert(text(row, 0)?.into_owned());
    }
    Ok(told)
}

/// Whether `word` stands in `text` and is no part of a longer one: `mary.ada@example.org` is not `ada@example.org`, and
/// neither is `ada@example.org.uk`.
fn stands_alone(text: &str, word: &str) -> bool {
    let address = word.contains('@');
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + word.len()..].chars();
        let (next, further) = (after.next(), after.next());
        let part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let joins =
            |c: Option<char>, joints: &[char]| address && c.is_some_and(|c| joints.contains(&c));
        !(part(before)
            || part(next)
            || joins(before, &['.', '_', '+', '-'])
            || joins(next, &['.', '-']) && part(further))
    })
}

/// `\u0040` and `\/` as the characters they stand for, the end of a line as one; surrogates as they are.
fn without_json_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(code) = rest.strip_prefix('u').and_then(|hex| hex.get(..4))
            && let Some(c) = u32::from_str_radix(code, 16).ok().and_then(char::from_u32)
        {
            out.push(c);
            rest = &rest[5..];
        } else if rest.starts_with(['n', 'r', 't', 'b', 'f']) {
            out.push('\n');
            rest = &rest[1..];
        } else if !rest.starts_with('/') {
            out.push('\\');
        }
    }
    out.push_str(rest);
    out
}

/// `%40` as the character it stands for.
fn without_form_escapes(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(escaped) = code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(escaped);
            rest = &after[2..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Numbers of some rows whose bytes hold a needle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Their numbers, in line.
    pub found: Vec<i64>,
    /// Everything up to here was looked at; `None`: that was all.
    pub to: Option<i64>,
}

/// The deliveries after `after` whose body, headers or key name a reader, of some hundred that are looked at.
pub(crate) fn naming_deliveries(
    conn: &Connection,
    needles: &Needles,
    after: i64,
) -> Result<Named, Error> {
    // A ledger of an older schema has dropped no body.
    let kept = if retention::is_known(conn)? {
        "case when body is null then (select reading from pruned p where p.seq = deliveries.seq) end"
    } else {
        "null"
    };
    let sql = format!(
        "select seq, headers, coalesce(dedupe_key, ''), body, {kept} from deliveries \
         where seq > ?1 order by seq limit ?2"
    );
    naming(conn, needles, after, &sql)
}

/// The same of requests that were turned away.
pub(crate) fn naming_rejected(
    conn: &Connection,
    needles: &Needles,
    after: i64,
) -> Result<Named, Error> {
    naming(
        conn,
        needles,
        after,
        "select id, headers, path, body, null from rejected where id > ?1 order by id limit ?2",
    )
}

fn naming(conn: &Connection, needles: &Needles, after: i64, sql: &str) -> Result<Named, Error> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([after, BODIES])?;
    let mut named = Named::default();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let body = body_bytes(row.get_ref(3)?);
        let texts = [row.get_ref(1)?, row.get_ref(2)?];
        let kept = body_bytes(row.get_ref(4)?).and_then(retention::unpack);
        let body = body.or(kept.as_deref());
        let holds = |value: ValueRef<'_>| body_bytes(value).is_some_and(|b| needles.are_in(b));
        if body.is_some_and(|body| needles.are_in(body)) || texts.into_iter().any(holds) {
            named.found.push(id);
        }
        count += 1;
        named.to = Some(id);
    }
    if count < BODIES {
        named.to = None;
    }
    Ok(named)
}

/// The deliveries that gave an event of `one`, in line.
pub(crate) fn deliveries_of(conn: &Connection, one: &Match) -> Result<Vec<i64>, Error> {
    let mut statement = conn.prepare_cached(
        "select distinct seq from events indexed by events_user \
         where provider = ?1 and account = ?2 and user_id = ?3",
    )?;
    let seqs = statement
        .query_map([&one.provider, &one.account, &one.user_id], |row| {
            row.get(0)
        })?
        .collect::<rusqlite::Result<BTreeSet<i64>>>()?;
    Ok(seqs.into_iter().collect())
}

/// Whether an event of delivery `seq` is about somebody who is none of `matches`.
pub(crate) fn names_others(conn: &Connection, seq: i64, matches: &[Match]) -> Result<bool, Error> {
    let own: HashSet<(&str, &str, &str)> = matches
        .iter()
        .map(|one| (&*one.provider, &*one.account, &*one.user_id))
        .collect();
    let mut statement = conn.prepare_cached(
        "select provider, account, user_id from events \
         where id >= ?1 * 10000 and id < (?1 + 1) * 10000 and user_id is not null",
    )?;
    let mut rows = statement.query([seq])?;
    while let Some(row) = rows.next()? {
        let texts = [row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?];
        let [provider, account, user_id] = texts.map(|value| value.as_str().unwrap_or_default());
        if !own.contains(&(provider, account, user_id)) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Reader {
    /// Every reader that `who` names.
    pub fn readers(&self, who: &Who) -> Result<Vec<Match>, Error> {
        self.with(|conn| matches(conn, who))
    }

    /// Every reader whom `who` may mean and does not name: told of, never taken.
    pub fn similar(&self, who: &Who) -> Result<Vec<Match>, Error> {
        self.with(|conn| similar(conn, who))
    }

    /// What their bodies are recognised by.
    pub fn needles(&self, who: &Who, matches: &[Match]) -> Result<Needles, Error> {
        self.with(|conn| Needles::of(conn, who, matches))
    }

    /// The deliveries that gave an event of `one`, in line.
    pub fn deliveries_of(&self, one: &Match) -> Result<Vec<i64>, Error> {
        self.with(|conn| deliveries_of(conn, one))
    }

    /// Whether an event of delivery `seq` is about somebody who is none of `matches`.
    pub fn names_others(&self, seq: i64, matches: &[Match]) -> Result<bool, Error> {
        self.with(|conn| names_others(conn, seq, matches))
    }

    /// The next deliveries after `after` that name them, whatever was read out of them.
    pub fn naming_deliveries(&self, needles: &Needles, after: i64) -> Result<Named, Error> {
        self.with(|conn| naming_deliveries(conn, needles, after))
    }

    /// The next requests that were turned away after `after` and name them.
    pub fn naming_rejected(&self, needles: &Needles, after: i64) -> Result<Named, Error> {
        self.with(|conn| naming_rejected(conn, needles, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDERS: [&str; 2] = ["klustr", "zotlo"];

    #[test]
    fn only_a_provider_stands_before_the_colon() {
        let parsed = |text| Who::parse(text, &PROVIDERS);
        let who = |provider: Option<&str>, account: Option<&str>, text: &str| {
            Ok(Who {
                provider: provider.map(str::to_owned),
                account: account.map(str::to_owned),
                text: text.to_owned(),
            })
        };
        assert_eq!(parsed(" a@example.org "), who(None, None, "a@example.org"));
        assert_eq!(parsed("zotlo:1:1"), who(Some("zotlo"), None, "1:1"));
        assert_eq!(
            parsed("zotlo/weekly:x"),
            who(Some("zotlo"), Some("weekly"), "x")
        );
        assert_eq!(parsed("lead:123"), who(None, None, "lead:123"));
        assert_eq!(parsed("  "), Err(WhoError::Empty));
        assert_eq!(parsed("zotlo: "), Err(WhoError::Empty));
        assert_eq!(parsed(&"x".repeat(1_001)), Err(WhoError::TooLong));
    }

    #[test]
    fn an_i_without_its_dot_is_perhaps_somebody_else() {
        let same = |one: &str, other: &str| Sought::of(one).is_id(other);
        for (one, other, is) in [
            ("Ada@Example.org", "ada@example.ORG", Some(Same::Surely)),
            ("IPEK@example.org", "ipek@example.org", Some(Same::Surely)),
            ("ıpek@example.org", "ipek@example.org", Some(Same::Perhaps)),
            ("İPEK@example.org", "ipek@example.org", Some(Same::Perhaps)),
            ("ıpek@example.org", "ıpek@example.org", Some(Same::Surely)),
            ("Ipek", "ipek", None),
        ] {
            assert_eq!(same(one, other), is, "{one} {other}");
        }
    }

    #[test]
    fn phones_are_compared_by_their_digits() {
        for (one, other, by) in [
            ("+90 532 000 00 01", "905320000001", Some(By::Phone)),
            ("0090 532 000 00 01", "905320000001", Some(By::Phone)),
            (
                "0532 000 00 01",
                "905320000001",
                Some(By::PhoneWithoutPrefix),
            ),
            (
                "5320000001",
                "+90 (532) 000-00-01",
                Some(By::PhoneWithoutPrefix),
            ),
            ("905320000001", "915320000001", None),
            ("0000001", "905320000001", None),
            ("320000001", "905320000001", Some(By::PhoneWithoutPrefix)),
            ("20000001", "905320000001", None),
        ] {
            let found = Sought::of(one).phone_by(other);
            assert_eq!(found, by, "{one} {other}");
        }
        assert_eq!(phone("a@example.org"), None);
        assert_eq!(phone("12 34"), None);
    }

    #[test]
    fn a_body_names_a_reader_however_it_is_escaped() {
        let mut needles = Needles::default();
        needles.add("Ada@Example.org");
        needles.add("+90 532 000 00 01");
        needles.add("short");
        assert_eq!(needles.too_short.len(), 1);
        for (body, named) in [
            (r#"{"email":"ADA@example.org"}"#, true),
            (r#"{"email":"ada\u0040example.org"}"#, true),
            ("email=ada%40example.org&x=1", true),
            (r#"{"note":"of\nada@example.org\nand"}"#, true),
            (r#"{"note":"of\tADA@example.org"}"#, true),
            (r#"{"phone":"call\n0532 000 00 01"}"#, true),
            (
                r#"{"token":"eyJhbGciOiJIUzI1NiJ9.QURBQGV4YW1wbGUub3Jn.c2ln"}"#,
                true,
            ),
            (
                r#"{"token":"eyJhbGciOiJIUzI1NiJ9.bWFyeUBleGFtcGxlLm9yZw.c2ln"}"#,
                false,
            ),
            ("write to ada@example.org.", true),
            ("write to ada@example.org. Or not", true),
            ("<mailto:ada@example.org>", true),
            (r#"{"email":"xada@example.org"}"#, false),
            (r#"{"email":"mary.ada@example.org"}"#, false),
            (r#"{"email":"mary+ada@example.org"}"#, false),
            ("email=mary%2Bada%40example.org", false),
            (r#"{"email":"mary-ada@example.org"}"#, false),
            (r#"{"email":"mary_ada@example.org"}"#, false),
            (r#"{"email":"ada@example.org.uk"}"#, false),
            (r#"{"email":"ada@example.org-shop.example"}"#, false),
            (r#"{"email":"ada@example.orgs"}"#, false),
            (r#"{"phone":"0532-000-00-01"}"#, true),
            (r#"{"phone":905320000001}"#, true),
            (r#"{"at":1905320000001999}"#, false),
            (r#"{"word":"short"}"#, false),
        ] {
            assert_eq!(needles.are_in(body.as_bytes()), named, "{body}");
        }
        assert!(needles.are_in(b"\xff\x00ada@example.org\xff"));
    }
}
