//! What the screen is at the moment, and how it changes: `update` takes a message and says what is to be done.
//!
//! Plain data and pure functions: never the store, the terminal or the clock.

use std::ops::Range;

use crate::domain::page::{Choice, Count, Cursor, List, Page, Row, RowKey};
use crate::domain::query::{self, Query, QueryError, Vocabulary, Words, value_text};
use crate::domain::time::{MINUTE_MS, Timestamp, Zone};
use crate::store::task::Task;
use crate::tui::actions::{self, Act, Key, Scope};
use crate::tui::cell::{self, When};
use crate::tui::edit::Line;
use crate::tui::facts::{Arrived, Connection, Door, Period, Status, Today};
use crate::tui::jump;
use crate::tui::layout::{Layout, SIZE_MIN};
use crate::tui::picker::Picker;
use crate::tui::place::{Face, History, Pane, Place, Screen};
use crate::tui::record::{Raw, Record};
use crate::tui::term::COPY_BYTES_MAX;
use crate::tui::theme::{Meaning, Theme};
use crate::tui::window::{Edge, Fill, Newer, Window};
use crate::tui::{Leave, LinkCard, OnQuit};

/// Counting stops here: `>10,000`.
pub const COUNT_MAX: u64 = 10_000;

/// The keys of the filter that are about time.
const TIME_KEYS: [query::Key; 5] = [
    query::Key::Since,
    query::Key::Until,
    query::Key::At,
    query::Key::Day,
    query::Key::Received,
];

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this size now.
    Resize(u16, u16),
    /// Time went on.
    Tick(Timestamp),
    /// The ledger can be read.
    Opened(Opened),
    /// The ledger cannot be read: why. It is tried again every second.
    Trouble(String),
    /// Something was written to the ledger.
    Changed,
    /// The state of the ledger.
    Status(Status),
    /// What filters can name, and up to which delivery, and when, everything was reviewed.
    Words(Vocabulary, Option<(i64, Timestamp)>),
    /// Rows that were asked for.
    Page {
        /// Which request this answers.
        ticket: u64,
        /// The rows, or why there are none.
        page: Result<Page, String>,
        /// What came since the head was last in sight.
        newer: Newer,
    },
    /// The rows of the whole list were counted.
    Count {
        /// Which request this answers.
        ticket: u64,
        /// How many.
        count: Count,
    },
    /// The webhook behind the opened row; `None` if there is none.
    Raw {
        /// Which row of which list.
        of: (List, RowKey),
        /// The webhook.
        raw: Option<Box<Raw>>,
    },
    /// Choices that were asked for.
    Choices {
        /// Which request this answers.
        ticket: u64,
        /// Of which key.
        key: &'static str,
        /// The choices.
        choices: Vec<Choice>,
    },
    /// The daily review.
    Today(Period, Today),
    /// What is known of each account.
    Connections(Vec<Connection>),
    /// The links by the settings as they are now, or why those do not hold.
    Links(Result<Vec<LinkCard>, String>),
    /// A task is done: what to say of it.
    Done(Result<String, String>),
}

/// What the worker found when it opened the ledger.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The zone of days.
    pub zone: Zone,
    /// What filters can name.
    pub vocabulary: Vocabulary,
    /// Up to which delivery, and when, everything was reviewed.
    pub last_review: Option<(i64, Timestamp)>,
    /// The state of the ledger.
    pub status: Status,
}

/// Rows to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Comes back with the answer.
    pub ticket: u64,
    /// The list.
    pub list: List,
    /// The filter.
    pub query: Query,
    /// Which rows.
    pub from: From,
    /// At most so many.
    pub limit: usize,
    /// Count what is newer than this row.
    pub head: Option<RowKey>,
}

/// Where reading begins.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// At this place.
    Cursor(Cursor),
    /// At this delivery.
    Seq(i64),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Read rows.
    Load(Load),
    /// Count the rows of a list.
    Count {
        /// Comes back with the answer.
        ticket: u64,
        /// The list.
        list: List,
        /// The filter.
        query: Query,
    },
    /// Look up the webhook behind a row.
    Raw {
        /// The list.
        list: List,
        /// The row.
        row: Row,
    },
    /// Count the choices of every part of the picker.
    Choices {
        /// Comes back with the answers.
        ticket: u64,
        /// The list.
        list: List,
        /// The filter.
        query: Query,
    },
    /// Make up the daily review.
    Today(Period),
    /// Look at every account.
    Connections,
    /// Look at the ledger's state and words.
    Status,
    /// Have something written.
    Task(Task),
    /// Hand text to the terminal's clipboard.
    Copy(String),
    /// Hand the terminal back to the shell.
    Suspend,
    /// Write the whole screen anew.
    Redraw,
    /// Close the screen.
    Leave(Leave),
}

/// What stands over the screen and takes the keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// The filter being typed, and what is wrong with it.
    Bar {
        /// The text.
        line: Line,
        /// What does not parse.
        error: Option<QueryError>,
    },
    /// The time being typed.
    Time {
        /// The text.
        line: Line,
        /// It names no time.
        wrong: bool,
    },
    /// The choices of a filter.
    Picker(Picker),
    /// The keys, from this line on.
    Help(usize),
    /// The question on leaving.
    Leaving,
}

/// The receiver, as the screen knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    /// Where it listens.
    pub address: String,
    /// Its process.
    pub pid: Option<u32>,
    /// It was started together with this screen.
    pub ours: bool,
}

