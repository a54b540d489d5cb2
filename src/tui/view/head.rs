//! The two lines at the top: the screens, and where we are.

use crate::domain::page::{List, Order};
use crate::domain::printable::Printable;
use crate::tui::app::App;
use crate::tui::cell;
use crate::tui::layout::Layout;
use crate::tui::place::Screen;
use crate::tui::search::Rank;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Paint, width};

/// From this width on the screens have their full names.
const FULL_NAMES_WIDTH: u16 = 100;
/// A filter is cut to no less.
const FILTER_WIDTH_MIN: u16 = 6;
/// Below this width only the open screen has a name.
const SHORT_NAMES_WIDTH: u16 = 76;

/// Draws both lines.
pub fn draw(paint: &mut Paint<'_>, app: &App, layout: &Layout) {
    tabs(paint, app, layout);
    info(paint, app, layout);
}

fn tabs(paint: &mut Paint<'_>, app: &App, layout: &Layout) {
    let mut x = 1;
    for (digit, screen, full, short) in Screen::TABS {
        let here = app.place().screen.tab() == *screen;
        let name = match layout.tabs.width {
            FULL_NAMES_WIDTH.. => full,
            SHORT_NAMES_WIDTH.. => short,
            _ if here => short,
            _ => "",
        };
        let meaning = if here { Meaning::Here } else { Meaning::Plain };
        let text = if name.is_empty() {
            digit.to_string()
        } else {
            format!("{digit} {name}")
        };
        x = paint.line_from(layout.tabs, 0, x, &[(&text, meaning)]) + 1;
    }
}

fn info(paint: &mut Paint<'_>, app: &App, layout: &Layout) {
    let area = layout.info;
    let (state, meaning) = receiver_state(app);
    let shorter = state.replace("last ", "").replace(" ago", "");
    let word = state.split(',').next().unwrap_or_default().to_owned();
    let zone = if app.status.is_some() {
        app.zone_shown().name()
    } else {
        ""
    };
    let demo = match (app.demo, app.masked) {
        (true, true) => "DEMO  MASKED",
        (true, false) => "DEMO",
        (false, true) => "MASKED",
        (false, false) => "",
    };
    let zone_meaning = if app.zone_shown() == app.zone {
        Meaning::Quiet
    } else {
        Meaning::Warning
    };
    let mut left = here(app);
    let wanted: u16 = left.iter().map(|(text, _)| width(text)).sum();
    let tries = [(zone, &state), (zone, &shorter), (zone, &word), ("", &word)];
    let room = |zone: &str, state: &str| {
        let parts = [demo, zone, state]
            .into_iter()
            .filter(|part| !part.is_empty());
        parts.map(|part| width(part) + 2).sum::<u16>()
    };
    let fits = |(zone, state): &&(&str, &String)| room(zone, state) + wanted + 1 < area.width;
    // A long filter is cut before the receiver's state is.
    let last = if area.width >= SHORT_NAMES_WIDTH {
        2
    } else {
        3
    };
    let (zone, state) = tries.iter().find(fits).unwrap_or(&tries[last]);
    let right = room(zone, state).min(area.width);
    let mut left_area = area;
    left_area.width = area.width.saturating_sub(right);
    shorten(&mut left, left_area.width.saturating_sub(1));
    let pieces: Vec<_> = left
        .iter()
        .map(|(text, meaning)| (text.as_str(), *meaning))
        .collect();
    paint.line_from(left_area, 0, 1, &pieces);
    let mut x = area.width.saturating_sub(right);
    for (text, meaning) in [
        (demo, Meaning::Test),
        (zone, zone_meaning),
        (state.as_str(), meaning),
    ] {
        if !text.is_empty() {
            x = paint.line_from(area, 0, x, &[("  ", Meaning::Plain), (text, meaning)]);
        }
    }
}

/// Cuts the filter so that what stands behind it, the count first of all, has its place within `room` cells.
fn shorten(pieces: &mut [(String, Meaning)], room: u16) {
    let wanted: u16 = pieces.iter().map(|(text, _)| width(text)).sum();
    let over = wanted.saturating_sub(room);
    if let Some((filter, Meaning::Link)) = pieces.get_mut(1)
        && over > 0
    {
        let left = width(filter).saturating_sub(over).max(FILTER_WIDTH_MIN);
        *filter = Printable::line(filter).cut(usize::from(left)).to_string();
    }
}

/// Where we are: the screen, the filter, how many rows, what waits.
fn here(app: &App) -> Vec<(String, Meaning)> {
    let place = app.place();
    if let (Screen::Today, Some(today)) = (place.screen, &app.today) {
        return vec![(today.heading.clone(), Meaning::Strong)];
    }
    let mut pieces = vec![(place.screen.title().to_owned(), Meaning::Strong)];
    if place.screen.list().is_none() {
        return pieces;
    }
    if !place.query.is_empty() {
        pieces.push((format!("  {}", app.query_shown()), Meaning::Link));
    }
    if place.order != Order::default() {
        pieces.push((format!("  {} first", place.order), Meaning::Link));
    }
    pieces.extend(counts(app));
    let lost = app.status.as_ref().map_or(0, |status| status.lost);
    if place.screen.list() == Some(List::Deliveries) && lost > 0 {
        let text = format!("  +{} turned away, not kept", cell::number(lost));
        pieces.push((text, Meaning::Warning));
    }
    if let Some(export) = &app.export {
        let text = format!(
            "  writing a file: {} rows, E stops",
            cell::number(export.rows)
        );
        pieces.push((text, Meaning::Warning));
    }
    if app.window.loaded
        && app.is_reading()
        && let Some(progress) = app.looking
    {
        let text = format!("  looking, {}", cell::progress(progress, app.when()));
        pieces.push((text, Meaning::Quiet));
    }
    if app.window.newer.rows > 0 {
        let more = if app.window.newer.more { "+" } else { "" };
        pieces.push((
            format!("  {}{more} new, g", app.window.newer.rows),
            Meaning::New,
        ));
    }
    pieces
}

/// How many rows there are, and which of those that fit the search is selected: where the line is short, that alone.
fn counts(app: &App) -> Vec<(String, Meaning)> {
    let count = app.window.count.map_or("…".to_owned(), cell::count);
    let count = (format!("  {count}"), Meaning::Quiet);
    match app.rank().map(Rank::words) {
        None => vec![count],
        Some(words) if app.size.0 < SHORT_NAMES_WIDTH => {
            vec![(format!("  {words}"), Meaning::Here)]
        }
        Some(words) => vec![count, (format!("  match {words}"), Meaning::Here)],
    }
}

fn receiver_state(app: &App) -> (String, Meaning) {
    let Some(status) = &app.status else {
        return ("opening".to_owned(), Meaning::Quiet);
    };
    let last = status.last_received_at.map(|at| app.when().ago(at));
    match (status.running, last) {
        (false, _) => ("not running".to_owned(), Meaning::Bad),
        (true, _) if status.behind > 0 => (
            format!("catching up {}", cell::number(status.behind)),
            Meaning::Warning,
        ),
        (true, Some(last)) => (format!("receiving, last {last}"), Meaning::Good),
        (true, None) => ("receiving, nothing yet".to_owned(), Meaning::Good),
    }
}
