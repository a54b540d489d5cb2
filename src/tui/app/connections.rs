//! Connections: accounts, what is known of each, the links to paste.

use std::ops::Range;

use crate::domain::page::List;
use crate::domain::query::{Vocabulary, value_text};
use crate::tui::app::App;
use crate::tui::app::message::Effect;
use crate::tui::facts::{Connection, Door, Fact};
use crate::tui::place::{Place, Screen};
use crate::tui::{LinkCard, Missing};

/// One account on Connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The provider's id.
    pub provider: String,
    /// The account.
    pub account: String,
    /// What the publisher calls it.
    pub name: String,
    /// Its links, by their places; empty where the settings do not name it.
    pub links: Range<usize>,
}

/// What can be selected on the page of one account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stop<'a> {
    /// Something that is known of it.
    Fact(&'a Fact),
    /// A key that its settings lack.
    Add(&'a Missing),
    /// A link.
    Link(&'a LinkCard),
}

impl Stop<'_> {
    /// What it is known by while the rest of the page changes.
    fn key(&self) -> (u8, &str) {
        match self {
            Self::Fact(fact) => (0, &fact.title),
            Self::Add(missing) => (1, &missing.setting),
            Self::Link(card) => (2, &card.hook),
        }
    }
}

impl App {
    /// The card that keys act on.
    pub fn card(&self) -> Option<&LinkCard> {
        // A made-up ledger shows none.
        if self.demo {
            return None;
        }
        let line = self.place().line;
        match self.place().screen {
            Screen::Connections => self
                .links
                .get(self.accounts().get(line)?.links.clone())?
                .first(),
            Screen::Account(account) => match self.stops(account).get(line)? {
                Stop::Link(card) => Some(card),
                Stop::Fact(_) | Stop::Add(_) => None,
            },
            Screen::Today | Screen::List(_) => None,
        }
    }

    /// Those of the settings in the order of their links, then whoever else sent something or was turned away.
    pub fn accounts(&self) -> Vec<Account> {
        let mut end = 0;
        let mut accounts: Vec<Account> = self
            .links
            .chunk_by(|one, next| (&one.provider, &one.account) == (&next.provider, &next.account))
            .map(|links| {
                let start = end;
                end += links.len();
                Account {
                    provider: links[0].provider.clone(),
                    account: links[0].account.clone(),
                    name: links[0].name.clone(),
                    links: start..end,
                }
            })
            .collect();
        for known in &self.connections {
            let is_it =
                |one: &Account| (&one.provider, &one.account) == (&known.provider, &known.account);
            if !accounts.iter().any(is_it) {
                accounts.push(Account {
                    provider: known.provider.clone(),
                    account: known.account.clone(),
                    name: known.name.clone(),
                    links: 0..0,
                });
            }
        }
        accounts
    }

    /// What is known of an account.
    pub fn known(&self, account: &Account) -> Option<&Connection> {
        self.connections.iter().find(|known| {
            (&known.provider, &known.account) == (&account.provider, &account.account)
        })
    }

    /// All that can be selected on the page of the account at this place, from its top.
    pub fn stops(&self, account: usize) -> Vec<Stop<'_>> {
        let accounts = self.accounts();
        let Some(account) = accounts.get(account) else {
            return Vec::new();
        };
        let known = self.known(account).into_iter();
        let facts = known.flat_map(|known| known.old.iter().chain(&known.facts));
        let cards = self.links.get(account.links.clone()).unwrap_or_default();
        let add = cards.first().into_iter().flat_map(|card| &card.add);
        facts
            .map(Stop::Fact)
            .chain(add.map(Stop::Add))
            .chain(cards.iter().map(Stop::Link))
            .collect()
    }

    /// The line to begin with: where nothing has come yet, the first link, for that is what is wanted then.
    pub(super) fn first_stop(&self, account: usize) -> usize {
        let stops = self.stops(account);
        let has_list = |stop: &Stop<'_>| matches!(stop, Stop::Fact(fact) if fact.door.is_some());
        let link = stops.iter().position(|stop| matches!(stop, Stop::Link(_)));
        link.filter(|_| !stops.iter().any(has_list)).unwrap_or(0)
    }

    /// The same line stays selected where lines before it came or went.
    pub(super) fn take_connections(&mut self, connections: Vec<Connection>) {
        self.dirty |= self.connections != connections;
        let line = self.place().line;
        let was = match self.place().screen {
            Screen::Account(account) => self.stops(account).get(line).map(|stop| {
                let (kind, name) = stop.key();
                (account, kind, name.to_owned())
            }),
            _ => None,
        };
        let is_first = self.connections.is_empty();
        self.connections = connections;
        // What is the matter is what is looked for.
        if is_first && self.place().screen == Screen::Connections && line == 0 {
            let accounts = self.accounts();
            let is_troubled =
                |account: &Account| self.known(account).is_some_and(Connection::is_troubled);
            let troubled = accounts.iter().position(is_troubled);
            self.history.here_mut().line = troubled.unwrap_or(0);
        }
        if let Some((account, kind, name)) = was {
            let stops = self.stops(account);
            let is_it = |stop: &Stop<'_>| stop.key() == (kind, name.as_str());
            // Of several by one name the same one, unless it moved.
            let still = stops.get(line).is_some_and(is_it);
            let again = stops.iter().position(is_it).filter(|_| !still);
            if let Some(again) = again {
                self.history.here_mut().line = again;
            }
        }
        self.clamp_line();
    }

    /// The command that asks for the selected key of the settings.
    pub fn command_to_add(&self) -> Option<String> {
        let Screen::Account(account) = self.place().screen else {
            return None;
        };
        match self.stops(account).get(self.place().line)? {
            Stop::Add(missing) => Some(missing.command()),
            Stop::Fact(_) | Stop::Link(_) => None,
        }
    }

    /// Opens the list behind the selected line of an account.
    pub(super) fn open_stop(&mut self, account: usize, effects: &mut Vec<Effect>) {
        let line = self.place().line;
        let door = match self.stops(account).get(line) {
            Some(Stop::Fact(fact)) => fact.door.clone(),
            Some(Stop::Link(card)) => Some(Door {
                list: List::Deliveries,
                query: format!(
                    "provider:{} account:{} hook:{}",
                    value_text(&card.provider),
                    value_text(&card.account),
                    value_text(&card.hook)
                ),
            }),
            Some(Stop::Add(_)) | None => None,
        };
        if let Some(door) = door {
            self.visit(
                Place::with_query(Screen::List(door.list), door.query),
                effects,
            );
        }
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
