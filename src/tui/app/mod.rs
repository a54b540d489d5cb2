//! What the screen is at the moment, and how it changes: `update` takes a message and says what is to be done.
//!
//! Plain data and pure functions: never the store, the terminal or the clock. This file holds the state; one file
//! below for each thing that changes it.

pub mod message;

mod press;

mod travel;

mod list;

pub mod record;

mod prompt;

mod command;

mod search;

mod export;

mod today;

pub mod connections;

mod copy;

mod outside;

mod work;

mod sight;

mod palette;

mod possible;

use crate::domain::mask::Mask;
use crate::domain::page::{List, Row, RowKey};
use crate::domain::query::{self, Query, QueryError, Vocabulary, Words};
use crate::domain::time::{Timestamp, Zone};
use crate::store::query::{Kinds, Progress, View};
use crate::tui::actions::Scope;
use crate::tui::app::connections::with_links;
use crate::tui::app::message::{Effect, Msg};
use crate::tui::cell::{Sight, When};
use crate::tui::complete::Offers;
use crate::tui::copy::Menu;
use crate::tui::edit::Line;
use crate::tui::export::Export;
use crate::tui::facts::{Arrived, Connection, Period, Status, Today};
use crate::tui::layout::Layout;
use crate::tui::palette::Palette;
use crate::tui::picker::Picker;
use crate::tui::place::{Face, History, Place, Screen};
use crate::tui::recall::Recall;
use crate::tui::record::Record;
use crate::tui::search::{Rank, Search};
use crate::tui::theme::{Meaning, Theme};
use crate::tui::window::{Fill, Window};
use crate::tui::work::{Question, Work};
use crate::tui::wrap::wrapped;
use crate::tui::{First, Knob, LinkCard, OnQuit, Setup};

/// The keys of the filter that are about time.
const TIME_KEYS: [query::Key; 5] = [
    query::Key::Since,
    query::Key::Until,
    query::Key::At,
    query::Key::Day,
    query::Key::Received,
];

/// What is said at the foot takes no more lines.
const FOOT_LINES_MAX: u16 = 4;

