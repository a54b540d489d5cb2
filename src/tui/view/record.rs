//! An opened row: its fields, or the webhook as it came.

use ratatui::layout::{Position, Rect};

use crate::domain::count::in_words;
use crate::tui::app::App;
use crate::tui::layout::Layout;
use crate::tui::place::Face;
use crate::tui::record::LABEL_WIDTH;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint};

/// Draws the opened row; its cursor stands at the first line.
pub fn draw(paint: &mut Paint<'_>, app: &App, layout: &Layout) -> Cursor {
    let area = layout.pane;
    let (Some(pane), false) = (app.place().pane, area.is_empty()) else {
        return None;
    };
    if !layout.main.is_empty() {
        for line in 0..area.height {
            paint.text(area.x - 1, area.y + line, 1, "│", Meaning::Quiet);
        }
    }
    let Some(record) = &app.record else {
        paint.line_from(area, 0, 1, &[("no row", Meaning::Quiet)]);
        return None;
    };
    let faces = [
        ("Fields", pane.face == Face::Fields),
        ("As it came", pane.face == Face::Raw),
    ];
    let mut x = 1;
    for (name, here) in faces {
        let meaning = if here { Meaning::Here } else { Meaning::Quiet };
        x = paint.line_from(area, 0, x, &[(name, meaning)]) + 2;
    }
    let body = Rect::new(
        area.x + 1,
        area.y + 1,
        area.width.saturating_sub(1),
        area.height.saturating_sub(1),
    );
    let height = usize::from(body.height);
    let top = pane.scroll.min(record.lines.len().saturating_sub(height));
    let lines = record.lines.iter().skip(top).take(height);
    for (y, line) in (0..).zip(lines) {
        let indent = if line.label.is_empty() && pane.face == Face::Raw {
            0
        } else {
            let label_width = u16::try_from(LABEL_WIDTH)
                .unwrap_or(u16::MAX)
                .min(body.width);
            paint.text(body.x, body.y + y, label_width, &line.label, Meaning::Quiet);
            label_width + 1
        };
        paint.line_from(body, y, indent, &[(&line.text, line.meaning)]);
    }
    let shown = top + height;
    if shown < record.lines.len() {
        let more = in_words(record.lines.len() - shown, "more line", "more lines");
        paint.text_right(area.x, area.y, area.width, &more, Meaning::Quiet);
    }
    Some(Position::new(body.x, body.y))
}
