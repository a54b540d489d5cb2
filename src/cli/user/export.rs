//! `user export`: one zip with a page to read, the same for machines, and every body as it was received.
//!
//! A body out of which other readers' events were read too is left out: what it says of this one stands in the
//! data, and article 15(4) gives nobody a copy of what is told of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::cli::behind::Behind;
use crate::cli::context::Context;
use crate::cli::erase::numbers;
use crate::cli::export::{begin, cannot_write, put};
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::cli::user::{Check, Held, data, find, page, whom};
use crate::domain::count::in_words;
use crate::store::query::Reader;

const README: &str = "\
index.html       what is held, to read or print
data.json        the same for machines: every fact with the number and arrival of the message it came by
deliveries/      the messages as received, byte for byte; one that holds data of other people too is left out
rejected/        requests that were turned away; they are kept for 14 days

Times in data.json are UTC.
";

/// Writes all that is held about `who` into `path`, or a file of its own name in the current directory.
pub(super) fn run(
    context: &Context,
    who: &str,
    path: Option<&Path>,
    force: bool,
    out: &mut Out,
) -> Result<()> {
    if path == Some(Path::new("-")) {
        return Err(Failure::usage("an export is a zip: name a file with --out").into());
    }
    let who = whom(context, who)?;
    let reader = Reader::open(&context.database)?;
    interrupt::noted()?;
    let mut check = || Ok(interrupt::check()?);
    let status = reader.status(context.clock.now())?;
    let behind = Behind::of(context, &reader)?;
    let held = find(&reader, who, status.last_seq, behind, &mut check)?;
    if let Some(behind) = behind {
        out.say(format!(
            "{}: export again when `subledger status` says none",
            behind.says()
        ))?;
    }
    let named = path.map_or_else(
        || own_name(context, &reader, &held),
        |path| Ok(path.to_owned()),
    )?;
    context.refuse_own(&named)?;
    let fresh = begin(&named, force)?;
    let file = fresh
        .file()
        .try_clone()
        .with_context(|| cannot_write(&named))?;
    write(context, &reader, &held, file, &mut check).map_err(|error| {
        if interrupt::is_asked() {
            return error;
        }
        error.context(cannot_write(&named))
    })?;
    put(fresh, &named, force)?;
    tell(&held, &named, out)
}

/// `subledger-export-<day>-<reader>.zip`; nobody's address stands in it.
fn own_name(context: &Context, reader: &Reader, held: &Held) -> Result<PathBuf> {
    let day = context.clock.now().day(reader.zone()?);
    let short = match held.matches.first() {
        Some(one) => format!("{}-{}", one.provider, one.id),
        None => "unread".to_owned(),
    };
    Ok(PathBuf::from(format!("subledger-export-{day}-{short}.zip")))
}

fn tell(held: &Held, path: &Path, out: &mut Out) -> Result<()> {
    for one in &held.matches {
        let place = crate::domain::printable::Printable::line(&one.place());
        out.say(format!("{place} (found by {})", super::by(one)))?;
    }
    if !held.similar.is_empty() {
        let similar = super::told_similar(&held.similar);
        out.say(crate::domain::printable::Printable::line(&similar))?;
    }
    let left_out = held.deliveries.iter().filter(|kept| kept.others);
    let left_out: Vec<i64> = left_out.map(|kept| kept.seq).collect();
    if !left_out.is_empty() {
        out.say(format!(
            "{} left out, for naming other readers too (`subledger show SEQ` shows one){}",
            in_words(left_out.len(), "body is", "bodies are"),
            numbers(&left_out)
        ))?;
    }
    if !held.too_short.is_empty() {
        out.say("bodies were not searched for ids under 8 characters: data.json names them")?;
    }
    out.line(format!(
        "readers {}, deliveries {}, turned-away requests {}: {}",
        held.matches.len(),
        held.deliveries.len(),
        held.rejected.len(),
        path.display()
    ))?;
    Ok(out.flush()?)
}

fn write(
    context: &Context,
    reader: &Reader,
    held: &Held,
    file: File,
    check: Check<'_>,
) -> Result<()> {
    let mut zip = ZipWriter::new(BufWriter::new(file));
    if let Err(error) = fill(context, reader, held, &mut zip, check) {
        // Dropped, it would try to end the archive once more and complain by itself.
        std::mem::forget(zip);
        return Err(error);
    }
    zip.finish()?.flush()?;
    Ok(())
}

type Zip = ZipWriter<BufWriter<File>>;

fn fill(
    context: &Context,
    reader: &Reader,
    held: &Held,
    zip: &mut Zip,
    check: Check<'_>,
) -> Result<()> {
    let files = files(reader, held)?;
    let file = |rejected: bool, id: i64| files.get(&(rejected, id)).cloned();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(0o600);
    zip.start_file("README.txt", options)?;
    zip.write_all(README.as_bytes())?;
    zip.start_file("index.html", options)?;
    page::write(reader, held, context.clock.now(), &file, zip, check)?;
    zip.start_file("data.json", options)?;
    data::write(reader, held, Some(&file), zip, check)?;
    for ((rejected, id), name) in &files {
        check()?;
        let body = if *rejected {
            reader.rejected(*id)?.and_then(|detail| detail.body)
        } else {
            reader.delivery(*id)?.and_then(|detail| detail.body)
        };
        zip.start_file(name.as_str(), options)?;
        zip.write_all(&body.unwrap_or_default())?;
    }
    Ok(())
}

/// The names of the bodies that go into the zip.
fn files(reader: &Reader, held: &Held) -> Result<BTreeMap<(bool, i64), String>> {
    let mut files = BTreeMap::new();
    let of = |folder: &str, id: i64, body: &[u8]| {
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
        format!("{folder}/{id:06}.{}", if json { "json" } else { "bin" })
    };
    let own: BTreeSet<i64> = held
        .deliveries
        .iter()
        .filter(|kept| !kept.others)
        .map(|kept| kept.seq)
        .collect();
    for seq in own {
        if let Some(body) = reader.delivery(seq)?.and_then(|detail| detail.body) {
            files.insert((false, seq), of("deliveries", seq, &body));
        }
    }
    for id in &held.rejected {
        if let Some(body) = reader.rejected(*id)?.and_then(|detail| detail.body) {
            files.insert((true, *id), of("rejected", *id, &body));
        }
    }
    Ok(files)
}
