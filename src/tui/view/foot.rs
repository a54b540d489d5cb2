//! The foot: what is being typed, a message, or the keys that help here.

use std::ops::Range;

use ratatui::layout::{Position, Rect};
use unicode_segmentation::UnicodeSegmentation;

use crate::domain::printable::Printable;
use crate::domain::query::QueryError;
use crate::tui::actions::{self, Act};
use crate::tui::app::{App, Overlay, foot_width};
use crate::tui::complete::Offers;
use crate::tui::edit::Line;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint, width};
use crate::tui::wrap::wrapped;

/// Draws the foot; where something is typed, the cursor stands at its caret.
pub fn draw(paint: &mut Paint<'_>, app: &App, area: Rect) -> Option<Cursor> {
    match &app.overlay {
        Some(Overlay::Bar { line, error, .. }) => {
            complain(paint, app, area, error.as_ref());
            return Some(Some(typed(paint, app, area, FILTER, line, error.as_ref())));
        }
        Some(Overlay::Search { line, error, .. }) => {
            complain(paint, app, area, error.as_ref());
            return Some(Some(typed(paint, app, area, SEARCH, line, error.as_ref())));
        }
        Some(Overlay::Command { line, fault, .. }) => {
            if let Some(fault) = fault.as_ref().filter(|_| area.height > 1) {
                let fault = app.name_shown(fault);
                paint.line_from(area, 0, 1, &[(&fault, Meaning::Bad)]);
            }
            return Some(Some(typed(paint, app, area, COMMAND, line, None)));
        }
        Some(Overlay::Time { line, wrong }) => {
            let cursor = typed(paint, app, area, "@ ", line, None);
            let help = "14:30, yesterday, mon, 2026-11-20, 7d";
            let (text, meaning) = if *wrong {
                (format!("no time reads like that: {help}"), Meaning::Bad)
            } else {
                (help.to_owned(), Meaning::Quiet)
            };
            let from = 3 + width(line.text()) + 3;
            paint.line_from(area, area.height - 1, from, &[(&text, meaning)]);
            return Some(Some(cursor));
        }
        Some(Overlay::Find { line }) => {
            return Some(Some(typed(paint, app, area, "/ ", line, None)));
        }
        _ => {}
    }
    let last = area.height - 1;
    if let Some(Overlay::Ask(question)) = &app.overlay {
        said(paint, area, &question.pieces());
    } else if let Some(notice) = &app.notice {
        said(paint, area, &[(notice.text.clone(), notice.meaning)]);
    } else if let Some(why) = app.why_not_selected() {
        paint.line_from(area, last, 1, &[(&why, Meaning::Warning)]);
    } else if let Some(work) = &app.work {
        paint.line_from(
            area,
            last,
            1,
            &[(&work.words(), Meaning::Warning), (" …", Meaning::Quiet)],
        );
    } else if let Some(why) = app.trouble.as_ref().filter(|_| app.overlay.is_none()) {
        paint.line_from(area, last, 1, &[("! ", Meaning::Bad), (why, Meaning::Bad)]);
    } else {
        keys(paint, app, area, last);
    }
    None
}

/// Pieces of one text on as many lines as there are.
fn said(paint: &mut Paint<'_>, area: Rect, pieces: &[(String, Meaning)]) {
    let whole: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
    let lines = wrapped(&whole, foot_width(area.width));
    let mut looks = pieces.iter().flat_map(|(text, meaning)| {
        let text = Printable::line(text).as_str().to_owned();
        text.chars().map(|c| (c, *meaning)).collect::<Vec<_>>()
    });
    for (y, line) in (0..area.height).zip(&lines) {
        let mut parts: Vec<(String, Meaning)> = Vec::new();
        for c in line.chars() {
            // Blanks at the end of a line are gone.
            let found = looks.find(|(one, _)| *one == c);
            let meaning = found.map_or(Meaning::Plain, |(_, meaning)| meaning);
            match parts.last_mut() {
                Some((text, last)) if *last == meaning => text.push(c),
                _ => parts.push((c.to_string(), meaning)),
            }
        }
        let parts: Vec<_> = parts
            .iter()
            .map(|(text, look)| (text.as_str(), *look))
            .collect();
        paint.line_from(area, y, 1, &parts);
    }
}

/// What stands for a character that is not to be seen.
const HIDDEN: &str = "*";

