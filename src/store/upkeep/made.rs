//! The schema of a file beside the one that this version makes: what is missing or changed, and what is strange.

use std::path::Path;

use rusqlite::Connection;

use crate::domain::time::{Timestamp, Zone};
use crate::store::{Error, Mode, connect, schema};

/// Kind, name, table and statement of one table, index, trigger or view; the statement without comments and spaces.
type Statement = [String; 4];

/// What this version makes, and what a file has.
pub(crate) struct Made {
    expected: Vec<Statement>,
    found: Vec<Statement>,
}

impl Made {
    /// Reads the schema of `conn`; an error if it cannot be read.
    pub(crate) fn compare(conn: &Connection) -> Result<Self, Error> {
        let mut own = connect(Path::new(":memory:"), Mode::Fill)?;
        schema::create(&mut own, Zone::UTC, Timestamp::from_ms(0))?;
        Ok(Self {
            expected: statements(&own)?,
            found: statements(conn)?,
        })
    }

    /// Kind and name of what the file does not have, or has in another form.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        beyond(&self.expected, &self.found)
    }

    /// Names of what the file has of this `kind` and no ledger of this version, or not in this form.
    pub(crate) fn strange(&self, kind: &str) -> impl Iterator<Item = &str> {
        beyond(&self.found, &self.expected)
            .filter(move |(found, _)| *found == kind)
            .map(|(_, name)| name)
    }
}

fn beyond<'a>(
    all: &'a [Statement],
    known: &'a [Statement],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    all.iter()
        .filter(|one| !known.contains(one))
        .map(|[kind, name, ..]| (kind.as_str(), name.as_str()))
}

fn statements(conn: &Connection) -> Result<Vec<Statement>, Error> {
    let mut statement =
        conn.prepare("select type, name, tbl_name, ifnull(sql, '') from sqlite_schema")?;
    let rows = statement.query_map([], |row| {
        let sql: String = row.get(3)?;
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, bare(&sql)])
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Without comments and spaces, but for those in quotes: what is only dressed up as a comment stays.
fn bare(sql: &str) -> String {
    let mut bare = String::with_capacity(sql.len());
    let (mut quote, mut in_comment) = (None, false);
    let mut rest = sql.chars().peekable();
    while let Some(one) = rest.next() {
        if in_comment {
            in_comment = one != '\n';
            continue;
        }
        match quote {
            Some(open) if one == open => quote = None,
            Some(_) => {}
            None if one == '-' && rest.peek() == Some(&'-') => {
                in_comment = true;
                continue;
            }
            None if one.is_whitespace() => continue,
            None => quote = matches!(one, '\'' | '"' | '`').then_some(one),
        }
        bare.push(one);
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_spaces_are_no_difference_and_everything_else_is() {
        let mut conn = connect(Path::new(":memory:"), Mode::Fill).unwrap();
        schema::create(&mut conn, Zone::UTC, Timestamp::from_ms(0)).unwrap();
        conn.execute_batch(
            "drop index payments_at; create index payments_at on payments (at,id); -- as before
             drop trigger deliveries_no_delete;
             create trigger deliveries_no_delete before delete on deliveries begin select 1; end;
             create view mine as select 1;",
        )
        .unwrap();
        let made = Made::compare(&conn).unwrap();
        let missing: Vec<_> = made.missing().collect();
        assert_eq!(missing, [("trigger", "deliveries_no_delete")]);
        let strange: Vec<_> = made.strange("trigger").collect();
        assert_eq!(strange, ["deliveries_no_delete"]);
        assert_eq!(made.strange("view").collect::<Vec<_>>(), ["mine"]);
    }

    #[test]
    fn what_only_looks_like_a_comment_is_none() {
        assert_eq!(bare("a -- b\n c"), "ac");
        assert_eq!(bare("a '-- b'\n c"), "a'-- b'c");
        assert_ne!(bare("f('x--' || g() || '\n')"), bare("f('x')"));
        assert_eq!(bare("a 'it''s -- so' -- b"), "a'it''s -- so'");
    }
}
