//! Why actions are impossible at the moment, for the table of actions.

use crate::tui::app::App;
use crate::tui::app::record::{events_of, first_event, reader_of, seq_of};
use crate::tui::place::{Face, Screen};
use crate::tui::record::Record;

impl App {
    /// There is no filter to drop.
    pub fn why_no_clear(&self) -> Option<&'static str> {
        self.place().query.is_empty().then_some("no filter is set")
    }

    /// The body is not shown, or is no JSON.
    pub fn why_no_pretty(&self) -> Option<&'static str> {
        let raw = self.place().pane.is_some_and(|pane| pane.face == Face::Raw);
        let json = self.record.as_ref().is_some_and(Record::is_json);
        (!raw || !json).then_some("only the body of a webhook in JSON can be indented")
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
        let door = self.selected().and_then(|(list, row)| reader_of(list, row));
        door.is_none().then_some("no reader is named here")
    }

    /// There are no links.
    pub fn why_no_card(&self) -> Option<&'static str> {
        self.card().is_none().then_some("no link is selected")
    }

    /// Nothing was sought yet.
    pub fn why_no_search(&self) -> Option<&'static str> {
        self.search
            .is_none()
            .then_some("nothing is sought yet: s begins")
    }

    /// This screen is no list.
    pub fn why_no_view(&self) -> Option<&'static str> {
        self.views
            .is_empty()
            .then_some("no filter is saved yet: `:save NAME` keeps one")
    }
}
