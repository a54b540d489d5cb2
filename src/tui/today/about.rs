//! What there is to know of the selected figure: its comparisons, whose it is, what it means, what Enter opens, and a
//! chart of its days.

use crate::domain::remedy::remedy;
use crate::store::today::Rule;
use crate::tui::cell::number;
use crate::tui::facts::Stop;
use crate::tui::place::Screen;
use crate::tui::theme::Meaning;
use crate::tui::today::lines::day_label;
use crate::tui::today::rows::{broken, width};
use crate::tui::today::terms::{Term, USUAL, WEEK_BEFORE};

/// A chart is not lower than this, labels aside.
const CHART_ROWS_MIN: usize = 3;
/// Nor higher.
const CHART_ROWS_MAX: usize = 12;
/// Cells for the numbers at its left.
const SCALE_WIDTH: usize = 8;
/// A day is not wider.
const DAY_WIDTH_MAX: usize = 6;

const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// A line and how it looks.
pub type Line = (String, Meaning);

/// What is to know of `stop` in lines of `columns` cells, the most useful first.
pub fn about(stop: &Stop, columns: usize) -> Vec<Line> {
    let mut out = Vec::new();
    let room = columns.saturating_sub(2).max(10);
    let mut say = |text: &str, meaning: Meaning| {
        let lines = broken(text, room).into_iter();
        out.extend(lines.map(|line| (line, meaning)));
    };
    if !matches!(stop.term, Term::Need(_)) {
        say(&named(stop), Meaning::Strong);
    }
    if !stop.compared.is_empty() {
        say(&stop.compared.join(" "), Meaning::Plain);
    }
    if stop.split.len() > 1 {
        let shares = stop.split.iter();
        let shares: Vec<String> = shares
            .map(|(name, count)| format!("{name} {}", number(*count)))
            .collect();
        say(&format!("Of them: {}.", shares.join(", ")), Meaning::Plain);
    }
    match remedy(&stop.text).filter(|_| stop.term == Term::Need(Rule::TurnedAway)) {
        Some(words) => say(&format!("What to do: {words}."), Meaning::Quiet),
        None => say(stop.term.says(), Meaning::Quiet),
    }
    if let Some(door) = &stop.door {
        say(
            &format!(
                "Enter opens {}: {}",
                Screen::List(door.list).title(),
                door.query
            ),
            Meaning::Link,
        );
    }
    out
}

/// `Payments, TRY: 8,120.00`: what the title ends with is not said again.
fn named(stop: &Stop) -> String {
    let last = stop.title.rsplit(", ").next().unwrap_or_default();
    let text = stop.text.strip_prefix(last).unwrap_or(&stop.text);
    format!("{}: {}", stop.title, text.trim_start())
}

/// The whole sheet: what is to know, and what the comparisons are.
pub fn sheet(stop: &Stop, columns: usize) -> Vec<Line> {
    let mut out = about(stop, columns);
    if !stop.compared.is_empty() {
        let room = columns.saturating_sub(2).max(10);
        for text in [WEEK_BEFORE, USUAL] {
            out.push((String::new(), Meaning::Plain));
            let lines = broken(text, room).into_iter();
            out.extend(lines.map(|line| (line, Meaning::Quiet)));
        }
    }
    out
}

/// Leaves so many lines of `columns` cells, where there are more; the last then ends behind a word, with a sign and how
/// the rest is read.
pub fn cut(lines: &mut Vec<Line>, height: usize, columns: usize, rest: &str) {
    if lines.len() <= height {
        return;
    }
    lines.truncate(height);
    let Some((text, _)) = lines.last_mut() else {
        return;
    };
    let sign = format!(" … {rest}");
    let room = columns.saturating_sub(2 + width(&sign));
    let kept = broken(text, room.max(1)).swap_remove(0);
    let kept = kept.trim_end_matches([',', ';', ':']);
    *text = format!("{kept}{sign}");
}

/// The first line of `lines` to show where the last is in sight.
pub const fn last_top(lines: usize, height: usize) -> usize {
    lines.saturating_sub(height)
}

