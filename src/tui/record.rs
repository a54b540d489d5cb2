//! An opened row and its faces: fields, body, the webhook as it came, history, consent before and after, the reader.
//!
//! Lines of text are laid out once, when the row, the face or the width changes; a body's lines are made as they are
//! drawn. Everything in a line has passed `Printable`.

use std::sync::Arc;

use crate::domain::mask::Mask;
use crate::domain::page::{Cell, Column, List, Row, Shape};
use crate::domain::printable::Printable;
use crate::domain::time::Timestamp;
use crate::store::query::{Around, Kinds, Past, columns};
use crate::tui::cell::{self, Sight, When};
use crate::tui::consent;
use crate::tui::hex::Dump;
use crate::tui::lookup::{self, ReaderPage};
use crate::tui::place::Face;
use crate::tui::reader;
use crate::tui::rows::{Piece, RecordLine, Rows};
use crate::tui::theme::Meaning;
use crate::tui::timeline::{self, Turns};
use crate::tui::tree::{Fault, Tree};
use crate::tui::ways;

/// A webhook as it came, stored or turned away, and what belongs to the row that it is behind.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// What to do about it.
    pub hint: Option<String>,
    /// What else is known of it: a name and a phrase each.
    pub notes: Vec<(String, String)>,
    /// Names and values; credentials are fingerprints.
    pub headers: Vec<(String, String)>,
    /// The exact bytes; `None` where they are not kept.
    pub body: Option<Arc<[u8]>>,
    /// Why there are none.
    pub gone: Option<Gone>,
    /// The rows of `events` that came with it.
    pub events: Vec<Row>,
    /// The events that made the row.
    pub past: Past,
    /// What those events did to the consent that the row is about.
    pub turns: Turns,
    /// What the row did to consents.
    pub around: Option<Around>,
    /// Of a reader: everything.
    pub reader: Option<Box<ReaderPage>>,
}

/// Why a body is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Erased or dropped, when.
    Erased(Option<Timestamp>),
    /// It was turned away and so many bytes were not kept.
    NotKept(i64),
}

/// How a face is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Which face.
    pub face: Face,
    /// Cells across.
    pub width: usize,
    /// The body in hex, text or not.
    pub hex: bool,
    /// Moment, zone and mask.
    pub sight: Sight,
}

/// An opened row.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which list it is a row of.
    pub list: List,
    /// The row.
    pub row: Row,
    /// What belongs to it; `None` while it is looked up, or where nothing does.
    pub raw: Option<Raw>,
    /// It has been looked up.
    pub loaded: bool,
    /// The lines of the face that is shown; of the webhook as it came, those before the body.
    pub rows: Rows,
    /// The body as a tree, once it was asked for.
    pub tree: Option<Result<Tree, Fault>>,
    /// The body in lines, where it is shown as it came.
    pub dump: Option<Dump>,
    /// The body as it is shown: masked where a mask is on.
    pub shown_body: Option<Arc<[u8]>>,
    /// Of a reader: the line that the timeline begins with.
    pub timeline: Option<usize>,
    /// The mask that the tree was made under.
    mask: Option<Mask>,
}

impl Record {
    /// A row whose webhook is still to be looked up.
    pub fn new(list: List, row: Row) -> Self {
        Self {
            list,
            row,
            raw: None,
            loaded: false,
            rows: Rows::default(),
            tree: None,
            dump: None,
            shown_body: None,
            timeline: None,
            mask: None,
        }
    }

    /// What was looked up has come.
    pub fn take(&mut self, raw: Option<Raw>) {
        self.raw = raw;
        self.loaded = true;
        self.tree = None;
    }

