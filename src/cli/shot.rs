//! `shot`: a picture of a screen, from the keys that lead to it.
//!
//! Of a made-up ledger that is thrown away, or of the one that `--db` names, in which it changes nothing.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cli::args::{DemoArgs, Global, ShotArgs, ShotFormat, ShotScreen};
use crate::cli::context::Context;
use crate::cli::demo::{self, ThrownAway};
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::screen;
use crate::domain::time::{Clock, Timestamp};
use crate::tui::Setup;
use crate::tui::headless::picture::Picture;
use crate::tui::headless::{self, Script, Sitting};
use crate::tui::place::Screen;
use crate::tui::theme::{Depth, Theme};

/// Takes the picture.
pub fn run(global: &Global, args: &ShotArgs, out: &mut Out) -> Result<()> {
    let sitting = Sitting {
        size: args.size,
        screen: args.screen.map(screen_of),
        keys: Script::parse(&args.keys).map_err(|why| Failure::usage(format!("--keys: {why}")))?,
    };
    let format = format(args)?;
    let clock = clock(args)?;
    let picture = if global.db.is_some() {
        let mut context = Context::read(global)?;
        context.clock = clock;
        take(args, screen::setup(&context, None, None), &sitting)?
    } else {
        let dir = ThrownAway::new(&std::env::temp_dir())?;
        let mut context = demo::context(global, dir.path().join("demo.db"), clock)?;
        context.config.display.zone = Some(args.zone);
        let demo = DemoArgs {
            seed: args.seed,
            events: args.events,
            until: None,
            out: None,
        };
        demo::make(&context, &demo)?;
        take(args, screen::demo_setup(&context), &sitting)?
    };
    let title = args
        .screen
        .map_or("subledger", |screen| screen_of(screen).title());
    let written = match format {
        ShotFormat::Txt => picture.text(),
        ShotFormat::Ansi => picture.ansi(),
        ShotFormat::Svg => picture.svg(title),
    };
    // A ledger's picture shows its readers.
    let mode = if global.db.is_some() { 0o600 } else { 0o666 };
    write(args.out.as_deref(), mode, &written, out)
}

fn take(args: &ShotArgs, setup: Setup, sitting: &Sitting) -> Result<Picture> {
    let is_demo = setup.demo;
    let setup = Setup {
        theme: Theme::named(&args.theme, Depth::True),
        masked: args.redact,
        // A picture is the same on every machine.
        machine_zone: None,
        tasks: if is_demo {
            setup.tasks
        } else {
            Box::new(|_, _| Err("a picture changes nothing in this ledger".to_owned()))
        },
        ..setup
    };
    Ok(headless::picture(&setup, sitting)?)
}

/// The moment of the picture.
fn clock(args: &ShotArgs) -> Result<Clock> {
    let now = match &args.until {
        Some(text) => Timestamp::parse(text).ok_or_else(|| {
            Failure::usage(format!(
                "--until wants a time such as 2026-11-01T09:00:00Z, not {text:?}"
            ))
        })?,
        None => Clock::Machine.now(),
    };
    // Time stands still while it is taken.
    Ok(Clock::Fixed(now))
}

/// What `--format` or the name says; text where neither does.
fn format(args: &ShotArgs) -> Result<ShotFormat> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    let Some(path) = &args.out else {
        return Ok(ShotFormat::Txt);
    };
    match path.extension().and_then(|end| end.to_str()) {
        Some("svg") => Ok(ShotFormat::Svg),
        Some("ansi") => Ok(ShotFormat::Ansi),
        Some("txt") => Ok(ShotFormat::Txt),
        _ => Err(Failure::usage(format!(
            "{:?} does not say what kind of picture: end it in .svg, .ansi or .txt, or add --format",
            path.display().to_string()
        ))
        .into()),
    }
}

/// In a file of at most this `mode`, whole or not at all; else on stdout.
fn write(path: Option<&Path>, mode: u32, text: &str, out: &mut Out) -> Result<()> {
    let Some(path) = path else {
        out.data().write_all(text.as_bytes())?;
        return Ok(out.flush()?);
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = Path::new(&beside);
    // One that was left there may be open to others, or lead elsewhere.
    std::fs::remove_file(beside).ok();
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(beside);
    let written = opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(beside, path));
    written.map_err(|error| {
        // It may not even be there.
        std::fs::remove_file(beside).ok();
        Failure::failed(format!("cannot write {}: {error}", path.display()))
    })?;
    out.say(format!("the picture is in {}", path.display()))
        .context("cannot say so")
}

const fn screen_of(screen: ShotScreen) -> Screen {
    match screen {
        ShotScreen::Today => Screen::Today,
        ShotScreen::Events => Screen::EVENTS,
        ShotScreen::Users => Screen::USERS,
        ShotScreen::Subscriptions => Screen::SUBSCRIPTIONS,
        ShotScreen::Cancellations => Screen::CANCELLATIONS,
        ShotScreen::Consents => Screen::CONSENTS,
        ShotScreen::Changes => Screen::CHANGES,
        ShotScreen::Payments => Screen::PAYMENTS,
        ShotScreen::Deliveries => Screen::DELIVERIES,
        ShotScreen::Connections => Screen::Connections,
    }
}
