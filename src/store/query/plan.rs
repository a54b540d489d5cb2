//! Which index a page is read from.
//!
//! Every statement is a union of branches, each of which walks one index in the order of the list, holds the whole
//! condition and stops at the limit; so a wrong choice here costs time and never changes a result, as long as what a
//! branch is entered by follows from the condition: an index of some rows alone has no others. The planner of SQLite has
//! no statistics of a ledger that is being written, hence `indexed by`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use rusqlite::types::Value as Sql;

use crate::domain::event::EventType;
use crate::domain::page::{Cursor, List, RowKey};
use crate::domain::query::{Bounds, Expr, Is, Key, Query, Span, Term, Test, Value, folded};
use crate::store::Error;
use crate::store::query::Reader;
use crate::store::query::filter::{Aliases, Bound, ENDED_AT, Filter, NEVER, OVER, whole};
use crate::store::query::lists::{Source, projection};

/// More readers than these are not looked up one by one: then rows that match lie close in the list itself.
const READERS_MAX: usize = 500;
/// A stretch of so many deliveries is read and sorted rather than looked for in the order of the list.
const SEQS_MAX: i64 = 50_000;
/// So few are read before any other index is thought of.
const SEQS_FEW: i64 = 5_000;
/// Older ledgers have no index of when subscriptions began and ended, nor of imports.
pub(super) const SCHEMA_OF_LIFETIMES: i64 = 5;
/// Older ledgers have no index of what renews and ends, of new cancellations and refunds, nor of what came late.
pub(super) const SCHEMA_OF_LIVE: i64 = 6;
/// So many looks for words are kept.
const WORDS_MAX: usize = 32;
/// Events of so many types and accounts are read from as many places of an index.
const PLACES_MAX: usize = 200;

/// Rows in the order of the table, or by their ids.
const NOT_INDEXED: &str = "not indexed";
/// Cancellations by the delivery that told of them.
const CANCELLATIONS_SEQ: &str = "indexed by cancellations_seq";
/// Refunds in the order in which they came.
const EVENTS_REFUNDS: &str = "indexed by events_refunds";

/// What the rows are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A page of them, in the order of the list.
    Page,
    /// All of them, in any order.
    All,
}

/// One way to find rows.
struct Branch {
    /// What stands before the relation `r`: the readers it is looked up by.
    before: String,
    /// Which index.
    hint: String,
    /// What the index is entered by.
    by: Option<String>,
    /// No other branch finds what it finds.
    apart: bool,
}

impl Branch {
    fn walk(source: Source) -> Self {
        Self {
            before: String::new(),
            hint: format!("indexed by {}", source.walk()),
            by: None,
            apart: false,
        }
    }

    fn new(hint: &str, by: String) -> Self {
        Self {
            before: String::new(),
            hint: hint.to_owned(),
            by: Some(by),
            apart: false,
        }
    }

    fn apart(hint: &str, by: String) -> Self {
        Self {
            apart: true,
            ..Self::new(hint, by)
        }
    }
}

/// One way into a source with the whole condition on it.
struct Entry {
    source: Source,
    branch: Branch,
    condition: String,
}

/// A statement with its values.
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) bound: Bound,
    /// How many long branches are read, one after the other, before any that is short.
    pub(super) branches: usize,
}

/// What a page is read by: forward from the newest, or backward.
pub(super) fn page(
    reader: &Reader,
    list: List,
    query: &Query,
    cursor: &Cursor,
    limit: usize,
    light: bool,
) -> Result<Statement, Error> {
    let mut bound = Bound::default();
    let entries = entries(reader, list, query, Wanted::Page, &mut bound)?;
    let order = if backward(cursor) { "asc" } else { "desc" };
    let most = bound.add(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut branches = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let sort = entry.source.sort();
        let id = entry.source.id();
        let place = place(&mut bound, entry.source, cursor, query);
        let shown = match entry.source {
            Source::Rejected => "-r.id",
            _ => id,
        };
        // Of rejected ones the greater id is the smaller key.
        let ties = match (entry.source, order) {
            (Source::Rejected, "asc") => "desc",
            (Source::Rejected, _) => "asc",
            (_, order) => order,
        };
        branches.push(format!(
            "select * from (select {sort} as sort, {shown} as id from {}{place} \
             order by {sort} {order}, {id} {ties} limit {most})",
            from_where(entry, &looks(query, entry, number)),
        ));
    }
    let rows = match &branches[..] {
        [] => "select '' as sort, 0 as id where 0".to_owned(),
        [one] => one.clone(),
        many => format!(
            "select sort, id from ({}) order by sort {order}, id {order} limit {most}",
            many.join(union(&entries))
        ),
    };
    let sql = format!(
        "with k(sort, id) as materialized ({rows}) {} order by k.sort {order}, k.id {order}",
        projection(list, light)
    );
    Ok(Statement {
        sql,
        bound,
        branches: long(&entries),
    })
}

