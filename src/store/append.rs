//! One delivery into the chain, and whether it was here before.
//!
//! Runs inside the writer's transaction. Never looks inside a body, never commits, never folds.
//!
//! The chain: `commitment = SHA-256(salt || body)` and `link = SHA-256(previous link || seq || received_at || provider
//! || account || hook || commitment)`, where each field stands behind its length as eight bytes, greatest first; seq
//! is eight bytes, greatest first, the others are as their columns show them. The link before the first is 32 zero
//! bytes.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use sha2::{Digest, Sha256};

use crate::domain::delivery::{
    Confidence, Content, Delivery, IdentityProof, KeyRule, Origin, Outcome, ProviderId, Reading,
};
use crate::domain::time::{DAY_MS, MINUTE_MS, SECOND_MS, Timestamp};
use crate::store::Error;
use crate::store::inbox::Job;
use crate::store::leaps::Leaps;
use crate::store::schema::{READER_VERSION, hex, random};
use crate::store::upkeep::{erasures, retention};

/// The reason of a duplicate whose bytes are not those of the first.
pub const OTHER_CONTENT: &str = "same id, other content";

/// The reason of a duplicate of a delivery that was erased: its own bytes are not kept.
const ERASED_SINCE: &str = "repeats a delivery that was erased";

const OTHER_GENERATION: &str = "the same fact in the provider's other format";

/// Retries of a body with neither id nor time come this soon after it, or within a day if its 200 was lost.
const BYTES_WINDOW_MS: i64 = 2 * SECOND_MS;
const UNCONFIRMED_WINDOW_MS: i64 = DAY_MS;
/// 2026-01-01T00:00:00Z: this program is younger, so a clock that says less has not been set since the machine started.
const CLOCKS_SINCE: Timestamp = Timestamp::from_ms(1_767_225_600_000);
/// The generations that `KeyRule::OtherGeneration` can name.
const GENERATIONS: [u8; 2] = [0, 1];

/// What became of a delivery that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Stored, duplicate or quarantined.
    pub outcome: Outcome,
    /// Its place in the ledger.
    pub seq: i64,
    /// The first one with the same key, of a duplicate.
    pub duplicate_of: Option<i64>,
}

/// The newest end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: i64,
    pub(crate) link: [u8; 32],
    /// Of the newest one that keeps the clock's time.
    pub(crate) received_at: Timestamp,
}

impl Head {
    /// Before the first delivery.
    pub(crate) const START: Self = Self {
        seq: 0,
        link: [0; 32],
        received_at: Timestamp::from_ms(i64::MIN),
    };

    pub(crate) fn load(conn: &Connection) -> Result<Self, Error> {
        let last = conn
            .prepare_cached(
                "select seq, link, received_at from deliveries order by seq desc limit 1",
            )?
            .query_row([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))
            })
            .optional()?;
        let Some((seq, link, received_at)) = last else {
            return Ok(Self::START);
        };
        Ok(Self {
            seq,
            link,
            received_at: Timestamp::parse(&received_at).unwrap_or(Self::START.received_at),
        })
    }
}

/// The salted hash of a body.
pub(crate) fn commit_to(salt: &[u8], body: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(body)
        .finalize()
        .into()
}

/// The link of a delivery; `received_at` is the column's text.
pub(crate) fn link_of(
    previous: &[u8],
    seq: i64,
    received_at: &str,
    [provider, account, hook]: [&str; 3],
    commitment: &[u8],
) -> [u8; 32] {
    fields([
        previous,
        &seq.to_be_bytes(),
        received_at.as_bytes(),
        provider.as_bytes(),
        account.as_bytes(),
        hook.as_bytes(),
        commitment,
    ])
}

fn fields<const N: usize>(fields: [&[u8]; N]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().into()
}

