//! The lines of Today: names, words and comparisons for the figures of the store.

use crate::domain::delivery::MAIN_ACCOUNT;
use crate::domain::money::grouped;
use crate::domain::page::List;
use crate::domain::query::value_text;
use crate::domain::time::{DAY_MS, HOUR_MS, Timestamp, Zone};
use crate::store::today::{self, Figure, Need, Share, Sum};
use crate::tui::cell::number;
use crate::tui::facts::{Bit, Door, FigureLine, Part, Stop, TodayLine};
use crate::tui::today::terms::Term;

/// What the lines are made of.
pub struct Told<'a> {
    /// The review.
    pub review: &'a today::Today,
    /// The ledger's zone.
    pub zone: Zone,
    /// Ids and names of providers.
    pub names: &'a [(String, String)],
    /// How many tests arrived where nothing else did.
    pub tests: i64,
    /// What is said where nothing arrived at all.
    pub empty: &'a str,
}

/// Every line, the most urgent first.
pub fn lines(told: &Told<'_>) -> Vec<TodayLine> {
    let review = told.review;
    let mut out: Vec<TodayLine> = review.needs_you.iter().map(need).collect();
    if review.seq == 0 && review.turned_away.count == 0 {
        out.push(TodayLine::Remark(told.empty.to_owned(), None));
        return out;
    }
    remarks(told, &mut out);
    for (title, term, figure) in [
        ("New readers", Term::NewReaders, &review.new_readers),
        (
            "New subscriptions",
            Term::NewSubscriptions,
            &review.new_subscriptions,
        ),
        ("Cancelled", Term::Cancelled, &review.cancelled),
        ("Ended", Term::Ended, &review.ended),
    ] {
        out.push(TodayLine::Figure(Box::new(
            told.figure(title, term, figure),
        )));
    }
    if review.involuntary.count > 0 {
        let text = format!("{} of the ended", number(review.involuntary.count));
        let stop = told.stop(
            text,
            "Payment failed",
            Term::PaymentFailed,
            &review.involuntary,
        );
        out.push(fact("Payment failed", vec![part(stop)]));
    }
    told.money(&mut out);
    out.push(fact("Consent", told.consent()));
    out.push(fact("Deliveries", told.deliveries()));
    if let Some(late) = review.late.as_ref().filter(|late| late.count > 0) {
        let text = format!(
            "{} that happened before your last review",
            number(late.count)
        );
        let stop = told.stop(text, "Arrived late", Term::Late, late);
        out.push(fact("Arrived late", vec![part(stop)]));
    }
    out.extend(told.backup());
    out
}

fn need(need: &Need) -> TodayLine {
    let door = need
        .list
        .zip(need.query.clone())
        .map(|(list, query)| Door { list, query });
    TodayLine::Need(Stop {
        door,
        ..bare(need.sentence.clone(), "Needs you", Term::Need(need.rule))
    })
}

/// What is said before the figures.
fn remarks(told: &Told<'_>, out: &mut Vec<TodayLine>) {
    let review = told.review;
    if review.needs_you.is_empty() {
        out.push(TodayLine::Remark("Nothing needs you".to_owned(), None));
    }
    let behind = review.seq - review.folded_seq;
    if behind > 0 {
        let behind = number(behind.unsigned_abs());
        let text = format!("catching up {behind}: the figures are not whole yet");
        out.push(TodayLine::Remark(text, None));
    }
    if let Some(upgrade) = &review.upgraded {
        out.push(TodayLine::Remark(upgrade.sentence(), None));
    }
    if review.period.to < review.now {
        let text = "What needs you, Monthly and Ending are of now, the other figures of the period";
        out.push(TodayLine::Remark(text.to_owned(), None));
    }
    if told.tests > 0 {
        let text = match told.tests {
            1 => "1 test arrived, and no real webhook yet; tests are in no figure".to_owned(),
            many => format!(
                "{} tests arrived, and no real webhook yet; tests are in no figure",
                number(many.unsigned_abs())
            ),
        };
        let stop = Stop {
            door: Some(Door {
                list: List::Deliveries,
                query: "is:test".to_owned(),
            }),
            ..bare(text.clone(), "Tests", Term::Tests)
        };
        out.push(TodayLine::Remark(text, Some(Box::new(stop))));
    }
}

