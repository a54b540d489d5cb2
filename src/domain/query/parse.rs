//! Text to condition, by recursive descent. Every error names the bytes it is about.

use std::ops::Range;

use rust_decimal::Decimal;

use crate::domain::event::EventType;
use crate::domain::page::List;
use crate::domain::query::times::{Moment, moment};
use crate::domain::query::{
    Bounds, Expr, Is, Key, QueryError, Span, Term, Test, Value, Words, value_text, word_text,
};
use crate::domain::time::Timestamp;

/// A longer text is no filter that anybody wrote.
const TEXT_BYTES_MAX: usize = 4_096;
/// So many terms and values a query may have in all.
const VALUES_MAX: usize = 100;
/// So deep parentheses and negations may nest.
const DEPTH_MAX: usize = 16;

pub(super) fn parse(text: &str, words: &Words<'_>) -> Result<Expr, QueryError> {
    let mut parser = Parser {
        text,
        at: 0,
        values: 0,
        words,
    };
    if text.len() > TEXT_BYTES_MAX {
        return Err(error(
            0..text.len(),
            format!("a filter has at most {TEXT_BYTES_MAX} bytes"),
        ));
    }
    parser.skip();
    if parser.rest().is_empty() {
        return Ok(Expr::All(Vec::new()));
    }
    let root = parser.any(0)?;
    match parser.rest().chars().next() {
        None => Ok(root),
        Some(_) => Err(error(
            parser.at..parser.at + 1,
            "this ) closes nothing".to_owned(),
        )),
    }
}

/// One condition of `parts`, of which all (or any) must hold, without needless nesting.
pub(super) fn flat(parts: Vec<Expr>, all: bool) -> Expr {
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Expr::All(inner) if all => out.extend(inner),
            Expr::Any(inner) if !all => out.extend(inner),
            other => out.push(other),
        }
    }
    match (out.len(), all) {
        (1, _) => out.swap_remove(0),
        (_, true) => Expr::All(out),
        (_, false) => Expr::Any(out),
    }
}

