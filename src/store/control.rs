//! What `tests/torture` must be able to find: a writer that breaks promise 1 of DESIGN.md on purpose.
//!
//! Compiled only with `--cfg subledger_control`, into a binary of its own that the suite builds and nobody ships. In that
//! one, `SUBLEDGER_CONTROL` says what is broken: `answer-early` or `sync-normal`. A suite that finds nothing wrong with
//! it finds nothing.

use rusqlite::Connection;

use crate::store::Error;
use crate::store::append::Ack;
use crate::store::inbox::Job;

fn is_asked_for(what: &str) -> bool {
    std::env::var_os("SUBLEDGER_CONTROL").is_some_and(|asked| asked == what)
}

/// Commits without waiting for the disk.
pub(crate) fn weaken(conn: &Connection) -> Result<(), Error> {
    if is_asked_for("sync-normal") {
        conn.pragma_update(None, "synchronous", "normal")?;
    }
    Ok(())
}

/// Answers before the commit.
pub(crate) fn answer_early(job: &mut Job, ack: Option<&Result<Ack, Error>>) {
    if is_asked_for("answer-early")
        && let Some(Ok(ack)) = ack
        && let Some(reply) = job.reply.take()
    {
        reply(Ok(*ack));
    }
}
