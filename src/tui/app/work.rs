//! What writes into the ledger: asking first, having it done, following it.

use crate::domain::page::{Count, List};
use crate::domain::query::value_text;
use crate::domain::time::Timestamp;
use crate::store::query::View;
use crate::store::task::{Progress, Task, TaskReport, Which};
use crate::tui::actions::Act;
use crate::tui::app::message::Effect;
use crate::tui::app::{App, Overlay};
use crate::tui::cell;
use crate::tui::place::Screen;
use crate::tui::record::Gone;
use crate::tui::theme::Meaning;
use crate::tui::ways::{events_of, seq_of};
use crate::tui::work::{Question, Weight, Work};

/// The filter for what was kept and not understood.
const NOT_UNDERSTOOD: &str = "is:quarantined";

/// What one task is about: rows in words, one and several.
type Nouns = (&'static str, &'static str);

/// Asking.
impl App {
    /// Asks before `task`; how many rows of `list` fit `query` is counted meanwhile.
    fn ask_task(
        &mut self,
        what: String,
        of: Option<(List, &str, Nouns)>,
        task: Task,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(work) = &self.work {
            return self.say(busy(work), Meaning::Warning);
        }
        let of = of.and_then(|(list, text, nouns)| {
            let query = self.parse(list, text).ok()?;
            self.ticket += 1;
            let ticket = self.ticket;
            effects.push(Effect::Weigh {
                ticket,
                list,
                query: query.clone(),
            });
            Some(Weight {
                ticket,
                list,
                query,
                nouns,
                count: None,
            })
        });
        let question = Question { what, of, task };
        self.overlay = Some(Overlay::Ask(Box::new(question)));
        self.dirty = true;
        self.settle(effects);
    }

    pub(super) fn take_weight(&mut self, ticket: u64, count: Count) {
        if let Some(Overlay::Ask(question)) = &mut self.overlay
            && let Some(of) = question.of.as_mut().filter(|of| of.ticket == ticket)
        {
            of.count = Some(count);
            self.dirty = true;
        }
    }

    /// Any key but `y`.
    pub(super) fn leave_question(&mut self) {
        self.overlay = None;
        self.say("nothing was changed", Meaning::Plain);
    }

    pub(super) fn answer_yes(&mut self, effects: &mut Vec<Effect>) {
        if let Some(Overlay::Ask(question)) = self.overlay.take() {
            self.begin(question.task, effects);
        }
    }

    /// Asks before the last review is taken back: pressed twice it would be the one before, too.
    pub(super) fn ask_undo(&mut self, effects: &mut Vec<Effect>) {
        let Some((_, at)) = self.last_review else {
            return self.say("nothing was reviewed yet", Meaning::Warning);
        };
        let what = format!("Take back the review of {}", self.when().short(at));
        self.ask_task(what, None, Task::UndoReview, effects);
    }

    /// Asks before a saved filter is deleted.
    pub(super) fn ask_drop(&mut self, name: String) {
        let what = format!("Delete the saved filter {:?}", self.name_shown(&name));
        self.ask_task(what, None, Task::DropView { name }, &mut Vec::new());
    }

    /// Keeps the filter on screen under a name; asks first where another one has that name.
    pub(super) fn save_view(&mut self, name: String, list: List, effects: &mut Vec<Effect>) {
        let query = self.place().query.clone();
        let order = self.place().order;
        let is_other = |view: &&View| {
            view.name == name && (view.list != list || view.query != query || view.order != order)
        };
        let other = self.views.iter().find(is_other);
        let what = other.map(|other| {
            let was = match self.query_masked(other.list, &other.query) {
                all if all.is_empty() => "all".to_owned(),
                query => query,
            };
            let shown = self.name_shown(&name);
            format!(
                "Replace the saved filter {shown:?}, now {}{} with {was}",
                other.list,
                cell::order(other.order)
            )
        });
        let task = Task::SaveView {
            name,
            list,
            query,
            order,
        };
        match what {
            Some(what) => self.ask_task(what, None, task, effects),
            None => self.begin(task, effects),
        }
    }
}

