//! The filter grammar of bar, command line and saved views: text to `Query` and back.
//!
//! ```text
//! query := and { "OR" and }      and  := unary { unary }      unary := "-" unary | "(" query ")" | term
//! term  := key ":" value { "," value } | word | "quoted phrase"
//! value := text | "quoted text" | >=n | >n | <=n | <n | a..b | a.. | ..b
//! ```
//!
//! Several values of a key mean any of them, terms side by side mean all of them. A term that does not parse makes
//! the whole text an error, so that a slip never widens a result. Negation includes rows where the field is missing.
//! Never touches the store: what a term means in SQL stands in `store::query`.

mod complete;
mod fold;
mod keys;
mod parse;
mod times;

use std::fmt;
use std::ops::Range;

use rust_decimal::Decimal;

use crate::domain::event::EventType;
use crate::domain::page::List;
use crate::domain::time::{Timestamp, Zone};

pub use complete::{completions, term_start};
pub(crate) use fold::fold_into;
pub use fold::{caseless, folded, folded_pattern};
pub use keys::{Is, Key};
pub use times::{Moment, moment, stretch};

/// Which rows of a list are wanted. The default is all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    root: Expr,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            root: Expr::All(Vec::new()),
        }
    }
}

/// A condition on rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Every one of these holds; without any, always.
    All(Vec<Expr>),
    /// At least one of these, of which there are two or more, holds.
    Any(Vec<Expr>),
    /// It does not hold, or the row has no such field.
    Not(Box<Expr>),
    /// One term.
    Term(Term),
}

/// One term.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// Text that a reader's e-mail, phone, name or ids, or the plan, hold somewhere in them, in any case and without marks.
    Word(String),
    /// A field that takes one of some values.
    Field {
        /// Which field.
        key: Key,
        /// At least one.
        values: Vec<Value>,
    },
}

/// One value of a field: as written, and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// As written, without quotes.
    pub text: String,
    /// What a row must meet.
    pub test: Test,
}

/// What a row must meet.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Exactly this.
    Equal(String),
    /// This, where `*` stands for any text and `\*` for a star, in any case; of names and e-mails without marks too.
    Like(String),
    /// This somewhere in it, in any case and without marks.
    Holds(String),
    /// One of these types, or of these provider's own names.
    Types {
        /// Of our list.
        types: Vec<EventType>,
        /// As providers call them.
        provider_types: Vec<String>,
    },
    /// A number within bounds; money in major units of the row's currency.
    Number(Bounds),
    /// An instant within a span.
    Time(Span),
    /// One of the words after `is:`.
    Is(Is),
    /// A position after the last review: `is:new` and `is:late` mean the deliveries after `seq`, at `at`.
    After {
        /// `Is::New` or `Is::Late`.
        is: Is,
        /// Everything up to here was reviewed; 0 if nothing was.
        seq: i64,
        /// When it was reviewed; `None` if nothing was.
        at: Option<Timestamp>,
    },
}

/// Bounds of a number: value, and whether the value itself is within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Not below this.
    pub low: Option<(Decimal, bool)>,
    /// Not above this.
    pub high: Option<(Decimal, bool)>,
}

/// From `from` on, before `to`; `None` is without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first instant within.
    pub from: Option<Timestamp>,
    /// The first instant after.
    pub to: Option<Timestamp>,
}

/// What the words of a query are read by.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The present moment: `7d` counts back from here.
    pub now: Timestamp,
    /// The ledger's zone: days begin by it.
    pub zone: Zone,
    /// The list that is filtered: it says which keys there are.
    pub list: List,
    /// Position and time of the last review.
    pub last_review: Option<(i64, Timestamp)>,
    /// Values that the ledger holds.
    pub stored: &'a Vocabulary,
}

/// Values that the ledger holds, for offers, and to tell a slip from a value. What is empty is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Providers.
    pub providers: Vec<String>,
    /// Accounts.
    pub accounts: Vec<String>,
    /// Providers' own names of types.
    pub provider_types: Vec<String>,
    /// Plans.
    pub plans: Vec<String>,
    /// Currencies.
    pub currencies: Vec<String>,
    /// Purposes of consents.
    pub purposes: Vec<String>,
    /// Hooks.
    pub hooks: Vec<String>,
}

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", .suggestion.as_ref().map(|term| format!("; did you mean {term}")).unwrap_or_default())]
pub struct QueryError {
    /// Where, in bytes of the text.
    pub at: Range<usize>,
    /// What is wrong, in words.
    pub message: String,
    /// The whole term as it may have been meant.
    pub suggestion: Option<String>,
}

impl Query {
    /// Reads `text` as `words` mean it.
    pub fn parse(text: &str, words: &Words<'_>) -> Result<Self, QueryError> {
        parse::parse(text, words).map(|root| Self { root })
    }

    /// The condition.
    pub const fn root(&self) -> &Expr {
        &self.root
    }

    /// Whether every row is wanted.
    pub fn is_empty(&self) -> bool {
        matches!(&self.root, Expr::All(parts) if parts.is_empty())
    }

