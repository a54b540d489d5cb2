//! What the word at the caret may become: the popup of whatever is typed.
//!
//! Plain data. Closed by its own Esc, so that the line being typed is not lost to a popup.

use std::ops::Range;

use crate::tui::edit::Line;

/// So many offers are in sight at once.
pub const SHOWN_MAX: usize = 8;

/// One thing that the word may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The whole word.
    pub text: String,
    /// What it means; empty where it speaks for itself.
    pub help: &'static str,
}

/// What is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    items: Vec<Offer>,
    /// The word that they would replace, in bytes of the line.
    word: Range<usize>,
    /// The one that keys moved to.
    chosen: Option<usize>,
    /// Esc closed them: they stay closed until the line changes.
    closed: bool,
}

impl Offers {
    /// `items` in the place of the bytes `word` of a line.
    pub fn new(items: Vec<Offer>, word: Range<usize>) -> Self {
        Self {
            items,
            word,
            ..Self::default()
        }
    }

    /// There is something to choose from.
    pub fn is_open(&self) -> bool {
        !self.items.is_empty() && !self.closed
    }

    /// Esc: true if there was something to close.
    pub fn close(&mut self) -> bool {
        let was_open = self.is_open();
        self.closed = true;
        was_open
    }

    /// Keys moved to an offer: Enter takes it then.
    pub fn is_chosen(&self) -> bool {
        self.is_open() && self.chosen.is_some()
    }

    /// Moves by so many offers, from the line into the list and out of it again.
    pub fn move_by(&mut self, by: isize) {
        let last = self.items.len().saturating_sub(1);
        self.chosen = match self.chosen {
            None if by > 0 => Some(0),
            None => Some(last),
            Some(0) if by < 0 => None,
            Some(at) => Some(at.saturating_add_signed(by).min(last)),
        };
    }

    /// Puts the chosen offer, else the first, into `line`. False if nothing is offered.
    pub fn take(&self, line: &mut Line) -> bool {
        let at = self.chosen.unwrap_or(0);
        match self.items.get(at).filter(|_| self.is_open()) {
            Some(offer) => {
                line.replace(self.word.clone(), &offer.text);
                true
            }
            None => false,
        }
    }

    /// The byte of the line that they stand under.
    pub fn from(&self) -> usize {
        self.word.start
    }

    /// The offers in sight and whether each is the chosen one, and how many there are in all.
    pub fn shown(&self, most: usize) -> (Vec<(&Offer, bool)>, usize) {
        if !self.is_open() {
            return (Vec::new(), 0);
        }
        let most = most.min(SHOWN_MAX);
        let at = self.chosen.unwrap_or(0);
        let top = (at + 1).saturating_sub(most);
        let items = self.items.iter().enumerate().skip(top).take(most);
        let shown = items
            .map(|(place, offer)| (offer, self.chosen == Some(place)))
            .collect();
        (shown, self.items.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(words: &[&str], word: Range<usize>) -> Offers {
        let items = words.iter().map(|text| Offer {
            text: (*text).to_owned(),
            help: "",
        });
        Offers::new(items.collect(), word)
    }

    #[test]
    fn the_first_is_taken_unless_keys_moved_to_another() {
        let mut line = Line::new("a pro");
        let mut open = offers(&["provider:", "proof:"], 2..5);
        assert!(!open.is_chosen());
        assert!(open.take(&mut line));
        assert_eq!(line.text(), "a provider:");
        let mut line = Line::new("a pro");
        open.move_by(1);
        open.move_by(5);
        assert!(open.is_chosen());
        assert!(open.take(&mut line));
        assert_eq!((line.text(), line.caret()), ("a proof:", 8));
    }

    #[test]
    fn esc_closes_them_once() {
        let mut open = offers(&["x"], 0..1);
        assert!(open.close());
        assert!(!open.close());
        assert!(!open.take(&mut Line::new("x")));
        assert_eq!(open.shown(5), (Vec::new(), 0));
    }

    #[test]
    fn the_chosen_one_is_in_sight() {
        let mut open = offers(&["a", "b", "c", "d"], 0..0);
        open.move_by(1);
        open.move_by(1);
        open.move_by(1);
        let (shown, all) = open.shown(2);
        let texts: Vec<_> = shown
            .iter()
            .map(|(offer, chosen)| (offer.text.as_str(), *chosen))
            .collect();
        assert_eq!((texts, all), (vec![("b", false), ("c", true)], 4));
        open.move_by(-1);
        open.move_by(-1);
        open.move_by(-1);
        assert!(!open.is_chosen(), "up from the first is back in the line");
    }
}