/// Doing.
impl App {
    /// Has `task` done, unless another one is under way.
    pub(super) fn begin(&mut self, task: Task, effects: &mut Vec<Effect>) {
        if let Some(work) = &self.work {
            return self.say(busy(work), Meaning::Warning);
        }
        self.work = Some(Work::new(task.clone()));
        self.dirty = true;
        effects.push(Effect::Task(task));
    }

    pub(super) fn take_progress(&mut self, progress: Progress) {
        if let Some(work) = &mut self.work {
            self.dirty |= work.progress != progress;
            work.progress = progress;
        }
    }

    pub(super) fn take_done(
        &mut self,
        done: Result<TaskReport, String>,
        effects: &mut Vec<Effect>,
    ) {
        let work = self.work.take();
        match done {
            Ok(report) => {
                let (said, meaning) = match &work {
                    Some(work) => work.said(&report),
                    None => (report.summary, Meaning::Good),
                };
                self.say(said, meaning);
                if let Some(work) = work {
                    self.note_views(work.task);
                }
                // What belongs to an opened row may be another now.
                if let Some(record) = &self.record {
                    let (list, row) = (record.list, record.row.clone());
                    let kinds = self.kinds;
                    effects.push(Effect::Raw { list, row, kinds });
                }
                self.refresh(effects);
            }
            Err(why) => self.say(why, Meaning::Bad),
        }
    }
}

/// What saved filters became.
impl App {
    /// A key that is pressed before the filters are read again knows what was just done to them.
    fn note_views(&mut self, task: Task) {
        match task {
            Task::SaveView {
                name,
                list,
                query,
                order,
            } => {
                let known = self.views.iter().position(|view| view.name == name);
                let pin = known.and_then(|place| self.views.remove(place).pin);
                self.views.push(View {
                    name,
                    list,
                    query,
                    order,
                    pin,
                });
            }
            Task::PinView { name, digit } => {
                for view in &mut self.views {
                    if view.name == name {
                        view.pin = digit;
                    } else if view.pin == digit {
                        view.pin = None;
                    }
                }
            }
            Task::DropView { name } => self.views.retain(|view| view.name != name),
            _ => {}
        }
    }
}

/// What a row lets be done.
impl App {
    pub(super) fn put_right(&mut self, act: Act, effects: &mut Vec<Effect>) {
        let Some((list, row)) = self.selected() else {
            return;
        };
        let value = |name: &str| cell::text_field(list, row, name).unwrap_or_default();
        let seq = seq_of(list, row).unwrap_or_default();
        let from = format!("{}, {}", value("provider"), value("hook"));
        let is_test = cell::is_test(list, row);
        match act {
            Act::Admit => {
                let at = Timestamp::parse(value("received_at"));
                let at = at.map_or_else(String::new, |at| self.when().short(at));
                let what = format!("Judge 1 webhook again and take it in ({from}, {at})");
                let ids = vec![row.key.id.saturating_neg()];
                self.ask_task(what, None, Task::Admit { ids }, effects);
            }
            Act::Retry => {
                let what = format!("Read 1 webhook again ({seq}: {from})");
                let task = Task::RetryThese { seqs: vec![seq] };
                self.ask_task(what, None, task, effects);
            }
            Act::RetryAll => {
                let what = "Read everything again that was not understood".to_owned();
                let of = (List::Deliveries, NOT_UNDERSTOOD, WEBHOOKS);
                self.ask_task(what, Some(of), Task::RetryQuarantine, effects);
            }
            Act::MarkTest => {
                let which = Which::Seqs(vec![seq]);
                let test = !is_test;
                self.begin(Task::MarkTest { which, test }, effects);
            }
            _ => self.ask_mark_reader(effects),
        }
    }

