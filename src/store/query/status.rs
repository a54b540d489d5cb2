//! How receiving goes: the header line, and per provider and account who sent what, when, and what was refused.

use chrono::Offset as _;
use rusqlite::types::Value as Sql;
use serde::Serialize;

use crate::domain::credential::{self, Came};
use crate::domain::mask::Mask;
use crate::domain::query::value_text;
use crate::domain::time::{DAY_MS, MINUTE_MS, SECOND_MS, Timestamp, Zone, span};
use crate::store::Error;
use crate::store::query::Reader;
use crate::store::ring::RING;
use crate::store::schema::{meta, unhex};
use crate::store::today::Outside;

/// So many of an account's last deliveries tell which proofs are in force.
const PROOFS_OF: i64 = 100;
/// So many of a provider's last deliveries tell whether a secret link was valid before.
const MARKS_OF: i64 = 20_000;
/// A gap can only be unusual against so many deliveries.
const DELIVERIES_MIN: i64 = 20;
/// Gaps are compared with those of so many days before the last delivery.
const GAP_DAYS: i64 = 28;
/// What has not come for so many days is taken to come no more.
const OLD_DAYS: i64 = 7;
/// Nobody wants to hear of a shorter one.
const GAP_MS_MIN: i64 = 10 * MINUTE_MS;
/// Gaps before it that are shorter than this are all the same.
const GAP_MS_FLOOR: i64 = MINUTE_MS;
/// So many tests and imported deliveries in a row are passed over in search of one that the provider sent.
const PASSED_MAX: i64 = 20_000;

/// `demo` made this ledger.
const MADE_UP: &str = "select exists (select 1 from deliveries where seq = 1 and origin = 'demo')";

/// What the header of every screen says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The last delivery; 0 if there is none.
    pub last_seq: i64,
    /// The last delivery that everything shown is folded from.
    pub folded_seq: i64,
    /// When the last delivery arrived; one dated more than a day ahead is left out.
    pub last_received_at: Option<Timestamp>,
    /// Deliveries dated more than a day ahead, counted to ten thousand: the clock was wrong when they came, or is now.
    pub ahead: i64,
    /// The newest delivery is one of those.
    pub is_ahead: bool,
    /// How long ago that was, in milliseconds.
    pub quiet_ms: Option<i64>,
    /// Deliveries marked as tests that are not erased; not counted where real ones are stored too.
    pub tests: i64,
    /// Requests that were turned away in the last 14 days and that the ring could not hold.
    pub lost: i64,
    /// Made by `subledger demo`.
    pub demo: bool,
    /// A real delivery (live, imported or admitted, no test) is stored.
    pub connected: bool,
    /// Position and time of the last review.
    pub last_review: Option<(i64, Timestamp)>,
    /// The IANA name of the zone of days.
    pub zone: &'static str,
}

/// One account of one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// The provider.
    pub provider: String,
    /// The account; empty where only rejected requests name the provider.
    pub account: String,
    /// The last delivery that is no test: seq, time, hook.
    pub last: Option<(i64, Timestamp, String)>,
    /// The last test, where nothing else came.
    pub last_test: Option<(i64, Timestamp, String)>,
    /// Deliveries of the last 24 hours, tests aside.
    pub day: i64,
    /// Deliveries of the last 28 days, tests aside.
    pub month: i64,
    /// Deliveries in all, counted to a million, tests aside.
    pub deliveries: i64,
    /// Tests, erased ones aside, counted to a million in all.
    pub tests: i64,
    /// The proofs that its last hundred deliveries carried, most frequent first, with how many did.
    pub proofs: Vec<(String, i64)>,
    /// Requests of this provider that were turned away, by reason.
    pub refusals: Vec<Refusals>,
    /// What the ring could not hold.
    pub lost: Vec<Lost>,
    /// GETs with the right secret link.
    pub checks: Vec<Checked>,
    /// When the provider itself was last heard: neither a test nor imported.
    pub heard: Option<Timestamp>,
    /// It has been quiet for longer than ever in 28 days, or than the settings expect.
    pub quiet: Option<Quiet>,
}

