//! Reviews for the screen to show: the morning of the design, and the odd ones.

use crate::domain::page::List;
use crate::domain::time::{DAY_MS, Zone};
use crate::store::today::{self, Consent, Figure, Need, Rule, Share, Sum};
use crate::tui::facts::{Period, Today};
use crate::tui::tests::ledger::now;
use crate::tui::today::heading;
use crate::tui::today::lines::{Told, lines};

const DAILY: [u64; 28] = [
    20, 27, 19, 33, 31, 40, 44, 39, 26, 20, 27, 40, 52, 60, 38, 27, 20, 33, 39, 45, 38, 32, 27, 32,
    38, 46, 51, 41,
];

pub(super) fn names() -> Vec<(String, String)> {
    [
        ("conscent", "Conscent"),
        ("klustr", "Klustr"),
        ("expressconsent", "ExpressConsent"),
        ("zotlo", "Zotlo"),
    ]
    .map(|(id, name)| (id.to_owned(), name.to_owned()))
    .to_vec()
}

pub(super) fn zone() -> Zone {
    "Europe/Istanbul".parse().unwrap()
}

/// A figure whose rows came to two thirds from one account.
fn figure(count: u64, before: u64, list: List, query: &str) -> Figure {
    let share = |provider: &str, count| Share {
        provider: provider.to_owned(),
        account: "main".to_owned(),
        count,
    };
    let by = vec![
        share("conscent", count - count / 3),
        share("zotlo", count / 3),
    ];
    Figure {
        count,
        list,
        query: query.to_owned(),
        before: Some(before),
        daily: DAILY.iter().map(|day| day * count / 41).collect(),
        median: Some(if count > 30 { 38.0 } else { 2.5 }),
        by: by.into_iter().filter(|share| share.count > 0).collect(),
    }
}

/// A figure that is compared with nothing.
fn plain(count: u64, list: List, query: &str) -> Figure {
    Figure {
        before: None,
        daily: Vec::new(),
        median: None,
        ..figure(count, 0, list, query)
    }
}

fn sum(currency: &str, minor: i128, before: Option<i128>, list: List, query: &str) -> Sum {
    Sum {
        currency: currency.to_owned(),
        exponent: if currency == "JPY" { 0 } else { 2 },
        minor,
        count: 3,
        list,
        query: format!("{query} currency:{currency}"),
        before,
    }
}

fn need(rule: Rule, sentence: &str, query: Option<&str>) -> Need {
    Need {
        rule,
        provider: None,
        account: None,
        sentence: sentence.to_owned(),
        count: 4,
        list: query.map(|_| List::Deliveries),
        query: query.map(str::to_owned),
    }
}

/// Everything at nought, in a ledger that holds `seq` deliveries.
pub(super) fn quiet(seq: i64) -> today::Today {
    let none = |list, query: &str| Figure {
        daily: vec![0; 28],
        median: Some(0.0),
        ..figure(0, 0, list, query)
    };
    let empty = |list, query: &str| plain(0, list, query);
    today::Today {
        now: now().to_string(),
        zone: zone().name(),
        period: today::Period {
            kind: "last-review",
            from: Some(now().plus_ms(-87_120_000).to_string()),
            to: now().to_string(),
            after_seq: Some(seq - 10),
        },
        seq,
        folded_seq: seq,
        history: None,
        needs_you: Vec::new(),
        upgraded: None,
        new_readers: none(List::Users, "is:registered is:new -is:test"),
        new_subscriptions: none(List::Subscriptions, "-status:pending is:new -is:test"),
        cancelled: none(List::Cancellations, "is:asked is:new -is:test"),
        ended: none(List::Subscriptions, "ended:last-review -is:test"),
        involuntary: empty(
            List::Subscriptions,
            "is:involuntary ended:last-review -is:test",
        ),
        payments: Vec::new(),
        refunds: Vec::new(),
        monthly: Vec::new(),
        renewing: empty(List::Subscriptions, "is:renewing -is:test"),
        priced: empty(List::Subscriptions, "is:renewing is:priced -is:test"),
        ending_value: Vec::new(),
        ending: empty(List::Subscriptions, "is:ending -is:test"),
        consent: Vec::new(),
        kept: empty(List::Deliveries, "is:stored is:new -is:test"),
        repeats: empty(List::Deliveries, "is:duplicate is:new -is:test"),
        not_understood: empty(List::Deliveries, "is:quarantined is:new -is:test"),
        turned_away: empty(List::Deliveries, "is:rejected is:new -is:test"),
        late: Some(empty(List::Events, "is:late -is:test")),
        last_backup: None,
    }
}

