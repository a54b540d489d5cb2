//! The saved filters, and the question how a list is to be written into a file.

use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::command::FileFormat;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint, first_line, width};

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
        paint.line_from(area, y, at + LIST_WIDTH + 1, &[(&query, Meaning::Link)]);
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
    paint.line_from(area, 0, 1, &[(&title, Meaning::Strong)]);
    let mut cursor = None;
    for (place, (y, (_, word, help))) in (2..).zip(FileFormat::ALL).enumerate() {
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
    let pieces = [
        ("The same in a shell: ", Meaning::Quiet),
        (command.as_str(), Meaning::Plain),
    ];
    paint.line_from(area, 8, 1, &pieces);
    cursor
}