impl Told<'_> {
    fn figure(&self, title: &str, term: Term, figure: &Figure) -> FigureLine {
        let now = figure.count;
        let mut stop = self.stop(number(now), title, term, figure);
        let mut line = FigureLine {
            before: String::new(),
            difference: String::new(),
            share: String::new(),
            word: String::new(),
            usual: figure.median.map_or_else(String::new, plain),
            note: String::new(),
            split: Vec::new(),
            stop: stop.clone(),
        };
        match (figure.before, &self.review.history) {
            (Some(before), _) => {
                let change = change(now.into(), before.into());
                stop.compared.push(format!(
                    "A week before {}: {}.",
                    number(before),
                    change.sentence()
                ));
                line.before = number(before);
                line.difference = change.difference;
                line.share = change.share;
                line.word = change.word.to_owned();
            }
            (None, Some(history)) => {
                stop.compared
                    .push(format!("Compared with nothing yet: {history}."));
                line.note.clone_from(history);
            }
            (None, None) => "not known so far back".clone_into(&mut line.note),
        }
        stop.compared.extend(self.against_usual(figure));
        line.split = self.split(title, term, figure);
        line.stop = stop;
        line
    }

    /// How the period compares with a usual day.
    fn against_usual(&self, figure: &Figure) -> Option<String> {
        let Some(usual) = figure.median else {
            let history = self
                .review
                .history
                .as_ref()
                .filter(|_| figure.before.is_some())?;
            return Some(format!("No usual day is known yet: {history}."));
        };
        let period = &self.review.period;
        let from = Timestamp::parse(period.from.as_deref()?)?;
        let length = Timestamp::parse(&period.to)?.ms() - from.ms();
        let usual_text = plain(usual);
        // A part of a day is not compared with a whole one.
        if length < 20 * HOUR_MS {
            return Some(format!(
                "A usual day has {usual_text}; this one is not over."
            ));
        }
        let now = f64::from(u32::try_from(figure.count).unwrap_or(u32::MAX));
        let days = f64::from(u32::try_from((length / HOUR_MS).max(1)).unwrap_or(u32::MAX)) / 24.0;
        let is_one_day = length <= 28 * HOUR_MS;
        let a_day = if is_one_day { now } else { now / days };
        // In tenths, so that what is shown is what is compared.
        let tenths = |value: f64| format!("{:.0}", value * 10.0).parse::<i128>().unwrap_or(0);
        let change = change(tenths(a_day), tenths(usual));
        let difference = signed_tenths(tenths(a_day) - tenths(usual));
        let says = match change.word {
            "same" => "the same".to_owned(),
            word if change.share.is_empty() => format!("{difference}, {word}"),
            word => format!("{difference}, {}, {word}", change.share),
        };
        Some(if is_one_day {
            format!("A usual day has {usual_text}: {says}.")
        } else {
            format!(
                "{} a day; a usual day has {usual_text}: {says}.",
                plain(a_day)
            )
        })
    }

    /// A stop for each account that has a part in the figure, where several have.
    fn split(&self, title: &str, term: Term, figure: &Figure) -> Vec<Stop> {
        if self.accounts() < 2 {
            return Vec::new();
        }
        let shares = figure.by.iter().filter(|share| !share.account.is_empty());
        shares
            .map(|share| {
                let name = self.name(share);
                let query = format!(
                    "{} provider:{} account:{}",
                    figure.query,
                    value_text(&share.provider),
                    value_text(&share.account)
                );
                Stop {
                    door: Some(Door {
                        list: figure.list,
                        query: query.trim_start().to_owned(),
                    }),
                    ..bare(
                        format!("{name} {}", number(share.count)),
                        &format!("{title}, {name}"),
                        term,
                    )
                }
            })
            .collect()
    }

    /// How many accounts have a part in anything.
    fn accounts(&self) -> usize {
        let figures = [
            &self.review.new_readers,
            &self.review.new_subscriptions,
            &self.review.renewing,
            &self.review.kept,
        ];
        let shares = figures.iter().flat_map(|figure| &figure.by);
        let mut known: Vec<_> = shares
            .map(|share| (&share.provider, &share.account))
            .collect();
        known.sort_unstable();
        known.dedup();
        known.len()
    }

    /// What the publisher calls an account: `Zotlo`, `Zotlo weekly`.
    fn name(&self, share: &Share) -> String {
        let known = self.names.iter().find(|(id, _)| *id == share.provider);
        let name = known.map_or(share.provider.as_str(), |(_, name)| name);
        match share.account.as_str() {
            _ if name.is_empty() => "elsewhere".to_owned(),
            "" | MAIN_ACCOUNT => name.to_owned(),
            account => format!("{name} {account}"),
        }
    }

    fn stop(&self, text: String, title: &str, term: Term, figure: &Figure) -> Stop {
        Stop {
            door: Some(Door {
                list: figure.list,
                query: figure.query.clone(),
            }),
            split: figure
                .by
                .iter()
                .map(|share| (self.name(share), share.count))
                .collect(),
            days: figure.daily.clone(),
            last_day: self.today(),
            usual: figure.median,
            ..bare(text, title, term)
        }
    }

    /// The day that charts end with.
    fn today(&self) -> String {
        let now = Timestamp::parse(&self.review.now);
        now.map_or_else(String::new, |now| now.day(self.zone))
    }

    fn money(&self, out: &mut Vec<TodayLine>) {
        let review = self.review;
        out.push(fact(
            "Payments",
            or_none(sums("Payments", Term::Payments, &review.payments, false)),
        ));
        if !review.refunds.is_empty() {
            out.push(TodayLine::Fact {
                title: "Refunded".to_owned(),
                parts: sums("Refunded", Term::Refunded, &review.refunds, false),
                beside: true,
            });
        }
        let mut parts = sums("Monthly value", Term::Monthly, &review.monthly, true);
        if review.renewing.count > 0 {
            let priced = number(review.priced.count);
            let renewing = number(review.renewing.count);
            parts.push(Part(vec![
                Bit::Text("(".to_owned()),
                Bit::Stop(self.stop(priced, "Priced", Term::Priced, &review.priced)),
                Bit::Text(" of ".to_owned()),
                Bit::Stop(self.stop(renewing, "Renewing", Term::Renewing, &review.renewing)),
                Bit::Text(" priced)".to_owned()),
            ]));
        }
        out.push(fact("Monthly", or_none(parts)));
        if review.ending.count > 0 {
            let mut parts = sums("Ending", Term::Ending, &review.ending_value, false);
            let text = match review.ending.count {
                1 => "1 cancelled, still has access".to_owned(),
                many => format!("{} cancelled, still have access", number(many)),
            };
            parts.push(part(self.stop(
                text,
                "Ending",
                Term::Ending,
                &review.ending,
            )));
            out.push(fact("Ending", parts));
        }
    }

    fn consent(&self) -> Vec<Part> {
        let parts = self.review.consent.iter().map(|one| {
            let purpose = &one.purpose;
            let stop = |sign: &str, term, figure: &Figure| {
                let text = format!("{sign}{}", number(figure.count));
                Bit::Stop(self.stop(text, &format!("Consent, {purpose}"), term, figure))
            };
            Part(vec![
                Bit::Text(format!("{purpose} ")),
                stop("+", Term::Given, &one.given),
                Bit::Text(" ".to_owned()),
                stop("-", Term::Withdrawn, &one.withdrawn),
            ])
        });
        let parts: Vec<Part> = parts.collect();
        if parts.is_empty() {
            return vec![Part(vec![Bit::Text("no change".to_owned())])];
        }
        parts
    }

    fn deliveries(&self) -> Vec<Part> {
        let review = self.review;
        let repeats = match review.repeats.count {
            1 => "repeat",
            _ => "repeats",
        };
        [
            ("kept", Term::Kept, &review.kept),
            (repeats, Term::Repeats, &review.repeats),
            (
                "not understood",
                Term::NotUnderstood,
                &review.not_understood,
            ),
            ("turned away", Term::TurnedAway, &review.turned_away),
        ]
        .into_iter()
        .filter(|(_, term, figure)| *term == Term::Kept || figure.count > 0)
        .map(|(word, term, figure)| {
            let text = format!("{} {word}", number(figure.count));
            part(self.stop(text, &format!("Deliveries, {word}"), term, figure))
        })
        .collect()
    }

    fn backup(&self) -> Option<TodayLine> {
        let at = Timestamp::parse(self.review.last_backup.as_deref()?)?;
        let now = Timestamp::parse(&self.review.now)?;
        let text = today::backup_words(at, now, self.zone);
        let stop = bare(text, "Last backup", Term::Backup);
        Some(fact("Last backup", vec![part(stop)]))
    }
}

