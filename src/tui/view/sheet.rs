//! The question on leaving, from the one table of actions.

use ratatui::layout::Rect;

use crate::tui::actions::{self, Scope};
use crate::tui::app::App;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint};

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