/// What `delivery_keys` holds of a key: the first 16 bytes of SHA-256 over provider, account and key.
pub(crate) fn key_hash(delivery: &Delivery, key: &str, rule: KeyRule) -> [u8; 16] {
    let tagged = match rule {
        KeyRule::OtherGeneration(generation) => format!("{key}#{generation}"),
        _ => key.to_owned(),
    };
    let whole = fields([
        delivery.provider.as_str().as_bytes(),
        delivery.account.as_bytes(),
        tagged.as_bytes(),
    ]);
    let mut hash = [0; 16];
    hash.copy_from_slice(&whole[..16]);
    hash
}

/// A body as SQLite keeps it: TEXT where JSON functions can work on it and the bytes stay exact, else BLOB.
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl Body<'_> {
    pub(crate) fn is_text(&self) -> bool {
        !self.0.contains(&0) && std::str::from_utf8(self.0).is_ok()
    }
}

impl ToSql for Body<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(if self.is_text() {
            ValueRef::Text(self.0)
        } else {
            ValueRef::Blob(self.0)
        }))
    }
}

/// The bytes of a stored body, whichever of the two it is; `None` if it was erased.
pub(crate) fn body_bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Appends the delivery of `job`, which had arrived at its `received_at`; returns its place and the time it was given.
/// That is what the clock said, so it may be before an earlier delivery's if the clock was set back: the order of
/// record is seq. Imports keep their own time, cut to `now`; what is taken in after all has that of being taken in. On
/// an error the caller rolls back what was half done; `head` has not moved then.
pub(crate) fn append(
    conn: &Connection,
    head: &mut Head,
    job: &Job,
    now: Timestamp,
    leaps: &Leaps,
) -> Result<(Ack, Timestamp), Error> {
    let Job {
        delivery, reading, ..
    } = job;
    let received_at = match delivery.origin {
        Origin::Import => delivery.received_at.min(now),
        Origin::Admitted => now,
        Origin::Live if delivery.received_at >= CLOCKS_SINCE => delivery.received_at,
        Origin::Live | Origin::Demo => delivery.received_at.max(head.received_at),
    };
    let (judged_at, leaps) = match delivery.origin {
        Origin::Admitted => (delivery.received_at, &Leaps::NONE),
        Origin::Live => (received_at, leaps),
        _ => (received_at, &Leaps::NONE),
    };
    let seq = head.seq + 1;
    let mut twin = find_twin(conn, delivery, reading, judged_at, leaps, None)?;
    if let (None, Some(first_at)) = (&twin, job.repeats_at) {
        twin = find_told(conn, delivery, reading, first_at)?;
    }
    let verdict = Verdict::of(reading, twin.as_ref());
    let link = insert(conn, head, seq, received_at, delivery, reading, &verdict)?;
    remember_keys(conn, seq, delivery, reading, twin.as_ref())?;
    if delivery.origin == Origin::Import {
        retention::look_again(conn)?;
    }
    if twin.is_none() && delivery.origin == Origin::Live {
        conn.prepare_cached("insert into unconfirmed (seq) values (?1)")?
            .execute([seq])?;
    }
    *head = Head {
        seq,
        link,
        received_at: match delivery.origin {
            Origin::Import => head.received_at,
            _ => received_at,
        },
    };
    let ack = Ack {
        outcome: verdict.outcome,
        seq,
        duplicate_of: verdict.duplicate_of,
    };
    Ok((ack, received_at))
}

/// What the columns say of a decision.
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) duplicate_of: Option<i64>,
    pub(crate) reason: Option<String>,
    rule: Option<KeyRule>,
    /// What it repeats was erased, and so its own bytes are not kept either.
    pub(crate) erased: bool,
}

impl Verdict {
    pub(crate) fn of(reading: &Reading, twin: Option<&Twin>) -> Self {
        if let Some(twin) = twin {
            let reason = match twin.rule {
                KeyRule::OtherGeneration(_) => Some(OTHER_GENERATION.to_owned()),
                _ if twin.bytes == Bytes::Other => Some(OTHER_CONTENT.to_owned()),
                _ if twin.bytes == Bytes::Erased => Some(ERASED_SINCE.to_owned()),
                _ => None,
            };
            return Self {
                outcome: Outcome::Duplicate,
                duplicate_of: Some(twin.seq),
                reason,
                rule: Some(twin.rule),
                erased: twin.bytes == Bytes::Erased,
            };
        }
        let (outcome, reason) = match &reading.content {
            Content::Events(_) => (Outcome::Stored, None),
            Content::Unreadable(why) => (Outcome::Quarantined, Some(without_nul(why))),
        };
        Self {
            outcome,
            duplicate_of: None,
            reason,
            rule: reading.keys.first().map(|key| key.rule),
            erased: false,
        }
    }
}

