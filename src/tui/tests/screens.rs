//! What each screen looks like.

use ratatui::buffer::Buffer;

use crate::tui::actions;
use crate::tui::app::message::Effect;
use crate::tui::place::Screen;

use crate::tui::tests::{Session, lines};
use crate::tui::{Leave, render};

/// A frame for a snapshot: many empty lines in a row are one that counts them.
pub(super) fn frame_text(frame: &Buffer) -> String {
    let mut out = String::new();
    let mut empty = 0;
    for line in lines(frame).iter().chain([&"end of frame".to_owned()]) {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if empty > 0 {
            out.extend(["(", &empty.to_string(), " empty)\n"]);
            empty = 0;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

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
        ("event_opened", "2jj\n"),
        ("delivery_raw", "7\n\t"),
        ("picker", "2Fj "),
        ("keys", "2?"),
        ("filter_wrong", "2/provder:zotlo"),
        ("nothing_matches", "2/nothing\n"),
        ("leaving", "q"),
    ];
    for (name, keys) in screens {
        let mut shown = String::new();
        for (width, height) in SIZES {
            let mut session = Session::open(60, (width, height));
            session.keys(keys);
            let frame = frame_text(&render(&session.app, width, height));
            shown.extend([format!("{width}x{height}\n{frame}\n")]);
        }
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn nothing_received_yet_shows_the_links() {
    let session = Session::open(0, (80, 24));
    assert_eq!(session.app.place().screen, Screen::Connections);
    insta::assert_snapshot!("first_start", frame_text(&render(&session.app, 80, 24)));
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