fn error(at: Range<usize>, message: String) -> QueryError {
    QueryError {
        at,
        message,
        suggestion: None,
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    values: usize,
    words: &'a Words<'a>,
}

/// A value as written: its text without quotes, and where it stands.
struct Written {
    text: String,
    at: Range<usize>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn any(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut parts = vec![self.all(depth)?];
        while self.takes_or() {
            parts.push(self.all(depth)?);
        }
        Ok(flat(parts, false))
    }

    fn takes_or(&mut self) -> bool {
        self.skip();
        let Some(after) = self.rest().strip_prefix("OR") else {
            return false;
        };
        let ends = after
            .chars()
            .next()
            .is_none_or(|c| c.is_whitespace() || c == '(' || c == ')');
        if ends {
            self.at += 2;
        }
        ends
    }

    fn all(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut parts = Vec::new();
        loop {
            self.skip();
            let before = self.at;
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with(')') {
                break;
            }
            if self.takes_or() {
                self.at = before;
                break;
            }
            parts.push(self.unary(depth)?);
        }
        if parts.is_empty() {
            let end = self.text.len().min(self.at + 1);
            return Err(error(
                self.at.saturating_sub(1)..end,
                "a term is missing here".to_owned(),
            ));
        }
        Ok(flat(parts, true))
    }

    fn unary(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let start = self.at;
        if depth > DEPTH_MAX {
            return Err(error(start..start + 1, "too many parentheses".to_owned()));
        }
        let rest = self.rest();
        if let Some(after) = rest.strip_prefix('-') {
            self.at += 1;
            if after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || c == ')') {
                return Err(error(
                    start..self.at,
                    "nothing to leave out after -".to_owned(),
                ));
            }
            return Ok(Expr::Not(Box::new(self.unary(depth + 1)?)));
        }
        if rest.starts_with('(') {
            self.at += 1;
            let inner = self.any(depth + 1)?;
            self.skip();
            if !self.rest().starts_with(')') {
                return Err(error(start..start + 1, "this ( is never closed".to_owned()));
            }
            self.at += 1;
            return Ok(inner);
        }
        self.term().map(Expr::Term)
    }

    fn term(&mut self) -> Result<Term, QueryError> {
        let start = self.at;
        if self.rest().starts_with('"') {
            let phrase = self.phrase()?;
            self.tick(&(start..self.at))?;
            if phrase.trim().is_empty() {
                return Err(error(
                    start..self.at,
                    "nothing between the quotes".to_owned(),
                ));
            }
            return Ok(Term::Word(phrase));
        }
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || "():\"".contains(c))
            .unwrap_or(rest.len());
        if rest[end..].starts_with(':') {
            self.at += end + 1;
            return self.field(start, &rest[..end]);
        }
        self.at += end;
        self.tick(&(start..self.at))?;
        let word = &rest[..end];
        if let Some(place) = word.find(['<', '>', '=']) {
            let (key, value) = word.split_at(place);
            return Err(QueryError {
                at: start..self.at,
                message: "a comparison stands after a colon".to_owned(),
                suggestion: Some(match known_key(key) {
                    Some(key) => format!("{key}:{value}"),
                    None => word_text(word),
                }),
            });
        }
        Ok(Term::Word(word.to_owned()))
    }

    fn tick(&mut self, at: &Range<usize>) -> Result<(), QueryError> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(error(
                at.clone(),
                format!("a filter has at most {VALUES_MAX} terms"),
            ));
        }
        Ok(())
    }

    /// What stands between the quotes, of which the first is next.
    fn phrase(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        let mut out = String::new();
        let mut escaped = false;
        for (i, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if escaped => {
                    out.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.at += i + 1;
                    return Ok(out);
                }
                _ => out.push(c),
            }
        }
        Err(error(
            start..self.text.len(),
            "this quote is never closed".to_owned(),
        ))
    }

    fn written(&mut self) -> Result<Written, QueryError> {
        let start = self.at;
        let text = if self.rest().starts_with('"') {
            self.phrase()?
        } else {
            let rest = self.rest();
            let end = rest
                .find(|c: char| c.is_whitespace() || "(),\"".contains(c))
                .unwrap_or(rest.len());
            self.at += end;
            rest[..end].to_owned()
        };
        Ok(Written {
            text,
            at: start..self.at,
        })
    }

    fn field(&mut self, start: usize, name: &str) -> Result<Term, QueryError> {
        let mut written = vec![self.written()?];
        while self.rest().starts_with(',') {
            self.at += 1;
            written.push(self.written()?);
        }
        let whole = start..self.at;
        let list = self.words.list;
        let Some(key) = known_key(name) else {
            return Err(self.unknown_key(whole, name, &written));
        };
        if !key.lists().contains(&list) {
            return Err(error(whole, not_here(key.as_str(), key.lists(), list)));
        }
        let mut values = Vec::with_capacity(written.len());
        for value in &written {
            self.tick(&whole)?;
            let test = self
                .test(key, value)
                .map_err(|(message, better)| QueryError {
                    at: if value.text.is_empty() {
                        whole.clone()
                    } else {
                        value.at.clone()
                    },
                    message,
                    suggestion: better.map(|better| replaced(key, &written, value, &better)),
                })?;
            values.push(Value {
                text: value.text.clone(),
                test,
            });
        }
        Ok(Term::Field { key, values })
    }

    fn unknown_key(&self, at: Range<usize>, name: &str, written: &[Written]) -> QueryError {
        let keys: Vec<&str> = Key::of(self.words.list).map(Key::as_str).collect();
        let name = name.to_ascii_lowercase();
        let suggestion = match nearest(&name, keys.iter().copied()) {
            Some(key) => {
                let values: Vec<String> = written.iter().map(|v| value_text(&v.text)).collect();
                format!("{key}:{}", values.join(","))
            }
            None => word_text(&self.text[at.clone()]),
        };
        QueryError {
            message: format!("{} can be filtered by no key {name:?}", self.words.list),
            at,
            suggestion: Some(suggestion),
        }
    }

    /// What `written` means to `key`; else a sentence, and the value as it may have been meant.
    fn test(&self, key: Key, written: &Written) -> Result<Test, (String, Option<String>)> {
        let text = written.text.as_str();
        if text.trim().is_empty() {
            return Err((format!("{key}: needs a value"), None));
        }
        if let Some(words) = key.words(self.words.list) {
            return one_of(key, text, words.iter().copied());
        }
        let stored = self.words.stored;
        match key {
            Key::Is => self.is(text),
            Key::Type => self.types(text),
            Key::Provider => known(key, text, &stored.providers),
            Key::Account => known(key, text, &stored.accounts),
            Key::Hook => known(key, text, &stored.hooks),
            Key::Currency => currency(text, &stored.currencies),
            Key::Seq | Key::Amount | Key::Price => bounds(text)
                .map(Test::Number)
                .ok_or_else(|| number_help(key)),
            Key::At
            | Key::Day
            | Key::Since
            | Key::Until
            | Key::Received
            | Key::Registered
            | Key::Started
            | Key::Ended
            | Key::Ends => self.span(key, text).map(Test::Time),
            Key::Phone => {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                if digits.is_empty() {
                    return Err(("a phone number has digits".to_owned(), None));
                }
                Ok(Test::Holds(digits))
            }
            Key::Email if whole_address(text) && !text.contains('*') => {
                Ok(Test::Equal(text.to_owned()))
            }
            Key::Email | Key::Name | Key::Reason if !text.contains('*') => {
                Ok(Test::Holds(text.to_owned()))
            }
            Key::User | Key::Id => Ok(Test::Equal(text.to_owned())),
            _ => Ok(Test::Like(text.to_owned())),
        }
    }

    fn is(&self, text: &str) -> Result<Test, (String, Option<String>)> {
        let list = self.words.list;
        let word = text.to_ascii_lowercase();
        let Some(is) = Is::from_word(&word) else {
            let better = nearest(&word, Is::of(list).map(Is::as_str)).map(str::to_owned);
            return Err((format!("{list} know no is:{word}"), better));
        };
        if !is.lists().contains(&list) {
            return Err((not_here(&format!("is:{is}"), is.lists(), list), None));
        }
        Ok(match is {
            Is::New | Is::Late => Test::After {
                is,
                seq: self.words.last_review.map_or(0, |(seq, _)| seq),
                at: self.words.last_review.map(|(_, at)| at),
            },
            other => Test::Is(other),
        })
    }

    fn types(&self, text: &str) -> Result<Test, (String, Option<String>)> {
        let word = text.to_ascii_lowercase();
        let types: Vec<EventType> = EventType::ALL
            .iter()
            .copied()
            .filter(|kind| fits(*kind, &word))
            .collect();
        let provider_types: Vec<String> = self
            .words
            .stored
            .provider_types
            .iter()
            .filter(|name| name.eq_ignore_ascii_case(text))
            .cloned()
            .collect();
        if !types.is_empty() || !provider_types.is_empty() {
            return Ok(Test::Types {
                types,
                provider_types,
            });
        }
        let known = EventType::ALL.iter().flat_map(|kind| {
            let whole = kind.as_str();
            let rest = whole.split_once('.').map_or(whole, |(_, rest)| rest);
            [whole, kind.family(), rest]
        });
        let stored = self.words.stored.provider_types.iter().map(String::as_str);
        let better = nearest(&word, known.chain(stored)).map(str::to_owned);
        Err((format!("no type {text:?} is known or stored"), better))
    }

    fn span(&self, key: Key, text: &str) -> Result<Span, (String, Option<String>)> {
        let help = || time_help(text);
        let Some((low, high)) = text.split_once("..") else {
            return self.one_time(key, text).ok_or_else(help);
        };
        if matches!(key, Key::Since | Key::Until) {
            return Err((
                format!("{key}: takes one time; a range stands after at:"),
                None,
            ));
        }
        if low.is_empty() && high.is_empty() {
            return Err(help());
        }
        let end = |word: &str| match word {
            "" => Some(None),
            word => self.moment(key, word).map(Some),
        };
        let low = end(low).ok_or_else(help)?;
        let high = end(high).ok_or_else(help)?;
        Ok(Span {
            from: low.and_then(first),
            to: high.map(after),
        })
    }

    fn moment(&self, key: Key, word: &str) -> Option<Moment> {
        let review = self.words.last_review.map(|(_, at)| at);
        moment(
            word,
            self.words.now,
            self.words.zone,
            review,
            key == Key::Ends,
        )
    }

    fn one_time(&self, key: Key, text: &str) -> Option<Span> {
        let (sign, word) = comparison(text);
        let named = self.moment(key, word)?;
        let (first, after) = (first(named), Some(after(named)));
        let (from, to) = match (sign, key, named) {
            (Some(">="), ..) | (None, Key::Since, _) => (first, None),
            (Some(">"), ..) => (after, None),
            (Some("<"), ..) => (None, Some(first?)),
            (Some(_), ..) | (None, Key::Until, _) => (None, after),
            (None, Key::Ends, Moment::Instant(at)) => (Some(self.words.now), Some(at)),
            (None, _, Moment::Stretch(..)) => (first, after),
            (None, ..) => (first, None),
        };
        Some(Span { from, to })
    }
}

