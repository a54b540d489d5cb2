//! `tests mark|clear`.

use anyhow::Result;

use crate::cli::args::TestsCommand;
use crate::cli::context::{Context, provider};
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::show::no_delivery;
use crate::cli::tasks;
use crate::domain::delivery::MAIN_ACCOUNT;
use crate::domain::printable::Printable;
use crate::store::query::Reader;
use crate::store::task::{Task, Which};

/// Marks or clears.
pub fn run(context: &Context, command: &TestsCommand, out: &mut Out) -> Result<()> {
    let task = match command {
        TestsCommand::Clear => Task::ClearTests,
        TestsCommand::Mark { seqs, user, undo } => Task::MarkTest {
            which: match user {
                Some(who) => reader(context, who)?,
                None => Which::Seqs(there(context, seqs)?),
            },
            test: !undo,
        },
    };
    let report = tasks::submit(context, task)?;
    tasks::report(context, &report, out)
}

/// The numbers, if every one is a delivery's.
fn there(context: &Context, seqs: &[i64]) -> Result<Vec<i64>> {
    let reader = Reader::open(&context.database)?;
    let last = reader.status(context.clock.now())?.last_seq;
    match seqs.iter().find(|seq| !(1..=last).contains(*seq)) {
        Some(seq) => Err(no_delivery(*seq, last).into()),
        None => Ok(seqs.to_vec()),
    }
}

/// `provider:id` or `provider/account:id`; the id may hold colons.
fn reader(context: &Context, who: &str) -> Result<Which> {
    let wrong = || {
        let who = Printable::line(who);
        Failure::usage(format!(
            "`{who}` names no user: provider:id or provider/account:id"
        ))
    };
    let (place, user_id) = who.split_once(':').ok_or_else(wrong)?;
    let (id, account) = match place.split_once('/') {
        Some((id, account)) => (id, account),
        None => (
            place,
            context.global.account.as_deref().unwrap_or(MAIN_ACCOUNT),
        ),
    };
    if user_id.is_empty() || account.is_empty() {
        return Err(wrong().into());
    }
    Ok(Which::User {
        provider: provider(id)?.id().to_owned(),
        account: account.to_owned(),
        user_id: user_id.to_owned(),
    })
}