/// What stands before a filter, a search and a command.
const FILTER: &str = "/ ";
const SEARCH: &str = "search ";
const COMMAND: &str = ":";

/// The column under which `offers` stand: that of the word they would replace.
pub fn column(app: &App, offers: &Offers) -> u16 {
    let (prompt, line) = match &app.overlay {
        Some(Overlay::Bar { line, .. }) => (FILTER, line),
        Some(Overlay::Search { line, .. }) => (SEARCH, line),
        Some(Overlay::Command { line, .. }) => (COMMAND, line),
        _ => return 0,
    };
    // As `typed` shows it.
    let room = app.size.0.saturating_sub(1 + width(prompt) + 1);
    let (range, _) = line.window(usize::from(room));
    let before = line.text().get(range.start..offers.from());
    // One cell less: the offers are indented by one.
    width(prompt) + before.map_or(0, width)
}

/// What does not parse, and what may have been meant.
fn complain(paint: &mut Paint<'_>, app: &App, area: Rect, error: Option<&QueryError>) {
    let Some(error) = error else {
        return;
    };
    let offer = error
        .suggestion
        .as_ref()
        .map(|term| format!("   Tab: {}", app.name_shown(term)));
    let message = app.name_shown(&error.message);
    let pieces = [
        (message.as_str(), Meaning::Bad),
        (offer.as_deref().unwrap_or_default(), Meaning::Strong),
    ];
    if area.height > 1 {
        paint.line_from(area, 0, 1, &pieces);
    }
}

/// The line being typed on the last line of `area`, what is wrong underlined, and under a mask what is personal hidden.
pub(super) fn typed(
    paint: &mut Paint<'_>,
    app: &App,
    area: Rect,
    prompt: &str,
    line: &Line,
    error: Option<&QueryError>,
) -> Position {
    let y = area.height - 1;
    let from = paint.line_from(area, y, 1, &[(prompt, Meaning::Strong)]);
    let room = area.width.saturating_sub(from + 1);
    let (range, caret) = line.window(usize::from(room));
    let hidden = app.hidden_in_line();
    let is_in = |range: &Range<usize>, at: usize| range.contains(&at);
    let mut pieces: Vec<(String, Meaning)> = Vec::new();
    for (at, piece) in line.text()[range.clone()].grapheme_indices(true) {
        let at = range.start + at;
        let wrong = error.is_some_and(|error| is_in(&error.at, at));
        let meaning = if wrong {
            Meaning::Wrong
        } else {
            Meaning::Plain
        };
        let shown = if hidden.iter().any(|range| is_in(range, at)) {
            HIDDEN.repeat(usize::from(width(piece)))
        } else {
            piece.to_owned()
        };
        match pieces.last_mut() {
            Some((text, last)) if *last == meaning => text.push_str(&shown),
            _ => pieces.push((shown, meaning)),
        }
    }
    let pieces: Vec<_> = pieces
        .iter()
        .map(|(text, look)| (text.as_str(), *look))
        .collect();
    paint.line_from(area, y, from, &pieces);
    let x = area.x + from + u16::try_from(caret).unwrap_or(0);
    Position::new(x.min(area.right().saturating_sub(1)), area.y + y)
}

/// The keys that help here: as many as fit, those that always help at the end.
fn keys(paint: &mut Paint<'_>, app: &App, area: Rect, y: u16) {
    let all: Vec<_> = actions::footer(app.scopes(), app)
        .map(|action| (action.act, action.keys[0].name(), action.title))
        .collect();
    let is_kept = |act: Act| matches!(act, Act::Help | Act::Quit);
    let cells = |key: &str, title: &str| width(key) + width(title) + 4;
    let kept: u16 = all
        .iter()
        .filter(|(act, ..)| is_kept(*act))
        .map(|(_, key, title)| cells(key, title))
        .sum();
    let mut left = area.width.saturating_sub(kept);
    let mut x = 1;
    for (act, key, title) in &all {
        let needs = cells(key, title);
        if !is_kept(*act) {
            if needs > left {
                continue;
            }
            left -= needs;
        }
        let pieces = [
            (key.as_str(), Meaning::Strong),
            (" ", Meaning::Plain),
            (*title, Meaning::Quiet),
        ];
        x = paint.line_from(area, y, x, &pieces) + 3;
    }
}
