//! The screen, wired to a ledger.

mod export;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::Result;

use crate::cli::args::Colour;
use crate::cli::context::{Context, machine_zone};
use crate::cli::links::links;
use crate::cli::running::{self, Running};
use crate::cli::{keys, lists, settings, tasks, today};
use crate::config;
use crate::config::places::absolute;
use crate::config::read::{THEMES, explained};
use crate::domain::page::{Count, List, Order};
use crate::store::Error;
use crate::store::query::Reader;
use crate::store::today::Outside;
use crate::tui::shell;
use crate::tui::theme::{Depth, Theme};
use crate::tui::{First, Knob, Leave, LinkCard, OnQuit, ReceiverLink, Setup, Watched, run};

/// Opening a ledger takes a few milliseconds; so long nobody notices.
const LOOK_TIMEOUT: Duration = Duration::from_millis(300);

/// The receiver that the screen is shown with.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// It.
    pub running: &'a Running,
    /// It was started together with the screen.
    pub ours: bool,
}

/// Opens the screen on the ledger of `context` and gives back how it was left.
pub fn open(
    context: &Context,
    first: Option<First>,
    beside: Option<Beside<'_>>,
    masked: bool,
) -> Result<Leave> {
    look(&context.database)?;
    Ok(run(Setup {
        masked,
        ..setup(context, first, beside)
    })?)
}

/// Says what is wrong with the file in one line, before the terminal is taken. A ledger that is locked is nothing wrong:
/// the screen waits for it, and says so.
fn look(database: &Path) -> Result<()> {
    let (sender, answer) = channel();
    let path = database.to_owned();
    std::thread::spawn(move || sender.send(Reader::open(&path).map(drop)));
    match answer.recv_timeout(LOOK_TIMEOUT) {
        Ok(Err(error)) if !matches!(error, Error::Busy) => Err(error.into()),
        _ => Ok(()),
    }
}

/// What the screen on the ledger of `context` is given.
pub fn setup(context: &Context, first: Option<First>, beside: Option<Beside<'_>>) -> Setup {
    let listen = beside.map_or(context.listen(), |beside| beside.running.listen);
    let receiver = beside.map_or_else(ReceiverLink::default, |beside| ReceiverLink {
        address: beside.running.listen.to_string(),
        pid: Some(beside.running.pid),
        ours: beside.ours,
    });
    let on_quit = match context.config.display.on_quit {
        config::OnQuit::Ask => OnQuit::Ask,
        config::OnQuit::Keep => OnQuit::Keep,
        config::OnQuit::Stop => OnQuit::Stop,
    };
    Setup {
        links: cards(context, listen, None),
        settings: Some(watched(context)),
        receiver,
        on_quit,
        first,
        ..bare(context)
    }
}

/// Opens the screen on a made-up ledger, which no receiver belongs to.
pub fn open_demo(context: &Context) -> Result<Leave> {
    Ok(run(demo_setup(context))?)
}

/// What the screen on a made-up ledger is given.
pub fn demo_setup(context: &Context) -> Setup {
    Setup {
        demo: true,
        program: vec![
            "subledger".to_owned(),
            "--db".to_owned(),
            context.database.display().to_string(),
        ],
        outside: Box::new(|| Outside {
            names: today::names(),
            ..Outside::default()
        }),
        ..bare(context)
    }
}

/// The settings' theme, as far as the terminal can show it and the command line wants it.
fn theme(context: &Context) -> Theme {
    Theme::named(&context.config.display.theme, depth(context))
}

/// Every theme, as far as the terminal can show it.
fn looks(context: &Context) -> Vec<(&'static str, Theme)> {
    let depth = depth(context);
    let named = |name: &&'static str| (*name, Theme::named(name, depth));
    THEMES.iter().map(named).collect()
}

/// What can be set, and the command that does.
fn knobs(context: &Context) -> Vec<Knob> {
    let mut program = vec!["subledger".to_owned()];
    if context.global.config.is_some() {
        let path = absolute(&context.settings.path);
        program.extend(["--config".to_owned(), path.display().to_string()]);
    }
    let program: Vec<String> = program.iter().map(|text| shell::word(text)).collect();
    let program = program.join(" ");
    let knob = |(setting, help): (String, String)| Knob {
        command: format!("{program} config set {setting}"),
        setting,
        help,
    };
    explained().into_iter().map(knob).collect()
}

