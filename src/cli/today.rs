//! `today`: the daily review as text, by the same figures as the screen.

use anyhow::Result;

use crate::cli::args::TodayArgs;
use crate::cli::context::Context;
use crate::cli::doctor::disk_low;
use crate::cli::failure::{FOUND, Failure};
use crate::cli::out::Out;
use crate::cli::running;
use crate::cli::table::{local, tame};
use crate::config::Settings;
use crate::config::values::{NEVER, span_ms};
use crate::domain::count::word;
use crate::domain::money::grouped;
use crate::domain::printable::Printable;
use crate::domain::time::{Timestamp, Zone, span};
use crate::providers::ALL;
use crate::store::query::Reader;
use crate::store::today::{Figure, Outside, Since, Sum, Today, backup_words};

/// Writes the review; with `--exit-code`, exit code 4 if something needs the publisher.
pub fn run(context: &Context, args: &TodayArgs, out: &mut Out) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let now = context.clock.now();
    let zone = reader.zone()?;
    let since = match &args.since {
        Some(text) => Since::parse(text, now, zone)?,
        None => Since::LastReview,
    };
    let status = reader.status(now)?;
    let demo = status.demo;
    let outside = if demo {
        Outside {
            names: names(),
            ..Outside::default()
        }
    } else {
        outside(context, &reader)?
    };
    let today = reader.today_with(&since, now, &outside)?;
    if context.global.json {
        out.line(tame(&serde_json::to_string(&today)?))?;
    } else {
        let mut page = Page {
            zone,
            md: args.md,
            tests: if demo || status.connected {
                0
            } else {
                status.tests
            },
            out,
        };
        page.write(&today)?;
    }
    out.flush()?;
    if args.exit_code && !today.needs_you.is_empty() {
        return Err(Failure::silent(FOUND).into());
    }
    Ok(())
}

/// What the ledger does not know by itself.
pub fn outside(context: &Context, reader: &Reader) -> Result<Outside> {
    let receiving = running::receiver(&context.database)
        .is_some_and(|running| running::is_live(running.listen));
    Ok(Outside {
        receiving: Some(receiving),
        backup: Some(reader.backup_standing()?),
        ..by_settings(context)
    })
}

/// What settings and disk tell of it.
pub fn by_settings(context: &Context) -> Outside {
    let expectation = |settings: &Settings| {
        let text = settings.text("expect_every")?;
        Some((
            settings.provider.clone(),
            settings.account.clone(),
            text.to_owned(),
        ))
    };
    let (never, every): (Vec<_>, Vec<_>) = context
        .config
        .accounts
        .iter()
        .filter_map(expectation)
        .partition(|(.., text)| text == NEVER);
    Outside {
        receiving: None,
        backup: None,
        expected: every
            .into_iter()
            .filter_map(|(provider, account, text)| Some((provider, account, span_ms(&text)?)))
            .collect(),
        unexpected: never
            .into_iter()
            .map(|(provider, account, _)| (provider, account))
            .collect(),
        names: names(),
        disk_low: disk_low(&context.database),
    }
}

/// Every provider's id and name.
pub fn names() -> Vec<(String, String)> {
    ALL.iter()
        .map(|provider| (provider.id().to_owned(), provider.name().to_owned()))
        .collect()
}

/// The review as plain text or Markdown.
struct Page<'o> {
    zone: Zone,
    md: bool,
    /// How many tests arrived, where nothing else did.
    tests: i64,
    out: &'o mut Out,
}

