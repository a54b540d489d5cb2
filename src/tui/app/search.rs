//! Searching in a list without filtering it, what hides all its rows, and how far rows on their way have come.

use crate::domain::page::{Cursor, List, Order, RowKey};
use crate::domain::query::{Key, Query, QueryError, literal_text};
use crate::store::query::Progress;
use crate::tui::actions::Act;
use crate::tui::app::message::{Effect, From};
use crate::tui::app::{App, Overlay};
use crate::tui::complete::Offers;
use crate::tui::edit::Line;
use crate::tui::search::{Rank, Search};
use crate::tui::theme::Meaning;
use crate::tui::window::Fill;

impl App {
    pub(super) fn search(&mut self, act: Act, effects: &mut Vec<Effect>) {
        match act {
            Act::Search => {
                self.searches.begin();
                self.overlay = Some(Overlay::Search {
                    line: Line::default(),
                    error: None,
                    offers: Offers::default(),
                });
            }
            Act::SearchBack => self.find(true, effects),
            _ => self.find(false, effects),
        }
    }

    /// Takes what was typed as what is sought, and goes to the next row that fits; nothing ends the search.
    pub(super) fn begin_search(&mut self, effects: &mut Vec<Effect>) {
        let Some(Overlay::Search { line, .. }) = &self.overlay else {
            return;
        };
        let text = line.text().trim().to_owned();
        match self.parse(self.bar_list(), &text) {
            Ok(query) => {
                self.overlay = None;
                self.searches.keep(&text);
                self.search = (!query.is_empty()).then(|| Search::new(&text, &query));
                if self.search.is_some() {
                    self.find(false, effects);
                }
            }
            Err(_) => self.check_line(),
        }
    }

    /// Looks for the next row that fits, below the selected one or, if so wanted, above it.
    fn find(&mut self, above: bool, effects: &mut Vec<Effect>) {
        let Some(search) = &self.search else {
            return;
        };
        let Some((list, from)) = self.selected().map(|(list, row)| (list, row.key.clone())) else {
            return self.say("there is no row to search", Meaning::Warning);
        };
        match self.with_filter(list, search) {
            Ok(query) => {
                // Down is towards newer rows where the oldest come first.
                let newer = above == (self.place().order == Order::Newest);
                self.ticket += 1;
                self.finding = Some(self.ticket);
                self.looking = None;
                effects.push(Effect::Find {
                    ticket: self.ticket,
                    list,
                    query,
                    from,
                    newer,
                });
            }
            // Of another list: what was sought there means nothing here.
            Err(error) => self.say(error.to_string(), Meaning::Warning),
        }
    }

    /// The rows of this place that fit a search.
    fn with_filter(&self, list: List, search: &Search) -> Result<Query, QueryError> {
        let filter = self.parse(list, &self.place().query)?;
        let sought = self.parse(list, &search.text)?;
        Ok(filter.and(&sought.with_words(&|word| self.shown_as(list, word))))
    }

    /// What else shows `word` in a row of `list`, beside its reader and plan: a reason, a state, a type.
    fn shown_as(&self, list: List, word: &str) -> Vec<Query> {
        let keys: &[Key] = match list {
            List::Events => &[Key::Type],
            List::Subscriptions => &[Key::Reason, Key::Status],
            List::Cancellations => &[Key::Reason, Key::Actor],
            List::Consents | List::Changes => &[Key::State],
            _ => &[],
        };
        let term = |key: &Key| format!("{key}:{}", literal_text(word));
        // A word that is none of this key is not meant.
        keys.iter()
            .filter_map(|key| self.parse(list, &term(key)).ok())
            .collect()
    }

    /// Asks which of the rows that fit the one of `key` is; whatever else is asked for goes first.
    fn ask_rank(&mut self, key: RowKey, effects: &mut Vec<Effect>) {
        let (Some(list), Some(search)) = (self.place().screen.list(), &self.search) else {
            return;
        };
        if let Ok(query) = self.with_filter(list, search) {
            self.ticket += 1;
            self.ranking = Some(self.ticket);
            effects.push(Effect::Rank {
                ticket: self.ticket,
                list,
                query,
                order: self.place().order,
                key,
            });
        }
    }

    pub(super) fn take_rank(&mut self, ticket: u64, rank: Rank) {
        if self.ranking == Some(ticket) {
            self.ranking = None;
            self.rank = Some(rank);
            self.dirty = true;
        }
    }

    /// Which of the rows that fit the search is selected, where that is known.
    pub fn rank(&self) -> Option<&Rank> {
        let (list, row) = self.selected()?;
        let is_it = |rank: &&Rank| rank.list == list && rank.key == row.key;
        self.rank.as_ref().filter(is_it)
    }

    pub(super) fn take_found(
        &mut self,
        ticket: u64,
        found: Option<(RowKey, bool)>,
        effects: &mut Vec<Effect>,
    ) {
        if self.finding != Some(ticket) {
            return;
        }
        self.finding = None;
        self.looking = None;
        self.dirty = true;
        let sought = self.search.as_ref().map_or("", |search| &search.text);
        let Some((key, wrapped)) = found else {
            let why = format!("no row of this list fits {sought}");
            (self.rank, self.ranking) = (None, None);
            return self.say(why, Meaning::Warning);
        };
        if wrapped {
            let own = self.window.row().is_some_and(|row| row.key == key);
            let said = if own {
                format!("only this row fits {sought}")
            } else {
                "over the end of the list".to_owned()
            };
            self.say(said, Meaning::Warning);
        }
        let height = self.layout().rows();
        let Some(place) = self.window.rows.iter().position(|row| row.key == key) else {
            let from = From::Cursor(Cursor::From(key.clone()));
            self.ask_page(from, Fill::Replace, Some(key.clone()), effects);
            return self.ask_rank(key, effects);
        };
        let there = isize::try_from(place).unwrap_or(isize::MAX);
        let here = isize::try_from(self.window.selected).unwrap_or(isize::MAX);
        self.window.step_by(there - here, height);
        self.settle(effects);
        self.keep_record(effects);
        self.ask_rank(key, effects);
    }

    /// Asks which part of the filter hides all rows, where it has several and there is no row.
    pub(super) fn ask_what_hides(&mut self, fill: Fill, effects: &mut Vec<Effect>) {
        let Some(list) = self.place().screen.list() else {
            return;
        };
        if !self.window.rows.is_empty() {
            self.hiding = None;
        } else if (fill == Fill::Replace || self.hiding.is_none())
            && let Ok(query) = self.parse(list, &self.place().query)
            && query.parts().len() > 1
        {
            effects.push(Effect::Hiding {
                ticket: self.ticket,
                list,
                query,
            });
        }
    }

    pub(super) fn take_hiding(&mut self, ticket: u64, part: Option<usize>) {
        if ticket == self.ticket && self.window.rows.is_empty() {
            self.dirty |= self.hiding != part;
            self.hiding = part;
        }
    }

    /// The part of the filter that hides all rows, as it was typed.
    pub fn hiding_term(&self) -> Option<String> {
        let list = self.place().screen.list()?;
        let query = self.parse(list, &self.place().query).ok()?;
        let part = query.parts().get(self.hiding?)?.to_string();
        Some(self.query_masked(list, &part))
    }

    pub(super) fn take_looking(&mut self, progress: Progress) {
        if self.is_reading() && self.looking != Some(progress) {
            self.dirty = true;
            self.looking = Some(progress);
        }
    }
}
