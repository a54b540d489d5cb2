//! Typing and choosing filters and times.

use crate::domain::time::MINUTE_MS;
use crate::tui::app::Overlay;
use crate::tui::place::Screen;
use crate::tui::tests::Session;
use crate::tui::tests::ledger::now;

#[test]
fn a_term_that_does_not_parse_never_widens_the_result() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2/provider:zotlo\n");
    assert_eq!(session.app.place().query, "provider:zotlo");
    let loads = session.outside.len();
    session.keys("/ provder:klustr\n");
    assert_eq!(session.app.place().query, "provider:zotlo");
    assert_eq!(session.outside.len(), loads);
    let shown = session.text();
    assert!(shown.contains("Tab: provider:klustr"), "{shown}");
    session.keys("\t\n");
    assert_eq!(session.app.place().query, "provider:zotlo provider:klustr");
    session.keys("\u{1b}[");
    assert_eq!(session.app.place().query, "provider:zotlo");
}

#[test]
fn a_filter_named_on_the_command_line_that_does_not_parse_is_put_before_the_publisher() {
    let session = Session::open_at(60, (80, 24), Some("provder:zotlo"));
    assert!(matches!(
        session.app.overlay,
        Some(Overlay::Bar { error: Some(_), .. })
    ));
    let session = Session::open_at(60, (80, 24), Some("provider:zotlo"));
    assert_eq!(session.app.place().query, "provider:zotlo");
    assert_eq!(session.app.place().screen, Screen::EVENTS);
}

#[test]
fn a_jump_to_a_time_selects_the_newest_row_that_is_not_after_it() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2@09:00\n");
    let at = now().plus_ms(-14 * MINUTE_MS);
    assert_eq!(session.app.window.row().unwrap().key.sort, at.to_string());
    session.keys("@soon\n");
    assert!(matches!(
        session.app.overlay,
        Some(Overlay::Time { wrong: true, .. })
    ));
}
