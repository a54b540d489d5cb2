//! What was typed before: filters, searches and commands, for Up and Down.
//!
//! Plain data, gone with the session: what was typed may name a reader, and nothing of that is kept in a file.

/// So many lines are kept, the latest last.
const LINES_MAX: usize = 50;

/// Lines that were entered, and where among them keys have gone back to.
#[derive(Clone, Debug, Default)]
pub struct Recall {
    lines: Vec<String>,
    at: Option<usize>,
    /// What stood there when keys began to go back.
    draft: String,
}

impl Recall {
    /// Another line is begun.
    pub fn begin(&mut self) {
        self.at = None;
    }

    /// `text` was entered. One that was entered before moves to the end.
    pub fn keep(&mut self, text: &str) {
        self.at = None;
        if text.is_empty() {
            return;
        }
        self.lines.retain(|line| line != text);
        self.lines.push(text.to_owned());
        let surplus = self.lines.len().saturating_sub(LINES_MAX);
        self.lines.drain(..surplus);
    }

    /// The line entered before, where `text` is being typed; `None` if there is none before it.
    pub fn older(&mut self, text: &str) -> Option<&str> {
        let mut before = self.lines[..self.at.unwrap_or(self.lines.len())].iter();
        let at = before.rposition(|line| line != text)?;
        if self.at.is_none() {
            text.clone_into(&mut self.draft);
        }
        self.at = Some(at);
        Some(&self.lines[at])
    }

    /// The line entered after, at last what was being typed; `None` where keys did not go back.
    pub fn newer(&mut self) -> Option<&str> {
        let next = self.at? + 1;
        self.at = (next < self.lines.len()).then_some(next);
        Some(self.lines.get(next).unwrap_or(&self.draft))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_back_through_what_was_entered_and_forward_to_what_is_typed() {
        let mut recall = Recall::default();
        assert_eq!(recall.older("x"), None);
        assert_eq!(recall.newer(), None);
        for text in ["a", "b", "a", "", "c"] {
            recall.keep(text);
        }
        // What stands there already is no line before it.
        assert_eq!(recall.older("c"), Some("a"));
        assert_eq!(recall.older("a"), Some("b"));
        assert_eq!(recall.older("b"), None);
        assert_eq!(recall.newer(), Some("a"));
        assert_eq!(recall.newer(), Some("c"));
        assert_eq!(recall.newer(), Some("c"), "the draft");
        assert_eq!(recall.newer(), None);
        recall.begin();
        assert_eq!(recall.older("typed"), Some("c"));
        assert_eq!(recall.newer(), Some("typed"));
    }

    #[test]
    fn no_more_than_fifty_are_kept() {
        let mut recall = Recall::default();
        for number in 0..80 {
            recall.keep(&number.to_string());
        }
        let mut oldest = String::new();
        while let Some(older) = recall.older(&oldest.clone()) {
            oldest = older.to_owned();
        }
        assert_eq!(oldest, "30");
    }
}