fn fact(title: &str, parts: Vec<Part>) -> TodayLine {
    TodayLine::Fact {
        title: title.to_owned(),
        parts,
        beside: false,
    }
}

fn part(stop: Stop) -> Part {
    Part(vec![Bit::Stop(stop)])
}

fn or_none(parts: Vec<Part>) -> Vec<Part> {
    if parts.is_empty() {
        return vec![Part(vec![Bit::Text("none".to_owned())])];
    }
    parts
}

/// A stop that says so much and no more.
pub(super) fn bare(text: String, title: &str, term: Term) -> Stop {
    Stop {
        text,
        after: String::new(),
        title: title.to_owned(),
        term,
        door: None,
        compared: Vec::new(),
        split: Vec::new(),
        days: Vec::new(),
        last_day: String::new(),
        usual: None,
    }
}

/// A part per currency, since each opens its own rows; `with_change` says beside each how it changed.
fn sums(title: &str, term: Term, sums: &[Sum], with_change: bool) -> Vec<Part> {
    // What went back is stored with a minus; under its own name it has none.
    let sign = if term == Term::Refunded { -1 } else { 1 };
    sums.iter()
        .map(|sum| {
            let amount =
                |minor: i128| format!("{} {}", sum.currency, grouped(sign * minor, sum.exponent));
            let change = sum
                .before
                .map(|before| change(sign * sum.minor, sign * before));
            let compared = change.iter().zip(sum.before).map(|(change, before)| {
                let words = match (change.word, change.share.as_str()) {
                    ("same", _) => "the same".to_owned(),
                    (word, "") => word.to_owned(),
                    (word, share) => format!("{share}, {word}"),
                };
                format!("A week before {}: {words}.", amount(before))
            });
            let compared = compared.collect();
            part(Stop {
                after: change
                    .filter(|_| with_change)
                    .map_or_else(String::new, |change| change.beside()),
                compared,
                door: Some(Door {
                    list: sum.list,
                    query: sum.query.clone(),
                }),
                ..bare(
                    amount(sum.minor),
                    &format!("{title}, {}", sum.currency),
                    term,
                )
            })
        })
        .collect()
}

