//! Keys in, frames out, over a made-up ledger.

mod ledger;

mod reviews;

mod screens;

mod rows;

mod record;

mod prompt;

mod command;

mod search;

mod palette;

mod today;

mod connections;

mod sight;

mod work;

mod hostile;

mod whole;

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;

use crate::domain::mask::Mask;
use crate::domain::page::{List, Order};
use crate::domain::query::Vocabulary;
use crate::store::task::Task;
use crate::tui::actions::key::Key;
use crate::tui::app::message::{Effect, Msg, Opened};
use crate::tui::app::{App, Receiver, Start, update};
use crate::tui::tests::ledger::{Fake, PROVIDERS, links, now};
use crate::tui::theme::Theme;
use crate::tui::{First, Knob, OnQuit, render};

struct Session {
    app: App,
    fake: Fake,
    outside: Vec<Effect>,
}

fn start(size: (u16, u16)) -> Start {
    Start {
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
        first: None,
        program: vec!["subledger".to_owned()],
        masked: false,
        machine_zone: Some("Asia/Kolkata".parse().unwrap()),
        looks: vec![("terminal", Theme::Terminal), ("mono", Theme::Mono)],
        knobs: vec![Knob {
            setting: "display.theme".to_owned(),
            help: "what it looks like".to_owned(),
            command: "subledger config set display.theme".to_owned(),
        }],
    }
}

impl Session {
    fn open(rows: i64, size: (u16, u16)) -> Self {
        Self::open_at(rows, size, None)
    }

    fn open_at(rows: i64, size: (u16, u16), query: Option<&str>) -> Self {
        let mut session = Self {
            app: App::new(Start {
                first: query.map(|query| First {
                    list: List::Events,
                    query: query.to_owned(),
                    order: Order::default(),
                    id: None,
                }),
                ..start(size)
            }),
            fake: Fake::new(rows),
            outside: Vec::new(),
        };
        session.reopen();
        session
    }

    /// The ledger is there.
    fn reopen(&mut self) {
        self.tell(Msg::Opened(Opened {
            zone: "Europe/Istanbul".parse().unwrap(),
            mask: Mask::new([7; 32]),
            vocabulary: Some(Vocabulary {
                providers: PROVIDERS.map(str::to_owned).to_vec(),
                ..Vocabulary::default()
            }),
            last_review: None,
            status: self.fake.status.clone(),
        }));
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

    /// What the ledger was told to write.
    fn tasks(&self) -> Vec<Task> {
        let effects = self.outside.iter();
        effects
            .filter_map(|effect| match effect {
                Effect::Task(task) => Some(task.clone()),
                _ => None,
            })
            .collect()
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
