//! `user erase`: what erasing a reader would take, and with `--yes` the erasure itself.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::args::EraseArgs;
use crate::cli::bar::Bar;
use crate::cli::behind::{Behind, advice};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::table::{json_text, local, tame};
use crate::cli::tasks;
use crate::cli::user::{looked_at, nobody_but, told_similar, whom};
use crate::domain::count::in_words;
use crate::domain::printable::Printable;
use crate::store::query::Reader;
use crate::store::query::who::{Match, Who};
use crate::store::task::{Task, TaskReport};
use crate::store::upkeep::reach::Reach;

/// What becomes of an erasure that nobody waits for any more.
const LEFT: &str = "an erasure that was begun is finished by the receiver that runs, or by the next start of subledger";

/// Numbers in a line of what is named one by one.
const NAMED_MAX: usize = 20;

/// Tells what goes and what stays, and does it with `--yes`.
pub fn run(context: &Context, args: &EraseArgs, out: &mut Out) -> Result<()> {
    let who = whom(context, &args.who)?;
    let behind = Behind::of(context, &Reader::open(&context.database)?)?;
    let reach = look(context, &who)?;
    let Some(reach) = reach else {
        return nobody(context, &who, args, behind, out);
    };
    let copies = copies(context);
    let text = Telling {
        who: &who,
        reach: &reach,
        keeps: args.residue.keeps(),
        copies: &copies,
        behind,
    };
    if !context.global.json {
        text.tell(out)?;
    }
    let report = if args.yes {
        Some(erase(context, &who, args.residue.keeps(), out)?)
    } else {
        None
    };
    match &report {
        _ if context.global.json => out.line(tame(&text.json(report.as_ref())))?,
        Some(report) => {
            out.line("")?;
            return tasks::report(context, report, out);
        }
        None => {
            out.line("\nNothing was erased: add --yes to do it.")?;
            if let [_, .., last] = reach.readers.as_slice() {
                let place = last.place();
                out.line(format!(
                    "It takes all {} readers; one alone is named as they are above, such as {}",
                    reach.readers.len(),
                    Printable::line(&place)
                ))?;
            }
        }
    }
    Ok(out.flush()?)
}

/// What it takes; `None` if nobody and nothing is meant.
fn look(context: &Context, who: &Who) -> Result<Option<Reach>> {
    let reader = Reader::open(&context.database)?;
    crate::cli::interrupt::watch(&reader)?;
    let of = u64::try_from(reader.status(context.clock.now())?.last_seq).ok();
    let bar = Bar::new();
    let reach = reader.erasure(who, &mut |done| {
        bar.count("looking", u64::try_from(done).unwrap_or(0), of);
    });
    drop(bar);
    let reach = reach.map_err(crate::cli::interrupt::told)?;
    Ok((!reach.is_empty()).then_some(reach))
}

/// Nobody is meant: that is fine where they were erased before, and a failure otherwise.
fn nobody(
    context: &Context,
    who: &Who,
    args: &EraseArgs,
    behind: Option<Behind>,
    out: &mut Out,
) -> Result<()> {
    if args.yes && Reader::open(&context.database)?.erasure_pending()? {
        // Whoever was erased half is found by nothing any more.
        let report = erase(context, who, args.residue.keeps(), out)?;
        return tasks::report(context, &report, out);
    }
    let shown = Printable::line(&who.text);
    let erased = Reader::open(&context.database)?.erased_until(who)?;
    let Some(erased) = erased else {
        let similar = Reader::open(&context.database)?.similar(who)?;
        if !similar.is_empty() {
            return Err(nobody_but(who, &similar, behind).into());
        }
        return Err(Failure::failed(format!(
            "nobody is known as `{shown}`{}, and no webhook names them: WHO is an e-mail, a phone, a provider's id, or \
             provider:id{}",
            looked_at(who),
            advice(behind)
        ))
        .into());
    };
    if context.global.json {
        let erased = json_text(&erased)?;
        out.line(format!("[{{\"readers\":[],\"erased_at\":{erased}}}]"))?;
    } else {
        let zone = Reader::open(&context.database)?.zone()?;
        let erased = local(&erased, zone);
        out.line(format!(
            "`{shown}` was erased {erased} {}: nothing is left",
            zone.name()
        ))?;
    }
    Ok(out.flush()?)
}

