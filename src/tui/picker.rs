//! Choosing a filter from what there is: provider, type, account and day with counts.
//!
//! Plain data. What is chosen becomes terms of the filter text, so that the bar, the command line and this are one.

use std::collections::BTreeSet;

use crate::domain::page::Choice;
use crate::domain::query::{Expr, Key, Query, Term, value_text};

/// The keys of the filter that can be chosen, in the order shown, with their headings.
pub const KEYS: &[(Key, &str, &str)] = &[
    (Key::Provider, "provider", "Provider"),
    (Key::Type, "type", "Type"),
    (Key::Account, "account", "Account"),
    (Key::Day, "day", "Day"),
];

/// The choices of a filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picker {
    /// What there is, by key in the order of `KEYS`; `None` while it is counted.
    pub parts: [Option<Vec<Choice>>; KEYS.len()],
    /// What is chosen: key and value.
    pub chosen: BTreeSet<(&'static str, String)>,
    /// The line that keys act on.
    pub line: usize,
    rest: String,
    /// A value was chosen or left out here: Enter goes by the marks alone.
    is_touched: bool,
}

impl Picker {
    /// The choices over `query`; the values it names already are chosen.
    pub fn new(query: &Query) -> Self {
        let mut picker = Self::default();
        let mut rest = Vec::new();
        for part in query.parts() {
            match choosable(part) {
                Some((key, values)) => picker.chosen.extend(values.map(|value| (key, value))),
                None if matches!(part, Expr::Any(_)) => rest.push(format!("({part})")),
                None => rest.push(part.to_string()),
            }
        }
        picker.rest = rest.join(" ");
        picker
    }

    /// The filter text of what is chosen, behind the terms that cannot be chosen here.
    pub fn query(&self) -> String {
        let mut parts = Vec::new();
        if !self.rest.is_empty() {
            parts.push(self.rest.clone());
        }
        for (_, key, _) in KEYS {
            let values = self.chosen.iter().filter(|(of, _)| of == key);
            let values: Vec<_> = values.map(|(_, value)| value_text(value)).collect();
            if !values.is_empty() {
                parts.push(format!("{key}:{}", values.join(",")));
            }
        }
        parts.join(" ")
    }

    /// The lines: part and choice in it.
    pub fn lines(&self) -> Vec<(usize, &Choice)> {
        let parts = self.parts.iter().enumerate();
        parts
            .flat_map(|(part, choices)| choices.iter().flatten().map(move |choice| (part, choice)))
            .collect()
    }

    /// Takes the choices of a part in.
    pub fn fill(&mut self, key: &str, choices: Vec<Choice>) {
        if let Some(part) = KEYS.iter().position(|(_, of, _)| *of == key) {
            let selected = self.selected();
            self.parts[part] = Some(choices);
            let again = selected.and_then(|(key, value)| {
                let found =
                    |(_, choice): &(usize, &Choice)| choice.key == key && choice.value == value;
                self.lines().iter().position(found)
            });
            self.line = again.unwrap_or(self.line);
        }
    }

    fn selected(&self) -> Option<(&'static str, String)> {
        let lines = self.lines();
        let (part, choice) = lines.get(self.line)?;
        Some((KEYS[*part].1, choice.value.clone()))
    }

    /// The choice on this line is chosen.
    pub fn is_chosen(&self, part: usize, choice: &Choice) -> bool {
        self.chosen.contains(&(KEYS[part].1, choice.value.clone()))
    }

    /// Ends the choice. Where nothing was marked, the selected value is what was meant.
    pub fn settle(&mut self) {
        if self.chosen.is_empty() && !self.is_touched {
            self.chosen.extend(self.selected());
        }
    }

    /// Leaves every value out.
    pub fn clear(&mut self) {
        self.is_touched = true;
        self.chosen.clear();
    }

    /// Chooses the selected value, or leaves it out.
    pub fn toggle(&mut self) {
        self.is_touched = true;
        if let Some(choice) = self.selected()
            && !self.chosen.remove(&choice)
        {
            self.chosen.insert(choice);
        }
    }

    /// Moves by so many lines.
    pub fn move_by(&mut self, lines: isize) {
        let last = self.lines().len().saturating_sub(1);
        self.line = self.line.saturating_add_signed(lines).min(last);
    }

    /// To the first value of the next part.
    pub fn next_part(&mut self) {
        let lines = self.lines();
        let here = lines.get(self.line).map_or(0, |(part, _)| *part);
        let next = lines.iter().position(|(part, _)| *part > here);
        self.line = next.unwrap_or(0);
    }
}

/// The key and values of a term that is chosen rather than typed.
fn choosable(part: &Expr) -> Option<(&'static str, impl Iterator<Item = String>)> {
    let Expr::Term(Term::Field { key, values }) = part else {
        return None;
    };
    let (_, name, _) = KEYS.iter().find(|(of, ..)| of == key)?;
    Some((*name, values.iter().map(|value| value.text.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::page::{Count, List};

    fn picker(query: &str) -> Picker {
        Picker::new(&Query::anywhere(List::Events, query))
    }

    fn choice(key: &'static str, value: &str) -> Choice {
        Choice {
            key,
            value: value.to_owned(),
            count: Count::Exact(3),
        }
    }

    #[test]
    fn what_is_chosen_becomes_terms_and_other_terms_stay() {
        let mut picker = picker("provider:zotlo \"gold plan\" -type:cancel amount:>5 (a OR b)");
        assert_eq!(
            picker.query(),
            "\"gold plan\" -type:cancel amount:>5 (a OR b) provider:zotlo"
        );
        picker.fill(
            "provider",
            vec![choice("provider", "klustr"), choice("provider", "zotlo")],
        );
        picker.fill("type", vec![choice("type", "payment.refunded")]);
        picker.toggle();
        picker.next_part();
        picker.toggle();
        assert_eq!(
            picker.query(),
            "\"gold plan\" -type:cancel amount:>5 (a OR b) provider:klustr,zotlo type:payment.refunded"
        );
    }

    #[test]
    fn without_a_mark_the_selected_value_is_meant() {
        let values = || vec![choice("provider", "klustr"), choice("provider", "zotlo")];
        let mut unmarked = picker("amount:>5");
        unmarked.fill("provider", values());
        unmarked.move_by(1);
        unmarked.settle();
        assert_eq!(unmarked.query(), "amount:>5 provider:zotlo");

        // What is marked, or was unmarked on purpose, is taken as it is.
        let mut marked = picker("provider:klustr");
        marked.fill("provider", values());
        marked.move_by(1);
        marked.settle();
        assert_eq!(marked.query(), "provider:klustr");
        marked.clear();
        marked.settle();
        assert_eq!(marked.query(), "");
        let mut emptied = picker("provider:klustr");
        emptied.fill("provider", values());
        emptied.toggle();
        emptied.settle();
        assert_eq!(emptied.query(), "");
    }

    #[test]
    fn counts_that_arrive_late_do_not_move_the_selected_value() {
        let mut picker = picker("");
        picker.fill("type", vec![choice("type", "a"), choice("type", "b")]);
        picker.move_by(1);
        picker.fill("provider", vec![choice("provider", "zotlo")]);
        assert_eq!(picker.lines()[picker.line].1.value, "b");
    }
}
