//! `BENCHMARKS.md` beside the README: each bench owns one section of it, and keeps those of the others.
//!
//! A bench collects what was promised and what it saw (`Promise`), prints that, and where it was started with
//! `-- --write` puts its own section in the place of the one before. A section stands between two comments that name
//! its bench; what stands outside of them is the page's head, which is written when the page is new.

pub(crate) mod machine;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// The head of a new page.
const HEAD: &str = "# What it costs\n\n\
    Written by the benches, each its own section, not by hand: `cargo bench --locked --bench NAME -- --write`. Figures of \
    different sections may come from different days; a verdict is about this machine. A row that needs a program that was \
    not there is skipped, which is no pass.\n";

/// How a promise fared in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What was promised is what was seen.
    Held,
    /// It is not.
    Missed,
    /// It could not be looked at.
    Skipped,
}

impl Verdict {
    /// Held where `holds`.
    pub(crate) fn of(holds: bool) -> Self {
        if holds { Self::Held } else { Self::Missed }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Missed => "MISSED",
            Self::Skipped => "skipped",
        }
    }
}

/// One promise and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    /// What is promised: `cold start to the first full frame, 10,000,000 events`.
    pub(crate) what: String,
    /// The figure: `under 100 ms`.
    pub(crate) figure: String,
    /// What was seen: `34 ms`, or why nothing was.
    pub(crate) seen: String,
    /// Whether that is enough.
    pub(crate) verdict: Verdict,
}

/// The promises as lines of text.
pub(crate) fn lines(promises: &[Promise]) -> String {
    let mut text = String::new();
    for promise in promises {
        let Promise {
            what, figure, seen, ..
        } = promise;
        let word = promise.verdict.word();
        // Nothing fails when a String is written to.
        let _ = writeln!(text, "{word:<8} {what}: {seen} (promised {figure})");
    }
    text
}

/// The promises as a table of Markdown.
pub(crate) fn table(promises: &[Promise]) -> String {
    let rows = promises.iter().map(|promise| {
        vec![
            promise.what.clone(),
            promise.figure.clone(),
            format!("**{}**: {}", promise.verdict.word(), promise.seen),
        ]
    });
    markdown(&["what", "promised", "this run"], rows)
}

/// A table of Markdown.
pub(crate) fn markdown<'a>(
    heads: &[&'a str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| cell.replace(['\n', '|'], " "))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let owned = |cells: &[&'a str]| cells.iter().map(|&cell| cell.to_owned()).collect();
    let heads: Vec<String> = owned(heads);
    let mut text = line(&heads);
    text.push_str(&"|---".repeat(heads.len()));
    text.push_str("|\n");
    text.extend(rows.into_iter().map(|row| line(&row)));
    text
}

/// Whether this bench is to write its section: `-- --write`.
pub(crate) fn is_asked_for() -> bool {
    std::env::args().any(|argument| argument == "--write")
}

/// Puts the section of the bench `name` into the page: a heading `title`, the day and the machine, then `body`
/// (Markdown). The page is replaced as a whole, so that an interrupted run leaves the old one.
#[expect(
    clippy::disallowed_methods,
    reason = "the day of the run, which nothing depends on"
)]
pub(crate) fn write(name: &str, title: &str, body: &str) -> io::Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("BENCHMARKS.md");
    let page = match std::fs::read_to_string(&path) {
        Ok(page) => page,
        Err(error) if error.kind() == io::ErrorKind::NotFound => HEAD.to_owned(),
        Err(error) => return Err(error),
    };
    let section = format!(
        "## {title}\n\n`cargo bench --locked --bench {name}`, {}, subledger {}, {}.\n\n{}\n",
        chrono::Utc::now().format("%Y-%m-%d"),
        env!("CARGO_PKG_VERSION"),
        machine::machine(),
        body.trim(),
    );
    let page = replaced(&page, name, &section).map_err(io::Error::other)?;
    let new = path.with_extension("md.new");
    std::fs::write(&new, page)?;
    std::fs::rename(&new, &path)?;
    Ok(path)
}

/// `page` with `section` in the place of the one that `name` had, or at the end where it had none. Refuses a page whose
/// marks are not whole: what to replace cannot be known.
pub(crate) fn replaced(page: &str, name: &str, section: &str) -> Result<String, String> {
    let (begin, end) = (
        format!("<!-- bench {name} begin -->"),
        format!("<!-- bench {name} end -->"),
    );
    let section = format!("{begin}\n{}\n{end}", section.trim());
    match (page.find(&begin), page.find(&end)) {
        (None, None) => Ok(format!("{}\n\n{section}\n", page.trim_end())),
        (Some(from), Some(to)) if from < to => Ok(format!(
            "{}{section}{}",
            &page[..from],
            &page[to + end.len()..]
        )),
        _ => Err(format!(
            "the marks of {name:?} in BENCHMARKS.md are not whole: take the section out and run the bench again"
        )),
    }
}