const INSERT: &str = "insert into deliveries (seq, received_at, provider, account, hook, outcome, duplicate_of, reason,
    dedupe_policy, dedupe_key, confidence, credential, identity_proof, remote_ip, origin, test, provider_type,
    reader_version, body_bytes, salt, commitment, link, headers, body, erased_at)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
    ?25)";

fn insert(
    conn: &Connection,
    head: &Head,
    seq: i64,
    received_at: Timestamp,
    delivery: &Delivery,
    reading: &Reading,
    verdict: &Verdict,
) -> Result<[u8; 32], Error> {
    let salt = random::<16>()?;
    let commitment = commit_to(&salt, &delivery.body);
    let received_at = received_at.to_string();
    let place = [
        delivery.provider.as_str(),
        delivery.account.as_str(),
        delivery.hook.as_str(),
    ];
    let link = link_of(&head.link, seq, &received_at, place, &commitment);
    let key = reading.keys.first().map(|key| without_nul(&key.key));
    let kept = !verdict.erased;
    let headers = if kept {
        headers_text(&delivery.headers)
    } else {
        "[]".to_owned()
    };
    conn.prepare_cached(INSERT)?.execute(params![
        seq,
        received_at,
        place[0],
        place[1],
        place[2],
        verdict.outcome.as_str(),
        verdict.duplicate_of,
        verdict.reason,
        verdict.rule.map(KeyRule::policy),
        key.filter(|_| kept),
        verdict.rule.map(|rule| rule.confidence().as_str()),
        delivery.credential,
        delivery.identity_proof.map(IdentityProof::as_str),
        delivery.remote_ip,
        delivery.origin.as_str(),
        delivery.test,
        without_nul(&reading.label),
        READER_VERSION,
        i64::try_from(delivery.body.len()).unwrap_or(i64::MAX),
        kept.then_some(salt),
        commitment,
        link,
        headers,
        kept.then_some(Body(&delivery.body)),
        (!kept).then_some(&received_at),
    ])?;
    Ok(link)
}

/// Headers as their column has them.
pub(crate) fn headers_text(headers: &[(String, String)]) -> String {
    serde_json::to_string(headers).unwrap_or_else(|_| "[]".to_owned())
}

/// The delivery that another one repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Twin {
    pub(crate) seq: i64,
    pub(crate) rule: KeyRule,
    bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    Same,
    Other,
    Erased,
    /// The first one's were dropped for their age, and cannot be compared.
    Dropped,
}

struct Known {
    seq: i64,
    received_at: Timestamp,
    outcome: Outcome,
    test: bool,
    salt: Option<Vec<u8>>,
    commitment: Vec<u8>,
    is_erased: bool,
}

const KNOWN: &str =
    "select d.seq, d.received_at, d.outcome, d.test, d.salt, d.commitment, d.erased_at is not null from delivery_keys k
    join deliveries d on d.seq = k.seq where k.hash = ?1";

const ERASED: &str = "select seq, received_at, outcome, test, salt, commitment, erased_at is not null from deliveries where seq = ?1";

