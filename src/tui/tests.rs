//! Keys in, frames out, over a made-up ledger.

use std::collections::BTreeMap;

use crossterm::event::KeyCode;
use proptest::prelude::*;
use ratatui::buffer::Buffer;

use crate::domain::page::{Cell, Choice, Column, Count, Cursor, List, Page, Row, RowKey, Shape};
use crate::domain::query::{Query, Vocabulary};
use crate::domain::time::{HOUR_MS, MINUTE_MS, Timestamp};
use crate::store::query::columns;
use crate::tui::actions::{ACTIONS, Key};
use crate::tui::app::{App, Effect, From, Load, Msg, Opened, Overlay, Receiver, Start, update};
use crate::tui::curl::Curl;
use crate::tui::facts::{Arrived, Connection, Door, Say, Status, Today, TodayLine};
use crate::tui::place::Screen;
use crate::tui::record::Raw;
use crate::tui::theme::{Meaning, Theme};
use crate::tui::window::Newer;
use crate::tui::{Leave, LinkCard, Missing, OnQuit, render};

fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T06:14:00Z").unwrap()
}

const NAMES: [&str; 6] = [
    "Ada Lovelace",
    "Çiğdem Öz",
    "山田 太郎",
    "مريم",
    "Zoë 👩‍👩‍👧 Ng",
    "\u{1b}[31mEve\u{202e}",
];
const TYPES: [&str; 5] = [
    "payment.succeeded",
    "subscription.cancelled",
    "user.signed_in",
    "consent.withdrawn",
    "subscription.renewed",
];
const PROVIDERS: [&str; 4] = ["conscent", "klustr", "expressconsent", "zotlo"];

/// The value of one column of the `i`th row.
fn value(list: List, column: &Column, i: i64, at: Timestamp) -> Cell {
    let pick =
        |words: &[&str]| Cell::Text(words[usize::try_from(i).unwrap() % words.len()].to_owned());
    match column.name {
        "provider" => pick(&PROVIDERS),
        "account" => pick(&["main", "main", "weekly"]),
        "type" => pick(&TYPES),
        "name" | "who" => pick(&NAMES),
        "email" => Cell::Text(format!("reader{i}@example.org")),
        "user_id" => Cell::Text(format!("user-{}", i % 7)),
        "plan" => pick(&["Gold monthly", "Silver yearly"]),
        "currency" => pick(&["TRY", "EUR", "JPY"]),
        "exponent" => Cell::Int(if i % 3 == 2 { 0 } else { 2 }),
        "outcome" => pick(&["stored", "duplicate", "quarantined", "rejected"]),
        "status" => pick(&["active", "grace", "expired"]),
        "state" if list == List::Subscriptions => {
            pick(&["renews 14 Dec", "cancelled, ends 14 Dec"])
        }
        "state" | "after_state" => pick(&["given", "withdrawn"]),
        "test" => Cell::Int(i64::from(i % 5 == 4)),
        "seq" | "id" => Cell::Int(i),
        "salt" => Cell::Blob(vec![7; 16]),
        _ => match column.shape {
            Shape::Time => Cell::Text(at.to_string()),
            Shape::Day => Cell::Text("2026-11-20".to_owned()),
            Shape::Number | Shape::Minor => Cell::Int(i % 1000 * 100),
            Shape::Flag => Cell::Int(i % 2),
            Shape::Real => Cell::Real(1.5),
            Shape::Text | Shape::Word | Shape::Json | Shape::Body => Cell::Null,
        },
    }
}

fn row(list: List, i: i64) -> Row {
    let at = now().plus_ms(-MINUTE_MS * (100_000 - i));
    Row {
        key: RowKey {
            sort: at.to_string(),
            id: i,
        },
        cells: columns(list)
            .iter()
            .map(|column| value(list, column, i, at))
            .collect(),
    }
}

/// A ledger in memory: every list with the same number of rows, a filter that says "nothing" matching none.
struct Fake {
    rows: BTreeMap<List, Vec<Row>>,
    status: Status,
}

impl Fake {
    fn new(rows: i64) -> Self {
        let list = |list: &List| {
            let newest_first = (1..=rows).rev().map(|i| row(*list, 100_000 - rows + i));
            (*list, newest_first.collect())
        };
        Self {
            rows: List::ALL.iter().map(list).collect(),
            status: Status {
                last_backup: None,
                arrived: if rows > 0 {
                    Arrived::Real
                } else {
                    Arrived::Nothing
                },
                last_received_at: (rows > 0).then(|| now().plus_ms(-MINUTE_MS)),
                behind: 0,
                lost: 0,
                demo: false,
                running: true,
            },
        }
    }