fn erase(context: &Context, who: &Who, residue: bool, out: &mut Out) -> Result<TaskReport> {
    out.flush()?;
    let task = Task::Erase {
        provider: who.provider.clone(),
        account: who.account.clone(),
        text: who.text.clone(),
        residue,
    };
    tasks::submit_until(context, task, LEFT)
}

/// Copies of the ledger that no erasure reaches: beside it, and in the folder of backups.
fn copies(context: &Context) -> Vec<PathBuf> {
    let database = context
        .database
        .canonicalize()
        .unwrap_or_else(|_| context.database.clone());
    let name = database
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut found = Vec::new();
    let folder = database.parent().unwrap_or(Path::new("."));
    let beside =
        [".before-upgrade-", ".before-restore-", ".part"].map(|ending| format!("{name}{ending}"));
    gather(folder, &mut found, |file| {
        beside
            .iter()
            .any(|begins| file.starts_with(begins.as_str()))
    });
    if let Some(dir) = &context.config.backup.dir {
        gather(dir, &mut found, |file| {
            // One that a crash left unfinished holds as much.
            let file = file.strip_suffix(".part").unwrap_or(file);
            Path::new(file)
                .extension()
                .is_some_and(|ending| ending == "db")
        });
    }
    found.sort();
    found.dedup();
    found.retain(|file| *file != database);
    found
}

fn gather(folder: &Path, found: &mut Vec<PathBuf>, is_one: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(&is_one) {
            found.push(entry.path());
        }
    }
}

/// What is told before anything is done.
struct Telling<'a> {
    who: &'a Who,
    reach: &'a Reach,
    keeps: bool,
    copies: &'a [PathBuf],
    behind: Option<Behind>,
}