impl Known {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let received_at: String = row.get(1)?;
        let outcome: String = row.get(2)?;
        Ok(Self {
            seq: row.get(0)?,
            received_at: Timestamp::parse(&received_at).unwrap_or(Timestamp::from_ms(0)),
            outcome: Outcome::from_word(&outcome).unwrap_or(Outcome::Stored),
            test: row.get(3)?,
            salt: row.get(4)?,
            commitment: row.get(5)?,
            is_erased: row.get(6)?,
        })
    }

    fn bytes(&self, body: &[u8]) -> Bytes {
        match &self.salt {
            None if self.is_erased => Bytes::Erased,
            None => Bytes::Dropped,
            Some(salt) if commit_to(salt, body)[..] == self.commitment => Bytes::Same,
            Some(_) => Bytes::Other,
        }
    }

    /// Whether this one may speak for `delivery`: a test does not for a real one, nor what could not be read for
    /// what can.
    fn speaks_for(&self, delivery: &Delivery, reading: &Reading) -> bool {
        let readable = matches!(reading.content, Content::Events(_));
        (delivery.test || !self.test) && !(readable && self.outcome == Outcome::Quarantined)
    }
}

/// The delivery that `delivery` repeats, by the surest of its keys; `except` is its own seq, if it has one already.
pub(crate) fn find_twin(
    conn: &Connection,
    delivery: &Delivery,
    reading: &Reading,
    judged_at: Timestamp,
    leaps: &Leaps,
    except: Option<i64>,
) -> Result<Option<Twin>, Error> {
    let mut keys: Vec<_> = reading.keys.iter().enumerate().collect();
    keys.sort_by_key(|(_, key)| key.rule.confidence());
    for (place, key) in keys {
        let seen = Seen {
            conn,
            delivery,
            judged_at,
            leaps,
            except,
        };
        let mut known = seen.by_key(&key.key, key.rule)?;
        if known.is_none() && place == 0 && bound_in_time(key.rule) {
            known = seen.by_time(&key.key, key.rule)?;
        }
        if let Some(known) = known.filter(|known| known.speaks_for(delivery, reading)) {
            return Ok(Some(Twin {
                seq: known.seq,
                rule: key.rule,
                bytes: known.bytes(&delivery.body),
            }));
        }
    }
    Ok(None)
}

/// The delivery around `first_at` that `delivery` repeats, as a ledger found which saw both come: it knew whether the
/// first one's answer had arrived.
fn find_told(
    conn: &Connection,
    delivery: &Delivery,
    reading: &Reading,
    first_at: Timestamp,
) -> Result<Option<Twin>, Error> {
    let Some(key) = reading.keys.first().filter(|key| bound_in_time(key.rule)) else {
        return Ok(None);
    };
    let seen = Seen {
        conn,
        delivery,
        judged_at: first_at,
        leaps: &Leaps::NONE,
        except: None,
    };
    let known = seen.by_time(&key.key, key.rule)?;
    let known = known.filter(|known| known.speaks_for(delivery, reading));
    Ok(known.map(|known| Twin {
        seq: known.seq,
        rule: key.rule,
        bytes: known.bytes(&delivery.body),
    }))
}

const fn bound_in_time(rule: KeyRule) -> bool {
    matches!(rule, KeyRule::NaturalWithin(_) | KeyRule::Bytes)
}

/// What is looked up, and as of when.
struct Seen<'a> {
    conn: &'a Connection,
    delivery: &'a Delivery,
    judged_at: Timestamp,
    /// What the clock leapt since.
    leaps: &'a Leaps,
    except: Option<i64>,
}

