//! All that is held about a reader, and the evidence of what they agreed to.
//!
//! Lists come a page at a time, deliveries one at a time: whoever asks decides how much there is in memory.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use crate::domain::event::ConsentKind;
use crate::domain::page::{Cursor, List, Page};
use crate::domain::query::Key;
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::append::{body_bytes, commit_to, link_of};
use crate::store::project::standing::{self, AtTime, Consent};
use crate::store::query::detail::{exactly, text_of};
use crate::store::query::who::Match;
use crate::store::query::{Reader, Sql};
use crate::store::schema::hex;
use crate::store::upkeep::retention;

/// Links that are followed under one snapshot.
const LINKS: i64 = 10_000;

/// The lists that hold rows of one reader.
pub const LISTS_OF_A_READER: [List; 6] = [
    List::Subscriptions,
    List::Cancellations,
    List::Payments,
    List::Consents,
    List::Changes,
    List::Events,
];

/// How a delivery stands in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The delivery.
    pub seq: i64,
    /// When it had arrived, as stored.
    pub received_at: String,
    /// The provider.
    pub provider: String,
    /// The account.
    pub account: String,
    /// The hook.
    pub hook: String,
    /// Hex; `None` when erased, or dropped for its age.
    pub salt: Option<String>,
    /// Hex.
    pub commitment: String,
    /// The link before it, hex; zeros before the first.
    pub previous: String,
    /// Hex.
    pub link: String,
    /// When its body was erased.
    pub erased_at: Option<String>,
    /// What is wrong with it or with what follows; `None`: nothing.
    pub wrong: Option<String>,
    /// The newest delivery, to which every link was followed.
    pub head_seq: i64,
    /// Its link, hex.
    pub head: String,
}

