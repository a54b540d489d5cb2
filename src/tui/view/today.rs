//! The daily review: what needs the publisher, then the figures, then what is to know of the selected one.

use ratatui::layout::{Position, Rect};

use crate::store::today::PERIODS;
use crate::tui::app::App;
use crate::tui::facts::{Stop, Today};
use crate::tui::theme::Meaning;
use crate::tui::today::about::{self, Line};
use crate::tui::today::place_of;
use crate::tui::today::rows::{Row, columns, parts, rows};
use crate::tui::view::paint::{Cursor, Paint};

/// Draws the review in `area`; its cursor stands on the selected figure.
pub fn draw(paint: &mut Paint<'_>, app: &App, area: Rect) -> Cursor {
    let Some(today) = &app.today else {
        let why = app.trouble.as_deref().unwrap_or("looking …");
        paint.line_from(area, 1, 2, &[(why, Meaning::Quiet)]);
        return None;
    };
    let rows = rows(today, columns(area), true);
    let (figures, beside) = parts(area, rows.len());
    let cursor = draw_rows(paint, &rows, app.place().line, figures);
    if let Some(stop) = selected(today, app.place().line).filter(|_| !beside.is_empty()) {
        draw_about(paint, today, stop, beside);
    }
    cursor
}

fn selected(today: &Today, at: usize) -> Option<&Stop> {
    today.stop(at).or_else(|| today.stop(0))
}

fn draw_rows(paint: &mut Paint<'_>, rows: &[Row], selected: usize, area: Rect) -> Cursor {
    let height = usize::from(area.height).max(1);
    let is_selected = |row: &Row| row.pieces.iter().any(|piece| piece.stop == Some(selected));
    let first = rows.iter().position(is_selected);
    let last = rows.iter().rposition(is_selected);
    let last_top = rows.len().saturating_sub(height);
    // The heads above the first figure stay in sight with it, and so does what the selected one goes on with.
    let top = match (first, last) {
        (Some(first), Some(last)) => (last + 2).saturating_sub(height).min(first).min(last_top),
        _ => 0,
    };
    let mut cursor = None;
    for (y, row) in (0..area.height).zip(rows.iter().skip(top)) {
        for piece in &row.pieces {
            let Ok(x) = u16::try_from(piece.x) else {
                continue;
            };
            if x >= area.width {
                continue;
            }
            let here = piece.stop == Some(selected);
            let meaning = if here {
                Meaning::Selected
            } else {
                piece.meaning
            };
            paint.text(area.x + x, area.y + y, area.width - x, &piece.text, meaning);
            if here && cursor.is_none() {
                cursor = Some(Position::new(area.x + x, area.y + y));
            }
        }
    }
    cursor
}

fn draw_lines(paint: &mut Paint<'_>, lines: &[Line], area: Rect) {
    for (y, (text, meaning)) in (0..area.height).zip(lines) {
        paint.line_from(area, y, 1, &[(text, *meaning)]);
    }
}

/// What is to know of `stop`, and below it a chart where there is room for one: of the first figure with days if the
/// stop itself has none.
fn draw_about(paint: &mut Paint<'_>, today: &Today, stop: &Stop, area: Rect) {
    let columns = usize::from(area.width);
    let mut lines = about::about(stop, columns);
    about::cut(&mut lines, usize::from(area.height), columns, "i: all");
    let has_days = |stop: &&Stop| !stop.days.is_empty();
    if let Some(charted) = Some(stop)
        .filter(has_days)
        .or_else(|| today.stops().find(has_days))
    {
        let left = usize::from(area.height).saturating_sub(lines.len() + 2);
        let chart = about::chart(charted, columns.saturating_sub(2), left);
        if !chart.is_empty() {
            lines.push((String::new(), Meaning::Plain));
            lines.push((format!("{}, day by day", charted.title), Meaning::Strong));
            lines.extend(chart);
        }
    }
    draw_lines(paint, &lines, area);
}

/// Draws the sheet of the selected figure over `area`, from line `top` on.
pub fn draw_sheet(paint: &mut Paint<'_>, app: &App, top: usize, area: Rect) -> Cursor {
    paint.clear(area);
    let stop = app
        .today
        .as_ref()
        .and_then(|today| selected(today, app.place().line));
    if let Some(stop) = stop {
        let (columns, height) = (usize::from(area.width), usize::from(area.height));
        let mut lines = about::sheet(stop, columns);
        lines.drain(..top.min(about::last_top(lines.len(), height)));
        about::cut(&mut lines, height, columns, "j: on");
        draw_lines(paint, &lines, area);
    }
    Some(area.as_position())
}

/// Draws the periods over `area`, the `chosen` one selected.
pub fn draw_periods(paint: &mut Paint<'_>, app: &App, chosen: usize, area: Rect) -> Cursor {
    paint.clear(area);
    paint.line_from(area, 0, 1, &[("Which period", Meaning::Strong)]);
    let height = usize::from(area.height).saturating_sub(1).max(1);
    let top = (chosen + 1).saturating_sub(height);
    let mut cursor = None;
    let here = place_of(&app.period);
    for (y, (at, (word, help))) in (1..area.height).zip(PERIODS.iter().enumerate().skip(top)) {
        let mark = if at == here { "*" } else { " " };
        let word = format!("{mark} {} {word:<12}", at + 1);
        paint.line_from(
            area,
            y,
            1,
            &[(&word, Meaning::Link), (help, Meaning::Plain)],
        );
        if at == chosen {
            cursor = paint.select(area, y);
        }
    }
    cursor
}