impl Seen<'_> {
    /// What `delivery_keys` knows under `key`, if `rule` lets it count.
    fn by_key(&self, key: &str, rule: KeyRule) -> Result<Option<Known>, Error> {
        if let KeyRule::OtherGeneration(own) = rule {
            for other in GENERATIONS.into_iter().filter(|other| *other != own) {
                let known = self.known(key, KeyRule::OtherGeneration(other))?;
                if let Some(known) = known.filter(|known| self.apart_ms(known) < MINUTE_MS) {
                    return Ok(Some(known));
                }
            }
            return Ok(None);
        }
        let Some(known) = self.known(key, rule)? else {
            return Ok(None);
        };
        let counts = match rule {
            KeyRule::Id | KeyRule::Natural => true,
            KeyRule::NaturalWithin(window_ms) => self.apart_ms(&known) <= window_ms,
            KeyRule::Bytes => self.repeats_bytes(&known)?,
            KeyRule::OtherGeneration(_) => false,
        };
        Ok(counts.then_some(known))
    }

    fn known(&self, key: &str, rule: KeyRule) -> Result<Option<Known>, Error> {
        let hash = key_hash(self.delivery, key, rule);
        let mut known = self
            .conn
            .prepare_cached(KNOWN)?
            .query_row([hash], Known::from_row)
            .optional()?;
        if known.is_none()
            && matches!(rule, KeyRule::Id | KeyRule::Natural)
            && let Some(seq) = erasures::first_of(self.conn, &hash)?
        {
            known = self
                .conn
                .prepare_cached(ERASED)?
                .query_row([seq], Known::from_row)
                .optional()?;
        }
        Ok(known.filter(|known| Some(known.seq) != self.except))
    }

    /// How much time passed between the two, whatever the clock was set to meanwhile.
    fn apart_ms(&self, known: &Known) -> i64 {
        self.judged_at
            .ms()
            .saturating_sub(known.received_at.ms())
            .saturating_sub(self.leaps.since(known.seq))
            .saturating_abs()
    }

    fn repeats_bytes(&self, known: &Known) -> Result<bool, Error> {
        if self.apart_ms(known) <= BYTES_WINDOW_MS {
            return Ok(true);
        }
        match self.delivery.origin {
            Origin::Live => Ok(self.apart_ms(known) <= UNCONFIRMED_WINDOW_MS
                && self
                    .conn
                    .prepare_cached("select 1 from unconfirmed where seq = ?1")?
                    .exists([known.seq])?),
            // The sender of a rejected delivery was never told yes, so what came within a day of it is its retry.
            Origin::Admitted => Ok(self.first_arrival(known)?.is_some_and(|at| {
                self.judged_at.ms().saturating_sub(at.ms()).saturating_abs()
                    <= UNCONFIRMED_WINDOW_MS
            })),
            Origin::Import | Origin::Demo => Ok(false),
        }
    }

    /// When `known` first came to the door: an admitted one before it was taken in.
    fn first_arrival(&self, known: &Known) -> Result<Option<Timestamp>, Error> {
        let at: Option<String> = self
            .conn
            .prepare_cached("select received_at from rejected where admitted_seq = ?1")?
            .query_row([known.seq], |row| row.get(0))
            .optional()?;
        Ok(at.map_or(Some(known.received_at), |at| Timestamp::parse(&at)))
    }

    /// What was stored around the time of a delivery that is not of now: `delivery_keys` holds the last one only.
    fn by_time(&self, key: &str, rule: KeyRule) -> Result<Option<Known>, Error> {
        let window_ms = match (self.delivery.origin, rule) {
            (Origin::Live | Origin::Demo, _) => return Ok(None),
            (_, KeyRule::NaturalWithin(window_ms)) => window_ms,
            (Origin::Admitted, _) => UNCONFIRMED_WINDOW_MS,
            (Origin::Import, _) => BYTES_WINDOW_MS,
        };
        let known = self
            .conn
            .prepare_cached(
                "select d.seq, d.received_at, d.outcome, d.test, d.salt, d.commitment, d.erased_at is not null
                 from deliveries d
                 where d.provider = ?1 and d.account = ?2 and d.received_at between ?3 and ?4
                 and d.dedupe_key = ?5 and d.outcome <> 'duplicate' and d.seq is not ?6 order by d.seq limit 1",
            )?
            .query_row(
                params![
                    self.delivery.provider.as_str(),
                    self.delivery.account,
                    self.judged_at.plus_ms(-window_ms).to_string(),
                    self.judged_at.plus_ms(window_ms).to_string(),
                    without_nul(key),
                    self.except,
                ],
                Known::from_row,
            )
            .optional()?;
        Ok(known)
    }
}

/// What `delivery_keys` holds of an imported delivery itself, so that a second import finds it.
pub(crate) fn import_hash(delivery: &Delivery) -> [u8; 16] {
    let key = format!(
        "import:{}:{}:{}",
        delivery.received_at,
        delivery.hook,
        hex(&Sha256::digest(&delivery.body))
    );
    key_hash(delivery, &key, KeyRule::Id)
}

