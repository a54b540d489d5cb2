//! An opened row: the names of its faces, then the lines of the one that is shown.

use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::app::record::beside_width;
use crate::tui::cell;
use crate::tui::layout::Layout;
use crate::tui::place::{Face, Pane};
use crate::tui::record::Record;
use crate::tui::rows::{Piece, RecordLine};
use crate::tui::theme::Meaning;
use crate::tui::tree::{Kind, TreeLine};
use crate::tui::view::paint::{Cursor, Paint, width};

/// Deeper than this a tree is not indented further: its lines say how deep they are.
const DEPTH_MAX: usize = 24;

/// Draws the opened row; its cursor stands on the line that keys act on.
pub fn draw(paint: &mut Paint<'_>, app: &App, layout: &Layout) -> Cursor {
    let area = layout.pane;
    let (Some(pane), false) = (app.place().pane, area.is_empty()) else {
        return None;
    };
    border(paint, layout);
    let (Some(record), Some(face)) = (&app.record, app.face()) else {
        let text = if app.window.loaded {
            "no row"
        } else {
            "looking …"
        };
        paint.line_from(area, 0, 1, &[(text, Meaning::Quiet)]);
        return None;
    };
    faces(paint, record, face, pane, area, app.pane_height());
    let above = if face == Face::Body { 2 } else { 1 };
    let body = Rect::new(
        area.x,
        area.y + above.min(area.height),
        area.width,
        area.height.saturating_sub(above),
    );
    if face == Face::Body
        && let Some(tree) = record.tree(face)
    {
        path(paint, &tree.path(pane.line), area);
    }
    if let (Face::Reader, Some(timeline)) = (face, record.timeline)
        && beside_width(face, body.width) > 0
    {
        return reader(paint, record, pane, timeline, body);
    }
    let body = beside(paint, record, face, body);
    let mut cursor = None;
    for (y, line) in (0..body.height).zip(pane.top..record.len(face)) {
        draw_line(paint, record, face, line, body, y);
        if line == pane.line {
            let row = Rect::new(body.x, body.y, body.width, body.height);
            cursor = paint.select(row, y);
        }
    }
    cursor
}

/// Where there is room, what is known of a reader with the timeline beside it: one run of lines in two columns, of which
/// the one that the keys are in scrolls.
fn reader(
    paint: &mut Paint<'_>,
    record: &Record,
    pane: Pane,
    timeline: usize,
    area: Rect,
) -> Cursor {
    let width = beside_width(Face::Reader, area.width);
    let known = Rect::new(area.x, area.y, area.width - width, area.height);
    let other = Rect::new(known.right() + 1, area.y, width - 1, area.height);
    let is_in_timeline = pane.line >= timeline;
    let top = if is_in_timeline { 0 } else { pane.top };
    let columns = [
        (known, top..timeline),
        (other, pane.top.max(timeline)..record.len(Face::Reader)),
    ];
    let mut cursor = None;
    for (column, lines) in columns {
        for (y, line) in (0..area.height).zip(lines) {
            draw_line(paint, record, Face::Reader, line, column, y);
            if line == pane.line {
                cursor = paint.select(column, y);
            }
        }
    }
    for y in 0..area.height {
        paint.line_from(area, y, known.width, &[("│", Meaning::Quiet)]);
    }
    cursor
}

/// Where there is room, the body beside what was read out of it. What is left for the face itself.
fn beside(paint: &mut Paint<'_>, record: &Record, face: Face, area: Rect) -> Rect {
    let width = beside_width(face, area.width);
    let Some(Ok(tree)) = record.tree.as_ref().filter(|_| width > 0) else {
        return area;
    };
    let own = Rect::new(area.x, area.y, area.width - width, area.height);
    let other = Rect::new(own.right(), area.y, width, area.height);
    for y in 0..other.height {
        paint.line_from(other, y, 0, &[("│", Meaning::Quiet)]);
        if let Some(line) = tree.line(usize::from(y)) {
            let within = Rect::new(other.x + 1, other.y, other.width - 1, other.height);
            draw_value(paint, &line, within, y);
        }
    }
    own
}

/// What stands between list and opened row.
fn border(paint: &mut Paint<'_>, layout: &Layout) {
    let area = layout.pane;
    if layout.main.is_empty() {
        return;
    }
    if layout.main.width == layout.body.width {
        let rule = "─".repeat(usize::from(area.width));
        paint.text(area.x, area.y - 1, area.width, &rule, Meaning::Quiet);
    } else {
        for line in 0..area.height {
            paint.text(area.x - 1, area.y + line, 1, "│", Meaning::Quiet);
        }
    }
}