impl Page<'_> {
    fn write(&mut self, today: &Today) -> Result<()> {
        self.head(today)?;
        self.needs(today)?;
        let figures = [
            ("New readers", &today.new_readers),
            ("New subscriptions", &today.new_subscriptions),
            ("Cancelled", &today.cancelled),
            ("Ended", &today.ended),
        ];
        self.rows(&figures, today.history.as_deref())?;
        if today.involuntary.count > 0 {
            let says = format!("{} of the ended", today.involuntary.count);
            self.pair("Payment failed", &says)?;
        }
        self.pair("Payments", &sums(&today.payments))?;
        if !today.refunds.is_empty() {
            self.pair("Refunded", &sums(&today.refunds))?;
        }
        let priced = format!(
            "({} of {} priced)",
            today.priced.count, today.renewing.count
        );
        self.pair("Monthly", &format!("{}  {priced}", sums(&today.monthly)))?;
        if today.ending.count > 0 {
            let says = format!("{} cancelled, still have access", today.ending.count);
            self.pair("Ending", &format!("{}  {says}", sums(&today.ending_value)))?;
        }
        for consent in &today.consent {
            let says = format!("+{} -{}", consent.given.count, consent.withdrawn.count);
            let purpose = Printable::line(&consent.purpose);
            self.pair("Consent", &format!("{purpose} {says}"))?;
        }
        self.pair("Deliveries", &deliveries(today))?;
        if let Some(late) = today.late.as_ref().filter(|late| late.count > 0) {
            let says = format!("{} that happened before your last review", late.count);
            self.pair("Arrived late", &says)?;
        }
        let moments = [today.last_backup.as_deref(), Some(&today.now)];
        if let [Some(at), Some(now)] = moments.map(|at| at.and_then(Timestamp::parse)) {
            self.pair("Last backup", &backup_words(at, now, self.zone))?;
        }
        Ok(())
    }

    fn head(&mut self, today: &Today) -> Result<()> {
        let from = today.period.from.as_deref();
        let shown = from.map_or_else(String::new, |at| format!(" {}", local(at, self.zone)));
        let word = match today.period.kind {
            "last-review" => "Since your review",
            "beginning" => "Since the beginning",
            _ => "Since",
        };
        let length = from
            .and_then(Timestamp::parse)
            .zip(Timestamp::parse(&today.period.to))
            .map_or_else(String::new, |(from, to)| {
                format!(" ({})", span(to.ms() - from.ms()))
            });
        let line = format!("{word}{shown}{length}, {}", today.zone);
        if self.md {
            self.out.line(format!("# {line}"))?;
        } else {
            self.out.heading(line)?;
        }
        let behind = today.seq - today.folded_seq;
        if behind > 0 {
            self.out.line(format!(
                "catching up {behind}: the figures are not whole yet"
            ))?;
        }
        Ok(())
    }

    fn needs(&mut self, today: &Today) -> Result<()> {
        if self.md {
            self.out.line("")?;
            if today.needs_you.is_empty() {
                self.out.line("Nothing needs you.")?;
            }
        }
        let sign = if self.md { "- **needs you:** " } else { "! " };
        for need in &today.needs_you {
            self.out
                .line(format!("{sign}{}", self.text(&need.sentence)))?;
        }
        self.only_tests(today)?;
        if let Some(upgrade) = &today.upgraded {
            let sign = if self.md { "- " } else { "" };
            let says = self.text(&upgrade.sentence());
            self.out.line(format!("{sign}{says}"))?;
        }
        self.out.line("")?;
        if self.md {
            self.out.line("| | now | a week before | usual day |")?;
            self.out.line("| --- | ---: | ---: | ---: |")?;
        } else {
            let history = today.history.as_deref().unwrap_or("");
            self.out.line(
                format!(
                    "{:<18} {:>8} {:>16} {:>10}  {history}",
                    "", "now", "a week before", "usual day"
                )
                .trim_end(),
            )?;
        }
        Ok(())
    }

    /// Why nothing is shown yet.
    fn only_tests(&mut self, today: &Today) -> Result<()> {
        let says = match self.tests {
            _ if today.seq == 0 => {
                "Nothing has arrived yet: `subledger urls` prints the links to paste".to_owned()
            }
            0 => return Ok(()),
            1 => "1 test arrived, and no real webhook yet; tests are in no figure".to_owned(),
            many => {
                format!("{many} tests arrived, and no real webhook yet; tests are in no figure")
            }
        };
        if self.md {
            self.out.line("")?;
        }
        Ok(self.out.line(says)?)
    }

    fn rows(&mut self, figures: &[(&str, &Figure)], history: Option<&str>) -> Result<()> {
        for (name, figure) in figures {
            let before = figure.before.map_or_else(String::new, |before| {
                format!("{before} {}", difference(figure.count, before))
            });
            let median = figure
                .median
                .map_or_else(String::new, |median| median.to_string());
            if self.md {
                self.out.line(format!(
                    "| {name} | {} | {before} | {median} |",
                    figure.count
                ))?;
            } else {
                let line = format!("{name:<18} {:>8} {before:>16} {median:>10}", figure.count);
                self.out.line(line.trim_end())?;
            }
        }
        if self.md {
            self.out.line("")?;
            if let Some(history) = history {
                self.pair("History", history)?;
            }
        }
        Ok(())
    }

    fn pair(&mut self, name: &str, says: &str) -> Result<()> {
        let says = says.trim();
        let line = if self.md {
            format!("- {name}: {}", self.text(says))
        } else {
            format!("{name:<18} {says}")
        };
        Ok(self.out.line(line)?)
    }

    /// Foreign words in it are tame; in Markdown they are no markup either.
    fn text(&self, text: &str) -> String {
        let text = String::from(Printable::line(text));
        if self.md { plain_markdown(&text) } else { text }
    }
}

