//! The memory of erasures: whom and what nothing may bring back, without saying who it was.
//!
//! `erased_readers` and `erased_keys` hold HMACs with a key of the ledger's own. The same stands line by line in a file
//! beside the ledger (`<database>.erased`), with the places of what was erased: it outlives a ledger that is lost and
//! restored from an older backup, and it is written again from the ledger where it is missing, so that a backup alone
//! carries it to another machine. Whoever has key and hashes can try guesses, so both are as private as the ledger.

use std::collections::{BTreeSet, HashSet};
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::delivery::{Delivery, Reading};
use crate::domain::query::caseless;
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::project::residue;
use crate::store::query::who::phone;
use crate::store::schema::{beside, hex, meta, random, set_meta, unhex};
use crate::store::seal::seal_of;

/// The key in `meta` that holds the key of the hashes: there from the first erasure on.
const KEY: &str = "erasure_key";

/// Hashes what must be recognised and not be read.
///
/// A ledger has one key, and those of ledgers whose erasures it took over.
pub(crate) struct Sealer(Vec<[u8; 32]>);

/// Whose: an account at a provider, or everybody's.
pub(crate) type Place<'a> = Option<(&'a str, &'a str)>;

/// One thing under every key, the ledger's own first.
pub(crate) struct Hashes(Vec<[u8; 32]>);

impl Hashes {
    /// The one that is written down, hex.
    pub(crate) fn own(&self) -> String {
        hex(&self.0[0])
    }
}

impl Sealer {
    /// The ledger's own; `None` where nothing was ever erased.
    pub(crate) fn load(conn: &Connection) -> Result<Option<Self>, Error> {
        let keys: Vec<_> = meta(conn, KEY)?
            .iter()
            .flat_map(|text| text.split(','))
            .filter_map(unhex)
            .collect();
        Ok((!keys.is_empty()).then_some(Self(keys)))
    }

    /// The ledger's own, made if there is none, in the caller's transaction.
    pub(crate) fn obtain(conn: &Connection) -> Result<Self, Error> {
        if let Some(known) = Self::load(conn)? {
            return Ok(known);
        }
        let key = random::<32>()?;
        set_meta(conn, KEY, &hex(&key))?;
        Ok(Self(vec![key]))
    }

    fn seal(&self, fields: &[&[u8]]) -> Hashes {
        let under = |key: &[u8; 32]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
            for field in fields {
                mac.update(&(field.len() as u64).to_be_bytes());
                mac.update(field);
            }
            mac.finalize().into_bytes().into()
        };
        Hashes(self.0.iter().map(under).collect())
    }

    /// What a reader is told by: an id as it is, an e-mail in lower case, a phone by its digits.
    pub(crate) fn reader(&self, place: Place<'_>, text: &str) -> Hashes {
        let (kind, text) = match phone(text) {
            Some(digits) => ("phone", digits),
            None if text.contains('@') => ("e-mail", caseless(text)),
            None => ("id", text.to_owned()),
        };
        let (provider, account) = place.unwrap_or_default();
        self.seal(&[
            kind.as_bytes(),
            provider.as_bytes(),
            account.as_bytes(),
            text.as_bytes(),
        ])
    }

    /// What a delivery is recognised by: the hash in `delivery_keys`.
    pub(crate) fn key(&self, hash: &[u8]) -> Hashes {
        self.seal(&[b"key", hash])
    }

    /// A body, by its SHA-256 in hex.
    pub(crate) fn body(&self, sha256: &str) -> Hashes {
        self.seal(&[b"body", sha256.as_bytes()])
    }

    /// A saved filter, by its text.
    pub(crate) fn view(&self, query: &str) -> Hashes {
        self.seal(&[b"view", query.as_bytes()])
    }
}

