//! The command line: one file per family of commands, and the wiring of all floors. Never SQL, HTTP answers or drawing.

pub mod args;

pub mod failure;

pub mod interrupt;

pub mod out;

pub mod context;

pub mod table;

pub mod links;

pub mod address;

pub mod running;

pub mod bar;

pub mod tasks;

pub mod screen;

pub mod start;

pub mod service;

pub mod alerts;

pub mod notify;

pub mod sockets;

pub mod serve;

pub mod status;

pub mod behind;

pub mod lists;

pub mod show;

pub mod sql;

pub mod queries;

pub mod today;

pub mod urls;

pub mod ask;

pub mod connect;

pub mod keys;

pub mod proxy;

pub mod send;

pub mod marks;

pub mod rejected;

pub mod upkeep;

pub mod prune;

pub mod backup;

pub mod restore;

pub mod erase;

pub mod import;

pub mod export;

pub mod user;

pub mod prove;

pub mod demo;

pub mod shot;

pub mod settings;

pub mod doctor;

pub mod words;

use anyhow::Result;

use crate::cli::args::{Cli, Command, TestsCommand};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::domain::page::List;

/// What is said where no account can be meant.
const NO_ACCOUNT: &str = "this command is of every account: --account is for lists, today, export, quarantine, user, \
    prove, import, urls, connect, keys, send, tests mark and doctor --public; on the screen, / filters by account:NAME";

/// Whether `--account` means something to `command`.
const fn takes_account(command: &Command) -> bool {
    matches!(
        command,
        Command::Events { .. }
            | Command::Users(_)
            | Command::Subscriptions(_)
            | Command::Cancellations(_)
            | Command::Consents(_)
            | Command::Changes(_)
            | Command::Payments(_)
            | Command::Deliveries(_)
            | Command::Today(_)
            | Command::Connect { .. }
            | Command::Keys(_)
            | Command::Urls { proxy: None, .. }
            | Command::Send(_)
            | Command::Tests(TestsCommand::Mark { .. })
            | Command::Quarantine { command: None, .. }
            | Command::Import(_)
            | Command::Export(_)
            | Command::User(_)
            | Command::Prove(_)
            | Command::Doctor { public: true, .. }
    )
}

/// Does what the command line says.
pub fn run(cli: &Cli) -> Result<()> {
    let global = &cli.global;
    let mut out = Out::new(global);
    let out = &mut out;
    let context = || Context::read(global);
    let look = |out: &mut Out| Context::look(global, out);
    let Some(command) = &cli.command else {
        if global.account.is_some() {
            return Err(Failure::usage(NO_ACCOUNT).into());
        }
        return start::run(global, out);
    };
    if global.account.is_some() && !takes_account(command) {
        return Err(Failure::usage(NO_ACCOUNT).into());
    }
    match command {
        Command::Serve { detached } => serve::run(global, *detached, out),
        Command::Tui(args) => start::screen(look(out)?, args),
        Command::Events { list, follow: true } => lists::follow(&look(out)?, list, out),
        Command::Events { list, .. } => lists::run(&look(out)?, List::Events, list, out),
        Command::Users(args) => lists::run(&look(out)?, List::Users, args, out),
        Command::Subscriptions(args) => lists::run(&look(out)?, List::Subscriptions, args, out),
        Command::Cancellations(args) => lists::run(&look(out)?, List::Cancellations, args, out),
        Command::Consents(args) => lists::run(&look(out)?, List::Consents, args, out),
        Command::Changes(args) => lists::run(&look(out)?, List::Changes, args, out),
        Command::Payments(args) => lists::run(&look(out)?, List::Payments, args, out),
        Command::Deliveries(args) => lists::run(&look(out)?, List::Deliveries, args, out),
        Command::Today(args) => today::run(&look(out)?, args, out),
        Command::Show { seq, body, redact } => show::run(&look(out)?, *seq, *body, *redact, out),
        Command::Sql(args) => sql::run(&look(out)?, args, out),
        Command::Connect { provider } => connect::run(global, provider, out),
        Command::Keys(command) => keys::run(global, command, out),
        Command::Urls {
            proxy: Some(proxy), ..
        } => proxy::run(&context()?, *proxy, out),
        Command::Urls { provider, .. } => urls::run(&context()?, provider.as_deref(), out),
        Command::Send(args) => send::run(&context()?, args, out),
        Command::Tests(command) => marks::run(&context()?, command, out),
        Command::Rejected { command, list } => rejected::run(global, command.as_ref(), list, out),
        Command::Quarantine { command, list } => {
            upkeep::quarantine(&look(out)?, command.as_ref(), list, out)
        }
        Command::Import(args) => import::run(&context()?, args, out),
        Command::Export(args) => export::run(&look(out)?, args, out),
        Command::User(command) => user::run(&look(out)?, command, out),
        Command::Prove(args) => prove::run(&look(out)?, args, out),
        Command::Demo(args) => demo::run(global, args, out),
        Command::Shot(args) => shot::run(global, args, out),
        Command::Rebuild { check } => upkeep::rebuild(global, *check, out),
        Command::Prune { dry_run } => prune::run(&context()?, *dry_run, out),
        Command::Verify(args) => upkeep::verify(&look(out)?, args, out),
        Command::Backup(args) => backup::run(&context()?, args, out),
        Command::Restore(args) => restore::run(global, args, out),
        Command::Status => status::run(&look(out)?, out),
        Command::Stop => status::stop(&look(out)?, out),
        Command::Reload => status::reload(&context()?, out),
        Command::Service(command) => service::run(global, command, out),
        Command::Doctor {
            public: true,
            provider,
            ..
        } => doctor::public::run(&context()?, provider.as_deref(), out),
        Command::Doctor { alerts, .. } => doctor::run(global, *alerts, out),
        Command::Config(command) => settings::run(global, command, out),
        Command::Completions { shell } => Ok(words::completions(*shell, out)?),
        Command::Man { keys: false } => Ok(words::man(out)?),
        Command::Man { keys: true } => Ok(words::keys(out)?),
    }
}