    /// So many more rows at the head of every list.
    fn grow(&mut self, rows: i64) {
        for (list, all) in &mut self.rows {
            let newest = all.first().map_or(0, |row| row.key.id);
            for i in 1..=rows {
                all.insert(0, row(*list, newest + i));
            }
        }
    }

    fn page(&self, list: List, query: &Query, cursor: &Cursor, limit: usize) -> Page {
        if query.to_string().contains("nothing") {
            return Page::default();
        }
        let all = &self.rows[&list];
        let after = |key: &RowKey| {
            all.iter()
                .position(|row| row.key < *key)
                .unwrap_or(all.len())
        };
        let from = |key: &RowKey| {
            all.iter()
                .position(|row| row.key <= *key)
                .unwrap_or(all.len())
        };
        let (from, to) = match cursor {
            Cursor::First => (0, limit),
            Cursor::Last => (all.len().saturating_sub(limit), all.len()),
            Cursor::After(key) => (after(key), after(key) + limit),
            Cursor::From(key) => (from(key), from(key) + limit),
            Cursor::Before(key) => (from(key).saturating_sub(limit), from(key)),
            Cursor::At(at) => {
                let from = all
                    .iter()
                    .position(|row| row.key.sort <= *at)
                    .unwrap_or(all.len());
                (from, from + limit)
            }
        };
        let to = to.min(all.len());
        let from = from.min(to);
        Page {
            rows: all[from..to].to_vec(),
            more_before: from > 0 && !all.is_empty(),
            more_after: to < all.len(),
        }
    }

    fn load(&self, load: Load) -> Msg {
        let page = |cursor: &Cursor| self.page(load.list, &load.query, cursor, load.limit);
        let answer = match &load.from {
            From::Cursor(cursor) => page(cursor),
            From::Seq(seq) => {
                let found = self.rows[&load.list].iter().find(|row| row.key.id == *seq);
                found.map_or_else(Page::default, |row| page(&Cursor::From(row.key.clone())))
            }
        };
        let newer = load.head.map_or_else(Newer::default, |head| {
            let newer = self.page(load.list, &load.query, &Cursor::Before(head), 99);
            Newer {
                rows: newer.rows.len(),
                more: newer.more_before,
            }
        });
        Msg::Page {
            ticket: load.ticket,
            page: Ok(answer),
            newer,
        }
    }

