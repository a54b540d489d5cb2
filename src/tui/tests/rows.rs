//! Moving among the rows of a list.

use crossterm::event::KeyCode;

use crate::domain::page::{List, Order};
use crate::domain::query::Vocabulary;
use crate::domain::time::MINUTE_MS;
use crate::tui::First;
use crate::tui::app::message::{Effect, Msg};
use crate::tui::app::{App, Overlay, Start};
use crate::tui::picker::Picker;
use crate::tui::place::Screen;
use crate::tui::tests::ledger::now;
use crate::tui::tests::{Session, start};

#[test]
fn new_rows_never_move_the_selected_one_and_are_counted_while_the_head_is_out_of_sight() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2");
    let selected = session.selected();
    session.fake.grow(2);
    session.tell(Msg::Changed);
    assert_eq!(session.selected(), selected);
    assert_eq!(session.app.window.top, 0, "at the head new rows appear");
    for _ in 0..3 {
        session.code(KeyCode::PageDown);
    }
    let selected = session.selected();
    let before = session.text();
    session.fake.grow(12);
    session.tell(Msg::Changed);
    assert_eq!(session.selected(), selected);
    let shown = session.text();
    assert!(shown.contains("12 new"), "{shown}");
    let rows = |text: &str| text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&shown), rows(&before));
    session.keys("g");
    assert!(!session.text().contains("12 new"));
    assert_eq!(session.selected(), 100_014);
}

#[test]
fn whoever_reads_at_the_head_is_not_moved_and_f_lets_new_rows_in() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2jjj");
    let rows = |session: &Session| {
        let text = session.text();
        text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = rows(&session);
    for more in [2, 5] {
        session.fake.grow(more);
        session.tell(Msg::Changed);
        assert_eq!(rows(&session), before);
    }
    assert!(session.text().contains("7 new"), "{}", session.text());
    session.keys("f");
    assert_eq!(session.selected(), 100_007);
    assert!(!session.text().contains("7 new"));
    session.fake.grow(1);
    session.tell(Msg::Changed);
    assert!(session.app.window.visible(20)[0].key.id == 100_008);
    session.keys("f");
    session.fake.grow(3);
    session.tell(Msg::Changed);
    assert!(session.text().contains("3 new"), "{}", session.text());
}

#[test]
fn a_line_stands_where_the_last_review_was() {
    let mut session = Session::open(500, (80, 24));
    let reviewed = now().plus_ms(-MINUTE_MS * 5 / 2);
    session.tell(Msg::Words(Vocabulary::default(), Some((99_997, reviewed))));
    session.keys("2");
    let rule = |session: &Session| {
        let text = session.text();
        text.lines()
            .position(|line| line.contains("── reviewed 09:11:30"))
    };
    // Tabs, info, heads, and the rows of -0, -1 and -2 minutes.
    assert_eq!(rule(&session), Some(6), "{}", session.text());
    // The selected row is in sight wherever the line is.
    for _ in 0..20 {
        session.keys("j");
        let time = session.app.window.row().unwrap().key.sort[14..16].to_owned();
        assert!(session.text().contains(&format!(":{time}:00")), "{time}");
    }
    session.code(KeyCode::PageDown);
    assert_eq!(rule(&session), None);
}

#[test]
fn no_such_line_stands_where_a_filter_goes_by_another_time() {
    let reviewed = now().plus_ms(-MINUTE_MS * 5 / 2);
    for (query, is_there) in [
        ("2/provider:zotlo\n", true),
        ("2/since:1d\n", true),
        ("2/received:1d\n", false),
        ("7/received:1d\n", true),
        ("3/registered:1d\n", false),
        ("4/ended:last-review\n", false),
        ("4/is:ending -is:test\n", true),
        ("4/-(ends:7d ayse)\n", false),
        ("2/is:late\n", false),
        ("2/is:new\n", false),
    ] {
        let mut session = Session::open(500, (80, 24));
        session.tell(Msg::Words(Vocabulary::default(), Some((99_997, reviewed))));
        session.keys(query);
        let text = session.text();
        assert_eq!(text.contains("── reviewed"), is_there, "{query}: {text}");
    }
}