fn depth(context: &Context) -> Depth {
    match context.global.color {
        Colour::Never => Depth::None,
        Colour::Auto => Depth::here(),
        Colour::Always => Depth::told(|name| match name {
            "NO_COLOR" => None,
            _ => std::env::var(name).ok(),
        }),
    }
}

/// A screen without receiver and links.
fn bare(context: &Context) -> Setup {
    let (writer, known, exporter) = (context.clone(), context.clone(), context.clone());
    Setup {
        path: context.database.clone(),
        clock: context.clock,
        theme: theme(context),
        receiver: ReceiverLink::default(),
        links: Vec::new(),
        settings: None,
        demo: false,
        on_quit: OnQuit::Stop,
        first: None,
        program: program(context),
        exports: Box::new(move |job, tell| export::write(&exporter, job, tell)),
        masked: false,
        machine_zone: Some(machine_zone()),
        looks: looks(context),
        knobs: knobs(context),
        tasks: Box::new(move |task, progress| {
            tasks::submit_from_screen(&writer, task, progress).map_err(|error| format!("{error:#}"))
        }),
        outside: Box::new(move || today::by_settings(&known)),
    }
}

/// The list that the command line asks for. A saved filter brings its own, and its order where none is asked for.
pub fn first(
    context: &Context,
    query: &str,
    list: Option<List>,
    order: Option<Order>,
    id: Option<i64>,
) -> Result<First> {
    // Only the ledger knows saved filters; for anything else the screen itself waits for it.
    let view = if query.trim_start().starts_with('@') {
        let reader = Reader::open(&context.database)?;
        let view = lists::saved(&reader, list, query)?;
        let list = list.unwrap_or(List::Events);
        if view.is_none()
            && let Ok(words) = lists::parse_text(context, &reader, list, query)
            && reader.count(list, &words, 1)? == Count::Exact(0)
        {
            let name = query.trim().trim_start_matches('@');
            lists::no_view(list, name)?;
        }
        view
    } else {
        None
    };
    let (list, query, saved) = match view {
        Some(view) => (view.list, view.query, view.order),
        None => (
            list.unwrap_or(List::Events),
            query.to_owned(),
            Order::default(),
        ),
    };
    Ok(First {
        list,
        query,
        order: order.unwrap_or(saved),
        id,
    })
}

/// The words that start this program on the ledger that the screen shows.
fn program(context: &Context) -> Vec<String> {
    let mut words = vec!["subledger".to_owned()];
    let named = [
        (
            "--config",
            context.global.config.as_ref(),
            &context.settings.path,
        ),
        ("--db", context.global.db.as_ref(), &context.database),
    ];
    for (option, given, path) in named {
        if given.is_some() {
            words.push(option.to_owned());
            words.push(absolute(path).display().to_string());
        }
    }
    words
}

/// The settings, so that links and warnings are those of today however long the screen is open.
fn watched(context: &Context) -> Watched {
    let global = context.global.clone();
    let database = context.database.clone();
    Watched {
        path: context.settings.path.clone(),
        read: Box::new(move |key| {
            let context = Context::read(&global).map_err(|error| format!("{error:#}"))?;
            settings::check(&context.config).map_err(|error| format!("{error:#}"))?;
            let running = running::receiver(&database);
            let listen = running.map_or(context.listen(), |running| running.listen);
            Ok(cards(&context, listen, Some(key)))
        }),
    }
}

/// The links, with what tells secrets apart in the ledger that has this fingerprint `key`.
fn cards(context: &Context, listen: SocketAddr, key: Option<&[u8; 32]>) -> Vec<LinkCard> {
    links(&context.config, listen, context.clock.now())
        .into_iter()
        .map(|link| LinkCard {
            several: key.map_or_else(Vec::new, |key| {
                keys::several_of(context, link.provider, &link.account, key)
            }),
            provider: link.provider.to_owned(),
            account: link.account,
            name: link.name,
            hook: link.hook.to_owned(),
            title: link.hook_title.to_owned(),
            place: link.place,
            url: link.url,
            is_local: context.config.receiver.public_url.is_none(),
            curl: link.curl,
            add: link.add,
            unguarded: link.unguarded,
        })
        .collect()
}
