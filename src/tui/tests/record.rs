//! An opened row: its faces, folding, seeking, copying, and the ways on from it.

use std::sync::Arc;

use proptest::prelude::*;

use crossterm::event::KeyCode;

use crate::domain::page::List;
use crate::store::query::Kinds;
use crate::tui::app::message::{Effect, Msg};
use crate::tui::copy::What;
use crate::tui::headless::draw;
use crate::tui::place::{Face, Screen};
use crate::tui::record::{Gone, Raw};
use crate::tui::render;
use crate::tui::term::COPY_BYTES_MAX;
use crate::tui::tests::Session;
use crate::tui::tests::screens::at_all_sizes;

impl Session {
    /// What belongs to the opened row is this.
    fn answer_with(&mut self, raw: Raw) {
        let record = self.app.record.as_ref().unwrap();
        let of = (record.list, record.row.key.clone());
        self.tell(Msg::Raw {
            of,
            raw: Some(Box::new(raw)),
        });
    }

    fn body(&mut self, body: &[u8]) {
        self.answer_with(Raw {
            body: Some(Arc::from(body)),
            ..Raw::default()
        });
    }

    /// What was handed to the clipboard last.
    fn copied(&self) -> Option<String> {
        self.outside.iter().rev().find_map(|effect| match effect {
            Effect::Copy(text) => Some(text.clone()),
            _ => None,
        })
    }

    fn line(&self) -> usize {
        self.app.place().pane.unwrap().line
    }
}

#[test]
fn tab_turns_through_the_faces_and_back() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2\n");
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(session.app.face().unwrap());
        session.keys("\t");
    }
    let around = [
        Face::Fields,
        Face::Body,
        Face::Raw,
        Face::History,
        Face::Fields,
    ];
    assert_eq!(seen, around);
    session.code(KeyCode::BackTab);
    assert_eq!(session.app.face(), Some(Face::Fields));
    // The face stays from row to row, and is kept for rows that have it.
    session.keys("\tJ");
    assert_eq!(session.app.face(), Some(Face::Body));
}

#[test]
fn a_body_folds_and_says_the_path_under_the_cursor() {
    let mut session = Session::open(60, (80, 24));
    session.keys("7\n\t");
    let shown = session.text();
    assert!(shown.contains("amount: 1.50"), "{shown}");
    session.keys("jjj");
    assert!(session.text().contains("$.list"));
    session.keys("h");
    assert!(session.text().contains("list: [2]  1,2"));
    session.keys("lj");
    assert!(session.text().contains("$.list[0]"));
    session.keys("-");
    assert_eq!(session.line(), 3);
    session.keys("h");
    assert_eq!(session.line(), 0);
    session.keys("*/2\n");
    assert!(session.text().contains("$.list[1]"));
}