impl Reader {
    /// A page of `one`'s rows in `list`.
    pub fn rows_of(
        &self,
        one: &Match,
        list: List,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, Error> {
        let query = exactly(Key::Provider, &one.provider)
            .and(&exactly(Key::Account, &one.account))
            .and(&exactly(Key::User, &one.user_id));
        let mut page = self.page(list, &query, cursor, limit)?;
        // `user:` also means those whom the id is an alias of: they are other readers.
        page.rows
            .retain(|row| text_of(list, row, "user_id") == one.user_id);
        Ok(page)
    }

    /// Every consent that was ever told of `matches`, in order.
    pub fn consents_of(&self, matches: &[Match]) -> Result<Vec<Consent>, Error> {
        const CHANGED: &str = "select distinct kind, app, purpose from consent_changes \
            where provider = ?1 and account = ?2 and user_id = ?3 order by 3, 1, 2";
        let mut consents = BTreeSet::new();
        for one in matches {
            let key = [&one.provider, &one.account, &one.user_id].map(|key| Sql::from(key.clone()));
            self.each(CHANGED, &key, |row| {
                if let Some(kind) = ConsentKind::from_word(row.get_ref(0)?.as_str()?) {
                    consents.insert(Consent {
                        provider: one.provider.clone(),
                        account: one.account.clone(),
                        user_id: one.user_id.clone(),
                        kind,
                        app: row.get(1)?,
                        purpose: row.get(2)?,
                    });
                }
                Ok(())
            })?;
        }
        Ok(consents.into_iter().collect())
    }

    /// `consent` as it stood at `at`.
    pub fn consent_at(&self, consent: &Consent, at: Timestamp) -> Result<AtTime, Error> {
        self.with(|conn| standing::at_time(conn, consent, at))
    }

    /// Where delivery `seq` stands in the chain: its body is hashed again, and every link from the one before it to the
    /// newest is followed. `None` if there is no such delivery. `check` is asked now and then whether to go on.
    pub fn link(
        &self,
        seq: i64,
        check: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<Option<Link>, Error> {
        let Some(mut link) = self.with(|conn| own_link(conn, seq))? else {
            return Ok(None);
        };
        let mut before = link.previous.clone();
        let mut next = seq;
        loop {
            check()?;
            let (count, broken) = self.with(|conn| follow(conn, &mut next, &mut before))?;
            if let Some(broken) = broken {
                let wrong =
                    format!("the link of delivery {broken} does not follow from the one before it");
                if link
                    .wrong
                    .as_ref()
                    .is_none_or(|known| known.ends_with(ERASED) || known.ends_with(PRUNED))
                {
                    link.wrong = Some(wrong);
                }
            }
            if count < LINKS {
                break;
            }
        }
        (link.head_seq, link.head) = (next - 1, before);
        Ok(Some(link))
    }
}

/// What can be said of a delivery without a body, as long as no link is broken.
const ERASED: &str = "its body was erased and cannot be compared any more; its commitment and every link since then hold";

const PRUNED: &str = "its body was dropped for its age and cannot be compared any more; its commitment and every link since \
    then hold";

/// The delivery itself: its commitment recomputed, its link not yet.
fn own_link(conn: &Connection, seq: i64) -> Result<Option<Link>, Error> {
    let previous: Option<Vec<u8>> = conn
        .query_row(
            "select link from deliveries where seq = ?1",
            [seq - 1],
            |row| row.get(0),
        )
        .optional()?;
    let found = conn
        .query_row(
            "select received_at, provider, account, hook, salt, commitment, link, erased_at, body \
             from deliveries where seq = ?1",
            [seq],
            |row| {
                let salt: Option<Vec<u8>> = row.get(4)?;
                let commitment: Vec<u8> = row.get(5)?;
                let wrong = match (body_bytes(row.get_ref(8)?), &salt) {
                    (Some(body), Some(salt)) if commit_to(salt, body)[..] == commitment[..] => None,
                    (Some(_), Some(_)) => Some("its body is not the one that was acknowledged"),
                    _ if retention::is_pruned(conn, seq) => Some(PRUNED),
                    _ if row.get_ref(7)? == rusqlite::types::ValueRef::Null => {
                        Some("its body is gone, and nothing says that it was erased")
                    }
                    _ => Some(ERASED),
                };
                Ok(Link {
                    seq,
                    received_at: row.get(0)?,
                    provider: row.get(1)?,
                    account: row.get(2)?,
                    hook: row.get(3)?,
                    salt: salt.as_deref().map(hex),
                    commitment: hex(&commitment),
                    previous: hex(&previous.clone().unwrap_or_else(|| vec![0; 32])),
                    link: hex(&row.get::<_, Vec<u8>>(6)?),
                    erased_at: row.get(7)?,
                    wrong: wrong.map(|what| format!("delivery {seq}: {what}")),
                    head_seq: seq,
                    head: String::new(),
                })
            },
        )
        .optional()?;
    Ok(found)
}

/// Follows some links from delivery `next` on, the one before it having the link `before` (hex): how many, and the
/// first that does not follow.
fn follow(
    conn: &Connection,
    next: &mut i64,
    before: &mut String,
) -> Result<(i64, Option<i64>), Error> {
    let mut statement = conn.prepare_cached(
        "select seq, received_at, provider, account, hook, commitment, link from deliveries \
         where seq >= ?1 order by seq limit ?2",
    )?;
    let mut rows = statement.query([*next, LINKS])?;
    let (mut count, mut broken) = (0, None);
    let mut previous = bytes_of(before);
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let texts = [1, 2, 3, 4].map(|place| row.get::<_, String>(place).unwrap_or_default());
        let commitment: Vec<u8> = row.get(5)?;
        let link: Vec<u8> = row.get(6)?;
        let names = [&*texts[1], &*texts[2], &*texts[3]];
        let expected = link_of(&previous, seq, &texts[0], names, &commitment);
        if broken.is_none() && (seq != *next || expected[..] != link[..]) {
            broken = Some(*next);
        }
        *next = seq + 1;
        previous = link;
        count += 1;
    }
    *before = hex(&previous);
    Ok((count, broken))
}

/// What `hex` wrote.
fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .filter_map(|place| u8::from_str_radix(hex.get(place * 2..place * 2 + 2)?, 16).ok())
        .collect()
}
