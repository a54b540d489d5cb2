//! `quarantine`, `rebuild`, `verify`.

use anyhow::{Context as _, Result};

use crate::cli::args::{Global, ListArgs, QuarantineCommand, VerifyArgs};
use crate::cli::bar::Bar;
use crate::cli::context::Context;
use crate::cli::failure::{FAILED, Failure};
use crate::cli::interrupt;
use crate::cli::lists::{self, Shown, Wording};
use crate::cli::out::Out;
use crate::cli::table::{json_text, tame};
use crate::cli::tasks;
use crate::domain::count::in_words;
use crate::domain::page::{Count, List};
use crate::domain::printable::Printable;
use crate::store::query::Reader;
use crate::store::task::Task;
use crate::store::upkeep::verify::{Verified, check_noted, length, verify_until};

/// Tests that were not understood are counted up to here.
const TESTS_MAX: u64 = 1_000;

/// What an interrupted rebuild leaves.
const UNTOUCHED: &str = "no delivery was touched";

/// Lists what was kept and not understood, or reads it again.
pub fn quarantine(
    context: &Context,
    command: Option<&QuarantineCommand>,
    args: &ListArgs,
    out: &mut Out,
) -> Result<()> {
    let args = match command {
        None => args,
        Some(QuarantineCommand::List(args)) => args,
        Some(QuarantineCommand::Retry { seqs }) => {
            let task = match seqs.as_slice() {
                [] => Task::RetryQuarantine,
                seqs => Task::RetryThese {
                    seqs: seqs.to_vec(),
                },
            };
            let report = tasks::submit(context, task)?;
            return tasks::report(context, &report, out);
        }
    };
    // What `doctor --public` and `send` try concerns nobody, unless it is asked for.
    if args.query.iter().any(|term| term.contains("is:test")) {
        let args = within("is:quarantined", args);
        return lists::run(context, List::Deliveries, &args, out);
    }
    let without = within("is:quarantined -is:test", args);
    let none = if args.query.is_empty() {
        "nothing is kept and not understood"
    } else {
        "nothing that is kept and not understood fits"
    };
    let shown = Shown::Usual;
    let wording = Wording {
        none,
        rows: "webhooks kept and not understood",
    };
    lists::list(
        context,
        List::Deliveries,
        &without,
        shown,
        Some(wording),
        out,
    )?;
    let reader = Reader::open(&context.database)?;
    let tests = within("is:quarantined is:test", args).query;
    let tests = lists::parse(context, &reader, List::Deliveries, &tests)?;
    let says = match reader.count(List::Deliveries, &tests, TESTS_MAX)? {
        Count::Exact(0) => return Ok(()),
        Count::Exact(count) => in_words(count, "test is left out", "tests are left out"),
        Count::MoreThan(count) | Count::About(count) => {
            format!("more than {count} tests are left out")
        }
    };
    Ok(out.say(format!("{says}: `subledger quarantine is:test` lists them"))?)
}

/// The same list, narrowed by the terms in `terms`.
pub fn within(terms: &str, args: &ListArgs) -> ListArgs {
    let mut query = args.query.clone();
    if !query.is_empty() {
        query.insert(0, "(".to_owned());
        query.push(")".to_owned());
    }
    query.extend(terms.split(' ').map(str::to_owned));
    ListArgs {
        query,
        ..args.clone()
    }
}

/// Folds everything again, or compares only; exit code 1 if anything differs.
pub fn rebuild(global: &Global, check: bool, out: &mut Out) -> Result<()> {
    let context = &if check {
        Context::look(global, out)?
    } else {
        Context::read(global)?
    };
    let report = tasks::submit_until(context, Task::Rebuild { check }, UNTOUCHED)?;
    tasks::report(context, &report, out)?;
    if check && report.changed > 0 {
        out.say(PUTS_RIGHT)?;
        return Err(Failure::silent(FAILED).into());
    }
    Ok(())
}

