//! Accounts, what is known of each, the links.

use crate::domain::page::List;
use crate::tui::actions::key::Key;
use crate::tui::app::connections::Stop;
use crate::tui::app::message::{Effect, Msg};
use crate::tui::app::update;
use crate::tui::facts::Fact;
use crate::tui::headless::draw;
use crate::tui::place::Screen;
use crate::tui::tests::Session;
use crate::tui::tests::ledger::{connections, links};
use crate::tui::theme::Meaning;

fn copied(session: &Session) -> Vec<String> {
    let effects = session.outside.iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Copy(text) => Some(text.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_link_is_copied_whole() {
    let mut session = Session::open(0, (80, 24));
    session.keys("jy");
    assert_eq!(copied(&session), [links()[1].url.clone()]);
    assert!(
        session
            .text()
            .contains("bytes, handed to the terminal's clipboard")
    );
}

#[test]
fn an_account_says_what_is_wrong_what_to_do_and_where() {
    let mut session = Session::open(60, (80, 24));
    session.keys("9");
    let shown = session.text();
    assert!(shown.contains("turned away 2 days ago"), "{shown}");
    assert!(
        shown.contains("its secret link is none of yours"),
        "{shown}"
    );
    assert!(
        shown.contains("Receiver     http://127.0.0.1:8484 (process 7)"),
        "{shown}"
    );
    session.keys("\n");
    insta::assert_snapshot!("account", draw(&session.app).with_styles());
}

#[test]
fn every_line_of_an_account_opens_what_it_speaks_of() {
    let mut session = Session::open(60, (80, 24));
    session.keys("9\n");
    let Screen::Account(account) = session.app.place().screen else {
        panic!("no account is open");
    };
    let stops = session.app.stops(account).len();
    assert_eq!(stops, 5, "three facts, one key to add, one link");
    for line in 0..stops {
        let mut session = Session::open(60, (80, 24));
        session.keys("9\n");
        session.keys(&"j".repeat(line));
        let door = match session.app.stops(account)[line] {
            Stop::Fact(fact) => fact.door.clone().map(|door| door.query),
            Stop::Add(_) => None,
            Stop::Link(_) => Some("provider:zotlo account:main hook:events".to_owned()),
        };
        session.keys("\n");
        match door {
            Some(query) => {
                assert_eq!(session.app.place().screen, Screen::List(List::Deliveries));
                assert_eq!(session.app.place().query, query);
                session.keys("\u{1b}");
            }
            None => assert!(session.app.notice.is_some(), "line {line} says why"),
        }
        assert_eq!(session.app.place().screen, Screen::Account(account));
        assert_eq!(session.app.place().line, line);
    }
    // What is to be added is copied as the command that asks for it.
    session.keys("jjjy");
    assert_eq!(copied(&session), ["subledger connect zotlo"]);
}

#[test]
fn enter_is_offered_where_a_list_opens_and_nowhere_else() {
    let mut session = Session::open(60, (80, 24));
    session.keys("9");
    assert!(session.text().contains("Enter open"), "accounts open");
    session.keys("\n");
    let Screen::Account(account) = session.app.place().screen else {
        panic!("no account is open");
    };
    for line in 0..session.app.stops(account).len() {
        let opens = match session.app.stops(account)[line] {
            Stop::Fact(fact) => fact.door.is_some(),
            Stop::Add(_) => false,
            Stop::Link(_) => true,
        };
        let shown = session.text();
        assert_eq!(shown.contains("Enter open"), opens, "{line}: {shown}");
        session.keys("j");
    }
}

#[test]
fn what_is_selected_stays_selected_while_lines_come_and_go() {
    let mut session = Session::open(60, (80, 24));
    session.keys("9\njjjj");
    assert!(session.app.card().is_some());
    let mut fewer = connections();
    fewer[0].facts.truncate(1);
    session.tell(Msg::Connections(fewer));
    assert!(session.app.card().is_some(), "the link is still the one");
    assert_eq!(session.app.place().line, 2);
}

#[test]
fn every_account_and_line_is_in_sight_when_it_is_selected_on_the_smallest_screen() {
    for size in [(40, 10), (40, 8)] {
        let mut session = Session::open(60, size);
        session.keys("9");
        let accounts = session.app.accounts();
        assert_eq!(
            accounts.len(),
            3,
            "two of the settings, one that sent something"
        );
        for account in &accounts {
            let shown = session.text();
            assert!(shown.contains(&account.name), "{}:\n{shown}", account.name);
            session.keys("j");
        }
        session.keys("g\n");
        for stop in 0..5 {
            let frame = draw(&session.app);
            assert!(frame.cursor.is_some(), "line {stop} is not in sight");
            session.keys("j");
        }
    }
}

#[test]
fn an_account_that_lets_everything_in_says_so_in_red_and_in_words() {
    let mut session = Session::open(60, (80, 24));
    let mut open = links();
    open[0].unguarded = true;
    session.tell(Msg::Links(Ok(open)));
    session.keys("9");
    let shown = session.text();
    assert!(
        shown.contains("takes in everything, from whoever sends it"),
        "{shown}"
    );
    session.keys("\n");
    assert!(session.text().contains("auth = \"none\""));
}

#[test]
fn a_made_up_ledger_has_accounts_and_no_links() {
    let mut session = Session::open(60, (80, 24));
    session.app.demo = true;
    session.app.links = Vec::new();
    session.keys("9");
    let shown = session.text();
    assert!(shown.contains("A made-up ledger has no links"), "{shown}");
    assert!(shown.contains("Klustr weekly"), "{shown}");
    session.keys("y");
    assert!(session.text().contains("there are no links here"));
    session.keys("\n\n");
    assert_eq!(session.app.place().query, "provider:zotlo account:main");
}

#[test]
fn the_account_where_something_is_the_matter_is_selected_first() {
    let mut session = Session::open(60, (80, 24));
    let mut known = connections();
    known.remove(0);
    known[0].account = "main".to_owned();
    known[0].facts.clear();
    known[0]
        .facts
        .push(Fact::new("quiet", "for 3 h", Meaning::Warning));
    let told = Msg::Connections(known);
    update(&mut session.app, Msg::Key(Key::char('9')));
    session.tell(told.clone());
    assert_eq!(session.app.place().line, 1, "Klustr, the second");
    // Once it is chosen by hand it stays.
    session.keys("k");
    session.tell(told);
    assert_eq!(session.app.place().line, 0);
}

#[test]
fn an_account_that_nothing_came_from_opens_on_its_link() {
    let mut session = Session::open(0, (80, 24));
    session.keys("j\n");
    assert_eq!(session.app.card(), Some(&links()[1]));
    assert!(session.text().contains("subledger send klustr events"));
}

#[test]
fn without_a_provider_it_says_what_to_do() {
    let mut session = Session::open(0, (80, 24));
    session.tell(Msg::Links(Ok(Vec::new())));
    session.tell(Msg::Connections(Vec::new()));
    assert!(session.text().contains("The settings hold no provider"));
    session.keys("\n");
    assert_eq!(session.app.place().screen, Screen::Connections);
    assert!(session.text().contains("no account is known yet"));
}