#[test]
fn seeking_says_when_it_begins_again_and_when_there_is_nothing() {
    let mut session = Session::open(60, (80, 24));
    session.keys("7\n\t");
    session.body(br#"{"a":"one","b":{"c":"two one"},"d":1}"#);
    session.keys("/ONE\n");
    assert!(session.text().contains("$.a"));
    session.keys("n");
    assert!(session.text().contains("$.b.c"));
    session.keys("n");
    assert!(session.text().contains("found from the beginning again"));
    session.keys("N");
    assert!(session.text().contains("found from the end again"));
    session.keys("/absent\n");
    assert!(session.text().contains("not found: absent"));
    session.keys("\t/two\n");
    assert_eq!(session.app.face(), Some(Face::Raw));
    assert_eq!(session.line(), 1, "below the line that tells its length");
}

#[test]
fn what_is_no_json_or_not_there_any_more_is_said() {
    let mut session = Session::open(60, (80, 24));
    session.keys("7\n\t");
    session.body(b"name=a&b");
    let shown = session.text();
    assert!(shown.contains("no JSON: byte 1"), "{shown}");
    assert!(shown.contains("Tab shows it as it came."));
    session.body(b"\x00\xff\x1b[2J");
    assert!(session.text().contains("no text"));
    session.keys("\t");
    assert!(session.text().contains("00 ff 1b 5b 32 4a"));
    let gone = |gone| Raw {
        gone: Some(gone),
        ..Raw::default()
    };
    for face in ["", "\t\t"] {
        session.keys(face);
        session.answer_with(gone(Gone::Erased(None)));
        assert!(session.text().contains("The body was erased or dropped."));
        session.answer_with(gone(Gone::NotKept(2_000_000)));
        assert!(session.text().contains("2,000,000 bytes were turned away"));
    }
}

#[test]
fn text_turns_into_hex_and_back() {
    let mut session = Session::open(60, (80, 24));
    session.keys("7\n\t\t");
    assert!(session.text().contains("1 {\"event\""));
    session.keys("x");
    assert!(session.text().contains("00000000  7b 22 65 76"));
    session.keys("x");
    assert!(session.text().contains("1 {\"event\""));
}

#[test]
fn the_menu_copies_value_path_json_row_and_body() {
    let mut session = Session::open(60, (80, 24));
    session.keys("7\n\t");
    session.body(br#"{"a b":"x\ny","c":[1, 2]}"#);
    session.keys("jy");
    let shown = session.text();
    assert!(shown.contains("the whole body"), "{shown}");
    assert!(shown.contains("3 bytes"), "{shown}");
    session.keys("y");
    assert_eq!(session.copied().as_deref(), Some("x\ny"));
    assert!(session.text().contains("the value, 3 bytes, handed"));
    session.keys("yp");
    assert_eq!(session.copied().as_deref(), Some("$[\"a b\"]"));
    session.keys("jyv");
    assert_eq!(session.copied().as_deref(), Some("[1, 2]"));
    session.keys("yb");
    let body = session.copied().unwrap();
    assert_eq!(body, r#"{"a b":"x\ny","c":[1, 2]}"#);
    session.keys("yc");
    assert!(session.copied().unwrap().starts_with("100000,2026-"));
    session.keys("yjjjj");
    session.code(KeyCode::Up);
    session.keys("\n");
    assert!(session.copied().unwrap().starts_with('{'));
    let copies = session.outside.len();
    session.keys("y\u{1b}");
    assert_eq!(session.outside.len(), copies, "leaving copies nothing");
    assert_eq!(session.app.overlay, None);
}

#[test]
fn what_a_terminal_does_not_take_goes_into_a_file() {
    let mut session = Session::open(60, (80, 24));
    session.keys("7\n");
    let long = vec![b'7'; COPY_BYTES_MAX + 1];
    session.body(&long);
    session.keys("y");
    assert!(session.text().contains("56,245 bytes, into a file"));
    session.keys("b");
    let kept = session
        .outside
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::Keep(kept) => Some(kept.clone()),
            _ => None,
        });
    let kept = kept.unwrap();
    assert_eq!((kept.what, kept.bytes.len()), (What::Body, long.len()));
    assert_eq!(session.copied(), None);
    session.tell(Msg::Kept(Ok("the whole body is in a file".to_owned())));
    assert!(session.text().contains("the whole body is in a file"));
    // No text is no matter for a terminal, however short.
    session.body(b"\xff");
    session.keys("yb");
    assert_eq!(session.copied(), None);
}

#[test]
fn consent_shows_before_and_after_by_itself() {
    for keys in ["6\n", "6c\n"] {
        let mut session = Session::open(60, (120, 40));
        session.keys(keys);
        session.keys("z");
        assert_eq!(session.app.face(), Some(Face::Consent));
        let shown = session.text();
        for words in [
            "before",
            "after",
            "given",
            "withdrawn",
            "the newsletter",
            "offers of partners",
            "not known",
            "2 purposes",
            "analytics given",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
    }
}

#[test]
fn an_event_of_consent_shows_what_it_changed() {
    let mut session = Session::open(60, (80, 24));
    // Every fifth row is a withdrawal.
    session.keys("2");
    while session.app.record.is_none() {
        let is_consent = session.text().lines().any(|line| line.contains("consent."));
        assert!(is_consent);
        session.keys("\n");
    }
    for _ in 0..5 {
        if session.app.face() == Some(Face::Consent) {
            break;
        }
        session.keys("J");
    }
    assert_eq!(session.app.face(), Some(Face::Consent));
    assert!(session.text().contains("no consent changed by it"));
}

#[test]
fn the_page_of_a_reader_is_one_key_away_and_leads_on() {
    let mut session = Session::open(60, (120, 40));
    session.keys("2w");
    assert_eq!(session.app.place().screen, Screen::USERS);
    assert_eq!(session.app.face(), Some(Face::Reader));
    assert!(session.app.layout().main.is_empty(), "on the whole screen");
    let shown = session.text();
    for words in [
        "Subscriptions",
        "Consents now",
        "1,788.00 in 12 payments",
        "monthly 149.00",
        "Also seen as",
        "Timeline",
        "days nothing",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_eq!(session.app.kinds, Kinds::All);
    session.keys("f");
    assert_eq!(session.app.kinds, Kinds::Subscriptions);
    session.keys("/renews\n\n");
    assert_eq!(session.app.place().screen, Screen::SUBSCRIPTIONS);
    assert!(session.app.record.is_some());
    session.keys("\u{1b}\u{1b}");
    assert_eq!(session.app.place().screen, Screen::USERS);
    session.keys("\u{1b}\u{1b}");
    assert_eq!(session.app.place().screen, Screen::EVENTS);
}

#[test]
fn a_field_that_names_something_opens_it() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2\n/Delivery\n\n");
    assert_eq!(session.app.place().screen, Screen::DELIVERIES);
    session.keys("\u{1b}\u{1b}");
    assert_eq!(session.app.place().screen, Screen::EVENTS);
    session.keys("/User\n\n");
    assert_eq!(session.app.place().screen, Screen::USERS);
}

#[test]
fn the_history_of_a_row_opens_each_event() {
    let mut session = Session::open(60, (80, 24));
    session.keys("4\n\t");
    assert_eq!(session.app.face(), Some(Face::History));
    let shown = session.text();
    assert!(shown.contains("7 events, and older ones"), "{shown}");
    session.keys("j\n");
    assert_eq!(session.app.place().screen, Screen::EVENTS);
    assert_eq!(session.app.record.as_ref().unwrap().list, List::Events);
}

#[test]
fn list_and_row_share_the_screen_as_asked() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2\n");
    assert!(session.app.layout().main.is_empty());
    session.keys("z");
    let layout = session.app.layout();
    assert_eq!((layout.main.height, layout.pane.height), (8, 12));
    assert!(session.app.window.selected < layout.rows());
    session.keys("<<");
    assert_eq!(session.app.layout().pane.height, 14);
    session.keys("JJJJJJJJJJJJ");
    assert_eq!(session.selected(), 99_988);
    let window = &session.app.window;
    let rows = session.app.layout().rows();
    assert!((window.top..window.top + rows).contains(&window.selected));
    session.keys("z");
    assert!(session.app.layout().main.is_empty());
    let mut small = Session::open(60, (40, 10));
    small.keys("2\nz");
    assert!(small.text().contains("too small"));
}

#[test]
fn a_hostile_body_is_shown_and_drives_nothing() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let wide = format!("[{}0]", "{\"k\":\"v\"},".repeat(100_000));
    let bodies: [&[u8]; 7] = [
        deep.as_bytes(),
        wide.as_bytes(),
        br#"{"a":1,"a":2,"\ud800":"\udc00\u0000\u001b[2J\u202e"}"#,
        b"{\"\x1b]52;c;eA==\x07\":1}",
        "{\"\u{202e}\":\"\u{9b}2J\u{200b}\"}".as_bytes(),
        b"",
        b"\xff\xfe\x00",
    ];
    for body in bodies {
        let mut session = Session::open(60, (80, 24));
        session.keys("7\n\t");
        session.body(body);
        for keys in ["", "+", "G", "k", "\t", "G", "x", "g", "\t", "\t-l*", "y"] {
            session.keys(keys);
            let frame = render(&session.app, 80, 24);
            for cell in frame.content() {
                assert!(!cell.symbol().chars().any(char::is_control));
                assert!(!cell.symbol().contains(['\u{202e}', '\u{200b}']));
            }
        }
    }
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]{}:,\"a1\\\\ ]{0,60}".prop_map(String::into_bytes),
        r#"\{"[a-z\PC]{0,9}":\["\PC{0,40}",[0-9]{1,9},\{"a":null\}\]\}"#
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_keys_on_any_row_upset_the_opened_row(
        screen in prop::sample::select(vec!["2", "3", "4", "5", "6", "6c", "7", "$"]),
        body in any_body(),
        size in (40..200u16, 8..60u16),
        keys in "[jkhlJKgGxzfnNyvpcb+*<>=\n\t \u{1b}/-]{0,50}",
    ) {
        let mut session = Session::open(30, size);
        session.keys(screen);
        session.keys("\n");
        session.body(&body);
        for key in keys.chars() {
            session.keys(key.encode_utf8(&mut [0; 4]));
            let frame = render(&session.app, size.0, size.1);
            prop_assert_eq!(frame.area.width, size.0);
            if let (Some(pane), Some(record), Some(face)) =
                (session.app.place().pane, &session.app.record, session.app.face())
            {
                prop_assert!(pane.line < record.len(face).max(1));
                prop_assert!(pane.top <= pane.line);
                prop_assert!(pane.line < pane.top + session.app.pane_height());
            }
        }
    }
}

