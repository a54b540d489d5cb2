//! What is held about a reader, as one page to read or print: no scripts, nothing from elsewhere, every text escaped.

use std::io::Write;

use anyhow::Result;

use crate::cli::show::heads;
use crate::cli::table::{Head, shown};
use crate::cli::user::data::FileOf;
use crate::cli::user::{Check, Held, by, each_row, line, title};
use crate::domain::page::{List, Row};
use crate::domain::printable::Printable;
use crate::domain::time::{Timestamp, Zone};
use crate::store::query::Reader;
use crate::store::query::reader::LISTS_OF_A_READER;
use crate::store::query::who::Match;

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">
<title>What is held about a reader</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { margin-top: 2.5rem; border-bottom: 2px solid #888; } h3 { margin-bottom: .3rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; } dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; } th, td { text-align: left; vertical-align: top; padding: .2rem .5rem; border-bottom: 1px solid #ccc; } th { white-space: nowrap; } td { overflow-wrap: anywhere; min-width: 4rem; }
div { overflow-x: auto; } li { overflow-wrap: anywhere; } .note { color: #555; }
@media print { @page { margin: 12mm; } th { white-space: normal; hyphens: auto; } td { min-width: 3rem; } body { max-width: none; margin: 0; font-size: 11px; } h2, h3 { break-after: avoid; } tr { break-inside: avoid; } a { color: inherit; } }
</style></head><body>
"#;

/// Writes the page.
pub(super) fn write(
    reader: &Reader,
    held: &Held,
    now: Timestamp,
    file: FileOf<'_>,
    out: &mut dyn Write,
    check: Check<'_>,
) -> Result<()> {
    let zone = reader.zone()?;
    write!(
        out,
        "{HEAD}<h1>What is held about {}</h1>",
        text(&held.who.text)
    )?;
    write!(
        out,
        "<p>Made on {}. Times are those of {}. Readers are shown as each provider knows them: the same person may stand \
         here more than once.</p><p class=\"note\">Everything here was received from the providers named, each time as a \
         message (a webhook). The messages themselves, byte for byte, are in the folder <code>deliveries</code>; the same \
         facts for machines are in <code>data.json</code>. Consents, with what each is for, stand under each provider.</p>",
        text(&crate::cli::table::local(&now.to_string(), zone)),
        text(zone.name())
    )?;
    for one in &held.matches {
        one_reader(reader, one, zone, out, check)?;
    }
    messages(reader, held, file, out, check)?;
    turned_away(reader, held, file, out)?;
    Ok(writeln!(out, "</body></html>")?)
}

/// `text` where a browser finds nothing but text in it.
fn text(text: &str) -> String {
    escaped(Printable::line(text).as_str())
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn one_reader(
    reader: &Reader,
    one: &Match,
    zone: Zone,
    out: &mut dyn Write,
    check: Check<'_>,
) -> Result<()> {
    write!(
        out,
        "<h2>{}</h2><p class=\"note\">Found by {}.</p><dl>",
        text(&one.place()),
        escaped(&by(one))
    )?;
    if let Some(user) = reader.user(one.id)? {
        let heads = heads(List::Users);
        for (place, head) in heads.iter().enumerate() {
            let value = shown(&heads, place, &user.row.cells, zone);
            if !value.is_empty() && !matches!(head.name.as_str(), "id" | "who") {
                term(&head.title, &value, out)?;
            }
        }
        for alias in user.aliases {
            let told = format!("{} ({}, message {})", alias.alias, alias.source, alias.seq);
            term("Another id", Printable::line(&told).as_str(), out)?;
        }
    }
    write!(out, "</dl>")?;
    for list in LISTS_OF_A_READER {
        table(reader, one, list, out, check)?;
    }
    Ok(())
}

fn term(title: &str, value: &str, out: &mut dyn Write) -> Result<()> {
    Ok(write!(
        out,
        "<dt>{}</dt><dd>{}</dd>",
        escaped(title),
        escaped(value)
    )?)
}

fn table(
    reader: &Reader,
    one: &Match,
    list: List,
    out: &mut dyn Write,
    check: Check<'_>,
) -> Result<()> {
    let zone = reader.zone()?;
    let heads = heads(list);
    // What tables show, and where each row is from.
    let told: Vec<usize> = (0..heads.len())
        .filter(|place| is_told(&heads[*place]))
        .collect();
    let mut begun = false;
    each_row(reader, one, list, &mut |row| {
        check()?;
        if !begun {
            begun = true;
            write!(out, "<h3>{}</h3><div><table><tr>", title(list))?;
            for place in &told {
                write!(out, "<th>{}</th>", escaped(&heads[*place].title))?;
            }
            write!(out, "</tr>")?;
        }
        cells(&heads, &told, row, zone, out)
    })?;
    if begun {
        write!(out, "</table></div>")?;
    }
    Ok(())
}

fn is_told(head: &Head) -> bool {
    let name = head.name.as_str();
    head.priority > 0
        && !matches!(
            name,
            "provider" | "account" | "user_id" | "email" | "name" | "who"
        )
        || matches!(name, "seq" | "version" | "evidence" | "method")
}

fn cells(heads: &[Head], told: &[usize], row: &Row, zone: Zone, out: &mut dyn Write) -> Result<()> {
    write!(out, "<tr>")?;
    for place in told {
        let value = shown(heads, *place, &row.cells, zone);
        write!(out, "<td>{}</td>", escaped(&value))?;
    }
    Ok(write!(out, "</tr>")?)
}

fn messages(
    reader: &Reader,
    held: &Held,
    file: FileOf<'_>,
    out: &mut dyn Write,
    check: Check<'_>,
) -> Result<()> {
    let zone = reader.zone()?;
    write!(
        out,
        "<h2>Messages received, and by whom they were sent</h2><ul>"
    )?;
    for kept in &held.deliveries {
        check()?;
        let Some(detail) = reader.delivery(kept.seq)? else {
            continue;
        };
        item(
            kept.seq,
            &line(&detail.row, zone),
            file(false, kept.seq),
            out,
        )?;
        if kept.others {
            write!(
                out,
                " <span class=\"note\">Left out: it holds data of other people too.</span>"
            )?;
        } else if detail.body.is_none() {
            let gone = detail.gone;
            write!(out, " <span class=\"note\">Its content is {gone}.</span>")?;
        }
        write!(out, "</li>")?;
    }
    Ok(write!(out, "</ul>")?)
}

fn turned_away(reader: &Reader, held: &Held, file: FileOf<'_>, out: &mut dyn Write) -> Result<()> {
    if held.rejected.is_empty() {
        return Ok(());
    }
    let zone = reader.zone()?;
    write!(
        out,
        "<h2>Requests that were turned away</h2><p class=\"note\">Whoever sent these could not prove who they are. They \
         are kept for 14 days.</p><ul>"
    )?;
    for id in &held.rejected {
        if let Some(detail) = reader.rejected(*id)? {
            item(*id, &line(&detail.row, zone), file(true, *id), out)?;
            write!(out, "</li>")?;
        }
    }
    Ok(write!(out, "</ul>")?)
}

/// One line of a list, still open; `file` is a name that we made.
fn item(number: i64, words: &str, file: Option<String>, out: &mut dyn Write) -> Result<()> {
    let words = escaped(words);
    match file {
        Some(file) => write!(out, "<li><a href=\"{file}\">{number}</a> {words}")?,
        None => write!(out, "<li>{number} {words}")?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_more_than_text() {
        let safe = text("</td><img src=x onerror=\"a()\">'&\u{202e}\u{0}");
        assert!(
            !safe.contains(['<', '>', '"', '\'', '\u{202e}', '\0']),
            "{safe}"
        );
        assert!(safe.starts_with("&lt;/td&gt;&lt;img src=x onerror=&quot;a()&quot;&gt;&#39;&amp;"));
    }
}