/// What was read is on its way.
#[derive(Clone, Debug)]
struct Pending {
    ticket: u64,
    fill: Fill,
    keep: Option<RowKey>,
    may_retry: bool,
}

/// A short message at the foot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// How it looks.
    pub meaning: Meaning,
}

/// The whole state of the screen.
#[derive(Clone, Debug)]
pub struct App {
    /// The present moment.
    pub now: Timestamp,
    /// The ledger's zone.
    pub zone: Zone,
    /// How things look.
    pub theme: Theme,
    /// Cells across and down.
    pub size: (u16, u16),
    /// The ledger is made up.
    pub demo: bool,
    /// The receiver.
    pub receiver: Receiver,
    /// What happens on `q` where the receiver is ours.
    pub on_quit: OnQuit,
    /// The links to paste.
    pub links: Vec<LinkCard>,
    /// Where we are and were.
    pub history: History,
    /// The rows at hand.
    pub window: Window,
    /// The opened row.
    pub record: Option<Record>,
    /// The daily review.
    pub today: Option<Today>,
    /// Its period.
    pub period: Period,
    /// What is known of each account.
    pub connections: Vec<Connection>,
    /// The state of the ledger; `None` until it could be read once.
    pub status: Option<Status>,
    /// What stands over the screen.
    pub overlay: Option<Overlay>,
    /// A message, until the next key.
    pub notice: Option<Notice>,
    /// Why the ledger cannot be read at the moment.
    pub trouble: Option<String>,
    /// Why the settings file does not hold at the moment.
    pub settings_fault: Option<String>,
    /// Something changed that can be seen.
    pub dirty: bool,
    vocabulary: Vocabulary,
    last_review: Option<(i64, Timestamp)>,
    ticket: u64,
    pending: Option<Pending>,
    counting: Option<u64>,
    stale: bool,
    asked_query: Option<String>,
}

/// What a screen begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The present moment.
    pub now: Timestamp,
    /// Cells across and down.
    pub size: (u16, u16),
    /// How things look.
    pub theme: Theme,
    /// The ledger is made up.
    pub demo: bool,
    /// The receiver.
    pub receiver: Receiver,
    /// What happens on `q` where the receiver is ours.
    pub on_quit: OnQuit,
    /// The links to paste.
    pub links: Vec<LinkCard>,
    /// Begin with Events and this filter.
    pub query: Option<String>,
}

/// Every order in which scopes are looked through.
pub const CHAINS: &[&[Scope]] = &[
    &[Scope::Bar, Scope::Typing, Scope::Always],
    &[Scope::Time, Scope::Typing, Scope::Always],
    &[Scope::Picker, Scope::Always],
    &[Scope::Help, Scope::Always],
    &[Scope::Leaving, Scope::Always],
    &[Scope::Pane, Scope::Record, Scope::Anywhere, Scope::Always],
    &[Scope::Today, Scope::Anywhere, Scope::Always],
    &[Scope::Connections, Scope::Anywhere, Scope::Always],
    &[
        Scope::Rows,
        Scope::Consent,
        Scope::Record,
        Scope::Anywhere,
        Scope::Always,
    ],
    &[Scope::Rows, Scope::Record, Scope::Anywhere, Scope::Always],
];

impl App {
    /// The screen before anything is known of the ledger.
    pub fn new(start: Start) -> Self {
        Self {
            now: start.now,
            zone: Zone::UTC,
            theme: start.theme,
            size: start.size,
            demo: start.demo,
            receiver: start.receiver,
            on_quit: start.on_quit,
            history: History::new(Place::new(if start.query.is_some() {
                Screen::EVENTS
            } else {
                Screen::Connections
            })),
            window: Window::default(),
            record: None,
            today: None,
            period: Period::default(),
            connections: Vec::new(),
            status: None,
            overlay: None,
            notice: None,
            trouble: None,
            settings_fault: None,
            dirty: true,
            vocabulary: with_links(Vocabulary::default(), &start.links),
            links: start.links,
            last_review: None,
            ticket: 0,
            pending: None,
            counting: None,
            stale: false,
            asked_query: start.query,
        }
    }

    /// The same state in a terminal of another size.
    #[must_use]
    pub fn at_size(&self, width: u16, height: u16) -> Self {
        let mut app = self.clone();
        app.size = (width, height);
        let rows = app.layout().rows();
        app.window.settle(rows);
        app.lay_out_record();
        app
    }

    /// The place on screen.
    pub fn place(&self) -> &Place {
        self.history.here()
    }

    /// Now, and the zone it is shown in.
    pub fn when(&self) -> When {
        When {
            now: self.now,
            zone: self.zone,
        }
    }

    /// What has been stored, as far as is known.
    pub fn arrived(&self) -> Arrived {
        self.status
            .as_ref()
            .map_or(Arrived::Nothing, |status| status.arrived)
    }

    /// What goes where.
    pub fn layout(&self) -> Layout {
        let (width, height) = self.size;
        let foot_lines = match &self.overlay {
            Some(Overlay::Bar { error: Some(_), .. }) => 2,
            _ => 1,
        };
        Layout::of(width, height, self.place().pane.is_some(), foot_lines)
    }

