//! Searching without filtering, what hides all rows, what takes long.

use crate::domain::time::Timestamp;
use crate::store::query::Progress;
use crate::tui::app::message::{Effect, Msg};
use crate::tui::app::update;
use crate::tui::tests::Session;
use crate::tui::tests::ledger::now;

#[test]
fn a_search_walks_the_rows_that_fit_and_goes_round_with_a_word() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2n");
    assert!(session.text().contains("nothing is sought yet"));
    session.keys("s77\n");
    assert_eq!(session.selected(), 99_977);
    assert_eq!(session.app.place().query, "", "nothing is filtered");
    session.keys("nn");
    assert_eq!(session.selected(), 99_777);
    session.keys("N");
    assert_eq!(session.selected(), 99_877);
    session.keys("NN");
    assert_eq!(session.selected(), 99_577, "round the end");
    let shown = session.text();
    assert!(shown.contains("over the end of the list"), "{shown}");
    session.keys("snosuch\n");
    let shown = session.text();
    assert!(shown.contains("no row of this list fits nosuch"), "{shown}");
    assert_eq!(session.selected(), 99_577);
    session.keys("s provder:x\n");
    let shown = session.text();
    assert!(shown.contains("can be filtered by no key"), "{shown}");
}

#[test]
fn which_of_the_rows_that_fit_is_selected_is_said() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2s77\n");
    assert!(
        session.text().contains("match 1 of 5 "),
        "{}",
        session.text()
    );
    session.keys("nn");
    assert!(
        session.text().contains("match 3 of 5 "),
        "{}",
        session.text()
    );
    session.tell(Msg::Resize(40, 10));
    assert!(session.text().contains("  3 of 5 "), "{}", session.text());
    session.tell(Msg::Resize(80, 24));
    // Another row is none of them.
    session.keys("j");
    assert!(!session.text().contains("match"), "{}", session.text());
    session.keys("N");
    assert!(
        session.text().contains("match 3 of 5 "),
        "{}",
        session.text()
    );
}

#[test]
fn what_is_sought_stands_out() {
    use ratatui::style::Modifier;
    let mut session = Session::open(60, (120, 24));
    session.keys("2slovelace\n");
    let frame = crate::tui::render(&session.app, 120, 24);
    let marked: String = frame
        .content()
        .iter()
        .filter(|cell| cell.modifier.contains(Modifier::UNDERLINED))
        .map(ratatui::buffer::Cell::symbol)
        .collect();
    assert!(marked.contains("Ada Lovelace"), "{marked}");
    assert!(!marked.contains("Zoë"), "{marked}");
}

#[test]
fn where_all_that_matches_is_newer_than_the_place_the_nearest_is_shown() {
    for list in ["2", "3", "4", "7"] {
        let mut session = Session::open(200, (100, 24));
        session.keys(&format!("{list}G"));
        let oldest = session.app.window.row().unwrap().key.clone();
        session.keys("/newest\n");
        let shown = session.text();
        assert!(!shown.contains("nothing matches"), "{shown}");
        assert_eq!(session.app.window.rows.len(), 3, "{shown}");
        let selected = session.app.window.row().unwrap();
        assert!(selected.key > oldest && session.app.window.selected == 2);
    }
}

#[test]
fn a_long_filter_is_cut_and_the_count_behind_it_is_not() {
    for width in [40, 60, 80, 120] {
        let mut session = Session::open(200, (width, 24));
        session.keys("4/is:renewing is:priced -is:test currency:EUR provider:zotlo\n");
        let shown = session.text();
        let line = shown.lines().nth(1).unwrap();
        assert!(
            line.contains(" is:") && line.contains("  >10,000"),
            "{line}"
        );
    }
}

#[test]
fn the_term_that_hides_everything_is_named_and_x_drops_it() {
    let mut session = Session::open(60, (100, 24));
    session.keys("2/provider:zotlo nothing\n");
    let shown = session.text();
    assert!(
        shown.contains("nothing matches provider:zotlo nothing"),
        "{shown}"
    );
    assert!(
        shown.contains("Without nothing there are rows: x drops it"),
        "{shown}"
    );
    session.keys("x");
    assert_eq!(session.app.place().query, "provider:zotlo");
    session.keys("/nothing \"nothing at all\"\n");
    let shown = session.text();
    assert!(shown.contains("x drops the filter"), "{shown}");
    session.keys("x");
    assert_eq!(session.app.place().query, "");
}

