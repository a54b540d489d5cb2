//! The daily review in the shape that the screen shows: words and doors for the figures of the store.
//!
//! Imports domain and store. Never counts anything itself: a figure and the list behind it are the store's.

use std::path::Path;

use crate::domain::count::word;
use crate::domain::money::grouped;
use crate::domain::page::List;
use crate::domain::time::{DAY_MS, Timestamp, Zone, span};
use crate::store::query::Reader;
use crate::store::today::{self, Figure, Outside, Since, Sum};
use crate::store::{Error, lock};
use crate::tui::Known;
use crate::tui::facts::{Door, Period, Say, Today, TodayLine};

/// Reads the review of `period` from the ledger at `path`.
pub fn read(
    reader: &Reader,
    path: &Path,
    period: Period,
    now: Timestamp,
    known: &Known,
) -> Result<Today, Error> {
    let zone = reader.zone()?;
    let since = since(period, now, zone);
    let status = reader.status(now)?;
    let only_tests = !status.connected && !status.demo;
    let outside = Outside {
        receiving: (!status.demo).then(|| lock::holder(path).is_some()),
        backup: if status.demo {
            None
        } else {
            Some(reader.backup_standing()?)
        },
        ..known()
    };
    let review = reader.today_with(&since, now, &outside)?;
    Ok(Today {
        heading: heading(&review, zone),
        seq: review.seq,
        lines: lines(&review, zone, if only_tests { status.tests } else { 0 }),
    })
}

fn since(period: Period, now: Timestamp, zone: Zone) -> Since {
    let from = match period {
        Period::LastReview => return Since::LastReview,
        Period::Today => zone.day_start(now.utc().with_timezone(&zone.0).date_naive()),
        Period::Week => now.plus_ms(-7 * DAY_MS),
        Period::FourWeeks => now.plus_ms(-28 * DAY_MS),
    };
    Since::Span { from, to: now }
}

/// `Since your review Tue 09:02 (24 h 12 m)`.
fn heading(review: &today::Today, zone: Zone) -> String {
    let words = match review.period.kind {
        "last-review" => "Since your review",
        "beginning" => "Since the beginning",
        _ => "Since",
    };
    let Some(from) = review.period.from.as_deref().and_then(Timestamp::parse) else {
        return words.to_owned();
    };
    let to = Timestamp::parse(&review.period.to).unwrap_or(from);
    let length = to.ms() - from.ms();
    let form = if length < 6 * DAY_MS {
        "%a %H:%M"
    } else {
        "%-d %b %Y"
    };
    let shown = from.utc().with_timezone(&zone.0).format(form);
    if review.period.kind == "beginning" {
        return format!("{words} ({shown})");
    }
    format!("{words} {shown} ({})", span(length))
}

fn lines(review: &today::Today, zone: Zone, tests: i64) -> Vec<TodayLine> {
    let mut out: Vec<TodayLine> = review
        .needs_you
        .iter()
        .map(|need| TodayLine {
            say: Say::Need(need.sentence.clone()),
            door: need
                .list
                .zip(need.query.clone())
                .map(|(list, query)| Door { list, query }),
        })
        .collect();
    if let Some(upgrade) = &review.upgraded {
        out.push(TodayLine {
            say: Say::Remark(upgrade.sentence()),
            door: None,
        });
    }
    if review.seq == 0 {
        let says = "Nothing has arrived yet: 9 shows the links to paste".to_owned();
        out.push(TodayLine {
            say: Say::Remark(says),
            door: None,
        });
    }
    if tests > 0 {
        let says = match tests {
            1 => "1 test arrived, and no real webhook yet; tests are in no figure".to_owned(),
            _ => format!("{tests} tests arrived, and no real webhook yet; tests are in no figure"),
        };
        out.push(TodayLine {
            say: Say::Remark(says),
            door: Some(Door {
                list: List::Deliveries,
                query: "is:test".to_owned(),
            }),
        });
    }
    let history = review.history.as_deref();
    out.push(figure("New readers", &review.new_readers, history));
    out.push(figure(
        "New subscriptions",
        &review.new_subscriptions,
        history,
    ));
    out.push(figure("Cancelled", &review.cancelled, history));
    out.push(figure("Ended", &review.ended, history));
    if review.involuntary.count > 0 {
        let says = format!("{} of the ended", review.involuntary.count);
        out.push(fact("Payment failed", says, &review.involuntary));
    }
    money(review, &mut out);
    for consent in &review.consent {
        let title = format!("Consent {}", consent.purpose);
        let says = format!("+{} -{}", consent.given.count, consent.withdrawn.count);
        let door = if consent.given.count > 0 {
            &consent.given
        } else {
            &consent.withdrawn
        };
        out.push(fact(&title, says, door));
    }
    arrivals(review, &mut out);
    out.extend(last_backup(review, zone));
    out
}