    fn raw(&self, list: List) -> Raw {
        Raw {
            hint: (list == List::Deliveries).then(|| "wrong signature \u{1b}[2J".to_owned()),
            notes: vec![("asked for".to_owned(), "POST /hooks/\u{202e}".to_owned())],
            headers: vec![("svix-id".to_owned(), "msg_1\u{7}".to_owned())],
            body: Some(br#"{"event":"x","amount":1.50,"list":[1,2]}"#.to_vec()),
            events: self.rows[&List::Events].iter().take(2).cloned().collect(),
        }
    }

    fn answer(&self, effect: Effect) -> Vec<Msg> {
        match effect {
            Effect::Load(load) => vec![self.load(load)],
            Effect::Count { ticket, .. } => vec![Msg::Count {
                ticket,
                count: Count::MoreThan(10_000),
            }],
            Effect::Raw { list, row } => vec![Msg::Raw {
                raw: Some(Box::new(self.raw(list))),
                of: (list, row.key),
            }],
            Effect::Choices { ticket, .. } => ["provider", "type"]
                .map(|key| Msg::Choices {
                    ticket,
                    key,
                    choices: choices(key),
                })
                .to_vec(),
            Effect::Today(period) => vec![Msg::Today(period, today())],
            Effect::Connections => vec![Msg::Connections(connections())],
            Effect::Status => vec![Msg::Status(self.status.clone())],
            Effect::Task(_) => vec![Msg::Done(
                Ok("Everything up to now is reviewed.".to_owned()),
            )],
            Effect::Copy(_) | Effect::Suspend | Effect::Redraw | Effect::Leave(_) => Vec::new(),
        }
    }
}

fn choices(key: &'static str) -> Vec<Choice> {
    let words: &[&str] = if key == "provider" {
        &PROVIDERS
    } else {
        &TYPES
    };
    let choice = |(i, value): (usize, &&str)| Choice {
        key,
        value: (*value).to_owned(),
        count: Count::Exact(1000 / (i as u64 + 1)),
    };
    words.iter().enumerate().map(choice).collect()
}

fn today() -> Today {
    let door = |query: &str| {
        Some(Door {
            list: List::Events,
            query: query.to_owned(),
        })
    };
    let figure = |title: &str, now: &str, before: &str, change: &str, of: &str| TodayLine {
        say: Say::Figure {
            title: title.to_owned(),
            now: now.to_owned(),
            before: before.to_owned(),
            change: change.to_owned(),
            days: (0..28).map(|day| (day * 7) % 11).collect(),
        },
        door: door(of),
    };
    Today {
        heading: "Since your review Tue 09:02 (24 h 12 m)".to_owned(),
        seq: 100_000,
        lines: vec![
            TodayLine {
                say: Say::Need(
                    "Zotlo quiet for 3 h 10 m; its longest gap in 28 days was 2 h 05 m".to_owned(),
                ),
                door: door("provider:zotlo"),
            },
            figure(
                "New readers",
                "41",
                "35",
                "+6   +17 %",
                "type:user.registered",
            ),
            figure(
                "New subscriptions",
                "9",
                "11",
                "-2   -18 %",
                "type:subscription.started",
            ),
            TodayLine {
                say: Say::Fact {
                    title: "Payments".to_owned(),
                    text: "TRY 8,120.00  EUR 240.00".to_owned(),
                },
                door: None,
            },
        ],
    }
}

fn connections() -> Vec<Connection> {
    vec![Connection {
        provider: "zotlo".to_owned(),
        account: "main".to_owned(),
        state: ("last webhook 4 min ago on events".to_owned(), Meaning::Good),
        refused: Some("2 days ago on events, wrong secret link".to_owned()),
        old: Vec::new(),
        lines: vec![
            (
                "last webhook".to_owned(),
                "4 min ago".to_owned(),
                Meaning::Good,
            ),
            (
                "last turned away".to_owned(),
                "wrong secret link, 2 days ago".to_owned(),
                Meaning::Bad,
            ),
        ],
    }]
}

fn links() -> Vec<LinkCard> {
    [
        ("zotlo", "Zotlo", "events", "Webhook URL"),
        ("klustr", "Klustr", "events", "Endpoint URL"),
    ]
    .map(|(provider, name, hook, title)| {
        let url = format!("http://127.0.0.1:8484/hooks/{provider}/{hook}/k_0123456789abcdef");
        LinkCard {
            provider: provider.to_owned(),
            account: "main".to_owned(),
            hook: hook.to_owned(),
            name: name.to_owned(),
            title: title.to_owned(),
            curl: Curl {
                url: url.clone(),
                body: r#"{"a":1}"#.to_owned(),
            },
            url,
            is_local: true,
            add: vec![Missing {
                setting: format!("providers.{provider}.secret"),
                help: "Signing secret under Endpoints: proves each webhook".to_owned(),
            }],
            unguarded: false,
            several: Vec::new(),
        }
    })
    .to_vec()
}

struct Session {
    app: App,
    fake: Fake,
    outside: Vec<Effect>,
}

impl Session {
    fn open(rows: i64, size: (u16, u16)) -> Self {
        Self::open_at(rows, size, None)
    }

    fn open_at(rows: i64, size: (u16, u16), query: Option<&str>) -> Self {
        let mut session = Self {
            app: App::new(Start {
                now: now(),
                size,
                theme: Theme::Mono,
                demo: false,
                receiver: Receiver {
                    address: "127.0.0.1:8484".to_owned(),
                    pid: Some(7),
                    ours: true,
                },
                on_quit: OnQuit::Ask,
                links: links(),
                query: query.map(str::to_owned),
            }),
            fake: Fake::new(rows),
            outside: Vec::new(),
        };
        session.tell(Msg::Opened(Opened {
            zone: "Europe/Istanbul".parse().unwrap(),
            vocabulary: Vocabulary {
                providers: PROVIDERS.map(str::to_owned).to_vec(),
                ..Vocabulary::default()
            },
            last_review: None,
            status: session.fake.status.clone(),
        }));
        session
    }

    fn tell(&mut self, msg: Msg) {
        let mut messages = vec![msg];
        let mut turns = 0;
        while !messages.is_empty() {
            turns += 1;
            assert!(turns < 1000, "an answer keeps asking");
            let msg = messages.remove(0);
            for effect in update(&mut self.app, msg) {
                messages.extend(self.fake.answer(effect.clone()));
                self.outside.push(effect);
            }
        }
    }