#[test]
fn a_row_named_on_the_command_line_is_selected() {
    let mut session = Session::open(500, (80, 24));
    session.app = App::new(Start {
        first: Some(First {
            list: List::Payments,
            query: "amount:>5".to_owned(),
            order: Order::Newest,
            id: Some(99_700),
        }),
        ..start((80, 24))
    });
    session.reopen();
    assert_eq!(session.app.place().screen, Screen::PAYMENTS);
    assert_eq!(session.selected(), 99_700);
    session.keys("Y");
    let copied = session
        .outside
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::Copy(text) => Some(text.clone()),
            _ => None,
        });
    let wanted = "subledger tui --list payments --at 99700 -- 'amount:>5'";
    assert_eq!(copied.as_deref(), Some(wanted));
    session.keys("PY");
    assert!(
        matches!(session.outside.last(), Some(Effect::Copy(command)) if command.starts_with("subledger tui --redact "))
    );
}

#[test]
fn the_command_of_a_ledger_that_goes_says_so_and_that_of_a_period_names_it() {
    let mut session = Session::open(60, (120, 24));
    session.keys("1pj\nY");
    let shown = session.text();
    assert!(
        shown.contains("clipboard: subledger today --since today"),
        "{shown}"
    );
    session.app.is_thrown_away = true;
    session.keys("2Y");
    let shown = session.text();
    assert!(shown.contains("q throws this ledger away"), "{shown}");
}

#[test]
fn a_long_list_is_walked_from_end_to_end_in_windows() {
    let mut session = Session::open(2000, (80, 24));
    session.keys("2");
    let mut seen = vec![session.selected()];
    for _ in 0..1999 {
        session.keys("j");
        seen.push(session.selected());
        assert!(session.app.window.rows.len() < 500);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1] + 1));
    session.keys("G");
    assert_eq!(session.selected(), 98_001);
    for _ in 0..1999 {
        session.keys("k");
    }
    assert_eq!(session.selected(), 100_000);
    session.keys("G");
    assert_eq!(session.selected(), 98_001);
    session.keys("g");
    assert_eq!(session.selected(), 100_000);
}

#[test]
fn a_list_turned_round_begins_with_the_oldest_and_keeps_its_row() {
    let mut session = Session::open(2000, (80, 24));
    session.keys("2o");
    assert_eq!(session.selected(), 98_001, "from the first to the first");
    session.keys("o");
    assert_eq!(session.selected(), 100_000);
    session.keys("jjj");
    let selected = session.selected();
    session.keys("o");
    assert_eq!(session.selected(), selected);
    assert!(
        session.text().contains("Events  oldest first"),
        "{}",
        session.text()
    );
    session.keys("j");
    assert_eq!(session.selected(), selected + 1);
    session.keys("g");
    assert_eq!(session.selected(), 98_001);
    for step in 1..500 {
        session.keys("j");
        assert_eq!(session.selected(), 98_001 + step);
    }
    session.keys("G");
    assert_eq!(session.selected(), 100_000);
    // What comes appears at the end, and moves nothing.
    session.fake.grow(3);
    session.tell(Msg::Changed);
    assert_eq!(session.selected(), 100_000);
    session.keys("G");
    assert_eq!(session.selected(), 100_003);
    // Down is towards newer rows, for a search too; a filter and the command keep the order, another list has its own.
    session.keys("gs500\nn");
    assert_eq!(session.selected(), 99_500);
    session.keys("Y");
    assert!(
        matches!(session.outside.last(), Some(Effect::Copy(command)) if command.contains(" --sort oldest"))
    );
    session.keys("/provider:zotlo\n");
    assert_eq!(session.app.place().order, Order::Oldest);
    session.keys("3");
    assert_eq!(session.app.place().order, Order::Newest);
    session.keys("[");
    assert_eq!(session.app.place().order, Order::Oldest);
    session.keys(":sort newest\n");
    assert_eq!(session.app.place().order, Order::Newest);
    session.keys(":sort amount\n");
    assert!(
        session
            .text()
            .contains("lists come newest or oldest first, not by \"amount\"")
    );
}

