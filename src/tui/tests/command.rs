//! Completion, commands, saved filters.

use crossterm::event::KeyCode;

use crate::domain::page::{List, Order};
use crate::store::query::View;
use crate::store::task::Task;
use crate::tui::app::Overlay;
use crate::tui::app::message::Msg;
use crate::tui::place::Screen;
use crate::tui::tests::Session;

fn views() -> Vec<View> {
    let view = |name: &str, list, query: &str, pin| View {
        name: name.to_owned(),
        list,
        query: query.to_owned(),
        order: match name {
            "Gold" => Order::Oldest,
            _ => Order::Newest,
        },
        pin,
    };
    vec![
        view("who left", List::Cancellations, "since:7d", Some(3)),
        view("Gold", List::Subscriptions, "plan:gold*", None),
        view("broken", List::Users, "plan:x", None),
    ]
}

fn with_views() -> Session {
    let mut session = Session::open(60, (80, 24));
    session.tell(Msg::Views(views()));
    session
}

#[test]
fn keys_and_values_are_offered_and_tab_takes_them() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2/prov");
    let shown = session.text();
    assert!(shown.contains("provider:  who sent it"), "{shown}");
    session.keys("\t");
    let shown = session.text();
    assert!(
        shown.contains("provider:expressconsent"),
        "values follow: {shown}"
    );
    session.keys("zo\t type:ref");
    session.code(KeyCode::Down);
    session.keys("\n");
    assert!(
        matches!(&session.app.overlay, Some(Overlay::Bar { line, .. }) if line.text() == "provider:zotlo type:refunded"),
        "Enter takes the chosen offer: {:?}",
        session.app.overlay
    );
    session.keys("\n");
    assert_eq!(session.app.place().query, "provider:zotlo type:refunded");
}

#[test]
fn offers_have_an_esc_of_their_own_and_never_hide_the_line() {
    for size in [(80, 24), (40, 10), (40, 8)] {
        let mut session = Session::open(60, size);
        session.keys("2/pro");
        assert!(session.app.offers().unwrap().is_open());
        assert!(session.text().contains("/ pro"), "{}", session.text());
        session.keys("\u{1b}");
        assert!(matches!(session.app.overlay, Some(Overlay::Bar { .. })));
        assert!(!session.app.offers().unwrap().is_open());
        session.keys("\u{1b}");
        assert_eq!(session.app.overlay, None);
    }
}

#[test]
fn an_empty_gap_offers_nothing_until_it_is_asked_for() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2/");
    assert!(!session.app.offers().unwrap().is_open());
    session.keys("\t");
    let shown = session.text();
    assert!(shown.contains("8 of "), "{shown}");
    session.keys("\t");
    assert!(
        matches!(&session.app.overlay, Some(Overlay::Bar { line, .. }) if line.text() == "provider:")
    );
}

#[test]
fn rows_turn_pale_while_a_term_does_not_parse() {
    use ratatui::style::Modifier;
    let mut session = Session::open(60, (80, 24));
    let pale = |session: &Session| {
        let frame = crate::tui::render(&session.app, 80, 24);
        (0..80)
            .filter(|x| frame[(*x, 5)].modifier.contains(Modifier::DIM))
            .count()
    };
    session.keys("2/");
    let before = pale(&session);
    session.keys("provder:x");
    assert!(pale(&session) > before + 20);
}

#[test]
fn what_was_just_saved_is_known_before_filters_are_read_again() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2/provider:zotlo\n:save mine\n:pin mine 4\n");
    session.keys("x3v4");
    assert_eq!(session.app.place().screen, Screen::EVENTS);
    assert_eq!(session.app.place().query, "provider:zotlo");
    session.keys(":delete mine\ny:view mine\n");
    assert!(session.text().contains("no saved filter is called"));
}

