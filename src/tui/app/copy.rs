//! Handing text to the terminal's clipboard: links and commands at once, what is in a row by a menu.

use std::sync::Arc;

use crate::tui::actions::Act;
use crate::tui::app::message::Effect;
use crate::tui::app::{App, Overlay};
use crate::tui::cell;
use crate::tui::copy::{self, Kept, Menu, Offer, What};
use crate::tui::facts::Period;
use crate::tui::place::{Face, Screen};
use crate::tui::shell::{self, Shown};
use crate::tui::term::COPY_BYTES_MAX;
use crate::tui::theme::Meaning;

/// So many characters of what would be copied are shown.
const BEGINS_MAX: usize = 120;

impl App {
    /// Copies the command that brings this screen back: list, filter, selected row.
    pub(super) fn copy_command(&mut self, effects: &mut Vec<Effect>) {
        let is_today = self.place().screen == Screen::Today;
        let shown = Shown {
            list: self.place().screen.list(),
            period: (is_today && self.period != Period::default()).then_some(&self.period.0),
            masked: self.masked,
            query: &self.place().query,
            order: self.place().order,
            id: match self.window.row() {
                Some(row) => Some(row.key.id),
                None => self.place().seek,
            },
        };
        let command = shell::command(&self.program, &shown);
        let (said, meaning) = if self.is_thrown_away {
            ("q throws this ledger away; until then", Meaning::Warning)
        } else {
            ("handed to the terminal's clipboard", Meaning::Good)
        };
        self.say(format!("{said}: {command}"), meaning);
        effects.push(Effect::Copy(command));
    }

    /// Copies what belongs to a link.
    pub(super) fn copy_link(&mut self, act: Act, effects: &mut Vec<Effect>) {
        if let Some(command) = self.command_to_add().filter(|_| act == Act::Copy) {
            let said = format!("handed to the terminal's clipboard: {command}");
            self.say(said, Meaning::Good);
            return effects.push(Effect::Copy(command));
        }
        let Some(card) = self.card() else { return };
        let (what, text) = match act {
            Act::CopyCurl => ("the curl command", card.curl.to_string()),
            Act::CopySend => ("the command", card.send()),
            _ => ("the link", card.url.clone()),
        };
        let said = match act {
            Act::CopySend => format!("handed to the terminal's clipboard: {text}"),
            _ => handed(what, text.len()),
        };
        self.say(said, Meaning::Good);
        effects.push(Effect::Copy(text));
    }

    /// Opens the menu of what can be copied here.
    pub(super) fn offer_copies(&mut self) {
        let offer = |what: What| {
            let bytes = self.copied(what)?;
            Some(Offer {
                what,
                bytes: bytes.len(),
                begins: beginning(&bytes),
            })
        };
        let offers: Vec<Offer> = What::ALL.into_iter().filter_map(offer).collect();
        if offers.is_empty() {
            return self.say("there is nothing to copy here", Meaning::Warning);
        }
        self.overlay = Some(Overlay::Copy(Menu {
            offers,
            selected: 0,
        }));
    }

    /// Copies what was chosen: over the terminal, or into a file where it is too long or no text.
    pub(super) fn copy(&mut self, what: What, effects: &mut Vec<Effect>) {
        let Some(bytes) = self.copied(what) else {
            let text = format!("there is nothing here that is {}", what.title());
            return self.say(text, Meaning::Warning);
        };
        self.overlay = None;
        let text = std::str::from_utf8(&bytes).ok();
        match text.filter(|text| text.len() <= COPY_BYTES_MAX) {
            Some(text) => {
                self.say(handed(what.title(), text.len()), Meaning::Good);
                effects.push(Effect::Copy(text.to_owned()));
            }
            None => {
                if let Some((list, row)) = self.selected() {
                    effects.push(Effect::Keep(Kept::new(what, list, row, bytes)));
                }
            }
        }
    }

    /// What was chosen in the menu.
    pub(super) fn chosen_copy(&self) -> Option<What> {
        match &self.overlay {
            Some(Overlay::Copy(menu)) => Some(menu.offers.get(menu.selected)?.what),
            _ => None,
        }
    }

    /// The bytes of one line of the menu; `None` where there is no such thing.
    fn copied(&self, what: What) -> Option<Arc<[u8]>> {
        let (list, row) = self.selected()?;
        // What is masked on screen is masked in what is copied.
        let row = &self
            .mask()
            .map_or_else(|| row.clone(), |mask| cell::masked(list, row, mask));
        let of_text = |text: String| Arc::from(text.into_bytes());
        let text = match what {
            What::Row => cell::json(list, row),
            What::Csv => copy::csv(row),
            What::Body => return self.record.as_ref()?.shown_body.clone(),
            What::Value | What::Path | What::Json => return self.copied_line(what).map(of_text),
        };
        Some(of_text(text))
    }

    /// What is under the cursor of an opened row.
    fn copied_line(&self, what: What) -> Option<String> {
        let line = self.place().pane?.line;
        if let Some(tree) = self.tree() {
            return Some(match what {
                What::Value => tree.value(line),
                What::Path => tree.path(line),
                _ => tree.json(line).to_owned(),
            });
        }
        let record = self.record.as_ref()?;
        let source = record.rows.source_of(line);
        match (what, source) {
            (What::Value, Some(source)) => Some(source.value.clone()),
            (What::Path, Some(source)) => Some(source.name.clone()),
            (What::Value, None) if self.face() == Some(Face::Raw) => {
                let above = record.rows.lines.len();
                let bytes = record.dump.as_ref()?.bytes(line.checked_sub(above)?);
                Some(std::str::from_utf8(bytes).ok()?.to_owned())
            }
            (What::Value, None) => {
                let text: String = record
                    .line(line)?
                    .pieces
                    .iter()
                    .map(|piece| piece.text.as_str())
                    .collect();
                (!text.trim().is_empty()).then_some(text)
            }
            _ => None,
        }
    }
}

fn handed(what: &str, bytes: usize) -> String {
    format!(
        "{what}, {}, handed to the terminal's clipboard",
        cell::counted(bytes as u64, "byte", "bytes")
    )
}

fn beginning(bytes: &[u8]) -> String {
    let end = bytes.len().min(BEGINS_MAX * 4);
    String::from_utf8_lossy(&bytes[..end])
        .chars()
        .take(BEGINS_MAX)
        .collect()
}