#[test]
fn esc_comes_back_to_the_same_row() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2");
    for _ in 0..40 {
        session.keys("j");
    }
    let (selected, top) = (session.selected(), session.app.window.top);
    let shown = session.text();
    session.keys("\n");
    session.keys("d");
    assert_eq!(session.app.place().screen, Screen::DELIVERIES);
    assert_eq!(session.selected(), selected);
    session.keys("\u{1b}\u{1b}\u{1b}");
    assert_eq!(session.app.place().screen, Screen::EVENTS);
    assert_eq!(session.selected(), selected);
    let first = |text: &str| text.lines().nth(3).unwrap().to_owned();
    assert_eq!(first(&session.text()), first(&shown), "first row {top}");
    session.keys("\u{1b}\u{1b}");
    assert_eq!(
        session.app.place().screen,
        Screen::EVENTS,
        "Esc never quits"
    );
}

#[test]
fn deliveries_say_how_many_were_turned_away_and_not_kept() {
    let mut session = Session::open(60, (80, 24));
    session.keys("7");
    assert!(!session.text().contains("not kept"));
    session.fake.status.lost = 1_312;
    let status = session.fake.status.clone();
    session.tell(Msg::Status(status));
    assert!(session.text().contains("+1,312 turned away, not kept"));
    session.keys("2");
    assert!(!session.text().contains("not kept"));
}

#[test]
fn a_time_before_every_row_shows_the_oldest_and_says_so() {
    for (keys, order, id) in [
        ("2@2020-01-01\n", "that old", 99_501),
        ("2/provider:zotlo\n@2020-01-01\n", "that old", 99_501),
        ("2o@2099-01-01\n", "that new", 100_000),
    ] {
        let mut session = Session::open(500, (80, 24));
        session.keys(keys);
        let shown = session.text();
        assert!(shown.contains(order), "{keys} {shown}");
        assert_eq!(session.selected(), id, "{keys}");
        assert!(session.app.window.rows.len() > 20, "rows are kept");
    }
    let mut session = Session::open(0, (80, 24));
    session.keys("2@2020-01-01\n");
    assert!(session.app.window.rows.is_empty());
}

#[test]
fn a_row_that_is_asked_for_and_is_not_there_is_said() {
    let of = |id: i64| {
        let mut session = Session {
            app: App::new(Start {
                first: Some(First {
                    list: List::Events,
                    query: String::new(),
                    order: Order::Newest,
                    id: Some(id),
                }),
                ..start((80, 24))
            }),
            ..Session::open(500, (80, 24))
        };
        session.reopen();
        session.text()
    };
    let missing = of(999_999_999);
    assert!(
        missing.contains("no row 999999999 is in this list"),
        "{missing}"
    );
    let there = of(99_900);
    assert!(!there.contains("is in this list"), "{there}");
}

#[test]
fn with_the_oldest_first_f_goes_where_new_rows_come() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2of");
    assert_eq!(session.selected(), 100_000);
    assert!(session.text().contains("the end: new rows appear here"));
    assert!(!session.text().contains("at the top"));
}

#[test]
fn where_there_is_nothing_to_choose_from_f_says_so() {
    let mut session = Session::open(0, (80, 24));
    session.keys("2");
    let mut picker = Picker::default();
    picker.parts = [const { Some(Vec::new()) }; 4];
    session.app.overlay = Some(Overlay::Picker(picker));
    let shown = session.text();
    assert!(shown.contains("nothing to choose from"), "{shown}");
}
