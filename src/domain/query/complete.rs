//! Offers for the term at the caret.

use crate::domain::event::EventType;
use crate::domain::query::{Is, Key, Words, folded, literal_text, value_text};

/// So many offers at most.
const OFFERS_MAX: usize = 50;

/// From so many characters on, values are offered that hold them anywhere.
const HOLDS_MIN: usize = 2;

const TIMES: &[&str] = &[
    "today",
    "yesterday",
    "24h",
    "7d",
    "28d",
    "last-review",
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
];

/// Where the term that ends at byte `caret` of `text` begins: after the last space or parenthesis outside quotes.
pub fn term_start(text: &str, caret: usize) -> usize {
    start_in(text.get(..caret).unwrap_or(text))
}

/// What the term that ends at byte `caret` of `text` may become: whole terms, the likeliest first. A leading `-` is
/// kept. Values that begin as typed stand before those that hold what was typed.
pub fn completions(text: &str, caret: usize, words: &Words<'_>) -> Vec<String> {
    let head = text.get(..caret).unwrap_or(text);
    let term = &head[start_in(head)..];
    let (sign, term) = match term.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", term),
    };
    let offers = match term.split_once(':') {
        None => keys(term, words),
        Some((key, values)) => match Key::from_word(&key.to_ascii_lowercase()) {
            Some(key) if key.lists().contains(&words.list) => values_of(key, values, words),
            _ => Vec::new(),
        },
    };
    offers
        .into_iter()
        .filter(|offer| offer != term)
        .take(OFFERS_MAX)
        .map(|offer| format!("{sign}{offer}"))
        .collect()
}

fn start_in(head: &str) -> usize {
    let mut start = 0;
    let mut in_quotes = false;
    let mut escaped = false;
    for (i, c) in head.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            _ if !in_quotes && (c.is_whitespace() || c == '(' || c == ')') => {
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    start
}

fn keys(begun: &str, words: &Words<'_>) -> Vec<String> {
    let begun = begun.to_ascii_lowercase();
    let is = Is::of(words.list)
        .filter(|word| begun.len() > 1 && word.as_str().starts_with(&begun))
        .map(|word| format!("is:{word}"));
    Key::of(words.list)
        .filter(|key| key.as_str().starts_with(&begun))
        .map(|key| format!("{key}:"))
        .chain(is)
        .collect()
}

fn values_of(key: Key, values: &str, words: &Words<'_>) -> Vec<String> {
    let (done, begun) = match values.rfind(',') {
        Some(comma) => values.split_at(comma + 1),
        None => ("", values),
    };
    let begun = folded(begun.trim_start_matches('"'));
    let (first, rest): (Vec<_>, Vec<_>) = candidates(key, words)
        .into_iter()
        .partition(|value| folded(value).starts_with(&begun));
    let holding = rest
        .into_iter()
        .filter(|value| begun.chars().count() >= HOLDS_MIN && folded(value).contains(&begun));
    let whole = |value: String| match key {
        // A star in a stored value is a star.
        Key::Plan | Key::Purpose => format!("{key}:{done}{}", literal_text(&value)),
        _ => format!("{key}:{done}{}", value_text(&value)),
    };
    let all = key.words(words.list).unwrap_or_default();
    let meant = key.spoken().iter();
    let meant = meant
        .filter(|(said, written)| {
            !begun.is_empty() && said.starts_with(&begun) && all.contains(written)
        })
        .map(|(_, written)| (*written).to_owned());
    let mut found: Vec<String> = Vec::new();
    for value in first.into_iter().chain(meant).chain(holding) {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found.into_iter().map(whole).collect()
}

fn candidates(key: Key, words: &Words<'_>) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if let Some(closed) = key.words(words.list) {
        return own(closed);
    }
    match key {
        Key::Provider => words.stored.providers.clone(),
        Key::Account => words.stored.accounts.clone(),
        Key::Plan => words.stored.plans.clone(),
        Key::Currency => words.stored.currencies.clone(),
        Key::Purpose => words.stored.purposes.clone(),
        Key::Hook => words.stored.hooks.clone(),
        Key::Is => Is::of(words.list).map(|is| is.to_string()).collect(),
        Key::Type => types(words),
        Key::Ends => own(&["today", "7d", "30d"]),
        Key::At
        | Key::Day
        | Key::Since
        | Key::Until
        | Key::Received
        | Key::Registered
        | Key::Started
        | Key::Ended => own(TIMES),
        _ => Vec::new(),
    }
}

/// Families, then whole types, then the words after the dot, then providers' own names.
fn types(words: &Words<'_>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut push = |word: &str| {
        if !out.iter().any(|known| known == word) {
            out.push(word.to_owned());
        }
    };
    for kind in EventType::ALL {
        push(kind.family());
    }
    for kind in EventType::ALL {
        push(kind.as_str());
    }
    for kind in EventType::ALL {
        if let Some((_, rest)) = kind.as_str().split_once('.') {
            push(rest);
        }
    }
    for name in &words.stored.provider_types {
        push(name);
    }
    out
}