    /// Where keys are read at the moment.
    pub fn scopes(&self) -> &'static [Scope] {
        match &self.overlay {
            Some(Overlay::Bar { .. }) => CHAINS[0],
            Some(Overlay::Time { .. }) => CHAINS[1],
            Some(Overlay::Picker(_)) => CHAINS[2],
            Some(Overlay::Help(_)) => CHAINS[3],
            Some(Overlay::Leaving) => CHAINS[4],
            None => self.place_scopes(),
        }
    }

    /// Where keys are read once nothing stands over the screen.
    pub fn place_scopes(&self) -> &'static [Scope] {
        match self.place().screen {
            _ if self.place().pane.is_some() => CHAINS[5],
            Screen::Today => CHAINS[6],
            Screen::Connections | Screen::Account(_) => CHAINS[7],
            Screen::CONSENTS | Screen::CHANGES => CHAINS[8],
            Screen::List(_) => CHAINS[9],
        }
    }

    /// Rows are on their way and none of this place are on screen yet.
    pub fn is_waiting(&self) -> bool {
        self.pending.is_some() && !self.window.loaded && self.place().screen.list().is_some()
    }

    /// The selected row and its list.
    pub fn selected(&self) -> Option<(List, &Row)> {
        Some((self.place().screen.list()?, self.window.row()?))
    }

    /// The card that keys act on.
    pub fn card(&self) -> Option<&LinkCard> {
        let line = self.place().line;
        let at = match self.place().screen {
            Screen::Connections => self.accounts().get(line)?.start,
            Screen::Account(account) => self.accounts().get(account)?.start + line,
            Screen::Today | Screen::List(_) => return None,
        };
        // A made-up ledger shows none.
        if self.demo {
            return None;
        }
        self.links.get(at)
    }

    /// Which links belong to one account each, in the order of the links.
    pub fn accounts(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        self.links
            .chunk_by(|one, next| (&one.provider, &one.account) == (&next.provider, &next.account))
            .map(|links| {
                let start = end;
                end += links.len();
                start..end
            })
            .collect()
    }

    fn words(&self, list: List) -> Words<'_> {
        Words {
            now: self.now,
            zone: self.zone,
            list,
            last_review: self.last_review,
            stored: &self.vocabulary,
        }
    }

    /// The filter of this place is all about time.
    pub fn filters_time_only(&self) -> bool {
        let Some(list) = self.place().screen.list() else {
            return false;
        };
        let times = [
            Query::default(),
            self.parse(list, &self.place().query).unwrap_or_default(),
        ];
        !times[1].is_empty() && times[1].without(&TIME_KEYS) == times[0]
    }

    fn parse(&self, list: List, text: &str) -> Result<Query, QueryError> {
        Query::parse(text, &self.words(list))
    }

    fn say(&mut self, text: impl Into<String>, meaning: Meaning) {
        self.notice = Some(Notice {
            text: text.into(),
            meaning,
        });
        self.dirty = true;
    }
}

/// Why actions are impossible, for the table of actions.
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

    /// Nothing is suggested.
    pub fn why_no_suggestion(&self) -> Option<&'static str> {
        match &self.overlay {
            Some(Overlay::Bar {
                error: Some(error), ..
            }) if error.suggestion.is_some() => None,
            _ => Some("nothing is suggested"),
        }
    }
}

