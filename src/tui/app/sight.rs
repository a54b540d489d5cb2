//! How things are shown: the zone of times, the mask over personal data.

use std::ops::Range;

use crate::domain::mask::personal_in;
use crate::domain::page::List;
use crate::domain::time::Zone;
use crate::tui::app::{App, Overlay};
use crate::tui::command;
use crate::tui::theme::Meaning;

impl App {
    /// A filter of `list` as it may be shown.
    pub fn query_masked(&self, list: List, query: &str) -> String {
        match self.mask() {
            Some(mask) => match self.parse(list, query) {
                Ok(query) => mask.query(&query),
                Err(_) => mask.tag(query),
            },
            None => query.to_owned(),
        }
    }

    /// What of the line being typed is not to be seen, in bytes.
    pub fn hidden_in_line(&self) -> Vec<Range<usize>> {
        if !self.masked {
            return Vec::new();
        }
        match &self.overlay {
            Some(Overlay::Bar { line, .. } | Overlay::Search { line, .. }) => {
                personal_in(line.text())
            }
            Some(Overlay::Find { line }) => std::iter::once(0..line.text().len()).collect(),
            Some(Overlay::Command { line, .. }) => {
                let text = line.text();
                // The name of a command is nobody's.
                let list = self.bar_list();
                let from = command::filter_in(text, list).map_or_else(
                    || {
                        text.trim_start()
                            .find(char::is_whitespace)
                            .unwrap_or(text.len())
                    },
                    |(from, _)| from,
                );
                let rest = text.get(from..).unwrap_or_default();
                let found = personal_in(rest).into_iter();
                found
                    .map(|range| range.start + from..range.end + from)
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// The name of a saved filter, or a sentence that may quote what was typed, as it may be shown.
    pub fn name_shown(&self, name: &str) -> String {
        self.mask()
            .map_or_else(|| name.to_owned(), |mask| mask.words(name))
    }

    /// The next zone: the ledger's, UTC, the machine's; each once.
    pub(super) fn next_zone(&mut self) {
        let mut zones = vec![self.zone];
        for zone in [Some(Zone::UTC), self.machine_zone].into_iter().flatten() {
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
        let shown = zones.iter().position(|zone| *zone == self.zone_shown());
        let next = zones[shown.map_or(0, |at| (at + 1) % zones.len())];
        self.other_zone = (next != self.zone).then_some(next);
        let says = match self.other_zone {
            None => format!("times are those of {}, the ledger's zone", next.name()),
            Some(_) => format!(
                "times are shown in {}; days and filters stay those of {}",
                next.name(),
                self.zone.name()
            ),
        };
        self.say(says, Meaning::Good);
        self.lay_out_record();
    }

    pub(super) fn turn_mask(&mut self) {
        self.masked = !self.masked;
        let says = if self.masked {
            "personal data is masked; P shows it, and y still copies it as it is"
        } else {
            "everything is shown"
        };
        self.say(says, Meaning::Good);
        self.lay_out_record();
    }
}
