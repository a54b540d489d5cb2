//! What an event did to the consents of a reader: before and after side by side, word by word, what stayed on one
//! line.

use crate::domain::count::in_words;
use crate::domain::page::{List, Row};
use crate::domain::printable::Printable;
use crate::domain::time::Timestamp;
use crate::store::query::{Around, Difference, Standing};
use crate::tui::cell::{self, When};
use crate::tui::diff;
use crate::tui::place::Place;
use crate::tui::rows::{Piece, RecordLine, Rows};
use crate::tui::theme::Meaning;
use crate::tui::ways;

/// What is only before, and only after: told by their looks without colour too.
const GONE: Meaning = Meaning::Wrong;
const NEW: Meaning = Meaning::Here;

/// Lays out what `around` says, the purpose of the row first. `[row, own]`: it as shown, and without a mask.
pub fn lay_out(rows: &mut Rows, list: List, [row, own]: [&Row; 2], around: &Around, when: When) {
    let whole = ways::reader_of(list, own);
    let own = cell::text_field(list, own, "purpose");
    let mut changed: Vec<&Difference> = around
        .purposes
        .iter()
        .filter(|one| is_changed(one))
        .collect();
    changed.sort_by_key(|one| Some(one.purpose.as_str()) != own);
    heading(rows, list, row, around, when, whole);
    rows.put("changed", &how_many(changed.len()), Meaning::Plain);
    for one in &changed {
        rows.gap();
        purpose(rows, one, when);
    }
    let same: Vec<String> = around
        .purposes
        .iter()
        .filter(|one| !is_changed(one))
        .filter_map(|one| {
            let state = one.after.as_ref()?.state;
            Some(format!("{} {state}", one.purpose))
        })
        .collect();
    if !same.is_empty() {
        rows.gap();
        let same = Printable::line(&same.join(", "));
        rows.put("unchanged", same.as_str(), Meaning::Quiet);
    }
}

/// A later date of the same state is no change that anybody made.
fn is_changed(one: &Difference) -> bool {
    let told = |standing: &Option<Standing>| {
        standing.as_ref().map(|one| {
            (
                one.state,
                one.method.clone(),
                one.version.clone(),
                one.evidence.clone(),
                one.wording.clone(),
            )
        })
    };
    told(&one.before) != told(&one.after)
}

fn heading(
    rows: &mut Rows,
    list: List,
    row: &Row,
    around: &Around,
    when: When,
    reader: Option<Place>,
) {
    let who = cell::text_field(list, row, "who").or_else(|| cell::text_field(list, row, "user_id"));
    let who = Printable::line(who.unwrap_or("a reader"));
    let line = RecordLine::new("reader").opening(reader);
    rows.put_line(line, &[Piece::new(who.as_str(), Meaning::Strong)]);
    let mut about = around.kind.as_str().to_owned();
    if !around.app.is_empty() {
        about.extend([", ", &around.app]);
    }
    rows.put("about", Printable::line(&about).as_str(), Meaning::Plain);
    if let Some(seq) = ways::seq_of(list, row) {
        let line = RecordLine::new("told by").opening(Some(ways::delivery(seq)));
        let at = Timestamp::parse(&row.key.sort);
        let at = at.map_or_else(String::new, |at| format!(", {}", when.long(at)));
        let text = format!("webhook {seq}{at}");
        rows.put_line(line, &[Piece::new(text, Meaning::Link)]);
    }
}

fn how_many(changed: usize) -> String {
    match changed {
        0 => "nothing: it says what was known".to_owned(),
        changed => in_words(changed, "purpose", "purposes"),
    }
}

fn purpose(rows: &mut Rows, one: &Difference, when: When) {
    let mark = match (&one.before, &one.after) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    };
    let name = Printable::line(&one.purpose);
    rows.heading_marked(mark, name.as_str());
    if rows.has_beside() {
        rows.put_beside(
            &RecordLine::default(),
            &[Piece::new("before", Meaning::Quiet)],
            &[Piece::new("after", Meaning::Quiet)],
        );
    } else {
        rows.put("", "- before, + after", Meaning::Quiet);
    }
    let sides = [&one.before, &one.after];
    let has_wording = |side: &&Option<Standing>| {
        let told = side.as_ref();
        told.is_some_and(|one| one.wording.is_some() || one.version.is_some())
    };
    let is_unworded = !sides.iter().any(has_wording);
    let facts = facts(one.before.as_ref(), when)
        .into_iter()
        .zip(facts(one.after.as_ref(), when));
    for ((label, before), (_, after)) in facts {
        if before.is_empty() && after.is_empty() {
            continue;
        }
        let (left, right) = diff::words(&before, &after);
        let pieces = |parts: Vec<diff::Part>, changed: Meaning| -> Vec<Piece> {
            parts
                .into_iter()
                .map(|part| {
                    let meaning = if part.changed {
                        changed
                    } else {
                        Meaning::Plain
                    };
                    Piece::new(part.text, meaning)
                })
                .collect()
        };
        let mark = match (before.is_empty(), after.is_empty()) {
            _ if before == after => ' ',
            (true, _) => '+',
            (_, true) => '-',
            _ => '~',
        };
        let source = rows.source(label, if after.is_empty() { &before } else { &after });
        let seq = one.after.as_ref().or(one.before.as_ref());
        let opens = seq
            .filter(|_| label == "webhook")
            .map(|one| ways::delivery(one.seq));
        let line = RecordLine::new(&format!("  {label}"))
            .marked(mark)
            .from(source)
            .opening(opens);
        rows.put_beside(&line, &pieces(left, GONE), &pieces(right, NEW));
    }
    if is_unworded {
        rows.put("  wording", "not told by the provider", Meaning::Quiet);
    }
}

/// What is known of a consent, each printable; nothing known is nothing said but for the state.
fn facts(standing: Option<&Standing>, when: When) -> [(&'static str, String); 7] {
    let text = |pick: fn(&Standing) -> Option<&str>| {
        let found = standing.and_then(pick).unwrap_or_default();
        String::from(Printable::line(found))
    };
    let state = standing.map_or("not known", |one| one.state.as_str());
    let since = standing.map_or_else(String::new, |one| when.short(one.since));
    let webhook = standing.map_or_else(String::new, |one| one.seq.to_string());
    [
        ("state", state.to_owned()),
        ("since", since),
        ("how", text(|one| one.method.as_deref())),
        ("version", text(|one| one.version.as_deref())),
        ("wording", text(|one| one.wording.as_deref())),
        ("evidence", text(|one| one.evidence.as_deref())),
        ("webhook", webhook),
    ]
}