impl Connection {
    /// Requests of its provider were turned away since its last delivery.
    pub fn is_refused(&self) -> bool {
        let last = self.last.as_ref().map(|(_, at, _)| *at);
        let mut refusals = self.refusals.iter();
        refusals.any(|refusal| last.is_none_or(|last| last <= refusal.last.1))
    }
}

/// Requests turned away for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// Why.
    pub reason: String,
    /// How many the ring holds.
    pub requests: i64,
    /// The last one: id and time.
    pub last: (i64, Timestamp),
    /// The hook it asked for.
    pub hook: String,
    /// The path it asked for, a secret in it as its fingerprint.
    pub path: String,
}

/// Requests that the ring could not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Why they were turned away.
    pub reason: String,
    /// How many.
    pub requests: i64,
}

/// GETs on one hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The hook.
    pub hook: String,
    /// How many.
    pub requests: i64,
    /// The last one.
    pub last_at: Timestamp,
}

/// How long a silence of an account may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// As long as the longest of 28 days.
    Habit,
    /// So many milliseconds.
    Every(i64),
    /// For ever.
    Never,
}

/// A silence longer than usual, or than is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quiet {
    /// How long it has lasted, in milliseconds.
    pub gap_ms: i64,
    /// The longest in the 28 days before it, in milliseconds; a minute where all were shorter. Or what is expected.
    pub longest_ms: i64,
    /// The settings say how long it may be.
    pub is_expected: bool,
}

impl Quiet {
    /// What it is longer than: `its longest gap in 28 days was 2 h 05 m`.
    pub fn than(&self) -> String {
        let than = if self.is_expected {
            "it is expected every"
        } else {
            "its longest gap in 28 days was"
        };
        format!("{than} {}", span(self.longest_ms))
    }

    /// The deliveries of `who` to look at: the last ones, from the day before on, as all that it ever sent may be
    /// millions.
    pub fn query(&self, who: (&str, &str), now: Timestamp, zone: Zone) -> String {
        let of_all = self.query_of_all(who.0, now, zone);
        format!("{of_all} account:{}", value_text(who.1))
    }

    /// The same of all accounts of `provider`, with what was turned away, which names none.
    pub(crate) fn query_of_all(&self, provider: &str, now: Timestamp, zone: Zone) -> String {
        let since = now.plus_ms(-self.gap_ms - DAY_MS);
        format!(
            "provider:{} since:{}",
            value_text(provider),
            since.day(zone)
        )
    }
}

/// What the ledger grew by of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Bytes of the file that are in use.
    pub bytes: u64,
    /// Deliveries in all.
    pub deliveries: u64,
    /// Deliveries of the last 28 days.
    pub recent: u64,
    /// The days that those came in: 28, or as many as there have been, at least 1.
    pub days: u64,
}

impl Growth {
    /// Bytes a day: what a delivery costs with all that is read out of it, as often as they came. `None` without any.
    pub fn bytes_a_day(&self) -> Option<u64> {
        let of_each = self.bytes.checked_div(self.deliveries)?;
        of_each.saturating_mul(self.recent).checked_div(self.days)
    }
}

impl Reader {
    /// How fast the file grows, by the deliveries of the last 28 days.
    pub fn growth(&self, now: Timestamp) -> Result<Growth, Error> {
        const BYTES: &str = "select (p.page_count - f.freelist_count) * s.page_size from pragma_page_count p, \
            pragma_freelist_count f, pragma_page_size s";
        const RECENT: &str = "select count(*) from deliveries indexed by deliveries_received \
            where received_at >= ?1";
        let count = |sql: &str, values: &[Sql]| {
            let found = self.number(sql, values)?.unwrap_or_default();
            Ok::<u64, Error>(u64::try_from(found).unwrap_or_default())
        };
        let first = self.time(
            "select received_at from deliveries order by seq limit 1",
            &[],
        )?;
        let days = first.map_or(0, |first| (now.ms() - first.ms()) / DAY_MS + 1);
        let from = now.plus_ms(-GAP_DAYS * DAY_MS).to_string();
        Ok(Growth {
            bytes: count(BYTES, &[])?,
            deliveries: u64::try_from(self.last_seq()?).unwrap_or_default(),
            recent: count(RECENT, &[Sql::from(from)])?,
            days: u64::try_from(days.clamp(1, GAP_DAYS)).unwrap_or(1),
        })
    }

