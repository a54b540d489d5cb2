//! Today on generated ledgers: every figure equals the list that it opens, and a plain count over rows.

use std::path::PathBuf;

use rusqlite::{Connection, params};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use subledger::domain::page::{Count, Cursor, List};
use subledger::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use subledger::store::query::Reader;
use subledger::store::today::{Backup, Figure, Outside, PERIODS, Rule, Share, Since, Sum, Today};
use subledger::tui::today::lines::{Told, lines};
use subledger::tui::today::terms::Term;
use tempfile::TempDir;

use crate::queries::generated::{Dice, empty, now, query, zone};

struct Life {
    _dir: TempDir,
    path: PathBuf,
    conn: Connection,
    review: Option<(i64, Timestamp)>,
}

/// What else came than webhooks in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Odd {
    /// Nothing.
    Nothing,
    /// Imports.
    Imports,
    /// Webhooks that came while the clock was days behind.
    Clock,
}

/// A ledger of `count` deliveries over `days` days, each of which makes a row or two of every kind; by seed with imports,
/// under a clock that was set back, or with neither.
fn life(seed: u64, count: i64, days: i64, reviewed: bool) -> Life {
    let (dir, path, conn) = empty();
    let mut dice = Dice::new(seed);
    conn.execute_batch("begin; pragma defer_foreign_keys = on")
        .unwrap();
    let first = now().ms() - days * DAY_MS;
    let mut review = None;
    let odd = [Odd::Imports, Odd::Nothing, Odd::Clock][usize::try_from(seed % 3).unwrap()];
    for seq in 1..=count {
        let received = Timestamp::from_ms(first + (now().ms() - first) / (count + 1) * seq);
        if reviewed && seq == count * 9 / 10 {
            conn.execute(
                "insert into reviews values (1, ?1, ?2, null)",
                params![received.to_string(), seq],
            )
            .unwrap();
            review = Some((seq, received));
        }
        deliver(&conn, &mut dice, seq, received, odd);
    }
    conn.execute_batch(
        "insert into rejected select seq, received_at, provider, hook, '/hooks', \
           iif(seq % 3, 'wrong signature', 'no credential'), '203.0.113.9', 'POST', '[]', 0, null, null, null \
           from deliveries where seq % 5 = 0; \
         insert into events (id, seq, n, provider, account, app, type, provider_type, at, day, occurred_at_source, \
           received_at, test, data) select p.id, p.seq, 0, p.provider, p.account, '', 'payment.succeeded', 'x', p.at, \
           p.day, 'body', d.received_at, p.test, '{}' from payments p join deliveries d on d.seq = p.seq; commit",
    )
    .unwrap();
    Life {
        _dir: dir,
        path,
        conn,
        review,
    }
}

fn deliver(conn: &Connection, dice: &mut Dice, seq: i64, received: Timestamp, odd: Odd) {
    let outcome = *dice.pick(&[
        &"stored",
        &"stored",
        &"stored",
        &"duplicate",
        &"quarantined",
    ]);
    let reason = (outcome == "duplicate" && dice.one_in(3)).then_some("same id, other content");
    let provider = dice.pick(&["conscent", "zotlo"]);
    let is_odd = dice.one_in(8);
    let origin = if is_odd && odd == Odd::Imports {
        "import"
    } else {
        "live"
    };
    let received = match odd {
        Odd::Clock if is_odd => received.plus_ms(-6 * DAY_MS),
        _ => received,
    };
    let test = dice.one_in(10);
    conn.execute(
        "insert into deliveries (seq, received_at, provider, account, hook, outcome, reason, credential, remote_ip, \
         origin, test, provider_type, reader_version, body_bytes, commitment, link, headers) values \
         (?1, ?2, ?3, 'main', 'events', ?4, ?5, 'path_key', '::1', ?6, ?7, 'x', 1, 2, x'00', x'00', '[]')",
        params![seq, received.to_string(), provider, outcome, reason, origin, test],
    )
    .unwrap();
    if outcome != "stored" {
        return;
    }
    let id = seq * 10_000;
    // One in five happened long before it arrived.
    let at = received.plus_ms(if dice.one_in(5) { -9 * DAY_MS } else { 0 });
    let shown = at.to_string();
    let active = i64::from(dice.one_in(2));
    conn.execute(
        "insert into users values (?1, ?2, 'main', ?3, null, null, null, null, null, null, ?4, ?5, ?5, 0, null, ?6, 0, ?7, ?5)",
        params![id, provider, format!("u{seq}"), (!dice.one_in(3)).then_some(&shown), shown, active, test],
    )
    .unwrap();
    subscribe(conn, dice, id, provider, at, test);
    pay(conn, dice, id, provider, at, test);
    let state = *dice.pick(&[&"given", &"withdrawn", &"refused"]);
    // Half of those who refuse had agreed before.
    let before = (state == "refused" && seq % 2 == 0).then_some("given");
    conn.execute(
        "insert into consent_changes values (?1, ?2, ?3, ?4, ?5, 'main', '', ?6, null, ?7, ?8, ?11, ?9, null, null, ?10)",
        params![id * 10_000, seq, shown, at.day(zone()), provider, format!("u{seq}"),
            dice.pick(&["consent", "evidence", "agreement"]),
            dice.pick(&["marketing", "Marketing", "analytics, \"deep\"", "*"]), state, test, before],
    )
    .unwrap();
}