fn last_backup(review: &today::Today, zone: Zone) -> Option<TodayLine> {
    let at = Timestamp::parse(review.last_backup.as_deref()?)?;
    let now = Timestamp::parse(&review.now)?;
    Some(TodayLine {
        say: Say::Fact {
            title: "Last backup".to_owned(),
            text: today::backup_words(at, now, zone),
        },
        door: None,
    })
}

fn arrivals(review: &today::Today, out: &mut Vec<TodayLine>) {
    out.push(fact(
        "Deliveries",
        format!("{} kept", review.kept.count),
        &review.kept,
    ));
    for (says, figure) in [
        (
            word(review.repeats.count, "repeat", "repeats"),
            &review.repeats,
        ),
        ("not understood", &review.not_understood),
        ("turned away", &review.turned_away),
    ] {
        if figure.count > 0 {
            out.push(fact("", format!("{} {says}", figure.count), figure));
        }
    }
    if let Some(late) = review.late.as_ref().filter(|late| late.count > 0) {
        let says = format!("{} that happened before your last review", late.count);
        out.push(fact("Arrived late", says, late));
    }
}

fn money(review: &today::Today, out: &mut Vec<TodayLine>) {
    out.extend(sums("Payments", &review.payments));
    out.extend(sums("Refunded", &review.refunds));
    let priced = format!(
        "({} of {} priced)",
        review.priced.count, review.renewing.count
    );
    if review.renewing.count > 0 {
        let says = format!("{}  {priced}", amounts(&review.monthly));
        out.push(fact(
            "Monthly value",
            says.trim().to_owned(),
            &review.renewing,
        ));
    }
    if review.ending.count > 0 {
        let says = format!("{} cancelled, still have access", review.ending.count);
        let says = format!("{}  {says}", amounts(&review.ending_value));
        out.push(fact("Ending", says.trim().to_owned(), &review.ending));
    }
}

/// A line per currency, since each opens its own rows.
fn sums(title: &str, sums: &[Sum]) -> Vec<TodayLine> {
    let title_of = |place: usize| if place == 0 { title } else { "" };
    sums.iter()
        .enumerate()
        .map(|(place, sum)| TodayLine {
            say: Say::Fact {
                title: title_of(place).to_owned(),
                text: amount(sum),
            },
            door: Some(Door {
                list: sum.list,
                query: sum.query.clone(),
            }),
        })
        .collect()
}

fn amount(sum: &Sum) -> String {
    format!("{} {}", sum.currency, grouped(sum.minor, sum.exponent))
}

fn amounts(sums: &[Sum]) -> String {
    sums.iter().map(amount).collect::<Vec<_>>().join("   ")
}

fn fact(title: &str, text: String, figure: &Figure) -> TodayLine {
    TodayLine {
        say: Say::Fact {
            title: title.to_owned(),
            text,
        },
        door: Some(door(figure)),
    }
}

fn figure(title: &str, figure: &Figure, history: Option<&str>) -> TodayLine {
    let (before, change) = match (figure.before, history) {
        (Some(before), _) => (before.to_string(), change(figure.count, before)),
        (None, history) => (String::new(), history.unwrap_or_default().to_owned()),
    };
    TodayLine {
        say: Say::Figure {
            title: title.to_owned(),
            now: figure.count.to_string(),
            before,
            change,
            days: figure.daily.clone(),
        },
        door: Some(door(figure)),
    }
}

fn door(figure: &Figure) -> Door {
    Door {
        list: figure.list,
        query: figure.query.clone(),
    }
}

/// `+6  +17 %`, `same`.
fn change(now: u64, before: u64) -> String {
    let (now, before) = (i128::from(now), i128::from(before));
    match now - before {
        0 => "0  same".to_owned(),
        more if before == 0 => format!("{more:+}"),
        more => {
            let share = (more * 200 + before * more.signum()) / (before * 2);
            format!("{more:+}  {share:+} %")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_number_a_share_and_a_word() {
        assert_eq!(change(41, 35), "+6  +17 %");
        assert_eq!(change(9, 11), "-2  -18 %");
        assert_eq!(change(3, 3), "0  same");
        assert_eq!(change(4, 0), "+4");
    }
}
