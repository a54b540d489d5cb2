//! The command line of DESIGN.md section 5, as clap reads it. A command that is listed exists.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::Resettable;
use clap::{
    Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};

use crate::cli::proxy::Proxy;
use crate::cli::table::Format;
use crate::config::read::THEMES;
use crate::domain::page::{List, Order};
use crate::domain::printable::Printable;
use crate::domain::time::{Timestamp, Zone};
use crate::tui::layout::SIZE_MIN;

/// Receives a publisher's webhooks into one SQLite file, and shows the day.
///
/// Without a command: starts what is missing, receiver and screen.
#[derive(Debug, Parser)]
#[command(name = "subledger", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok; 1 failed; 2 arguments or settings; 3 database absent, locked or unreachable, \
port in use; 4 something needs you (today --exit-code); 130 interrupted."
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do; nothing: receiver and screen.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What `args` say; else what clap has to say instead, in which nothing of them acts on a terminal. A variable that is
/// empty names nothing.
pub fn parsed(args: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let typed: Vec<OsString> = readable(args).collect();
    let mut command = Cli::command().color(colours(&typed));
    for (option, variable) in [("db", "SUBLEDGER_DB"), ("config", "SUBLEDGER_CONFIG")] {
        if std::env::var_os(variable).is_some_and(|value| value.is_empty()) {
            command = command.mut_arg(option, |arg| arg.env(Resettable::Reset));
        }
    }
    let matches = command.try_get_matches_from_mut(&typed);
    let error = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    // Its text quotes what was typed between colours of its own: the same words, made printable first, meet the same error.
    let tame = typed
        .iter()
        .map(|arg| String::from(Printable::bytes(arg.as_encoded_bytes())))
        .map(|arg| String::from(Printable::line(&arg)));
    match command.try_get_matches_from_mut(tame) {
        Err(again) if again.kind() == error.kind() => Err(again),
        _ => {
            let text = Printable::lines(&error.render().to_string());
            Err(command.error(error.kind(), text))
        }
    }
}

/// The colours that `--color` asks for, however wrong the rest may be.
fn colours(typed: &[OsString]) -> ColorChoice {
    let values = typed.iter().enumerate().filter_map(|(place, arg)| {
        let arg = arg.to_str()?;
        if arg == "--color" {
            return typed.get(place + 1)?.to_str();
        }
        arg.strip_prefix("--color=")
    });
    match values.collect::<Vec<_>>().last().copied() {
        Some("never") => ColorChoice::Never,
        Some("always") => ColorChoice::Always,
        _ => ColorChoice::Auto,
    }
}

/// The arguments as clap can take them: a negated term of a query (`-is:test`) would be options to it, a blank before
/// it is nothing to the query.
pub fn readable(args: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    args.map(|arg| match arg.to_str() {
        Some(text) if is_negated_term(text) => format!(" {text}").into(),
        _ => arg,
    })
}

fn is_negated_term(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('-') else {
        return false;
    };
    rest.starts_with(['(', '"'])
        || rest
            .split_once(':')
            .is_some_and(|(key, _)| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "For every command")]
pub struct Global {
    /// The database
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SUBLEDGER_DB",
        hide_env_values = true
    )]
    pub db: Option<PathBuf>,
    /// The settings file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SUBLEDGER_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// Only this account, or the account that is meant; commands that are of every account refuse it
    #[arg(long, global = true, value_name = "NAME")]
    pub account: Option<String>,
    /// Same as --format json
    #[arg(long, global = true)]
    pub json: bool,
    /// Colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub color: Colour,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

fn a_list(word: &str) -> Result<List, String> {
    let words: Vec<&str> = List::ALL.iter().map(|list| list.as_str()).collect();
    List::from_word(word).ok_or_else(|| format!("the lists are {}", words.join(", ")))
}

/// A whole number.
fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| "a whole number is wanted here".to_owned())
}

/// An order by its word.
fn an_order(word: &str) -> Result<Order, String> {
    Order::parse(word)
}

