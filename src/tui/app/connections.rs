//! The links to paste, account by account.

use std::ops::Range;

use crate::domain::query::Vocabulary;
use crate::tui::LinkCard;
use crate::tui::app::App;
use crate::tui::place::Screen;

impl App {
    /// The card that keys act on.
    pub fn card(&self) -> Option<&LinkCard> {
        let line = self.place().line;
        let at = match self.place().screen {
            Screen::Connections => self.accounts().get(line)?.start,
            Screen::Account(account) => self.accounts().get(account)?.start + line,
            Screen::Today | Screen::List(_) => return None,
        };
        // A made-up ledger shows none.
        if self.demo {
            return None;
        }
        self.links.get(at)
    }

    /// Which links belong to one account each, in the order of the links.
    pub fn accounts(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        self.links
            .chunk_by(|one, next| (&one.provider, &one.account) == (&next.provider, &next.account))
            .map(|links| {
                let start = end;
                end += links.len();
                start..end
            })
            .collect()
    }

    /// The settings were read again.
    pub(super) fn take_links(&mut self, links: Result<Vec<LinkCard>, String>) {
        let fault = match links {
            Ok(links) => {
                self.dirty |= self.links != links;
                self.links = links;
                self.vocabulary = with_links(std::mem::take(&mut self.vocabulary), &self.links);
                self.clamp_line();
                None
            }
            Err(why) => Some(why),
        };
        self.dirty |= self.settings_fault != fault;
        self.settings_fault = fault;
    }
}

/// What filters can name: what is stored, and what can arrive.
pub(super) fn with_links(mut words: Vocabulary, links: &[LinkCard]) -> Vocabulary {
    for card in links {
        for (words, word) in [
            (&mut words.providers, &card.provider),
            (&mut words.accounts, &card.account),
            (&mut words.hooks, &card.hook),
        ] {
            if !words.contains(word) {
                words.push(word.clone());
            }
        }
    }
    words
}
