//! Searching in a list without filtering it: what is sought, and which cells show it.
//!
//! Plain data; the store finds the rows, by the same grammar as the filter.

use crate::domain::query::{Expr, Query, Term, folded};

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

    /// A cell of this text shows what is sought.
    pub fn is_in(&self, text: &str) -> bool {
        if self.words.is_empty() || text.is_empty() {
            return false;
        }
        let text = folded(text);
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
    use crate::domain::page::List;

    fn search(text: &str) -> Search {
        Search::new(text, &Query::anywhere(List::Events, text))
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
