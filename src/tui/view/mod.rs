//! Drawing: one file per screen or panel, from the state alone. Never changes anything.
//!
//! ```text
//!  1 Today 2 Events 3 Users 4 Subs 5 Cancels 6 Consent 7 Deliveries 9 Connect      tabs
//!  Events  provider:zotlo   1,204   12 new   Europe/Istanbul  receiving, 1 min ago  info
//!  at           type                    email                     amount  +3 cols   list.rs, or
//!  09:12:33     payment.succeeded       ada@example.org       149.00 TRY            today.rs,
//!  ...                                                                              connections.rs
//!  Enter open   / filter   F choose   @ time   ? keys   q quit                      foot.rs
//! ```

pub mod paint;

pub mod head;

pub mod list;

pub mod record;

pub mod copy;

pub mod today;

pub mod connections;

pub mod picker;

pub mod offers;

pub mod views;

pub mod palette;

pub mod sheet;

pub mod foot;

use ratatui::Frame;

use crate::tui::app::{App, Overlay};
use crate::tui::layout::SIZE_MIN;
use crate::tui::place::Screen;
use crate::tui::theme::Meaning;
use crate::tui::view::paint::Paint;

/// Draws `app` on the whole of `frame`.
pub fn draw(frame: &mut Frame<'_>, app: &App) {
    let area = frame.area();
    // The state may not have heard of the terminal's latest size yet.
    let resized;
    let app = if app.size == (area.width, area.height) {
        app
    } else {
        resized = app.at_size(area.width, area.height);
        &resized
    };
    let mut paint = Paint::new(frame.buffer_mut(), app.theme);
    if area.width < SIZE_MIN.0 || area.height < SIZE_MIN.1 {
        let (width, height) = SIZE_MIN;
        let text = format!("needs {width}x{height}, is {}x{}", area.width, area.height);
        paint.line(area, 0, &[(&text, Meaning::Plain)]);
        return;
    }
    let layout = app.layout();
    head::draw(&mut paint, app, &layout);
    let mut cursor = match app.place().screen {
        Screen::Today => today::draw(&mut paint, app, layout.main),
        Screen::Connections => connections::draw(&mut paint, app, layout.main),
        Screen::Account(account) => {
            connections::draw_account(&mut paint, app, account, layout.main)
        }
        Screen::List(list) => list::draw(&mut paint, app, list, layout.main),
    };
    if app.place().pane.is_some() {
        cursor = record::draw(&mut paint, app, &layout);
    }
    let over = match &app.overlay {
        Some(Overlay::Picker(choices)) => Some(picker::draw(&mut paint, choices, layout.body)),
        Some(Overlay::Copy(menu)) => Some(copy::draw(&mut paint, menu, layout.body)),
        Some(Overlay::Help(sought)) => Some(palette::draw(&mut paint, app, sought, layout.body)),
        Some(Overlay::Periods(chosen)) => {
            Some(today::draw_periods(&mut paint, app, *chosen, layout.body))
        }
        Some(Overlay::Explained(top)) => {
            Some(today::draw_sheet(&mut paint, app, *top, layout.body))
        }
        Some(Overlay::Leaving) => Some(sheet::ask_on_leaving(&mut paint, app, layout.body)),
        Some(Overlay::Views(at)) => Some(views::draw(&mut paint, app, *at, layout.body)),
        Some(Overlay::Export(at)) => Some(views::ask_format(&mut paint, app, *at, layout.body)),
        Some(
            Overlay::Bar { .. }
            | Overlay::Search { .. }
            | Overlay::Command { .. }
            | Overlay::Time { .. }
            | Overlay::Ask(_)
            | Overlay::Find { .. },
        )
        | None => None,
    };
    let typed = foot::draw(&mut paint, app, layout.foot);
    if let Some(offers) = app.offers() {
        offers::draw(&mut paint, offers, layout.body, foot::column(app, offers));
    }
    if let Some(cursor) = typed.or(over).unwrap_or(cursor) {
        frame.set_cursor_position(cursor);
    }
}
