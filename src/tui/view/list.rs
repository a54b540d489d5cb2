//! A list of rows: as many columns as fit, the most important first to stay.

use ratatui::layout::Rect;

use crate::domain::page::{Cell, Column, List, Order, Row, Shape};
use crate::domain::time::Timestamp;
use crate::store::query::columns;
use crate::tui::app::{App, Overlay};
use crate::tui::cell;
use crate::tui::facts::Arrived;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint, width};

/// The word on rows that were made to try things.
const TEST: &str = "TEST";
/// Cells between columns.
const GAP: u16 = 2;

/// A column on screen: which, where, how wide.
struct Placed {
    index: usize,
    column: &'static Column,
    x: u16,
    width: u16,
}

/// Draws the list in `area`; its cursor stands on the selected row.
pub fn draw(paint: &mut Paint<'_>, app: &App, list: List, area: Rect) -> Cursor {
    if area.is_empty() {
        return None;
    }
    if app.window.rows.is_empty() {
        nothing(paint, app, area);
        return None;
    }
    let height = usize::from(area.height.saturating_sub(1));
    let (first, rule) = reviewed(app, height);
    let rows = app.window.visible(height);
    let rows = &rows[(first - app.window.top).min(rows.len())..];
    // Of all rows at hand, so that scrolling seldom moves a column.
    let tests = app.window.rows.iter().any(|row| cell::is_test(list, row));
    let indent = 1 + if tests { width(TEST) + 1 } else { 0 };
    let (placed, dropped) = place(list, area.width, indent);
    heads(paint, area, &placed, dropped);
    let mut cursor = None;
    let mut line = 1;
    for (place, row) in (first..).zip(rows) {
        if let Some((_, at)) = rule.filter(|(below, _)| *below == place) {
            draw_rule(paint, app, area, line, at);
            line += 1;
        }
        if line >= area.height {
            break;
        }
        draw_row(
            paint,
            app,
            list,
            Rect::new(area.x, area.y + line, area.width, 1),
            row,
            &placed,
        );
        if place == app.window.selected {
            cursor = mark(paint, app, area, line);
        }
        line += 1;
    }
    cursor
}

/// The first row to show, and above which row the last review stands, and when that was: where newer rows end and older
/// ones begin. The line takes the room of a row, but never that of the selected one.
fn reviewed(app: &App, height: usize) -> (usize, Option<(usize, Timestamp)>) {
    let top = app.window.top;
    let Some((_, at)) = app.last_review().filter(|_| !app.filters_by_another_time()) else {
        return (top, None);
    };
    let text = at.to_string();
    let rows = app.window.visible(height);
    let is_newest_first = app.place().order == Order::Newest;
    let below = rows
        .iter()
        .position(|row| (row.key.sort <= text) == is_newest_first);
    let Some(below) = below.filter(|below| *below > 0) else {
        return (top, None);
    };
    let is_cut = app.window.selected == top + height - 1 && height > 2;
    // The row at the top goes rather than the selected one at the bottom.
    (
        top + usize::from(is_cut && below > 1),
        (!is_cut || below > 1).then_some((top + below, at)),
    )
}

fn draw_rule(paint: &mut Paint<'_>, app: &App, area: Rect, line: u16, at: Timestamp) {
    let text = format!("── reviewed {} ", app.when().short(at));
    let rest = "─".repeat(usize::from(area.width.saturating_sub(width(&text) + 1)));
    let pieces = [
        (text.as_str(), Meaning::Quiet),
        (rest.as_str(), Meaning::Quiet),
    ];
    paint.line_from(area, line, 1, &pieces);
}

/// How a cell looks: all are pale while the filter that is typed does not parse, and what is sought stands out.
fn look(app: &App, text: &str, usual: Meaning) -> Meaning {
    match &app.overlay {
        Some(Overlay::Bar { error: Some(_), .. }) => Meaning::Quiet,
        _ if app.search.as_ref().is_some_and(|search| search.is_in(text)) => Meaning::Here,
        _ => usual,
    }
}

/// The selected row; where its record is open beside it, keys act on that, and a sign says which row it is.
fn mark(paint: &mut Paint<'_>, app: &App, area: Rect, line: u16) -> Cursor {
    if app.place().pane.is_none() {
        return paint.select(area, line);
    }
    paint.text(area.x, area.y + line, 1, ">", Meaning::Strong);
    paint.mark(area, line, Meaning::Held)
}

/// The heads; where there are more columns the last one leaves room to say so, and is cut if it has to be.
fn heads(paint: &mut Paint<'_>, area: Rect, placed: &[Placed], dropped: usize) {
    let (long, short) = (format!("+{dropped} cols"), format!("+{dropped}"));
    let least = match dropped {
        0 => 0,
        _ => width(&short) + 1,
    };
    let mut end = 0;
    for place in placed {
        let (x, title) = (area.x + place.x, place.column.title);
        let room = area.width.saturating_sub(least + place.x);
        let room = place.width.min(room);
        if is_right(place.column) {
            paint.text_right(x, area.y, room, title, Meaning::Quiet);
            end = place.x + room;
        } else {
            end = place.x + paint.text(x, area.y, room, title, Meaning::Quiet);
        }
    }
    let more = if end + 1 + width(&long) <= area.width {
        long
    } else {
        short
    };
    if dropped > 0 {
        paint.text_right(area.x, area.y, area.width, &more, Meaning::Quiet);
    }
}