#[test]
fn rows_that_take_long_say_how_far_they_are() {
    let mut session = Session::open(60, (100, 24));
    session.keys("2");
    // An answer that does not come.
    for c in "/zotlo\n".chars() {
        let key = match c {
            '\n' => crate::tui::actions::key::Key::plain(crossterm::event::KeyCode::Enter),
            c => crate::tui::actions::key::Key::char(c),
        };
        update(&mut session.app, Msg::Key(key));
    }
    assert!(session.app.is_waiting());
    assert!(session.text().contains("still looking …"));
    session.tell(Msg::Looking(Progress {
        rows: 1_240_000,
        at: Timestamp::parse("2026-03-03T05:00:00Z"),
        percent: Some(23),
    }));
    let shown = session.text();
    let wanted = "still looking … 1,240,000 rows, at 3 Mar 08:00, 23 %";
    assert!(shown.contains(wanted), "{shown}");
    // Keys work meanwhile: Esc alone has the rows back.
    session.keys("\u{1b}");
    assert!(!session.app.is_waiting());
    assert_eq!(session.app.place().query, "");
    assert!(!session.outside.is_empty());
    session.tell(Msg::Looking(Progress {
        rows: 5,
        at: Some(now()),
        percent: None,
    }));
    assert!(!session.text().contains("looking"), "rows are there again");
}

#[test]
fn a_file_is_asked_for_followed_and_stopped() {
    use std::sync::atomic::Ordering;

    use crate::tui::command::FileFormat;
    use crate::tui::export::Written;

    let mut session = Session::open(60, (100, 24));
    session.keys("2/provider:zotlo\nE");
    let shown = session.text();
    assert!(shown.contains("All events with provider:zotlo"), "{shown}");
    let command = "subledger events --limit 0 --format csv -- provider:zotlo";
    assert!(shown.contains(command), "{shown}");
    session.keys("jj\n");
    let job = session
        .outside
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::Export(job) => Some(job.clone()),
            _ => None,
        });
    let job = job.unwrap();
    assert_eq!(job.format, FileFormat::Json);
    session.tell(Msg::Exporting(12_000));
    assert!(
        session
            .text()
            .contains("writing a file: 12,000 rows, E stops")
    );
    session.keys("E");
    assert!(job.stop.load(Ordering::Relaxed));
    session.tell(Msg::Exported(Err("stopped: no file was left".to_owned())));
    session.keys("P:export csv\n");
    assert!(session.text().contains("personal data is masked"));
    session.keys("P:export csv\n");
    session.tell(Msg::Exported(Ok(Written {
        rows: 31_204,
        path: "/home/ada/subledger-events-2026-11-20.csv".to_owned(),
    })));
    let shown = session.text();
    let wanted = "31,204 rows in /home/ada/subledger-events-2026-11-20.csv";
    assert!(shown.contains(wanted), "{shown}");
    assert!(!shown.contains("writing a file"), "{shown}");
    session.tell(Msg::Exported(Ok(Written {
        rows: 1,
        path: "/home/ada/one.csv".to_owned(),
    })));
    assert!(session.text().contains("1 row in /home/ada/one.csv"));
}

#[test]
fn the_question_how_to_write_shows_a_long_command_whole_and_always_the_formats() {
    let filter =
        "provider:zotlo -type:engagement.paywall since:2026-01-01 amount:>=100 currency:EUR";
    for size in [(80, 24), (40, 10)] {
        let mut session = Session::open(60, size);
        session.keys(&format!("2/{filter}\nE"));
        let shown = session.text();
        for format in ["csv ", "tsv ", "json ", "ndjson ", "md "] {
            let found = shown
                .lines()
                .any(|line| line.trim_start().starts_with(format));
            assert!(found, "{format}: {shown}");
        }
        let together: String = shown.split_whitespace().collect();
        let command = format!("subledgerevents--limit0--formatcsv--'{filter}'").replace(' ', "");
        assert_eq!(together.contains(&command), size.0 == 80, "{shown}");
    }
}
