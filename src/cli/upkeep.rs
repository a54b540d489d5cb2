//! `quarantine`, `rebuild`, `verify`.

use anyhow::Result;

use crate::cli::args::{ListArgs, QuarantineCommand};
use crate::cli::bar::Bar;
use crate::cli::context::Context;
use crate::cli::failure::{FAILED, Failure};
use crate::cli::out::Out;
use crate::cli::table::{json_text, tame};
use crate::cli::{lists, tasks};
use crate::domain::page::List;
use crate::domain::printable::Printable;
use crate::store::task::Task;
use crate::store::upkeep::verify::{Verified, verify_with};

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
        Some(QuarantineCommand::Retry) => {
            let report = tasks::submit(context, Task::RetryQuarantine)?;
            return tasks::report(context, &report, out);
        }
    };
    lists::run(
        context,
        List::Deliveries,
        &within("is:quarantined", args),
        out,
    )
}

/// The same list, narrowed by `term`.
pub fn within(term: &str, args: &ListArgs) -> ListArgs {
    let mut query = args.query.clone();
    if !query.is_empty() {
        query.insert(0, "(".to_owned());
        query.push(")".to_owned());
    }
    query.push(term.to_owned());
    ListArgs {
        query,
        ..args.clone()
    }
}

/// Folds everything again, or compares only; exit code 1 if anything differs.
pub fn rebuild(context: &Context, check: bool, out: &mut Out) -> Result<()> {
    let report = tasks::submit(context, Task::Rebuild { check })?;
    tasks::report(context, &report, out)?;
    if check && report.changed > 0 {
        return Err(Failure::silent(FAILED).into());
    }
    Ok(())
}

/// Looks at chain, sequence and file, and compares what is folded; exit code 1 if anything is wrong.
pub fn verify(context: &Context, out: &mut Out) -> Result<()> {
    let bar = Bar::new();
    let verified = verify_with(&context.database, &mut |done| {
        bar.count("checking deliveries", done, None);
    });
    drop(bar);
    let verified = verified?;
    // On a damaged chain a comparison of what was folded out of it says nothing.
    let drift = if verified.is_sound() {
        Some(tasks::submit(context, Task::Rebuild { check: true })?)
    } else {
        None
    };
    if context.global.json {
        let drift = drift.as_ref().map(serde_json::to_string).transpose()?;
        out.line(json(&verified, drift.as_deref().unwrap_or("null"))?)?;
    } else {
        tell(&verified, out)?;
        if let Some(drift) = &drift {
            tasks::report(context, drift, out)?;
        }
    }
    out.flush()?;
    if verified.is_sound() && drift.is_some_and(|drift| drift.changed == 0) {
        Ok(())
    } else {
        Err(Failure::silent(FAILED).into())
    }
}

/// What verifying found, in words.
pub fn tell(verified: &Verified, out: &mut Out) -> Result<()> {
    let Verified {
        deliveries,
        erased,
        last_seq,
        head,
        damaged,
        ..
    } = verified;
    if verified.is_sound() {
        out.line(format!(
            "the chain holds: {deliveries} deliveries, {erased} of them erased"
        ))?;
        if *last_seq > 0 {
            out.line(format!("its end: {last_seq} {head}"))?;
        }
        return Ok(());
    }
    let word = if *damaged == 1 {
        "thing is"
    } else {
        "things are"
    };
    out.line(format!(
        "{damaged} {word} wrong; {deliveries} deliveries were looked at"
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
        "[{{\"sound\":{},\"deliveries\":{},\"erased\":{},\"last_seq\":{},\"head\":{},\"damaged\":{},\"damage\":[{}],\
         \"folded\":{drift}}}]",
        verified.is_sound(),
        verified.deliveries,
        verified.erased,
        verified.last_seq,
        json_text(&verified.head)?,
        verified.damaged,
        damage.join(",")
    )))
}