/// What stands over the screen and takes the keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// The filter being typed, and what is wrong with it.
    Bar {
        /// The text.
        line: Line,
        /// What does not parse.
        error: Option<QueryError>,
        /// What the term at the caret may become.
        offers: Offers,
    },
    /// What is sought in the list, as it is typed.
    Search {
        /// The text.
        line: Line,
        /// What does not parse.
        error: Option<QueryError>,
        /// What the term at the caret may become.
        offers: Offers,
    },
    /// The command being typed.
    Command {
        /// The text.
        line: Line,
        /// What the word at the caret may become.
        offers: Offers,
        /// Why what was entered is no command.
        fault: Option<String>,
    },
    /// The saved filters, and which of them keys act on.
    Views(usize),
    /// In which format to write a list into a file: its place among all formats.
    Export(usize),
    /// The time being typed.
    Time {
        /// The text.
        line: Line,
        /// It names no time.
        wrong: bool,
    },
    /// The choices of a filter.
    Picker(Picker),
    /// What is sought in the opened row, as it is typed.
    Find {
        /// The text.
        line: Line,
    },
    /// What can be copied.
    Copy(Menu),
    /// The keys, or all that can be found by name.
    Help(Palette),
    /// The question on leaving.
    Leaving,
    /// The question before something is written.
    Ask(Box<Question>),
    /// The periods of Today, the selected one.
    Periods(usize),
    /// What the selected figure of Today means, from this line on.
    Explained(usize),
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
    from: message::From,
    fill: Fill,
    keep: Option<RowKey>,
    may_retry: bool,
    /// What is newer than the head was counted along.
    counts_newer: bool,
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them go together"
)]
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
    /// The ledger goes when the screen is left.
    pub is_thrown_away: bool,
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
    /// The saved filters, pinned ones first.
    pub views: Vec<View>,
    /// What is sought in lists.
    pub search: Option<Search>,
    /// How far the rows that are on their way have come, where that takes a while.
    pub looking: Option<Progress>,
    /// The part of the filter that hides all rows, where one alone does.
    pub hiding: Option<usize>,
    /// The file that a list is being written into.
    pub export: Option<Export>,
    /// What is being written into the ledger.
    pub work: Option<Work>,
    /// Personal data is shown as tags.
    pub masked: bool,
    /// Something changed that can be seen.
    pub dirty: bool,
    /// Percent of the screen that an opened row has; `None`: as the size suggests.
    pub percent: Option<u16>,
    /// What a reader's timeline is narrowed to.
    pub kinds: Kinds,
    /// What was last sought in an opened row.
    sought: String,
    mask: Mask,
    /// The themes that this terminal can show, by name.
    looks: Vec<(&'static str, Theme)>,
    /// What can be set in the settings.
    knobs: Vec<Knob>,
    /// The machine's zone, where it is known.
    machine_zone: Option<Zone>,
    /// The zone that times are shown in, where it is another than the ledger's.
    other_zone: Option<Zone>,
    vocabulary: Vocabulary,
    last_review: Option<(i64, Timestamp)>,
    ticket: u64,
    pending: Option<Pending>,
    counting: Option<u64>,
    stale: bool,
    first: Option<First>,
    program: Vec<String>,
    finding: Option<u64>,
    ranking: Option<u64>,
    rank: Option<Rank>,
    filters: Recall,
    searches: Recall,
    commands: Recall,
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
    /// Begin with this list.
    pub first: Option<First>,
    /// The words that start this program on this ledger: what brings this screen back begins with them.
    pub program: Vec<String>,
    /// Begin with personal data masked.
    pub masked: bool,
    /// The machine's zone, where it is known.
    pub machine_zone: Option<Zone>,
    /// The themes that this terminal can show, by name.
    pub looks: Vec<(&'static str, Theme)>,
    /// What can be set in the settings.
    pub knobs: Vec<Knob>,
}

impl Start {
    /// As the screen was set up, in a terminal of this size.
    pub fn of(setup: &Setup, size: (u16, u16)) -> Self {
        Self {
            now: setup.clock.now(),
            size,
            theme: setup.theme,
            demo: setup.demo,
            receiver: Receiver {
                address: setup.receiver.address.clone(),
                pid: setup.receiver.pid,
                ours: setup.receiver.ours,
            },
            on_quit: setup.on_quit,
            links: setup.links.clone(),
            first: setup.first.clone(),
            program: setup.program.clone(),
            masked: setup.masked,
            machine_zone: setup.machine_zone,
            looks: setup.looks.clone(),
            knobs: setup.knobs.clone(),
        }
    }
}

const BAR: &[Scope] = &[Scope::Bar, Scope::Typing, Scope::Always];
const TIME: &[Scope] = &[Scope::Time, Scope::Typing, Scope::Always];
const HELP: &[Scope] = &[Scope::Help, Scope::Typing, Scope::Always];
const PICKER: &[Scope] = &[Scope::Picker, Scope::Always];
const VIEWS: &[Scope] = &[Scope::Views, Scope::Always];
const EXPORT: &[Scope] = &[Scope::Export, Scope::Always];
const LEAVING: &[Scope] = &[Scope::Leaving, Scope::Always];
const ASKING: &[Scope] = &[Scope::Asking, Scope::Always];
const PERIODS: &[Scope] = &[Scope::Periods, Scope::Always];
const EXPLAINED: &[Scope] = &[Scope::Explained, Scope::Always];
const PANE: &[Scope] = &[
    Scope::Lines,
    Scope::Pane,
    Scope::Record,
    Scope::Ledger,
    Scope::Anywhere,
    Scope::Always,
];
const TODAY: &[Scope] = &[Scope::Today, Scope::Anywhere, Scope::Always];
const CONNECTIONS: &[Scope] = &[Scope::Connections, Scope::Anywhere, Scope::Always];
const ROWS: &[Scope] = &[
    Scope::Rows,
    Scope::Record,
    Scope::Ledger,
    Scope::Anywhere,
    Scope::Always,
];
const CONSENT: &[Scope] = &[
    Scope::Rows,
    Scope::Consent,
    Scope::Record,
    Scope::Ledger,
    Scope::Anywhere,
    Scope::Always,
];

/// Every order in which scopes are looked through.
pub const CHAINS: &[&[Scope]] = &[
    BAR,
    TIME,
    HELP,
    PICKER,
    VIEWS,
    EXPORT,
    LEAVING,
    ASKING,
    PERIODS,
    EXPLAINED,
    PANE,
    TODAY,
    CONNECTIONS,
    ROWS,
    CONSENT,
    TREE,
    READER,
    FIND,
    COPY,
];

const TREE: &[Scope] = &[
    Scope::Tree,
    Scope::Pane,
    Scope::Record,
    Scope::Ledger,
    Scope::Anywhere,
    Scope::Always,
];
const READER: &[Scope] = &[
    Scope::Reader,
    Scope::Lines,
    Scope::Pane,
    Scope::Record,
    Scope::Ledger,
    Scope::Anywhere,
    Scope::Always,
];
const FIND: &[Scope] = &[Scope::Find, Scope::Typing, Scope::Always];
const COPY: &[Scope] = &[Scope::Copy, Scope::Always];

impl App {
    /// The screen before anything is known of the ledger.
    pub fn new(start: Start) -> Self {
        Self {
            now: start.now,
            zone: Zone::UTC,
            theme: start.theme,
            size: start.size,
            demo: start.demo,
            is_thrown_away: start.demo,
            receiver: start.receiver,
            on_quit: start.on_quit,
            history: History::new(start.first.as_ref().map_or_else(
                || Place::new(Screen::Connections),
                |first| {
                    let mut place = Place::with_query(Screen::List(first.list), first.query.trim());
                    place.seek = first.id;
                    place.order = first.order;
                    place
                },
            )),
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
            views: Vec::new(),
            search: None,
            looking: None,
            hiding: None,
            export: None,
            work: None,
            masked: start.masked,
            dirty: true,
            percent: None,
            kinds: Kinds::All,
            sought: String::new(),
            mask: Mask::default(),
            machine_zone: start.machine_zone,
            looks: start.looks,
            knobs: start.knobs,
            other_zone: None,
            vocabulary: with_links(Vocabulary::default(), &start.links),
            links: start.links,
            last_review: None,
            ticket: 0,
            pending: None,
            counting: None,
            stale: false,
            first: start.first,
            program: start.program,
            finding: None,
            ranking: None,
            rank: None,
            filters: Recall::default(),
            searches: Recall::default(),
            commands: Recall::default(),
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
            zone: self.zone_shown(),
        }
    }

    /// The zone that times are shown in. Today and Connections count by the ledger's days and show its times.
    pub fn zone_shown(&self) -> Zone {
        let is_list = self.place().screen.list().is_some();
        self.other_zone.filter(|_| is_list).unwrap_or(self.zone)
    }

    /// What masks personal data, if that is to be masked.
    pub fn mask(&self) -> Option<Mask> {
        self.masked.then_some(self.mask)
    }

    /// What values are seen through.
    pub fn sight(&self) -> Sight {
        Sight {
            when: self.when(),
            mask: self.mask(),
        }
    }

    /// The filter of this place as it may be shown.
    pub fn query_shown(&self) -> String {
        let query = &self.place().query;
        match self.place().screen.list() {
            Some(list) => self.query_masked(list, query),
            None => query.clone(),
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
            Some(
                Overlay::Bar { error: Some(_), .. }
                | Overlay::Search { error: Some(_), .. }
                | Overlay::Command { fault: Some(_), .. },
            ) => 2,
            Some(Overlay::Ask(question)) => {
                let text = question.pieces().into_iter().map(|(text, _)| text);
                lines_of(&text.collect::<String>(), width)
            }
            _ => match &self.notice {
                Some(notice) => lines_of(&notice.text, width),
                None => 1,
            },
        };
        Layout::of(width, height, self.share(), foot_lines)
    }

    /// Where keys are read at the moment.
    pub fn scopes(&self) -> &'static [Scope] {
        match &self.overlay {
            Some(Overlay::Bar { .. } | Overlay::Search { .. } | Overlay::Command { .. }) => BAR,
            Some(Overlay::Views(_)) => VIEWS,
            Some(Overlay::Export(_)) => EXPORT,
            Some(Overlay::Time { .. }) => TIME,
            Some(Overlay::Picker(_)) => PICKER,
            Some(Overlay::Help(_)) => HELP,
            Some(Overlay::Leaving) => LEAVING,
            Some(Overlay::Ask(_)) => ASKING,
            Some(Overlay::Periods(_)) => PERIODS,
            Some(Overlay::Explained(_)) => EXPLAINED,
            Some(Overlay::Find { .. }) => FIND,
            Some(Overlay::Copy(_)) => COPY,
            None => self.place_scopes(),
        }
    }

    /// Where keys are read once nothing stands over the screen.
    pub fn place_scopes(&self) -> &'static [Scope] {
        match self.place().screen {
            _ if self.tree().is_some() => TREE,
            _ if self.face() == Some(Face::Reader) => READER,
            _ if self.place().pane.is_some() => PANE,
            Screen::Today => TODAY,
            Screen::Connections | Screen::Account(_) => CONNECTIONS,
            Screen::CONSENTS | Screen::CHANGES => CONSENT,
            Screen::List(_) => ROWS,
        }
    }

    /// Rows are on their way, whether others are on screen or not.
    pub fn is_reading(&self) -> bool {
        self.pending.is_some() || self.finding.is_some()
    }

    /// When everything was reviewed, if it ever was, and up to which delivery.
    pub const fn last_review(&self) -> Option<(i64, Timestamp)> {
        self.last_review
    }

    /// Rows are on their way and none of this place are on screen yet.
    pub fn is_waiting(&self) -> bool {
        self.pending.is_some() && !self.window.loaded && self.place().screen.list().is_some()
    }

    /// The selected row and its list.
    pub fn selected(&self) -> Option<(List, &Row)> {
        Some((self.place().screen.list()?, self.window.row()?))
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

    /// The filter of this place goes by another time than the one that its list is ordered by, or by what came since the
    /// last review: where the rows of before the review begin is not to be told then.
    pub fn filters_by_another_time(&self) -> bool {
        use query::Key::{Ended, Ends, Received, Registered, Started};
        let Some(list) = self.place().screen.list() else {
            return false;
        };
        let query = self.parse(list, &self.place().query).unwrap_or_default();
        query.has_field(|key, values| match key {
            Received => list != List::Deliveries,
            Registered | Started | Ended | Ends => true,
            _ => values
                .iter()
                .any(|value| matches!(value.test, query::Test::After { .. })),
        })
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
        // It may take lines from what is above it.
        let rows = self.layout().rows();
        self.window.settle(rows);
        self.clamp_pane();
    }
}