fn needs() -> Vec<Need> {
    vec![
        need(
            Rule::Quiet,
            "Zotlo quiet for 3 h 10 m; its longest gap in 28 days was 2 h 05 m",
            Some("provider:zotlo account:main"),
        ),
        need(
            Rule::TurnedAway,
            "Klustr: 4 webhooks turned away since 08:40, wrong signature",
            Some("is:rejected is:new provider:klustr"),
        ),
    ]
}

/// The morning that the design draws.
pub(super) fn morning() -> today::Today {
    let list = List::Subscriptions;
    let consent = |purpose: &str, given, withdrawn| Consent {
        purpose: purpose.to_owned(),
        given: plain(
            given,
            List::Changes,
            &format!("is:new purpose:{purpose} state:given"),
        ),
        withdrawn: plain(
            withdrawn,
            List::Changes,
            &format!("is:new purpose:{purpose} state:withdrawn"),
        ),
    };
    let paid = |currency, minor, before| {
        sum(
            currency,
            minor,
            Some(before),
            List::Payments,
            "is:payment is:new -is:test",
        )
    };
    let worth = |currency, minor, before| {
        sum(
            currency,
            minor,
            Some(before),
            list,
            "is:renewing is:priced -is:test",
        )
    };
    today::Today {
        needs_you: needs(),
        new_readers: figure(41, 35, List::Users, "is:registered is:new -is:test"),
        new_subscriptions: figure(9, 11, list, "-status:pending is:new -is:test"),
        cancelled: figure(3, 3, List::Cancellations, "is:asked is:new -is:test"),
        ended: figure(2, 0, list, "ended:last-review -is:test"),
        involuntary: plain(1, list, "is:involuntary ended:last-review -is:test"),
        payments: vec![paid("TRY", 812_000, 700_000), paid("EUR", 24_000, 24_000)],
        refunds: vec![sum(
            "TRY",
            -12_900,
            Some(0),
            List::Payments,
            "is:refund is:new -is:test",
        )],
        monthly: vec![
            worth("TRY", 4_821_000, 4_763_834),
            worth("EUR", 91_200, 91_566),
        ],
        renewing: plain(230, list, "is:renewing -is:test"),
        priced: plain(212, list, "is:renewing is:priced -is:test"),
        ending_value: vec![sum("TRY", 124_000, None, list, "is:ending -is:test")],
        ending: plain(5, list, "is:ending -is:test"),
        consent: vec![consent("marketing", 12, 4), consent("analytics", 30, 1)],
        kept: plain(512, List::Deliveries, "is:stored is:new -is:test"),
        repeats: plain(10, List::Deliveries, "is:duplicate is:new -is:test"),
        not_understood: plain(1, List::Deliveries, "is:quarantined is:new -is:test"),
        turned_away: plain(4, List::Deliveries, "is:rejected is:new -is:test"),
        late: Some(plain(7, List::Events, "is:late -is:test")),
        last_backup: Some(now().plus_ms(-11_040_000).to_string()),
        ..quiet(100_000)
    }
}