/// Looks at chain, sequence and file, and compares what is folded; exit code 1 if anything is wrong.
pub fn verify(context: &Context, args: &VerifyArgs, out: &mut Out) -> Result<()> {
    let noted = args.noted.as_deref().map(noted).transpose()?;
    let stop = interrupt::noted()?;
    let bar = Bar::new();
    let of = length(&context.database);
    let verified = verify_until(&context.database, &stop, &mut |done| {
        bar.count("checking deliveries", done, of);
    });
    drop(bar);
    let mut verified = verified.map_err(interrupt::told)?;
    if let Some((seq, link)) = noted {
        let differs = check_noted(&context.database, seq, &link)?;
        verified.add(differs);
    }
    // On a damaged chain a comparison of what was folded out of it says nothing.
    let drift = if verified.is_sound() && !args.deliveries {
        Some(tasks::submit_until(
            context,
            Task::Rebuild { check: true },
            UNTOUCHED,
        ))
    } else {
        None
    };
    let known = drift.as_ref().and_then(|drift| drift.as_ref().ok());
    let known_drift = known.is_some_and(|known| known.changed > 0);
    if context.global.json {
        let known = known.map(serde_json::to_string).transpose()?;
        out.line(json(&verified, known.as_deref().unwrap_or("null"))?)?;
    } else {
        tell(&verified, out)?;
        if let Some(known) = known {
            tasks::report(context, known, out)?;
        }
    }
    if !verified.is_sound() {
        out.say(DAMAGED)?;
    } else if known_drift {
        out.say(PUTS_RIGHT)?;
    }
    out.flush()?;
    let drift = drift
        .transpose()
        .context("the lists could not be compared: `verify --deliveries` leaves them out")?;
    if verified.is_sound() && drift.is_none_or(|drift| drift.changed == 0) {
        Ok(())
    } else {
        Err(Failure::silent(FAILED).into())
    }
}

/// What to do where the lists differ from the deliveries.
const PUTS_RIGHT: &str = "`subledger rebuild` makes the lists anew from the deliveries";

/// What to do where the deliveries themselves are damaged.
const DAMAGED: &str = "keep this file as it is; `subledger restore BACKUP --replace` puts a backup in its place and keeps it beside";

/// The two halves of an end of the chain.
fn noted(text: &str) -> Result<(i64, String)> {
    // The whole line may have been noted.
    let text = text.trim();
    let end = text.strip_prefix("its end:").unwrap_or(text).trim();
    let halves = end.split_once(':').and_then(|(seq, link)| {
        let whole = link.len() == 64 && link.bytes().all(|one| one.is_ascii_hexdigit());
        let seq = seq.parse().ok().filter(|seq| *seq > 0 && whole)?;
        Some((seq, link.to_ascii_lowercase()))
    });
    halves.ok_or_else(|| {
        let text = Printable::line(text);
        Failure::usage(format!(
            "`{text}` is no end of a chain: give --noted what `verify` printed after \"its end:\", such as 12:4f0c..."
        ))
        .into()
    })
}

/// What verifying found, in words.
pub fn tell(verified: &Verified, out: &mut Out) -> Result<()> {
    let Verified {
        deliveries,
        erased,
        pruned,
        last_seq,
        damaged,
        ..
    } = verified;
    if verified.is_sound() {
        out.line(format!(
            "the chain holds: {}, {erased} of them erased{}",
            in_words(*deliveries, "delivery", "deliveries"),
            match pruned {
                0 => String::new(),
                pruned => format!(", {pruned} without their body, which was dropped for its age"),
            }
        ))?;
        if *last_seq > 0 {
            out.line(format!("its end: {}", verified.end()))?;
        }
        return Ok(());
    }
    out.line(format!(
        "{} wrong; {} looked at",
        in_words(*damaged, "thing is", "things are"),
        in_words(*deliveries, "delivery was", "deliveries were")
    ))?;
    for one in &verified.damage {
        let place = one.seq.map_or_else(String::new, |seq| format!("{seq}: "));
        out.line(format!("  {place}{}", Printable::line(&one.what)))?;
    }
    Ok(())
}

/// The same as JSON; `drift` is what comparing the lists found, as JSON.
pub fn json(verified: &Verified, drift: &str) -> Result<String> {
    let damage: Vec<String> = verified
        .damage
        .iter()
        .map(|one| {
            let seq = one.seq.map_or("null".to_owned(), |seq| seq.to_string());
            Ok(format!(
                "{{\"seq\":{seq},\"what\":{}}}",
                json_text(&one.what)?
            ))
        })
        .collect::<Result<_>>()?;
    Ok(tame(&format!(
        "[{{\"sound\":{},\"deliveries\":{},\"erased\":{},\"pruned\":{},\"last_seq\":{},\"head\":{},\"damaged\":{},\"damage\":[{}],\
         \"folded\":{drift}}}]",
        verified.is_sound(),
        verified.deliveries,
        verified.erased,
        verified.pruned,
        verified.last_seq,
        json_text(&verified.head)?,
        verified.damaged,
        damage.join(",")
    )))
}
