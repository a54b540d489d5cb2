//! Which index a page is read from.
//!
//! Every statement is a union of branches, each of which walks one index in the order of the list, holds the whole
//! condition and stops at the limit; so a wrong choice here costs time and never changes a result. The planner of
//! SQLite has no statistics of a ledger that is being written, hence `indexed by`.

use rusqlite::types::Value as Sql;

use crate::domain::page::{Cursor, List, RowKey};
use crate::domain::query::{Bounds, Expr, Is, Key, Query, Term, Test, Value};
use crate::store::Error;
use crate::store::query::Reader;
use crate::store::query::filter::{Bound, Filter, NEVER, whole};
use crate::store::query::lists::{Source, projection};

/// More readers than these are not looked up one by one: then rows that match lie close in the list itself.
const READERS_MAX: usize = 500;
/// A stretch of so many deliveries is read and sorted rather than looked for in the order of the list.
const SEQS_MAX: i64 = 50_000;
/// So few are read before any other index is thought of.
const SEQS_FEW: i64 = 5_000;

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
}

impl Branch {
    fn walk(source: Source) -> Self {
        Self {
            before: String::new(),
            hint: format!("indexed by {}", source.walk()),
            by: None,
        }
    }

    fn new(hint: &str, by: String) -> Self {
        Self {
            before: String::new(),
            hint: hint.to_owned(),
            by: Some(by),
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
        let place = place(&mut bound, entry.source, cursor);
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
            many.join(" union ")
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
    format!("looked({number}, {}) and ", entry.source.sort())
}

/// Whether rows come oldest first, to be turned round.
pub(super) const fn backward(cursor: &Cursor) -> bool {
    matches!(
        cursor,
        Cursor::Last | Cursor::Before(_) | Cursor::To(_) | Cursor::Since(_)
    )
}

fn place(bound: &mut Bound, source: Source, cursor: &Cursor) -> String {
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
    match cursor {
        Cursor::First | Cursor::Last => String::new(),
        Cursor::After(key) => beside(key, "<"),
        Cursor::Before(key) => beside(key, ">"),
        Cursor::From(key) => beside(key, "<="),
        Cursor::To(key) => beside(key, ">="),
        Cursor::At(at) => format!(" and {sort} <= {}", bound.add(at.clone())),
        Cursor::Since(at) => format!(" and {sort} >= {}", bound.add(at.clone())),
    }
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
    let one = entries.len() == 1;
    let branches: Vec<String> = entries
        .iter()
        .map(|entry| {
            let id = match entry.source {
                Source::Rejected => "-r.id",
                source => source.id(),
            };
            // Branches may share rows: the id tells them apart.
            let id = if one {
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
        many => format!("select value from ({}) limit {most}", many.join(" union ")),
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
    let plans = if list == List::Events && words_in(query.root()) {
        reader.plans()?
    } else {
        Vec::new()
    };
    let mut out = Vec::new();
    for source in Source::of(list) {
        let mut filter = Filter {
            bound: &mut *bound,
            plans: &plans,
            wanted,
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

fn words_in(expr: &Expr) -> bool {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(words_in),
        Expr::Not(inner) => words_in(inner),
        Expr::Term(term) => matches!(term, Term::Word(_)),
    }
}

/// The best of the ways in that the terms at the top of `query` open.
fn branches(
    reader: &Reader,
    source: Source,
    query: &Query,
    filter: &mut Filter<'_>,
) -> Result<Vec<Branch>, Error> {
    let mut best: Option<(u8, Vec<Branch>)> = None;
    for part in query.parts() {
        let Expr::Term(term) = part else { continue };
        let found = match term {
            Term::Word(word) => by_word(reader, source, word, filter)?,
            Term::Field { key, values } => by_field(reader, source, *key, values, filter)?,
        };
        if let Some((rank, branches)) = found
            && best.as_ref().is_none_or(|(least, _)| rank < *least)
        {
            best = Some((rank, branches));
        }
    }
    Ok(match best {
        Some((_, branches)) => branches,
        // Nearly every row is looked at: in the order of the table each page is read once.
        None if filter.wanted == Wanted::All
            && source == Source::Subscriptions
            && !query.parts().iter().any(is_of_order) =>
        {
            vec![Branch {
                hint: "not indexed".to_owned(),
                ..Branch::walk(source)
            }]
        }
        None => vec![Branch::walk(source)],
    })
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
            for (provider, account) in reader.accounts()? {
                let provider = filter.bound.add(provider);
                let account = filter.bound.add(account);
                branches.push(Branch::new(
                    "indexed by events_subscription",
                    format!(
                        "r.provider = {provider} and r.account = {account} \
                         and r.subscription_id = {id}"
                    ),
                ));
            }
        }
        Source::Subscriptions | Source::Payments | Source::Changes | Source::Consents => {
            let own = filter.word_of_row(source, word);
            branches.push(Branch {
                by: Some(own),
                ..Branch::walk(source)
            });
        }
        _ => return Ok(None),
    }
    let found = filter.word_of_reader(word, "m");
    Ok(readers(reader, source, &found, filter)?.map(|readers| {
        branches.push(readers);
        (2, branches)
    }))
}

/// By the readers called `m` who meet `found`, if they are few.
fn readers(
    reader: &Reader,
    source: Source,
    found: &str,
    filter: &mut Filter<'_>,
) -> Result<Option<Branch>, Error> {
    let Some(hint) = source.of_reader().filter(|_| source != Source::Users) else {
        return Ok(None);
    };
    let sql = format!(
        "select m.id from users m where {found} limit {}",
        READERS_MAX + 1
    );
    let ids = reader.numbers(&sql, filter.bound.values())?;
    if ids.len() > READERS_MAX {
        return Ok(None);
    }
    let ids = serde_json::to_string(&ids).unwrap_or_default();
    let ids = filter.bound.add(ids);
    Ok(Some(Branch {
        before: "users m cross join ".to_owned(),
        hint: hint.to_owned(),
        by: Some(format!(
            "m.id in (select value from json_each({ids})) and r.provider = m.provider \
             and r.account = m.account and r.user_id = m.user_id"
        )),
    }))
}

fn by_field(
    reader: &Reader,
    source: Source,
    key: Key,
    values: &[Value],
    filter: &mut Filter<'_>,
) -> Result<Ways, Error> {
    if let [Value { test, .. }] = values {
        if let Some(found) = by_stretch(reader, source, key, test, filter)? {
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
    }
    Ok(match (key, source) {
        (Key::User, _) => by_user(reader, source, values, filter)?.map(|branches| (1, branches)),
        (Key::Type, Source::Events) => by_type(values, filter).map(|branches| (5, branches)),
        (Key::Provider, Source::Events) => {
            by_values("indexed by events_provider", "r.provider", values, filter)
                .map(|branches| (6, branches))
        }
        (Key::Provider | Key::Account, _) => by_account(reader, source, key, values, filter)?,
        (Key::Outcome | Key::Is, Source::Deliveries) => by_outcome(values),
        (Key::Is, Source::Events) => by_refund(values).map(|branches| (5, branches)),
        _ => None,
    })
}

/// By the accounts that the values name. Where an account has many rows, they lie close in the order of the list.
fn by_account(
    reader: &Reader,
    source: Source,
    key: Key,
    values: &[Value],
    filter: &mut Filter<'_>,
) -> Result<Ways, Error> {
    let mut accounts = Vec::new();
    for pair in reader.accounts()? {
        let named = if key == Key::Provider {
            &pair.0
        } else {
            &pair.1
        };
        let is_meant = |value: &Value| matches!(&value.test, Test::Equal(word) if word == named);
        if values.iter().any(is_meant) {
            let provider = filter.bound.add(pair.0);
            let account = filter.bound.add(pair.1);
            accounts.push((provider, account));
        }
    }
    let equal = |value: &Value| matches!(value.test, Test::Equal(_));
    if source == Source::Rejected || !values.iter().all(equal) {
        return Ok(None);
    }
    let of = |relation: &str, (provider, account): &(String, String)| {
        format!("{relation}.provider = {provider} and {relation}.account = {account}")
    };
    if source == Source::Deliveries {
        let hint = "indexed by deliveries_provider";
        let branches = accounts.iter().map(|pair| Branch::new(hint, of("r", pair)));
        return Ok(Some((6, branches.collect())));
    }
    let (table, index) = match source.of_account() {
        Some(index) => (source.table(), index),
        None => ("deliveries", "indexed by deliveries_provider"),
    };
    let mut few = true;
    for pair in &accounts {
        let sql = format!(
            "select count(*) from (select 1 from {table} d {index} where {} limit {})",
            of("d", pair),
            SEQS_FEW + 1
        );
        let rows = reader.numbers(&sql, filter.bound.values())?;
        few &= rows.iter().all(|rows| *rows <= SEQS_FEW);
    }
    let branch = |pair| match source.of_account() {
        Some(index) => Branch::new(index, of("r", pair)),
        None => Branch {
            before: format!("{table} d {index} cross join "),
            hint: "not indexed".to_owned(),
            by: Some(format!(
                "{} and r.id between d.seq * 10000 and d.seq * 10000 + 9999",
                of("d", pair)
            )),
        },
    };
    Ok(few.then(|| (3, accounts.iter().map(branch).collect())))
}

/// By the stretch of the table in which all matching deliveries lie, if it is short.
fn by_stretch(
    reader: &Reader,
    source: Source,
    key: Key,
    test: &Test,
    filter: &mut Filter<'_>,
) -> Result<Ways, Error> {
    if source == Source::Rejected || source.ids_per_seq().is_none() {
        return Ok(None);
    }
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
    Ok(Some((rank, vec![Branch::new("not indexed", by)])))
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
            let [provider, account, id] =
                [provider, account, id].map(|text| filter.bound.add(text));
            Branch::new(
                hint,
                format!("r.provider = {provider} and r.account = {account} and r.user_id = {id}"),
            )
        })
        .collect();
    Ok(Some(branches))
}

fn by_type(values: &[Value], filter: &mut Filter<'_>) -> Option<Vec<Branch>> {
    let mut types = Vec::new();
    for value in values {
        match &value.test {
            Test::Types {
                types: some,
                provider_types,
            } if provider_types.is_empty() => types.extend(some.iter().copied()),
            _ => return None,
        }
    }
    types.sort_unstable();
    types.dedup();
    let branches = types
        .into_iter()
        .map(|kind| {
            let kind = filter.bound.add(kind.as_str().to_owned());
            Branch::new("indexed by events_type", format!("r.type = {kind}"))
        })
        .collect();
    Some(branches)
}

fn by_values(
    hint: &str,
    column: &str,
    values: &[Value],
    filter: &mut Filter<'_>,
) -> Option<Vec<Branch>> {
    values
        .iter()
        .map(|value| match &value.test {
            Test::Equal(text) => {
                let text = filter.bound.add(text.clone());
                Some(Branch::new(hint, format!("{column} = {text}")))
            }
            _ => None,
        })
        .collect()
}

/// Refunds are few among the events.
fn by_refund(values: &[Value]) -> Option<Vec<Branch>> {
    let [Value { test, .. }] = values else {
        return None;
    };
    matches!(test, Test::Is(Is::Refund | Is::Unrevoked)).then(|| {
        let by = "r.type = 'payment.refunded'".to_owned();
        vec![Branch::new("indexed by events_type", by)]
    })
}

/// Repeats and quarantine are few, and have an index of their own; so have tests.
fn by_outcome(values: &[Value]) -> Ways {
    let mut branches = Vec::new();
    for value in values {
        let outcome = match &value.test {
            Test::Equal(word) => word.as_str(),
            Test::Is(Is::Differing) => "duplicate",
            Test::Is(is) => is.as_str(),
            _ => return None,
        };
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
    (!branches.is_empty()).then_some((4, branches))
}

/// For values bound outside a `Statement`.
pub(super) type Values<'a> = &'a [Sql];