/// A moment, such as `2026-11-01T09:00:00Z`.
fn a_moment(word: &str) -> Result<Timestamp, String> {
    Timestamp::parse(word).ok_or_else(|| "name a time such as 2026-11-01T09:00:00Z".to_owned())
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What `tui` takes.
#[derive(Args, Debug)]
pub struct TuiArgs {
    /// What to show, as in the filter bar; @NAME: a saved filter
    #[arg(value_name = "QUERY", num_args = 0..)]
    pub query: Vec<String>,
    /// Of which list; without filter and list, the usual screen
    #[arg(long, value_name = "LIST", value_parser = a_list)]
    pub list: Option<List>,
    /// The row to select, by its id in the list
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    pub at: Option<i64>,
    /// Which rows come first: newest or oldest; without it as they were saved, else newest
    #[arg(long, value_name = "ORDER", value_parser = an_order)]
    pub sort: Option<Order>,
    /// Begin with personal data masked, as `P` does
    #[arg(long)]
    pub redact: bool,
    /// Time stands still at this moment: a ledger that ends in the past, as it was then
    #[arg(long, hide = true, value_name = "TIME", value_parser = a_moment)]
    pub now: Option<Timestamp>,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The receiver alone, in the foreground
    Serve {
        /// Started by a screen: a session of its own.
        #[arg(long, hide = true)]
        detached: bool,
    },
    /// The screen alone, on a ledger that is there
    Tui(TuiArgs),
    /// The daily review as text
    ///
    /// With --account NAME the figures are of that account alone. What was turned away names no account and is in none of
    /// them: how much of it came for the providers of that account is said beside them, in JSON as
    /// `turned_away_nameless`.
    Today(TodayArgs),
    /// What happened: events, newest first
    Events {
        /// What and how
        #[command(flatten)]
        list: ListArgs,
        /// Go on and write new events as they arrive
        #[arg(long, short, conflicts_with = "sort")]
        follow: bool,
    },
    /// Readers
    Users(ListArgs),
    /// Subscriptions
    Subscriptions(ListArgs),
    /// Cancellations
    Cancellations(ListArgs),
    /// Consents as they stand
    Consents(ListArgs),
    /// Every change of a consent
    Changes(ListArgs),
    /// Payments and refunds
    Payments(ListArgs),
    /// What arrived, stored or turned away
    Deliveries(ListArgs),
    /// One delivery: its events, raw body and headers
    Show {
        /// Its number, as lists show it (Seq, Delivery)
        #[arg(value_parser = whole::<i64>)]
        seq: i64,
        /// Only the body, byte for byte
        #[arg(long)]
        body: bool,
        /// Mask personal data: the same value has the same tag everywhere
        #[arg(long)]
        redact: bool,
    },
    /// Read-only SQL
    Sql(SqlArgs),
    /// The links to paste into the providers' dashboards
    Urls {
        /// Only this provider
        provider: Option<String>,
        /// Instead: what a proxy or tunnel is told so that it forwards /hooks/* and nothing else
        #[arg(long, value_enum, value_name = "PROXY", conflicts_with = "provider")]
        proxy: Option<Proxy>,
    },
    /// Ask for what the provider's dashboard shows, store it, print the links
    ///
    /// Without a terminal, stdin holds a line KEY=VALUE for each (`subledger connect conscent <answers`); keys that are
    /// not there stay as they are. Secrets are never arguments.
    Connect {
        /// The provider; a second account there: --account NAME
        provider: String,
    },
    /// Secret links and other secrets: changed without losing a webhook
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Send correctly signed samples, marked as tests, to the running receiver
    Send(SendArgs),
    /// Mark deliveries or a user as tests; erase all tests
    #[command(subcommand)]
    Tests(TestsCommand),
    /// Why didn't my webhook arrive; take it in with today's secrets
    #[command(args_conflicts_with_subcommands = true)]
    Rejected {
        /// What; nothing: list
        #[command(subcommand)]
        command: Option<RejectedCommand>,
        /// Of the list
        #[command(flatten)]
        list: ListArgs,
    },
    /// Kept, not understood: list, or read again
    #[command(args_conflicts_with_subcommands = true)]
    Quarantine {
        /// What; nothing: list
        #[command(subcommand)]
        command: Option<QuarantineCommand>,
        /// Of the list
        #[command(flatten)]
        list: ListArgs,
    },
    /// Take deliveries in from a file, as if they had arrived
    Import(ImportArgs),
    /// Events, or whole deliveries for another ledger, oldest first
    Export(ExportArgs),
    /// All that is held about a reader
    #[command(subcommand, visible_alias = "subject")]
    User(UserCommand),
    /// What a reader had agreed to at a time, and the evidence
    Prove(ProveArgs),
    /// A throw-away year of made-up data
    Demo(DemoArgs),
    /// A picture of a screen: of made-up data, or of --db
    Shot(ShotArgs),
    /// Make users, subscriptions and all other lists anew from the deliveries
    Rebuild {
        /// Compare only; exit 1 if anything differs
        #[arg(long)]
        check: bool,
    },
    /// Drop at once the bodies that are older than the settings keep them
    Prune {
        /// Say what would go, and drop nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Check the file, the chain of deliveries, and the lists made from them
    Verify(VerifyArgs),
    /// A verified copy of the database, at any time
    Backup(BackupArgs),
    /// Put a verified backup in the place of the database
    Restore(RestoreArgs),
    /// Whether a receiver runs on this database, and what has come; exit 3 if none runs
    Status,
    /// Stop the receiver; what was accepted is answered first
    Stop,
    /// Have the running receiver take changed settings
    Reload,
    /// The receiver as a service of systemd's: starts with the machine
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Check settings, permissions, disk and providers; --public: the address from outside
    Doctor {
        /// Call the public address as the providers do; stores marked tests, which `tests clear` erases
        #[arg(long)]
        public: bool,
        /// Try the alerts instead: run the command with a test, send a heartbeat
        #[arg(long, conflicts_with = "public")]
        alerts: bool,
        /// Only this provider
        #[arg(requires = "public")]
        provider: Option<String>,
    },
    /// The settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Completions for a shell
    Completions {
        /// Which
        shell: clap_complete::Shell,
    },
    /// The manual page
    Man {
        /// Only the keys of the screen, as Markdown
        #[arg(long)]
        keys: bool,
    },
}

/// What a list takes.
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// Filter, as on screen: provider:zotlo type:cancel since:7d; a word is found in readers and plans without regard to
    /// case and marks; @NAME: a saved one
    #[arg(value_name = "QUERY", num_args = 0..)]
    pub query: Vec<String>,
    /// How to write it
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// At most so many rows; 0: all
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = whole::<usize>)]
    pub limit: usize,
    /// Which rows come first: newest or oldest; without it as they were saved, else newest
    #[arg(long, value_name = "ORDER", value_parser = an_order)]
    pub sort: Option<Order>,
    /// Mask personal data: the same value has the same tag everywhere
    #[arg(long)]
    pub redact: bool,
}