/// The lines at the foot that `text` needs in a terminal of this width, within bounds.
fn lines_of(text: &str, width: u16) -> u16 {
    let lines = wrapped(text, foot_width(width)).len();
    u16::try_from(lines)
        .unwrap_or(FOOT_LINES_MAX)
        .min(FOOT_LINES_MAX)
}

/// The cells of a line at the foot.
pub fn foot_width(width: u16) -> usize {
    usize::from(width.saturating_sub(2))
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
        Msg::Views(views) => app.take_views(views),
        Msg::Found { ticket, found } => app.take_found(ticket, found, &mut effects),
        Msg::Ranked { ticket, rank } => app.take_rank(ticket, rank),
        Msg::Hiding { ticket, part } => app.take_hiding(ticket, part),
        Msg::Looking(progress) => app.take_looking(progress),
        Msg::Exporting(rows) => app.take_exporting(rows),
        Msg::Exported(done) => app.take_exported(done),
        Msg::Today(period, today) => app.take_today(&period, today),
        Msg::Links(links) => app.take_links(links),
        Msg::Connections(connections) => app.take_connections(connections),
        Msg::NotStopped => {
            let why = "nobody here could continue a screen that stops: q leaves";
            app.say(why, Meaning::Warning);
        }
        Msg::Kept(Ok(said)) => app.say(said, Meaning::Good),
        Msg::Working(progress) => app.take_progress(progress),
        Msg::Done(done) => app.take_done(done, &mut effects),
        Msg::Weighed { ticket, count } => app.take_weight(ticket, count),
        Msg::Refused(why) | Msg::Kept(Err(why)) => app.say(why, Meaning::Bad),
    }
    effects
}