    /// The faces that it has, the one shown by itself first.
    pub fn faces(&self) -> &'static [Face] {
        match self.list {
            List::Users => &[Face::Reader, Face::Fields],
            List::Subscriptions => &[Face::Fields, Face::History],
            List::Deliveries => &[Face::Fields, Face::Body, Face::Raw],
            _ if self.is_of_consent() => &[
                Face::Consent,
                Face::Fields,
                Face::Body,
                Face::Raw,
                Face::History,
            ],
            _ => &[Face::Fields, Face::Body, Face::Raw, Face::History],
        }
    }

    fn is_of_consent(&self) -> bool {
        const FAMILIES: [&str; 5] = [
            "consent.",
            "agreement.",
            "experiment.",
            "identity.",
            "consent_evidence.",
        ];
        match self.list {
            List::Consents | List::Changes => true,
            List::Events => cell::text_field(self.list, &self.row, "type")
                .is_some_and(|kind| FAMILIES.iter().any(|family| kind.starts_with(family))),
            _ => false,
        }
    }

    /// The face that is shown where `wanted` was asked for.
    pub fn face(&self, wanted: Option<Face>) -> Face {
        let faces = self.faces();
        wanted
            .filter(|face| faces.contains(face))
            .unwrap_or(faces[0])
    }

    /// The body, if it is there.
    pub fn body(&self) -> Option<&Arc<[u8]>> {
        self.raw.as_ref()?.body.as_ref()
    }

    /// How many lines the face has.
    pub fn len(&self, face: Face) -> usize {
        match (face, &self.tree) {
            (Face::Body, Some(Ok(tree))) => tree.len(),
            (Face::Raw, _) => self.rows.lines.len() + self.dump.as_ref().map_or(0, Dump::len),
            _ => self.rows.lines.len(),
        }
    }

    /// The tree, where the face shows it.
    pub fn tree(&self, face: Face) -> Option<&Tree> {
        match (face, &self.tree) {
            (Face::Body, Some(Ok(tree))) => Some(tree),
            _ => None,
        }
    }

    /// The tree, to fold it.
    pub fn tree_mut(&mut self) -> Option<&mut Tree> {
        self.tree.as_mut()?.as_mut().ok()
    }

    /// The line of text that stands at `line` of a face that is no tree; `None` where the body stands.
    pub fn line(&self, line: usize) -> Option<&RecordLine> {
        self.rows.lines.get(line)
    }

    /// Lays the lines out.
    pub fn lay_out(&mut self, frame: Frame) {
        let mask = frame.sight.mask;
        if self.mask != mask {
            self.mask = mask;
            self.tree = None;
        }
        let mut tree = self.tree.take();
        let masked = mask.map(|mask| self.masked(mask));
        let shown = masked.as_ref().unwrap_or(self);
        let body = shown.body().cloned();
        if let (None, Some(body)) = (&tree, &body) {
            tree = Some(Tree::of(body));
        }
        let when = frame.sight.when;
        let mut rows = Rows::new(frame.width);
        let mut dump = None;
        let mut timeline = None;
        match frame.face {
            Face::Fields => shown.fields(&mut rows, &self.row, when),
            Face::Body => shown.body_lines(&mut rows, tree.as_ref(), when),
            Face::Raw => dump = shown.as_it_came(&mut rows, frame),
            Face::History => shown.history(&mut rows, when),
            Face::Consent => shown.consent(&mut rows, &self.row, when),
            Face::Reader => timeline = shown.reader(&mut rows, when),
        }
        (self.rows, self.tree, self.dump) = (rows, tree, dump);
        self.timeline = timeline;
        self.shown_body = body;
    }

    /// It as a mask shows it.
    fn masked(&self, mask: Mask) -> Self {
        Self {
            raw: self.raw.as_ref().map(|raw| raw.masked(mask)),
            loaded: self.loaded,
            ..Self::new(self.list, cell::masked(self.list, &self.row, mask))
        }
    }
}

impl Raw {
    /// It as a mask shows it.
    fn masked(&self, mask: Mask) -> Self {
        let note = |(label, text): &(String, String)| {
            let text = match label.as_str() {
                "taken in" => text.clone(),
                "asked for" => mask.words(text),
                _ => mask.tag(text),
            };
            (label.clone(), text)
        };
        let header = |(name, value): &(String, String)| (name.clone(), mask.header(name, value));
        let body = self.body.as_ref();
        let event = |row: &Row| cell::masked(List::Events, row, mask);
        let mut around = self.around.clone();
        for one in around.iter_mut().flat_map(|around| &mut around.purposes) {
            for standing in one.before.iter_mut().chain(one.after.as_mut()) {
                standing.evidence = standing.evidence.as_ref().map(|id| mask.tag(id));
            }
        }
        Self {
            notes: self.notes.iter().map(note).collect(),
            headers: self.headers.iter().map(header).collect(),
            body: body.map(|body| Arc::from(mask.body(body).into_bytes())),
            events: self.events.iter().map(event).collect(),
            past: lookup::masked(&self.past, mask),
            around,
            reader: self.reader.as_ref().map(|page| Box::new(page.masked(mask))),
            ..self.clone()
        }
    }
}

