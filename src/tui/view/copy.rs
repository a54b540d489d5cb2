//! The menu of what can be copied, each with its size.

use ratatui::layout::Rect;

use crate::tui::actions::{self, Act, Scope};
use crate::tui::cell;
use crate::tui::copy::{Menu, What};
use crate::tui::term::COPY_BYTES_MAX;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint};

/// Draws the menu at the bottom of `area`; the cursor stands on the chosen line.
pub fn draw(paint: &mut Paint<'_>, menu: &Menu, area: Rect) -> Cursor {
    let wanted = u16::try_from(menu.offers.len()).unwrap_or(u16::MAX);
    let height = wanted.saturating_add(2).min(area.height);
    let area = Rect::new(area.x, area.bottom() - height, area.width, height);
    paint.clear(area);
    paint.line_from(area, 0, 1, &[("Copy", Meaning::Strong)]);
    let room = usize::from(height.saturating_sub(2)).max(1);
    let top = (menu.selected + 1).saturating_sub(room);
    let mut cursor = None;
    for (line, (place, offer)) in (1..).zip(menu.offers.iter().enumerate().skip(top).take(room)) {
        let bytes = cell::counted(offer.bytes as u64, "byte", "bytes");
        let size = if is_too_long(offer.bytes) {
            format!("{bytes}, into a file")
        } else {
            bytes
        };
        let pieces = [
            (key(offer.what), Meaning::Link),
            (format!("{:<17}", offer.what.title()), Meaning::Plain),
            (format!("{size:<24}"), Meaning::Quiet),
            (offer.begins.clone(), Meaning::Quiet),
        ];
        let pieces: Vec<(&str, Meaning)> = pieces
            .iter()
            .map(|(text, meaning)| (text.as_str(), *meaning))
            .collect();
        paint.line_from(area, line, 2, &pieces);
        if place == menu.selected {
            cursor = paint.select(area, line);
        }
    }
    cursor
}

/// More than a terminal takes.
pub const fn is_too_long(bytes: usize) -> bool {
    bytes > COPY_BYTES_MAX
}

/// The key of a line, as the table of actions has it.
fn key(what: What) -> String {
    let name = actions::all()
        .find(|action| action.scope == Scope::Copy && action.act == Act::CopyThis(what))
        .map_or_else(String::new, |action| action.keys[0].name());
    format!("{name:<3}")
}
