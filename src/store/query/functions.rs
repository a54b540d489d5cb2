//! The few functions that our statements call: text compared in any case and without marks, and days in the ledger's zone.

use std::cell::RefCell;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::domain::query::{caseless, fold_into, folded};
use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::query::looked::SharedLooked;

/// Adds them to `conn`: `holds(needle, text...)`, `resembles(pattern, text)` and `resembles_folded(pattern, text)`,
/// `digits_hold(digits, text)`, `local_day(time)`. Needle and pattern are folded already, that of `resembles` is without
/// case. All but the last give 0 or 1, 0 for null. And `looked(branch, time)`, which is 1 and notes how far a page has
/// come.
pub(super) fn add(conn: &Connection, zone: Zone, looked: &SharedLooked) -> Result<(), Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function("holds", -1, flags, |ctx| {
        let needle = text(ctx, 0).unwrap_or_default();
        Ok((1..ctx.len()).any(|i| text(ctx, i).is_some_and(|hay| holds(hay, needle))))
    })?;
    conn.create_scalar_function("resembles", 2, flags, |ctx| {
        let pattern = text(ctx, 0).unwrap_or_default();
        Ok(text(ctx, 1).is_some_and(|value| resembles(&caseless(value), pattern)))
    })?;
    conn.create_scalar_function("resembles_folded", 2, flags, |ctx| {
        let pattern = text(ctx, 0).unwrap_or_default();
        Ok(text(ctx, 1).is_some_and(|value| resembles(&folded(value), pattern)))
    })?;
    conn.create_scalar_function("digits_hold", 2, flags, |ctx| {
        let wanted = text(ctx, 0).unwrap_or_default();
        Ok(text(ctx, 1).is_some_and(|value| digits(value).contains(wanted)))
    })?;
    conn.create_scalar_function("local_day", 1, flags, move |ctx| {
        Ok(text(ctx, 0)
            .and_then(Timestamp::parse)
            .map(|at| at.day(zone)))
    })?;
    let looked = SharedLooked::clone(looked);
    // Not deterministic: it is called for every row.
    conn.create_scalar_function("looked", 2, FunctionFlags::SQLITE_UTF8, move |ctx| {
        let branch: i64 = ctx.get(0)?;
        looked.note(branch.unsigned_abs(), text(ctx, 1));
        Ok(true)
    })?;
    Ok(())
}

fn text<'a>(ctx: &'a Context<'_>, index: usize) -> Option<&'a str> {
    match ctx.get_raw(index) {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

thread_local! {
    /// What `holds` folds a text into.
    static FOLDED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Whether `hay` holds the folded `needle`, in any case and without marks.
pub(super) fn holds(hay: &str, needle: &str) -> bool {
    if hay.is_ascii() {
        return ascii_holds(hay.as_bytes(), needle.as_bytes());
    }
    FOLDED.with_borrow_mut(|folded| {
        fold_into(hay, folded);
        folded.contains(needle)
    })
}

/// It is asked of every reader there is: most characters are not the first one.
fn ascii_holds(hay: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else {
        return true;
    };
    let Some(last) = hay.len().checked_sub(needle.len()) else {
        return false;
    };
    let begins = |at: &usize| hay[*at].eq_ignore_ascii_case(first);
    (0..=last)
        .filter(begins)
        .any(|at| hay[at + 1..at + needle.len()].eq_ignore_ascii_case(rest))
}

/// Whether folded `text` is `pattern`, in which `*` stands for any text and `\*` for a star.
pub(super) fn resembles(text: &str, pattern: &str) -> bool {
    let parts = parts(pattern);
    let Some((first, rest)) = parts.split_first() else {
        return text.is_empty();
    };
    let Some((last, between)) = rest.split_last() else {
        return text == first;
    };
    let Some(mut text) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    for part in between {
        match text.find(part.as_str()) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last.as_str())
}

/// What stands between the stars of `pattern`.
fn parts(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = c == '\\' && matches!(chars.peek(), Some('*' | '\\'));
        match (escaped, c) {
            (true, _) => parts
                .last_mut()
                .into_iter()
                .for_each(|part| part.extend(chars.next())),
            (false, '*') => parts.push(String::new()),
            (false, c) => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
    }
    parts
}

/// The digits of a phone number as it was sent.
pub(super) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_case_nor_marks_matter_in_any_script() {
        for (hay, needle, found) in [
            ("Ayşe YILMAZ", "yilmaz", true),
            ("IŞIK", "ışık", true),
            ("Ayşe Güneş", "gunes", true),
            ("gunes@example.com", "GÜNEŞ", true),
            ("Ayşe Güneş", "güneş", true),
            ("Jörg Müller", "muller", true),
            ("Jörg Müller", "mueller", false),
            ("Zeynep 🌸 Öztürk", "ozturk", true),
            ("आरती देशपांडे", "देशपांडे", true),
            ("ascii", "\u{301}", false),
            ("ışık", "IŞIK", true),
            ("İstanbul", "istanbul", true),
            ("reader@Example.com", "EXAMPLE", true),
            ("", "a", false),
            ("a", "", true),
        ] {
            assert_eq!(holds(hay, &folded(needle)), found, "{hay} {needle}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (text, pattern, fits) in [
            ("gold plan", "gold*", true),
            ("gold plan", "*plan", true),
            ("gold plan", "g*d*n", true),
            ("gold plan", "gold", false),
            ("gold", "go*ld*d", false),
            ("ab", "ab*ab", false),
            ("", "*", true),
            ("100%_", "100%_", true),
            ("*", "\\*", true),
            ("any", "\\*", false),
            ("a\\b*c", "a\\\\b\\**", true),
        ] {
            assert_eq!(resembles(text, pattern), fits, "{text} {pattern}");
        }
    }
}