    fn ask_mark_reader(&mut self, effects: &mut Vec<Effect>) {
        let Some((list, row)) = self.selected() else {
            return;
        };
        let value = |name: &str| cell::text_field(list, row, name).map(str::to_owned);
        let Some((which, door)) = value("user_id").zip(events_of(list, row)) else {
            return;
        };
        let test = !cell::is_test(list, row);
        let shown = match self.mask() {
            Some(mask) => mask.tag(&which),
            None => value_text(&which),
        };
        let provider = value("provider").unwrap_or_default();
        let what = if test {
            format!("Mark every webhook of the reader {shown} ({provider}) as a test")
        } else {
            format!("Take the test mark off every webhook of the reader {shown} ({provider})")
        };
        let which = Which::User {
            account: value("account").unwrap_or_default(),
            provider,
            user_id: which,
        };
        let of = (door.list, door.query.as_str(), EVENTS);
        self.ask_task(what, Some(of), Task::MarkTest { which, test }, effects);
    }

    /// What became of the selected webhook, and whether it is one that was turned away.
    fn outcome(&self) -> Option<&str> {
        let (list, row) = self.selected()?;
        (list == List::Deliveries).then(|| cell::text_field(list, row, "outcome"))?
    }

    /// Another task is under way.
    fn why_busy(&self) -> Option<&'static str> {
        self.work
            .is_some()
            .then_some("something else is being written: wait until it is done")
    }

    /// The row is none that was turned away.
    pub fn why_no_admit(&self) -> Option<&'static str> {
        let is_bodiless = self.record.as_ref().is_some_and(|record| {
            record
                .raw
                .as_ref()
                .is_some_and(|raw| matches!(raw.gone, Some(Gone::NotKept(_))))
        });
        match self.outcome() {
            _ if self.place().screen != Screen::DELIVERIES => {
                Some("only a webhook that was turned away is taken in: 7, then is:rejected")
            }
            None => Some("no row is selected"),
            Some("rejected") if is_bodiless => Some("its body was not kept"),
            Some("rejected") => self.why_busy(),
            Some(_) => Some("this one is kept: only what was turned away is taken in"),
        }
    }

    /// The row is none that was not understood.
    pub fn why_no_retry(&self) -> Option<&'static str> {
        match self.outcome() {
            _ if self.place().screen != Screen::DELIVERIES => {
                Some("only a webhook that was not understood is read again: 7, then is:quarantined")
            }
            None => Some("no row is selected"),
            Some("quarantined") => self.why_busy(),
            Some("rejected") => Some("this one was turned away: a takes it in"),
            Some(_) => Some("this one was understood"),
        }
    }

    /// Nothing here is about webhooks.
    pub fn why_no_retry_all(&self) -> Option<&'static str> {
        if self.place().screen == Screen::DELIVERIES {
            self.why_busy()
        } else {
            Some("webhooks are read again from their list: 7")
        }
    }

    /// No single webhook stands behind the row, or none that counts.
    pub fn why_no_mark(&self) -> Option<&'static str> {
        let Some((list, row)) = self.selected() else {
            return Some("no row is selected");
        };
        if self.outcome() == Some("rejected") {
            Some("what was turned away is in no figure: there is nothing to mark")
        } else if seq_of(list, row).is_none() {
            Some("no single webhook stands behind this row: T marks all of its reader")
        } else if cell::text_field(list, row, "erased_at").is_some() {
            Some("its content is erased: it is in no figure")
        } else {
            self.why_busy()
        }
    }

    /// No reader is named.
    pub fn why_no_mark_reader(&self) -> Option<&'static str> {
        let named = self
            .selected()
            .is_some_and(|(list, row)| events_of(list, row).is_some());
        if named {
            self.why_busy()
        } else {
            Some("no reader is named here: T works on rows of a reader, as on 3 Users")
        }
    }
}

const EVENTS: Nouns = ("event", "events");
const WEBHOOKS: Nouns = ("webhook", "webhooks");

fn busy(work: &Work) -> String {
    format!("{} is under way: wait until it is done", work.words())
}
