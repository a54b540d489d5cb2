//! What the word at the caret may become, just above the line being typed.

use ratatui::layout::Rect;

use crate::tui::complete::Offers;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Paint, width};

/// Cells between an offer and what it means.
const GAP: u16 = 2;

/// Draws the offers at the bottom of `body`, from column `x` on. The caret stays in the line.
pub fn draw(paint: &mut Paint<'_>, offers: &Offers, body: Rect, x: u16) {
    let (shown, all) = offers.shown(usize::from(body.height.saturating_sub(1)));
    let Some(lines) = u16::try_from(shown.len()).ok().filter(|lines| *lines > 0) else {
        return;
    };
    let word = shown
        .iter()
        .map(|(offer, _)| width(&offer.text))
        .max()
        .unwrap_or(0);
    let help = shown
        .iter()
        .map(|(offer, _)| width(offer.help))
        .max()
        .unwrap_or(0);
    let gap = if help > 0 { GAP } else { 0 };
    let more = format!("{} of {all}", shown.len());
    let is_cut = all > shown.len();
    let wanted = (word + gap + help).max(if is_cut { width(&more) } else { 0 }) + 2;
    let cells = wanted.min(body.width);
    let height = lines + u16::from(is_cut);
    // Whole lines: half a row beside an offer would read as part of it.
    let whole = Rect::new(body.x, body.bottom() - height, body.width, height);
    paint.clear(whole);
    let x = x.min(body.width.saturating_sub(cells)) + body.x;
    let area = Rect::new(x, whole.y, cells, height);
    for (y, (offer, is_chosen)) in (0..).zip(&shown) {
        paint.line_from(area, y, 1, &[(&offer.text, Meaning::Plain)]);
        paint.line_from(area, y, 1 + word + gap, &[(offer.help, Meaning::Quiet)]);
        if *is_chosen {
            paint.select(area, y);
        }
    }
    if is_cut {
        paint.line_from(area, lines, 1, &[(&more, Meaning::Quiet)]);
    }
}
