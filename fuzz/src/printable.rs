//! `Printable`: nothing that acts or hides goes out, nothing is dropped without a word, and it is as wide as it says.

use subledger::cli::table;
use subledger::domain::printable::Printable;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{Held, must};

/// A grapheme of more characters may be cut.
const FLOOD: usize = 8;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Text as one line.
    pub line: fn(&str) -> String,
    /// Text as several lines.
    pub lines: fn(&str) -> String,
    /// Bytes as several lines.
    pub bytes: fn(&[u8]) -> String,
    /// So many cells text takes as one line.
    pub width: fn(&str) -> usize,
    /// Text as one line of at most so many cells.
    pub cut: fn(&str, usize) -> String,
    /// Text as JSON.
    pub json: fn(&str) -> String,
}

/// As it is.
pub const REAL: Subject = Subject {
    line: |text| Printable::line(text).into(),
    lines: |text| Printable::lines(text).into(),
    bytes: |bytes| Printable::bytes(bytes).into(),
    width: |text| Printable::line(text).width(),
    cut: |text, cells| Printable::line(text).cut(cells).into(),
    json: |text| table::json_text(text).unwrap_or_default(),
};

/// Looks at `subject` with `data` as text and as bytes.
pub fn check(data: &[u8], subject: &Subject) -> Held {
    let text = &String::from_utf8_lossy(data);
    let line = (subject.line)(text);
    harmless("a line", &line, "")?;
    nothing_dropped(text, &line)?;
    harmless("lines", &(subject.lines)(text), "\n")?;
    harmless("bytes", &(subject.bytes)(data), "\n")?;
    widths(text, &line, subject)?;
    let json = (subject.json)(text);
    harmless("JSON", &json, "")?;
    let back = serde_json::from_str::<String>(&json);
    must(back.as_ref().is_ok_and(|back| back == text), || {
        format!("{text:?} as JSON is {json}, which is {back:?}")
    })
}

/// That nothing in `shown` acts on a terminal or hides in it; `but` may be there.
pub fn harmless(what: &str, shown: &str, but: &str) -> Held {
    let acting = acting(shown, may_be_picture).find(|c| !but.contains(*c));
    must(acting.is_none(), || {
        let acting = u32::from(acting.unwrap_or_default());
        format!("{what}: U+{acting:04X} goes out in {shown:?}")
    })?;
    let mut parts = shown.graphemes(true);
    let hidden = parts.find(|part| is_hidden(part) && !but.contains(part));
    must(hidden.is_none(), || {
        format!("{what}: {hidden:?} takes no cell in {shown:?}")
    })
}

/// Whether nothing of a grapheme is to be seen.
fn is_hidden(part: &str) -> bool {
    part.width() == 0
}

/// Whether `c` moves, turns round or hides text wherever it stands: controls, what turns the direction, breaks lines, is
/// nobody's, or what Unicode says to ignore. What emoji are joined and coloured by is judged by its place.
pub(super) fn acts(c: char) -> bool {
    let is_private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    let turns_round = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks_lines = matches!(c, '\u{2028}' | '\u{2029}');
    let is_ignored = matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'
            ..='\u{180f}'
    ) || matches!(
        c,
        '\u{200b}' | '\u{200c}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
    ) || matches!(c, '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}');
    c.is_control() || is_private || turns_round || breaks_lines || is_ignored
}

/// The characters of `text` that act or hide where they stand: a joiner is harmless between two pictures, a selector
/// behind one or within a keycap.
fn acting(text: &str, is_picture: fn(char) -> bool) -> impl Iterator<Item = char> {
    let at = |place: Option<usize>| place.and_then(|place| text.get(place..)?.chars().next());
    text.char_indices().filter_map(move |(place, c)| {
        let mut before = text[..place].chars().rev();
        let after = at(Some(place + c.len_utf8()));
        let is_out_of_place = match c {
            '\u{200d}' => {
                let left = before.find(|c| !matches!(c, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'));
                !left.is_some_and(is_picture) || !after.is_some_and(is_picture)
            }
            '\u{fe0f}' if after == Some('\u{20e3}') => !before
                .next()
                .is_some_and(|c| c.is_ascii_digit() || "#*".contains(c)),
            '\u{fe0e}' | '\u{fe0f}' => !before.next().is_some_and(is_picture),
            '\u{fe00}'..='\u{fe0d}' => true,
            _ => false,
        };
        (is_out_of_place || acts(c)).then_some(c)
    })
}

/// Whether `c` stands where Unicode keeps pictures, among signs that are none: no letter and no mark.
fn may_be_picture(c: char) -> bool {
    matches!(
        c,
        '\u{a9}'
            | '\u{ae}'
            | '\u{203c}'
            | '\u{2049}'
            | '\u{2122}'
            | '\u{2139}'
            | '\u{3030}'
            | '\u{303d}'
    ) || matches!(c, '\u{2190}'..='\u{2bff}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1fffd}')
}

/// Whether `c` is one of those that no version of Unicode ever took for anything but pictures.
fn is_picture(c: char) -> bool {
    matches!(c, '\u{263a}' | '\u{2695}' | '\u{2764}' | '\u{1f400}'..='\u{1f43e}' | '\u{1f442}'..='\u{1f4f7}' | '\u{1f600}'..='\u{1f64f}')
}

/// Every character that is harmless, floods of marks aside, is still there, in its place.
fn nothing_dropped(text: &str, shown: &str) -> Held {
    let is_odd = |part: &&str| is_hidden(part) || part.chars().nth(FLOOD).is_some();
    let kept = text.graphemes(true).filter(|part| !is_odd(part));
    let mut left = shown.chars();
    // What is written over something that is spelt out is spelt out too.
    let until_acting = |part: &'_ str| {
        let first = acting(part, is_picture).next();
        part.chars()
            .take_while(|c| Some(*c) != first)
            .collect::<Vec<_>>()
    };
    for c in kept.flat_map(until_acting) {
        must(left.any(|other| other == c), || {
            format!("{c:?} of {text:?} is not in {shown:?}")
        })?;
    }
    let is_tame = acting(text, is_picture).next().is_none()
        && !text.graphemes(true).any(|part| is_odd(&part));
    must(!is_tame || text == shown, || {
        format!("{text:?} became {shown:?}")
    })
}

fn widths(text: &str, line: &str, subject: &Subject) -> Held {
    let cells = (subject.width)(text);
    // What emoji are joined and coloured by is drawn in many ways; all else a terminal draws a character at a time.
    let is_plain = |c: char| !matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}');
    if line.chars().all(is_plain) {
        let drawn: usize = line.chars().filter_map(char::width).sum();
        must(cells == drawn, || {
            format!("{line:?} is said to take {cells} cells and takes {drawn}")
        })?;
    }
    let odd = text.len() % (cells + 2);
    for most in [0, 1, 2, cells / 2, odd, cells.saturating_sub(1), cells] {
        let cut = (subject.cut)(text, most);
        let taken = (subject.width)(&cut);
        must(taken <= most, || {
            format!("{line:?} cut to {most} cells is {cut:?}, which takes {taken}")
        })?;
        let begins = cut.strip_suffix('…').unwrap_or(&cut);
        must(line.starts_with(begins), || {
            format!("{line:?} cut to {most} cells is {cut:?}")
        })?;
        must((cut == line) == (cells <= most), || {
            format!("{line:?} takes {cells} cells, and cut to {most} it is {cut:?}")
        })?;
    }
    Ok(())
}
