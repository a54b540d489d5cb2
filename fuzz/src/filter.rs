//! The filter grammar: any text parses to a query that shows itself and finds rows, or is refused with the place.
//!
//! The first line of the input names the list, all else is the filter.

use std::collections::BTreeSet;

use subledger::demo::Demo;
use subledger::domain::page::{Count, Cursor, List};
use subledger::domain::query::{
    Expr, Query, QueryError, Term, Vocabulary, Words, completions, value_text, word_text,
};
use subledger::domain::time::{DAY_MS, Zone};
use subledger::providers::door;
use subledger::store::query::Reader;
use tempfile::TempDir;

use super::keeper::{self, NOW};
use super::{Held, must};

/// So many rows a list of the ledger has at most.
const ROWS_MAX: u16 = 1_000;

/// A text this long with every character escaped is still no filter that is too long.
const TEXT_BYTES_MAX: usize = 1_000;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// What a text means.
    pub parse: fn(&str, &Words<'_>) -> Result<Query, QueryError>,
    /// The text of a query.
    pub show: fn(&Query) -> String,
    /// The rows of a list that meet a query.
    pub find: fn(&Reader, List, &Query) -> Result<BTreeSet<i64>, String>,
}

/// As it is.
pub const REAL: Subject = Subject {
    parse: Query::parse,
    show: |query| query.to_string(),
    find,
};

fn find(reader: &Reader, list: List, query: &Query) -> Result<BTreeSet<i64>, String> {
    let page = reader.page(list, query, &Cursor::First, usize::from(ROWS_MAX));
    let page = page.map_err(|error| format!("{query}: {error}"))?;
    let count = reader.count(list, query, u64::from(ROWS_MAX));
    let count = count.map_err(|error| format!("counting {query}: {error}"))?;
    must(count == Count::Exact(page.rows.len() as u64), || {
        format!("{query}: {} rows are counted as {count:?}", page.rows.len())
    })?;
    Ok(page.rows.iter().map(|row| row.key.id).collect())
}

/// A ledger with a few weeks of everything in it.
struct World {
    reader: Reader,
    stored: Vocabulary,
    // Last: it goes when nobody reads any more.
    _folder: TempDir,
}

impl World {
    fn new() -> Result<Self, String> {
        let folder = tempfile::tempdir_in(keeper::folder()).map_err(|error| error.to_string())?;
        let path = folder.path().join("ledger.db");
        let store = keeper::open(&path)?;
        let writer = store.writer();
        for posted in Demo::new(3, 120, NOW).filter(|posted| posted.rejected().is_none()) {
            let delivery = posted.into_delivery();
            let reading = door::read(&delivery);
            let taken = writer.append(delivery, reading, Box::new(|_| {}));
            taken.map_err(|error| error.to_string())?;
        }
        store.close().map_err(|error| error.to_string())?;
        let reader = Reader::open(&path).map_err(|error| error.to_string())?;
        let stored = reader.vocabulary().map_err(|error| error.to_string())?;
        Ok(Self {
            reader,
            stored,
            _folder: folder,
        })
    }
}

thread_local! {
    static WORLD: Result<World, String> = World::new();
}

/// The list that is filtered, and the filter.
fn split(data: &[u8]) -> (List, String) {
    let text = String::from_utf8_lossy(data).into_owned();
    match text.split_once('\n') {
        Some((name, rest)) => match List::from_word(name) {
            Some(list) => (list, rest.to_owned()),
            None => (List::Events, text),
        },
        None => (List::Events, text),
    }
}

/// Looks at `subject` with `data` as a filter.
pub fn check(data: &[u8], subject: &Subject) -> Held {
    let (list, text) = split(data);
    WORLD.with(|world| {
        let world = world.as_ref().map_err(Clone::clone)?;
        let words = Words {
            now: NOW,
            zone: Zone::UTC,
            list,
            last_review: Some((80, NOW.plus_ms(-9 * DAY_MS))),
            stored: &world.stored,
        };
        for caret in [0, text.len() / 2, text.len()] {
            completions(&text, caret, &words);
        }
        written(&text, &words, subject)?;
        let slip = format!("({text}\n) nosuchkey:x");
        must((subject.parse)(&slip, &words).is_err(), || {
            format!("{slip:?} parses, and no key is called that")
        })?;
        let query = match (subject.parse)(&text, &words) {
            Ok(query) => query,
            Err(error) => return honest(&text, &error),
        };
        let shown = (subject.show)(&query);
        let back = (subject.parse)(&shown, &words);
        must(back.as_ref() == Ok(&query), || {
            format!("{text:?} shows itself as {shown:?}, which is {back:?}")
        })?;
        finds(&world.reader, list, &query, subject)
    })
}

/// A refusal says where, in whole characters of the text, and why.
fn honest(text: &str, error: &QueryError) -> Held {
    let is_there = text.get(error.at.clone()).is_some();
    must(is_there && !error.message.is_empty(), || {
        format!("{text:?}: {error:?}")
    })
}

/// Any text can be written as a word and as a value, and is read as that.
fn written(text: &str, words: &Words<'_>, subject: &Subject) -> Held {
    if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
        return Ok(());
    }
    let word = word_text(text);
    let query = (subject.parse)(&word, words);
    let wanted = Expr::Term(Term::Word(text.to_owned()));
    must(
        query.as_ref().is_ok_and(|query| *query.root() == wanted),
        || format!("{text:?} as a word is {word}, which is {query:?}"),
    )?;
    let value = format!("id:{}", value_text(text));
    let query = (subject.parse)(&value, words);
    let own = query.as_ref().ok().and_then(|query| match query.root() {
        Expr::Term(Term::Field { values, .. }) if values.len() == 1 => Some(&values[0].text),
        _ => None,
    });
    must(own.is_some_and(|own| own == text), || {
        format!("{text:?} as a value is {value}, which is {query:?}")
    })
}

/// The database takes the query; what meets it and what does not are all rows, none twice; several conditions find what
/// they find one by one.
fn finds(reader: &Reader, list: List, query: &Query, subject: &Subject) -> Held {
    let find = |query: &Query| (subject.find)(reader, list, query);
    let every = find(&Query::default())?;
    let met = find(query)?;
    let not_met = find(&Query::from(Expr::Not(Box::new(query.root().clone()))))?;
    must(met.is_disjoint(&not_met), || {
        format!("{list} {query}: some rows meet it and do not")
    })?;
    must(&met | &not_met == every, || {
        let neither: Vec<_> = every
            .iter()
            .filter(|id| !met.contains(id) && !not_met.contains(id))
            .collect();
        format!("{list} {query}: rows {neither:?} neither meet it nor not")
    })?;
    let (parts, all) = match query.root() {
        Expr::All(parts) => (parts, true),
        Expr::Any(parts) => (parts, false),
        _ => return Ok(()),
    };
    let mut joined = if all { every } else { BTreeSet::new() };
    for part in parts {
        let one = find(&Query::from(part.clone()))?;
        joined = if all { &joined & &one } else { &joined | &one };
    }
    must(joined == met, || {
        format!("{list} {query}: {met:?} meet it, {joined:?} its parts")
    })
}
