//! Choosing a filter from what there is: provider, type, account and day with counts.
//!
//! Plain data. What is chosen becomes terms of the filter text, so that the bar, the command line and this are one.

use std::collections::BTreeSet;

use crate::domain::page::Choice;

/// The keys of the filter that can be chosen, in the order shown, with their headings.
pub const KEYS: &[(&str, &str)] = &[
    ("provider", "Provider"),
    ("type", "Type"),
    ("account", "Account"),
    ("day", "Day"),
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
}

impl Picker {
    /// The choices over `query`; the values it names already are chosen.
    pub fn new(query: &str) -> Self {
        let mut picker = Self::default();
        let mut rest = Vec::new();
        for term in terms(query) {
            match choosable(term) {
                Some((key, values)) => {
                    let values = values.split(',').map(|value| (key, unquoted(value)));
                    picker.chosen.extend(values);
                }
                None => rest.push(term),
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
        for (key, _) in KEYS {
            let values = self.chosen.iter().filter(|(of, _)| of == key);
            let values: Vec<_> = values.map(|(_, value)| quoted(value)).collect();
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
        if let Some(part) = KEYS.iter().position(|(of, _)| *of == key) {
            let selected = self.selected();
            self.parts[part] = Some(choices);
            let again = selected.and_then(|(key, value)| {
                let found = |(_, choice): &(usize, &Choice)| choice.key == key && choice.value == value;
                self.lines().iter().position(found)
            });
            self.line = again.unwrap_or(self.line);
        }
    }

    fn selected(&self) -> Option<(&'static str, String)> {
        let lines = self.lines();
        let (part, choice) = lines.get(self.line)?;
        Some((KEYS[*part].0, choice.value.clone()))
    }

    /// The choice on this line is chosen.
    pub fn is_chosen(&self, part: usize, choice: &Choice) -> bool {
        self.chosen.contains(&(KEYS[part].0, choice.value.clone()))
    }

    /// Chooses the selected value, or leaves it out.
    pub fn toggle(&mut self) {
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

/// The terms of a filter text: what stands between blanks outside quotes.
pub fn terms(query: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut from, mut in_quotes) = (0, false);
    for (at, c) in query.char_indices() {
        match c {
            '"' => in_quotes = !in_quotes,
            _ if c.is_whitespace() && !in_quotes => {
                terms.push(&query[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    terms.push(&query[from..]);
    terms.retain(|term| !term.is_empty());
    terms
}

fn choosable(term: &str) -> Option<(&'static str, &str)> {
    let (key, values) = term.split_once(':')?;
    let (key, _) = KEYS.iter().find(|(of, _)| *of == key)?;
    let is_plain = !values.is_empty() && !values.contains("..") && !values.starts_with(['<', '>', '=', '!']);
    (is_plain).then_some((key, values))
}

/// A value as a filter takes it: in quotes where it has to be.
pub fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+' | '/');
    if !value.is_empty() && value.chars().all(plain) && !value.starts_with('-') {
        value.to_owned()
    } else {
        format!("\"{}\"", value.replace('"', ""))
    }
}

fn unquoted(value: &str) -> String {
    value.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::page::Count;

    fn choice(key: &'static str, value: &str) -> Choice {
        Choice {
            key,
            value: value.to_owned(),
            count: Count::Exact(3),
        }
    }

    #[test]
    fn what_is_chosen_becomes_terms_and_other_terms_stay() {
        let mut picker = Picker::new("provider:zotlo \"gold plan\" -type:cancel since:7d");
        assert_eq!(picker.query(), "\"gold plan\" -type:cancel since:7d provider:zotlo");
        picker.fill("provider", vec![choice("provider", "klustr"), choice("provider", "zotlo")]);
        picker.fill("type", vec![choice("type", "payment.refunded")]);
        picker.toggle();
        picker.next_part();
        picker.toggle();
        assert_eq!(
            picker.query(),
            "\"gold plan\" -type:cancel since:7d provider:klustr,zotlo type:payment.refunded"
        );
    }

    #[test]
    fn counts_that_arrive_late_do_not_move_the_selected_value() {
        let mut picker = Picker::new("");
        picker.fill("type", vec![choice("type", "a"), choice("type", "b")]);
        picker.move_by(1);
        picker.fill("provider", vec![choice("provider", "zotlo")]);
        assert_eq!(picker.lines()[picker.line].1.value, "b");
    }
}