/// What filters can name: what is stored, and what can arrive.
fn with_links(mut words: Vocabulary, links: &[LinkCard]) -> Vocabulary {
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

fn seq_of(list: List, row: &Row) -> Option<i64> {
    cell::field(list, row, "seq")?
        .as_int()
        .filter(|seq| *seq > 0)
}

/// The filter for one reader at one account.
fn who(list: List, row: &Row) -> Option<String> {
    let user = cell::text_field(list, row, "user_id")?;
    let mut query = format!("user:{}", value_text(user));
    for key in ["provider", "account"] {
        if let Some(value) = cell::text_field(list, row, key) {
            query.extend([" ", key, ":", &value_text(value)]);
        }
    }
    Some(query)
}

fn events_of(list: List, row: &Row) -> Option<Door> {
    Some(Door {
        list: List::Events,
        query: who(list, row)?,
    })
}

fn reader_of(list: List, row: &Row) -> Option<Door> {
    if list == List::Users {
        return None;
    }
    Some(Door {
        list: List::Users,
        query: who(list, row)?,
    })
}

fn first_event(record: &Record) -> Option<RowKey> {
    if record.list != List::Deliveries {
        return None;
    }
    Some(record.raw.as_ref()?.events.first()?.key.clone())
}

/// Takes in what happened; says what is to be done.
pub fn update(app: &mut App, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    match msg {
        Msg::Key(key) => app.press(key, &mut effects),
        Msg::Paste(text) => app.paste(&text),
        Msg::Resize(width, height) => app.resize(width, height, &mut effects),
        Msg::Tick(now) => app.tick(now),
        Msg::Opened(opened) => app.open(opened, &mut effects),
        Msg::Trouble(why) => {
            app.dirty |= app.trouble.as_ref() != Some(&why);
            app.trouble = Some(why);
        }
        Msg::Changed => app.refresh(&mut effects),
        Msg::Status(status) => {
            app.dirty |= app.status.as_ref() != Some(&status);
            app.demo |= status.demo;
            app.status = Some(status);
        }
        Msg::Words(vocabulary, last_review) => {
            app.vocabulary = with_links(vocabulary, &app.links);
            app.last_review = last_review;
        }
        Msg::Page {
            ticket,
            page,
            newer,
        } => app.take_page(ticket, page, newer, &mut effects),
        Msg::Count { ticket, count } => app.take_count(ticket, count),
        Msg::Raw { of, raw } => app.take_raw(&of, raw),
        Msg::Choices {
            ticket,
            key,
            choices,
        } => app.take_choices(ticket, key, choices),
        Msg::Today(period, today) => {
            if period == app.period {
                app.dirty |= app.today.as_ref() != Some(&today);
                app.today = Some(today);
                app.clamp_line();
            }
        }
        Msg::Links(links) => app.take_links(links),
        Msg::Connections(connections) => {
            app.dirty |= app.connections != connections;
            app.connections = connections;
        }
        Msg::Done(Ok(said)) => {
            app.say(said, Meaning::Good);
            effects.push(Effect::Status);
            app.load(&mut effects);
        }
        Msg::Done(Err(why)) => app.say(why, Meaning::Bad),
    }
    effects
}

/// Answers and events from outside.
impl App {
    /// The settings were read again.
    fn take_links(&mut self, links: Result<Vec<LinkCard>, String>) {
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

    fn tick(&mut self, now: Timestamp) {
        let minute = |at: Timestamp| at.ms().div_euclid(MINUTE_MS);
        self.dirty |= minute(now) != minute(self.now) || self.is_waiting();
        self.now = now;
    }

    fn resize(&mut self, width: u16, height: u16, effects: &mut Vec<Effect>) {
        self.size = (width, height);
        self.dirty = true;
        self.settle(effects);
        self.lay_out_record();
    }

    fn open(&mut self, opened: Opened, effects: &mut Vec<Effect>) {
        let first = self.status.is_none();
        self.zone = opened.zone;
        self.vocabulary = with_links(opened.vocabulary, &self.links);
        self.last_review = opened.last_review;
        self.trouble = None;
        self.dirty = true;
        let any_real = opened.status.arrived == Arrived::Real;
        self.demo |= opened.status.demo;
        self.status = Some(opened.status);
        if let Some(query) = self.asked_query.take() {
            self.ask_first(&query);
        } else if first && any_real && self.place().screen == Screen::Connections {
            self.history = History::new(Place::new(Screen::Today));
        }
        self.load(effects);
    }

    /// The filter that the screen was started with; one that does not parse is put before the publisher.
    fn ask_first(&mut self, query: &str) {
        let line = Line::new(query);
        match self.parse(List::Events, line.text()) {
            Ok(_) => query.clone_into(&mut self.history.here_mut().query),
            Err(error) => {
                self.overlay = Some(Overlay::Bar {
                    line,
                    error: Some(error),
                });
            }
        }
    }

    /// Something was written: the same rows again, without moving anything.
    fn refresh(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Status);
        match self.place().screen {
            Screen::Today => effects.push(Effect::Today(self.period)),
            Screen::Connections | Screen::Account(_) => effects.push(Effect::Connections),
            Screen::List(_) if self.pending.is_some() => self.stale = true,
            Screen::List(list) => {
                self.stale = false;
                let limit = self.window.rows.len() + self.layout().rows() + 1;
                let from = From::Cursor(self.window.again());
                self.ask(list, from, limit, Fill::Refresh, None, effects);
            }
        }
    }

    fn take_page(
        &mut self,
        ticket: u64,
        page: Result<Page, String>,
        newer: Newer,
        effects: &mut Vec<Effect>,
    ) {
        let Some(pending) = self.pending.take_if(|pending| pending.ticket == ticket) else {
            return;
        };
        let page = match page {
            Ok(page) => page,
            Err(why) => {
                self.window.give_up();
                return self.say(why, Meaning::Bad);
            }
        };
        let lost = |key: &RowKey| !page.rows.iter().any(|row| row.key.id == key.id);
        if pending.may_retry && page.more_after && pending.keep.as_ref().is_some_and(lost) {
            let keep = pending.keep.clone();
            let from = keep.clone().map_or(Cursor::First, Cursor::From);
            return self.ask_page(From::Cursor(from), Fill::Replace, keep, effects);
        }
        let height = self.layout().rows();
        let before = self
            .dirty
            .then_some(())
            .map_or_else(|| Some(self.window.clone()), |()| None);
        self.window
            .fill(pending.fill, page, pending.keep.as_ref(), height);
        if self.window.head().is_some() {
            self.window.newer = newer;
        }
        let seen = |was: &Window| {
            was.loaded != self.window.loaded
                || was.visible(height) != self.window.visible(height)
                || (was.top, was.selected, was.newer)
                    != (self.window.top, self.window.selected, self.window.newer)
        };
        self.dirty |= before.as_ref().is_none_or(seen);
        self.keep_place();
        self.recount(pending.fill, effects);
        self.settle(effects);
        self.keep_record(effects);
        if self.stale && self.pending.is_none() {
            self.refresh(effects);
        }
    }

    /// Counts the whole list, unless what is at hand is all of it or it is being counted already.
    fn recount(&mut self, fill: Fill, effects: &mut Vec<Effect>) {
        let Some(list) = self.place().screen.list() else {
            return;
        };
        if !self.window.more_before && !self.window.more_after {
            let all = Some(Count::Exact(self.window.rows.len() as u64));
            self.dirty |= self.window.count != all;
            self.window.count = all;
        } else if (!matches!(fill, Fill::Join(_)) || self.window.count.is_none())
            && self.counting.is_none()
            && let Ok(query) = self.parse(list, &self.place().query)
        {
            self.counting = Some(self.ticket);
            effects.push(Effect::Count {
                ticket: self.ticket,
                list,
                query,
            });
        }
    }

    fn take_count(&mut self, ticket: u64, count: Count) {
        if self.counting == Some(ticket) {
            self.counting = None;
            self.dirty |= self.window.count != Some(count);
            self.window.count = Some(count);
        }
    }

    fn take_raw(&mut self, of: &(List, RowKey), raw: Option<Box<Raw>>) {
        let record = self.record.as_mut();
        if let Some(record) = record.filter(|record| record.list == of.0 && record.row.key == of.1)
        {
            record.raw = raw.map(|raw| *raw);
            record.loaded = true;
            self.lay_out_record();
        }
    }

    fn take_choices(&mut self, ticket: u64, key: &str, choices: Vec<Choice>) {
        if let Some(Overlay::Picker(picker)) = &mut self.overlay
            && ticket == self.ticket
        {
            picker.fill(key, choices);
            self.dirty = true;
        }
    }
}

/// Reading rows.
impl App {
    /// Reads what the place on screen needs, from its beginning.
    fn load(&mut self, effects: &mut Vec<Effect>) {
        self.record = None;
        self.dirty = true;
        match self.place().screen {
            Screen::Today => effects.push(Effect::Today(self.period)),
            Screen::Connections | Screen::Account(_) => effects.push(Effect::Connections),
            Screen::List(_) => {
                self.window = Window::default();
                self.counting = None;
                let place = self.place();
                let keep = place.selected.clone();
                let from = match (&place.top, place.seek) {
                    (_, Some(seq)) => From::Seq(seq),
                    (Some(top), None) => From::Cursor(Cursor::From(top.clone())),
                    (None, None) => From::Cursor(Cursor::First),
                };
                self.ask_page(from, Fill::Replace, keep, effects);
            }
        }
        self.clamp_line();
    }

    fn ask_page(
        &mut self,
        from: From,
        fill: Fill,
        keep: Option<RowKey>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(list) = self.place().screen.list() {
            let limit = (self.layout().rows() * 2).max(50);
            self.ask(list, from, limit, fill, keep, effects);
        }
    }

    fn ask(
        &mut self,
        list: List,
        from: From,
        limit: usize,
        fill: Fill,
        keep: Option<RowKey>,
        effects: &mut Vec<Effect>,
    ) {
        let query = match self.parse(list, &self.place().query) {
            Ok(query) => query,
            // Its words may have gone since: the rows stay as they are rather than widen.
            Err(error) => return self.say(error.message, Meaning::Bad),
        };
        self.ticket += 1;
        // The worker drops the count that rows are asked before.
        self.counting = None;
        let head = self.window.head().filter(|_| fill == Fill::Refresh);
        self.pending = Some(Pending {
            ticket: self.ticket,
            fill,
            keep,
            may_retry: fill == Fill::Replace && from == From::Cursor(Cursor::First),
        });
        effects.push(Effect::Load(Load {
            ticket: self.ticket,
            list,
            query,
            from,
            limit,
            head,
        }));
    }

    /// Brings the window into bounds and asks for what is near its edges.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        let height = self.layout().rows();
        self.window.settle(height);
        self.keep_place();
        if self.pending.is_none()
            && self.place().screen.list().is_some()
            && let Some((edge, cursor)) = self.window.wants(height)
        {
            self.ask_page(From::Cursor(cursor), Fill::Join(edge), None, effects);
        }
    }

    /// Writes down where we are, so that coming back finds it.
    fn keep_place(&mut self) {
        if self.place().screen.list().is_none() || !self.window.loaded {
            return;
        }
        let selected = self.window.row().map(|row| row.key.clone());
        let top = self.window.rows.get(self.window.top);
        let top = top
            .map(|row| row.key.clone())
            .filter(|_| !self.window.is_at_head());
        let place = self.history.here_mut();
        place.selected = selected;
        place.top = top;
        place.seek = None;
    }

    /// The opened row follows the selected one.
    fn keep_record(&mut self, effects: &mut Vec<Effect>) {
        if self.place().pane.is_none() {
            self.record = None;
            return;
        }
        let Some((list, row)) = self.selected().map(|(list, row)| (list, row.clone())) else {
            self.record = None;
            return;
        };
        match &mut self.record {
            Some(record) if record.row.key.id == row.key.id && record.list == list => {
                if record.row != row {
                    record.row = row;
                    self.lay_out_record();
                }
            }
            _ => {
                self.record = Some(Record::new(list, row.clone()));
                effects.push(Effect::Raw { list, row });
                self.lay_out_record();
            }
        }
    }

    fn lay_out_record(&mut self) {
        let width = usize::from(self.layout().pane.width.saturating_sub(1));
        let when = self.when();
        if let (Some(pane), Some(record)) = (self.history.here().pane, &mut self.record) {
            record.lay_out(pane, width, when);
            self.dirty = true;
        }
        self.clamp_scroll();
    }

    fn clamp_scroll(&mut self) {
        let lines = self.record.as_ref().map_or(0, |record| record.lines.len());
        let height = usize::from(self.layout().pane.height.saturating_sub(1));
        if let Some(pane) = &mut self.history.here_mut().pane {
            pane.scroll = pane.scroll.min(lines.saturating_sub(height));
        }
    }
}