    fn code(&mut self, code: KeyCode) {
        self.tell(Msg::Key(Key::plain(code)));
    }

    fn keys(&mut self, keys: &str) {
        for c in keys.chars() {
            match c {
                '\n' => self.code(KeyCode::Enter),
                '\t' => self.code(KeyCode::Tab),
                '\u{1b}' => self.code(KeyCode::Esc),
                c => self.tell(Msg::Key(Key::char(c))),
            }
        }
    }

    fn text(&self) -> String {
        let (width, height) = self.app.size;
        lines(&render(&self.app, width, height)).join("\n")
    }

    fn selected(&self) -> i64 {
        self.app.window.row().unwrap().key.id
    }
}

/// The characters of a frame.
fn lines(frame: &Buffer) -> Vec<String> {
    let row = |y: u16| {
        let cells = (0..frame.area.width).map(|x| frame[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..frame.area.height).map(row).collect()
}

/// A frame for a snapshot: many empty lines in a row are one that counts them.
fn frame_text(frame: &Buffer) -> String {
    let mut out = String::new();
    let mut empty = 0;
    for line in lines(frame).iter().chain([&"end of frame".to_owned()]) {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if empty > 0 {
            out.extend(["(", &empty.to_string(), " empty)\n"]);
            empty = 0;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (120, 40), (250, 60)];

#[test]
fn the_main_screens_at_four_sizes() {
    let screens = [
        ("today", "1"),
        ("events", "2"),
        ("users", "3"),
        ("subscriptions", "4"),
        ("consent_history", "6c"),
        ("deliveries", "7"),
        ("connections", "9"),
        ("event_opened", "2jj\n"),
        ("delivery_raw", "7\n\t"),
        ("picker", "2Fj "),
        ("keys", "2?"),
        ("filter_wrong", "2/provder:zotlo"),
        ("nothing_matches", "2/nothing\n"),
        ("leaving", "q"),
    ];
    for (name, keys) in screens {
        let mut shown = String::new();
        for (width, height) in SIZES {
            let mut session = Session::open(60, (width, height));
            session.keys(keys);
            let frame = frame_text(&render(&session.app, width, height));
            shown.extend([format!("{width}x{height}\n{frame}\n")]);
        }
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn nothing_received_yet_shows_the_links() {
    let session = Session::open(0, (80, 24));
    assert_eq!(session.app.place().screen, Screen::Connections);
    insta::assert_snapshot!("first_start", frame_text(&render(&session.app, 80, 24)));
}

#[test]
fn a_term_that_does_not_parse_never_widens_the_result() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2/provider:zotlo\n");
    assert_eq!(session.app.place().query, "provider:zotlo");
    let loads = session.outside.len();
    session.keys("/ provder:klustr\n");
    assert_eq!(session.app.place().query, "provider:zotlo");
    assert_eq!(session.outside.len(), loads);
    let shown = session.text();
    assert!(shown.contains("Tab: provider:klustr"), "{shown}");
    session.keys("\t\n");
    assert_eq!(session.app.place().query, "provider:zotlo provider:klustr");
    session.keys("\u{1b}[");
    assert_eq!(session.app.place().query, "provider:zotlo");
}

#[test]
fn a_filter_named_on_the_command_line_that_does_not_parse_is_put_before_the_publisher() {
    let session = Session::open_at(60, (80, 24), Some("provder:zotlo"));
    assert!(matches!(
        session.app.overlay,
        Some(Overlay::Bar { error: Some(_), .. })
    ));
    let session = Session::open_at(60, (80, 24), Some("provider:zotlo"));
    assert_eq!(session.app.place().query, "provider:zotlo");
    assert_eq!(session.app.place().screen, Screen::EVENTS);
}

#[test]
fn new_rows_never_move_the_selected_one_and_are_counted_while_the_head_is_out_of_sight() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2jjj");
    let selected = session.selected();
    session.fake.grow(2);
    session.tell(Msg::Changed);
    assert_eq!(session.selected(), selected);
    assert_eq!(session.app.window.top, 0, "at the head new rows appear");
    for _ in 0..3 {
        session.code(KeyCode::PageDown);
    }
    let selected = session.selected();
    let before = session.text();
    session.fake.grow(12);
    session.tell(Msg::Changed);
    assert_eq!(session.selected(), selected);
    let shown = session.text();
    assert!(shown.contains("12 new"), "{shown}");
    let rows = |text: &str| text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&shown), rows(&before));
    session.keys("g");
    assert!(!session.text().contains("12 new"));
    assert_eq!(session.selected(), 100_014);
}

#[test]
fn a_long_list_is_walked_from_end_to_end_in_windows() {
    let mut session = Session::open(2000, (80, 24));
    session.keys("2");
    let mut seen = vec![session.selected()];
    for _ in 0..1999 {
        session.keys("j");
        seen.push(session.selected());
        assert!(session.app.window.rows.len() < 500);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1] + 1));
    session.keys("G");
    assert_eq!(session.selected(), 98_001);
    for _ in 0..1999 {
        session.keys("k");
    }
    assert_eq!(session.selected(), 100_000);
    session.keys("G");
    assert_eq!(session.selected(), 98_001);
    session.keys("g");
    assert_eq!(session.selected(), 100_000);
}

#[test]
fn a_jump_to_a_time_selects_the_newest_row_that_is_not_after_it() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2@09:00\n");
    let at = now().plus_ms(-14 * MINUTE_MS);
    assert_eq!(session.app.window.row().unwrap().key.sort, at.to_string());
    session.keys("@soon\n");
    assert!(matches!(
        session.app.overlay,
        Some(Overlay::Time { wrong: true, .. })
    ));
}