fn draw_row(
    paint: &mut Paint<'_>,
    app: &App,
    list: List,
    area: Rect,
    row: &Row,
    placed: &[Placed],
) {
    if cell::is_test(list, row) {
        paint.text(area.x + 1, area.y, width(TEST), TEST, Meaning::Test);
    }
    for place in placed {
        let value = row.cells.get(place.index).unwrap_or(&Cell::Null);
        let text = cell::short(list, row, place.column, value, app.sight());
        let usual = cell::meaning(list, row, place.column, value);
        let meaning = look(app, text.as_str(), usual);
        let x = area.x + place.x;
        if is_right(place.column) {
            paint.text_right(x, area.y, place.width, text.as_str(), meaning);
        } else {
            paint.text(x, area.y, place.width, text.as_str(), meaning);
        }
    }
}

const fn is_right(column: &Column) -> bool {
    matches!(column.shape, Shape::Number | Shape::Minor | Shape::Real)
}

/// A column that the list has, with its place among them.
type Wanted = (usize, &'static Column);

/// The columns that fit `width` behind `indent`, and how many do not. Widths depend on nothing but the columns and
/// the width, so that scrolling moves no column.
fn place(list: List, width: u16, indent: u16) -> (Vec<Placed>, usize) {
    let all = columns(list).iter().enumerate();
    let mut wanted: Vec<Wanted> = all
        .filter(|(_, column)| column.priority > 0 && column.name != "test")
        .collect();
    // The time a list is ordered by leads, then what matters most.
    wanted.sort_by_key(in_sight);
    let room = width.saturating_sub(indent);
    let (mut count, mut least) = most_that_fit(&wanted, room);
    let who = wanted.iter().position(|(_, column)| column.name == "who");
    if who.is_some_and(|who| who >= count) {
        // Whose row it is matters more than when it was.
        wanted.sort_by_key(in_need);
        (count, least) = most_that_fit(&wanted, room);
        let needed = wanted.iter().filter(|one| in_need(one).0 <= 1).count();
        if count < needed && fits(&wanted[..needed], squeezed, room) {
            (count, least) = (needed, squeezed);
        }
    }
    let dropped = wanted.len() - count;
    wanted.truncate(count);
    wanted.sort_by_key(in_sight);
    (spread(&wanted, least, room, indent), dropped)
}

/// The order of columns from left to right.
fn in_sight((index, column): &Wanted) -> (bool, u8, usize) {
    (!leads(column), column.priority, *index)
}

/// The order in which columns stay where there is little room: whose row it is, what it is, and then the rest.
fn in_need((index, column): &Wanted) -> (u8, usize) {
    let rank = match column.priority {
        _ if column.name == "who" => 0,
        1 if column.shape == Shape::Time => 2,
        priority => priority.max(1),
    };
    (rank, *index)
}

/// It holds the time that its list is ordered by.
fn leads(column: &Column) -> bool {
    column.shape == Shape::Time && column.priority == 1
}

/// All these columns fit `room`.
fn fits(columns: &[Wanted], least: fn(&Column) -> u16, room: u16) -> bool {
    let cells = columns.iter().map(|(_, column)| least(column) + GAP);
    cells.map(u32::from).sum::<u32>() <= u32::from(room) + u32::from(GAP)
}

/// How many columns of `wanted` fit `room`, the first to stay first, and what each has at least.
fn most_that_fit(wanted: &[Wanted], room: u16) -> (usize, fn(&Column) -> u16) {
    let most = |least: fn(&Column) -> u16| {
        let mut counts = (1..=wanted.len()).rev();
        counts.find(|count| fits(&wanted[..*count], least, room))
    };
    // Few columns that can be read are worth more than many that are cut; but two are better than one.
    match most(comfortable) {
        Some(count) if count >= COLUMNS_MIN => (count, comfortable),
        _ => (most(tight).unwrap_or(1), tight),
    }
}

/// The fewest columns that a list should have, if they can be squeezed in.
const COLUMNS_MIN: usize = 3;

/// The priority of the columns that matter least.
const PRIORITY_LAST: u8 = 9;

/// Cells for a time as the screen shows it.
const TIME_WIDTH: u16 = 12;

fn tight(column: &Column) -> u16 {
    if column.shape == Shape::Time {
        TIME_WIDTH
    } else {
        column.width_min
    }
}

/// The fewest cells for what a row cannot be without.
fn squeezed(column: &Column) -> u16 {
    match column.shape {
        Shape::Text => column.width_min * 3 / 4,
        _ => tight(column),
    }
}

/// What matters most is cut least.
fn comfortable(column: &Column) -> u16 {
    match (column.shape, column.priority) {
        // Our own words say nothing once they are cut.
        (Shape::Word, 1) => widest(column),
        (Shape::Time, _) | (_, 4..) => tight(column),
        (_, 1) => column.width_max - (column.width_max - column.width_min) / 4,
        (Shape::Text, _) => column.width_min + (column.width_max - column.width_min) / 4,
        _ => tight(column),
    }
}

fn widest(column: &Column) -> u16 {
    match column.name {
        _ if column.shape == Shape::Time => TIME_WIDTH,
        // In the publisher's words: `kept, not understood`.
        "outcome" => 20,
        // `subscription.trial_started`.
        "type" => 26,
        _ => column.width_max,
    }
}

/// The most cells where there is room to spare.
fn boundless(column: &Column) -> u16 {
    match column.shape {
        Shape::Text => column.width_max + column.width_max / 2,
        _ => widest(column),
    }
}

/// Gives each column its least width, then the rest of the room cell by cell to those that can use it, what matters
/// most first; what is left then goes to text, which may be of any length.
fn spread(wanted: &[Wanted], least: fn(&Column) -> u16, room: u16, indent: u16) -> Vec<Placed> {
    let mut widths: Vec<u16> = wanted.iter().map(|(_, column)| least(column)).collect();
    let gaps = GAP * u16::try_from(wanted.len().saturating_sub(1)).unwrap_or(0);
    let mut left = room.saturating_sub(widths.iter().sum::<u16>() + gaps);
    for most in [widest, boundless] {
        let mut priority = 1;
        while left > 0 && priority <= PRIORITY_LAST {
            let before = left;
            for (width, (_, column)) in widths.iter_mut().zip(wanted) {
                if *width < most(column) && column.priority == priority && left > 0 {
                    *width += 1;
                    left -= 1;
                }
            }
            priority += u8::from(left == before);
        }
    }
    let mut x = indent;
    let mut placed = Vec::new();
    for ((index, column), width) in wanted.iter().zip(widths) {
        placed.push(Placed {
            index: *index,
            column,
            x,
            width: width.min(room),
        });
        x += width + GAP;
    }
    placed
}

/// Why there is no row, and what to do.
fn nothing(paint: &mut Paint<'_>, app: &App, area: Rect) {
    let query = &app.query_shown();
    let title = app.place().screen.title();
    let (what, then) = match (&app.trouble, app.window.loaded) {
        (Some(why), false) => (why.clone(), "Trying again every second.".to_owned()),
        (_, false) => (
            match app.looking {
                Some(progress) => {
                    let so_far = cell::progress(progress, app.when());
                    format!("still looking … {so_far}")
                }
                None => "still looking …".to_owned(),
            },
            "Keys work meanwhile: / changes the filter, Esc goes back.".to_owned(),
        ),
        (_, true) if app.arrived() == Arrived::Nothing => (
            "Nothing has been received yet.".to_owned(),
            "9 shows the links to paste, and a command to try each with.".to_owned(),
        ),
        (_, true) if app.filters_time_only() => (
            format!("{title}: nothing in this period ({query})."),
            "x drops the period, / changes it.".to_owned(),
        ),
        (_, true) if !query.is_empty() => (
            format!("{title}: nothing matches {query}"),
            match app.hiding_term() {
                Some(term) => format!("Without {term} there are rows: x drops it, / changes all."),
                None => "x drops the filter, / changes it.".to_owned(),
            },
        ),
        (_, true) => (
            format!("{title}: none yet."),
            "They appear here by themselves as webhooks arrive.".to_owned(),
        ),
    };
    let top = 1.min(area.height.saturating_sub(2));
    paint.line_from(area, top, 2, &[(&what, Meaning::Strong)]);
    paint.line_from(area, top + 1, 2, &[(&then, Meaning::Quiet)]);
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::tui::theme::Theme;

    #[test]
    fn columns_that_do_not_fit_are_always_counted() {
        for list in List::ALL {
            for (width, indent) in (20..260).flat_map(|width| [(width, 1), (width, 6)]) {
                let area = Rect::new(0, 0, width, 1);
                let mut cells = Buffer::empty(area);
                let (placed, dropped) = place(*list, width, indent);
                heads(
                    &mut Paint::new(&mut cells, Theme::Mono),
                    area,
                    &placed,
                    dropped,
                );
                let text: String = (0..width).map(|x| cells[(x, 0)].symbol()).collect();
                let said = text.trim_end().trim_end_matches(" cols");
                let counted = said.ends_with(&format!(" +{dropped}"));
                assert_eq!(counted, dropped > 0, "{list} {width}: {text}");
            }
        }
    }

    #[test]
    fn whose_row_it_is_stays_at_forty_columns() {
        let lists = List::ALL.iter();
        for list in lists.filter(|list| **list != List::Deliveries) {
            for (width, indent) in (40..260).flat_map(|width| [(width, 1), (width, 6)]) {
                let (placed, _) = place(*list, width, indent);
                let who = placed.iter().find(|place| place.column.name == "who");
                let who = who.unwrap_or_else(|| panic!("{list} at {width} says not whose"));
                assert!(who.width >= 9, "{list} {width}: {}", who.width);
                assert!(placed.len() > 1, "{list} {width}: nothing but whose");
            }
        }
    }
}