/// The names of the faces, and how far down we are.
fn faces(
    paint: &mut Paint<'_>,
    record: &Record,
    shown: Face,
    pane: Pane,
    area: Rect,
    height: usize,
) {
    let lines = record.len(shown);
    let more = if lines > height {
        let line = cell::number(pane.line as u64 + 1);
        format!("{line} of {}", cell::number(lines as u64))
    } else {
        String::new()
    };
    let room = area.width.saturating_sub(width(&more) + 1);
    let faces = record.faces();
    let all: u16 = faces.iter().map(|face| width(face.title()) + 2).sum();
    let names = Rect::new(area.x, area.y, room, 1);
    let mut x = 1;
    // Where not all fit, the shown one stands first.
    let here = faces.iter().position(|face| *face == shown).unwrap_or(0);
    let from = if all > room { here } else { 0 };
    for place in 0..faces.len() {
        let face = faces[(from + place) % faces.len()];
        let meaning = if face == shown {
            Meaning::Here
        } else {
            Meaning::Quiet
        };
        let is_last = place + 1 == faces.len();
        let needed = width(face.title()) + if is_last { 0 } else { 2 };
        if place > 0 && x + needed > names.width {
            paint.line_from(names, 0, x, &[("…", Meaning::Quiet)]);
            break;
        }
        x = paint.line_from(names, 0, x, &[(face.title(), meaning)]) + 2;
    }
    paint.text_right(area.x, area.y, area.width, &more, Meaning::Quiet);
}

/// The path under the cursor; of one that is too long the end.
fn path(paint: &mut Paint<'_>, path: &str, area: Rect) {
    let room = usize::from(area.width.saturating_sub(2));
    let mut shown = path;
    let mut cut = false;
    if path.len() > 4 * room {
        let end = path.char_indices().rev().nth(room);
        shown = end.map_or(path, |(at, _)| &path[at..]);
        cut = true;
    }
    while usize::from(width(shown)) + usize::from(cut) > room && !shown.is_empty() {
        let mut chars = shown.chars();
        chars.next();
        shown = chars.as_str();
        cut = true;
    }
    let before = if cut { "…" } else { "" };
    let pieces = [(before, Meaning::Link), (shown, Meaning::Link)];
    paint.line_from(area, 1, 1, &pieces);
}

fn draw_line(paint: &mut Paint<'_>, record: &Record, face: Face, line: usize, area: Rect, y: u16) {
    if let Some(tree) = record.tree(face) {
        if let Some(line) = tree.line(line) {
            draw_value(paint, &line, area, y);
        }
    } else if let Some(text) = record.line(line) {
        draw_text(paint, record, text, area, y);
    } else if let Some(dump) = &record.dump {
        let (before, text) = dump.line(line - record.rows.lines.len());
        let pieces = [
            (before.as_str(), Meaning::Quiet),
            (text.as_str(), Meaning::Plain),
        ];
        paint.line_from(area, y, 1, &pieces);
    }
}

/// A line of the tree.
fn draw_value(paint: &mut Paint<'_>, line: &TreeLine, area: Rect, y: u16) {
    let most = DEPTH_MAX.min(usize::from(area.width) / 4);
    let depth = line.depth.min(most);
    let indent = 1 + u16::try_from(depth * 2).unwrap_or(0);
    let deep = if line.depth > most {
        format!("·{}· ", line.depth)
    } else {
        String::new()
    };
    let sign = match line.open {
        Some(true) => "- ",
        Some(false) => "+ ",
        None => "  ",
    };
    let colon = if line.key.is_empty() { "" } else { ": " };
    let meaning = match (line.open, line.kind) {
        (Some(_), _) => Meaning::Quiet,
        (None, Kind::Text) => Meaning::Good,
        _ => Meaning::Plain,
    };
    let pieces = [
        (deep.as_str(), Meaning::Quiet),
        (sign, Meaning::Quiet),
        (line.key.as_str(), Meaning::Link),
        (colon, Meaning::Quiet),
        (line.value.as_str(), meaning),
    ];
    paint.line_from(area, y, indent, &pieces);
}

/// A line of text: mark, label, value, another value beside it.
fn draw_text(paint: &mut Paint<'_>, record: &Record, line: &RecordLine, area: Rect, y: u16) {
    let cells = |wanted: usize| u16::try_from(wanted).unwrap_or(u16::MAX);
    if let Some(mark) = line.mark {
        let meaning = match mark {
            '+' => Meaning::Here,
            '-' => Meaning::Wrong,
            _ => Meaning::Strong,
        };
        paint.line_from(area, y, 0, &[(mark.encode_utf8(&mut [0; 4]), meaning)]);
    }
    let is_sentence = line.label.is_empty() && line.mark == Some(' ');
    let is_heading = !line.label.is_empty() && line.pieces.is_empty() && line.beside.is_none();
    if is_sentence {
        return put(paint, &line.pieces, area, y, 1);
    }
    if is_heading {
        paint.line_from(area, y, 1, &[(&line.label, Meaning::Strong)]);
        return;
    }
    let label = cells(record.rows.label_width());
    let meaning = if line.beside.is_some() && !line.label.starts_with(' ') {
        Meaning::Strong
    } else {
        Meaning::Quiet
    };
    let x = area.x + 1;
    let room = label.min(area.right().saturating_sub(x));
    paint.text(x, area.y + y, room, &line.label, meaning);
    put(paint, &line.pieces, area, y, label + 2);
    if let Some(beside) = &line.beside {
        let at = cells(record.rows.beside_at());
        paint.line_from(area, y, at.saturating_sub(2), &[("│", Meaning::Quiet)]);
        put(paint, beside, area, y, at);
    }
}

fn put(paint: &mut Paint<'_>, pieces: &[Piece], area: Rect, y: u16, indent: u16) {
    let pieces: Vec<(&str, Meaning)> = pieces
        .iter()
        .map(|piece| (piece.text.as_str(), piece.meaning))
        .collect();
    paint.line_from(area, y, indent, &pieces);
}