fn subscribe(
    conn: &Connection,
    dice: &mut Dice,
    id: i64,
    provider: &str,
    at: Timestamp,
    test: bool,
) {
    let status = *dice.pick(&[
        &"pending",
        &"trialing",
        &"active",
        &"active",
        &"grace",
        &"expired",
        &"revoked",
    ]);
    let access = ["trialing", "active", "grace"].contains(&status);
    let cancelled = dice.one_in(3).then(|| at.plus_ms(HOUR_MS).to_string());
    let until = if access {
        now().plus_ms(i64::try_from(dice.below(20)).unwrap() * DAY_MS + MINUTE_MS)
    } else {
        at.plus_ms(3 * DAY_MS).min(now().plus_ms(-MINUTE_MS))
    };
    let (currency, exponent) = [("TRY", 2), ("EUR", 2), ("JPY", 0)][dice.below(3)];
    let (unit, count, months) = [
        ("month", 1, 1.0),
        ("month", 3, 3.0),
        ("year", 1, 12.0),
        ("week", 1, 84.0 / 365.25),
    ][dice.below(4)];
    let priced = !dice.one_in(4);
    let stated = if status == "expired" && dice.one_in(2) {
        "active"
    } else {
        status
    };
    conn.execute(
        "insert into subscriptions (id, provider, account, app, subscription_id, user_id, status, stated_status, state, \
         auto_renew, has_access, access_until, access_derived, started_at, cancelled_at, price_minor, currency, exponent, \
         interval_unit, interval_count, interval_months, changed_at, test) values (?1, ?2, 'main', '', ?3, ?3, ?4, ?5, '', \
         ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?9, ?17)",
        params![id, provider, format!("u{}", id / 10_000), status, stated, [None, Some(0), Some(1)][dice.below(3)], access,
            until.to_string(), at.to_string(), cancelled,
            priced.then(|| i64::try_from(dice.below(50_000)).unwrap()), currency, exponent, unit, count, months, test],
    )
    .unwrap();
    if let Some(cancelled) = cancelled {
        let day = Timestamp::parse(&cancelled).unwrap().day(zone());
        conn.execute(
            "insert into cancellations (id, seq, provider, account, subscription_id, user_id, cancelled_at, day, actor, \
             matched, test) values (?1, ?2, ?3, 'main', ?4, ?4, ?5, ?6, ?7, 'exact', ?8)",
            params![id, id / 10_000, provider, format!("u{}", id / 10_000), cancelled, day,
                dice.pick(&["user", "payment", "unknown"]), test],
        )
        .unwrap();
    }
}

fn pay(conn: &Connection, dice: &mut Dice, id: i64, provider: &str, at: Timestamp, test: bool) {
    let refund = dice.one_in(4);
    let minor = i64::try_from(dice.below(10_000)).unwrap();
    let (currency, exponent) =
        [(Some("TRY"), Some(2)), (Some("JPY"), Some(0)), (None, None)][dice.below(3)];
    conn.execute(
        "insert into payments (id, seq, provider, account, payment_id, user_id, subscription_id, at, day, kind, \
         amount_minor, currency, exponent, status, for_subscription, test) values (?1, ?2, ?3, 'main', ?1, ?4, ?4, ?5, ?6, \
         ?7, ?8, ?9, ?10, 'x', ?11, ?12)",
        params![id, id / 10_000, provider, if dice.one_in(6) { "nowhere".to_owned() } else { format!("u{}", id / 10_000) },
            at.to_string(), at.day(zone()), if refund { "refund" } else { "payment" },
            currency.map(|_| if refund { -minor } else { minor }), currency, exponent, dice.one_in(2), test],
    )
    .unwrap();
}

impl Life {
    fn reader(&self) -> Reader {
        Reader::open(&self.path).unwrap()
    }

