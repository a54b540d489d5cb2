//! The daily review: layout, selection, periods, what figures mean.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;

use crate::domain::query::Vocabulary;
use crate::store::task::Task;
use crate::store::today::{PERIODS, Rule};
use crate::tui::app::Overlay;
use crate::tui::app::message::{Effect, Msg};
use crate::tui::facts::{Period, TodayLine};
use crate::tui::place::Screen;
use crate::tui::render;
use crate::tui::tests::ledger::now;
use crate::tui::tests::reviews::{days, morning, shown};
use crate::tui::tests::screens::SIZES;
use crate::tui::tests::{Session, lines};
use crate::tui::today::about;
use crate::tui::today::rows::{rows, step};
use crate::tui::today::terms::Term;

/// A frame for a snapshot: many empty lines in a row are one that counts them.
fn frame_text(frame: &Buffer) -> String {
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

/// The screen on this day.
fn on(review: &crate::store::today::Today, size: (u16, u16)) -> Session {
    let mut session = Session::open(60, size);
    session.fake.today = review.clone();
    session.tell(Msg::Changed);
    session
}

#[test]
fn every_kind_of_day_looks_intended() {
    for (name, review) in days() {
        let session = on(&review, (80, 24));
        let shown = frame_text(&render(&session.app, 80, 24));
        insta::assert_snapshot!(format!("day_{name}"), shown);
    }
}

#[test]
fn ten_currencies_and_a_sheet_at_four_sizes() {
    let (_, review) = days()
        .into_iter()
        .find(|(name, _)| *name == "ten_currencies")
        .unwrap();
    let mut shown = String::new();
    for (width, height) in SIZES {
        let mut session = on(&review, (width, height));
        session.keys("jjjjjl");
        let frame = frame_text(&render(&session.app, width, height));
        shown.extend([format!("{width}x{height}\n{frame}\n")]);
        session.keys("i");
        let frame = frame_text(&render(&session.app, width, height));
        shown.extend([format!("{width}x{height}, i\n{frame}\n")]);
    }
    insta::assert_snapshot!("ten_currencies_at_four_sizes", shown);
}

#[test]
fn every_figure_is_reached_by_keys_and_has_the_cursor() {
    for (name, review) in days() {
        for size in SIZES {
            let mut session = on(&review, size);
            let today = session.app.today.clone().unwrap();
            let stops = today.stops().count();
            session.keys("g");
            let mut seen = vec![session.app.place().line];
            if stops == 0 {
                continue;
            }
            loop {
                session.code(KeyCode::Right);
                let here = session.app.place().line;
                if seen.last() == Some(&here) {
                    break;
                }
                seen.push(here);
            }
            let narrow: usize = today
                .lines
                .iter()
                .map(|line| match line {
                    TodayLine::Figure(figure) => figure.split.len(),
                    _ => 0,
                })
                .sum();
            assert!(
                seen.len() == stops || seen.len() + narrow == stops,
                "{name} {size:?}: {seen:?} of {stops}"
            );
            // Walking by lines comes to the end and back to the beginning.
            for _ in 0..100 {
                session.keys("k");
            }
            let top = session.app.place().line;
            for _ in 0..100 {
                session.keys("j");
            }
            assert!(
                stops < 2 || session.app.place().line > top,
                "{name} {size:?}"
            );
        }
    }
}

#[test]
fn a_figure_opens_the_list_that_it_counts() {
    let mut session = Session::open(60, (80, 24));
    assert_eq!(session.app.place().screen, Screen::Today);
    let stops: Vec<_> = session
        .app
        .today
        .as_ref()
        .unwrap()
        .stops()
        .cloned()
        .collect();
    for (at, stop) in stops.iter().enumerate() {
        session.app.history.here_mut().line = at;
        session.keys("\n");
        let Some(door) = &stop.door else {
            assert_eq!(session.app.place().screen, Screen::Today);
            continue;
        };
        assert_eq!(session.app.place().screen, Screen::List(door.list));
        assert_eq!(session.app.place().query, door.query);
        session.keys("\u{1b}");
        assert_eq!(
            (session.app.place().screen, session.app.place().line),
            (Screen::Today, at)
        );
    }
    assert!(stops.len() > 20);
}

#[test]
fn what_is_selected_stays_selected_when_lines_before_it_go() {
    let mut session = Session::open(60, (80, 24));
    session.keys("jjj");
    let title = |session: &Session| {
        let today = session.app.today.as_ref().unwrap();
        today.stop(session.app.place().line).unwrap().title.clone()
    };
    assert_eq!(title(&session), "New subscriptions");
    session.fake.today.needs_you.clear();
    session.tell(Msg::Changed);
    assert_eq!(title(&session), "New subscriptions");
}

#[test]
fn a_period_is_chosen_from_all_and_asked_for_by_its_word() {
    let mut session = Session::open(60, (80, 24));
    let asked = |session: &Session| {
        session
            .outside
            .iter()
            .rev()
            .find_map(|effect| match effect {
                Effect::Today(period) => Some(period.0.clone()),
                _ => None,
            })
    };
    session.keys("p");
    for (word, help) in PERIODS {
        let shown = session.text();
        assert!(shown.contains(word) && shown.contains(help), "{shown}");
    }
    session.keys("jj\n");
    assert_eq!(asked(&session).unwrap(), "yesterday");
    session.keys("pp\n");
    assert_eq!(asked(&session).unwrap(), "7d", "p again goes on");
    session.keys("pj\u{1b}");
    assert_eq!(session.app.period, Period("7d".to_owned()), "Esc keeps it");
    session.keys("p");
    for _ in 0..20 {
        session.keys("k");
    }
    session.keys("\n");
    assert_eq!(session.app.period, Period::default());
}

#[test]
fn an_answer_for_another_period_is_not_shown() {
    let mut session = Session::open(60, (80, 24));
    let other = Period("28d".to_owned());
    let mut today = shown(&morning(), &other);
    today.heading = "another".to_owned();
    session.tell(Msg::Today(other, today));
    assert!(!session.text().contains("another"));
}

#[test]
fn reviewed_and_its_undoing_are_tasks_of_the_newest_delivery_seen() {
    let mut session = Session::open(60, (80, 24));
    session.keys("Ru");
    assert!(session.text().contains("nothing was reviewed yet"));
    session.tell(Msg::Words(Vocabulary::default(), Some((100_000, now()))));
    session.keys("u");
    assert!(
        session.text().contains("Take back the review of "),
        "{}",
        session.text()
    );
    session.keys("y");
    let tasks: Vec<&Task> = session
        .outside
        .iter()
        .filter_map(|effect| match effect {
            Effect::Task(task) => Some(task),
            _ => None,
        })
        .collect();
    assert!(matches!(
        tasks[..],
        [Task::MarkReviewed { seq: 100_000 }, Task::UndoReview]
    ));
}

#[test]
fn what_a_figure_means_is_read_to_its_end_on_the_smallest_screen() {
    let mut session = Session::open(60, (40, 10));
    session.keys("jji");
    let first = session.text();
    assert!(first.contains("… j: on"), "{first}");
    session.keys(&"j".repeat(40));
    let last = session.text();
    let today = session.app.today.as_ref().unwrap();
    let whole = about::sheet(today.stop(session.app.place().line).unwrap(), 40);
    assert!(last.contains(&whole.last().unwrap().0), "{last}");
    assert!(!last.contains("… j: on"), "{last}");
    // No key was lost beyond the end.
    session.keys("k");
    assert_ne!(session.text(), last);
}

#[test]
fn no_key_is_dead_among_the_periods() {
    let choosing = || {
        let mut session = Session::open(60, (80, 24));
        session.keys("p");
        session
    };
    let period = |session: &Session| session.app.period.0.clone();
    for (keys, word) in [
        ("4", "7d"),
        ("j\n", "today"),
        ("G\n", "last-month"),
        ("Gk\n", "month"),
        ("Gg\n", "last-review"),
        ("q", "last-review"),
    ] {
        let mut session = choosing();
        session.keys(keys);
        assert_eq!(
            (period(&session).as_str(), &session.app.overlay),
            (word, &None),
            "{keys}"
        );
        let left = session
            .outside
            .iter()
            .any(|effect| matches!(effect, Effect::Leave(_)));
        assert!(!left, "{keys}");
    }
    let mut session = choosing();
    session.keys("?");
    assert!(matches!(session.app.overlay, Some(Overlay::Help(_))));
    let mut session = choosing();
    session.keys("9");
    assert_eq!(session.app.place().screen, Screen::Connections);
    // What writes is not done from there.
    let mut session = choosing();
    session.keys("R");
    assert!(session.tasks().is_empty());
    assert!(session.app.notice.is_some() && session.app.overlay.is_some());
}

#[test]
fn every_figure_is_explained_in_the_publishers_words() {
    let never = [
        "facet",
        "drill",
        "watermark",
        "fold",
        "projection",
        "keyset",
        "salt",
        " ring",
    ];
    let mut terms: Vec<Term> = Term::FIGURES.to_vec();
    terms.extend(Rule::ALL.iter().map(|rule| Term::Need(*rule)));
    for term in terms {
        let says = term.says();
        assert!(says.len() > 30 && says.ends_with('.'), "{term:?}");
        for word in never {
            assert!(!says.to_lowercase().contains(word), "{term:?}: {word}");
        }
    }
    let mut session = Session::open(60, (80, 24));
    session.keys("jji");
    let shown = session.text();
    for part in [
        "New readers: 41",
        "A week before 35: +6, +17 %, up.",
        "A usual day has 38: +3, +8 %, up.",
        "Conscent 28, Zotlo 13",
        "Enter opens Users: is:registered is:new -is:test",
        "somebody who registered",
        "the same hours seven days earlier",
    ] {
        let one_line = shown.replace("\n ", " ");
        assert!(one_line.contains(part), "{part:?} in {shown}");
    }
    session.keys("i");
    assert!(session.app.overlay.is_none());
}

#[test]
fn rows_keep_within_any_width_and_lose_no_figure() {
    for (name, review) in days() {
        let today = shown(&review, &Period::default());
        for columns in 40..260 {
            let rows = rows(&today, columns, true);
            for row in &rows {
                let mut end = 0;
                for piece in &row.pieces {
                    assert!(piece.x >= end, "{name} {columns}: {row:?}");
                    end = piece.x + piece.text.chars().count();
                }
                assert!(end <= columns, "{name} {columns}: {:?}", row.text());
            }
            for (at, stop) in today.stops().enumerate() {
                let is_shown = rows
                    .iter()
                    .any(|row| row.pieces.iter().any(|piece| piece.stop == Some(at)));
                assert!(
                    is_shown || stop.title.contains(", "),
                    "{name} {columns} {stop:?}"
                );
            }
            assert_eq!(step(&rows, 0, -1), step(&rows, step(&rows, 0, -1), -1));
        }
    }
}
