//! The sheet of keys and the palette: a search, and under it what fits.

use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::palette::Palette;
use crate::tui::theme::Meaning;
use crate::tui::view::foot;
use crate::tui::view::paint::{Cursor, Paint, first_line, width};

/// Cells for the keys.
const KEYS_WIDTH: u16 = 16;
/// What stands before the search.
const PROMPT: &str = "find ";

/// Draws what fits over `area`; the cursor stands in the search.
pub fn draw(paint: &mut Paint<'_>, app: &App, palette: &Palette, area: Rect) -> Cursor {
    paint.clear(area);
    let head = Rect { height: 1, ..area };
    let caret = foot::typed(paint, app, head, PROMPT, &palette.line, None);
    if palette.line.text().is_empty() {
        let what = if palette.wide {
            "an action, a screen, a saved filter, a provider"
        } else {
            "a key or what it does"
        };
        paint.line_from(head, 0, 1 + width(PROMPT) + 1, &[(what, Meaning::Quiet)]);
    }
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let entries = app.entries(palette);
    if entries.is_empty() {
        paint.line_from(
            body,
            0,
            1,
            &[("nothing here is called that", Meaning::Quiet)],
        );
        return Some(caret);
    }
    let choices = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.is_choice());
    let selected = choices.map(|(line, _)| line).nth(palette.at).unwrap_or(0);
    let top = first_line(selected, entries.len(), usize::from(body.height));
    // Under headings it is plain where an action belongs.
    let is_grouped = entries.iter().any(|entry| !entry.is_choice());
    for (y, (line, entry)) in (0..body.height).zip(entries.iter().enumerate().skip(top)) {
        if !entry.is_choice() {
            paint.line_from(body, y, 1, &[(&entry.text, Meaning::Strong)]);
            continue;
        }
        let keys = entry.keys.join(" ");
        paint.text(body.x + 3, body.y + y, KEYS_WIDTH, &keys, Meaning::Link);
        let why = entry.why_not.as_ref().filter(|_| !is_grouped);
        let why = why.map(|why| format!("   {why}")).unwrap_or_default();
        let danger = match entry.danger {
            "" => String::new(),
            words => format!(" ({words})"),
        };
        let look = if entry.why_not.is_some() {
            Meaning::Quiet
        } else {
            Meaning::Plain
        };
        let pieces = [
            (entry.text.as_str(), look),
            (danger.as_str(), Meaning::Quiet),
            (why.as_str(), Meaning::Quiet),
        ];
        paint.line_from(body, y, KEYS_WIDTH + 4, &pieces);
        if line == selected {
            paint.select(body, y);
        }
    }
    Some(caret)
}
