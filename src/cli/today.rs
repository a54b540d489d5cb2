//! `today`: the daily review as text, by the same figures as the screen.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::cli::args::TodayArgs;
use crate::cli::context::Context;
use crate::cli::doctor::disk_low;
use crate::cli::failure::{FOUND, Failure};
use crate::cli::out::Out;
use crate::cli::table::tame;
use crate::cli::{lists, running};
use crate::config::Settings;
use crate::config::values::{NEVER, span_ms};
use crate::domain::page::List;
use crate::domain::printable::{self, Printable};
use crate::domain::query::{Key, value_text};
use crate::domain::time::Zone;
use crate::providers::ALL;
use crate::store::query::Reader;
use crate::store::today::{Outside, PERIODS, Since, Today};
use crate::tui::facts::{self, Bit, FigureLine, Part, TodayLine};
use crate::tui::today::heading;
use crate::tui::today::lines::{Told, lines};
use crate::tui::today::rows::{bars, rows};

/// Writes the review; with `--exit-code`, exit code 4 if something needs the publisher.
pub fn run(context: &Context, args: &TodayArgs, out: &mut Out) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let now = context.clock.now();
    let zone = reader.zone()?;
    let word = args.since.as_deref().unwrap_or(PERIODS[0].0);
    let since = Since::parse(word, now, zone)?;
    let status = reader.status(now)?;
    let demo = status.demo;
    let outside = if demo {
        Outside {
            disk_low: None,
            ..by_settings(context)
        }
    } else {
        outside(context, &reader)?
    };
    // A name that no account has is refused as in lists.
    if context.global.account.is_some() {
        lists::parse(context, &reader, List::Events, &[])?;
    }
    let outside = Outside {
        // As the filters read it: no account has capitals.
        account: context
            .global
            .account
            .as_deref()
            .map(str::to_ascii_lowercase),
        ..outside
    };
    let today = reader.today_with(&since, now, &outside)?;
    let nameless = match &outside.account {
        Some(account) => Some(nameless(context, &reader, &today, account)?),
        None => None,
    };
    if context.global.json {
        let told = Json {
            today: &today,
            turned_away_nameless: nameless.as_ref(),
        };
        out.line(tame(&serde_json::to_string(&told)?))?;
    } else {
        let mut lines = lines(&Told {
            review: &today,
            zone,
            names: &outside.names,
            tests: if demo || status.connected {
                0
            } else {
                status.tests
            },
            empty: "Nothing has arrived yet: `subledger urls` prints the links to paste",
        });
        if let Some(remark) = nameless.and_then(|found| found.remark()) {
            let is_need = |line: &TodayLine| matches!(line, TodayLine::Need(_));
            let at = lines.iter().take_while(|line| is_need(line)).count();
            lines.insert(at, TodayLine::Remark(remark, None));
        }
        let mut page = Page {
            zone,
            account: outside.account.as_deref(),
            md: args.md,
            word,
            out,
        };
        page.write(&today, lines)?;
    }
    out.flush()?;
    if args.exit_code && !today.needs_you.is_empty() {
        return Err(Failure::silent(FOUND).into());
    }
    Ok(())
}

/// The review as JSON.
#[derive(Serialize)]
struct Json<'t> {
    #[serde(flatten)]
    today: &'t Today,
    #[serde(skip_serializing_if = "Option::is_none")]
    turned_away_nameless: Option<&'t Nameless>,
}

/// What was turned away at the providers of one account: it names none, so that no figure of the account has it.
#[derive(Serialize)]
struct Nameless {
    count: u64,
    list: List,
    query: String,
}

impl Nameless {
    fn remark(&self) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some("1 webhook turned away names no account: it is in no figure here".to_owned()),
            many => Some(format!(
                "{many} webhooks turned away name no account: they are in no figure here"
            )),
        }
    }
}