/// What `today` takes.
#[derive(Args, Clone, Debug)]
pub struct TodayArgs {
    /// Which period: last-review, today, yesterday, 7d, 28d, month, last-month; or a time from which on (24h, mon,
    /// 2026-11-01), or a range of two (mon.., 2026-11-01..2026-11-07)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Markdown
    #[arg(long, conflicts_with = "json")]
    pub md: bool,
    /// Exit 4 if something needs you
    #[arg(long)]
    pub exit_code: bool,
    /// Taken as in lists; the review names no reader, so that nothing changes
    #[arg(long)]
    pub redact: bool,
}

/// What `sql` takes.
#[derive(Args, Clone, Debug)]
pub struct SqlArgs {
    /// The statement, or @NAME of a query that comes with subledger (@ lists them); `-` or none: stdin
    pub sql: Option<String>,
    /// Read the statement from a file
    #[arg(long, value_name = "FILE", conflicts_with = "sql")]
    pub file: Option<PathBuf>,
    /// How to write it
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// At most so many rows; 0: all
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = whole::<u64>)]
    pub limit: u64,
    /// Give up after so many seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = whole::<u64>)]
    pub time_limit: u64,
}

/// What `send` takes.
#[derive(Args, Clone, Debug)]
pub struct SendArgs {
    /// The provider
    pub provider: String,
    /// The name of a sample (--list), or a hook; without it: the provider's first sample
    pub what: Option<String>,
    /// List the samples and send nothing
    #[arg(long)]
    pub list: bool,
    /// Every sample
    #[arg(long, conflicts_with_all = ["what", "list"])]
    pub all: bool,
    /// Each of them so many times
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole::<u32>)]
    pub count: u32,
    /// At most so many a second; without it: one after another
    #[arg(long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,
    /// Spoil it, to see it turned away, or kept and not understood
    #[arg(long, value_enum, value_name = "WHAT")]
    pub corrupt: Option<Corrupt>,
}

