//! The one door for foreign text to any output: screen, command line, logs.
//!
//! A terminal obeys what is printed to it, and a spreadsheet obeys a cell. Whatever a provider, a reader or a caller
//! sent passes here first. Never strips silently: what could act is shown for what it is.

use std::fmt::{self, Write as _};

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// So many characters may form one grapheme: more is a flood of combining marks.
const GRAPHEME_CHARS_MAX: usize = 8;

/// Text that no terminal acts on: control, bidi, zero-width, tag and private-use characters are spelt out.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Printable(String);

impl Printable {
    /// One line of text: line breaks and tabs are spelt out too.
    pub fn line(text: &str) -> Self {
        Self(clean(text, false))
    }

    /// Several lines: `\n` stays, a tab becomes four spaces.
    pub fn lines(text: &str) -> Self {
        Self(clean(text, true))
    }

    /// Bytes that may not be text: invalid parts are shown as `\xNN`.
    pub fn bytes(bytes: &[u8]) -> Self {
        let mut out = String::new();
        for chunk in bytes.utf8_chunks() {
            out.push_str(&clean(chunk.valid(), true));
            for byte in chunk.invalid() {
                push_byte(&mut out, u32::from(*byte));
            }
        }
        Self(out)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The cells it takes on a terminal.
    pub fn width(&self) -> usize {
        cells(&self.0)
    }

    /// This text cut to `cells`, on a grapheme border, with `…` where it was cut.
    #[must_use]
    pub fn cut(&self, cells: usize) -> Self {
        if self.width() <= cells {
            return self.clone();
        }
        let mut out = String::new();
        let mut used = 0;
        for grapheme in self.0.graphemes(true) {
            let width = grapheme.width();
            if used + width + 1 > cells {
                break;
            }
            used += width;
            out.push_str(grapheme);
        }
        if cells > 0 {
            out.push('…');
        }
        Self(out)
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<Printable> for String {
    fn from(text: Printable) -> Self {
        text.0
    }
}

/// The cells that printable `text` takes on a terminal, which draws one grapheme after the other: it knows nothing of letters
/// that a typesetter would write as one, such as the lam and alef of Arabic.
pub fn cells(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

fn clean(text: &str, multi_line: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for grapheme in text.graphemes(true) {
        // A mark without anything to stand on would change what stands before it, or not be there at all. What it stood
        // on may be spelt out itself.
        let mut is_lost = grapheme.width() == 0;
        for (i, (at, c)) in grapheme.char_indices().enumerate() {
            // A joiner that what it joins is cut from goes with it.
            if i == GRAPHEME_CHARS_MAX || i + 1 == GRAPHEME_CHARS_MAX && c == '\u{200d}' {
                out.push('…');
                break;
            }
            let (before, after) = (&grapheme[..at], &grapheme[at + c.len_utf8()..]);
            if is_emoji_part(c) {
                is_lost |= !belongs(c, before, after);
            } else if is_deceptive(c) {
                is_lost = true;
            } else if before.ends_with(is_emoji_part) && c.width() > Some(0) {
                // A letter after a joiner that is spelt out stands by itself.
                is_lost = false;
            }
            if is_lost {
                push_code_point(&mut out, c);
            } else {
                push_clean(&mut out, c, multi_line);
            }
        }
    }
    out
}

fn push_clean(out: &mut String, c: char, multi_line: bool) {
    match c {
        '\n' if multi_line => out.push('\n'),
        '\t' if multi_line => out.push_str("    "),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0'..='\x1f' | '\x7f' => push_byte(out, u32::from(c)),
        _ => out.push(c),
    }
}

fn push_byte(out: &mut String, byte: u32) {
    write!(out, "\\x{byte:02x}").expect("a String takes everything");
}

fn push_code_point(out: &mut String, c: char) {
    write!(out, "<U+{:04X}>", u32::from(c)).expect("a String takes everything");
}

/// The zero-width joiner and the variation selectors: nothing of them is to be seen, and emoji are made of some.
fn is_emoji_part(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Whether `c` stands between `before` and `after`, the rest of its grapheme, as emoji have it: a joiner between two
/// pictographs, a selector behind one or within a keycap.
fn belongs(c: char, before: &str, after: &str) -> bool {
    match c {
        '\u{200d}' => {
            let skin_or_selector = |c| matches!(c, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
            let left = before
                .trim_end_matches(skin_or_selector)
                .chars()
                .next_back();
            left.is_some_and(is_pictograph) && after.chars().next().is_some_and(is_pictograph)
        }
        '\u{fe0f}' if after.starts_with('\u{20e3}') => {
            matches!(before, "#" | "*") || matches!(before.as_bytes(), [b'0'..=b'9'])
        }
        '\u{fe0e}' | '\u{fe0f}' => before.chars().next_back().is_some_and(is_pictograph),
        _ => false,
    }
}

/// Whether `c` has the property `Extended_Pictographic`: it does not join a letter before it, as marks do, and a joiner makes
/// one grapheme of two of it.
fn is_pictograph(c: char) -> bool {
    let text = ['a', c, '\u{200d}', c].iter().collect::<String>();
    text.graphemes(true).count() == 2
}

/// Characters that act or hide: 8-bit controls, bidi controls, zero-width, tags, private use, and the like. What
/// `is_emoji_part` tells of is not among them.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// A cell that a spreadsheet will not take for a formula, nor any part of it where one splits cells at `;` or a tab, as
/// those of many countries do: `'` before the cell, and behind each `;`, tab, return and line feed, where `=`, `+`, `-`,
/// `@` or the full-width form of one follows. A cell that begins with a tab, return, line feed or NUL gets it too.
///
/// Quotation marks and `'` before the sign count for nothing, so that each `'` that was added can be told from the others:
/// without the first `'` of each such place the text is as it was.
pub fn defused(text: &str) -> std::borrow::Cow<'_, str> {
    let mut out = String::new();
    let mut taken = 0;
    let mut from = 0;
    for part in text.split_inclusive([';', '\t', '\r', '\n']) {
        let begins = part.trim_start_matches(['"', '\'']);
        let acts = begins.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
            || from == 0 && begins.starts_with(['\t', '\r', '\n', '\0']);
        if acts {
            out.push_str(&text[taken..from]);
            out.push('\'');
            taken = from;
        }
        from += part.len();
    }
    if out.is_empty() {
        return text.into();
    }
    out.push_str(&text[taken..]);
    out.into()
}

/// `text` as Markdown that shows it as it is: no emphasis, code, HTML, cell, entity, and no link, also where a mail
/// client makes one of an address.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_address = c == '@' || rest.starts_with("://");
        // Of bytes: three before the dot may begin within a character.
        let before = out.as_bytes().last_chunk::<3>();
        let is_host = c == '.' && before.is_some_and(|last| last.eq_ignore_ascii_case(b"www"));
        if is_address || is_host || r"\`*_[]<>|#&~$".contains(c) {
            out.push('\\');
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_gets_through() {
        for (raw, shown) in [
            ("\x1b[31mred", "\\x1b[31mred"),
            ("\u{9b}2J", "<U+009B>2J"),
            ("a\u{202e}b", "a<U+202E>b"),
            ("a\tb\r\n", "a\\tb\\r\\n"),
            ("日本 👩‍👩‍👧 é", "日本 👩‍👩‍👧 é"),
        ] {
            assert_eq!(Printable::line(raw).as_str(), shown);
        }
        assert_eq!(Printable::bytes(b"a\xffb").as_str(), "a\\xffb");
    }

    #[test]
    fn a_flood_of_marks_is_cut() {
        let flood = format!("a{}", "\u{301}".repeat(10_000));
        assert!(Printable::line(&flood).as_str().chars().count() < 12);
    }

    #[test]
    fn a_long_emoji_is_cut_before_a_joiner() {
        let family = "👩\u{200d}".repeat(6) + "👩";
        let cut = Printable::line(&family);
        assert_eq!(cut.as_str(), "👩\u{200d}👩\u{200d}👩\u{200d}👩…");
        assert_eq!(Printable::line(cut.as_str()), cut);
    }

    #[test]
    fn cutting_keeps_graphemes_whole() {
        assert_eq!(Printable::line("日本語").cut(5).as_str(), "日本…");
        assert_eq!(Printable::line("日本語").cut(6).as_str(), "日本語");
        assert_eq!(Printable::line("abc").cut(0).as_str(), "");
    }

    #[test]
    fn letters_that_a_typesetter_joins_take_a_cell_each() {
        let name = Printable::line("الأحمد");
        assert_eq!(name.width(), 6);
        assert_eq!(name.cut(5).as_str(), "الأح…");
    }

    #[test]
    fn what_takes_no_cell_is_spelt_out() {
        assert_eq!(
            Printable::line("\u{301}a\u{301}").as_str(),
            "<U+0301>a\u{301}"
        );
        assert_eq!(Printable::line("\u{fe0f}").as_str(), "<U+FE0F>");
        assert_eq!(Printable::line("\u{1161}").as_str(), "<U+1161>");
        assert_eq!(Printable::line("a\u{1bca0}b").as_str(), "a<U+1BCA0>b");
        assert_eq!(Printable::line("\u{1d173}").as_str(), "<U+1D173>");
        assert_eq!(
            Printable::line("\u{115f}\u{1161}").as_str(),
            "<U+115F><U+1161>"
        );
        assert_eq!(
            Printable::line("\u{e000}\u{301}a").as_str(),
            "<U+E000><U+0301>a"
        );
    }

    #[test]
    fn what_emoji_are_made_of_is_seen_where_there_is_none() {
        for (raw, shown) in [
            ("ad\u{200d}min", "ad<U+200D>min"),
            ("ad\u{fe0f}min", "ad<U+FE0F>min"),
            ("1\u{fe0f}2", "1<U+FE0F>2"),
            ("a\u{fe00}", "a<U+FE00>"),
            ("dำ\u{fe0f}", "dำ<U+FE0F>"),
            ("❤\u{fe0f}\u{fe0f}", "❤\u{fe0f}<U+FE0F>"),
            ("👩\u{200d}a", "👩<U+200D>a"),
            ("👩\u{200d}\u{200d}👩", "👩<U+200D><U+200D>👩"),
            ("क्\u{200d}ष", "क्<U+200D>ष"),
            ("\u{1f3fb}\u{200d}\u{1f3fb}", "\u{1f3fb}<U+200D>\u{1f3fb}"),
        ] {
            assert_eq!(Printable::line(raw).as_str(), shown);
        }
        for emoji in [
            "👩‍👩‍👧",
            "👩🏽‍⚕️",
            "❤️‍🔥",
            "🏳️‍🌈",
            "🏴‍☠️",
            "1️⃣",
            "#️⃣",
            "©️",
            "☎︎",
            "🐦‍⬛",
            "🇹🇷",
            "👍🏿",
            "क्ष",
        ] {
            assert_eq!(Printable::line(emoji).as_str(), emoji);
        }
    }

    #[test]
    fn formulas_are_defused_in_every_part_that_a_spreadsheet_may_split_off() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("plain", "plain"),
            ("a; b; -c", "a; b; -c"),
            ("Ann;=1+1;x", "Ann;'=1+1;x"),
            ("Ann;\"=1+1\"", "Ann;'\"=1+1\""),
            ("Ann\t@x\r\n+1", "Ann\t'@x\r\n'+1"),
            ("=1;=2;＝3", "'=1;'=2;'＝3"),
            ("\t=1", "'\t'=1"),
            ("'=1", "''=1"),
            (";'=1", ";''=1"),
            ("'a;'b", "'a;'b"),
        ] {
            assert_eq!(defused(text), cell);
        }
    }

    #[test]
    fn foreign_words_are_no_markdown() {
        for (text, shown) in [
            ("Gold | plan", r"Gold \| plan"),
            ("`rm` *x* _y_ ~z~ $1", r"\`rm\` \*x\* \_y\_ \~z\~ \$1"),
            ("[a](https://b.example)", r"\[a\](https\://b.example)"),
            ("<img src=x>&lt;", r"\<img src=x\>\&lt;"),
            (
                "see www.b.example or a@b.example",
                r"see www\.b.example or a\@b.example",
            ),
            ("TRY 8,120.00  +12 -4", "TRY 8,120.00  +12 -4"),
            ("Ayşe #1 \\", r"Ayşe \#1 \\"),
            ("日ş. É日. WWW.b", r"日ş. É日. WWW\.b"),
        ] {
            assert_eq!(markdown(text), shown);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_defused_cell_tells_what_it_was(parts in proptest::collection::vec("[;=@'\"ab\t\n-]{0,3}", 0..6)) {
            let text = parts.concat();
            let cell = defused(&text);
            let mut back = String::new();
            for part in cell.split_inclusive([';', '\t', '\r', '\n']) {
                let begins = part.trim_start_matches(['"', '\'']);
                let is_first = back.is_empty() && begins.starts_with(['\t', '\n']);
                let acts = begins.starts_with(['=', '@', '-']) || is_first;
                let own = part.strip_prefix('\'');
                proptest::prop_assert!(!acts || own.is_some(), "{part:?}");
                back.push_str(own.filter(|_| acts).unwrap_or(part));
            }
            proptest::prop_assert_eq!(back, text);
        }
    }
}