/// What was turned away in the period of `today` at the providers that know `account`.
fn nameless(context: &Context, reader: &Reader, today: &Today, account: &str) -> Result<Nameless> {
    let set_up = context.config.accounts.iter();
    let set_up = set_up.map(|own| (own.provider.clone(), own.account.clone()));
    let providers: BTreeSet<String> = reader
        .accounts()?
        .into_iter()
        .chain(set_up)
        .filter(|(_, own)| own == account)
        .map(|(provider, _)| provider)
        .collect();
    let providers: Vec<String> = providers.iter().map(|name| value_text(name)).collect();
    let list = today.turned_away.list;
    let all = lists::parse_text(context, reader, list, &today.turned_away.query)?;
    let all = all.without(&[Key::Account]);
    let query = format!("{all} provider:{}", providers.join(","));
    let found = lists::parse_text(context, reader, list, &query)?;
    let count = reader.count(list, &found, u64::MAX - 1)?.number();
    Ok(Nameless { count, list, query })
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
        account: None,
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
    /// The only account that is looked at.
    account: Option<&'o str>,
    md: bool,
    /// The period, as it was asked for.
    word: &'o str,
    out: &'o mut Out,
}

impl Page<'_> {
    fn write(&mut self, review: &Today, lines: Vec<TodayLine>) -> Result<()> {
        let heading = heading(review, self.word, self.zone);
        let mut heading = format!("{heading}, {}", review.zone);
        if let Some(account) = self.account {
            let account = Printable::line(account);
            heading.extend([", account ", account.as_str(), " alone"]);
        }
        if self.md {
            self.out.line(format!("# {heading}"))?;
            self.out.line("")?;
            return self.markdown(&lines);
        }
        self.out.heading(heading)?;
        // What needs the publisher stands whole on its line; figures are laid out as on a screen.
        let shown = facts::Today {
            lines,
            ..facts::Today::default()
        };
        for row in rows(&shown, COLUMNS, false) {
            let text = row.text();
            self.out.line(text.strip_prefix(' ').unwrap_or(&text))?;
        }
        Ok(())
    }

    fn markdown(&mut self, lines: &[TodayLine]) -> Result<()> {
        let mut headed = false;
        let mut in_list = false;
        for line in lines {
            let is_figure = matches!(line, TodayLine::Figure(_));
            if (headed && !is_figure && !in_list) || (is_figure && !headed && in_list) {
                self.out.line("")?;
            }
            in_list = !is_figure;
            match line {
                TodayLine::Need(need) => {
                    let text = markdown_line(&need.text);
                    self.out.line(format!("- **needs you:** {text}"))?;
                }
                TodayLine::Remark(text, _) => {
                    self.out.line(format!("- {}", markdown_line(text)))?;
                }
                TodayLine::Figure(figure) => {
                    if !headed {
                        self.out
                            .line("| | now | a week before | change | | usual day | 28 days |")?;
                        self.out
                            .line("| --- | ---: | ---: | ---: | ---: | ---: | --- |")?;
                        headed = true;
                    }
                    self.out.line(table_line(figure))?;
                }
                TodayLine::Fact { title, parts, .. } => {
                    let parts: Vec<String> = parts.iter().map(part_text).collect();
                    let text = markdown_line(&parts.join("   "));
                    self.out.line(format!("- {title}: {text}"))?;
                }
            }
        }
        Ok(())
    }
}

/// Cells of the text: what fits a mail and a narrow terminal.
const COLUMNS: usize = 80;

fn table_line(figure: &FigureLine) -> String {
    let share = match figure.word.as_str() {
        "same" | "" => figure.share.clone(),
        word => format!("{} {word}", figure.share).trim_start().to_owned(),
    };
    let before = if figure.note.is_empty() {
        &figure.before
    } else {
        &figure.note
    };
    format!(
        "| {} | {} | {before} | {} | {share} | {} | {} |",
        figure.stop.title,
        figure.stop.text,
        figure.difference,
        figure.usual,
        bars(&figure.stop.days)
    )
}

fn part_text(part: &Part) -> String {
    let bits = part.0.iter().map(|bit| match bit {
        Bit::Text(text) => text.clone(),
        Bit::Stop(stop) if stop.after.is_empty() => stop.text.clone(),
        Bit::Stop(stop) => format!("{} {}", stop.text, stop.after),
    });
    bits.collect()
}

/// Foreign words in it are tame, and no markup.
fn markdown_line(text: &str) -> String {
    printable::markdown(Printable::line(text).as_str())
}
