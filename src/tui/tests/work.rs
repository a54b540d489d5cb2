//! What writes into the ledger: it asks, and does no more than was asked.

use std::collections::HashSet;

use crossterm::event::KeyCode;

use crate::domain::page::{List, Order};
use crate::domain::query::Vocabulary;
use crate::store::query::View;
use crate::store::task::{Progress, Task, TaskReport, Which};
use crate::tui::actions::{self, Act, Danger};
use crate::tui::app::message::{Effect, Msg};
use crate::tui::app::{Overlay, update};
use crate::tui::tests::Session;
use crate::tui::tests::ledger::now;

/// On Deliveries, with a webhook of this outcome selected.
fn on_a(outcome: &str, size: (u16, u16)) -> Session {
    let mut session = Session::open(60, size);
    session.keys("7");
    let place = ["stored", "duplicate", "quarantined", "rejected"]
        .iter()
        .position(|one| *one == outcome)
        .unwrap();
    while session.selected().unsigned_abs() % 4 != place as u64 {
        session.keys("j");
    }
    session
}

fn with_a_view(mut session: Session) -> Session {
    session.tell(Msg::Views(vec![View {
        name: "late".to_owned(),
        list: List::Events,
        query: "type:cancel".to_owned(),
        order: Order::default(),
        pin: None,
    }]));
    session
}

#[test]
fn every_action_that_writes_says_whether_it_asks_or_can_be_undone() {
    let outcomes = ["stored", "duplicate", "quarantined", "rejected"];
    let mut states: Vec<Session> = outcomes.map(|one| on_a(one, (80, 24))).into();
    states.push(Session::open(60, (80, 24)));
    for keys in [
        "2", "3", "4", "6", "7\n", "2\n", "3\n", "9", "9\n", "2v", "2F", "1p",
    ] {
        let mut session = with_a_view(Session::open(60, (80, 24)));
        session.keys(keys);
        states.push(session);
    }
    let mut reviewed = Session::open(60, (80, 24));
    reviewed.tell(Msg::Words(Vocabulary::default(), Some((1, now()))));
    states.push(reviewed);
    let (mut at_once, mut asking) = (HashSet::new(), HashSet::new());
    for state in &states {
        for action in actions::all().filter(|action| state.app.scopes().contains(&action.scope)) {
            let mut app = state.app.clone();
            let effects = update(&mut app, Msg::Key(action.keys[0]));
            let writes = effects
                .iter()
                .any(|effect| matches!(effect, Effect::Task(_)));
            let asks = matches!(app.overlay, Some(Overlay::Ask(_)));
            match action.danger {
                Danger::Looks => assert!(!writes && !asks, "{:?} writes", action.act),
                Danger::Undoable => assert!(!asks, "{:?} asks", action.act),
                Danger::Asks => assert!(!writes, "{:?} does not ask", action.act),
            }
            if writes {
                at_once.insert(action.act);
            }
            if asks {
                asking.insert(action.act);
            }
        }
    }
    for action in actions::all() {
        match action.danger {
            Danger::Looks => {}
            Danger::Undoable => assert!(at_once.contains(&action.act), "{:?}", action.act),
            Danger::Asks => assert!(asking.contains(&action.act), "{:?}", action.act),
        }
    }
    assert!(at_once.contains(&Act::Review) && asking.contains(&Act::DropView));
    // Pressed twice it would take two reviews back.
    assert!(asking.contains(&Act::UndoReview));
}

#[test]
fn the_danger_of_an_action_stands_beside_it() {
    let mut session = Session::open(60, (120, 40));
    session.keys("7?read all web");
    assert!(
        session.text().contains("(asks first)"),
        "{}",
        session.text()
    );
    for (sought, said) in [
        ("mark everything", "(can be undone)"),
        ("take the last review", "(asks first)"),
    ] {
        let mut session = Session::open(60, (120, 40));
        session.keys(&format!("1?{sought}"));
        assert!(session.text().contains(said), "{}", session.text());
    }
}

#[test]
fn what_was_turned_away_is_taken_in_once_y_says_so() {
    let mut session = on_a("rejected", (80, 24));
    let id = -session.selected();
    assert!(session.text().contains("a take in"), "{}", session.text());
    session.keys("a");
    assert!(
        session
            .text()
            .contains("Judge 1 webhook again and take it in")
    );
    assert!(session.tasks().is_empty());
    session.keys("y");
    assert_eq!(session.tasks(), [Task::Admit { ids: vec![id] }]);
}

#[test]
fn any_other_key_and_a_paste_leave_everything_as_it_is() {
    for leave in ["n", "\n", "\u{1b}", "q", "Y", "a"] {
        let mut session = on_a("rejected", (80, 24));
        session.keys("a");
        session.keys(leave);
        assert_eq!(session.app.overlay, None, "{leave:?}");
        assert!(session.text().contains("nothing was changed"), "{leave:?}");
        assert!(session.tasks().is_empty(), "{leave:?}");
    }
    let mut session = on_a("rejected", (80, 24));
    session.keys("a");
    session.tell(Msg::Paste("y".to_owned()));
    assert_eq!(session.app.overlay, None);
    session.keys("a");
    session.code(KeyCode::Down);
    assert!(session.tasks().is_empty());
}