/// The columns of a row with their values: as the list has them, what matters most first, then what only machines need.
fn in_order(list: List, row: &Row) -> Vec<(&'static Column, &Cell)> {
    let mut all: Vec<_> = columns(list).iter().zip(&row.cells).collect();
    all.sort_by_key(|(column, _)| {
        let leads = column.shape == Shape::Time && column.priority == 1;
        let for_machines = matches!(column.name, "id" | "n" | "exponent" | "currency" | "day")
            || column.shape == Shape::Real
            || column.name == "amount_text";
        let rank = match column.priority {
            0 if for_machines => 11,
            0 => 10,
            priority => priority,
        };
        (!leads, rank)
    });
    all
}

/// The faces.
impl Record {
    /// `own` is the row without a mask, for the ways on from it.
    fn fields(&self, rows: &mut Rows, own: &Row, when: When) {
        if cell::is_test(self.list, &self.row) {
            rows.put("TEST", "made to try things; in no figure", Meaning::Test);
        }
        let raw = self.raw.as_ref();
        if let Some(hint) = raw.and_then(|raw| raw.hint.as_deref()) {
            rows.put(
                "what to do",
                Printable::line(hint).as_str(),
                Meaning::Strong,
            );
        }
        for (column, value) in in_order(self.list, &self.row) {
            let hidden = matches!(
                column.name,
                "salt" | "commitment" | "link" | "body" | "headers" | "test"
            );
            if self.list == List::Cancellations && column.name == "reason" && *value == Cell::Null {
                // Why is what this row is opened for.
                rows.put(column.title, "not told by the provider", Meaning::Quiet);
            }
            if hidden || *value == Cell::Null {
                continue;
            }
            let text = cell::long(self.list, &self.row, column, value, when.into());
            if text.as_str().is_empty() {
                continue;
            }
            let source = rows.source(column.name, &cell::plain(value));
            let opens = match column.name {
                "seq" if self.list != List::Deliveries => {
                    ways::seq_of(self.list, &self.row).map(ways::delivery)
                }
                "duplicate_of" => value.as_int().map(ways::delivery),
                "user_id" => ways::reader_of(self.list, own),
                "subscription_id" => ways::subscription_of(self.list, own),
                _ => None,
            };
            let label = Printable::line(column.title);
            let line = RecordLine::new(label.as_str()).from(source).opening(opens);
            let meaning = match cell::meaning(self.list, &self.row, column, value) {
                Meaning::Plain if line.opens.is_some() => Meaning::Link,
                meaning => meaning,
            };
            rows.put_line(line, &[Piece::new(text.as_str(), meaning)]);
        }
        let Some(raw) = raw else { return };
        for (label, text) in &raw.notes {
            rows.put(label, Printable::line(text).as_str(), Meaning::Plain);
        }
        if self.list == List::Deliveries {
            rows.gap();
            if raw.events.is_empty() {
                rows.put("events", "none", Meaning::Quiet);
            }
            for row in &raw.events {
                timeline::event(rows, "event", row, when, &[]);
            }
        }
    }

    /// No webhook is known, or none of its bytes: says why. True if it was said.
    fn why_no_body(&self, rows: &mut Rows, when: When) -> bool {
        let raw = match &self.raw {
            Some(raw) => raw,
            None if self.loaded => {
                rows.say("this row is not there any more", Meaning::Quiet);
                return true;
            }
            None => {
                rows.say("looking …", Meaning::Quiet);
                return true;
            }
        };
        if raw.body.is_some() {
            return false;
        }
        match raw.gone {
            Some(Gone::Erased(at)) => {
                let at = at.map_or_else(String::new, |at| format!(" {}", when.long(at)));
                rows.say(
                    &format!("The body was erased or dropped{at}."),
                    Meaning::Warning,
                );
                rows.say(
                    "Its bytes are gone from this ledger; that it came, and when, stays proven.",
                    Meaning::Quiet,
                );
            }
            Some(Gone::NotKept(bytes)) => {
                let bytes = cell::number(bytes.unsigned_abs());
                rows.say(
                    &format!("The body was not kept: {bytes} bytes were turned away."),
                    Meaning::Warning,
                );
            }
            None => rows.say("no single webhook stands behind this row", Meaning::Quiet),
        }
        true
    }