/// SHA-256 of a body in hex, as `rejected` has it.
pub(crate) fn body_hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// Whether `delivery`, which had arrived at `at`, is about a reader who was erased since, or is one that was erased.
pub(crate) fn covers(
    conn: &Connection,
    delivery: &Delivery,
    reading: &Reading,
    at: Timestamp,
) -> Result<bool, Error> {
    let Some(sealer) = Sealer::load(conn)? else {
        return Ok(false);
    };
    if is_known(conn, &sealer.body(&body_hash(&delivery.body)))? {
        return Ok(true);
    }
    let place = (delivery.provider.as_str(), delivery.account.as_str());
    let mut texts: BTreeSet<&str> = BTreeSet::new();
    for event in reading.events() {
        let subject = &event.subject;
        let own = [&subject.user_id, &subject.email, &subject.phone];
        texts.extend(own.into_iter().flatten().map(String::as_str));
        texts.extend(subject.client_user_id.as_deref());
        texts.extend(subject.aliases.iter().map(|(alias, _)| alias.as_str()));
    }
    for text in texts {
        for place in [Some(place), Some((place.0, "")), None] {
            let until = erased_until(conn, &sealer.reader(place, text))?;
            if until.is_some_and(|until| until >= at.to_string()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Up to when everything about a reader of these hashes was erased.
pub(crate) fn erased_until(conn: &Connection, hashes: &Hashes) -> Result<Option<String>, Error> {
    let mut latest = None;
    for hash in &hashes.0 {
        let until: Option<String> = conn
            .prepare_cached("select until from erased_readers where hash = ?1")?
            .query_row([hash], |row| row.get(0))
            .optional()?;
        latest = latest.max(until);
    }
    Ok(latest)
}

/// Whether something of these hashes was erased.
pub(crate) fn is_known(conn: &Connection, hashes: &Hashes) -> Result<bool, Error> {
    for hash in &hashes.0 {
        let known = conn
            .prepare_cached("select 1 from erased_keys where hash = ?1")?
            .exists([hash])?;
        if known {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The erased delivery that was recognised by this hash of `delivery_keys`.
pub(crate) fn first_of(conn: &Connection, hash: &[u8]) -> Result<Option<i64>, Error> {
    let Some(sealer) = Sealer::load(conn)? else {
        return Ok(None);
    };
    for hash in &sealer.key(hash).0 {
        let seq = conn
            .prepare_cached("select seq from erased_keys where hash = ?1 and seq is not null")?
            .query_row([hash], |row| row.get(0))
            .optional()?;
        if seq.is_some() {
            return Ok(seq);
        }
    }
    Ok(None)
}

/// One line of the file beside the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// The key of the hashes that follow, hex.
    Key(String),
    /// A reader, and up to when.
    Reader {
        /// Hex.
        hash: String,
        /// A time.
        until: String,
    },
    /// What a delivery, a body or a saved filter is recognised by.
    Known {
        /// Hex.
        hash: String,
        /// The first delivery with it.
        seq: Option<i64>,
    },
    /// An erased delivery.
    Delivery {
        /// Its place.
        seq: i64,
        /// Its link, hex: the same place in another ledger is another delivery.
        link: String,
        /// What is left of its events.
        residue: Vec<Left>,
    },
}

/// A row of `residue`, but for its delivery: its columns by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Left(serde_json::Value);

/// What is left of delivery `seq`.
pub(crate) fn left_of(conn: &Connection, seq: i64) -> Result<Vec<Left>, Error> {
    let columns: Vec<_> = left_columns()
        .map(|name| format!("'{name}', {name}"))
        .collect();
    let mut statement = conn.prepare_cached(&format!(
        "select json_object({}) from residue where seq = ?1 order by n, what, place",
        columns.join(", ")
    ))?;
    let rows = statement.query_map([seq], |row| row.get::<_, String>(0))?;
    let mut left = Vec::new();
    for row in rows {
        let columns = serde_json::from_str(&row?).expect("SQLite writes JSON");
        left.push(Left(columns));
    }
    Ok(left)
}

fn left_columns() -> impl Iterator<Item = &'static str> {
    residue::COLUMNS
        .iter()
        .copied()
        .filter(|name| *name != "seq")
}

impl Left {
    /// Writes it down as what is left of delivery `seq`.
    pub(crate) fn store(&self, conn: &Connection, seq: i64) -> Result<(), Error> {
        let columns: Vec<_> = left_columns().collect();
        let values: Vec<_> = left_columns()
            .map(|name| format!("?2 ->> '$.{name}'"))
            .collect();
        conn.prepare_cached(&format!(
            "insert into residue (seq, {}) values (?1, {}) on conflict do nothing",
            columns.join(", "),
            values.join(", ")
        ))?
        .execute(params![seq, self.0.to_string()])?;
        Ok(())
    }
}

impl Line {
    /// The keys that a ledger has.
    pub(crate) fn keys(sealer: &Sealer) -> Vec<Self> {
        sealer.0.iter().map(|key| Self::Key(hex(key))).collect()
    }

    /// A reader, erased up to `until`.
    pub(crate) fn reader(hashes: &Hashes, until: &str) -> Self {
        Self::Reader {
            hash: hashes.own(),
            until: until.to_owned(),
        }
    }

    /// What a delivery, a body or a saved filter is recognised by.
    pub(crate) fn known(hashes: &Hashes, seq: Option<i64>) -> Self {
        Self::Known {
            hash: hashes.own(),
            seq,
        }
    }

    /// Whether it can be written down in a ledger: a file may be damaged.
    fn is_whole(&self) -> bool {
        let is_hash = |hash: &str| unhex::<32>(hash).is_some();
        match self {
            Self::Key(key) => is_hash(key),
            Self::Reader { hash, until } => is_hash(hash) && Timestamp::parse(until).is_some(),
            Self::Known { hash, .. } | Self::Delivery { link: hash, .. } => is_hash(hash),
        }
    }

    /// Whether the ledger has it.
    pub(crate) fn is_known(&self, conn: &Connection) -> Result<bool, Error> {
        Ok(match self {
            Self::Key(key) => {
                let known = meta(conn, KEY)?.unwrap_or_default();
                known.split(',').any(|one| one == key)
            }
            Self::Reader { hash, until } => conn
                .prepare_cached("select 1 from erased_readers where hash = ?1 and until >= ?2")?
                .exists(params![unhex::<32>(hash), until])?,
            Self::Known { hash, .. } => conn
                .prepare_cached("select 1 from erased_keys where hash = ?1")?
                .exists([unhex::<32>(hash)])?,
            // The same place in another ledger is another delivery.
            Self::Delivery { seq, link, .. } => !conn
                .prepare_cached(
                    "select 1 from deliveries where seq = ?1 and lower(hex(link)) = ?2 and erased_at is null",
                )?
                .exists(params![seq, link])?,
        })
    }

    /// Writes it down in the ledger itself; `Delivery` lines stand in the deliveries.
    pub(crate) fn store(&self, conn: &Connection) -> Result<(), Error> {
        match self {
            Self::Key(key) => add_key(conn, key),
            Self::Reader { hash, until } => {
                let hash = unhex::<32>(hash);
                let seal = seal_row(hash.as_ref(), ValueRef::from(until.as_str()));
                conn.prepare_cached(
                    "insert into erased_readers (hash, until, seal) values (?1, ?2, ?3)
                     on conflict (hash) do update set until = excluded.until, seal = excluded.seal
                     where excluded.until > until",
                )?
                .execute(params![hash, until, seal])?;
                Ok(())
            }
            Self::Known { hash, seq } => {
                let hash = unhex::<32>(hash);
                let seal = seal_row(hash.as_ref(), seq.map_or(ValueRef::Null, ValueRef::Integer));
                conn.prepare_cached(
                    "insert into erased_keys (hash, seq, seal) values (?1, ?2, ?3) on conflict (hash) do nothing",
                )?
                .execute(params![hash, seq, seal])?;
                Ok(())
            }
            Self::Delivery { .. } => Ok(()),
        }
    }
}

fn add_key(conn: &Connection, key: &str) -> Result<(), Error> {
    let known = meta(conn, KEY)?.unwrap_or_default();
    if unhex::<32>(key).is_none() || known.split(',').any(|one| one == key) {
        return Ok(());
    }
    if known.is_empty() {
        set_meta(conn, KEY, key)
    } else {
        set_meta(conn, KEY, &format!("{known},{key}"))
    }
}

fn seal_row(hash: Option<&[u8; 32]>, more: ValueRef<'_>) -> i64 {
    let hash = hash.map_or(ValueRef::Null, |hash| ValueRef::Blob(hash));
    seal_of([hash, more].into_iter())
}

/// Whether there are hashes and not one whole key that they were made with: nobody would be recognised.
pub(crate) fn lacks_key(conn: &Connection) -> Result<bool, Error> {
    let text = meta(conn, KEY)?.unwrap_or_default();
    let whole = !text.is_empty() && text.split(',').all(|key| unhex::<32>(key).is_some());
    let hashes = "select 1 from erased_readers union all select 1 from erased_keys";
    Ok(!whole && (!text.is_empty() || conn.prepare(hashes)?.exists([])?))
}

/// How many lines of the file beside the ledger at `path` that ledger does not have.
pub(crate) fn unknown(conn: &Connection, path: &Path) -> Result<u64, Error> {
    let mut unknown = 0;
    for line in lines(path)? {
        if !line.is_known(conn)? {
            unknown += 1;
        }
    }
    Ok(unknown)
}

/// How many rows of the memory are not what was written.
pub(crate) fn damaged(conn: &Connection) -> Result<u64, Error> {
    let mut damaged = 0;
    for sql in [
        "select hash, until, seal from erased_readers",
        "select hash, seq, seal from erased_keys",
    ] {
        let mut statement = conn.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let values = [row.get_ref(0)?, row.get_ref(1)?];
            if seal_of(values.into_iter()) != row.get::<_, i64>(2)? {
                damaged += 1;
            }
        }
    }
    Ok(damaged)
}

/// Where the lines of the ledger at `path` stand.
pub(crate) fn file(path: &Path) -> PathBuf {
    beside(path, ".erased")
}

/// Has everything that the ledger at `path` remembers in the file beside it too, on disk when it returns.
pub(crate) fn mirror(conn: &Connection, path: &Path) -> Result<(), Error> {
    let remembered = remembered(conn)?;
    if remembered.is_empty() {
        return Ok(());
    }
    let written = |line: &Line| serde_json::to_string(line).expect("plain values are always JSON");
    let there: HashSet<String> = lines(path)?.iter().map(written).collect();
    let missing: Vec<String> = remembered
        .iter()
        .map(written)
        .filter(|line| !there.contains(line))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    // A line that a crash cut short is ended, so that it spoils no other.
    add(&file(path), &format!("\n{}\n", missing.join("\n")))
}

fn add(file: &Path, text: &str) -> Result<(), Error> {
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut open| {
            open.write_all(text.as_bytes())?;
            open.sync_all()
        });
    written.map_err(|source| unwritable(file, source))
}

/// What is wrong where `file` cannot be written.
pub(crate) fn unwritable(file: &Path, cause: io::Error) -> Error {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Error::Full(format!("{}: {cause}", file.display()))
        }
        ErrorKind::ReadOnlyFilesystem => Error::Unwritable(format!("{}: {cause}", file.display())),
        _ => Error::Io {
            path: file.to_owned(),
            cause,
        },
    }
}

/// The lines of the ledger at `path`, in the order in which they were written; none if nothing was ever erased there.
pub(crate) fn lines(path: &Path) -> Result<Vec<Line>, Error> {
    let file = file(path);
    let text = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(Error::Io {
                path: file,
                cause: source,
            });
        }
    };
    let lines = text.split(|byte| *byte == b'\n');
    // The ledger remembers what a line said that was cut short or damaged, and writes it again.
    Ok(lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .filter(Line::is_whole)
        .collect())
}

/// What a ledger itself remembers, as such lines.
pub(crate) fn remembered(conn: &Connection) -> Result<Vec<Line>, Error> {
    let Some(sealer) = Sealer::load(conn)? else {
        return Ok(Vec::new());
    };
    let mut lines = Line::keys(&sealer);
    let mut readers = conn.prepare("select lower(hex(hash)), until from erased_readers")?;
    for row in readers.query_map([], |row| {
        Ok(Line::Reader {
            hash: row.get(0)?,
            until: row.get(1)?,
        })
    })? {
        lines.push(row?);
    }
    let mut keys = conn.prepare("select lower(hex(hash)), seq from erased_keys")?;
    for row in keys.query_map([], |row| {
        Ok(Line::Known {
            hash: row.get(0)?,
            seq: row.get(1)?,
        })
    })? {
        lines.push(row?);
    }
    let mut left = conn.prepare(
        "select seq, lower(hex(link)) from deliveries
         where seq in (select seq from residue where why = 'erased') and erased_at is not null",
    )?;
    let mut rows = left.query([])?;
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        lines.push(Line::Delivery {
            seq,
            link: row.get(1)?,
            residue: left_of(conn, seq)?,
        });
    }
    Ok(lines)
}
