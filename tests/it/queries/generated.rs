//! A ledger made of rows: the same seed gives the same rows.

use rusqlite::{Connection, params};
use subledger::domain::page::List;
use subledger::domain::query::{Query, Vocabulary, Words};
use subledger::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp, Zone};
use subledger::store::query::Reader;
use subledger::store::schema::SCHEMA_VERSION;
use subledger::store::{Mode, connect};
use tempfile::TempDir;

/// Numbers that look random and are the same every time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A ledger in a directory of its own, and what was put into it.
pub(crate) struct Ledger {
    _dir: TempDir,
    pub(crate) path: std::path::PathBuf,
    pub(crate) events: Vec<EventRow>,
    pub(crate) users: Vec<UserRow>,
    pub(crate) deliveries: Vec<DeliveryRow>,
    pub(crate) rejected: Vec<RejectedRow>,
}

#[derive(Clone, Debug)]
pub(crate) struct EventRow {
    pub(crate) id: i64,
    pub(crate) seq: i64,
    pub(crate) provider: &'static str,
    pub(crate) account: &'static str,
    pub(crate) app: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) provider_type: &'static str,
    pub(crate) at: String,
    pub(crate) received_at: String,
    pub(crate) user_id: Option<String>,
    pub(crate) subscription_id: Option<String>,
    pub(crate) plan: Option<&'static str>,
    pub(crate) minor: Option<i64>,
    pub(crate) currency: Option<&'static str>,
    pub(crate) exponent: Option<i64>,
    pub(crate) test: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct UserRow {
    pub(crate) id: i64,
    pub(crate) provider: &'static str,
    pub(crate) account: &'static str,
    pub(crate) user_id: String,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) name: Option<&'static str>,
    pub(crate) alias: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct DeliveryRow {
    pub(crate) seq: i64,
    pub(crate) received_at: String,
    pub(crate) provider: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) import: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct RejectedRow {
    pub(crate) id: i64,
    pub(crate) received_at: String,
    pub(crate) provider: &'static str,
    pub(crate) reason: &'static str,
}

pub(crate) const PROVIDERS: [&str; 3] = ["conscent", "klustr", "zotlo"];
pub(crate) const TYPES: [&str; 8] = [
    "user.registered",
    "user.signed_in",
    "subscription.started",
    "subscription.trial_started",
    "subscription.cancelled",
    "payment.succeeded",
    "payment.refunded",
    "unknown",
];
const NAMES: [&str; 5] = [
    "Ayşe Yılmaz",
    "IŞIK Han",
    "Jörg Groß",
    "日本 太郎",
    "O'Neil %_",
];
const PLANS: [&str; 3] = ["gold plan", "Silver", "weekly_"];

/// The present moment of every generated ledger: a Wednesday, 12:00 in Istanbul.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-11-04T09:00:00Z").unwrap()
}

pub(crate) fn zone() -> Zone {
    "Europe/Istanbul".parse().unwrap()
}

/// The last review of every generated ledger that has one.
pub(crate) fn review(ledger: &Ledger) -> (i64, Timestamp) {
    let seq = i64::try_from(ledger.deliveries.len()).unwrap() * 3 / 4;
    let at = ledger.deliveries[usize::try_from(seq).unwrap()]
        .received_at
        .clone();
    (seq, Timestamp::parse(&at).unwrap())
}

pub(crate) fn query(list: List, text: &str, review: Option<(i64, Timestamp)>) -> Query {
    let stored = Vocabulary {
        provider_types: vec!["SubscriberUpdate/cancel".into(), "sign-up".into()],
        ..Vocabulary::default()
    };
    let words = Words {
        now: now(),
        zone: zone(),
        list,
        last_review: review,
        stored: &stored,
    };
    Query::parse(text, &words).unwrap_or_else(|error| panic!("{list} {text}: {error}"))
}