/// Whether no row is found by two of them.
fn apart(entries: &[Entry]) -> bool {
    entries.len() == 1 || entries.iter().all(|entry| entry.branch.apart)
}

/// What stands between branches: only those that may find the same row are looked through for it.
fn union(entries: &[Entry]) -> &'static str {
    if apart(entries) {
        " union all "
    } else {
        " union "
    }
}

/// The branches that take as long as the list is: the ring of rejected ones is short, and read last.
fn long(entries: &[Entry]) -> usize {
    let is_long = |entry: &&Entry| entry.source != Source::Rejected;
    entries.iter().filter(is_long).count().max(1)
}

/// What notes how far a branch has come; nothing where every row is wanted.
fn looks(query: &Query, entry: &Entry, number: usize) -> String {
    if query.is_empty() {
        return String::new();
    }
    // In the order of arrival a row's time does not say how far it is.
    let at = match &*entry.branch.hint {
        NOT_INDEXED | CANCELLATIONS_SEQ | EVENTS_REFUNDS => "null",
        _ => entry.source.sort(),
    };
    format!("looked({number}, {at}) and ")
}

/// Whether rows come oldest first, to be turned round.
pub(super) const fn backward(cursor: &Cursor) -> bool {
    matches!(
        cursor,
        Cursor::Last | Cursor::Before(_) | Cursor::To(_) | Cursor::Since(_)
    )
}

/// Where the page begins or ends, and the span of time that `query` asks for, as what the index is entered by. An index
/// takes one bound at each end: of two, the tighter one, which the looser follows from.
fn place(bound: &mut Bound, source: Source, cursor: &Cursor, query: &Query) -> String {
    let sort = source.sort();
    let id = match source {
        Source::Rejected => "-r.id",
        _ => source.id(),
    };
    let mut beside = |key: &RowKey, sign: &str| {
        let (at, tie) = (bound.add(key.sort.clone()), bound.add(key.id));
        match source {
            // The index is on id itself: the time bounds the walk, the rest sorts out ties.
            Source::Rejected => {
                let edge = &sign[..1];
                format!(" and {sort} {edge}= {at} and ({sort} {edge} {at} or {id} {sign} {tie})")
            }
            _ => format!(" and ({sort}, {id}) {sign} ({at}, {tie})"),
        }
    };
    let span = if ordered(source) {
        span(query)
    } else {
        Span::default()
    };
    let [from, to] = [span.from, span.to].map(|at| at.map(|at| at.to_string()));
    let to = to.filter(|to| match cursor {
        Cursor::After(RowKey { sort, .. })
        | Cursor::From(RowKey { sort, .. })
        | Cursor::At(sort) => to <= sort,
        _ => true,
    });
    let from = from.filter(|from| match cursor {
        Cursor::Before(RowKey { sort, .. })
        | Cursor::To(RowKey { sort, .. })
        | Cursor::Since(sort) => from > sort,
        _ => true,
    });
    let mut out = match cursor {
        Cursor::After(key) if to.is_none() => beside(key, "<"),
        Cursor::Before(key) if from.is_none() => beside(key, ">"),
        Cursor::From(key) if to.is_none() => beside(key, "<="),
        Cursor::To(key) if from.is_none() => beside(key, ">="),
        Cursor::At(at) if to.is_none() => format!(" and {sort} <= {}", bound.add(at.clone())),
        Cursor::Since(at) if from.is_none() => format!(" and {sort} >= {}", bound.add(at.clone())),
        _ => String::new(),
    };
    for (edge, sign) in [(from, ">="), (to, "<")] {
        if let Some(edge) = edge {
            let _ = write!(out, " and {sort} {sign} {}", bound.add(edge));
        }
    }
    out
}