/// A ledger that is `days` old has nothing to compare with.
fn young(days: i64) -> today::Today {
    let mut review = morning();
    review.history = Some(match days {
        1 => "first day".to_owned(),
        days => format!("{days} of 28 days"),
    });
    review.period.kind = "beginning";
    review.period.from = Some(now().plus_ms(-days * DAY_MS + 3_600_000).to_string());
    review.needs_you = Vec::new();
    review.late = None;
    for figure in [
        &mut review.new_readers,
        &mut review.new_subscriptions,
        &mut review.cancelled,
        &mut review.ended,
    ] {
        figure.before = None;
        figure.median = None;
        for day in figure
            .daily
            .iter_mut()
            .rev()
            .skip(usize::try_from(days).unwrap())
        {
            *day = 0;
        }
    }
    for sum in review.payments.iter_mut().chain(&mut review.monthly) {
        sum.before = None;
    }
    review
}

/// The review as if one provider alone sent anything.
fn one_provider() -> today::Today {
    let mut review = morning();
    for figure in [
        &mut review.new_readers,
        &mut review.new_subscriptions,
        &mut review.cancelled,
        &mut review.ended,
        &mut review.renewing,
        &mut review.kept,
    ] {
        figure.by.truncate(1);
        figure.by[0].count = figure.count;
    }
    review.payments.truncate(1);
    review.monthly.truncate(1);
    review
}

fn ten_currencies() -> today::Today {
    let mut review = morning();
    let currencies = [
        "AUD", "CAD", "CHF", "EUR", "GBP", "INR", "JPY", "SEK", "TRY", "USD",
    ];
    let all = |list, query: &str, before: bool| {
        let sums = currencies.iter().zip(1..);
        sums.map(|(currency, nth): (&&str, i128)| {
            let minor = nth * 1_234_567;
            sum(
                currency,
                minor,
                before.then_some(minor - nth * 999),
                list,
                query,
            )
        })
        .collect::<Vec<_>>()
    };
    review.payments = all(List::Payments, "is:payment is:new -is:test", true);
    review.refunds = all(List::Payments, "is:refund is:new -is:test", true);
    for refund in &mut review.refunds {
        refund.minor = -refund.minor;
    }
    review.monthly = all(List::Subscriptions, "is:renewing is:priced -is:test", true);
    review.ending_value = all(List::Subscriptions, "is:ending -is:test", false);
    review
}

fn not_receiving() -> today::Today {
    let says = "no receiver runs: webhooks are not kept; `subledger serve` starts one";
    today::Today {
        needs_you: vec![
            need(Rule::NotReceiving, says, None),
            need(
                Rule::NoBackup,
                "no backup is made: subledger config set backup.dir FOLDER",
                None,
            ),
        ],
        ..quiet(400)
    }
}

fn nothing() -> today::Today {
    let mut review = young(1);
    review = today::Today {
        period: today::Period {
            from: None,
            ..review.period
        },
        ..quiet(0)
    };
    review.period.kind = "beginning";
    review
}

fn behind() -> today::Today {
    today::Today {
        folded_seq: 98_796,
        ..morning()
    }
}

/// Every kind of day, by name.
pub(super) fn days() -> Vec<(&'static str, today::Today)> {
    vec![
        ("morning", morning()),
        ("first_day", young(1)),
        ("third_day", young(3)),
        ("nothing", nothing()),
        ("everything_quiet", quiet(400)),
        ("one_provider", one_provider()),
        ("ten_currencies", ten_currencies()),
        ("not_receiving", not_receiving()),
        ("catching_up", behind()),
    ]
}

/// `review` as the screen shows it.
pub(super) fn shown(review: &today::Today, period: &Period) -> Today {
    Today {
        heading: heading(review, &period.0, zone()),
        seq: review.seq,
        lines: lines(&Told {
            review,
            zone: zone(),
            names: &names(),
            tests: 0,
            empty: "Nothing has arrived yet: 9 shows the links to paste",
        }),
    }
}
