//! Searching in a list without filtering it: what is sought, and which cells show it.
//!
//! Plain data; the store finds the rows, by the same grammar as the filter.

use crate::domain::page::{Count, List, RowKey};
use crate::domain::query::{Expr, Query, Term, folded};
use crate::tui::cell;
use crate::tui::tree::first;

/// So many rows that fit are counted at most.
pub const RANK_MAX: usize = 1_000;

/// No cell of a list shows more of its text.
const SHOWN_BYTES_MAX: usize = 4_096;

/// Which of the rows that fit was come upon, and of how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    /// The list.
    pub list: List,
    /// The row.
    pub key: RowKey,
    /// How many stand before it; `None` if they are more than `RANK_MAX`.
    pub before: Option<usize>,
    /// How many fit in all.
    pub all: Count,
}

impl Rank {
    /// `3 of 58`, `3 of 1,000+`, `one of 1,000+`.
    pub fn words(&self) -> String {
        let nth = self.before.map(|before| before as u64 + 1);
        let all = match self.all {
            // Rows may have come between the two counts.
            Count::Exact(all) => cell::number(all.max(nth.unwrap_or(all))),
            Count::MoreThan(all) => format!("{}+", cell::number(all)),
            Count::About(_) => format!("{}+", cell::number(RANK_MAX as u64)),
        };
        match nth {
            Some(nth) => format!("{} of {all}", cell::number(nth)),
            None => format!("one of {all}"),
        }
    }
}

/// What is sought.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// As typed.
    pub text: String,
    /// The words in it, as cells are compared with them.
    words: Vec<String>,
}

impl Search {
    /// The search that `text`, which means `query`, asks for.
    pub fn new(text: &str, query: &Query) -> Self {
        let mut words = Vec::new();
        gather(query.root(), &mut words);
        Self {
            text: text.to_owned(),
            words,
        }
    }

    /// A cell of this text, as far as any screen shows it, shows what is sought.
    pub fn is_in(&self, text: &str) -> bool {
        if self.words.is_empty() || text.is_empty() {
            return false;
        }
        let text = folded(first(text, SHOWN_BYTES_MAX));
        self.words.iter().any(|word| text.contains(word.as_str()))
    }
}

/// The words and values that a row is to hold; not those that it is not to.
fn gather(expr: &Expr, words: &mut Vec<String>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => {
            for part in parts {
                gather(part, words);
            }
        }
        Expr::Not(_) => {}
        Expr::Term(Term::Word(word)) => words.push(folded(word)),
        Expr::Term(Term::Field { values, .. }) => {
            let texts = values.iter().map(|value| value.text.trim_matches('*'));
            words.extend(texts.filter(|text| !text.is_empty()).map(folded));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(text: &str) -> Search {
        Search::new(text, &Query::anywhere(List::Events, text))
    }

    #[test]
    fn how_many_fit_is_said_as_far_as_it_is_known() {
        let said = |before, all| {
            let key = RowKey {
                sort: String::new(),
                id: 1,
            };
            let list = List::Events;
            Rank {
                list,
                key,
                before,
                all,
            }
            .words()
        };
        assert_eq!(said(Some(2), Count::Exact(58)), "3 of 58");
        assert_eq!(said(Some(58), Count::Exact(58)), "59 of 59");
        assert_eq!(said(Some(2), Count::MoreThan(1_000)), "3 of 1,000+");
        assert_eq!(said(Some(2), Count::About(4_000_000)), "3 of 1,000+");
        assert_eq!(said(None, Count::MoreThan(1_000)), "one of 1,000+");
    }

    #[test]
    fn cells_that_hold_a_word_or_a_value_show_it() {
        let search = search("yılmaz provider:zotlo -silver plan:gold*");
        for (cell, shows) in [
            ("Ayşe YILMAZ", true),
            ("zotlo", true),
            ("Gold monthly", true),
            ("Silver", false),
            ("", false),
        ] {
            assert_eq!(search.is_in(cell), shows, "{cell}");
        }
    }
}