/// Whether the time that the list is ordered by is bound beside the condition, and not in it.
pub(super) const fn ordered(source: Source) -> bool {
    !matches!(source, Source::Rejected)
}

/// The span of the time that the list is ordered by which every row of `query` lies in.
fn span(query: &Query) -> Span {
    let mut span = Span::default();
    for part in query.parts() {
        let Expr::Term(Term::Field { key, values }) = part else {
            continue;
        };
        let [Value { test, .. }] = &values[..] else {
            continue;
        };
        let told = match (key, test) {
            (Key::At | Key::Day | Key::Since | Key::Until, Test::Time(told)) => *told,
            (
                _,
                Test::After {
                    is: Is::Late, at, ..
                },
            ) => Span {
                from: None,
                to: *at,
            },
            _ => continue,
        };
        span.from = span.from.max(told.from);
        span.to = match (span.to, told.to) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    span
}

fn from_where(entry: &Entry, looks: &str) -> String {
    let Entry {
        source,
        branch,
        condition,
    } = entry;
    let by = branch
        .by
        .as_ref()
        .map_or_else(String::new, |by| format!("{by} and "));
    format!(
        "{}{} r {} where {looks}{by}{condition}",
        branch.before,
        source.table(),
        branch.hint
    )
}

/// What subscriptions, called `r`, must meet for `query`, in which no words are.
pub(super) fn condition(reader: &Reader, query: &Query, bound: &mut Bound) -> String {
    let mut filter = Filter {
        bound,
        plans: &[],
        held: &HashMap::new(),
        wanted: Wanted::All,
        imports: reader.imports(),
    };
    filter.condition(Source::Subscriptions, query.root())
}

/// A statement over `expr` of every row that matches, `limit` at most, without order: its one column is `expr`.
pub(super) fn scan(
    reader: &Reader,
    list: List,
    query: &Query,
    expr: impl Fn(Source, &mut Bound) -> String,
    limit: u64,
) -> Result<Statement, Error> {
    let mut bound = Bound::default();
    let entries = entries(reader, list, query, Wanted::All, &mut bound)?;
    let most = bound.add(i64::try_from(limit).unwrap_or(i64::MAX));
    let apart = apart(&entries);
    let branches: Vec<String> = entries
        .iter()
        .map(|entry| {
            let id = match entry.source {
                Source::Rejected => "-r.id",
                source => source.id(),
            };
            // Branches may share rows: the id tells them apart.
            let id = if apart {
                String::new()
            } else {
                format!("{id} as id, ")
            };
            format!(
                "select * from (select {id}{} as value from {} limit {most})",
                expr(entry.source, &mut bound),
                from_where(entry, "")
            )
        })
        .collect();
    let sql = match &branches[..] {
        [] => "select null as value where 0".to_owned(),
        [one] => format!("select value from ({one})"),
        many => format!(
            "select value from ({}) limit {most}",
            many.join(union(&entries))
        ),
    };
    Ok(Statement {
        sql,
        bound,
        branches: branches.len(),
    })
}

fn entries(
    reader: &Reader,
    list: List,
    query: &Query,
    wanted: Wanted,
    bound: &mut Bound,
) -> Result<Vec<Entry>, Error> {
    let mut words = Vec::new();
    all_words(query.root(), &mut words);
    let by_plan = matches!(list, List::Events | List::Subscriptions);
    let plans = if by_plan && !words.is_empty() {
        reader.plans()?
    } else {
        Vec::new()
    };
    // Readers themselves are looked for by all words at the top at once.
    let at_top = |word: &&str| list == List::Users && top_words(query).contains(word);
    let mut held = HashMap::new();
    for word in words.into_iter().filter(|word| !at_top(word)) {
        if let Some(ids) = reader.held(&[word])? {
            held.insert(word, ids);
        }
    }
    let mut out = Vec::new();
    for source in Source::of(list) {
        let mut filter = Filter {
            bound: &mut *bound,
            plans: &plans,
            held: &held,
            wanted,
            imports: reader.imports(),
        };
        let condition = filter.condition(*source, query.root());
        if condition == NEVER {
            continue;
        }
        for branch in branches(reader, *source, query, &mut filter)? {
            out.push(Entry {
                source: *source,
                branch,
                condition: condition.clone(),
            });
        }
    }
    Ok(out)
}

/// The words that every row must meet.
fn top_words(query: &Query) -> Vec<&str> {
    let parts = query.parts().iter();
    parts
        .filter_map(|part| match part {
            Expr::Term(Term::Word(word)) => Some(word.as_str()),
            _ => None,
        })
        .collect()
}

/// The words of a filter, wherever they stand in it.
fn all_words<'q>(expr: &'q Expr, words: &mut Vec<&'q str>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => {
            for part in parts {
                all_words(part, words);
            }
        }
        Expr::Not(inner) => all_words(inner, words),
        Expr::Term(Term::Word(word)) => words.push(word),
        Expr::Term(Term::Field { .. }) => {}
    }
}

