//! The sheet of keys, and the question on leaving: both from the one table of actions.

use ratatui::layout::Rect;

use crate::tui::actions::{self, Scope, SheetLine};
use crate::tui::app::App;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint};

/// Cells for the keys.
const KEYS_WIDTH: u16 = 16;

/// Draws the keys over `area`, from line `top` on.
pub fn draw(paint: &mut Paint<'_>, app: &App, top: usize, area: Rect) -> Cursor {
    paint.clear(area);
    let lines = actions::sheet(app.place_scopes());
    let top = top.min(lines.len().saturating_sub(usize::from(area.height)));
    for (y, line) in (0..area.height).zip(lines.iter().skip(top)) {
        match line {
            SheetLine::Head(title) => {
                paint.line_from(area, y, 1, &[(title, Meaning::Strong)]);
            }
            SheetLine::Keys(keys, help) => {
                paint.text(area.x + 3, area.y + y, KEYS_WIDTH, keys, Meaning::Link);
                paint.line_from(area, y, KEYS_WIDTH + 4, &[(help, Meaning::Plain)]);
            }
        }
    }
    Some(area.as_position())
}

/// Draws the question over `area`.
pub fn ask_on_leaving(paint: &mut Paint<'_>, app: &App, area: Rect) -> Cursor {
    paint.clear(area);
    let text = format!(
        "This screen also started the receiver on {}.",
        app.receiver.address
    );
    paint.line_from(area, 1, 2, &[(&text, Meaning::Strong)]);
    paint.line_from(area, 2, 2, &[("What is to become of it?", Meaning::Plain)]);
    let choices = actions::all().filter(|action| action.scope == Scope::Leaving);
    for (y, action) in (4..).zip(choices) {
        let key = action.keys[0].name();
        paint.line_from(area, y, 4, &[(&key, Meaning::Link)]);
        paint.line_from(area, y, 9, &[(action.help, Meaning::Plain)]);
    }
    Some(
        (
            area.x + 4,
            (area.y + 4).min(area.bottom().saturating_sub(1)),
        )
            .into(),
    )
}