    /// The header line.
    pub fn status(&self, now: Timestamp) -> Result<Status, Error> {
        // Not the last in line: imports keep their own times. Nor what came while the clock was ahead.
        let up_to = Sql::from(now.plus_ms(DAY_MS).to_string());
        let last_received_at = self.time(
            "select received_at from deliveries where received_at <= ?1 order by received_at desc limit 1",
            std::slice::from_ref(&up_to),
        )?;
        let ahead = self.number(
            "select count(*) from (select 1 from deliveries where received_at > ?1 limit 10000)",
            std::slice::from_ref(&up_to),
        )?;
        let is_ahead = self.number(
            "select received_at > ?1 from deliveries order by seq desc limit 1",
            &[up_to],
        )?;
        let number = |sql: &str| Ok::<i64, Error>(self.number(sql, &[])?.unwrap_or_default());
        let demo = number(
            "select count(*) from (select 1 from deliveries where seq = 1 and origin = 'demo')",
        )? > 0;
        // A made-up ledger holds nothing else, and all of it would be looked through to say so.
        let connected = !demo
            && number(
                "select count(*) from (select 1 from deliveries \
                 where test = 0 and origin <> 'demo' limit 1)",
            )? > 0;
        Ok(Status {
            last_seq: self.last_seq()?,
            folded_seq: number("select cast(value as integer) from meta where key = 'folded_seq'")?,
            ahead: ahead.unwrap_or_default(),
            is_ahead: is_ahead == Some(1),
            quiet_ms: last_received_at.map(|at| now.ms() - at.ms()),
            last_received_at,
            tests: if demo || connected {
                0
            } else {
                number(
                    "select count(*) from deliveries indexed by deliveries_test \
                     where test = 1 and erased_at is null",
                )?
            },
            lost: self
                .number(
                    "select ifnull(sum(requests), 0) from rejected_lost where hour >= ?1",
                    &[Sql::from(now.plus_ms(-RING.age_ms).to_string())],
                )?
                .unwrap_or_default(),
            demo,
            connected,
            last_review: self.last_review()?,
            zone: self.zone.name(),
        })
    }

    /// Position and time of the last review that was not undone.
    pub fn last_review(&self) -> Result<Option<(i64, Timestamp)>, Error> {
        let mut out = None;
        self.each(
            "select seq, reviewed_at from reviews where undone_at is null \
             order by id desc limit 1",
            &[],
            |row| {
                out = Some((row.get(0)?, row.get::<_, String>(1)?));
                Ok(())
            },
        )?;
        Ok(out.and_then(|(seq, at)| Some((seq, Timestamp::parse(&at)?))))
    }

    /// The `wanted` accounts, every other one that ever sent something, and every provider that was turned away or
    /// checked, one without a name (for paths that are none of ours) last. `outside` says how long each may be silent.
    pub fn connections(
        &self,
        now: Timestamp,
        wanted: &[(&str, &str)],
        outside: &Outside,
    ) -> Result<Vec<Connection>, Error> {
        let mut known = self.accounts()?;
        let wanted = wanted.iter();
        known.extend(wanted.map(|(one, other)| ((*one).to_owned(), (*other).to_owned())));
        self.each("select provider, account from checks", &[], |row| {
            known.push((row.get(0)?, row.get(1)?));
            Ok(())
        })?;
        let mut refused: Vec<String> = Vec::new();
        self.each(
            "select distinct provider from rejected where admitted_seq is null",
            &[],
            |row| {
                refused.push(row.get(0)?);
                Ok(())
            },
        )?;
        for provider in refused {
            if !known.iter().any(|(one, _)| *one == provider) {
                known.push((provider, String::new()));
            }
        }
        known.sort_by(|one, other| (one.0.is_empty(), one).cmp(&(other.0.is_empty(), other)));
        known.dedup();
        let tests = self.tests(now)?;
        known
            .into_iter()
            .map(|(provider, account)| {
                let expectation = outside.expectation((&provider, &account));
                let of_tests = tests
                    .iter()
                    .find(|(p, a, _)| (p, a) == (&provider, &account));
                let of_tests = of_tests.map_or([0; 4], |(.., counts)| *counts);
                let quiet = self.silence((&provider, &account), expectation, now)?;
                Ok(Connection {
                    quiet,
                    ..self.connection(provider, account, now, of_tests)?
                })
            })
            .collect()
    }