/// The best of the ways in that the terms at the top of `query` open.
fn branches(
    reader: &Reader,
    source: Source,
    query: &Query,
    filter: &mut Filter<'_>,
) -> Result<Vec<Branch>, Error> {
    let mut best: Ways = None;
    let mut better = |found: Ways| {
        if let Some((rank, branches)) = found
            && best.as_ref().is_none_or(|(least, _)| rank < *least)
        {
            best = Some((rank, branches));
        }
        best.as_ref().map(|(rank, _)| *rank)
    };
    if source == Source::Events {
        better(by_place(reader, query, filter)?);
    }
    better(by_words(reader, source, query, filter)?);
    for part in query.parts() {
        if let Expr::Term(Term::Field { key, values }) = part {
            better(by_field(reader, (source, query), *key, values, filter)?);
        }
    }
    // Whether an account has few rows takes a look at them.
    for part in query.parts() {
        if let Expr::Term(Term::Field { key, values }) = part
            && matches!(key, Key::Provider | Key::Account)
            && source != Source::Events
            && better(None).is_none_or(|rank| rank > 3)
        {
            better(by_account(reader, source, *key, values, filter)?);
        }
    }
    Ok(match best {
        Some((_, branches)) => branches,
        // Nearly every row is looked at: in the order of the table each page is read once.
        None if filter.wanted == Wanted::All
            && source == Source::Subscriptions
            && let Some(branch) = by_access(reader, query) =>
        {
            vec![branch]
        }
        None if filter.wanted == Wanted::All
            && source == Source::Subscriptions
            && !query.parts().iter().any(is_of_order) =>
        {
            vec![Branch {
                hint: NOT_INDEXED.to_owned(),
                ..Branch::walk(source)
            }]
        }
        None => vec![Branch::walk(source)],
    })
}

/// Subscriptions with access, and those of them that do not renew, by the indexes that hold these alone.
fn by_access(reader: &Reader, query: &Query) -> Option<Branch> {
    let is_all = |of: &[Is]| query.parts().iter().any(|part| is_one_of(part, of));
    if reader.schema < SCHEMA_OF_LIVE {
        return None;
    }
    if is_all(&[Is::Ending, Is::Fixed]) {
        let by = "r.has_access = 1 and (r.cancelled_at is not null or r.auto_renew = 0)";
        return Some(Branch::new("indexed by subscriptions_ends", by.to_owned()));
    }
    is_all(&[Is::Active, Is::Renewing, Is::Ending, Is::Fixed]).then(|| {
        let by = "r.has_access = 1".to_owned();
        Branch::new("indexed by subscriptions_live", by)
    })
}

/// Whether what meets `part` is one of these.
fn is_one_of(part: &Expr, of: &[Is]) -> bool {
    match part {
        Expr::Any(parts) => parts.iter().all(|part| is_one_of(part, of)),
        Expr::Term(Term::Field {
            key: Key::Is,
            values,
        }) => values
            .iter()
            .all(|value| matches!(value.test, Test::Is(word) if of.contains(&word))),
        _ => false,
    }
}

/// Whether `part` bounds the time that the list is ordered by.
fn is_of_order(part: &Expr) -> bool {
    matches!(
        part,
        Expr::Term(Term::Field {
            key: Key::At | Key::Day | Key::Since | Key::Until,
            ..
        })
    )
}