/// A chart of the stop's days in `columns` by `height` cells; empty where there is no room or there are no days.
pub fn chart(stop: &Stop, columns: usize, height: usize) -> Vec<Line> {
    let days = stop.days.len();
    let wide = columns.saturating_sub(SCALE_WIDTH + 1) / days.max(1);
    let rows = height.saturating_sub(2).min(CHART_ROWS_MAX);
    if days == 0 || wide == 0 || rows < CHART_ROWS_MIN {
        return Vec::new();
    }
    let wide = wide.min(DAY_WIDTH_MAX);
    let most = stop.days.iter().copied().max().unwrap_or(0).max(1);
    let mut out = Vec::new();
    for row in (0..rows).rev() {
        let scale = if row + 1 == rows {
            number(most)
        } else {
            String::new()
        };
        let mut text = format!("{scale:>SCALE_WIDTH$} ");
        for day in &stop.days {
            let eighths = usize::try_from(u128::from(*day) * (rows as u128) * 8 / u128::from(most))
                .unwrap_or(usize::MAX);
            // A day that has any is never shown as one that has none.
            let eighths = if *day > 0 { eighths.max(1) } else { 0 };
            let block = EIGHTHS[eighths.saturating_sub(row * 8).min(8)];
            let bar = wide.saturating_sub(1).max(1);
            text.push_str(&block.repeat(bar));
            text.push_str(&" ".repeat(wide - bar));
        }
        out.push((text, Meaning::Quiet));
    }
    out.push((labels(stop, wide), Meaning::Quiet));
    out
}

/// The names of every seventh day, today's among them.
fn labels(stop: &Stop, wide: usize) -> String {
    let mut text = " ".repeat(SCALE_WIDTH + 1);
    let days = stop.days.len();
    for nth in (0..days).filter(|nth| (days - 1 - nth).is_multiple_of(7)) {
        let label = day_label(&stop.last_day, (days - 1 - nth) as u64);
        let bar = wide.saturating_sub(1).max(1);
        let middle = SCALE_WIDTH + 1 + nth * wide + bar / 2;
        let from = middle.saturating_sub(label.len() / 2);
        let used = text.chars().count();
        if from >= used {
            text.push_str(&" ".repeat(from - used));
            text.push_str(&label);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::today::lines::bare;

    #[test]
    fn what_has_no_room_is_cut_behind_a_word_and_says_so() {
        let whole = || -> Vec<Line> {
            let texts = ["New readers: 41", "the same hours, seven", "days earlier."];
            texts.map(|text| (text.to_owned(), Meaning::Plain)).to_vec()
        };
        let cut_to = |height: usize, columns: usize| {
            let mut lines = whole();
            cut(&mut lines, height, columns, "i: all");
            lines.into_iter().map(|line| line.0).collect::<Vec<_>>()
        };
        assert_eq!(cut_to(3, 24).len(), 3);
        assert_eq!(cut_to(2, 24), ["New readers: 41", "the same … i: all"]);
        assert_eq!(cut_to(2, 40)[1], "the same hours, seven … i: all");
        assert_eq!(cut_to(1, 40), ["New readers: 41 … i: all"]);
        assert!(cut_to(0, 40).is_empty());
    }

    #[test]
    fn what_to_do_fits_the_reason_that_requests_were_turned_away_for() {
        let said = |reason: &str| {
            let text = format!("Zotlo: 2 webhooks turned away since 09:01, {reason}");
            let stop = bare(text, "Needs you", Term::Need(Rule::TurnedAway));
            let lines: Vec<String> = about(&stop, 80).into_iter().map(|line| line.0).collect();
            lines.join(" ")
        };
        let path = said("nothing is at this path; the nearest is /hooks/zotlo/events");
        assert!(path.contains("correct the link"), "{path}");
        assert!(!path.contains("secret"), "{path}");
        let signed = said("signature wrong");
        assert!(signed.contains("the secret is another"), "{signed}");
    }
}