/// Keys.
impl App {
    fn press(&mut self, key: Key, effects: &mut Vec<Effect>) {
        self.dirty |= self.notice.take().is_some();
        let too_small = self.size.0 < SIZE_MIN.0 || self.size.1 < SIZE_MIN.1;
        if let Some(action) = actions::lookup(self.scopes(), key) {
            let leaves = matches!(action.act, Act::Quit | Act::Stop | Act::Suspend);
            if too_small && !leaves {
                return;
            }
            self.dirty = true;
            match (action.why_not)(self) {
                Some(why) => self.say(why, Meaning::Warning),
                None => self.act(action.act, effects),
            }
        } else if let crossterm::event::KeyCode::Char(c) = key.code
            && !key.ctrl
        {
            self.paste(c.encode_utf8(&mut [0; 4]));
        }
    }

    fn paste(&mut self, text: &str) {
        if let Some(Overlay::Bar { line, .. } | Overlay::Time { line, .. }) = &mut self.overlay {
            line.insert(text);
            self.check_line();
        }
    }

    /// Looks at the line being typed again.
    fn check_line(&mut self) {
        self.dirty = true;
        let list = self.bar_list();
        let text = match &self.overlay {
            Some(Overlay::Bar { line, .. }) => line.text().to_owned(),
            Some(Overlay::Time { .. }) => String::new(),
            _ => return,
        };
        let found = self.parse(list, &text).err();
        match &mut self.overlay {
            Some(Overlay::Bar { error, .. }) => *error = found,
            Some(Overlay::Time { wrong, .. }) => *wrong = false,
            _ => {}
        }
    }