    fn body_lines(&self, rows: &mut Rows, tree: Option<&Result<Tree, Fault>>, when: When) {
        if self.why_no_body(rows, when) {
            return;
        }
        if let Some(Err(fault)) = tree {
            rows.say(&format!("{fault}."), Meaning::Warning);
            rows.say("Tab shows it as it came.", Meaning::Quiet);
        }
    }

    fn as_it_came(&self, rows: &mut Rows, frame: Frame) -> Option<Dump> {
        if let Some(raw) = &self.raw {
            for (name, value) in &raw.headers {
                let source = rows.source(name, value);
                let label = Printable::line(name);
                let line = RecordLine::new(label.as_str()).from(source);
                let value = Printable::line(value);
                rows.put_line(line, &[Piece::new(value.as_str(), Meaning::Plain)]);
            }
            if !raw.headers.is_empty() {
                rows.gap();
            }
        }
        if self.why_no_body(rows, frame.sight.when) {
            return None;
        }
        let body = self.body()?.clone();
        let is_empty = body.is_empty();
        let bytes = cell::counted(body.len() as u64, "byte", "bytes");
        let dump = Dump::new(body, frame.width, frame.hex);
        let shown = match (dump.is_hex(), frame.hex) {
            (false, _) => "text",
            (true, true) => "in hex",
            (true, false) => "no text, so in hex",
        };
        rows.put("body", &format!("{bytes}, {shown}"), Meaning::Quiet);
        (!is_empty).then_some(dump)
    }

    fn history(&self, rows: &mut Rows, when: When) {
        let Some(raw) = &self.raw else {
            rows.say("looking …", Meaning::Quiet);
            return;
        };
        let own = (self.list == List::Events).then_some(self.row.key.id);
        timeline::history(rows, &raw.past, own, &raw.turns, when);
    }

    fn consent(&self, rows: &mut Rows, own: &Row, when: When) {
        match self.raw.as_ref().map(|raw| &raw.around) {
            None if !self.loaded => rows.say("looking …", Meaning::Quiet),
            Some(Some(around)) => consent::lay_out(rows, self.list, [&self.row, own], around, when),
            _ if cell::is_test(self.list, &self.row) => rows.say(
                "Made to try things: no consent of this reader changed by it.",
                Meaning::Test,
            ),
            _ => rows.say(
                "This names no reader, so no consent changed by it. Tab shows its fields.",
                Meaning::Quiet,
            ),
        }
    }

    /// Where the timeline begins.
    fn reader(&self, rows: &mut Rows, when: When) -> Option<usize> {
        match self.raw.as_ref().map(|raw| &raw.reader) {
            Some(Some(page)) => return Some(reader::lay_out(rows, page, when)),
            None if !self.loaded => rows.say("looking …", Meaning::Quiet),
            _ => rows.say("this reader is not known any more", Meaning::Quiet),
        }
        None
    }

    /// What the timeline is narrowed to.
    pub fn kinds(&self) -> Option<Kinds> {
        Some(self.raw.as_ref()?.reader.as_ref()?.kinds)
    }
}

/// Searching.
impl Record {
    /// The next line after `line` that holds `text`, in any case, from the other end again after the last, and whether
    /// it began again. What hides it in a tree is opened.
    pub fn find(
        &mut self,
        face: Face,
        text: &str,
        line: usize,
        forward: bool,
    ) -> Option<(usize, bool)> {
        if face == Face::Body
            && let Some(tree) = self.tree_mut()
        {
            return tree.find(text, line, forward);
        }
        let wanted = text.to_lowercase();
        let above = self.rows.lines.len();
        let count = self.len(face);
        let holds = |at: usize| match self.rows.lines.get(at) {
            Some(line) => line.text().to_lowercase().contains(&wanted),
            None => self
                .dump
                .as_ref()
                .is_some_and(|dump| dump.begins(text, at - above)),
        };
        (1..=count).find_map(|step| {
            let at = if forward {
                (line + step) % count
            } else {
                (line + count - step % count) % count
            };
            let again = if forward { at <= line } else { at >= line };
            holds(at).then_some((at, again))
        })
    }
}
