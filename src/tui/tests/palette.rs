//! The sheet of keys and the palette: found by key and by name, and done.

use crossterm::event::KeyCode;

use crate::domain::page::{List, Order};
use crate::store::query::View;
use crate::tui::actions::key::Key;
use crate::tui::app::message::{Effect, Msg};
use crate::tui::app::{CHAINS, Overlay};
use crate::tui::place::Screen;
use crate::tui::tests::Session;
use crate::tui::theme::Theme;

fn session() -> Session {
    let mut session = Session::open(60, (80, 24));
    session.tell(Msg::Views(vec![View {
        name: "who left".to_owned(),
        list: List::Cancellations,
        query: "since:7d".to_owned(),
        order: Order::default(),
        pin: Some(3),
    }]));
    session
}

/// The lines under the search.
fn found(session: &Session) -> Vec<String> {
    let text = session.text();
    let lines = text.lines().skip(3).take(20);
    lines
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn a_key_is_found_by_its_name_and_by_what_it_does() {
    let mut session = session();
    session.keys("2?");
    assert!(session.text().contains("find  a key or what it does"));
    assert_eq!(found(&session)[0], "In lists");
    session.keys("E");
    assert!(found(&session)[0].starts_with("E "), "{}", session.text());
    session.code(KeyCode::Backspace);
    session.keys("counts");
    let shown = found(&session);
    assert!(shown[0].starts_with("F  "), "{shown:?}");
    session.keys("\n");
    assert!(
        matches!(session.app.overlay, Some(Overlay::Picker(_))),
        "Enter does it"
    );
}

#[test]
fn what_is_impossible_says_why_and_leaves_the_search_open() {
    let mut session = session();
    session.keys("2?drop the filter\n");
    assert!(matches!(session.app.overlay, Some(Overlay::Help(_))));
    let shown = session.text();
    assert!(
        shown.lines().last().unwrap().contains("no filter is set"),
        "{shown}"
    );
    session.keys("\u{1b}?mark everything up\n");
    let shown = session.text();
    assert!(
        shown.lines().last().unwrap().contains("not here: On Today"),
        "{shown}"
    );
    session.keys("\u{1b}?qwertz\n");
    assert!(session.text().contains("nothing here is called that"));
    session.keys("\u{1b}");
    assert_eq!(session.app.overlay, None);
}

#[test]
fn the_palette_opens_screens_saved_filters_and_providers() {
    let mut session = session();
    for (sought, screen, query) in [
        ("cancellations", Screen::CANCELLATIONS, ""),
        ("who lef", Screen::CANCELLATIONS, "since:7d"),
        (
            "every webhook of zotlo",
            Screen::DELIVERIES,
            "provider:zotlo",
        ),
        ("zotlo", Screen::DELIVERIES, "provider:zotlo"),
    ] {
        session.keys("1");
        session.tell(Msg::Key(Key::ctrl('p')));
        session.keys(sought);
        session.keys("\n");
        assert_eq!(session.app.overlay, None, "{sought}");
        assert_eq!(session.app.place().screen, screen, "{sought}");
        assert_eq!(session.app.place().query, query, "{sought}");
    }
}

#[test]
fn the_palette_shows_what_is_possible_here_first_and_moves_through_all() {
    let mut session = session();
    session.keys("2");
    session.tell(Msg::Key(Key::ctrl('p')));
    assert!(
        found(&session)[0].starts_with("Enter"),
        "{}",
        session.text()
    );
    let last = session.app.entries(&crate::tui::palette::Palette::wide());
    let last = last.last().unwrap();
    assert!(last.why_not.as_ref().unwrap().starts_with("not here"));
    for _ in 0..300 {
        session.code(KeyCode::Down);
    }
    assert!(session.text().contains(&last.text), "{}", session.text());
    for _ in 0..300 {
        session.code(KeyCode::PageUp);
    }
    session.keys("\n");
    assert!(session.app.place().pane.is_some(), "the first one is Enter");
}

#[test]
fn only_what_enter_does_leaves_the_search() {
    // Keys that do something on screen are typed here, and nothing is done.
    let mut session = session();
    session.keys("1?");
    let before = session.outside.len();
    session.keys("Rqu:sE");
    assert!(matches!(session.app.overlay, Some(Overlay::Help(_))));
    let done = &session.outside[before..];
    assert!(
        !done
            .iter()
            .any(|effect| matches!(effect, Effect::Task(_) | Effect::Leave(_)))
    );
}

#[test]
fn what_stands_over_the_screen_reads_its_own_keys() {
    let mut session = session();
    for (keys, scope) in [
        ("2/", "Bar"),
        ("2@", "Time"),
        ("2?", "Help"),
        ("2F", "Picker"),
        ("2v", "Views"),
        ("2E", "Export"),
        ("1p", "Periods"),
        ("1i", "Explained"),
        ("1q", "Leaving"),
        ("1", "Today"),
        ("2", "Rows"),
        ("6", "Rows"),
        ("9", "Connections"),
        ("2\n", "Lines"),
    ] {
        session.app.overlay = None;
        session.keys(keys);
        let scopes = session.app.scopes();
        assert_eq!(format!("{:?}", scopes[0]), scope, "after {keys:?}");
        assert!(CHAINS.contains(&scopes));
    }
}

#[test]
fn the_look_and_every_setting_are_found_by_name() {
    let mut session = session();
    session.tell(Msg::Key(Key::ctrl('p')));
    session.keys("theme");
    let shown = found(&session).join("\n");
    for what in ["theme terminal", "theme mono", "display.theme: setting"] {
        assert!(shown.contains(what), "{what}: {shown}");
    }
    session.keys(" mono\n");
    assert_eq!(session.app.theme, Theme::Mono);
    let said = session.app.notice.as_ref().unwrap();
    assert!(
        said.text.contains("config set display.theme mono"),
        "{}",
        said.text
    );
    session.tell(Msg::Key(Key::ctrl('p')));
    session.keys("setting\n");
    let is_copied = |effect: &Effect| matches!(effect, Effect::Copy(text) if text == "subledger config set display.theme");
    assert!(
        session.outside.iter().any(is_copied),
        "{:?}",
        session.outside
    );
}