/// Writes down what `delivery` will be recognised by: under the first one's seq if it repeats one byte for byte, not
/// at all if it repeats one with other content.
pub(crate) fn remember_keys(
    conn: &Connection,
    seq: i64,
    delivery: &Delivery,
    reading: &Reading,
    twin: Option<&Twin>,
) -> Result<(), Error> {
    if twin.is_some_and(|twin| twin.bytes == Bytes::Erased) {
        return Ok(());
    }
    let add = "insert into delivery_keys (hash, seq) values (?1, ?2) on conflict (hash) do nothing";
    if delivery.origin == Origin::Import {
        conn.prepare_cached(add)?
            .execute(params![import_hash(delivery), seq])?;
    }
    let replace = "insert into delivery_keys (hash, seq) values (?1, ?2)
        on conflict (hash) do update set seq = excluded.seq";
    let (seq, sql) = match twin {
        Some(twin) if twin.bytes == Bytes::Same => (twin.seq, add),
        Some(_) => return Ok(()),
        None => (seq, replace),
    };
    let late = matches!(delivery.origin, Origin::Import | Origin::Admitted);
    for key in &reading.keys {
        let window = bound_in_time(key.rule) || key.rule.confidence() != Confidence::Certain;
        if twin.is_some() && window {
            continue;
        }
        // The last stored one is what live deliveries are compared with; an older one does not take its place.
        let sql = if late && window { add } else { sql };
        conn.prepare_cached(sql)?
            .execute(params![key_hash(delivery, &key.key, key.rule), seq])?;
    }
    Ok(())
}

/// Takes out what `delivery` at `seq` was recognised by.
pub(crate) fn forget_keys(
    conn: &Connection,
    seq: i64,
    delivery: &Delivery,
    reading: &Reading,
) -> Result<(), Error> {
    let delete = "delete from delivery_keys where hash = ?1 and seq = ?2";
    for key in &reading.keys {
        conn.prepare_cached(delete)?
            .execute(params![key_hash(delivery, &key.key, key.rule), seq])?;
    }
    if delivery.origin == Origin::Import {
        conn.prepare_cached(delete)?
            .execute(params![import_hash(delivery), seq])?;
    }
    Ok(())
}

/// Takes out the key that the delivery at `seq` says it was recognised by.
pub(crate) fn forget_key(
    conn: &Connection,
    seq: i64,
    delivery: &Delivery,
    key: &str,
) -> Result<(), Error> {
    conn.prepare_cached("delete from delivery_keys where hash = ?1 and seq = ?2")?
        .execute(params![key_hash(delivery, key, KeyRule::Natural), seq])?;
    Ok(())
}

/// The answer to delivery `seq` was written out; a repeated one's answer stands for the first's.
pub(crate) fn confirm(conn: &Connection, seq: i64) -> Result<(), Error> {
    let own = conn
        .prepare_cached("delete from unconfirmed where seq = ?1")?
        .execute([seq])?;
    if own == 0 {
        conn.prepare_cached(
            "delete from unconfirmed where seq = (select duplicate_of from deliveries where seq = ?1)",
        )?
        .execute([seq])?;
    }
    Ok(())
}

/// What has been unconfirmed for longer than it matters; what is that far ahead came while the clock was wrong.
pub(crate) fn forget_unconfirmed(conn: &Connection, now: Timestamp) -> Result<(), Error> {
    let window_ms = UNCONFIRMED_WINDOW_MS + MINUTE_MS;
    conn.prepare_cached(
        "delete from unconfirmed where (select received_at not between ?1 and ?2 from deliveries d
         where d.seq = unconfirmed.seq)",
    )?
    .execute([-window_ms, window_ms].map(|ms| now.plus_ms(ms).to_string()))?;
    Ok(())
}

