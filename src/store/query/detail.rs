//! One record with all that belongs to it.

use rusqlite::types::{Value as Sql, ValueRef};

use crate::domain::page::{Cursor, List, Row, RowKey};
use crate::domain::query::{Bounds, Expr, Key, Query, Term, Test, Value};
use crate::store::Error;
use crate::store::query::lists::{columns, projection};
use crate::store::query::who::text;
use crate::store::query::{Reader, cells};

/// So many rows of each list stand on a reader's page.
const ROWS_MAX: usize = 200;
const USER_KEY: &str = "select last_seen_at, id from users where id = ?1";
/// So many other readers are shown as also seen.
const ALSO_MAX: usize = 50;

/// One delivery.
#[derive(Clone, Debug)]
pub struct Detail {
    /// Its columns, those of `List::Deliveries`; headers and body stand below.
    pub row: Row,
    /// Names and values, in the order sent; credentials are fingerprints.
    pub headers: Vec<(String, String)>,
    /// The exact bytes; `None` when erased, or dropped for its age.
    pub body: Option<Vec<u8>>,
    /// Why there are no bytes; empty where there are.
    pub gone: &'static str,
    /// What was read out of it: rows of `List::Events`, in order.
    pub events: Vec<Row>,
}

/// One rejected request.
#[derive(Clone, Debug)]
pub struct RejectedDetail {
    /// Its columns, those of `List::Deliveries`.
    pub row: Row,
    /// How it was asked.
    pub method: String,
    /// Where to; a path key is shown as its fingerprint.
    pub path: String,
    /// SHA-256 of the body, hex; `None` where it was not read to its end.
    pub sha256: Option<String>,
    /// The delivery that it became after all.
    pub admitted_seq: Option<i64>,
    /// Names and values; passwords and keys are fingerprints.
    pub headers: Vec<(String, String)>,
    /// The bytes; `None` where they were not kept.
    pub body: Option<Vec<u8>>,
}

/// Another id of a reader.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Alias {
    /// The id.
    pub alias: String,
    /// The field it stood in.
    pub source: String,
    /// The first delivery that said so.
    pub seq: i64,
}

/// One reader, as one account of one provider knows them.
#[derive(Clone, Debug)]
pub struct UserDetail {
    /// Row of `List::Users`.
    pub row: Row,
    /// Other ids.
    pub aliases: Vec<Alias>,
    /// Rows of `List::Users` with the same e-mail, phone or id elsewhere: never merged.
    pub also_seen_as: Vec<Row>,
    /// Rows of `List::Subscriptions`.
    pub subscriptions: Vec<Row>,
    /// Rows of `List::Consents`.
    pub consents: Vec<Row>,
    /// Rows of `List::Changes`.
    pub changes: Vec<Row>,
    /// Rows of `List::Payments`.
    pub payments: Vec<Row>,
}

impl Reader {
    /// The delivery `seq`; `None` if there is none.
    pub fn delivery(&self, seq: i64) -> Result<Option<Detail>, Error> {
        const KEY: &str = "select received_at, seq from deliveries where seq = ?1";
        let Some(row) = self.one(List::Deliveries, KEY, seq)? else {
            return Ok(None);
        };
        let mut headers = Vec::new();
        let (mut body, mut gone) = (None, "");
        self.each(
            "select headers, body, erased_at is not null from deliveries where seq = ?1",
            &[Sql::from(seq)],
            |found| {
                headers = pairs(&found.get::<_, String>(0)?);
                body = bytes(found.get_ref(1)?);
                gone = match (&body, found.get(2)?) {
                    (Some(_), _) => "",
                    (None, true) => "erased",
                    (None, false) => "dropped for its age",
                };
                Ok(())
            },
        )?;
        let edge = Some((seq.into(), true));
        let bounds = Bounds {
            low: edge,
            high: edge,
        };
        let query = field(Key::Seq, Test::Number(bounds), &seq.to_string());
        let mut events = self
            .page(List::Events, &query, &Cursor::First, 10_000)?
            .rows;
        events.sort_by_key(|event| event.key.id);
        Ok(Some(Detail {
            row,
            headers,
            body,
            gone,
            events,
        }))
    }

    /// The rejected request `id` (not negative); `None` if the ring does not hold it any more.
    pub fn rejected(&self, id: i64) -> Result<Option<RejectedDetail>, Error> {
        const KEY: &str = "select received_at, -id from rejected where id = ?1";
        let Some(row) = self.one(List::Deliveries, KEY, id)? else {
            return Ok(None);
        };
        let mut detail = None;
        self.each(
            "select method, path, sha256, admitted_seq, headers, body from rejected where id = ?1",
            &[Sql::from(id)],
            |found| {
                detail = Some(RejectedDetail {
                    row: row.clone(),
                    method: found.get(0)?,
                    path: found.get(1)?,
                    sha256: found.get(2)?,
                    admitted_seq: found.get(3)?,
                    headers: pairs(&found.get::<_, String>(4)?),
                    body: bytes(found.get_ref(5)?),
                });
                Ok(())
            },
        )?;
        Ok(detail)
    }

