//! The saved filters, and the question how a list is to be written into a file.

use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::cell;
use crate::tui::command::FileFormat;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint, first_line, width};
use crate::tui::wrap::wrapped;

/// The most cells that a name is given.
const NAME_WIDTH: u16 = 28;
/// Cells for the list that is filtered.
const LIST_WIDTH: u16 = 14;

/// Draws the saved filters over `area`; the cursor stands on the one that keys act on.
pub fn draw(paint: &mut Paint<'_>, app: &App, selected: usize, area: Rect) -> Cursor {
    paint.clear(area);
    paint.line_from(area, 0, 1, &[("Saved filters", Meaning::Strong)]);
    let height = area.height.saturating_sub(1);
    let names = app
        .views
        .iter()
        .map(|view| width(&app.name_shown(&view.name)));
    let names = names.max();
    let names = names.unwrap_or(0).clamp(6, NAME_WIDTH);
    let top = first_line(selected, app.views.len(), usize::from(height));
    let mut cursor = None;
    for (y, (place, view)) in (1..=height).zip(app.views.iter().enumerate().skip(top)) {
        let pin = view.pin.map_or(String::new(), |digit| digit.to_string());
        paint.line_from(area, y, 1, &[(&pin, Meaning::Link)]);
        paint.text(
            area.x + 3,
            area.y + y,
            names,
            &app.name_shown(&view.name),
            Meaning::Plain,
        );
        let list = view.list.to_string();
        let at = 3 + names + 2;
        paint.text(area.x + at, area.y + y, LIST_WIDTH, &list, Meaning::Quiet);
        let query = match app.query_masked(view.list, &view.query) {
            all if all.is_empty() => "all".to_owned(),
            query => query,
        };
        let pieces = [
            (query.as_str(), Meaning::Link),
            (cell::order(view.order), Meaning::Quiet),
        ];
        paint.line_from(area, y, at + LIST_WIDTH + 1, &pieces);
        if place == selected {
            cursor = paint.select(area, y);
        }
    }
    cursor
}

/// Draws the formats over `area`.
pub fn ask_format(paint: &mut Paint<'_>, app: &App, selected: usize, area: Rect) -> Cursor {
    paint.clear(area);
    let list = app.place().screen.list()?;
    let query = app.query_shown();
    let filter = if query.is_empty() {
        String::new()
    } else {
        format!(" with {query}")
    };
    let title = format!("All {list}{filter}, in a new file in the current folder:");
    // However long the filter is, the formats can be seen.
    let formats = FileFormat::ALL.len();
    let spare = usize::from(area.height).saturating_sub(formats).max(1);
    let y = block(paint, area, 0, spare, &title, Meaning::Strong);
    let gap = u16::from(usize::from(y) < spare);
    let mut cursor = None;
    let top = y + gap;
    for (place, (y, (_, word, help))) in (top..).zip(FileFormat::ALL).enumerate() {
        let pieces = [(*word, Meaning::Plain)];
        paint.line_from(area, y, 3, &pieces);
        paint.line_from(area, y, 12, &[(help, Meaning::Quiet)]);
        if place == selected {
            cursor = paint.select(area, y);
        }
    }
    let word = FileFormat::ALL
        .get(selected)
        .map_or("csv", |(_, word, _)| word);
    // A command that does the same holds the filter as it is.
    let command = if app.masked {
        "masked: P shows it".to_owned()
    } else {
        app.listing(word)
    };
    let below = top + u16::try_from(formats).unwrap_or(u16::MAX) + 1;
    let left = usize::from(area.height.saturating_sub(below + 1));
    paint.line_from(area, below, 1, &[("The same in a shell:", Meaning::Quiet)]);
    block(paint, area, below + 1, left, &command, Meaning::Plain);
    cursor
}

/// Draws `text` from line `y` of `area` on, on at most so many lines, the last one cut. The line below it.
fn block(
    paint: &mut Paint<'_>,
    area: Rect,
    y: u16,
    lines_max: usize,
    text: &str,
    meaning: Meaning,
) -> u16 {
    let pieces = wrapped(text, usize::from(area.width.saturating_sub(2)));
    let is_cut = pieces.len() > lines_max;
    let mut below = y;
    for (place, piece) in pieces.into_iter().take(lines_max).enumerate() {
        let ends = is_cut && place + 1 == lines_max;
        let line = if ends { format!("{piece}…") } else { piece };
        paint.line_from(area, below, 1, &[(&line, meaning)]);
        below += 1;
    }
    below
}
