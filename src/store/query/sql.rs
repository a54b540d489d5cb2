//! The publisher's own SQL: read-only statements on the bundled engine, with a time limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::domain::page::Cell;
use crate::store::Error;
use crate::store::query::{Reader, STEPS, cells};

/// Pragmas that only tell.
const TELLING: [&str; 18] = [
    "application_id",
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "encoding",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "page_count",
    "page_size",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// Those of them that are asked about something.
const ASKED: [&str; 7] = [
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// What takes a row: the names of the columns, and its values. An error of it ends the statement.
pub type EachRow<'a> = dyn FnMut(&[String], Vec<Cell>) -> Result<(), Error> + 'a;

/// What became of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlOutcome {
    /// The names of the columns, which are known where there are no rows too.
    pub names: Vec<String>,
    /// Rows handed over.
    pub rows: u64,
    /// There were more rows than the limit.
    pub truncated: bool,
}

impl Reader {
    /// Runs one read-only statement and hands each row to `each`, with the names of the columns. `limit` rows at
    /// most; none is all. `Error::Refused` for anything that is not one statement that reads, for what SQLite makes
    /// no sense of, and when `time_limit` is over; `Error::Interrupted` after `interrupt`.
    pub fn sql(
        &self,
        sql: &str,
        limit: Option<u64>,
        time_limit: Duration,
        each: &mut EachRow<'_>,
    ) -> Result<SqlOutcome, Error> {
        let over = Arc::new(AtomicBool::new(false));
        self.guard(&over, time_limit)?;
        let outcome = self.run(sql, limit, each);
        self.unguard()?;
        match outcome {
            Err(Error::Interrupted) if over.load(Ordering::Relaxed) => {
                Err(Error::Refused(format!(
                    "stopped after {} s: narrow the question, or allow it more time",
                    time_limit.as_secs_f64()
                )))
            }
            other => other,
        }
    }

    fn guard(&self, over: &Arc<AtomicBool>, time_limit: Duration) -> Result<(), Error> {
        let mut conn = self.conn.borrow_mut();
        conn.flush_prepared_statement_cache();
        conn.authorizer(Some(|context: AuthContext<'_>| judge(&context.action)))?;
        let started = Instant::now();
        let over = Arc::clone(over);
        conn.progress_handler(
            STEPS,
            Some(move || {
                let late = started.elapsed() >= time_limit;
                if late {
                    over.store(true, Ordering::Relaxed);
                }
                late
            }),
        )?;
        Ok(())
    }

    fn unguard(&self) -> Result<(), Error> {
        let mut conn = self.conn.borrow_mut();
        conn.progress_handler(0, None::<fn() -> bool>)?;
        conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        Ok(())
    }

    fn run(
        &self,
        sql: &str,
        limit: Option<u64>,
        each: &mut EachRow<'_>,
    ) -> Result<SqlOutcome, Error> {
        let conn = self.conn.borrow();
        let mut statement = conn.prepare(sql).map_err(refused)?;
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(Error::Refused(
                "only a statement that reads is run: select, with, values, explain".to_owned(),
            ));
        }
        if statement.parameter_count() > 0 {
            return Err(Error::Refused(
                "the statement has parameters, and there is nothing to fill them with".to_owned(),
            ));
        }
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut outcome = SqlOutcome::default();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(refused)? {
            if limit.is_some_and(|limit| outcome.rows >= limit) {
                outcome.truncated = true;
                break;
            }
            each(&names, cells(row, 0)?)?;
            outcome.rows += 1;
        }
        drop(rows);
        outcome.names = names;
        Ok(outcome)
    }
}

fn judge(action: &AuthAction<'_>) -> Authorization {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Function { function_name } if *function_name != "load_extension" => {
            Authorization::Allow
        }
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => {
            let name = pragma_name.to_ascii_lowercase();
            let list = if pragma_value.is_some() {
                &ASKED[..]
            } else {
                &TELLING[..]
            };
            if list.contains(&name.as_str()) {
                Authorization::Allow
            } else {
                Authorization::Deny
            }
        }
        _ => Authorization::Deny,
    }
}

/// What SQLite says of the text is an answer to whoever wrote it.
fn refused(error: rusqlite::Error) -> Error {
    let text = match &error {
        rusqlite::Error::MultipleStatement => "one statement at a time".to_owned(),
        rusqlite::Error::SqlInputError { msg, offset, .. } if *offset >= 0 => {
            format!("{msg} (at character {})", offset + 1)
        }
        rusqlite::Error::SqliteFailure(_, Some(text)) if text == "not authorized" => {
            "only statements that read the ledger are run".to_owned()
        }
        other => other.to_string(),
    };
    match Error::from(error) {
        Error::Sqlite(_) | Error::Malformed | Error::Full(_) | Error::Unwritable(_) => {
            Error::Refused(text)
        }
        other => other,
    }
}