    /// The list that a filter is typed for: on Today and Connections, events.
    fn bar_list(&self) -> List {
        self.place().screen.list().unwrap_or(List::Events)
    }

    fn act(&mut self, act: Act, effects: &mut Vec<Effect>) {
        match act {
            Act::Go(screen) => self.go(screen, effects),
            Act::Open => self.open_selected(effects),
            Act::Back => self.back(effects),
            Act::HistoryBack => {
                if self.history.back() {
                    self.load(effects);
                }
            }
            Act::HistoryOn => {
                if self.history.on() {
                    self.load(effects);
                }
            }
            Act::Down => self.step(1, effects),
            Act::Up => self.step(-1, effects),
            Act::PageDown => self.step(self.screenful(), effects),
            Act::PageUp => self.step(-self.screenful(), effects),
            Act::HalfDown => self.step((self.screenful() / 2).max(1), effects),
            Act::HalfUp => self.step(-(self.screenful() / 2).max(1), effects),
            Act::First => self.go_to_edge(Edge::Before, effects),
            Act::Last => self.go_to_edge(Edge::After, effects),
            Act::NextRecord => self.step_rows(1, effects),
            Act::PreviousRecord => self.step_rows(-1, effects),
            Act::Switch => self.switch(effects),
            Act::Delivery | Act::Events | Act::Who => self.follow(act, effects),
            Act::Copy | Act::CopyCurl | Act::CopySend => self.copy(act, effects),
            Act::Suspend => effects.push(Effect::Suspend),
            Act::Redraw => effects.push(Effect::Redraw),
            Act::Quit | Act::Keep | Act::Install | Act::Stop => self.leave(act, effects),
            Act::Period | Act::Review | Act::UndoReview => self.review(act, effects),
            Act::Face | Act::Pretty => self.turn(act),
            Act::Help => self.overlay = Some(Overlay::Help(0)),
            _ => self.act_on_filter(act, effects),
        }
    }

    fn act_on_filter(&mut self, act: Act, effects: &mut Vec<Effect>) {
        match act {
            Act::Filter => {
                let query = self
                    .place()
                    .screen
                    .list()
                    .map_or("", |_| &self.place().query);
                let line = Line::new(query);
                self.overlay = Some(Overlay::Bar { line, error: None });
                self.check_line();
            }
            Act::Jump => {
                let line = Line::default();
                self.overlay = Some(Overlay::Time { line, wrong: false });
            }
            Act::Pick => self.pick(effects),
            Act::Clear => match &mut self.overlay {
                Some(Overlay::Picker(picker)) => picker.chosen.clear(),
                _ => self.filter_by(self.bar_list(), "", effects),
            },
            Act::Toggle => {
                if let Some(Overlay::Picker(picker)) = &mut self.overlay {
                    picker.toggle();
                }
            }
            Act::Apply => self.apply(effects),
            Act::Suggest => self.suggest(),
            _ => self.edit(act),
        }
    }

    fn edit(&mut self, act: Act) {
        let Some(Overlay::Bar { line, .. } | Overlay::Time { line, .. }) = &mut self.overlay else {
            return;
        };
        match act {
            Act::CaretLeft => line.left(),
            Act::CaretRight => line.right(),
            Act::CaretStart => line.start(),
            Act::CaretEnd => line.end(),
            Act::EraseBefore => line.erase_before(),
            Act::EraseAfter => line.erase_after(),
            Act::EraseWord => line.erase_word(),
            Act::EraseLine => line.erase_to_start(),
            _ => {}
        }
        self.check_line();
    }

    fn suggest(&mut self) {
        match &mut self.overlay {
            Some(Overlay::Bar { line, error }) => {
                if let Some(error) = error.take()
                    && let Some(term) = error.suggestion
                {
                    line.replace(error.at, &term);
                }
                self.check_line();
            }
            Some(Overlay::Picker(picker)) => picker.next_part(),
            _ => {}
        }
    }

