//! Links to paste, and what is known of each provider's account.

use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint, first_line};

/// A line of this screen: indentation, text, look, and which link it belongs to.
struct Line {
    indent: u16,
    text: String,
    meaning: Meaning,
    link: Option<usize>,
}

/// Draws the links in `area`; its cursor stands on the selected one.
pub fn draw(paint: &mut Paint<'_>, app: &App, area: Rect) -> Cursor {
    let lines = lines(app, usize::from(area.width));
    let selected = app.place().line;
    let is_selected = |line: &Line| line.link == Some(selected);
    let first = lines.iter().position(is_selected).unwrap_or(0);
    let last = lines.iter().rposition(is_selected).unwrap_or(0);
    let height = usize::from(area.height);
    let top = first_line(last, lines.len(), height).min(first);
    let mut cursor = None;
    for (y, line) in (0..area.height).zip(lines.iter().skip(top)) {
        paint.line_from(area, y, line.indent, &[(&line.text, line.meaning)]);
        if cursor.is_none() && is_selected(line) {
            cursor = paint.select(area, y);
        }
    }
    cursor
}

fn lines(app: &App, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let put = |lines: &mut Vec<Line>, indent: u16, text: &str, meaning: Meaning, link| {
        for text in wrapped(text, width.saturating_sub(usize::from(indent) + 1)) {
            lines.push(Line {
                indent,
                text,
                meaning,
                link,
            });
        }
    };
    if !app.status.as_ref().is_some_and(|status| status.any_real) {
        let text =
            "No real webhook yet. Paste a link below into the provider's dashboard; y copies it.";
        put(&mut lines, 1, text, Meaning::Strong, None);
        let text =
            "Or try one from here: Y copies a curl command, t the command that sends a sample.";
        put(&mut lines, 1, text, Meaning::Plain, None);
    }
    if app.links.is_empty() {
        put(
            &mut lines,
            1,
            "The settings hold no provider: `subledger connect PROVIDER` adds one.",
            Meaning::Strong,
            None,
        );
    }
    let mut account = None;
    for (index, card) in app.links.iter().enumerate() {
        let this = (&card.provider, &card.account);
        if account != Some(this) {
            account = Some(this);
            put(&mut lines, 0, "", Meaning::Plain, None);
            let heading = format!("{}, account {}", card.provider, card.account);
            put(&mut lines, 1, &heading, Meaning::Strong, None);
            let known = app
                .connections
                .iter()
                .filter(|known| (&known.provider, &known.account) == this);
            for (title, text, meaning) in known.flat_map(|known| &known.lines) {
                put(&mut lines, 3, &format!("{title}: {text}"), *meaning, None);
            }
            for text in &card.add {
                put(
                    &mut lines,
                    3,
                    &format!("to add: {text}"),
                    Meaning::Warning,
                    None,
                );
            }
        }
        let link = Some(index);
        put(&mut lines, 3, &card.title, Meaning::Plain, link);
        put(&mut lines, 5, &card.url, Meaning::Link, link);
        if app.place().line == index {
            put(&mut lines, 5, &card.curl, Meaning::Quiet, link);
            put(&mut lines, 5, &card.send(), Meaning::Quiet, link);
        }
    }
    lines
}

/// `text` in pieces of at most `cells` characters; links and commands have no other place to be cut.
fn wrapped(text: &str, cells: usize) -> Vec<String> {
    let text: Vec<char> = crate::domain::printable::Printable::line(text)
        .as_str()
        .chars()
        .collect();
    if text.is_empty() {
        return vec![String::new()];
    }
    text.chunks(cells.max(8))
        .map(|part| part.iter().collect())
        .collect()
}
