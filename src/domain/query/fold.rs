//! Text in the forms by which text is compared: without case, and for searching without marks either.
//!
//! Never what an id, an address or a proof is told by: those are compared in `caseless` or byte for byte.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;

/// The first character that is no ASCII, and the first behind the Latin, Greek, Cyrillic, Hebrew and Arabic letters.
const NEAR: u32 = 0x80;
const NEAR_END: u32 = 0x700;

/// What each of those is searched by, whatever stands beside it: they are not taken apart for every text.
static NEAR_FOLDED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let letters = (NEAR..NEAR_END).filter_map(char::from_u32);
    letters
        .map(|letter| any_script(letter.encode_utf8(&mut [0; 4])))
        .collect()
});

/// `text` in the form by which it is compared whole: lower case, with the dotless and the dotted i of Turkish as one.
pub fn caseless(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter(|c| *c != '\u{307}')
        .map(|c| if c == 'ı' { 'i' } else { c })
        .collect()
}

/// `text` in the form by which it is searched: lower case, without marks, and a letter that ASCII lacks as whoever has
/// no such key types it.
pub fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

/// `folded`, in a buffer whose room is used again.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    out.clear();
    for c in text.chars() {
        match u32::from(c) {
            ..NEAR => out.push(c.to_ascii_lowercase()),
            near @ NEAR..NEAR_END => {
                let place = usize::try_from(near - NEAR).unwrap_or(usize::MAX);
                out.push_str(NEAR_FOLDED.get(place).map_or("", String::as_str));
            }
            far if is_itself(far) => out.push(c),
            _ => {
                *out = any_script(text);
                break;
            }
        }
    }
    // Marks alone would be found in everything.
    if out.is_empty() {
        *out = text.to_lowercase();
    }
}

/// Letters of Hindi, Japanese, Chinese and Korean, and pictures, that are searched as they are whatever else of these
/// stands beside them.
const fn is_itself(far: u32) -> bool {
    matches!(
        far,
        0x0904..=0x0928
            | 0x092a..=0x0930
            | 0x0932..=0x0933
            | 0x0935..=0x0939
            | 0x093d..=0x0950
            | 0x200c..=0x200d
            | 0x3041..=0x3096
            | 0x30a1..=0x30fa
            | 0x3400..=0x4dbf
            | 0x4e00..=0x9fff
            | 0xac00..=0xd7a3
            | 0xfe0f
            | 0x1f300..=0x1faff
    )
}

fn any_script(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let letters = text.nfkd().filter(|c| !is_mark(*c));
    for c in letters.flat_map(char::to_lowercase) {
        match spelt(c) {
            Some(letters) => plain.push_str(letters),
            None => plain.push(c),
        }
    }
    // The syllables of Korean and the voiced ones of Japanese are letters, not letters with marks.
    plain.nfc().collect()
}

/// A pattern in which `*` stands for any text, in the form by which text is searched: no other star or backslash becomes
/// one that means something.
pub fn folded_pattern(pattern: &str) -> String {
    let pattern = pattern.replace(['＊', '﹡'], "\\*");
    folded(&pattern.replace(['＼', '﹨'], "\\\\"))
}

/// A mark above, below or through a letter that is the same letter without it. Vowels and the like that stand there too,
/// as those of Hindi, Thai and Japanese, are letters.
fn is_mark(c: char) -> bool {
    matches!(canonical_combining_class(c), 1 | 10..=36 | 200..=240)
}

/// How a lower-case letter or sign that no mark makes is typed where there is no key for it.
const fn spelt(c: char) -> Option<&'static str> {
    Some(match c {
        'ı' => "i",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ħ' => "h",
        'ŧ' => "t",
        'ə' => "e",
        'ς' => "σ",
        '‘' | '’' | 'ʼ' => "'",
        '‐' | '–' | '—' => "-",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_without_marks_is_the_word() {
        for (text, typed) in [
            ("Güneş", "gunes"),
            ("GÜNEŞ", "gunes"),
            ("Gu\u{308}nes\u{327}", "gunes"),
            ("Müller", "muller"),
            ("IŞIK ışık İZMİR Çağla", "isik isik izmir cagla"),
            ("Groß GROẞ", "gross gross"),
            (
                "Søren Ærø Łódź Đorđe Þór Œuvre",
                "soren aero lodz dorde thor oeuvre",
            ),
            ("Lefèvre d’Aubigné", "lefevre d'aubigne"),
            ("Nguyễn Ngọc", "nguyen ngoc"),
            ("Əliyev", "eliyev"),
            ("Ёлка ΟΔΌΣ Οδός", "елка οδοσ οδοσ"),
            ("Ｙａｍａｄａ ﬁn", "yamada fin"),
            ("أمل مُحَمَّد", "امل محمد"),
            ("שָׁלוֹם", "שלום"),
            ("ASCII-only @ 1", "ascii-only @ 1"),
            ("", ""),
        ] {
            assert_eq!(folded(text), typed, "{text}");
        }
    }

    #[test]
    fn no_wide_star_stands_for_any_text() {
        assert_eq!(folded_pattern("Gün*＊﹡＼﹨"), "gun*\\*\\*\\\\\\\\");
    }

    #[test]
    fn what_is_a_letter_of_its_own_stays_one() {
        for text in ["देशपांडे", "김 지민", "が ぱ ガ", "ที่นี่", "山田"]
        {
            assert_eq!(folded(text), text.nfkc().collect::<String>(), "{text}");
        }
        for (one, other) in [("が", "か"), ("김", "기"), ("दे", "द"), ("o", "e")] {
            assert_ne!(folded(one), folded(other));
        }
    }

    #[test]
    fn marks_alone_are_not_found_in_everything() {
        for text in ["\u{301}", "\u{307}\u{327}", "\u{338}"] {
            assert_eq!(folded(text), text);
        }
    }

    #[test]
    fn the_short_way_is_the_long_way_and_folding_twice_changes_nothing() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let text = c.to_string();
            let once = folded(&text);
            assert_eq!(folded(&once), once, "{c:?}");
            let long = any_script(&text);
            assert!(once == long || long.is_empty(), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn what_stands_side_by_side_is_folded_as_one_text(
            text in "[a-zA-Z\u{c0}-\u{6ff}\u{900}-\u{97f}\u{1100}-\u{11ff}\u{3041}-\u{30ff}\u{ac00}-\u{ad00}\u{300}-\u{345}\u{fe0f}]{1,8}",
        ) {
            let long = any_script(&text);
            prop_assert!(long.is_empty() || folded(&text) == long);
        }
    }

    #[test]
    fn whole_texts_keep_their_marks() {
        assert_eq!(caseless("Işık GÜNEŞ"), "işik güneş");
        assert_ne!(caseless("güneş"), caseless("gunes"));
    }
}