/// The first instant of what is named; none before everything.
const fn first(moment: Moment) -> Option<Timestamp> {
    match moment {
        Moment::Instant(at) | Moment::Stretch(at, _) => Some(at),
        Moment::Beginning => None,
    }
}

/// The first instant after what is named.
const fn after(moment: Moment) -> Timestamp {
    match moment {
        Moment::Instant(at) | Moment::Stretch(_, at) => at,
        Moment::Beginning => Timestamp::from_ms(0),
    }
}

fn time_help(text: &str) -> (String, Option<String>) {
    const WORDS: [&str; 11] = [
        "today",
        "yesterday",
        "tomorrow",
        "last-review",
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
    ];
    let better = nearest(&text.to_ascii_lowercase(), WORDS.into_iter()).map(str::to_owned);
    (format!("{text:?} is no time"), better)
}

fn comparison(text: &str) -> (Option<&str>, &str) {
    for sign in [">=", "<=", ">", "<"] {
        if let Some(rest) = text.strip_prefix(sign) {
            return (Some(sign), rest);
        }
    }
    (None, text.strip_prefix('=').unwrap_or(text))
}

fn bounds(text: &str) -> Option<Bounds> {
    let number = |text: &str| Decimal::from_str_exact(text).ok();
    if let Some((low, high)) = text.split_once("..") {
        let end = |text: &str| match text {
            "" => Some(None),
            text => Some(Some((number(text)?, true))),
        };
        let found = Bounds {
            low: end(low)?,
            high: end(high)?,
        };
        return (found != Bounds::default()).then_some(found);
    }
    let (sign, rest) = comparison(text);
    let value = number(rest)?;
    let (low, high) = match sign {
        Some(">=") => (Some((value, true)), None),
        Some(">") => (Some((value, false)), None),
        Some("<=") => (None, Some((value, true))),
        Some(_) => (None, Some((value, false))),
        None => (Some((value, true)), Some((value, true))),
    };
    Some(Bounds { low, high })
}