#[test]
fn what_was_not_understood_is_read_again_one_or_all() {
    let mut session = on_a("quarantined", (80, 24));
    let seq = session.selected();
    session.keys("ry");
    session.keys("R");
    assert!(
        session.text().contains("(23 webhooks)?"),
        "{}",
        session.text()
    );
    session.keys("y");
    assert_eq!(
        session.tasks(),
        [Task::RetryThese { seqs: vec![seq] }, Task::RetryQuarantine]
    );
}

#[test]
fn a_test_mark_is_put_on_and_taken_off_without_a_question() {
    let mut session = on_a("stored", (80, 24));
    let seq = session.selected();
    session.keys("t");
    let marked = Task::MarkTest {
        which: Which::Seqs(vec![seq]),
        test: seq % 5 != 4,
    };
    assert_eq!(session.tasks(), [marked]);
    assert!(session.text().contains("t takes that back"));
}

#[test]
fn all_of_a_reader_is_marked_after_a_question_that_counts() {
    let mut session = Session::open(60, (80, 24));
    session.keys("3T");
    assert!(
        session.text().contains("(23 events)?"),
        "{}",
        session.text()
    );
    session.keys("y");
    assert!(matches!(
        &session.tasks()[..],
        [Task::MarkTest {
            which: Which::User { user_id, .. },
            ..
        }] if user_id.starts_with("user-")
    ));
    // Masked, the question names nobody.
    let mut session = Session::open(60, (80, 24));
    session.keys("3PT");
    assert!(!session.text().contains("user-"), "{}", session.text());
}

#[test]
fn where_nothing_can_be_put_right_the_key_says_why() {
    for (outcome, key, why) in [
        ("stored", "a", "this one is kept"),
        ("rejected", "r", "this one was turned away: a takes it in"),
        ("stored", "r", "this one was understood"),
        ("rejected", "t", "in no figure"),
    ] {
        let mut session = on_a(outcome, (80, 24));
        session.keys(key);
        assert!(
            session.text().contains(why),
            "{outcome} {key}: {}",
            session.text()
        );
        assert!(session.tasks().is_empty());
    }
    let mut session = Session::open(60, (80, 24));
    session.keys("2a");
    assert!(
        session
            .text()
            .contains("only a webhook that was turned away")
    );
    session.keys("?judge a");
    assert!(
        session.text().contains("only a webhook that"),
        "{}",
        session.text()
    );
}

#[test]
fn one_thing_is_written_at_a_time_and_says_how_far_it_is() {
    let mut session = on_a("quarantined", (80, 24));
    session.keys("R");
    // The answer to this is still on its way.
    let effects = update(&mut session.app, Msg::Key(actions::key::Key::char('y')));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Task(_)))
    );
    assert!(session.text().contains("reading again"));
    let progress = Progress {
        done: 120,
        of: Some(400),
    };
    session.tell(Msg::Working(progress));
    assert!(session.text().contains("reading again, 120 of 400"));
    session.keys("t");
    assert!(session.text().contains("wait until it is done"));
    session.keys("1R");
    assert!(session.tasks().is_empty(), "nothing beside it");
    session.keys("2j");
    session.tell(Msg::Done(Err(
        "cannot write the ledger: no space".to_owned()
    )));
    assert!(session.text().contains("no space"));
    session.keys("1R");
    assert_eq!(session.tasks().len(), 1);
}

#[test]
fn what_was_refused_says_why_in_as_many_lines_as_it_takes() {
    let mut session = on_a("rejected", (40, 10));
    session.keys("a");
    assert!(session.text().contains("y does it"), "{}", session.text());
    update(&mut session.app, Msg::Key(actions::key::Key::char('y')));
    let why = "12: signature wrong: the body was changed on the way; secret link right";
    session.tell(Msg::Done(Ok(TaskReport {
        summary: "0 of 1 taken in".to_owned(),
        findings: vec![why.to_owned()],
        ..TaskReport::default()
    })));
    let shown = session.text().replace('\n', "");
    assert!(
        shown.contains("not taken in: signature wrong") && shown.contains("secret link right"),
        "{shown}"
    );
}

#[test]
fn saved_filters_are_neither_deleted_nor_replaced_unasked() {
    for keys in ["2vD", "2:delete late\n", "2:save late\n"] {
        let mut session = with_a_view(Session::open(60, (80, 24)));
        session.keys(keys);
        assert!(session.tasks().is_empty(), "{keys}");
        assert!(
            session.text().contains("the saved filter \"late\""),
            "{keys}: {}",
            session.text()
        );
        session.keys("y");
        assert_eq!(session.tasks().len(), 1, "{keys}");
    }
    let mut session = with_a_view(Session::open(60, (80, 24)));
    session.keys("2/type:cancel\n:save late\n:save other\n");
    assert_eq!(session.tasks().len(), 2, "the same again, and a new one");
}
