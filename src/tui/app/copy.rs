//! Handing text to the terminal's clipboard.

use crate::domain::page::{List, Row};
use crate::tui::actions::Act;
use crate::tui::app::App;
use crate::tui::app::message::Effect;
use crate::tui::cell;
use crate::tui::place::Face;
use crate::tui::shell::{self, Shown};
use crate::tui::term::COPY_BYTES_MAX;
use crate::tui::theme::Meaning;

impl App {
    /// Copies the command that brings this screen back: list, filter, selected row.
    pub(super) fn copy_command(&mut self, effects: &mut Vec<Effect>) {
        let shown = Shown {
            list: self.place().screen.list(),
            query: &self.place().query,
            id: match self.window.row() {
                Some(row) => Some(row.key.id),
                None => self.place().seek,
            },
        };
        let command = shell::command(&self.program, &shown);
        self.say(
            format!("handed to the terminal's clipboard: {command}"),
            Meaning::Good,
        );
        effects.push(Effect::Copy(command));
    }

    pub(super) fn copy(&mut self, act: Act, effects: &mut Vec<Effect>) {
        let (what, text) = match (act, self.card()) {
            (Act::Copy, Some(card)) => ("the link", card.url.clone()),
            (Act::CopyCurl, Some(card)) => ("the curl command", card.curl.to_string()),
            (Act::CopySend, Some(card)) => ("the command", card.send()),
            _ => match self.selected() {
                Some((list, row)) => self.copy_of(list, row),
                None => return,
            },
        };
        if text.len() > COPY_BYTES_MAX {
            let text = format!(
                "{what} has {} bytes, the clipboard takes {}: `subledger show` prints it",
                cell::number(text.len() as u64),
                cell::number(COPY_BYTES_MAX as u64)
            );
            return self.say(text, Meaning::Warning);
        }
        let said = match act {
            Act::CopySend => format!("handed to the terminal's clipboard: {text}"),
            _ => format!(
                "{what}, {} bytes, handed to the terminal's clipboard",
                text.len()
            ),
        };
        self.say(said, Meaning::Good);
        effects.push(Effect::Copy(text));
    }

    pub(super) fn copy_of(&self, list: List, row: &Row) -> (&'static str, String) {
        let raw_shown = self.place().pane.is_some_and(|pane| pane.face == Face::Raw);
        let body = self
            .record
            .as_ref()
            .filter(|_| raw_shown)
            .and_then(|record| record.raw.as_ref()?.body.as_deref())
            .and_then(|body| std::str::from_utf8(body).ok());
        match body {
            Some(body) => ("the body", body.to_owned()),
            None => ("the row", cell::json(list, row)),
        }
    }
}