/// Ways in and how good they are: 0 is best.
type Ways = Option<(u8, Vec<Branch>)>;

/// By the words at the top; readers are found by all of them at once.
fn by_words(
    reader: &Reader,
    source: Source,
    query: &Query,
    filter: &mut Filter<'_>,
) -> Result<Ways, Error> {
    let words = top_words(query);
    if source == Source::Users && !words.is_empty() {
        let ids = reader.held(&words)?;
        return Ok(ids.map(|ids| {
            let ids = filter.bound.add(ids.to_string());
            let by = format!("r.id in (select value from json_each({ids}))");
            (2, vec![Branch::new("", by)])
        }));
    }
    for word in words {
        let found = by_word(reader, source, word, filter)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn by_word(
    reader: &Reader,
    source: Source,
    word: &str,
    filter: &mut Filter<'_>,
) -> Result<Ways, Error> {
    let mut branches = Vec::new();
    match source {
        Source::Events => {
            // By plan there is no index; rows of a plan lie close enough in the list.
            if !filter.plans_with(word).is_empty() {
                return Ok(None);
            }
            let id = filter.bound.add(word.to_owned());
            for pair in reader.accounts()? {
                let by = format!("{} and r.subscription_id = {id}", filter.of_account(pair));
                branches.push(Branch::new("indexed by events_subscription", by));
            }
        }
        Source::Subscriptions | Source::Payments | Source::Changes | Source::Consents => {
            let own = filter.word_of_row(source, word);
            let mut walk = Branch {
                by: Some(own),
                ..Branch::walk(source)
            };
            // No plan holds it, so that hardly a row does: all are looked at, in the order of the table.
            if source == Source::Subscriptions && filter.plans_with(word).is_empty() {
                NOT_INDEXED.clone_into(&mut walk.hint);
            }
            branches.push(walk);
        }
        _ => return Ok(None),
    }
    let ids = reader.held(&[word])?;
    Ok(ids.and_then(|ids| {
        branches.push(of_readers(source, &ids, filter)?);
        Some((2, branches))
    }))
}

/// By the readers called `m` who meet `found`, if they are few.
fn readers(
    reader: &Reader,
    source: Source,
    found: &str,
    filter: &mut Filter<'_>,
) -> Result<Option<Branch>, Error> {
    let ids = reader.few(found, filter.bound.values())?;
    Ok(ids.and_then(|ids| of_readers(source, &ids, filter)))
}

/// By readers, of whom the ids in `users` are a JSON array.
fn of_readers(source: Source, ids: &str, filter: &mut Filter<'_>) -> Option<Branch> {
    let hint = source.of_reader().filter(|_| source != Source::Users)?;
    let ids = filter.bound.add(ids.to_owned());
    let by = format!(
        "m.id in (select value from json_each({ids})) and r.provider = m.provider \
         and r.account = m.account and r.user_id = m.user_id"
    );
    Some(Branch {
        before: "users m cross join ".to_owned(),
        ..Branch::new(hint, by)
    })
}

impl Reader {
    /// The readers called `m` who meet `found`, as a JSON array of their ids, if they are few.
    fn few(&self, found: &str, values: Values<'_>) -> Result<Option<String>, Error> {
        let ids = self.in_halves("users", |reader, half| {
            let sql = format!(
                "select m.id from users m not indexed where {half} and {found} limit {}",
                READERS_MAX + 1
            );
            reader.numbers(&sql, values)
        })?;
        let ids = ids.concat();
        let few = (ids.len() <= READERS_MAX).then_some(ids);
        Ok(few.map(|ids| serde_json::to_string(&ids).unwrap_or_default()))
    }

    /// The index of imports, as statements name it, where the ledger has one.
    pub(super) const fn imports(&self) -> &'static str {
        if self.schema < SCHEMA_OF_LIFETIMES {
            ""
        } else {
            "indexed by deliveries_imported"
        }
    }

    /// The readers who hold all of `words`, if they are few. Everybody is looked at for it: what was found is kept until
    /// something is written.
    fn held(&self, words: &[&str]) -> Result<Option<Rc<str>>, Error> {
        let version = self.version()?;
        let words: Vec<String> = words.iter().map(|word| folded(word)).collect();
        {
            let mut held = self.held.borrow_mut();
            if held.version != version || held.found.len() >= WORDS_MAX {
                *held = Held {
                    version,
                    found: HashMap::new(),
                };
            }
            if let Some(found) = held.found.get(&words) {
                return Ok(found.clone());
            }
        }
        let mut bound = Bound::default();
        let mut filter = Filter {
            bound: &mut bound,
            plans: &[],
            held: &HashMap::new(),
            wanted: Wanted::All,
            imports: self.imports(),
        };
        let each: Vec<String> = words
            .iter()
            .map(|word| filter.word_of_reader(word, "m", Aliases::AtOnce))
            .collect();
        let found = self.few(&each.join(" and "), bound.values())?;
        let found: Option<Rc<str>> = found.map(Rc::from);
        self.held.borrow_mut().found.insert(words, found.clone());
        Ok(found)
    }
}

/// The readers who were found by words, in what was written by then.
#[derive(Debug, Default)]
pub(super) struct Held {
    version: i64,
    /// By all words of one look.
    found: HashMap<Vec<String>, Option<Rc<str>>>,
}

fn by_field(
    reader: &Reader,
    (source, query): (Source, &Query),
    key: Key,
    values: &[Value],
    filter: &mut Filter<'_>,
) -> Result<Ways, Error> {
    if let [Value { test, .. }] = values {
        if let Some(found) = by_stretch(reader, (source, query), key, test, filter)? {
            return Ok(Some(found));
        }
        if matches!(key, Key::Email | Key::Phone | Key::Name) {
            if source == Source::Users {
                return Ok(by_address(key, test, filter));
            }
            let found = filter.of_reader(key, test, "m");
            return Ok(readers(reader, source, &found, filter)?.map(|branch| (1, vec![branch])));
        }
        if let (Key::Registered, Test::Time(span)) = (key, test) {
            let within = filter.within("r.registered_at", *span);
            return Ok(Some((
                4,
                vec![Branch::new("indexed by users_registered", within)],
            )));
        }
        if let (Key::Started | Key::Ended, Source::Subscriptions, Test::Time(span)) =
            (key, source, test)
        {
            return by_lifetime(reader, key, *span, filter);
        }
    }
    Ok(match (key, source) {
        (Key::User, _) => by_user(reader, source, values, filter)?.map(|branches| (1, branches)),
        (Key::Outcome | Key::Is, Source::Deliveries) => by_outcome(values),
        _ => None,
    })
}

/// By when subscriptions began or ended. A page of many of them is rather looked for in the order of the list.
fn by_lifetime(
    reader: &Reader,
    key: Key,
    span: Span,
    filter: &mut Filter<'_>,
) -> Result<Ways, Error> {
    if reader.schema < SCHEMA_OF_LIFETIMES {
        return Ok(None);
    }
    let (hint, column) = match key {
        Key::Started => ("indexed by subscriptions_started", "r.started_at"),
        _ => ("indexed by subscriptions_ended", ENDED_AT),
    };
    let mut within = filter.within(column, span);
    if key == Key::Ended {
        within = format!("{OVER} and {within}");
    }
    if filter.wanted == Wanted::Page {
        let sql = format!(
            "select count(*) from (select 1 from subscriptions r {hint} where {within} limit {})",
            SEQS_FEW + 1
        );
        let found = reader.number(&sql, filter.bound.values())?;
        if found.is_none_or(|found| found > SEQS_FEW) {
            return Ok(None);
        }
    }
    Ok(Some((4, vec![Branch::new(hint, within)])))
}

/// Providers with their accounts.
type Accounts = Vec<(String, String)>;

/// The accounts that the values name; `None` if they do not name any.
fn named(all: Accounts, key: Key, values: &[Value]) -> Option<Accounts> {
    let words: Option<Vec<&str>> = values
        .iter()
        .map(|value| match &value.test {
            Test::Equal(word) => Some(word.as_str()),
            _ => None,
        })
        .collect();
    let words = words?;
    let is_meant = |(provider, account): &(String, String)| match key {
        Key::Provider => words.contains(&provider.as_str()),
        _ => words.contains(&account.as_str()),
    };
    Some(all.into_iter().filter(is_meant).collect())
}

/// By the accounts that the values name. Where an account has many rows, they lie close in the order of the list.
fn by_account(
    reader: &Reader,
    source: Source,
    key: Key,
    values: &[Value],
    filter: &mut Filter<'_>,
) -> Result<Ways, Error> {
    let found = named(reader.accounts()?, key, values);
    let (Some(accounts), true) = (found, source != Source::Rejected) else {
        return Ok(None);
    };
    let of: Vec<String> = accounts
        .into_iter()
        .map(|pair| filter.of_account(pair))
        .collect();
    let Some(index) = source.of_account() else {
        let hint = "indexed by deliveries_provider";
        let branches = of.into_iter().map(|of| Branch::apart(hint, of));
        return Ok(Some((6, branches.collect())));
    };
    for of in &of {
        let sql = format!(
            "select count(*) from (select 1 from {} r {index} where {of} limit {})",
            source.table(),
            SEQS_FEW + 1
        );
        let rows = reader.numbers(&sql, filter.bound.values())?;
        if rows.iter().any(|rows| *rows > SEQS_FEW) {
            return Ok(None);
        }
    }
    let branches = of.into_iter().map(|of| Branch::apart(index, of));
    Ok(Some((3, branches.collect())))
}

/// By types and accounts, of which there are few: the index of events has the order of the list within each.
fn by_place(reader: &Reader, query: &Query, filter: &mut Filter<'_>) -> Result<Ways, Error> {
    let mut accounts: Option<Accounts> = None;
    let mut types: Option<Vec<EventType>> = None;
    for part in query.parts() {
        let Expr::Term(Term::Field { key, values }) = part else {
            continue;
        };
        if matches!(key, Key::Provider | Key::Account) {
            let all = accounts.take().map_or_else(|| reader.accounts(), Ok)?;
            accounts = named(all.clone(), *key, values).or(Some(all));
        } else if let Some(told) = types_of(*key, values) {
            types = Some(match types.take() {
                Some(known) => known
                    .into_iter()
                    .filter(|kind| told.contains(kind))
                    .collect(),
                None => told,
            });
        }
    }
    if let Some(types) = types {
        let all = accounts.clone().map_or_else(|| reader.accounts(), Ok)?;
        if types.len() * all.len() <= PLACES_MAX {
            let mut branches = Vec::new();
            for kind in types {
                let kind = filter.bound.add(kind.as_str().to_owned());
                for pair in all.clone() {
                    let by = format!("r.type = {kind} and {}", filter.of_account(pair));
                    branches.push(Branch::apart("indexed by events_type", by));
                }
            }
            return Ok(Some((5, branches)));
        }
    }
    let accounts = accounts.filter(|accounts| accounts.len() <= PLACES_MAX);
    Ok(accounts.map(|accounts| {
        let by = |pair| Branch::apart("indexed by events_provider", filter.of_account(pair));
        (6, accounts.into_iter().map(by).collect())
    }))
}

/// The types of events, each once, that a term of this key means; `None` if it may mean others.
fn types_of(key: Key, values: &[Value]) -> Option<Vec<EventType>> {
    let mut types = Vec::new();
    for value in values {
        match (key, &value.test) {
            (
                Key::Type,
                Test::Types {
                    types: some,
                    provider_types,
                },
            ) if provider_types.is_empty() => types.extend(some.iter().copied()),
            (Key::Is, Test::Is(Is::Refund | Is::Unrevoked)) => {
                types.push(EventType::PaymentRefunded);
            }
            _ => return None,
        }
    }
    types.sort_unstable();
    types.dedup();
    Some(types)
}

/// By the stretch of deliveries that all matching rows came in, if it is short: of the table, or of an index in the order
/// of arrival.
fn by_stretch(
    reader: &Reader,
    (source, query): (Source, &Query),
    key: Key,
    test: &Test,
    filter: &mut Filter<'_>,
) -> Result<Ways, Error> {
    let has_index = reader.schema >= SCHEMA_OF_LIVE;
    let (hint, only) = match source {
        Source::Rejected => return Ok(None),
        Source::Cancellations if has_index => (CANCELLATIONS_SEQ, ""),
        _ if source.ids_per_seq().is_none() => return Ok(None),
        Source::Events if has_index && is_of_refunds(query) => {
            (EVENTS_REFUNDS, "r.type = 'payment.refunded' and ")
        }
        _ => (NOT_INDEXED, ""),
    };
    let bounds = match (key, test) {
        (Key::Seq, Test::Number(bounds)) => *bounds,
        (
            Key::Is,
            Test::After {
                is: Is::New | Is::Late,
                seq,
                ..
            },
        ) => Bounds {
            low: Some(((*seq).into(), false)),
            high: None,
        },
        (Key::Received, Test::Time(span)) => match reader.seqs_received(*span, SEQS_MAX)? {
            Some(bounds) => bounds,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let (low, high) = whole(bounds).unwrap_or((0, 0));
    let length = high
        .min(reader.last_seq()?)
        .saturating_sub(low.max(1))
        .saturating_add(1);
    let rank = if length <= SEQS_FEW {
        0
    } else if length <= SEQS_MAX {
        3
    } else if filter.wanted == Wanted::All {
        // Still less than the whole list, where no better way is known.
        7
    } else {
        return Ok(None);
    };
    let by = filter.seqs(source, bounds);
    let by = if by == NEVER {
        "r.test < 0".to_owned()
    } else {
        by
    };
    Ok(Some((rank, vec![Branch::new(hint, format!("{only}{by}"))])))
}

/// Whether only refunds meet `query`.
fn is_of_refunds(query: &Query) -> bool {
    let mut kinds = query.parts().iter().filter_map(|part| match part {
        Expr::Term(Term::Field { key, values }) => types_of(*key, values),
        _ => None,
    });
    kinds.any(|kinds| kinds == [EventType::PaymentRefunded])
}

fn by_address(key: Key, test: &Test, filter: &mut Filter<'_>) -> Ways {
    match (key, test) {
        (Key::Email, Test::Equal(_)) => {
            let by = filter.of_reader(key, test, "r");
            Some((1, vec![Branch::new("indexed by users_email", by)]))
        }
        _ => None,
    }
}

fn by_user(
    reader: &Reader,
    source: Source,
    values: &[Value],
    filter: &mut Filter<'_>,
) -> Result<Option<Vec<Branch>>, Error> {
    let Some(hint) = source.of_reader() else {
        return Ok(None);
    };
    let mut ids = Vec::new();
    for value in values {
        let Test::Equal(id) = &value.test else {
            return Ok(None);
        };
        for (provider, account) in reader.accounts()? {
            ids.push((provider, account, id.clone()));
        }
        ids.extend(reader.by_alias(id)?);
    }
    ids.sort();
    ids.dedup();
    if ids.len() > READERS_MAX / 5 {
        return Ok(None);
    }
    let branches = ids
        .into_iter()
        .map(|(provider, account, id)| {
            let of = filter.of_account((provider, account));
            let id = filter.bound.add(id);
            Branch::new(hint, format!("{of} and r.user_id = {id}"))
        })
        .collect();
    Ok(Some(branches))
}

/// Repeats and quarantine are few, and have an index of their own; so have tests.
fn by_outcome(values: &[Value]) -> Ways {
    let mut branches = Vec::new();
    let mut is_all_quarantined = true;
    for value in values {
        let outcome = match &value.test {
            Test::Equal(word) => word.as_str(),
            Test::Is(Is::Differing) => "duplicate",
            Test::Is(is) => is.as_str(),
            _ => return None,
        };
        is_all_quarantined &= outcome == "quarantined";
        branches.push(match outcome {
            "duplicate" | "quarantined" => Branch::new(
                "indexed by deliveries_odd",
                format!("r.outcome <> 'stored' and r.outcome = '{outcome}'"),
            ),
            "test" => Branch::new("indexed by deliveries_test", "r.test = 1".to_owned()),
            "rejected" => continue,
            _ => return None,
        });
    }
    // What is not understood is few, and better found than by the stretch that it came in.
    let rank = if is_all_quarantined { 2 } else { 4 };
    (!branches.is_empty()).then_some((rank, branches))
}

/// For values bound outside a `Statement`.
pub(super) type Values<'a> = &'a [Sql];
