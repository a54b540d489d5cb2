//! The daily review: what needs the publisher, then the figures.

use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::facts::{Say, TodayLine};
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint, first_line, width};

/// Cells for the names of figures.
const TITLE_WIDTH: u16 = 18;
/// Cells for a figure.
const FIGURE_WIDTH: u16 = 7;
/// Cells for the difference.
const CHANGE_WIDTH: u16 = 15;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws the review in `area`; its cursor stands on the selected line.
pub fn draw(paint: &mut Paint<'_>, app: &App, area: Rect) -> Cursor {
    let Some(today) = &app.today else {
        let why = app.trouble.as_deref().unwrap_or("looking …");
        paint.line_from(area, 1, 2, &[(why, Meaning::Quiet)]);
        return None;
    };
    let selected = app.place().line;
    let height = usize::from(area.height);
    let first_figure = today
        .lines
        .iter()
        .position(|line| matches!(line.say, Say::Figure { .. }));
    // The heads stand above the first figure, as a line of their own that cannot be selected.
    let drawn = |line: usize| line + usize::from(first_figure.is_some_and(|first| first <= line));
    let lines = drawn(today.lines.len().saturating_sub(1)) + 1;
    let top = first_line(drawn(selected), lines, height);
    if let Some(y) = first_figure.and_then(|first| in_sight(first, top, height)) {
        heads(paint, area, y);
    }
    let mut cursor = None;
    for (index, line) in today.lines.iter().enumerate() {
        let Some(y) = in_sight(drawn(index), top, height) else {
            continue;
        };
        draw_line(paint, area, y, line);
        if index == selected {
            cursor = paint.select(area, y);
        }
    }
    cursor
}

fn in_sight(line: usize, top: usize, height: usize) -> Option<u16> {
    let y = line.checked_sub(top)?;
    (y < height).then(|| u16::try_from(y).ok())?
}

fn heads(paint: &mut Paint<'_>, area: Rect, y: u16) {
    let now_x = area.x + 1 + TITLE_WIDTH;
    paint.text_right(now_x, area.y + y, FIGURE_WIDTH, "now", Meaning::Quiet);
    let before_x = 1 + TITLE_WIDTH + FIGURE_WIDTH + 2;
    paint.line_from(area, y, before_x, &[("a week before", Meaning::Quiet)]);
    let days_x = before_x + FIGURE_WIDTH + CHANGE_WIDTH;
    paint.line_from(area, y, days_x, &[("28 days", Meaning::Quiet)]);
}

fn draw_line(paint: &mut Paint<'_>, area: Rect, y: u16, line: &TodayLine) {
    match &line.say {
        Say::Need(text) => {
            let door = if line.door.is_some() { "Enter" } else { "" };
            let room = Rect {
                width: area.width.saturating_sub(width(door) + 2),
                ..area
            };
            paint.line_from(
                room,
                y,
                1,
                &[("! ", Meaning::Warning), (text, Meaning::Warning)],
            );
            paint.text_right(
                area.x,
                area.y + y,
                area.width.saturating_sub(1),
                door,
                Meaning::Quiet,
            );
        }
        Say::Figure {
            title,
            now,
            before,
            change,
            days,
        } => {
            paint.text(area.x + 1, area.y + y, TITLE_WIDTH, title, Meaning::Plain);
            let x = area.x + 1 + TITLE_WIDTH;
            paint.text_right(x, area.y + y, FIGURE_WIDTH, now, Meaning::Strong);
            paint.text_right(
                x + FIGURE_WIDTH,
                area.y + y,
                FIGURE_WIDTH,
                before,
                Meaning::Quiet,
            );
            let change_x = 1 + TITLE_WIDTH + 2 * FIGURE_WIDTH + 2;
            paint.text(
                area.x + change_x,
                area.y + y,
                CHANGE_WIDTH - 1,
                change,
                Meaning::Plain,
            );
            let days_x = change_x + CHANGE_WIDTH;
            paint.line_from(area, y, days_x, &[(&bars(days), Meaning::Quiet)]);
        }
        Say::Fact { title, text } => {
            let title_width =
                paint.text(area.x + 1, area.y + y, TITLE_WIDTH, title, Meaning::Plain);
            let x = (1 + title_width + 2).max(14);
            paint.line_from(area, y, x, &[(text, Meaning::Plain)]);
        }
        Say::Remark(text) => {
            paint.line_from(area, y, 1, &[(text, Meaning::Quiet)]);
        }
    }
}

/// A block per day, as high as its share of the highest.
fn bars(days: &[u64]) -> String {
    let most = days.iter().copied().max().unwrap_or(0).max(1);
    days.iter()
        .map(|day| {
            let step = day.saturating_mul(7).div_ceil(most);
            BLOCKS[usize::try_from(step).unwrap_or(7).min(7)]
        })
        .collect()
}