#[test]
fn esc_comes_back_to_the_same_row() {
    let mut session = Session::open(500, (80, 24));
    session.keys("2");
    for _ in 0..40 {
        session.keys("j");
    }
    let (selected, top) = (session.selected(), session.app.window.top);
    let shown = session.text();
    session.keys("\n");
    session.keys("d");
    assert_eq!(session.app.place().screen, Screen::DELIVERIES);
    assert_eq!(session.selected(), selected);
    session.keys("\u{1b}\u{1b}\u{1b}");
    assert_eq!(session.app.place().screen, Screen::EVENTS);
    assert_eq!(session.selected(), selected);
    let first = |text: &str| text.lines().nth(3).unwrap().to_owned();
    assert_eq!(first(&session.text()), first(&shown), "first row {top}");
    session.keys("\u{1b}\u{1b}");
    assert_eq!(
        session.app.place().screen,
        Screen::EVENTS,
        "Esc never quits"
    );
}

#[test]
fn a_figure_opens_the_list_that_it_counts() {
    let mut session = Session::open(60, (80, 24));
    assert_eq!(session.app.place().screen, Screen::Today);
    session.keys("j\n");
    assert_eq!(session.app.place().query, "type:user.registered");
    session.keys("\u{1b}");
    assert_eq!(
        (session.app.place().screen, session.app.place().line),
        (Screen::Today, 1)
    );
}

#[test]
fn leaving_asks_only_where_the_receiver_is_ours() {
    let left = |session: &Session| {
        session.outside.iter().find_map(|effect| match effect {
            Effect::Leave(leave) => Some(*leave),
            _ => None,
        })
    };
    for (key, leave) in [
        ("k", Leave::KeepReceiver),
        ("i", Leave::InstallService),
        ("s", Leave::StopReceiver),
    ] {
        let mut session = Session::open(5, (80, 24));
        session.keys("q");
        assert_eq!(left(&session), None);
        session.keys(key);
        assert_eq!(left(&session), Some(leave));
    }
    let mut session = Session::open(5, (80, 24));
    session.app.receiver.ours = false;
    session.keys("q");
    assert_eq!(left(&session), Some(Leave::Quit));
    let mut session = Session::open(5, (80, 24));
    session.tell(Msg::Key(Key::ctrl('c')));
    assert_eq!(left(&session), Some(Leave::StopReceiver));
}

#[test]
fn a_ledger_that_cannot_be_read_keeps_the_rows_and_says_why() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2");
    session.tell(Msg::Trouble("the ledger is busy".to_owned()));
    let shown = session.text();
    assert!(shown.contains("! the ledger is busy") && shown.contains("Ada"));
}

#[test]
fn nothing_changes_on_screen_while_nothing_happens() {
    let mut session = Session::open(60, (80, 24));
    session.keys("2");
    session.tell(Msg::Changed);
    session.app.dirty = false;
    session.tell(Msg::Tick(now().plus_ms(500)));
    session.tell(Msg::Changed);
    assert!(
        !session.app.dirty,
        "a reload that brings nothing new draws nothing"
    );
    session.tell(Msg::Tick(now().plus_ms(HOUR_MS)));
    assert!(session.app.dirty, "times in words go on");
}