/// What `send --corrupt` spoils.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Corrupt {
    /// The credentials: it must be turned away.
    Signature,
    /// The body: no longer JSON, correctly signed; it must be kept and not understood.
    Body,
}

/// What `user erase` takes.
#[derive(Args, Clone, Debug)]
pub struct EraseArgs {
    /// An e-mail, a phone, a provider's id, or provider[/account]:id
    pub who: String,
    /// Do it; it cannot be taken back
    #[arg(long)]
    pub yes: bool,
    /// What stays of each event, so that past figures do not change
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub residue: Residue,
}

/// What stays of an erased event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Residue {
    /// Provider, account, type, day, plan and amount.
    #[default]
    Anonymous,
    /// Nothing: past figures change.
    None,
}

impl Residue {
    /// Whether anything stays.
    pub const fn keeps(self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

/// What `tests` does.
#[derive(Clone, Debug, Subcommand)]
pub enum TestsCommand {
    /// Mark deliveries, or all of a user, as tests: they count in no figure
    Mark {
        /// Numbers of deliveries
        #[arg(required_unless_present = "user", value_parser = whole::<i64>)]
        seqs: Vec<i64>,
        /// A user: provider:id or provider/account:id
        #[arg(long, value_name = "WHO", conflicts_with = "seqs")]
        user: Option<String>,
        /// Take the mark away instead
        #[arg(long)]
        undo: bool,
    },
    /// Erase every delivery that is marked as a test
    Clear,
}

/// What `keys` does.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Which secrets are in force, and what came on each in the last 7 days
    List {
        /// Only this provider
        provider: Option<String>,
    },
    /// A new secret link, the old one valid until dropped
    Rotate {
        /// The provider
        provider: String,
        /// Another secret than the link, such as `api_secret`: its new value is asked for (or read from stdin)
        secret: Option<String>,
    },
    /// End the old ones: only the newest stays valid
    Drop {
        /// The provider
        provider: String,
        /// Another secret than the link, such as `api_secret`
        secret: Option<String>,
        /// Even if the old one is still used
        #[arg(long)]
        yes: bool,
    },
}

/// What `rejected` does.
#[derive(Clone, Debug, Subcommand)]
pub enum RejectedCommand {
    /// What was turned away in the last 14 days, and why
    List(ListArgs),
    /// One of them whole
    Show {
        /// Its number
        #[arg(value_parser = whole::<i64>)]
        id: i64,
    },
    /// Take it in after all: judged again with today's secrets
    Admit {
        /// Their numbers, as `subledger rejected` shows them (Id)
        #[arg(required = true, value_parser = whole::<i64>)]
        ids: Vec<i64>,
    },
}

/// What `quarantine` does.
#[derive(Clone, Debug, Subcommand)]
pub enum QuarantineCommand {
    /// What was kept and not understood
    List(ListArgs),
    /// Read it again with this version
    Retry {
        /// Only these deliveries; nothing: all
        #[arg(value_name = "SEQ", value_parser = whole::<i64>)]
        seqs: Vec<i64>,
    },
}

/// What `backup` takes.
#[derive(Args, Clone, Debug)]
pub struct BackupArgs {
    /// The file to write; a folder: subledger-<today>.db in it
    #[expect(
        rustdoc::invalid_html_tags,
        reason = "`--help` shows it as it stands here"
    )]
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The settings too, secrets among them, as FILE.settings.toml
    #[arg(long)]
    pub with_settings: bool,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// What `restore` takes.
