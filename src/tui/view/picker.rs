//! The choices of a filter, with counts.

use ratatui::layout::Rect;

use crate::tui::cell;
use crate::tui::picker::{KEYS, Picker};
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint, first_line};

enum Line<'a> {
    Head(&'static str, &'static str),
    Choice(usize, usize, &'a crate::domain::page::Choice),
}

/// Draws the choices over `area`; the cursor stands on the selected one.
pub fn draw(paint: &mut Paint<'_>, picker: &Picker, area: Rect) -> Cursor {
    paint.clear(area);
    let lines = lines(picker);
    let is_selected = |line: &Line<'_>| matches!(line, Line::Choice(at, ..) if *at == picker.line);
    let selected = lines.iter().position(is_selected).unwrap_or(0);
    let top = first_line(selected, lines.len(), usize::from(area.height));
    let mut cursor = None;
    for (y, line) in (0..area.height).zip(lines.iter().skip(top)) {
        match line {
            Line::Head(title, state) => {
                paint.line_from(
                    area,
                    y,
                    1,
                    &[(title, Meaning::Strong), (state, Meaning::Quiet)],
                );
            }
            Line::Choice(_, part, choice) => {
                let mark = if picker.is_chosen(*part, choice) {
                    "[x] "
                } else {
                    "[ ] "
                };
                let width = area.width.saturating_sub(3).min(60);
                let count = cell::count(choice.count);
                let room = Rect {
                    width: width.saturating_sub(12),
                    ..area
                };
                paint.line_from(
                    room,
                    y,
                    3,
                    &[(mark, Meaning::Plain), (&choice.value, Meaning::Plain)],
                );
                paint.text_right(
                    area.x + width.saturating_sub(11),
                    area.y + y,
                    11,
                    &count,
                    Meaning::Quiet,
                );
            }
        }
        if is_selected(line) {
            cursor = paint.select(area, y);
        }
    }
    cursor
}

fn lines(picker: &Picker) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut at = 0;
    for (part, (_, _, title)) in KEYS.iter().enumerate() {
        match &picker.parts[part] {
            None => lines.push(Line::Head(title, "  counting …")),
            Some(choices) if choices.is_empty() => {}
            Some(choices) => {
                lines.push(Line::Head(title, ""));
                for choice in choices {
                    lines.push(Line::Choice(at, part, choice));
                    at += 1;
                }
            }
        }
    }
    if lines.is_empty() {
        lines.push(Line::Head(
            "There is nothing to choose from: no row is here yet",
            "",
        ));
    }
    lines
}