/// An empty ledger.
pub(crate) fn empty() -> (TempDir, std::path::PathBuf, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("subledger.db");
    let conn = connect(&path, Mode::Write).unwrap();
    conn.execute_batch(include_str!("../../../schema.sql"))
        .unwrap();
    conn.pragma_update(None, "application_id", 0x5375_624c)
        .unwrap();
    conn.pragma_update(None, "user_version", SCHEMA_VERSION)
        .unwrap();
    for (key, value) in [
        ("schema_version", SCHEMA_VERSION.to_string().as_str()),
        ("zone", zone().name()),
        ("folded_seq", "0"),
    ] {
        conn.execute("insert into meta values (?1, ?2)", [key, value])
            .unwrap();
    }
    // The first page of the file says whose it is, as it does in a ledger made by the program.
    conn.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
        .unwrap();
    (dir, path, conn)
}

/// A ledger of `count` deliveries over 40 days, with users, events and rejected requests.
pub(crate) fn ledger(seed: u64, count: i64) -> Ledger {
    let (dir, path, conn) = empty();
    let mut dice = Dice::new(seed);
    let mut ledger = Ledger {
        _dir: dir,
        path,
        events: Vec::new(),
        users: Vec::new(),
        deliveries: Vec::new(),
        rejected: Vec::new(),
    };
    conn.execute_batch("begin; pragma defer_foreign_keys = on")
        .unwrap();
    people(&conn, &mut dice, &mut ledger);
    let first = now().ms() - 40 * DAY_MS;
    let step = 40 * DAY_MS / count;
    for seq in 1..=count {
        // Whole minutes, so that many rows share one.
        let ms = (first + step * seq) / MINUTE_MS / 7 * MINUTE_MS * 7;
        delivery(&conn, &mut dice, &mut ledger, seq, Timestamp::from_ms(ms));
    }
    for id in 1..=count / 5 {
        let ms = first + step * 5 * id;
        let row = RejectedRow {
            id,
            received_at: Timestamp::from_ms(ms / MINUTE_MS / 7 * MINUTE_MS * 7).to_string(),
            provider: dice.pick(&PROVIDERS),
            reason: dice.pick(&["wrong signature", "no credential"]),
        };
        conn.execute(
            "insert into rejected values (?1, ?2, ?3, 'events', '/hooks', ?4, '203.0.113.9', 'POST', '[]', 2, null, null, x'7b7d')",
            params![row.id, row.received_at, row.provider, row.reason],
        )
        .unwrap();
        ledger.rejected.push(row);
    }
    conn.execute_batch(
        "insert into daily select day, provider, account, type, count(*), count(distinct user_id) \
           from events where test = 0 group by 1, 2, 3, 4; commit",
    )
    .unwrap();
    ledger
}

fn people(conn: &Connection, dice: &mut Dice, ledger: &mut Ledger) {
    for n in 0..12_i64 {
        let row = UserRow {
            id: n + 1,
            provider: dice.pick(&PROVIDERS),
            account: dice.pick(&["main", "weekly"]),
            user_id: format!("u{n}"),
            email: (!dice.one_in(4)).then(|| format!("Reader{n}@example.com")),
            phone: (!dice.one_in(2)).then(|| format!("+90 555 00{n:02}")),
            name: (!dice.one_in(3)).then(|| dice.pick(&NAMES)),
            alias: dice.one_in(3).then(|| format!("alias-{n}")),
        };
        conn.execute(
            "insert into users values (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'TR', null, null, null, ?8, ?8, 0, null, 0, 0, 0, ?8)",
            params![row.id, row.provider, row.account, row.user_id, row.email, row.phone, row.name,
                Timestamp::from_ms(now().ms() - n / 3 * HOUR_MS).to_string()],
        )
        .unwrap();
        if let Some(alias) = &row.alias {
            conn.execute(
                "insert into user_aliases values (?1, ?2, ?3, ?4, 'userAccount', 1)",
                params![row.provider, row.account, row.user_id, alias],
            )
            .unwrap();
        }
        ledger.users.push(row);
    }
}