#[derive(Args, Clone, Debug)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The settings too, from FILE.settings.toml
    #[arg(long)]
    pub with_settings: bool,
    /// Replace what is there, database and settings; the old files are kept under other names
    #[arg(long)]
    pub replace: bool,
    /// Verify the backup and change nothing
    #[arg(long, conflicts_with_all = ["replace", "with_settings"])]
    pub check: bool,
}

/// What `verify` takes.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// The end of the chain as an earlier `verify` printed it: it must still be there
    #[arg(long, value_name = "SEQ:LINK")]
    pub noted: Option<String>,
    /// Leave out the lists: deliveries and file only; writes nothing
    #[arg(long)]
    pub deliveries: bool,
}

/// What `import` takes.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// Deliveries, one JSON object a line (or one array of them), as `export --deliveries` writes; `-`: stdin
    pub file: PathBuf,
    /// The lines are bare bodies of this provider
    #[arg(long, value_name = "PROVIDER", requires = "hook", requires = "as_of")]
    pub provider: Option<String>,
    /// ... that would have gone to this hook
    #[arg(long, value_name = "HOOK", requires = "provider")]
    pub hook: Option<String>,
    /// ... and count as received at this time: 2026-11-01, 2026-11-01T09:00:00Z
    #[arg(long, value_name = "TIME", requires = "provider")]
    pub as_of: Option<String>,
    /// Where lines go that cannot be taken in; without it: FILE.rejected.ndjson
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Only tell what would happen
    #[arg(long)]
    pub dry_run: bool,
}

/// What `export` takes.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Filter, as on screen: provider:zotlo since:7d
    #[arg(value_name = "QUERY", num_args = 0..)]
    pub query: Vec<String>,
    /// Whole deliveries, headers and bodies too, as `import` takes them
    #[arg(long)]
    pub deliveries: bool,
    /// How to write it; without it: ndjson
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "json")]
    pub format: Option<ExportFormat>,
    /// Into this file, which appears once it is whole; without it: to stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "out")]
    pub force: bool,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line.
    Ndjson,
    /// For spreadsheets: formulas are defused, so this is not exact.
    Csv,
}

/// What `user` does.
#[derive(Clone, Debug, Subcommand)]
pub enum UserCommand {
    /// Everything, to read
    Show {
        /// An e-mail, a phone, a provider's id, or provider[/account]:id
        who: String,
        /// At most so many rows of each list; 0: all
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = whole::<usize>)]
        limit: usize,
    },
    /// Everything in one zip: a page to read, JSON, and the bodies as received
    Export {
        /// An e-mail, a phone, a provider's id, or provider[/account]:id
        who: String,
        /// Into this file; nothing: subledger-export-<day>-<reader>.zip here
        #[expect(
            rustdoc::invalid_html_tags,
            reason = "`--help` shows it as it stands here"
        )]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replace the file if it is there
        #[arg(long)]
        force: bool,
    },
    /// Erase them: what it would take, and with --yes the erasure
    Erase(EraseArgs),
}

/// What `prove` takes.
#[derive(Args, Clone, Debug)]
pub struct ProveArgs {
    /// An e-mail, a phone, a provider's id, or provider[/account]:id
    pub who: String,
    /// For what they were asked
    pub purpose: String,
    /// When, in the ledger's zone: 2026-03-03 (its end), 2026-03-03T10:00, 2026-03-03T10:00:00Z; nothing: now
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// What `demo` takes.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// The same seed gives the same data
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole::<u64>)]
    pub seed: u64,
    /// About so many events
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub events: u64,
    /// The end of the year that is made up; without it: now
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Write the database here and keep it; opens no screen
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What `shot` takes.
#[derive(Args, Clone, Debug)]
pub struct ShotArgs {
    /// Which screen; without it: the one that the ledger opens with
    #[arg(long, value_enum, value_name = "NAME")]
    pub screen: Option<ShotScreen>,
    /// Cells across and down
    #[arg(long, default_value = "80x24", value_name = "WxH", value_parser = cells)]
    pub size: (u16, u16),
    /// Keys to press there: jj<Enter>/type:cancel<Enter>; others by the names of `?`, `<` is <lt>
    #[expect(
        rustdoc::invalid_html_tags,
        reason = "`--help` shows it as it stands here"
    )]
    #[arg(long, default_value = "", value_name = "KEYS")]
    pub keys: String,
    /// terminal, light, dark, mono
    #[arg(long, default_value = "terminal", value_name = "NAME", value_parser = THEMES.to_vec())]
    pub theme: String,
    /// Mask personal data, as `P` does
    #[arg(long)]
    pub redact: bool,
    /// The zone of made-up data
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    pub zone: Zone,
    /// Of made-up data: the same seed gives the same
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole::<u64>)]
    pub seed: u64,
    /// Of made-up data: about so many events
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub events: u64,
    /// The moment of the picture, and the end of made-up data; without it: now
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Write it here; .svg, .ansi or .txt says how. Without it: text, on stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to write it, whatever the name
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ShotFormat>,
}