    /// Tests of each account: of 24 hours, of 28 days, all, and those that are not erased. All of them are looked at,
    /// to a million: they are few.
    fn tests(&self, now: Timestamp) -> Result<Vec<(String, String, [i64; 4])>, Error> {
        const TESTS: &str = "select provider, account, sum(received_at >= ?1), sum(received_at >= ?2), \
            count(*), sum(erased_at is null) from (select provider, account, received_at, erased_at \
            from deliveries indexed by deliveries_test where test = 1 order by seq desc limit 1000000) \
            group by provider, account";
        let since = [DAY_MS, GAP_DAYS * DAY_MS].map(|ms| Sql::from(now.plus_ms(-ms).to_string()));
        let mut out = Vec::new();
        self.each(TESTS, &since, |row| {
            let counts = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
            out.push((row.get(0)?, row.get(1)?, counts));
            Ok(())
        })?;
        Ok(out)
    }

    /// `tests`: how many of 24 hours, of 28 days, of all and of what is not erased are tests.
    fn connection(
        &self,
        provider: String,
        account: String,
        now: Timestamp,
        tests: [i64; 4],
    ) -> Result<Connection, Error> {
        const ALL: &str = "select count(*) from (select 1 from deliveries \
            indexed by deliveries_provider where provider = ?1 and account = ?2 limit 1000000)";
        const COUNT: &str = "select count(*) from deliveries indexed by deliveries_provider \
            where provider = ?1 and account = ?2 and received_at >= ?3";
        let who = [Sql::from(provider.clone()), Sql::from(account.clone())];
        let since = |at: &str| {
            let [provider, account] = who.clone();
            [provider, account, Sql::from(at.to_owned())]
        };
        let last = self.last(&who, false)?;
        let last_test = match last {
            None => self.last(&who, true)?,
            Some(_) => None,
        };
        let day = now.plus_ms(-DAY_MS).to_string();
        let month = now.plus_ms(-GAP_DAYS * DAY_MS).to_string();
        let [day_tests, month_tests, all_tests, tests] = tests;
        let count = |sql: &str, values: &[Sql], tests: i64| {
            let all = self.number(sql, values)?.unwrap_or_default();
            Ok::<i64, Error>((all - tests).max(0))
        };
        Ok(Connection {
            last,
            last_test,
            heard: self.heard((&provider, &account), now)?,
            quiet: None,
            day: count(COUNT, &since(&day), day_tests)?,
            month: count(COUNT, &since(&month), month_tests)?,
            deliveries: count(ALL, &who, all_tests)?,
            tests,
            proofs: self.proofs(&who)?,
            refusals: self.refusals(&who[..1])?,
            lost: self.lost(&provider, now)?,
            checks: self.checks(&who)?,
            provider,
            account,
        })
    }

    /// The last delivery of `who` that is no test, or is one.
    fn last(&self, who: &[Sql], is_test: bool) -> Result<Option<(i64, Timestamp, String)>, Error> {
        let sql = format!(
            "select seq, received_at, hook from (select seq, received_at, hook, test from deliveries \
             indexed by deliveries_provider where provider = ?1 and account = ?2 \
             order by received_at desc, seq desc limit {PASSED_MAX}) where test = ?3 limit 1"
        );
        let values = [who, &[Sql::from(i64::from(is_test))]].concat();
        let mut last = None;
        self.each(&sql, &values, |row| {
            last = Some((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?));
            Ok(())
        })?;
        Ok(last.and_then(|(seq, at, hook)| Some((seq, Timestamp::parse(&at)?, hook))))
    }

