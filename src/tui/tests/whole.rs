//! What holds on every screen: leaving, trouble, standing still, random keys.

use proptest::prelude::*;

use crate::domain::time::HOUR_MS;
use crate::tui::actions::key::Key;
use crate::tui::actions::{self, Act, Danger};
use crate::tui::app::message::{Effect, Msg};
use crate::tui::app::update;
use crate::tui::tests::Session;
use crate::tui::tests::ledger::now;
use crate::tui::{Leave, render};

#[test]
fn leaving_asks_only_where_the_receiver_is_ours() {
    let left = |session: &Session| {
        session.outside.iter().find_map(|effect| match effect {
            Effect::Leave(leave) => Some(*leave),
            _ => None,
        })
    };
    for (key, leave) in [
        ("k", Leave::KeepReceiver),
        ("i", Leave::InstallService),
        ("s", Leave::StopReceiver),
    ] {
        let mut session = Session::open(5, (80, 24));
        session.keys("q");
        assert_eq!(left(&session), None);
        session.keys(key);
        assert_eq!(left(&session), Some(leave));
    }
    let mut session = Session::open(5, (80, 24));
    session.app.receiver.ours = false;
    session.keys("q");
    assert_eq!(left(&session), Some(Leave::Quit));
    let mut session = Session::open(5, (80, 24));
    session.tell(Msg::Key(Key::ctrl('c')));
    assert_eq!(left(&session), Some(Leave::StopReceiver));
}

#[test]
fn a_ledger_that_cannot_be_read_keeps_the_rows_and_says_why() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2");
    session.tell(Msg::Trouble("the ledger is busy".to_owned()));
    let shown = session.text();
    assert!(shown.contains("! the ledger is busy") && shown.contains("Ada"));
}

#[test]
fn nothing_changes_on_screen_while_nothing_happens() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2");
    session.tell(Msg::Changed);
    session.app.dirty = false;
    session.tell(Msg::Tick(now().plus_ms(500)));
    session.tell(Msg::Changed);
    assert!(
        !session.app.dirty,
        "a reload that brings nothing new draws nothing"
    );
    session.tell(Msg::Tick(now().plus_ms(HOUR_MS)));
    assert!(session.app.dirty, "times in words go on");
}

fn any_key() -> impl Strategy<Value = Key> {
    let bound: Vec<Key> = actions::all()
        .flat_map(|action| action.keys.iter().copied())
        .collect();
    prop_oneof![
        4 => prop::sample::select(bound),
        1 => any::<char>().prop_map(Key::char),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Key(Key),
    Resize(u16, u16),
    Grow(i64),
    Paste(String),
    Forget,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => any_key().prop_map(Step::Key),
        1 => (0..260u16, 0..70u16).prop_map(|(width, height)| Step::Resize(width, height)),
        1 => (0..40i64).prop_map(Step::Grow),
        1 => "\\PC{0,12}".prop_map(Step::Paste),
        1 => Just(Step::Forget),
    ]
}

/// Whether `key` may have something written here: it can be undone, answers a question, or enters what was typed.
fn written_by(session: &Session, key: Key) -> bool {
    let action = actions::lookup(session.app.scopes(), key);
    action.is_some_and(|action| {
        matches!(action.act, Act::Yes | Act::Apply) || action.danger == Danger::Undoable
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_keys_at_any_size_upset_the_screen(
        rows in prop::sample::select(vec![0i64, 1, 7, 600]),
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let mut session = Session::open(rows, (80, 24));
        for step in steps {
            match step {
                Step::Key(key) => {
                    let says = written_by(&session, key);
                    let before = session.outside.len();
                    session.tell(Msg::Key(key));
                    let mut new = session.outside[before..].iter();
                    let writes = new.any(|effect| matches!(effect, Effect::Task(_)));
                    prop_assert!(!writes || says, "{} writes unasked", key.name());
                }
                Step::Resize(width, height) => session.tell(Msg::Resize(width, height)),
                Step::Grow(rows) => {
                    session.fake.grow(rows);
                    session.tell(Msg::Changed);
                }
                Step::Paste(text) => session.tell(Msg::Paste(text)),
                // The answer to this never comes.
                Step::Forget => drop(update(&mut session.app, Msg::Key(Key::char('G')))),
            }
            let (width, height) = session.app.size;
            let frame = render(&session.app, width, height);
            prop_assert_eq!(frame.area.width, width);
            prop_assert!(session.app.window.selected <= session.app.window.rows.len());
        }
    }
}