    fn apply(&mut self, effects: &mut Vec<Effect>) {
        match &mut self.overlay {
            Some(Overlay::Bar { line, .. }) => {
                let query = line.text().trim().to_owned();
                let list = self.bar_list();
                // What does not parse stays in the bar, and the rows stay as they are.
                if self.parse(list, &query).is_ok() {
                    self.overlay = None;
                    self.filter_by(list, &query, effects);
                } else {
                    self.check_line();
                }
            }
            Some(Overlay::Picker(picker)) => {
                let query = picker.query();
                self.overlay = None;
                self.filter_by(self.bar_list(), &query, effects);
            }
            Some(Overlay::Time { .. }) => self.jump(effects),
            _ => {}
        }
    }

    fn jump(&mut self, effects: &mut Vec<Effect>) {
        let (now, zone) = (self.now, self.zone);
        let reviewed_at = self.last_review.map(|(_, at)| at);
        if let Some(Overlay::Time { line, wrong }) = &mut self.overlay {
            match jump::instant(line.text(), now, zone, reviewed_at) {
                Some(at) => {
                    self.overlay = None;
                    let from = From::Cursor(Cursor::At(at.to_string()));
                    self.ask_page(from, Fill::Replace, None, effects);
                }
                None => *wrong = true,
            }
        }
    }

    /// The same list through another filter, the selected row kept where it is still among the rows.
    fn filter_by(&mut self, list: List, query: &str, effects: &mut Vec<Effect>) {
        if self.place().screen.list() == Some(list) && self.place().query == query {
            return;
        }
        if let Err(error) = self.parse(list, query) {
            return self.say(error.message, Meaning::Bad);
        }
        let mut place = Place::with_query(Screen::List(list), query);
        if self.place().screen.list() == Some(list) {
            place.selected.clone_from(&self.place().selected);
            place.top = place
                .selected
                .clone()
                .filter(|_| self.place().top.is_some());
            place.opened_from = self.place().opened_from;
        }
        let from_list = self.place().screen.list().is_some();
        self.history.visit(place, !from_list);
        self.load(effects);
    }

    fn pick(&mut self, effects: &mut Vec<Effect>) {
        let list = self.bar_list();
        if let Ok(query) = self.parse(list, &self.place().query) {
            self.overlay = Some(Overlay::Picker(Picker::new(&query)));
            effects.push(Effect::Choices {
                ticket: self.ticket,
                list,
                query,
            });
        }
    }
}

/// Moving about.
impl App {
    fn go(&mut self, screen: Screen, effects: &mut Vec<Effect>) {
        if self.place().screen == screen && self.place().pane.is_none() {
            return;
        }
        self.history.visit_screen(screen);
        self.history.here_mut().pane = None;
        self.load(effects);
    }

    fn visit(&mut self, place: Place, effects: &mut Vec<Effect>) {
        self.history.visit(place, true);
        self.load(effects);
    }

    fn open_selected(&mut self, effects: &mut Vec<Effect>) {
        match self.place().screen {
            Screen::List(_) if self.window.row().is_some() => {
                self.history.here_mut().pane = Some(Pane::default());
                self.keep_record(effects);
                // The list may be narrower or gone from sight now.
                self.settle(effects);
            }
            Screen::List(_) => self.say("there is no row to open", Meaning::Warning),
            Screen::Today => {
                let line = self.place().line;
                let door = self
                    .today
                    .as_ref()
                    .and_then(|today| today.lines.get(line)?.door.clone());
                match door {
                    Some(door) => self.visit(
                        Place::with_query(Screen::List(door.list), door.query),
                        effects,
                    ),
                    None => self.say("no list stands behind this line", Meaning::Warning),
                }
            }
            Screen::Connections => {
                let account = self.place().line;
                self.visit(Place::new(Screen::Account(account)), effects);
            }
            Screen::Account(_) => {
                let query = self.card().map(|card| {
                    format!(
                        "provider:{} account:{}",
                        value_text(&card.provider),
                        value_text(&card.account)
                    )
                });
                let place = Place::with_query(Screen::DELIVERIES, query.unwrap_or_default());
                self.visit(place, effects);
            }
        }
    }

    fn back(&mut self, effects: &mut Vec<Effect>) {
        if self.overlay.take().is_some() {
            return;
        }
        if self.history.here_mut().pane.take().is_some() {
            self.record = None;
            self.settle(effects);
        } else if self.history.close() {
            self.load(effects);
        }
    }

    fn screenful(&self) -> isize {
        let layout = self.layout();
        let rows = match self.place().pane {
            Some(_) if self.overlay.is_none() => usize::from(layout.pane.height.saturating_sub(1)),
            _ => layout.rows(),
        };
        isize::try_from(rows.max(1)).unwrap_or(1)
    }

    fn step(&mut self, lines: isize, effects: &mut Vec<Effect>) {
        match &mut self.overlay {
            Some(Overlay::Picker(picker)) => return picker.move_by(lines),
            Some(Overlay::Help(top)) => {
                let last = actions::sheet(&[]).len().saturating_sub(1);
                *top = top.saturating_add_signed(lines).min(last);
                return;
            }
            _ => {}
        }
        if let Some(pane) = &mut self.history.here_mut().pane {
            pane.scroll = pane.scroll.saturating_add_signed(lines);
            self.clamp_scroll();
        } else if self.place().screen.list().is_some() {
            let height = self.layout().rows();
            self.window.move_by(lines, height);
            self.settle(effects);
        } else {
            let place = self.history.here_mut();
            place.line = place.line.saturating_add_signed(lines);
            self.clamp_line();
        }
    }