    /// The terms that all must hold: each can be shown and dropped by itself.
    pub fn parts(&self) -> &[Expr] {
        match &self.root {
            Expr::All(parts) => parts,
            one => std::slice::from_ref(one),
        }
    }

    /// This query without the terms at its top that ask for one of `keys`, included or left out.
    #[must_use]
    pub fn without(&self, keys: &[Key]) -> Self {
        let kept = self.parts().iter().filter(|part| {
            let inner = match part {
                Expr::Not(inner) => inner,
                other => *other,
            };
            !matches!(inner, Expr::Term(Term::Field { key, .. }) if keys.contains(key))
        });
        Self {
            root: parse::flat(kept.cloned().collect(), true),
        }
    }

    /// Whether some field in it, wherever it stands, is such a one.
    pub fn has_field(&self, wanted: impl Fn(Key, &[Value]) -> bool) -> bool {
        let mut rest = vec![&self.root];
        while let Some(expr) = rest.pop() {
            match expr {
                Expr::All(parts) | Expr::Any(parts) => rest.extend(parts),
                Expr::Not(inner) => rest.push(inner),
                Expr::Term(Term::Field { key, values }) if wanted(*key, values) => return true,
                Expr::Term(_) => {}
            }
        }
        false
    }

    /// This query without the part at this place of `parts`.
    #[must_use]
    pub fn without_part(&self, place: usize) -> Self {
        let kept = self.parts().iter().enumerate();
        let kept = kept.filter(|(at, _)| *at != place);
        Self {
            root: parse::flat(kept.map(|(_, part)| part.clone()).collect(), true),
        }
    }

    /// This query where each word may also be met by what `also` makes of it; words that are left out stay as they are.
    #[must_use]
    pub fn with_words(&self, also: &impl Fn(&str) -> Vec<Self>) -> Self {
        Self {
            root: widened(&self.root, also),
        }
    }

    /// Rows that meet both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            root: parse::flat(vec![self.root.clone(), other.root.clone()], true),
        }
    }
}

fn widened(expr: &Expr, also: &impl Fn(&str) -> Vec<Query>) -> Expr {
    let each = |parts: &[Expr]| parts.iter().map(|part| widened(part, also)).collect();
    match expr {
        Expr::All(parts) => Expr::All(each(parts)),
        Expr::Any(parts) => Expr::Any(each(parts)),
        Expr::Term(Term::Word(word)) => {
            let others = also(word).into_iter().map(|other| other.root);
            let all: Vec<Expr> = std::iter::once(expr.clone()).chain(others).collect();
            if all.len() == 1 {
                expr.clone()
            } else {
                Expr::Any(all)
            }
        }
        Expr::Not(_) | Expr::Term(_) => expr.clone(),
    }
}

#[cfg(test)]
impl Query {
    /// What `text` means on `list` of a ledger that holds nothing yet, at the beginning of time.
    pub(crate) fn anywhere(list: List, text: &str) -> Self {
        let words = Words {
            now: Timestamp::from_ms(0),
            zone: Zone::UTC,
            list,
            last_review: None,
            stored: &Vocabulary::default(),
        };
        Self::parse(text, &words).expect("a test's own filter parses")
    }
}

/// A condition made without text.
impl From<Expr> for Query {
    fn from(root: Expr) -> Self {
        Self { root }
    }
}

/// Text that parses to the same query.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)
    }
}

/// Text that parses to the same condition.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(f, parts, " ", |part| matches!(part, Self::Any(_))),
            Self::Any(parts) => joined(f, parts, " OR ", |_| false),
            Self::Not(inner) => match **inner {
                Self::All(_) | Self::Any(_) => write!(f, "-({inner})"),
                _ => write!(f, "-{inner}"),
            },
            Self::Term(term) => write!(f, "{term}"),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expr],
    between: &str,
    in_parentheses: impl Fn(&Expr) -> bool,
) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        if in_parentheses(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) => f.write_str(&word_text(text)),
            Self::Field { key, values } => {
                write!(f, "{key}:")?;
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    f.write_str(&value_text(&value.text))?;
                }
                Ok(())
            }
        }
    }
}

/// `text` as a word of a query: in quotes where it would otherwise mean something else.
pub fn word_text(text: &str) -> String {
    let plain = !text.is_empty()
        && text != "OR"
        && !text.starts_with('-')
        && !text.contains(|c: char| c.is_whitespace() || "\"():\\<>=".contains(c));
    if plain { text.to_owned() } else { quoted(text) }
}

/// `text` as a value of a key: in quotes where it would otherwise mean something else.
pub fn value_text(text: &str) -> String {
    let plain =
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "\"(),\\".contains(c));
    if plain { text.to_owned() } else { quoted(text) }
}

/// `text` as a value that stands for itself alone: a star in it is a star.
pub fn literal_text(text: &str) -> String {
    value_text(&text.replace('\\', "\\\\").replace('*', "\\*"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