/// The screens of `shot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShotScreen {
    /// The daily review.
    Today,
    /// Events.
    Events,
    /// Readers.
    Users,
    /// Subscriptions.
    Subscriptions,
    /// Cancellations.
    Cancellations,
    /// Consents as they stand.
    Consents,
    /// Every change of a consent.
    Changes,
    /// Payments and refunds.
    Payments,
    /// What arrived.
    Deliveries,
    /// Links, last webhooks, proofs.
    Connections,
}

/// The forms of `shot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShotFormat {
    /// Text alone.
    Txt,
    /// Text with the escape sequences of its colours.
    Ansi,
    /// A picture that needs nothing but itself.
    Svg,
}

/// No picture has more cells across or down.
const CELLS_MAX: u16 = 500;

/// `120x40`.
fn cells(text: &str) -> Result<(u16, u16), String> {
    let read = |(across, down): (&str, &str)| Some((across.parse().ok()?, down.parse().ok()?));
    text.split_once('x')
        .and_then(read)
        .filter(|(across, down)| (SIZE_MIN.0..=CELLS_MAX).contains(across) && (SIZE_MIN.1..=CELLS_MAX).contains(down))
        .ok_or_else(|| {
            let (across, down) = SIZE_MIN;
            format!("cells across and down, such as 80x24; at least {across}x{down}, at most {CELLS_MAX} each")
        })
}

/// What `service` does.
#[derive(Clone, Debug, Subcommand)]
pub enum ServiceCommand {
    /// Place a unit of this user and start it; done again, it is written again
    Install {
        /// Print a script that does it, and do nothing
        #[arg(long)]
        print: bool,
        /// Print a script, for root, with a hardened unit of the machine's and its socket; do nothing
        #[arg(long)]
        system: bool,
        /// The program that the unit starts, where it is not to be this one
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
    /// How the service stands; exit 3 if it is not active
    Status {
        /// The machine's instead of this user's
        #[arg(long)]
        system: bool,
    },
    /// Stop the service and remove what install wrote
    Uninstall {
        /// Print the commands, and do nothing
        #[arg(long)]
        print: bool,
        /// Print those for the machine's units
        #[arg(long)]
        system: bool,
    },
}

/// What `config` does.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// What is in force, and where it comes from; no secret is shown
    Print,
    /// Which files are used
    Paths,
    /// Whether the settings hold
    Check,
    /// Change keys, comments kept
    Set {
        /// KEY VALUE, and more of them. A secret's KEY stands alone, a line on stdin for each: a command line can be
        /// read by others
        #[arg(required = true, value_name = "KEY VALUE")]
        pairs: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_negated_term_is_a_query_and_no_option() {
        let typed = [
            "subledger",
            "events",
            "provider:zotlo",
            "-is:test",
            "--limit",
            "3",
        ];
        let cli = Cli::parse_from(readable(typed.into_iter().map(OsString::from)));
        let Some(Command::Events {
            list,
            follow: false,
        }) = cli.command
        else {
            panic!("not events");
        };
        assert_eq!(list.query, ["provider:zotlo", " -is:test"]);
        assert_eq!(list.limit, 3);
    }
}
