//! Actions that write into the ledger, and the question before them.

use crate::tui::actions::key::Key;
use crate::tui::actions::{Act, Action, Scope, action};
use crate::tui::app::App;

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(
        Act::Admit,
        Scope::Ledger,
        &[Key::char('a')],
        "take in",
        "judge a webhook that was turned away again, take it in",
    )
    .unless(App::why_no_admit)
    .asking(),
    action(
        Act::Retry,
        Scope::Ledger,
        &[Key::char('r')],
        "read again",
        "read a webhook again that was not understood",
    )
    .unless(App::why_no_retry)
    .asking(),
    action(
        Act::RetryAll,
        Scope::Ledger,
        &[Key::char('R')],
        "",
        "read all webhooks again that were not understood",
    )
    .unless(App::why_no_retry_all)
    .asking(),
    action(
        Act::MarkTest,
        Scope::Ledger,
        &[Key::char('t')],
        "",
        "mark the webhook as a test, or take the mark off",
    )
    .unless(App::why_no_mark)
    .undoable(),
    action(
        Act::MarkReader,
        Scope::Ledger,
        &[Key::char('T')],
        "",
        "the same for every webhook of the reader",
    )
    .unless(App::why_no_mark_reader)
    .asking(),
    action(
        Act::Yes,
        Scope::Asking,
        &[Key::char('y')],
        "do it",
        "do it; any other key leaves everything as it is",
    ),
];