#[test]
fn data_drives_neither_terminal_nor_eye() {
    for keys in ["2", "3", "7\n", "7\n\t", "2\n\t", "2F"] {
        let mut session = Session::open(60, (120, 40));
        session.keys(keys);
        let frame = render(&session.app, 120, 40);
        for cell in frame.content() {
            assert!(!cell.symbol().chars().any(char::is_control), "{keys}");
            assert!(!cell.symbol().contains('\u{202e}'), "{keys}");
        }
    }
    let mut session = Session::open(60, (120, 40));
    session.keys("7\n");
    assert!(session.text().contains("wrong signature \\x1b[2J"));
}

#[test]
fn only_the_publishers_words_are_on_screen() {
    let never = [
        "facet",
        "drill",
        "watermark",
        "fold",
        "projection",
        "keyset",
        "salt",
    ];
    for keys in [
        "1", "2\n", "3", "4", "5", "6", "6c", "7\n", "7\n\t", "9", "2F", "2?", "q", "$",
    ] {
        let mut session = Session::open(60, (250, 60));
        session.keys(keys);
        let shown = session.text().to_lowercase();
        for word in never {
            assert!(!shown.contains(word), "{word:?} after {keys:?}");
        }
    }
    for action in ACTIONS {
        assert!(!never.iter().any(|word| action.help.contains(word)));
    }
}

#[test]
fn test_rows_say_so_in_a_word() {
    let mut session = Session::open(60, (40, 10));
    session.keys("2");
    assert!(session.text().contains("TEST"));
}

#[test]
fn deliveries_say_how_many_were_turned_away_and_not_kept() {
    let mut session = Session::open(60, (80, 24));
    session.keys("7");
    assert!(!session.text().contains("not kept"));
    session.fake.status.lost = 1_312;
    let status = session.fake.status.clone();
    session.tell(Msg::Status(status));
    assert!(session.text().contains("+1,312 turned away, not kept"));
    session.keys("2");
    assert!(!session.text().contains("not kept"));
}

#[test]
fn a_terminal_that_is_too_small_says_so_and_still_quits() {
    let mut session = Session::open(60, (30, 5));
    assert_eq!(session.text().trim_end(), "needs 40x8, is 30x5");
    session.app.receiver.ours = false;
    session.keys("q");
    assert!(
        session
            .outside
            .iter()
            .any(|effect| matches!(effect, Effect::Leave(Leave::Quit)))
    );
}

#[test]
fn a_link_is_copied_whole() {
    let mut session = Session::open(0, (80, 24));
    session.keys("jy");
    let copied = session
        .outside
        .iter()
        .any(|effect| matches!(effect, Effect::Copy(text) if *text == links()[1].url));
    assert!(copied);
    assert!(
        session
            .text()
            .contains("bytes, handed to the terminal's clipboard")
    );
}

fn any_key() -> impl Strategy<Value = Key> {
    let bound: Vec<Key> = ACTIONS
        .iter()
        .flat_map(|action| action.keys.iter().copied())
        .collect();
    prop_oneof![
        4 => prop::sample::select(bound),
        1 => any::<char>().prop_map(Key::char),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Key(Key),
    Resize(u16, u16),
    Grow(i64),
    Paste(String),
    Forget,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => any_key().prop_map(Step::Key),
        1 => (0..260u16, 0..70u16).prop_map(|(width, height)| Step::Resize(width, height)),
        1 => (0..40i64).prop_map(Step::Grow),
        1 => "\\PC{0,12}".prop_map(Step::Paste),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_keys_at_any_size_upset_the_screen(
        rows in prop::sample::select(vec![0i64, 1, 7, 600]),
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let mut session = Session::open(rows, (80, 24));
        for step in steps {
            match step {
                Step::Key(key) => session.tell(Msg::Key(key)),
                Step::Resize(width, height) => session.tell(Msg::Resize(width, height)),
                Step::Grow(rows) => {
                    session.fake.grow(rows);
                    session.tell(Msg::Changed);
                }
                Step::Paste(text) => session.tell(Msg::Paste(text)),
                // The answer to this never comes.
                Step::Forget => drop(update(&mut session.app, Msg::Key(Key::char('G')))),
            }
            let (width, height) = session.app.size;
            let frame = render(&session.app, width, height);
            prop_assert_eq!(frame.area.width, width);
            prop_assert!(session.app.window.selected <= session.app.window.rows.len());
        }
    }
}