/// A change in a number, a share and a word; the share empty where there is nothing to divide by.
pub(super) struct Change {
    difference: String,
    share: String,
    word: &'static str,
    /// In tenths of a percent, with its sign.
    exact: String,
}

impl Change {
    /// `+6, +17 %, up`.
    fn sentence(&self) -> String {
        match self.word {
            "same" => "the same".to_owned(),
            word if self.share.is_empty() => format!("{}, {word}", self.difference),
            word => format!("{}, {}, {word}", self.difference, self.share),
        }
    }

    /// `+1.2 %`, `same`, `new`.
    fn beside(&self) -> String {
        match self.word {
            "same" => "same".to_owned(),
            _ if self.share.is_empty() => "new".to_owned(),
            _ => self.exact.clone(),
        }
    }
}

/// How `now` differs from `before`; shares are rounded half away from zero.
pub(super) fn change(now: i128, before: i128) -> Change {
    let more = now - before;
    let sign = if more < 0 { "-" } else { "+" };
    let word = match more.signum() {
        0 => "same",
        1 => "up",
        _ => "down",
    };
    // Of what cannot be multiplied without harm no share is told.
    let share = |per: i128| {
        let twice = more.checked_abs()?.checked_mul(2 * per)?;
        let base = before.checked_abs()?;
        twice.checked_add(base)?.checked_div(base.checked_mul(2)?)
    };
    let whole = share(100).map_or_else(String::new, |share| format!("{sign}{share} %"));
    let exact = share(1_000).map_or_else(String::new, |tenths| {
        format!("{sign}{}.{} %", tenths / 10, tenths % 10)
    });
    Change {
        difference: match more {
            0 => "0".to_owned(),
            more => format!("{sign}{}", grouped(more.unsigned_abs().cast_signed(), 0)),
        },
        share: if more == 0 { "same".to_owned() } else { whole },
        word,
        exact,
    }
}

/// `38`, `2.5`.
fn plain(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// `+3`, `-0.5`.
fn signed_tenths(tenths: i128) -> String {
    let sign = if tenths < 0 { "-" } else { "+" };
    let (whole, rest) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
    match rest {
        0 => format!("{sign}{whole}"),
        rest => format!("{sign}{whole}.{rest}"),
    }
}

/// The last day of a chart and the one `back` days before it: `20 Nov`.
pub(super) fn day_label(last_day: &str, back: u64) -> String {
    let last = Timestamp::parse(&format!("{last_day}T12:00:00Z"));
    last.map_or_else(String::new, |last| {
        let back = i64::try_from(back).unwrap_or(0);
        last.plus_ms(-back * DAY_MS)
            .utc()
            .format("%-d %b")
            .to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_number_a_share_and_a_word() {
        for (now, before, difference, share, word, exact) in [
            (41, 35, "+6", "+17 %", "up", "+17.1 %"),
            (9, 11, "-2", "-18 %", "down", "-18.2 %"),
            (3, 3, "0", "same", "same", "+0.0 %"),
            (0, 0, "0", "same", "same", ""),
            (4, 0, "+4", "", "up", ""),
            (0, 2, "-2", "-100 %", "down", "-100.0 %"),
            (4_821_000, 4_763_834, "+57,166", "+1 %", "up", "+1.2 %"),
            (-300, -200, "-100", "-50 %", "down", "-50.0 %"),
        ] {
            let found = change(now, before);
            assert_eq!(
                (&*found.difference, &*found.share, found.word, &*found.exact),
                (difference, share, word, exact),
                "{now} {before}"
            );
        }
        assert_eq!(change(i128::MAX / 2, 1).share, "");
    }

    #[test]
    fn days_are_named_backwards_from_the_last() {
        assert_eq!(day_label("2026-11-20", 0), "20 Nov");
        assert_eq!(day_label("2026-03-01", 27), "2 Feb");
        assert_eq!(day_label("", 0), "");
    }
}