/// `text` as Markdown that shows it as it is: no emphasis, code, HTML, cell, entity, and no link, also where a mail
/// client makes one of an address.
fn plain_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_address = c == '@' || rest.starts_with("://");
        let is_host =
            c == '.' && out.len() >= 3 && out[out.len() - 3..].eq_ignore_ascii_case("www");
        if is_address || is_host || r"\`*_[]<>|#&~$".contains(c) {
            out.push('\\');
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// `+6 +17 %`, `same`.
fn difference(now: u64, before: u64) -> String {
    let (now, before) = (i128::from(now), i128::from(before));
    match now - before {
        0 => "same".to_owned(),
        more if before == 0 => format!("{more:+}"),
        more => format!(
            "{more:+} {:+} %",
            (more * 200 + before * more.signum()) / (before * 2)
        ),
    }
}

fn sums(sums: &[Sum]) -> String {
    let parts: Vec<String> = sums
        .iter()
        .map(|sum| {
            let currency = Printable::line(&sum.currency);
            format!("{currency} {}", grouped(sum.minor, sum.exponent))
        })
        .collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        parts.join("  ")
    }
}

fn deliveries(today: &Today) -> String {
    let some = [
        (
            today.repeats.count,
            word(today.repeats.count, "repeat", "repeats"),
        ),
        (today.not_understood.count, "not understood"),
        (today.turned_away.count, "turned away"),
    ];
    let mut parts = vec![format!("{} kept", today.kept.count)];
    parts.extend(
        some.iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}")),
    );
    parts.join("   ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_a_number_and_a_rounded_share() {
        assert_eq!(difference(41, 35), "+6 +17 %");
        assert_eq!(difference(9, 11), "-2 -18 %");
        assert_eq!(difference(3, 3), "same");
        assert_eq!(difference(3, 0), "+3");
    }

    #[test]
    fn foreign_words_are_no_markdown() {
        for (text, shown) in [
            ("Gold | plan", r"Gold \| plan"),
            ("`rm` *x* _y_ ~z~ $1", r"\`rm\` \*x\* \_y\_ \~z\~ \$1"),
            ("[a](https://b.example)", r"\[a\](https\://b.example)"),
            ("<img src=x>&lt;", r"\<img src=x\>\&lt;"),
            (
                "see www.b.example or a@b.example",
                r"see www\.b.example or a\@b.example",
            ),
            ("TRY 8,120.00  +12 -4", "TRY 8,120.00  +12 -4"),
            ("Ayşe #1 \\", r"Ayşe \#1 \\"),
        ] {
            assert_eq!(plain_markdown(text), shown);
        }
    }
}