#[test]
fn a_filter_is_saved_opened_pinned_and_deleted_by_name() {
    let mut session = with_views();
    session.keys("2/provider:zotlo\n:sort oldest\n:save my zotlo\n");
    session.keys(":view WHO LEFT\n");
    assert_eq!(session.app.place().screen, Screen::CANCELLATIONS);
    assert_eq!(session.app.place().query, "since:7d");
    session.keys("\u{1b}");
    assert_eq!(
        session.app.place().query,
        "provider:zotlo",
        "Esc comes back"
    );
    session.keys(":view gold\n");
    assert_eq!(session.app.place().order, Order::Oldest, "as it was saved");
    session.keys("v");
    assert!(
        session.text().contains("plan:gold*, oldest first"),
        "{}",
        session.text()
    );
    session.keys("\u{1b}\u{1b}");
    session.keys(":pin gold 2\n:unpin who left\n:delete Gold\ny");
    assert_eq!(
        session.tasks(),
        vec![
            Task::SaveView {
                name: "my zotlo".to_owned(),
                list: List::Events,
                query: "provider:zotlo".to_owned(),
                order: Order::Oldest,
            },
            Task::PinView {
                name: "Gold".to_owned(),
                digit: Some(2)
            },
            Task::PinView {
                name: "who left".to_owned(),
                digit: None
            },
            Task::DropView {
                name: "Gold".to_owned()
            },
        ]
    );
}

#[test]
fn v_and_a_digit_open_a_pinned_filter() {
    let mut session = with_views();
    session.keys("v");
    let shown = session.text();
    assert!(
        shown.contains("3 who left  cancellations  since:7d"),
        "{shown}"
    );
    session.keys("3");
    assert_eq!(session.app.place().query, "since:7d");
    session.keys("v7");
    assert!(
        session.text().contains("no saved filter"),
        "{}",
        session.text()
    );
    session.keys("jp\u{1b}vDy");
    assert_eq!(
        session.tasks(),
        vec![
            Task::PinView {
                name: "Gold".to_owned(),
                digit: Some(1)
            },
            Task::DropView {
                name: "who left".to_owned()
            },
        ]
    );
    session.tell(Msg::Views(Vec::new()));
    assert_eq!(session.app.overlay, None);
    session.keys("v");
    assert!(session.text().contains("no filter is saved yet"));
}

#[test]
fn a_saved_filter_that_does_not_parse_any_more_is_put_into_the_bar() {
    let mut session = with_views();
    session.keys("2:view broken\n");
    assert_eq!(session.app.place().screen, Screen::USERS);
    let shown = session.text();
    assert!(shown.contains("plan cannot filter users"), "{shown}");
}

#[test]
fn what_is_no_command_stays_to_be_changed() {
    let mut session = with_views();
    session.keys(":evnts\n");
    let shown = session.text();
    assert!(shown.contains("did you mean `:events`?"), "{shown}");
    session.keys("\u{1b}:view gld\n");
    let shown = session.text();
    assert!(shown.contains("did you mean \"Gold\"?"), "{shown}");
    session.keys("\u{1b}1:save x\n");
    let shown = session.text();
    assert!(shown.contains("this screen is no list"), "{shown}");
    session.keys("\u{1b}:users is:tset\n");
    let shown = session.text();
    assert!(shown.contains("did you mean is:test"), "{shown}");
    session.keys("\u{1b}:users is:test\n");
    assert_eq!(session.app.place().screen, Screen::USERS);
    assert_eq!(session.app.place().query, "is:test");
    session.keys(":at yesterday\n:q\n");
    assert!(matches!(session.app.overlay, Some(Overlay::Leaving)));
}

#[test]
fn commands_names_and_terms_are_offered() {
    let mut session = with_views();
    session.keys("2:vi\t");
    session.keys("who\t");
    assert!(
        matches!(&session.app.overlay, Some(Overlay::Command { line, .. }) if line.text() == "view who left")
    );
    session.keys("\u{1b}\u{1b}:subs is:end\t");
    assert!(
        matches!(&session.app.overlay, Some(Overlay::Command { line, .. }) if line.text() == "subs is:ending"),
        "{:?}",
        session.app.overlay
    );
}
