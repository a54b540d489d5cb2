//! What each screen looks like.

use crossterm::event::KeyCode;

use crate::tui::actions;
use crate::tui::app::message::{Effect, Msg};
use crate::tui::headless::draw;
use crate::tui::place::Screen;

use crate::tui::tests::Session;
use crate::tui::theme::{Depth, Theme};
use crate::tui::{Leave, render};

pub(super) const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (120, 40), (250, 60)];

#[test]
fn the_main_screens_at_four_sizes() {
    let screens = [
        ("today", "1"),
        ("events", "2"),
        ("users", "3"),
        ("subscriptions", "4"),
        ("consent_history", "6c"),
        ("deliveries", "7"),
        ("connections", "9"),
        ("account", "9\n"),
        ("event_opened", "2jj\n"),
        ("delivery_raw", "7\n\t"),
        ("picker", "2Fj "),
        ("keys", "2?"),
        ("filter_wrong", "2/provder:zotlo"),
        ("nothing_matches", "2/nothing\n"),
        ("leaving", "q"),
    ];
    for (name, keys) in screens {
        insta::assert_snapshot!(name, at_all_sizes(60, keys));
    }
}

#[test]
fn the_other_lists_at_four_sizes() {
    let mut shown = String::new();
    for (list, keys) in [("cancellations", "5"), ("consents", "6"), ("payments", "$")] {
        shown.extend([list, "\n", &at_all_sizes(8, keys)]);
    }
    insta::assert_snapshot!("other_lists", shown);
}

/// The screen after `keys` at every size, in both themes.
pub(super) fn at_all_sizes(rows: i64, keys: &str) -> String {
    SIZES
        .into_iter()
        .map(|size| both_themes(rows, size, keys))
        .collect()
}

/// The screen after `keys`, in one colour and in the terminal's own: what is written is the same.
fn both_themes(rows: i64, size: (u16, u16), keys: &str) -> String {
    let mut session = Session::open(rows, size);
    session.keys(keys);
    let mono = draw(&session.app);
    session.app.theme = Theme::named("terminal", Depth::Sixteen);
    let terminal = draw(&session.app);
    assert_eq!(mono.text(), terminal.text(), "{keys}");
    assert_eq!(mono.cursor, terminal.cursor, "{keys}");
    let (width, height) = size;
    format!(
        "{width}x{height}\n{}\n",
        beside(&mono.with_styles(), &terminal.with_styles())
    )
}

/// The lines and styles of one colour, and where the other's styles differ, those under them.
fn beside(mono: &str, terminal: &str) -> String {
    let (mut out, mut others) = (String::new(), terminal.lines().peekable());
    for line in mono.lines() {
        let is_style = line.starts_with("    ~ ");
        if !is_style && let Some(style) = others.next_if(|other| other.starts_with("    ~ ")) {
            out.extend(["    : ", &style[6..], "\n"]);
        }
        out.extend([line, "\n"]);
        let other = others.peek().copied().unwrap_or_default();
        if is_style == other.starts_with("    ~ ") {
            others.next();
            if is_style && other != line {
                out.extend(["    : ", &other[6..], "\n"]);
            }
        }
    }
    out
}

#[test]
fn nothing_received_yet_shows_the_links() {
    let session = Session::open(0, (80, 24));
    assert_eq!(session.app.place().screen, Screen::Connections);
    insta::assert_snapshot!("first_start", draw(&session.app).with_styles());
}

#[test]
fn in_one_colour_what_must_be_told_apart_still_is() {
    let mut session = Session::open(60, (120, 40));
    session.fake.grow(0);
    session.keys("2jj");
    let looks = |session: &Session, y: u16| {
        let cells = draw(&session.app).cells;
        let row = |x: u16| (cells[(x, y)].modifier, cells[(x, y)].symbol().to_owned());
        (0..24).map(row).collect::<Vec<_>>()
    };
    let modifiers = |session: &Session, y: u16| {
        looks(session, y)
            .into_iter()
            .map(|(modifier, _)| modifier)
            .collect::<Vec<_>>()
    };
    // Selected, and selected while its record has the keys.
    assert_ne!(modifiers(&session, 5), modifiers(&session, 4));
    let selected = modifiers(&session, 5);
    session.keys("\n");
    let held = looks(&session, 5);
    assert_eq!(held[0].1, ">");
    assert_ne!(modifiers(&session, 5), selected);
    assert_ne!(modifiers(&session, 5), modifiers(&session, 3));
    // New, failed and test say so in words.
    let mut session = Session::open(500, (120, 40));
    session.keys("2GG");
    session.fake.grow(3);
    session.keys("g");
    session.code(KeyCode::PageDown);
    session.code(KeyCode::PageDown);
    session.fake.grow(3);
    session.tell(Msg::Changed);
    assert!(session.text().contains("3 new"), "{}", session.text());
    assert!(session.text().contains("TEST"));
    session.keys("7");
    assert!(session.text().contains("turned away"));
}

#[test]
fn a_terminal_that_is_too_small_says_so_and_still_quits() {
    let mut session = Session::open(60, (30, 5));
    assert_eq!(session.text().trim_end(), "needs 40x8, is 30x5");
    session.app.receiver.ours = false;
    session.keys("q");
    assert!(
        session
            .outside
            .iter()
            .any(|effect| matches!(effect, Effect::Leave(Leave::Quit)))
    );
}

#[test]
fn test_rows_say_so_in_a_word() {
    let mut session = Session::open(60, (40, 10));
    session.keys("2");
    assert!(session.text().contains("TEST"));
}

#[test]
fn data_drives_neither_terminal_nor_eye() {
    for keys in ["2", "3", "7\n", "7\n\t", "2\n\t", "2F"] {
        let mut session = Session::open(60, (120, 40));
        session.keys(keys);
        let frame = render(&session.app, 120, 40);
        for cell in frame.content() {
            assert!(!cell.symbol().chars().any(char::is_control), "{keys}");
            assert!(!cell.symbol().contains('\u{202e}'), "{keys}");
        }
    }
    let mut session = Session::open(60, (120, 40));
    session.keys("7\n");
    assert!(session.text().contains("wrong signature \\x1b[2J"));
}

#[test]
fn only_the_publishers_words_are_on_screen() {
    let never = [
        "facet",
        "drill",
        "watermark",
        "fold",
        "projection",
        "keyset",
        "salt",
    ];
    for keys in [
        "1", "2\n", "3", "4", "5", "6", "6c", "7\n", "7\n\t", "9", "2F", "2?", "q", "$",
    ] {
        let mut session = Session::open(60, (250, 60));
        session.keys(keys);
        let shown = session.text().to_lowercase();
        for word in never {
            assert!(!shown.contains(word), "{word:?} after {keys:?}");
        }
    }
    for action in actions::all() {
        assert!(!never.iter().any(|word| action.help.contains(word)));
    }
}
