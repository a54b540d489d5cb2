//! Writing what is seen into a file: asking how, following it, leaving it be.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::domain::count::word;
use crate::tui::app::command::format_at;
use crate::tui::app::message::Effect;
use crate::tui::app::{App, Overlay};
use crate::tui::cell;
use crate::tui::command::FileFormat;
use crate::tui::export::{Export, Job, Written};
use crate::tui::shell;
use crate::tui::theme::Meaning;

impl App {
    /// The command that writes what `E` writes, in this format.
    pub fn listing(&self, format: &str) -> String {
        let place = self.place();
        place.screen.list().map_or_else(String::new, |list| {
            shell::listing(&self.program, list, &place.query, place.order, format)
        })
    }

    /// `E` asks how; while one is being written it stops that one.
    pub(super) fn ask_export(&mut self) {
        if let Some(export) = &self.export {
            export
                .stop
                .store(true, std::sync::atomic::Ordering::Relaxed);
            return self.say("leaving the file be", Meaning::Warning);
        }
        self.overlay = Some(Overlay::Export(0));
    }

    pub(super) fn begin_export(&mut self, at: usize, effects: &mut Vec<Effect>) {
        self.overlay = None;
        self.begin_export_as(format_at(at), effects);
    }

    pub(super) fn begin_export_as(&mut self, format: FileFormat, effects: &mut Vec<Effect>) {
        if self.export.is_some() {
            let why = "a file is being written: E leaves it be";
            return self.say(why, Meaning::Warning);
        }
        if self.masked {
            let why = "personal data is masked, and a file would hold it as it is: P first";
            return self.say(why, Meaning::Warning);
        }
        let Some(list) = self.place().screen.list() else {
            return;
        };
        let stop = Arc::new(AtomicBool::new(false));
        self.export = Some(Export {
            rows: 0,
            stop: Arc::clone(&stop),
        });
        effects.push(Effect::Export(Job {
            list,
            query: self.place().query.clone(),
            order: self.place().order,
            format,
            stop,
        }));
    }

    pub(super) fn take_exporting(&mut self, rows: u64) {
        if let Some(export) = &mut self.export {
            self.dirty |= export.rows != rows;
            export.rows = rows;
        }
    }

    pub(super) fn take_exported(&mut self, done: Result<Written, String>) {
        self.export = None;
        match done {
            Ok(written) => {
                let rows = cell::number(written.rows);
                let word = word(written.rows, "row", "rows");
                let said = format!("{rows} {word} in {}", written.path);
                self.say(said, Meaning::Good);
            }
            Err(why) => self.say(why, Meaning::Bad),
        }
    }
}