impl Telling<'_> {
    fn tell(&self, out: &mut Out) -> Result<()> {
        let Reach {
            readers,
            counts,
            deliveries,
            rejected,
            views,
            shared,
            ..
        } = self.reach;
        let shown = Printable::line(&self.who.text);
        out.line(format!(
            "{} known as `{shown}`",
            in_words(readers.len(), "reader", "readers")
        ))?;
        for (one, (deliveries, events)) in readers.iter().zip(counts) {
            let line = format!(
                "  {}: {}, {}",
                person(one),
                in_words(*deliveries, "delivery", "deliveries"),
                in_words(*events, "event", "events")
            );
            out.line(Printable::line(&line))?;
        }
        if let Some(behind) = self.behind {
            out.line(format!(
                "  {}: whom they are about is not in this, and is read before anything is erased",
                behind.says()
            ))?;
        }
        out.line("\nWhat goes:")?;
        let seqs = deliveries.iter().copied().collect::<Vec<_>>();
        out.line(format!(
            "  {}: body, salt, headers and keys, and all that was read out of them{}",
            in_words(deliveries.len(), "delivery", "deliveries"),
            numbers(&seqs)
        ))?;
        if !shared.is_empty() {
            out.line(format!(
                "    {} other readers too, whose events in them go as well{}",
                in_words(shared.len(), "of them holds", "of them hold"),
                numbers(shared)
            ))?;
        }
        out.line(format!(
            "  {}{}",
            in_words(rejected.len(), "rejected request", "rejected requests"),
            numbers(rejected)
        ))?;
        if !views.is_empty() {
            let names = Printable::line(&views.join(", ")).to_string();
            out.line(format!("  the saved filters {names}"))?;
        }
        self.tell_what_stays(out)
    }

    fn tell_what_stays(&self, out: &mut Out) -> Result<()> {
        let Reach {
            events,
            others,
            elsewhere,
            similar,
            too_short,
            ..
        } = self.reach;
        out.line("\nWhat stays:")?;
        out.line(
            "  of every delivery its number, arrival, provider, account, hook, kind, caller, length and place in the \
             chain, so that the chain verifies",
        )?;
        if self.keeps {
            out.line(format!(
                "  of {} type, day, plan and amount, without anybody and without a time of day, so that past figures \
                 do not change; --residue none drops that too",
                in_words(*events, "event", "events")
            ))?;
        }
        out.line("  a hash, so that neither an older backup nor a file brings them back")?;
        if !others.is_empty() {
            out.line(format!(
                "  {} about other readers{}",
                in_words(
                    others.len(),
                    "delivery that names them and is",
                    "deliveries that name them and are"
                ),
                numbers(others)
            ))?;
        }
        if !elsewhere.is_empty() {
            out.line(format!(
                "  {}{}: without a provider those go too",
                in_words(
                    elsewhere.len(),
                    "delivery elsewhere names them and was not understood",
                    "deliveries elsewhere name them and were not understood"
                ),
                numbers(elsewhere)
            ))?;
        }
        if !similar.is_empty() {
            out.line(format!("  {}", Printable::line(&told_similar(similar))))?;
        }
        if !too_short.is_empty() {
            let all = too_short.iter().cloned().collect::<Vec<_>>().join(", ");
            out.line(format!(
                "  bodies without a reader that hold nothing but an id too short to look for: {}",
                Printable::line(&all)
            ))?;
        }
        if !self.copies.is_empty() {
            out.line("\nOut of reach, and perhaps holding them still: delete these copies, or make them anew")?;
            for copy in self.copies {
                let copy = copy.display().to_string();
                out.line(format!("  {}", Printable::line(&copy)))?;
            }
        }
        Ok(())
    }

    fn json(&self, report: Option<&TaskReport>) -> String {
        let Reach {
            readers,
            counts,
            deliveries,
            events,
            rejected,
            views,
            shared,
            others,
            elsewhere,
            similar,
            ..
        } = self.reach;
        let similar: Vec<String> = similar.iter().map(Match::place).collect();
        let mut people = Vec::new();
        for (one, (deliveries, events)) in readers.iter().zip(counts) {
            people.push(serde_json::json!({
                "provider": one.provider, "account": one.account, "user_id": one.user_id, "email": one.email,
                "phone": one.phone, "name": one.name, "deliveries": deliveries, "events": events,
            }));
        }
        let copies: Vec<String> = self
            .copies
            .iter()
            .map(|copy| copy.display().to_string())
            .collect();
        let whole = serde_json::json!([{
            "readers": people, "deliveries": deliveries, "events": events, "rejected": rejected, "views": views,
            "shared": shared, "others": others, "elsewhere": elsewhere, "similar": similar, "residue": self.keeps, "copies": copies, "still_to_read": self.behind.map_or(0, Behind::deliveries), "done": report.is_some(), "report": report,
        }]);
        whole.to_string()
    }
}

fn person(one: &Match) -> String {
    let mut text = one.place();
    for more in [&one.email, &one.phone, &one.name].into_iter().flatten() {
        let _ = write!(text, "  {more}");
    }
    let by: Vec<_> = one.by.iter().map(|by| by.as_str()).collect();
    let _ = write!(text, "  (by {})", by.join(", "));
    text
}

/// `: 1, 2, 3`, and how many more there are.
pub fn numbers(all: &[i64]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let shown: Vec<_> = all
        .iter()
        .take(NAMED_MAX)
        .map(ToString::to_string)
        .collect();
    let more = all.len().saturating_sub(NAMED_MAX);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!(": {}{rest}", shown.join(", "))
}