/// A stored delivery read back, with what folding needs to know of it.
pub(crate) struct Stored {
    pub(crate) seq: i64,
    pub(crate) outcome: Outcome,
    pub(crate) dedupe_key: Option<String>,
    /// `None` if the body was erased, or dropped for its age.
    pub(crate) delivery: Option<Delivery>,
    /// The delivery without body and headers, and what was read out of it, where the body was dropped for its age.
    pub(crate) pruned: Option<(Delivery, Reading)>,
}

const STORED: &str =
    "select seq, outcome, dedupe_key, received_at, provider, account, hook, headers, credential,
    identity_proof, remote_ip, origin, test, body,
    case when body is null then (select reading from pruned p where p.seq = deliveries.seq) end from deliveries";

/// The deliveries after `seq`, so many at most.
pub(crate) fn stored_after(conn: &Connection, seq: i64, limit: i64) -> Result<Vec<Stored>, Error> {
    let mut statement =
        conn.prepare_cached(&format!("{STORED} where seq > ?1 order by seq limit ?2"))?;
    let rows = statement.query_map([seq, limit], stored)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The same, and not more once their bodies have `bytes_max` bytes together; one may always be.
pub(crate) fn stored_some(
    conn: &Connection,
    seq: i64,
    limit: i64,
    bytes_max: usize,
) -> Result<Vec<Stored>, Error> {
    let mut statement =
        conn.prepare_cached(&format!("{STORED} where seq > ?1 order by seq limit ?2"))?;
    let mut rows = statement.query([seq, limit])?;
    let (mut some, mut bytes) = (Vec::new(), 0);
    while bytes < bytes_max
        && let Some(row) = rows.next()?
    {
        let stored = stored(row)?;
        bytes += stored
            .delivery
            .as_ref()
            .map_or(0, |delivery| delivery.body.len());
        some.push(stored);
    }
    Ok(some)
}

/// The delivery at `seq`, if there is one.
pub(crate) fn stored_at(conn: &Connection, seq: i64) -> Result<Option<Stored>, Error> {
    Ok(stored_after(conn, seq - 1, 1)?
        .into_iter()
        .find(|stored| stored.seq == seq))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let word = |place: usize| row.get::<_, String>(place);
    let headers: String = row.get(7)?;
    let proof: Option<String> = row.get(9)?;
    let body = body_bytes(row.get_ref(13)?).map(<[u8]>::to_vec);
    let kept = row.get_ref(14)?.as_blob_or_null()?;
    let kept = kept.and_then(retention::kept);
    let has_body = body.is_some();
    let delivery = Delivery {
        provider: ProviderId::stored(word(4)?),
        account: word(5)?,
        hook: word(6)?,
        received_at: Timestamp::parse(&word(3)?).unwrap_or(Timestamp::from_ms(0)),
        headers: serde_json::from_str(&headers).unwrap_or_default(),
        body: body.unwrap_or_default(),
        credential: word(8)?,
        identity_proof: proof.as_deref().and_then(IdentityProof::from_word),
        remote_ip: word(10)?,
        origin: Origin::from_word(&word(11)?).unwrap_or(Origin::Live),
        test: row.get(12)?,
    };
    let (delivery, pruned) = match kept {
        _ if has_body => (Some(delivery), None),
        Some(reading) => (None, Some((delivery, reading))),
        None => (None, None),
    };
    Ok(Stored {
        seq: row.get(0)?,
        outcome: Outcome::from_word(&word(1)?).unwrap_or(Outcome::Stored),
        dedupe_key: row.get(2)?,
        delivery,
        pruned,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_can_be_recomputed_by_others() {
        let salt: Vec<u8> = (0..16).collect();
        let commitment = commit_to(&salt, br#"{"a":1}"#);
        assert_eq!(
            hex(&commitment),
            "aed8a0ebb5f60a8aa06554873318b8e888584ebddf7878258719930ae328cbb2"
        );
        let place = ["zotlo", "main", "events"];
        let link = link_of(&[0; 32], 1, "2026-01-05T09:00:00.000Z", place, &commitment);
        assert_eq!(
            hex(&link),
            "3551ea54dc453ddd7959ff6fce52969abdb4170a9f9547cb71da41c96223c58f"
        );
    }
}
