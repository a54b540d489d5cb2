//! The memory of erasures: whom and what nothing may bring back, without saying who it was.
//!
//! `erased_readers` and `erased_keys` hold HMACs with a key of the ledger's own. The same stands line by line in a file
//! beside the ledger (`<database>.erased`), with the places of what was erased: it outlives a ledger that is lost and
//! restored from an older backup. Whoever has key and hashes can try guesses, so both are as private as the ledger.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::delivery::{Delivery, Reading};
use crate::domain::query::folded;
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::project::residue;
use crate::store::query::who::phone;
use crate::store::schema::{beside, hex, meta, random, set_meta, unhex};
use crate::store::seal::seal_of;

/// The key in `meta` that holds the key of the hashes: there from the first erasure on.
const KEY: &str = "erasure_key";

/// Hashes what must be recognised and not be read.
pub(crate) struct Sealer([u8; 32]);

/// Whose: an account at a provider, or everybody's.
pub(crate) type Place<'a> = Option<(&'a str, &'a str)>;

impl Sealer {
    /// The ledger's own; `None` where nothing was ever erased.
    pub(crate) fn load(conn: &Connection) -> Result<Option<Self>, Error> {
        let key = meta(conn, KEY)?.and_then(|text| unhex(&text));
        Ok(key.map(Self))
    }

    /// The ledger's own, made if there is none, in the caller's transaction.
    pub(crate) fn obtain(conn: &Connection) -> Result<Self, Error> {
        if let Some(known) = Self::load(conn)? {
            return Ok(known);
        }
        let key = random::<32>()?;
        set_meta(conn, KEY, &hex(&key))?;
        Ok(Self(key))
    }

    fn seal(&self, fields: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key");
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        mac.finalize().into_bytes().into()
    }

    /// What a reader is told by: an id as it is, an e-mail in lower case, a phone by its digits.
    pub(crate) fn reader(&self, place: Place<'_>, text: &str) -> [u8; 32] {
        let (kind, text) = match phone(text) {
            Some(digits) => ("phone", digits),
            None if text.contains('@') => ("e-mail", folded(text)),
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
    pub(crate) fn key(&self, hash: &[u8]) -> [u8; 32] {
        self.seal(&[b"key", hash])
    }

    /// A body, by its SHA-256 in hex.
    pub(crate) fn body(&self, sha256: &str) -> [u8; 32] {
        self.seal(&[b"body", sha256.as_bytes()])
    }

    /// A saved filter, by its text.
    pub(crate) fn view(&self, query: &str) -> [u8; 32] {
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
            if is_erased(conn, &sealer.reader(place, text), at)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a reader of this hash was erased after `at`.
pub(crate) fn is_erased(conn: &Connection, hash: &[u8; 32], at: Timestamp) -> Result<bool, Error> {
    Ok(conn
        .prepare_cached("select 1 from erased_readers where hash = ?1 and until >= ?2")?
        .exists(params![hash, at.to_string()])?)
}

/// Whether something of this hash was erased.
pub(crate) fn is_known(conn: &Connection, hash: &[u8; 32]) -> Result<bool, Error> {
    Ok(conn
        .prepare_cached("select 1 from erased_keys where hash = ?1")?
        .exists([hash])?)
}

/// The erased delivery that was recognised by this hash of `delivery_keys`.
pub(crate) fn first_of(conn: &Connection, hash: &[u8]) -> Result<Option<i64>, Error> {
    let Some(sealer) = Sealer::load(conn)? else {
        return Ok(None);
    };
    let seq: Option<Option<i64>> = conn
        .prepare_cached("select seq from erased_keys where hash = ?1")?
        .query_row([sealer.key(hash)], |row| row.get(0))
        .optional()?;
    Ok(seq.flatten())
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
    /// The key that `conn` has.
    pub(crate) fn key(sealer: &Sealer) -> Self {
        Self::Key(hex(&sealer.0))
    }

    /// Writes it down in the ledger itself; `Delivery` lines stand in the deliveries.
    pub(crate) fn store(&self, conn: &Connection) -> Result<(), Error> {
        match self {
            Self::Key(key) => set_meta(conn, KEY, key),
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

fn seal_row(hash: Option<&[u8; 32]>, more: ValueRef<'_>) -> i64 {
    let hash = hash.map_or(ValueRef::Null, |hash| ValueRef::Blob(hash));
    seal_of([hash, more].into_iter())
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

/// Adds lines and has them on disk when it returns. One that stands there twice does no harm.
pub(crate) fn add(path: &Path, lines: &[Line]) -> Result<(), Error> {
    let file = file(path);
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line).expect("plain values are always JSON"));
        text.push('\n');
    }
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut open| {
            // A line that a crash cut short is ended, so that it spoils no other.
            open.write_all(b"\n")?;
            open.write_all(text.as_bytes())?;
            open.sync_all()
        });
    written.map_err(|source| match source.kind() {
        ErrorKind::StorageFull | ErrorKind::ReadOnlyFilesystem => {
            Error::Unwritable(format!("{}: {source}", file.display()))
        }
        _ => Error::Io {
            path: file,
            cause: source,
        },
    })
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
    // One that was cut short belongs to a step that was never committed, and was written again.
    Ok(lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}