fn number_help(key: Key) -> (String, Option<String>) {
    (format!("{key}: takes a number, >=100, <5 or 10..20"), None)
}

/// A value that the ledger holds, if it holds any.
fn known(key: Key, text: &str, stored: &[String]) -> Result<Test, (String, Option<String>)> {
    let word = text.to_ascii_lowercase();
    if stored.is_empty() || stored.contains(&word) {
        return Ok(Test::Equal(word));
    }
    if stored.iter().any(|known| known == text) {
        return Ok(Test::Equal(text.to_owned()));
    }
    let better = nearest(&word, stored.iter().map(String::as_str)).map(str::to_owned);
    Err((format!("no {key} {text:?} is stored"), better))
}

fn currency(text: &str, stored: &[String]) -> Result<Test, (String, Option<String>)> {
    let code = text.to_ascii_uppercase();
    if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(Test::Equal(code));
    }
    let better = nearest(
        &text.to_ascii_lowercase(),
        stored.iter().map(String::as_str),
    )
    .map(str::to_owned);
    Err(("a currency is three letters".to_owned(), better))
}

/// From so many characters on, the beginning of a word that screens say is known.
const SPOKEN_MIN: usize = 3;

fn one_of(
    key: Key,
    text: &str,
    words: impl Iterator<Item = &'static str> + Clone,
) -> Result<Test, (String, Option<String>)> {
    let word = text.to_ascii_lowercase();
    if words.clone().any(|known| known == word) {
        return Ok(Test::Equal(word));
    }
    let all: Vec<&str> = words.clone().collect();
    let is_begun = word.chars().count() >= SPOKEN_MIN;
    let is_meant = |(said, written): &&(&str, &'static str)| {
        is_begun && said.starts_with(&word) && all.contains(written)
    };
    let meant = key.spoken().iter().find(is_meant);
    let better = meant.map(|(_, written)| *written);
    let better = better.or_else(|| nearest(&word, words));
    let better = better.map(str::to_owned);
    Err((format!("{key}: takes {}", all.join(", ")), better))
}

/// Whether `word` names `kind`: wholly, by its family, or by a word of the rest or the beginning of one.
fn fits(kind: EventType, word: &str) -> bool {
    let whole = kind.as_str();
    let rest = whole.split_once('.').map_or("", |(_, rest)| rest);
    whole == word
        || kind.family() == word
        || (!rest.is_empty() && rest.starts_with(word))
        || rest.split('_').any(|part| part.starts_with(word))
}

fn whole_address(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.ends_with('.'))
}

fn known_key(name: &str) -> Option<Key> {
    Key::from_word(&name.to_ascii_lowercase())
}

fn not_here(term: &str, lists: &[List], list: List) -> String {
    let names: Vec<&str> = lists.iter().map(|list| list.as_str()).collect();
    format!("{term} cannot filter {list}: it is of {}", names.join(", "))
}

fn replaced(key: Key, written: &[Written], wrong: &Written, better: &str) -> String {
    let values: Vec<String> = written
        .iter()
        .map(|value| {
            if value.at == wrong.at {
                value_text(better)
            } else {
                value_text(&value.text)
            }
        })
        .collect();
    format!("{key}:{}", values.join(","))
}

/// The nearest of `known`, if one is near.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let limit = 1 + word.chars().count() / 3;
    known
        .map(|other| {
            let folded = other.to_ascii_lowercase();
            let whole = strsim::damerau_levenshtein(word, &folded);
            // A slip in a word that is not finished yet.
            let begun = word.chars().count() + 1;
            let begun: String = folded.chars().take(begun).collect();
            let distance = whole.min(1 + strsim::damerau_levenshtein(word, &begun));
            (!folded.starts_with(word), distance, other)
        })
        .filter(|(_, distance, other)| *distance <= limit && *distance < other.chars().count())
        .min_by_key(|(is_other, distance, _)| (*is_other, *distance))
        .map(|(.., other)| other)
}