    fn number(&self, sql: &str) -> i64 {
        self.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The rows that `list` shows under `text`, paged through to the end.
    fn rows(&self, list: List, text: &str) -> u64 {
        let query = query(list, text, self.review);
        let reader = self.reader();
        let mut cursor = Cursor::First;
        let mut rows = 0;
        loop {
            let page = reader.light_page(list, &query, &cursor, 37).unwrap();
            rows += page.rows.len() as u64;
            match page.rows.last() {
                Some(lowest) if page.more_after => cursor = Cursor::After(lowest.key.clone()),
                _ => break,
            }
        }
        assert_eq!(
            reader.count(list, &query, 1_000_000).unwrap(),
            Count::Exact(rows)
        );
        rows
    }
}

fn figures(today: &Today) -> Vec<&Figure> {
    let consent = today
        .consent
        .iter()
        .flat_map(|one| [&one.given, &one.withdrawn]);
    [
        &today.new_readers,
        &today.new_subscriptions,
        &today.cancelled,
        &today.ended,
        &today.involuntary,
        &today.renewing,
        &today.priced,
        &today.ending,
        &today.kept,
        &today.repeats,
        &today.not_understood,
        &today.turned_away,
    ]
    .into_iter()
    .chain(consent)
    .chain(&today.late)
    .collect()
}

fn sums(today: &Today) -> impl Iterator<Item = &Sum> {
    [
        &today.payments,
        &today.refunds,
        &today.monthly,
        &today.ending_value,
    ]
    .into_iter()
    .flatten()
}

/// The last review, some periods that the screen offers, and a span of any length and place; in some zone.
fn periods(dice: &mut Dice) -> Vec<Since> {
    let zones = ["Europe/Istanbul", "Asia/Kolkata", "America/St_Johns", "UTC"];
    let zone = dice.pick(&zones).parse().unwrap();
    let word = |place: usize| Since::parse(PERIODS[place].0, now(), zone).unwrap();
    let mut periods = vec![Since::LastReview];
    for _ in 0..2 {
        periods.push(word(1 + dice.below(PERIODS.len() - 1)));
    }
    let from = now().plus_ms(-HOUR_MS * i64::try_from(1 + dice.below(900)).unwrap());
    let to = from.plus_ms(MINUTE_MS * i64::try_from(1 + dice.below(20_000)).unwrap());
    periods.push(Since::Span {
        from,
        to: to.min(now()),
    });
    periods
}

#[test]
fn every_figure_has_as_many_rows_as_it_says() {
    let mut seen = 0;
    for seed in 0..9 {
        let life = life(seed, 120, 40, seed % 4 != 3);
        let mut dice = Dice::new(seed + 1_000);
        let each = periods(&mut dice).into_iter();
        let accounts = [None, Some("main"), Some("weekly")];
        for (since, account) in each.flat_map(|since| accounts.map(|account| (since, account))) {
            let outside = Outside {
                account: account.map(str::to_owned),
                ..Outside::default()
            };
            let today = life.reader().today_with(&since, now(), &outside).unwrap();
            for figure in figures(&today) {
                let is_meant = |share: &Share| account.is_none_or(|only| share.account == only);
                assert!(figure.by.iter().all(is_meant), "{account:?} {figure:?}");
                assert_eq!(
                    life.rows(figure.list, &figure.query),
                    figure.count,
                    "seed {seed}: {figure:?}"
                );
                seen += figure.count;
                check_shares(&life, figure);
            }
            for sum in sums(&today) {
                assert_eq!(
                    life.rows(sum.list, &sum.query),
                    sum.count,
                    "seed {seed}: {sum:?}"
                );
            }
            for need in &today.needs_you {
                let (Some(list), Some(query)) = (need.list, &need.query) else {
                    continue;
                };
                assert_eq!(life.rows(list, query), need.count, "seed {seed}: {need:?}");
                assert!(need.count > 0, "{need:?}");
            }
        }
    }
    assert!(seen > 2_000, "{seen}");
}

/// What each account has in a figure is as many rows as that account has under the figure's filter.
fn check_shares(life: &Life, figure: &Figure) {
    let all: u64 = figure.by.iter().map(|share| share.count).sum();
    assert_eq!(all, figure.count, "{figure:?}");
    for share in &figure.by {
        let mut text = format!("{} provider:{}", figure.query, share.provider);
        if !share.account.is_empty() {
            text.extend([" account:", &share.account]);
        }
        assert_eq!(life.rows(figure.list, &text), share.count, "{text}");
    }
}

#[test]
fn every_stop_of_the_screen_opens_as_many_rows_as_it_says() {
    let names = [("conscent".to_owned(), "Conscent".to_owned())];
    let mut seen = 0;
    for seed in 70..74 {
        let life = life(seed, 120, 40, true);
        for since in periods(&mut Dice::new(seed)) {
            let review = life.reader().today(&since, now()).unwrap();
            let shown = subledger::tui::facts::Today {
                lines: lines(&Told {
                    review: &review,
                    zone: zone(),
                    names: &names,
                    tests: 0,
                    empty: "",
                }),
                ..subledger::tui::facts::Today::default()
            };
            for stop in shown.stops() {
                let Some(door) = &stop.door else { continue };
                // A figure is the only number in it; a sum is money, whose rows are counted elsewhere.
                let is_sum = matches!(stop.term, Term::Payments | Term::Refunded | Term::Monthly)
                    || stop.title.starts_with("Ending, ");
                let first = stop
                    .text
                    .split(' ')
                    .rev()
                    .chain([stop.text.trim_start_matches(['+', '-'])])
                    .find_map(|word| word.replace(',', "").parse::<u64>().ok());
                let rows = life.rows(door.list, &door.query);
                if !is_sum && !matches!(stop.term, Term::Need(_)) {
                    assert_eq!(first, Some(rows), "{stop:?}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 200, "{seen}");
}

#[test]
fn figures_since_a_review_are_what_a_plain_count_over_rows_gives() {
    for seed in 20..26 {
        let life = life(seed, 200, 40, true);
        let (seq, at) = life.review.unwrap();
        let today = life.reader().today(&Since::LastReview, now()).unwrap();
        let fresh =
            format!("seq in (select seq from deliveries where seq > {seq} and origin <> 'import')");
        let of_id = fresh.replacen("seq", "id / 10000", 1);
        let count = |figure: &Figure| i64::try_from(figure.count).unwrap();
        for (figure, sql) in [
            (&today.new_readers, format!("select count(*) from users where registered_at is not null and test = 0 and {of_id}")),
            (&today.new_subscriptions, format!("select count(*) from subscriptions where status <> 'pending' and test = 0 and {of_id}")),
            (&today.cancelled, format!("select count(*) from cancellations where actor <> 'payment' and test = 0 and {fresh}")),
            (today.late.as_ref().unwrap(), format!("select count(*) from events where at < '{at}' and test = 0 and {fresh}")),
            (&today.kept, format!("select count(*) from deliveries where outcome = 'stored' and test = 0 and {fresh}")),
            (&today.repeats, format!("select count(*) from deliveries where outcome = 'duplicate' and test = 0 and {fresh}")),
            (&today.turned_away, format!("select count(*) from rejected where received_at > '{at}'")),
            (&today.ending, "select count(*) from subscriptions where cancelled_at is not null and has_access = 1 and test = 0".to_owned()),
        ] {
            assert_eq!(count(figure), life.number(&sql), "seed {seed}: {}", figure.query);
        }
        let quarantined = format!(
            "select count(*) from deliveries where outcome = 'quarantined' and test = 0 and {fresh}"
        );
        let mut needs = today.needs_you.iter();
        let need = needs.find(|need| need.rule == Rule::Quarantined);
        let told = need.map_or(0, |need| i64::try_from(need.count).unwrap());
        assert_eq!(told, life.number(&quarantined), "seed {seed}");
        // Alerts are over when the matter is, not when somebody looked.
        let ever = life.reader().needs(now(), &Outside::default()).unwrap();
        let ever = ever.iter().find(|need| need.rule == Rule::Quarantined);
        let all = "select count(*) from deliveries where outcome = 'quarantined' and test = 0";
        assert_eq!(
            ever.map_or(0, |need| need.count),
            life.number(all).unsigned_abs(),
            "seed {seed}"
        );
        let given: i64 = today.consent.iter().map(|one| count(&one.given)).sum();
        let wanted = format!(
            "select count(*) from consent_changes where after_state = 'given' \
             and kind in ('consent', 'evidence') and test = 0 and {fresh}"
        );
        assert_eq!(given, life.number(&wanted), "seed {seed}");
        let withdrawn: i64 = today.consent.iter().map(|one| count(&one.withdrawn)).sum();
        let wanted = format!(
            "select count(*) from consent_changes where (after_state = 'withdrawn' \
             or after_state = 'refused' and before_state = 'given') \
             and kind in ('consent', 'evidence') and test = 0 and {fresh}"
        );
        assert_eq!(withdrawn, life.number(&wanted), "seed {seed}");
        for sum in &today.payments {
            let sql = format!(
                "select sum(amount_minor) from payments where kind = 'payment' and currency = '{}' and test = 0 and {fresh}",
                sum.currency
            );
            assert_eq!(
                sum.minor,
                life.number(&sql).into(),
                "seed {seed}: {}",
                sum.query
            );
        }
        assert_eq!(today.seq, 200);
    }
}

#[test]
fn what_is_no_text_blocks_no_figure() {
    let life = life(3, 120, 40, true);
    let whole = life.reader().today(&Since::LastReview, now()).unwrap();
    life.conn
        .execute_batch(
            "update subscriptions set currency = cast(x'ff41' as text) where id in (select id \
             from subscriptions where status = 'active' and has_access = 1 \
             and cancelled_at is null and auto_renew is not 0 and test = 0 limit 1)",
        )
        .unwrap();
    assert_eq!(life.conn.changes(), 1);
    let today = life.reader().today(&Since::LastReview, now()).unwrap();
    assert_eq!(today.kept, whole.kept);
    assert!(today.renewing.count < whole.renewing.count);
}

/// What makes subscriptions move within the week, and events late by less than an hour, in a ledger of `life`.
const MOVES: &str = "
    update subscriptions set converted_at = strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+' || (id / 10000 % 9) || ' days')
      where id / 10000 % 3 = 0;
    update subscriptions set status = 'on_hold', has_access = 0, changed_at =
      strftime('%Y-%m-%dT%H:%M:%fZ', changed_at, '+' || (id / 10000 % 9) || ' days') where id / 10000 % 11 = 0;
    update subscriptions set stated_status = status, cancelled_at = null, changed_at =
      strftime('%Y-%m-%dT%H:%M:%fZ', changed_at, '+' || (id / 10000 % 13) || ' days')
      where status in ('expired', 'revoked') and id / 10000 % 2 = 0;
    update cancellations set reactivated_at =
      strftime('%Y-%m-%dT%H:%M:%fZ', cancelled_at, '+' || (id / 10000 % 20) || ' days') where id / 10000 % 3 = 0;
    update subscriptions set cancelled_at = null where id in
      (select id from cancellations where reactivated_at is not null);
    update reviews set reviewed_at = strftime('%Y-%m-%dT%H:%M:%fZ', reviewed_at, '+20 hours')";

/// What is left of an event says that it came when it happened.
const ERASES: &str = "
    update events set received_at = at where id in (select e.id from events e, reviews v
      where e.seq > v.seq and e.at < v.reviewed_at limit 2);
    insert into residue (seq, n, what, why, provider, account, type, day)
      select seq, 0, 'event', 'erased', provider, account, type, day from events, (select seq as after from reviews)
      where seq > after and received_at = at limit 1";

#[test]
fn what_came_late_and_is_erased_is_counted_still() {
    let mut late = 0;
    for seed in 60..66 {
        let life = life(seed, 300, 40, true);
        life.conn.execute_batch(ERASES).unwrap();
        let today = life.reader().today(&Since::LastReview, now()).unwrap();
        let figure = today.late.unwrap();
        assert_eq!(
            life.rows(figure.list, &figure.query),
            figure.count,
            "seed {seed}"
        );
        late += figure.count;
    }
    assert!(late > 10, "{late}");
}

#[test]
fn a_ledger_of_an_older_schema_gives_the_same_figures() {
    let (mut late, mut moved) = (0, 0);
    for seed in 40..52 {
        let life = life(seed, 300, 40, true);
        life.conn.execute_batch(MOVES).unwrap();
        let today = life.reader().today(&Since::LastReview, now()).unwrap();
        life.conn
            .execute_batch(
                "pragma user_version = 5; update meta set value = '5' where key = 'schema_version'",
            )
            .unwrap();
        let older = life.reader();
        assert_eq!(older.today(&Since::LastReview, now()).unwrap(), today);
        late += life.number(
            "select count(*) from events, reviews where test = 0 and at < reviewed_at \
             and events.seq > reviews.seq and substr(at, 1, 13) = substr(received_at, 1, 13)",
        );
        moved += today
            .monthly
            .iter()
            .filter(|sum| sum.before != Some(sum.minor))
            .count();
    }
    assert!(late > 5 && moved > 10, "{late} late, {moved} moved");
}

#[test]
fn readers_and_subscriptions_of_many_years_are_read_in_halves() {
    for seed in 40..43 {
        let life = life(seed, 120, 40, true);
        let worth = || {
            let review = life.reader().today(&Since::LastReview, now()).unwrap();
            (
                review.renewing,
                review.priced,
                review.ending,
                review.monthly,
                review.ending_value,
            )
        };
        let names = || {
            let words = query(List::Users, "u1", None);
            let page = life
                .reader()
                .light_page(List::Users, &words, &Cursor::First, 500);
            let rows = page.unwrap().rows.into_iter();
            rows.map(|row| row.key.sort).collect::<Vec<_>>()
        };
        let (close, found) = (worth(), names());
        assert!(close.0.count > 10 && found.len() > 10, "{close:?}");
        // As if each of them had come with a webhook of its own among millions.
        life.conn
            .execute_batch(
                "pragma foreign_keys = off; update subscriptions set id = -1000 * id; \
                 update subscriptions set id = -id; update users set id = -1000 * id; \
                 update users set id = -id",
            )
            .unwrap();
        assert_eq!(worth(), close, "seed {seed}");
        assert_eq!(names(), found, "seed {seed}");
    }
}

#[test]
fn sums_leave_64_bits_without_harm() {
    let (_dir, path, conn) = empty();
    let largest = 999_999_999_999_999_999_i64;
    conn.execute_batch("pragma foreign_keys = off; begin")
        .unwrap();
    for id in 1..=20 {
        let kind = if id > 15 { "refund" } else { "payment" };
        let minor = if id > 15 { -largest } else { largest };
        conn.execute(
            "insert into deliveries (seq, received_at, provider, account, hook, outcome, credential, remote_ip, origin, \
             test, provider_type, reader_version, body_bytes, commitment, link, headers) values \
             (?1, ?2, 'zotlo', 'main', 'events', 'stored', 'path_key', '::1', 'live', 0, 'x', 1, 2, x'00', x'00', '[]')",
            params![id, now().to_string()],
        )
        .unwrap();
        conn.execute(
            "insert into payments (id, seq, provider, account, payment_id, user_id, at, day, kind, amount_minor, currency, \
             exponent, status, for_subscription, test) values (?1 * 10000, ?1, 'zotlo', 'main', ?1, 'u', ?2, '2026-11-04', ?3, ?4, \
             'TRY', 2, 'x', 0, 0)",
            params![id, now().to_string(), kind, minor],
        )
        .unwrap();
    }
    conn.execute_batch("commit").unwrap();
    let reader = Reader::open(&path).unwrap();
    let today = reader.today(&Since::LastReview, now()).unwrap();
    assert_eq!(today.payments[0].minor, 15 * i128::from(largest));
    assert_eq!(today.refunds[0].minor, -5 * i128::from(largest));
    let json = serde_json::to_string(&today).unwrap();
    assert!(json.contains("\"minor\":14999999999999999985"), "{json}");
    for (file, column, wanted) in [
        ("payments-by-month.sql", "paid_minor", 1.5e19),
        ("payments-by-month.sql", "refunded_minor", -5e18),
        ("best-readers.sql", "paid_minor", 1e19),
    ] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/queries");
        let sql = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        let sql = format!(
            "select {column} from ({})",
            sql.trim().trim_end_matches(';')
        );
        let found: f64 = conn
            .query_row(&sql, [], |row| {
                Ok(match row.get_ref(0)? {
                    rusqlite::types::ValueRef::Integer(exact) => {
                        assert_eq!(exact, -5 * largest, "{file}: within 64 bits it is exact");
                        wanted
                    }
                    other => other.as_f64()?,
                })
            })
            .unwrap();
        assert!(
            (found / wanted - 1.0).abs() < 1e-12,
            "{file} {column} {found}"
        );
    }
}

#[test]
fn a_test_is_no_beginning() {
    let (_dir, path, conn) = empty();
    let put = |seq: i64, at: &str, test: bool| {
        conn.execute(
            "insert into deliveries (seq, received_at, provider, account, hook, outcome, credential, remote_ip, origin, \
             test, provider_type, reader_version, body_bytes, commitment, link, headers) values \
             (?1, ?2, 'zotlo', 'main', 'events', 'stored', 'path_key', '::1', 'live', ?3, 'x', 1, 2, x'00', x'00', '[]')",
            params![seq, at, test],
        )
        .unwrap();
        conn.execute(
            "insert into events (id, seq, n, provider, account, app, type, provider_type, at, day, occurred_at_source, \
             received_at, test, data) values (?1 * 10000, ?1, 0, 'zotlo', 'main', '', 'user.updated', 'x', ?2, \
             substr(?2, 1, 10), 'body', ?2, ?3, '{}')",
            params![seq, at, test],
        )
        .unwrap();
    };
    let from = || {
        let today = Reader::open(&path)
            .unwrap()
            .today(&Since::LastReview, now());
        today.unwrap().period.from
    };
    put(1, "2021-05-01T00:00:00.000Z", true);
    assert_eq!(from(), None);
    put(2, "2026-11-02T00:00:00.000Z", false);
    assert_eq!(from().as_deref(), Some("2026-11-02T00:00:00.000Z"));
}

#[test]
fn monthly_value_is_summed_exactly_per_currency() {
    for seed in 40..44 {
        let life = life(seed, 150, 40, false);
        let today = life.reader().today(&Since::LastReview, now()).unwrap();
        let mut rows = life
            .conn
            .prepare("select currency, price_minor, interval_unit, interval_count from subscriptions \
                      where status in ('active', 'grace') and has_access = 1 and cancelled_at is null \
                      and auto_renew is not 0 and price_minor is not null and test = 0")
            .unwrap();
        let mut wanted = std::collections::BTreeMap::<String, Decimal>::new();
        let mut found = rows.query([]).unwrap();
        let mut priced = 0;
        while let Some(row) = found.next().unwrap() {
            let price = Decimal::from(row.get::<_, i64>(1).unwrap());
            let count = Decimal::from(row.get::<_, i64>(3).unwrap());
            let monthly = match row.get::<_, String>(2).unwrap().as_str() {
                "month" => price / count,
                "year" => price / (Decimal::from(12) * count),
                _ => price * Decimal::new(36_525, 2) / (Decimal::from(84) * count),
            };
            *wanted.entry(row.get(0).unwrap()).or_default() += monthly;
            priced += 1;
        }
        let wanted: Vec<(String, i128)> = wanted
            .into_iter()
            .map(|(currency, sum)| {
                let whole = sum.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
                (currency, whole.to_i128().unwrap())
            })
            .collect();
        let found: Vec<(String, i128)> = today
            .monthly
            .iter()
            .map(|sum| (sum.currency.clone(), sum.minor))
            .collect();
        assert_eq!(found, wanted, "seed {seed}");
        assert_eq!(today.priced.count, priced);
        assert!(today.renewing.count >= today.priced.count);
    }
}

#[test]
fn a_week_before_and_the_days_are_counted_by_time() {
    let life = life(60, 300, 50, true);
    let since = Since::parse("2026-10-28T00:00..2026-10-30T23:59", now(), zone()).unwrap();
    let today = life.reader().today(&since, now()).unwrap();
    let by_time = "select count(*) from cancellations where actor <> 'payment' and test = 0 and";
    // Midnight in Istanbul is 21:00 the day before in UTC.
    let before = life.number(&format!(
        "{by_time} cancelled_at >= '2026-10-20T21:00' and cancelled_at < '2026-10-23T21:00'"
    ));
    assert_eq!(
        today.cancelled.before.unwrap(),
        u64::try_from(before).unwrap()
    );
    assert_eq!(today.cancelled.daily.len(), 28);
    let first = life.number(&format!("{by_time} day = '2026-10-08'"));
    let last = life.number(&format!("{by_time} day = '2026-11-04'"));
    assert_eq!(
        (today.cancelled.daily[0], today.cancelled.daily[27]),
        (first.unsigned_abs(), last.unsigned_abs())
    );
    assert!(today.history.is_none() && today.cancelled.median.is_some());
}

#[test]
fn a_young_ledger_says_how_young_and_compares_nothing() {
    let young = life(61, 30, 2, false);
    let today = young.reader().today(&Since::LastReview, now()).unwrap();
    assert!(
        today.history.as_ref().unwrap().ends_with("of 28 days"),
        "{:?}",
        today.history
    );
    assert_eq!(
        (
            today.new_readers.before,
            today.new_readers.median,
            today.late
        ),
        (None, None, None)
    );
    assert_eq!(today.period.kind, "beginning");
    let (_dir, path, _conn) = empty();
    let today = Reader::open(&path)
        .unwrap()
        .today(&Since::LastReview, now())
        .unwrap();
    assert_eq!(today.history.as_deref(), Some("first day"));
    assert!(figures(&today).iter().all(|figure| figure.count == 0));
    assert!(today.needs_you.is_empty());
    assert!(
        serde_json::to_string(&today)
            .unwrap()
            .contains("\"new_readers\":{\"count\":0,\"list\":\"users\"")
    );
}

fn regular(gaps_m: &[i64]) -> (TempDir, PathBuf) {
    let (dir, path, conn) = empty();
    let mut at = now().plus_ms(-gaps_m.iter().sum::<i64>() * MINUTE_MS);
    for (i, gap) in gaps_m.iter().enumerate() {
        conn.execute(
            "insert into deliveries (seq, received_at, provider, account, hook, outcome, credential, remote_ip, origin, \
             test, provider_type, reader_version, body_bytes, commitment, link, headers) values \
             (?1, ?2, 'zotlo', 'main', 'events', 'stored', 'path_key', '::1', 'live', 0, 'x', 1, 2, x'00', x'00', '[]')",
            params![i64::try_from(i).unwrap() + 1, at.to_string()],
        )
        .unwrap();
        at = at.plus_ms(gap * MINUTE_MS);
    }
    (dir, path)
}

#[test]
fn a_provider_is_quiet_when_no_gap_of_28_days_was_as_long() {
    let quiet = |gaps: &[i64], outside: &Outside| -> Option<String> {
        let (_dir, path) = regular(gaps);
        let today = Reader::open(&path)
            .unwrap()
            .today_with(&Since::LastReview, now(), outside)
            .unwrap();
        let need = today
            .needs_you
            .into_iter()
            .find(|need| need.rule == Rule::Quiet);
        need.map(|need| need.sentence)
    };
    let unknown = Outside::default();
    let mut gaps = vec![30; 24];
    gaps[5] = 125;
    *gaps.last_mut().unwrap() = 190;
    assert_eq!(
        quiet(&gaps, &unknown).as_deref(),
        Some("zotlo quiet for 3 h 10 m; its longest gap in 28 days was 2 h 05 m")
    );
    gaps[7] = 200;
    assert_eq!(quiet(&gaps, &unknown), None, "one gap was longer");
    assert_eq!(
        quiet(&[30, 30, 30, 190], &unknown),
        None,
        "too few to know its habits"
    );
    let expected = Outside {
        expected: vec![("zotlo".into(), "main".into(), 2 * HOUR_MS)],
        ..Outside::default()
    };
    assert_eq!(
        quiet(&[30, 30, 30, 190], &expected).as_deref(),
        Some("zotlo quiet for 3 h 10 m; it is expected every 2 h 00 m")
    );
    assert_eq!(quiet(&[30, 30, 30, 90], &expected), None);
}

#[test]
fn what_only_the_caller_knows_is_said_too() {
    let (_dir, path, _conn) = empty();
    let outside = Outside {
        receiving: Some(false),
        backup: Some(Backup::Unset),
        ..Outside::default()
    };
    let today = Reader::open(&path)
        .unwrap()
        .today_with(&Since::LastReview, now(), &outside)
        .unwrap();
    let rules: Vec<Rule> = today.needs_you.iter().map(|need| need.rule).collect();
    assert_eq!(rules, [Rule::NotReceiving, Rule::NoBackup]);
}

#[test]
fn a_quiet_provider_that_is_turned_away_is_said_to_call() {
    let mut gaps = vec![30; 24];
    *gaps.last_mut().unwrap() = 190;
    let (_dir, path) = regular(&gaps);
    let quiet = |account: Option<&str>| {
        let outside = Outside {
            account: account.map(str::to_owned),
            ..Outside::default()
        };
        let reader = Reader::open(&path).unwrap();
        let needs = reader.needs(now(), &outside).unwrap();
        let need = needs.into_iter().find(|need| need.rule == Rule::Quiet);
        need.unwrap()
    };
    let conn = Connection::open(&path).unwrap();
    let refuse = |minutes: i64, provider: &str| {
        conn.execute(
            "insert into rejected (received_at, provider, hook, path, reason, remote_ip, method, headers, body_bytes) \
             values (?1, ?2, 'events', '/hooks', 'wrong signature', '::1', 'POST', '[]', 0)",
            [now().plus_ms(-minutes * MINUTE_MS).to_string(), provider.to_owned()],
        )
        .unwrap();
    };
    refuse(200, "zotlo");
    refuse(20, "klustr");
    assert_eq!(
        quiet(None).sentence,
        "zotlo quiet for 3 h 10 m; its longest gap in 28 days was 30 m"
    );
    refuse(20, "zotlo");
    let need = quiet(None);
    assert_eq!(
        need.sentence,
        "zotlo quiet for 3 h 10 m; it calls, and is turned away"
    );
    let listed = query(List::Deliveries, need.query.as_deref().unwrap(), None);
    let reader = Reader::open(&path).unwrap();
    let page = reader.light_page(List::Deliveries, &listed, &Cursor::First, 500);
    let rows = page.unwrap().rows;
    assert_eq!(rows.len() as u64, need.count);
    assert_eq!(rows.iter().filter(|row| row.key.id < 0).count(), 2);
    assert!(quiet(Some("main")).sentence.ends_with("was 30 m"));
}