    /// Why the newest rejected request of `provider` whose body has this SHA-256 (hex) was turned away, and its id.
    pub fn refusal(&self, provider: &str, sha256: &str) -> Result<Option<(i64, String)>, Error> {
        let mut found = None;
        self.each(
            "select id, reason from rejected indexed by rejected_provider \
             where provider = ?1 and sha256 = ?2 order by id desc limit 1",
            &[Sql::from(provider.to_owned()), Sql::from(sha256.to_owned())],
            |row| {
                found = Some((row.get(0)?, row.get(1)?));
                Ok(())
            },
        )?;
        Ok(found)
    }

    /// The reader whose row in `users` is `id`, with everything held; `None` if there is none.
    pub fn user(&self, id: i64) -> Result<Option<UserDetail>, Error> {
        let Some(row) = self.one(List::Users, USER_KEY, id)? else {
            return Ok(None);
        };
        let [provider, account, user_id] =
            ["provider", "account", "user_id"].map(|name| text_of(List::Users, &row, name));
        let key: Vec<Sql> = [&provider, &account, &user_id]
            .map(|text| Sql::from(text.clone()))
            .to_vec();
        let query = exactly(Key::Provider, &provider)
            .and(&exactly(Key::Account, &account))
            .and(&exactly(Key::User, &user_id));
        // `user:` also means those whom the id is an alias of: they are other readers.
        let rows = |list| -> Result<Vec<Row>, Error> {
            let mut page = self.page(list, &query, &Cursor::First, ROWS_MAX)?;
            page.rows
                .retain(|row| text_of(list, row, "user_id") == user_id);
            Ok(page.rows)
        };
        Ok(Some(UserDetail {
            row,
            aliases: self.aliases(&key)?,
            also_seen_as: self.also_seen_as(&key)?,
            subscriptions: rows(List::Subscriptions)?,
            consents: rows(List::Consents)?,
            changes: rows(List::Changes)?,
            payments: rows(List::Payments)?,
        }))
    }

    fn aliases(&self, key: &[Sql]) -> Result<Vec<Alias>, Error> {
        let mut out = Vec::new();
        self.each(
            "select alias, source, seq from user_aliases \
             where provider = ?1 and account = ?2 and user_id = ?3 order by alias",
            key,
            |row| {
                out.push(Alias {
                    alias: text(row, 0)?.into_owned(),
                    source: text(row, 1)?.into_owned(),
                    seq: row.get(2)?,
                });
                Ok(())
            },
        )?;
        Ok(out)
    }

    fn also_seen_as(&self, key: &[Sql]) -> Result<Vec<Row>, Error> {
        let sql = format!(
            "with me as (select id, provider, account, user_id, email, phone from users \
               where provider = ?1 and account = ?2 and user_id = ?3), \
             ids(id) as (select user_id from me union select a.alias from me join user_aliases a \
               on a.provider = me.provider and a.account = me.account and a.user_id = me.user_id) \
             select id from ( \
               select u.id from me cross join users u indexed by users_email \
                 on u.email = me.email collate nocase and u.email is not null \
               union select u.id from me cross join users u indexed by users_phone \
                 on u.phone = me.phone and u.phone is not null \
               union select u.id from ids cross join user_aliases a on a.alias = ids.id \
                 join users u on u.provider = a.provider and u.account = a.account \
                 and u.user_id = a.user_id \
             ) where id not in (select id from me) limit {ALSO_MAX}"
        );
        let mut out = Vec::new();
        for id in self.numbers(&sql, key)? {
            out.extend(self.one(List::Users, USER_KEY, id)?);
        }
        Ok(out)
    }

    /// The row whose place in `list` the statement `key` tells of `id`.
    pub(super) fn one(&self, list: List, key: &str, id: i64) -> Result<Option<Row>, Error> {
        let sql = format!("with k(sort, id) as ({key}) {}", projection(list, true));
        let mut row = None;
        self.each(&sql, &[Sql::from(id)], |found| {
            row = Some(Row {
                key: RowKey {
                    sort: found.get(0)?,
                    id: found.get(1)?,
                },
                cells: cells(found, 2)?,
            });
            Ok(())
        })?;
        Ok(row)
    }
}

pub(super) fn text_of(list: List, row: &Row, name: &str) -> String {
    columns(list)
        .iter()
        .position(|column| column.name == name)
        .and_then(|place| row.cells.get(place)?.as_text())
        .unwrap_or_default()
        .to_owned()
}

pub(super) fn exactly(key: Key, text: &str) -> Query {
    field(key, Test::Equal(text.to_owned()), text)
}

fn field(key: Key, test: Test, written: &str) -> Query {
    Query::from(Expr::Term(Term::Field {
        key,
        values: vec![Value {
            text: written.to_owned(),
            test,
        }],
    }))
}

/// `[[name, value], ...]` as stored; nothing if it is not that.
fn pairs(json: &str) -> Vec<(String, String)> {
    serde_json::from_str(json).unwrap_or_default()
}

fn bytes(value: ValueRef<'_>) -> Option<Vec<u8>> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}
