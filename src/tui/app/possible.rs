//! Why actions are impossible at the moment, for the table of actions.

use crate::domain::page::List;
use crate::tui::app::App;
use crate::tui::app::connections::Stop;
use crate::tui::app::record::first_event;
use crate::tui::place::{Face, Screen};
use crate::tui::ways::{events_of, reader_of, seq_of};

impl App {
    /// There is no filter to drop.
    pub fn why_no_clear(&self) -> Option<&'static str> {
        self.place().query.is_empty().then_some("no filter is set")
    }

    /// The body is not shown as it came.
    pub fn why_no_hex(&self) -> Option<&'static str> {
        let body = self.record.as_ref().and_then(|record| record.body());
        let shown = self.face() == Some(Face::Raw) && body.is_some();
        (!shown).then_some("only a body as it came is shown in hex: Tab turns to it")
    }

    /// Nothing is behind the line that keys act on.
    pub fn why_no_line(&self) -> Option<&'static str> {
        self.line_opens()
            .is_none()
            .then_some("nothing stands behind this line")
    }

    /// The opened row has the whole screen.
    pub fn why_no_share(&self) -> Option<&'static str> {
        let (width, height) = self.size;
        let whole = self
            .share()
            .is_none_or(|share| share.is_whole(width, height));
        whole.then_some("the opened row has the whole screen: z shows its list too")
    }

    /// The terminal is too small for two parts.
    pub fn why_no_whole(&self) -> Option<&'static str> {
        let (width, height) = self.size;
        let share = crate::tui::layout::Share {
            percent: None,
            whole: Some(false),
        };
        share
            .is_whole(width, height)
            .then_some("the terminal is too small for list and row together")
    }

    /// Times here are by the ledger's days.
    pub fn why_no_zone(&self) -> Option<&'static str> {
        self.place()
            .screen
            .list()
            .is_none()
            .then_some("this screen goes by the ledger's days; in lists Z shows other zones")
    }

    /// Nothing is selected.
    pub fn why_no_row(&self) -> Option<&'static str> {
        self.selected().is_none().then_some("no row is selected")
    }

    /// No single webhook stands behind the row.
    pub fn why_no_delivery(&self) -> Option<&'static str> {
        let seq = self.selected().and_then(|(list, row)| seq_of(list, row));
        let here = self.place().screen == Screen::DELIVERIES;
        (here || seq.is_none()).then_some("no single webhook stands behind this row")
    }

    /// Nothing to list the events of.
    pub fn why_no_events(&self) -> Option<&'static str> {
        let door = self.selected().and_then(|(list, row)| events_of(list, row));
        let came = self.record.as_ref().and_then(first_event).is_some();
        (door.is_none() && !came).then_some("no reader, subscription or event is named here")
    }

    /// No reader is named.
    pub fn why_no_reader(&self) -> Option<&'static str> {
        let (list, row) = self.selected()?;
        let why = if list == List::Users {
            "this is the reader's page: Enter opens it in the list"
        } else {
            "no reader is named here"
        };
        reader_of(list, row).is_none().then_some(why)
    }

    /// No link is selected.
    pub fn why_no_card(&self) -> Option<&'static str> {
        let why = if self.links.is_empty() {
            "there are no links here"
        } else {
            "no link is selected: they stand further down"
        };
        self.card().is_none().then_some(why)
    }

    /// Neither a link nor a command is selected.
    pub fn why_no_link(&self) -> Option<&'static str> {
        self.why_no_card()
            .filter(|_| self.command_to_add().is_none())
    }

    /// There are no accounts, or no list stands behind the line of the opened one.
    pub fn why_nothing_opens(&self) -> Option<&'static str> {
        let Screen::Account(account) = self.place().screen else {
            let is_none = self.accounts().is_empty();
            return is_none.then_some("no account is known yet");
        };
        match self.stops(account).get(self.place().line) {
            Some(Stop::Fact(fact)) if fact.door.is_some() => None,
            Some(Stop::Link(_)) => None,
            Some(Stop::Add(_)) => Some("y copies the command, to be run in a shell"),
            Some(Stop::Fact(_)) | None => Some("no list stands behind this line"),
        }
    }

    /// Nothing was sought yet.
    pub fn why_no_search(&self) -> Option<&'static str> {
        let none = self.search.is_none() && !self.seeks_in_record();
        none.then_some("nothing is sought yet: s begins, / in an opened row")
    }

    /// This screen is no list.
    pub fn why_no_view(&self) -> Option<&'static str> {
        self.views
            .is_empty()
            .then_some("no filter is saved yet: `:save NAME` keeps one")
    }
}
