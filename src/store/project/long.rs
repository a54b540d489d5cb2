//! Long texts that a fold only hands on: what a reader is called, why they left.
//!
//! Imports nothing. While events are folded a word with the number of the event stands for such a text, so that what is
//! kept in memory is small whatever was sent; the text is read from its event when a row is written.

/// Texts of so many bytes stay in memory; fewer in tests, so that ordinary texts take the same path.
const SHORT_BYTES_MAX: usize = if cfg!(test) { 4 } else { 1024 };
/// What no word begins with.
const MARK: char = '\0';

/// Has a word stand for `text` of event `id`, where it is long. Any other that looks like such a word is exchanged too.
pub(super) fn shorten(text: &mut Option<String>, id: i64) {
    let is_long = |text: &String| text.len() > SHORT_BYTES_MAX || text.starts_with(MARK);
    if text.as_ref().is_some_and(is_long) {
        *text = Some(format!("{MARK}{id}"));
    }
}

/// The event that holds the text which `word` stands for; `None` where it is the text itself.
pub(super) fn event_of(word: &str) -> Option<i64> {
    word.strip_prefix(MARK)?.parse().ok()
}