    fn proofs(&self, who: &[Sql]) -> Result<Vec<(String, i64)>, Error> {
        let sql = format!(
            "select credential, count(*) from (select credential from deliveries \
             indexed by deliveries_provider where provider = ?1 and account = ?2 \
             order by received_at desc, seq desc limit {PROOFS_OF}) \
             group by credential order by count(*) desc, credential"
        );
        let mut out: Vec<(String, i64)> = Vec::new();
        self.each(&sql, who, |row| {
            let proof = credential::without_marks(&row.get::<_, String>(0)?);
            let count: i64 = row.get(1)?;
            match out.iter_mut().find(|(one, _)| *one == proof) {
                Some((_, all)) => *all += count,
                None => out.push((proof, count)),
            }
            Ok(())
        })?;
        out.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(out)
    }

    /// The credentials of the last 7 days before `now`, tests aside: for accounts whose secrets are being changed, as it
    /// looks at each delivery.
    pub fn came(&self, provider: &str, account: &str, now: Timestamp) -> Result<Vec<Came>, Error> {
        const CAME: &str = "select credential, count(*), max(received_at) from deliveries \
            indexed by deliveries_provider where provider = ?1 and account = ?2 \
            and received_at >= ?3 and test = 0 and origin = 'live' group by credential";
        let since = now.plus_ms(-OLD_DAYS * DAY_MS).to_string();
        let values = [provider, account, &since].map(|text| Sql::from(text.to_owned()));
        let mut out = Vec::new();
        self.each(CAME, &values, |row| {
            out.push(Came {
                credential: row.get(0)?,
                deliveries: row.get(1)?,
                last_at: Timestamp::parse(&row.get::<_, String>(2)?).unwrap_or(EPOCH),
            });
            Ok(())
        })?;
        Ok(out)
    }

    /// When the secret link whose fingerprint ends `path` last let a webhook of `provider` in, where one of its last
    /// deliveries says so: a link that was valid and was dropped since.
    pub fn let_in(&self, provider: &str, path: &str) -> Result<Option<Timestamp>, Error> {
        let Some(mark) = credential::mark_in(path) else {
            return Ok(None);
        };
        let sql = format!(
            "select max(received_at) from (select received_at, credential from deliveries \
             indexed by deliveries_provider where provider = ?1 \
             order by account desc, received_at desc limit {MARKS_OF}) \
             where instr(credential, ?2) > 0"
        );
        let values = [provider.to_owned(), format!("@{mark}")].map(Sql::from);
        self.time(&sql, &values)
    }

    /// The key that fingerprints of credentials are made with in this ledger.
    pub fn fingerprint_key(&self) -> Result<[u8; 32], Error> {
        let key = meta(&self.conn.borrow(), "fingerprint_key")?;
        key.and_then(|text| unhex(&text))
            .ok_or_else(|| Error::Refused("the ledger's fingerprint key is missing".to_owned()))
    }

    /// What masks personal data of this ledger. A made-up one has nobody to mask: there it is the same every time.
    pub fn mask(&self) -> Result<Mask, Error> {
        let conn = self.conn.borrow();
        let made_up = conn
            .prepare_cached(MADE_UP)?
            .query_row([], |row| row.get::<_, bool>(0))?;
        drop(conn);
        Ok(if made_up {
            Mask::default()
        } else {
            Mask::new(self.fingerprint_key()?)
        })
    }

    /// Whether requests of `provider` were turned away since `heard`.
    pub(crate) fn is_refused_since(&self, provider: &str, heard: Timestamp) -> Result<bool, Error> {
        const REFUSED: &str = "select count(*) from (select 1 from rejected \
            indexed by rejected_provider where provider = ?1 and received_at > ?2 \
            and admitted_seq is null limit 1)";
        let values = [provider.to_owned(), heard.to_string()].map(Sql::from);
        Ok(self.number(REFUSED, &values)? == Some(1))
    }

