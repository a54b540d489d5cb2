//! One search over what can be done and opened: the sheet of keys (`?`) and the palette (Ctrl-P).
//!
//! Plain data. What fits is found by key (as it is written on screen) and by words of the name.

use crate::tui::actions::Act;
use crate::tui::edit::Line;

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Palette {
    /// What was typed.
    pub line: Line,
    /// The selected one among those that can be chosen.
    pub at: usize,
    /// Saved filters and providers too, and what is possible here first; else the keys under their headings.
    pub wide: bool,
}

impl Palette {
    /// The palette.
    pub fn wide() -> Self {
        Self {
            wide: true,
            ..Self::default()
        }
    }

    /// What is sought, without blanks around it.
    pub fn sought(&self) -> &str {
        self.line.text().trim()
    }
}

/// One line of what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its keys as they are written on screen.
    pub keys: Vec<String>,
    /// One or two words for it, where it has them.
    pub title: String,
    /// What it does.
    pub text: String,
    /// What it may do to the ledger: `asks first`; empty where it only looks.
    pub danger: &'static str,
    /// Why it cannot be done now.
    pub why_not: Option<String>,
    /// What Enter does.
    pub runs: Runs,
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// It is a heading.
    Nothing,
    /// An action.
    Act(Act),
    /// Opens the saved filter at this place.
    View(usize),
    /// Opens what this provider sent.
    Provider(String),
    /// Shows the screen in the theme at this place, until it is closed.
    Look(usize),
    /// Copies the command that sets the setting at this place.
    Knob(usize),
}

impl Entry {
    /// A heading.
    pub fn head(title: &str) -> Self {
        Self {
            keys: Vec::new(),
            title: String::new(),
            text: title.to_owned(),
            danger: "",
            why_not: None,
            runs: Runs::Nothing,
        }
    }

    /// It can be selected.
    pub fn is_choice(&self) -> bool {
        self.runs != Runs::Nothing
    }

    /// How well it fits what is sought, the best first; `None` if it does not. A key fits as it is written, one of
    /// several letters in any case; words fit wherever they stand in title, text and keys.
    fn rank(&self, sought: &str) -> Option<u8> {
        if self.keys.iter().any(|key| key == sought) {
            return Some(0);
        }
        let is_long = sought.chars().count() > 1;
        if is_long && self.keys.iter().any(|key| key.eq_ignore_ascii_case(sought)) {
            return Some(1);
        }
        let sought = sought.to_lowercase();
        let title = self.title.to_lowercase();
        let long_keys = self.keys.iter().filter(|key| key.chars().count() > 1);
        let keys: Vec<_> = long_keys.map(String::as_str).collect();
        let whole = format!("{title} {} {} {}", self.text, self.danger, keys.join(" "));
        let whole = whole.to_lowercase();
        let mut words = sought.split_whitespace();
        if !words.all(|word| whole.contains(word)) {
            return None;
        }
        let begins = |text: &str| {
            text.split([' ', ',', ':'])
                .any(|word| word.starts_with(&sought))
        };
        Some(match () {
            () if title.starts_with(&sought) => 2,
            () if begins(&whole) => 3,
            () => 4,
        })
    }
}

/// Of `entries` those that fit `sought`, the best first and among equals what is possible now first. All of them, in
/// their order, where nothing is sought.
pub fn fitting(entries: Vec<Entry>, sought: &str) -> Vec<Entry> {
    if sought.is_empty() {
        return entries;
    }
    let choices = entries.into_iter().filter(Entry::is_choice);
    let mut found: Vec<_> = choices
        .filter_map(|entry| Some((entry.rank(sought)?, entry)))
        .collect();
    // Stable: the order of the table stays among equals.
    found.sort_by_key(|(rank, entry)| (entry.why_not.is_some(), *rank));
    found.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(keys: &[&str], title: &str, text: &str) -> Entry {
        Entry {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            title: title.to_owned(),
            text: text.to_owned(),
            danger: "",
            why_not: None,
            runs: Runs::Act(Act::Help),
        }
    }

    fn found(sought: &str) -> Vec<String> {
        let entries = vec![
            Entry::head("In lists"),
            entry(&["/"], "filter", "type a filter"),
            entry(&["f"], "", "hold the rows on screen"),
            entry(&["F"], "choose", "choose a filter by counts"),
            entry(&["Ctrl-F", "PgDn"], "", "a screen down"),
        ];
        let fits = fitting(entries, sought);
        fits.into_iter().map(|entry| entry.text).collect()
    }

    #[test]
    fn a_key_is_found_as_it_is_written_and_comes_first() {
        assert_eq!(found("/")[0], "type a filter");
        assert_eq!(found("F")[0], "choose a filter by counts");
        assert_eq!(found("f")[0], "hold the rows on screen");
        assert_eq!(found("ctrl-f"), ["a screen down"]);
        assert_eq!(found("pgdn"), ["a screen down"]);
    }

    #[test]
    fn words_are_found_in_any_order_titles_first() {
        assert_eq!(found("filter")[0], "type a filter");
        assert_eq!(found("counts CHOOSE"), ["choose a filter by counts"]);
        assert_eq!(
            found("lists"),
            Vec::<String>::new(),
            "a heading is no answer"
        );
        assert_eq!(found("").len(), 5);
    }
}
