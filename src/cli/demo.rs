//! `demo`: a made-up year in a ledger of its own, thrown away when the screen is closed.
//!
//! Never looks at the real database.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context as _, Result};
use sha2::{Digest, Sha256};

use crate::cli::args::{DemoArgs, Global};
use crate::cli::bar::Bar;
use crate::cli::context::{Context, find, known};
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::cli::screen;
use crate::cli::tasks::open_store;
use crate::config::edit::create_private_dir;
use crate::config::{places::absolute, read};
use crate::demo::{Demo, Posted};
use crate::domain::time::{Clock, DAY_MS, Timestamp};
use crate::providers::door;
use crate::store;
use crate::store::task::Task;
use crate::store::writer::{Rejected, Store, Writer};

/// So many deliveries wait for the writer at most.
const WAITING_MAX: usize = 512;

/// Makes the year, and shows it or keeps it in a file.
pub fn run(global: &Global, args: &DemoArgs, out: &mut Out) -> Result<()> {
    let clock = match &args.until {
        Some(text) => Timestamp::parse(text).map(Clock::Fixed).ok_or_else(|| {
            Failure::usage(format!(
                "--until wants a time such as 2026-11-01, not {text:?}"
            ))
        })?,
        None => Clock::Machine,
    };
    if let Some(path) = &args.out {
        return keep(global, args, path, clock, out);
    }
    if !out.is_terminal() {
        return Err(Failure::usage(
            "the demo's screen needs a terminal; without one, --out FILE keeps the database",
        )
        .into());
    }
    let dir = ThrownAway::new(&std::env::temp_dir())?;
    let context = context(global, dir.0.join("demo.db"), clock)?;
    make(&context, args)?;
    screen::open_demo(&context)?;
    Ok(())
}

fn keep(global: &Global, args: &DemoArgs, path: &Path, clock: Clock, out: &mut Out) -> Result<()> {
    if path.exists() {
        return Err(Failure::usage(format!(
            "{} is there already: name a file that is not",
            path.display()
        ))
        .into());
    }
    // It takes its name once it is whole: half a year would look like a whole one.
    let whole = absolute(path);
    let dir = ThrownAway::new(whole.parent().unwrap_or(Path::new("/")))?;
    let made = dir.0.join("demo.db");
    make(&context(global, made.clone(), clock)?, args)?;
    std::fs::rename(&made, &whole)
        .map_err(|error| Failure::failed(format!("cannot make {}: {error}", path.display())))?;
    out.say(format!(
        "a made-up year is in {path}: subledger --db {path} today",
        path = path.display()
    ))?;
    Ok(())
}

/// A ledger of its own, and no settings but the screen's.
pub fn context(global: &Global, database: PathBuf, clock: Clock) -> Result<Context> {
    let (places, settings) = find(global)?;
    let mut config = read::defaults(&known())?;
    if settings.exists
        && let Ok(own) = read::load(&settings.path, &known())
    {
        config.display = own.display;
    }
    Ok(Context {
        global: global.clone(),
        places,
        settings,
        config,
        database,
        clock,
    })
}

/// Makes the year in the ledger of `context`, up to its present moment.
pub fn make(context: &Context, args: &DemoArgs) -> Result<()> {
    interrupt::noted()?;
    let store = open_store(context, String::new())?;
    let bar = Bar::new();
    let until = context.clock.now();
    let reviewed_at = until.plus_ms(-DAY_MS);
    let posted = Demo::new(args.seed, args.events, until).take_while(|_| !interrupt::is_asked());
    let result = fill(&store, posted, args.events, reviewed_at, &bar);
    drop(bar);
    let seq = result?;
    store.close()?;
    if interrupt::is_asked() {
        return Err(Failure::interrupted().into());
    }
    review(context, seq, reviewed_at)?;
    // What the clock changes is as of the end of the year again.
    open_store(context, String::new())?.close()?;
    Ok(())
}