    fn step_rows(&mut self, rows: isize, effects: &mut Vec<Effect>) {
        let height = self.layout().rows().max(1);
        self.window.move_by(rows, height);
        if let Some(pane) = &mut self.history.here_mut().pane {
            pane.scroll = 0;
        }
        self.settle(effects);
        self.keep_record(effects);
    }

    fn clamp_line(&mut self) {
        let lines = match self.place().screen {
            Screen::Today => self
                .today
                .as_ref()
                .map_or(usize::MAX, |today| today.lines.len()),
            Screen::Connections => self.accounts().len(),
            Screen::Account(account) => self.accounts().get(account).map_or(0, Range::len),
            Screen::List(_) => return,
        };
        let place = self.history.here_mut();
        place.line = place.line.min(lines.saturating_sub(1));
    }

    fn go_to_edge(&mut self, edge: Edge, effects: &mut Vec<Effect>) {
        let height = self.layout().rows();
        let more = match edge {
            Edge::Before => self.window.more_before,
            Edge::After => self.window.more_after,
        };
        let far: isize = if edge == Edge::Before {
            isize::MIN / 2
        } else {
            isize::MAX / 2
        };
        let in_list = self.overlay.is_none() && self.place().pane.is_none();
        if !in_list || self.place().screen.list().is_none() {
            self.step(far, effects);
        } else if more {
            let (cursor, fill) = match edge {
                Edge::Before => (Cursor::First, Fill::Replace),
                Edge::After => (Cursor::Last, Fill::ReplaceSelectLast),
            };
            self.ask_page(From::Cursor(cursor), fill, None, effects);
        } else {
            self.window.move_to(edge, height);
            self.settle(effects);
        }
    }

    fn switch(&mut self, effects: &mut Vec<Effect>) {
        let other = match self.place().screen {
            Screen::CONSENTS => Screen::CHANGES,
            _ => Screen::CONSENTS,
        };
        let mut place = Place::with_query(other, self.place().query.clone());
        if let Some(list) = other.list()
            && self.parse(list, &place.query).is_err()
        {
            place.query = String::new();
        }
        place.opened_from = self.place().opened_from;
        self.history.visit(place, false);
        self.load(effects);
    }

    /// From a row to what belongs to it.
    fn follow(&mut self, act: Act, effects: &mut Vec<Effect>) {
        let Some((list, row)) = self.selected() else {
            return;
        };
        let place = match act {
            Act::Delivery => seq_of(list, row).map(|seq| {
                let mut place = Place::new(Screen::DELIVERIES);
                place.seek = Some(seq);
                place.pane = Some(Pane::default());
                place
            }),
            Act::Events => self.events_place(list, row),
            _ => reader_of(list, row).map(|door| {
                let mut place = Place::with_query(Screen::List(door.list), door.query);
                place.pane = Some(Pane::default());
                place
            }),
        };
        if let Some(place) = place {
            self.visit(place, effects);
        }
    }

    fn events_place(&self, list: List, row: &Row) -> Option<Place> {
        if let Some(key) = self.record.as_ref().and_then(first_event) {
            let mut place = Place::new(Screen::EVENTS);
            place.top = Some(key.clone());
            place.selected = Some(key);
            return Some(place);
        }
        let door = events_of(list, row)?;
        Some(Place::with_query(Screen::EVENTS, door.query))
    }

    fn turn(&mut self, act: Act) {
        if let Some(pane) = &mut self.history.here_mut().pane {
            match act {
                Act::Face => {
                    pane.face = match pane.face {
                        Face::Fields => Face::Raw,
                        Face::Raw => Face::Fields,
                    };
                    pane.scroll = 0;
                }
                _ => pane.verbatim = !pane.verbatim,
            }
        }
        self.lay_out_record();
    }
}

/// Doing things outside.
impl App {
    fn review(&mut self, act: Act, effects: &mut Vec<Effect>) {
        match act {
            Act::Period => {
                self.period = self.period.next();
                effects.push(Effect::Today(self.period));
            }
            Act::Review => match self.today.as_ref().map(|today| today.seq) {
                Some(seq) => effects.push(Effect::Task(Task::MarkReviewed { seq })),
                None => self.say("nothing could be read yet", Meaning::Warning),
            },
            _ => effects.push(Effect::Task(Task::UndoReview)),
        }
    }

    fn copy(&mut self, act: Act, effects: &mut Vec<Effect>) {
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

    fn copy_of(&self, list: List, row: &Row) -> (&'static str, String) {
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

    fn leave(&mut self, act: Act, effects: &mut Vec<Effect>) {
        let leave = match (act, self.receiver.ours, self.on_quit) {
            (Act::Keep, ..) | (Act::Quit, true, OnQuit::Keep) => Leave::KeepReceiver,
            (Act::Install, ..) => Leave::InstallService,
            (Act::Stop, true, _) | (Act::Quit, true, OnQuit::Stop) => Leave::StopReceiver,
            (Act::Quit, true, OnQuit::Ask) => {
                self.overlay = Some(Overlay::Leaving);
                return;
            }
            _ => Leave::Quit,
        };
        effects.push(Effect::Leave(leave));
    }
}