fn delivery(
    conn: &Connection,
    dice: &mut Dice,
    ledger: &mut Ledger,
    seq: i64,
    received: Timestamp,
) {
    let outcome = match dice.below(10) {
        0 => "duplicate",
        1 => "quarantined",
        _ => "stored",
    };
    let provider: &'static str = dice.pick(&PROVIDERS);
    let account: &'static str = dice.pick(&["main", "main", "weekly"]);
    let test = dice.one_in(12);
    let row = DeliveryRow {
        seq,
        received_at: received.to_string(),
        provider,
        outcome,
        import: dice.one_in(9),
    };
    conn.execute(
        "insert into deliveries (seq, received_at, provider, account, hook, outcome, credential, remote_ip, origin, \
         test, provider_type, reader_version, body_bytes, commitment, link, headers, body) \
         values (?1, ?2, ?3, ?4, 'events', ?5, 'path_key', '203.0.113.1', ?6, ?7, 'x', 1, 2, x'00', x'00', '[[\"a\",\"b\"]]', '{}')",
        params![seq, row.received_at, provider, account, outcome,
            if row.import { "import" } else { "live" }, test],
    )
    .unwrap();
    ledger.deliveries.push(row);
    if outcome != "stored" {
        return;
    }
    for n in 0..i64::try_from(dice.below(4)).unwrap() {
        let row = event(dice, ledger, seq, n, provider, account, received, test);
        insert_event(conn, &row);
        ledger.events.push(row);
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "what a delivery hands down to its events"
)]
fn event(
    dice: &mut Dice,
    ledger: &Ledger,
    seq: i64,
    n: i64,
    provider: &'static str,
    account: &'static str,
    received: Timestamp,
    test: bool,
) -> EventRow {
    let kind: &'static str = dice.pick(&TYPES);
    let late = if dice.one_in(5) { 9 * DAY_MS } else { 0 };
    let money = kind.starts_with("payment");
    let (currency, exponent) = [("TRY", 2), ("JPY", 0), ("KWD", 3)][dice.below(3)];
    let amount = i64::try_from(dice.below(5_000)).unwrap();
    let known: Vec<&UserRow> = ledger
        .users
        .iter()
        .filter(|user| user.provider == provider && user.account == account)
        .collect();
    let user_id = match dice.below(8) {
        0 => None,
        1 => Some("stranger".to_owned()),
        _ if known.is_empty() => None,
        _ => Some(known[dice.below(known.len())].user_id.clone()),
    };
    EventRow {
        id: seq * 10_000 + n,
        seq,
        provider,
        account,
        app: dice.pick(&["", "app-1", "App 2"]),
        kind,
        provider_type: dice.pick(&["SubscriberUpdate/cancel", "sign-up", "other"]),
        at: received.plus_ms(-late).to_string(),
        received_at: received.to_string(),
        user_id,
        subscription_id: dice.one_in(3).then(|| format!("sub-{}", dice.below(5))),
        plan: dice.one_in(3).then(|| dice.pick(&PLANS)),
        minor: (money && !dice.one_in(5)).then_some(if kind.ends_with("refunded") {
            -amount
        } else {
            amount
        }),
        currency: money.then_some(currency),
        exponent: money.then_some(exponent),
        test,
    }
}

fn insert_event(conn: &Connection, row: &EventRow) {
    let at = Timestamp::parse(&row.at).unwrap();
    conn.execute(
        "insert into events (id, seq, n, provider, account, app, type, provider_type, at, day, occurred_at_source, \
         received_at, user_id, users_id, subscription_id, plan, amount_minor, currency, exponent, test, data) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'body', ?11, ?12, \
         (select id from users where provider = ?4 and account = ?5 and user_id = ?12), ?13, ?14, ?15, ?16, ?17, ?18, '{}')",
        params![row.id, row.seq, row.id % 10_000, row.provider, row.account, row.app, row.kind, row.provider_type,
            row.at, at.day(zone()), row.received_at, row.user_id, row.subscription_id, row.plan, row.minor,
            row.currency, row.exponent, row.test],
    )
    .unwrap();
    if row.kind == "payment.succeeded" {
        conn.execute(
            "insert into payments (id, seq, provider, account, payment_id, user_id, at, day, kind, status, plan, \
             for_subscription, test) values (?1, ?2, ?3, ?4, ?1, ?5, ?6, ?7, 'payment', 'succeeded', ?8, 0, ?9)",
            params![row.id, row.seq, row.provider, row.account, row.user_id, row.at, at.day(zone()), row.plan, row.test],
        )
        .unwrap();
    }
}

pub(crate) fn reader(ledger: &Ledger) -> Reader {
    Reader::open(&ledger.path).unwrap()
}