/// The day before, everything up to `seq` was reviewed: Today then shows a morning.
fn review(context: &Context, seq: i64, reviewed_at: Timestamp) -> Result<()> {
    let mut context = context.clone();
    context.clock = Clock::Fixed(reviewed_at);
    let store = open_store(&context, String::new())?;
    store
        .writer()
        .run(Task::MarkReviewed { seq }, &mut |_| {})?;
    store.close()?;
    Ok(())
}

/// Everything through the writer, as if it had arrived. How many arrived before `reviewed_at`.
fn fill(
    store: &Store,
    year: impl Iterator<Item = Posted>,
    events: u64,
    reviewed_at: Timestamp,
    bar: &Bar,
) -> Result<i64> {
    let (mut reviewed, mut made) = (0, 0);
    let writer = store.writer();
    let mut waiting = Waiting::new();
    let mut refused = Vec::new();
    for posted in year {
        if let Some(reason) = posted.rejected() {
            refused.push(rejected(reason, posted));
            continue;
        }
        reviewed += i64::from(posted.at < reviewed_at);
        let delivery = posted.into_delivery();
        let reading = door::read(&delivery);
        made += u64::try_from(reading.events().len()).unwrap_or(0);
        bar.count("making up a year", made, Some(events));
        waiting.take_turn()?;
        waiting.append(&writer, delivery, reading)?;
    }
    waiting.drain()?;
    for one in refused {
        writer.reject(one);
    }
    Ok(reviewed)
}

/// How many deliveries wait for the writer.
struct Waiting {
    sender: Sender<Result<(), store::Error>>,
    done: Receiver<Result<(), store::Error>>,
    count: usize,
}

impl Waiting {
    fn new() -> Self {
        let (sender, done) = channel();
        Self {
            sender,
            done,
            count: 0,
        }
    }

    /// Waits until there is room.
    fn take_turn(&mut self) -> Result<()> {
        while self.count >= WAITING_MAX {
            self.one()?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        while self.count > 0 {
            self.one()?;
        }
        Ok(())
    }

    fn one(&mut self) -> Result<()> {
        self.count -= 1;
        self.done.recv().context("the writer has gone")??;
        Ok(())
    }

    fn append(
        &mut self,
        writer: &Writer,
        delivery: crate::domain::delivery::Delivery,
        reading: crate::domain::delivery::Reading,
    ) -> Result<()> {
        let sender = self.sender.clone();
        let confirming = writer.clone();
        let reply = Box::new(move |result: Result<store::append::Ack, store::Error>| {
            let result = result.map(|ack| confirming.confirm(ack.seq));
            // Whoever waited may have failed already.
            sender.send(result).ok();
        });
        writer
            .append(delivery, reading, reply)
            .map_err(|_| Failure::failed("the writer takes no more"))?;
        self.count += 1;
        Ok(())
    }
}

fn rejected(reason: &str, posted: Posted) -> Rejected {
    Rejected {
        received_at: posted.at,
        provider: posted.provider.to_owned(),
        hook: posted.hook.to_owned(),
        path: format!("/hooks/{}/{}", posted.provider, posted.hook),
        reason: reason.to_owned(),
        remote_ip: "198.51.100.7".to_owned(),
        method: "POST".to_owned(),
        headers: posted.headers,
        body_bytes: u64::try_from(posted.body.len()).unwrap_or(u64::MAX),
        sha256: Some(hex(&Sha256::digest(&posted.body))),
        body: Some(posted.body),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.extend(format!("{byte:02x}").chars());
    }
    out
}

/// A directory that is gone when this is dropped.
pub struct ThrownAway(PathBuf);

impl ThrownAway {
    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A new one in `within`, for nobody but this user.
    pub fn new(within: &Path) -> Result<Self> {
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).context("the system gives no random bytes")?;
        let dir = within.join(format!(
            "subledger-demo-{:016x}",
            u64::from_ne_bytes(random)
        ));
        create_private_dir(&dir).map_err(|error| {
            Failure::unreachable(format!("cannot make {}: {error}", dir.display()))
        })?;
        Ok(Self(dir))
    }
}

impl Drop for ThrownAway {
    fn drop(&mut self) {
        // What cannot be removed now goes with the other temporary files.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