    fn refusals(&self, who: &[Sql]) -> Result<Vec<Refusals>, Error> {
        let mut out = Vec::new();
        self.each(
            "select reason, count(*), max(id), received_at, hook, path from rejected \
             where provider = ?1 and admitted_seq is null group by reason order by max(id) desc",
            who,
            |row| {
                let at: String = row.get(3)?;
                out.push(Refusals {
                    reason: row.get(0)?,
                    requests: row.get(1)?,
                    last: (row.get(2)?, Timestamp::parse(&at).unwrap_or(EPOCH)),
                    hook: row.get(4)?,
                    path: row.get(5)?,
                });
                Ok(())
            },
        )?;
        Ok(out)
    }

    fn lost(&self, provider: &str, now: Timestamp) -> Result<Vec<Lost>, Error> {
        let since = now.plus_ms(-RING.age_ms).to_string();
        let mut out = Vec::new();
        self.each(
            "select reason, sum(requests) from rejected_lost where provider = ?1 and hour >= ?2 \
             group by reason order by sum(requests) desc",
            &[provider, &since].map(|word| Sql::from(word.to_owned())),
            |row| {
                out.push(Lost {
                    reason: row.get(0)?,
                    requests: row.get(1)?,
                });
                Ok(())
            },
        )?;
        Ok(out)
    }

    fn checks(&self, who: &[Sql]) -> Result<Vec<Checked>, Error> {
        let mut out = Vec::new();
        self.each(
            "select hook, requests, last_at from checks \
             where provider = ?1 and account = ?2 order by hook",
            who,
            |row| {
                let at: String = row.get(2)?;
                out.push(Checked {
                    hook: row.get(0)?,
                    requests: row.get(1)?,
                    last_at: Timestamp::parse(&at).unwrap_or(EPOCH),
                });
                Ok(())
            },
        )?;
        Ok(out)
    }

    /// When the provider itself was last heard, as of `now`. What came while the clock was ahead counts only as long as
    /// nothing has come since: when it truly came is not known.
    pub(crate) fn heard(
        &self,
        who: (&str, &str),
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        let last = self.last_heard(who, "9999")?;
        let Some((ahead, at)) = last.filter(|(_, at)| *at > now) else {
            return Ok(last.map(|(_, at)| at));
        };
        let right = self.last_heard(who, &now.to_string())?;
        Ok(right
            .filter(|(seq, _)| *seq > ahead)
            .map_or(Some(at), |(_, at)| Some(at)))
    }

    /// The last delivery of the provider itself up to `to`: its seq and time.
    fn last_heard(&self, who: (&str, &str), to: &str) -> Result<Option<(i64, Timestamp)>, Error> {
        let sql = format!(
            "select seq, received_at from (select seq, received_at, origin, test from deliveries \
             indexed by deliveries_provider where provider = ?1 and account = ?2 and received_at <= ?3 \
             order by received_at desc limit {PASSED_MAX}) \
             where origin <> 'import' and test = 0 limit 1"
        );
        let values = [who.0, who.1, to].map(|word| Sql::from(word.to_owned()));
        let mut found = None;
        self.each(&sql, &values, |row| {
            found = Some((row.get(0)?, row.get::<_, String>(1)?));
            Ok(())
        })?;
        Ok(found.and_then(|(seq, at)| Some((seq, Timestamp::parse(&at)?))))
    }

    /// How long `who` has been silent, where that is longer than by `expectation`: the one rule of Today, Connections,
    /// `doctor` and alerts. One never heard from is not connected, never quiet.
    pub(crate) fn silence(
        &self,
        who: (&str, &str),
        expectation: Expectation,
        now: Timestamp,
    ) -> Result<Option<Quiet>, Error> {
        let every_ms = match expectation {
            Expectation::Never => return Ok(None),
            Expectation::Habit => return self.quiet(who, now),
            Expectation::Every(every_ms) => every_ms,
        };
        let heard = self.heard(who, now)?;
        let gap_ms = heard.map(|heard| now.ms() - heard.ms());
        Ok(gap_ms
            .filter(|gap_ms| *gap_ms > every_ms)
            .map(|gap_ms| Quiet {
                gap_ms,
                longest_ms: every_ms,
                is_expected: true,
            }))
    }