#[test]
fn the_faces_of_an_opened_row_at_four_sizes() {
    for (name, keys) in [
        ("reader_page", "3\n"),
        ("reader_alone", "3\nzjjjj"),
        ("consent_before_and_after", "6\n"),
        ("body_tree", "7\n\tjjj"),
        ("as_it_came", "7\n\t\t"),
        ("fields", "4\n"),
        ("payment", "$\n"),
        ("cancellation", "5\n"),
        ("history", "4\n\t"),
        ("copy_menu", "7\n\tjjy"),
    ] {
        insta::assert_snapshot!(name, at_all_sizes(6, keys));
    }
}

#[test]
fn a_timeline_that_is_cut_says_of_how_many_and_goes_on_in_events() {
    let mut session = Session::open(120, (120, 40));
    session.keys("3\n");
    let page = session.app.record.as_ref().unwrap().raw.as_ref().unwrap();
    let last = page
        .reader
        .as_ref()
        .unwrap()
        .timeline
        .events
        .last()
        .unwrap();
    let last = last.key.id;
    session.keys("G");
    let shown = session.text();
    assert!(
        shown.contains("8 of 31,204 events: Enter goes on"),
        "{shown}"
    );
    session.keys("fG\n");
    assert_eq!(session.app.place().screen, Screen::EVENTS);
    let query = session.app.place().query.clone();
    assert!(query.starts_with("user:user-5 provider:"), "{query}");
    assert!(query.ends_with(" type:subscription"), "{query}");
    assert_eq!(session.selected(), last);
    session.keys("j");
    assert_eq!(session.selected(), last - 1);
    session.keys("\u{1b}");
    assert_eq!(session.app.place().screen, Screen::USERS);
}

#[test]
fn the_timeline_stands_beside_the_reader_where_there_is_room() {
    let mut session = Session::open(12, (160, 30));
    session.keys("3\nz");
    let timeline = session.app.record.as_ref().unwrap().timeline.unwrap();
    let line_of = |session: &Session, words: &str| {
        let text = session.text();
        text.lines().position(|line| line.contains(words)).unwrap()
    };
    assert_eq!(line_of(&session, "Timeline"), 3, "{}", session.text());
    assert_eq!(line_of(&session, "known at"), 4, "{}", session.text());
    // The cursor goes from the last line of the one to the first of the other, and a search finds it in both.
    for _ in 0..timeline {
        session.keys("j");
    }
    assert_eq!(session.line(), timeline);
    let cursor = draw(&session.app).cursor.unwrap();
    assert_eq!((cursor.x, cursor.y), (81, 3));
    session.keys("G");
    assert!(draw(&session.app).cursor.unwrap().x > 80);
    session.keys("/known at\n");
    assert_eq!(draw(&session.app).cursor.unwrap().x, 0);
    session.code(KeyCode::Esc);
    session.tell(Msg::Resize(119, 30));
    let text = session.text();
    assert!(!text.lines().take(20).any(|line| line.contains("Timeline")));
}
