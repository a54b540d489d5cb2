//! Typing and choosing filters and times.

use crossterm::event::KeyCode;

use crate::domain::time::MINUTE_MS;
use crate::tui::app::Overlay;
use crate::tui::app::message::Msg;
use crate::tui::place::Screen;
use crate::tui::tests::Session;
use crate::tui::tests::ledger::now;

#[test]
fn a_term_that_does_not_parse_never_widens_the_result() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2/provider:zotlo\n");
    assert_eq!(session.app.place().query, "provider:zotlo");
    let loads = session.outside.len();
    session.keys("/provder:klustr\n");
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
fn up_and_down_bring_back_what_was_typed() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2/provider:zotlo\n/type:cancel\u{1b}\n:clear\n/");
    let typed = |session: &mut Session, code| {
        session.code(code);
        match &session.app.overlay {
            Some(Overlay::Bar { line, error, .. }) => {
                assert_eq!(*error, None);
                line.text().to_owned()
            }
            other => panic!("no bar: {other:?}"),
        }
    };
    assert_eq!(
        typed(&mut session, KeyCode::Up),
        "provider:zotlo type:cancel"
    );
    assert_eq!(typed(&mut session, KeyCode::Up), "provider:zotlo");
    assert_eq!(typed(&mut session, KeyCode::Up), "provider:zotlo");
    assert_eq!(
        typed(&mut session, KeyCode::Down),
        "provider:zotlo type:cancel"
    );
    assert_eq!(typed(&mut session, KeyCode::Down), "");
    // What is typed opens the offers, and the same keys move among these.
    session.keys("pro");
    assert_eq!(typed(&mut session, KeyCode::Down), "pro");
    session.keys("\n");
    assert!(
        matches!(&session.app.overlay, Some(Overlay::Bar { line, .. }) if line.text() == "provider:")
    );
    session.keys("\u{1b}\u{1b}:");
    session.code(KeyCode::Up);
    assert!(
        matches!(&session.app.overlay, Some(Overlay::Command { line, .. }) if line.text() == "clear")
    );
}

#[test]
fn a_paste_with_nothing_to_go_into_says_so_and_does_nothing() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2");
    let before = session.outside.len();
    session.tell(Msg::Paste("q1\rq".to_owned()));
    assert_eq!(session.outside.len(), before);
    assert!(
        session.text().contains("nothing is being typed"),
        "{}",
        session.text()
    );
    session.keys("/");
    session.tell(Msg::Paste("provider:\rzotlo".to_owned()));
    assert!(
        session.text().contains("/ provider: zotlo"),
        "{}",
        session.text()
    );
    assert!(!session.text().contains("nothing is being typed"));
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