    /// The gap since the provider was last `heard`, where it is longer than every one of the 28 days before and these
    /// hold at least 20 deliveries; tests and imports aside. The days end with the last delivery and not now, so that
    /// a provider that is gone stays quiet.
    ///
    /// Deliveries may be millions, so they are not read one by one: from one of them it goes back as far as the
    /// longest gap known to the oldest within, between which no longer one has room, and where there is none within,
    /// a longer one is found.
    fn quiet(&self, who: (&str, &str), now: Timestamp) -> Result<Option<Quiet>, Error> {
        let Some(heard) = self.heard(who, now)? else {
            return Ok(None);
        };
        let gap_ms = now.ms() - heard.ms();
        // Where clocks were put back meanwhile the night is an hour longer, and nobody is late.
        let put_back_ms = (self.offset_ms(heard) - self.offset_ms(now)).max(0);
        let usual_ms = gap_ms - put_back_ms;
        let from = heard.plus_ms(-GAP_DAYS * DAY_MS);
        if usual_ms < GAP_MS_MIN || !self.is_known(who, from, heard)? {
            return Ok(None);
        }
        let mut longest_ms = GAP_MS_FLOOR;
        let mut at = heard;
        while longest_ms < usual_ms {
            let reach = at.plus_ms(-longest_ms).max(from);
            if let Some(oldest) = self.delivered(who, reach, at, "asc")? {
                at = oldest;
            } else if let Some(before) = self.delivered(who, from, at, "desc")? {
                longest_ms = longest_ms.max(at.ms() - before.ms());
                at = before;
            } else {
                break;
            }
        }
        Ok((longest_ms < usual_ms).then_some(Quiet {
            gap_ms,
            longest_ms,
            is_expected: false,
        }))
    }

    fn offset_ms(&self, at: Timestamp) -> i64 {
        let local = at.utc().with_timezone(&self.zone.0);
        i64::from(local.offset().fix().local_minus_utc()) * SECOND_MS
    }

    /// Whether enough was delivered between `from` and `to` for habits to show.
    fn is_known(&self, who: (&str, &str), from: Timestamp, to: Timestamp) -> Result<bool, Error> {
        let sql = format!(
            "select count(*) from (select 1 from (select origin, test from deliveries \
             indexed by deliveries_provider where provider = ?1 and account = ?2 \
             and received_at >= ?3 and received_at <= ?4 \
             order by received_at desc limit {PASSED_MAX}) \
             where origin <> 'import' and test = 0 limit {DELIVERIES_MIN})"
        );
        let values = within(who, from, to);
        Ok(self.number(&sql, &values)? == Some(DELIVERIES_MIN))
    }

    /// The first delivery (`asc`) or the last (`desc`) from `from` on and before `to`.
    fn delivered(
        &self,
        who: (&str, &str),
        from: Timestamp,
        to: Timestamp,
        order: &str,
    ) -> Result<Option<Timestamp>, Error> {
        let sql = format!(
            "select received_at from (select received_at, origin, test from deliveries \
             indexed by deliveries_provider where provider = ?1 and account = ?2 \
             and received_at >= ?3 and received_at < ?4 \
             order by received_at {order} limit {PASSED_MAX}) \
             where origin <> 'import' and test = 0 limit 1"
        );
        let values = within(who, from, to);
        self.time(&sql, &values)
    }

    pub(crate) fn time(&self, sql: &str, values: &[Sql]) -> Result<Option<Timestamp>, Error> {
        let mut out: Option<String> = None;
        self.each(sql, values, |row| {
            out = row.get(0)?;
            Ok(())
        })?;
        Ok(out.as_deref().and_then(Timestamp::parse))
    }
}

/// Provider, account and a stretch of time, as statements take them.
fn within(who: (&str, &str), from: Timestamp, to: Timestamp) -> [Sql; 4] {
    let (from, to) = (from.to_string(), to.to_string());
    [who.0, who.1, &from, &to].map(|word| Sql::from(word.to_owned()))
}

const EPOCH: Timestamp = Timestamp::from_ms(0);
