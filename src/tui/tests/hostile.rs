//! Text that terminals act on, in every field of every list: nothing of it reaches the terminal as control.

use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::domain::page::{Cell, Column, List, Shape};
use crate::store::query::columns;
use crate::tui::app::App;
use crate::tui::exact::Exact;
use crate::tui::headless::draw;
use crate::tui::tests::Session;
use crate::tui::theme::{Depth, Theme};
use crate::tui::view;

/// The row and column that make up this hold the flood of marks: one in each row on screen is enough.
const FLOODED: usize = 9;

/// What each of these would do: clear, set a title, copy, link, ask, change the cursor, draw from right to left, hide.
fn corpus() -> Vec<String> {
    let mut corpus: Vec<String> = [
        "\u{1b}[2J\u{1b}[1;1Hgone",
        "\u{1b}]0;title\u{7}",
        "\u{1b}]2;title\u{1b}\\",
        "\u{1b}]8;;https://example.org\u{1b}\\link\u{1b}]8;;\u{1b}\\",
        "\u{1b}]52;c;ZXZpbA==\u{7}",
        "\u{1b}P$q q\u{1b}\\",
        "\u{1b}_Ga=T\u{1b}\\",
        "\u{1b}^private\u{1b}\\",
        "\u{1b}[5 q\u{1b}[?1049l\u{1b}[?2004h\u{1b}c",
        "\u{9b}31m\u{9d}0;title\u{9c}\u{90}q\u{9c}\u{9f}x\u{9c}",
        "a\u{202e}gnp.exe\u{202c}\u{2066}b\u{2069}\u{200f}",
        "ze\u{200b}ro\u{200c}\u{feff}\u{2060}wi\u{ad}dth",
        "\r\n\u{8}\u{7f}\u{0}\u{b}\u{c}\u{e}\u{f}\u{85}\u{2028}",
        "\u{e000}\u{e0041}\u{f0000}",
    ]
    .map(str::to_owned)
    .to_vec();
    corpus.insert(0, format!("o{}", "\u{301}".repeat(10_000)));
    corpus
}

fn hostile(corpus: &[String], column: &Column, turn: usize, before: &Cell) -> Cell {
    match column.shape {
        Shape::Text | Shape::Word | Shape::Json | Shape::Time | Shape::Day => {
            let at = if turn == FLOODED {
                0
            } else {
                1 + turn % (corpus.len() - 1)
            };
            Cell::Text(corpus[at].clone())
        }
        Shape::Number | Shape::Minor | Shape::Flag | Shape::Real | Shape::Body => before.clone(),
    }
}

/// A ledger whose every text is hostile; in each row and column another.
fn session(size: (u16, u16)) -> Session {
    let mut session = Session::open(40, size);
    let corpus = corpus();
    for list in List::ALL {
        for (y, row) in session
            .fake
            .rows
            .get_mut(list)
            .unwrap()
            .iter_mut()
            .enumerate()
        {
            for (x, cell) in row.cells.iter_mut().enumerate() {
                *cell = hostile(&corpus, &columns(*list)[x], x + y, cell);
            }
        }
    }
    session.fake.body = serde_json::to_vec(&corpus).unwrap();
    session
}

/// The bytes that a terminal is sent for a whole frame of `app`.
fn bytes(app: &App) -> Vec<u8> {
    let mut sent = Vec::new();
    let (width, height) = app.size;
    let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
    let mut terminal =
        Terminal::with_options(Exact::new(&mut sent), TerminalOptions { viewport }).unwrap();
    terminal.draw(|frame| view::draw(frame, app)).unwrap();
    drop(terminal);
    sent
}

/// The first thing in `sent` that is neither text nor a colour, a place or the cursor shown or hidden.
fn acting(sent: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(sent).unwrap();
    let mut rest = text;
    while let Some(at) = rest.find(char::is_control) {
        let sequence = rest[at..].strip_prefix("\u{1b}[");
        let end = sequence.and_then(|rest| rest.find(|c: char| c.is_ascii_alphabetic()));
        let (Some(sequence), Some(end)) = (sequence, end) else {
            return Some(rest[at..].chars().take(12).collect());
        };
        let (params, last) = (&sequence[..end], &sequence[end..=end]);
        let plain = params.bytes().all(|b| b.is_ascii_digit() || b == b';');
        match last {
            "m" | "H" if plain => {}
            "h" | "l" if params == "?25" => {}
            _ => return Some(format!("ESC [{params}{last}")),
        }
        rest = &sequence[end + 1..];
    }
    None
}

const SCREENS: [&str; 22] = [
    "1", "2", "2\n", "2\n\t", "3", "3\n", "4", "4\n", "5", "5\n", "6", "6\n", "6c", "6c\n", "7",
    "7\n", "7\n\t", "7\n\tp", "$", "$\n", "9", "2F",
];

#[test]
fn no_text_of_a_ledger_acts_on_the_terminal() {
    for size in [(80, 24), (250, 60)] {
        for keys in SCREENS {
            let mut session = session(size);
            session.keys(keys);
            for name in ["mono", "terminal", "dark"] {
                session.app.theme = Theme::named(name, Depth::True);
                let sent = bytes(&session.app);
                assert_eq!(acting(&sent), None, "{keys:?} in {name} at {size:?}");
            }
        }
    }
}

#[test]
fn no_text_of_a_ledger_acts_in_a_picture() {
    for keys in SCREENS {
        for masked in [false, true] {
            let mut session = session((120, 40));
            session.app.masked = masked;
            session.keys(keys);
            let picture = draw(&session.app);
            let text = picture.text();
            let svg = picture.svg("hostile");
            let is_control = |c: char| c.is_control() && c != '\n';
            assert!(
                !text.contains(is_control) && !svg.contains(is_control),
                "{keys:?}"
            );
            for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{e000}'] {
                assert!(!text.contains(hidden) && !svg.contains(hidden), "{keys:?}");
            }
            let ansi: String = picture.ansi().split('\n').collect();
            assert_eq!(acting(ansi.as_bytes()), None, "{keys:?}");
        }
    }
}

#[test]
fn what_would_act_is_told_from_what_may() {
    assert_eq!(acting(b"\x1b[1;31mred\x1b[0m\x1b[3;4H\x1b[?25l"), None);
    for text in &corpus()[1..10] {
        assert!(acting(text.as_bytes()).is_some(), "{text:?}");
    }
}
