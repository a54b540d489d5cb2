//! What changed between two texts, word by word.

use similar::{Algorithm, ChangeTag, capture_diff_slices};
use unicode_segmentation::UnicodeSegmentation;

/// Texts of more words than these are not compared word by word: they are told as changed as a whole.
const WORDS_MAX: usize = 4000;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The words.
    pub text: String,
    /// They are not in the other text.
    pub changed: bool,
}

/// Both texts in parts that are in the other, and parts that are not.
pub fn words(before: &str, after: &str) -> (Vec<Part>, Vec<Part>) {
    let old: Vec<&str> = before.split_word_bounds().collect();
    let new: Vec<&str> = after.split_word_bounds().collect();
    if old.len().max(new.len()) > WORDS_MAX {
        let whole = |text: &str| {
            vec![Part {
                text: text.to_owned(),
                changed: before != after,
            }]
        };
        return (whole(before), whole(after));
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for step in capture_diff_slices(Algorithm::Patience, &old, &new) {
        for change in step.iter_changes(&old, &new) {
            match change.tag() {
                ChangeTag::Equal => {
                    put(&mut left, change.value(), false);
                    put(&mut right, change.value(), false);
                }
                ChangeTag::Delete => put(&mut left, change.value(), true),
                ChangeTag::Insert => put(&mut right, change.value(), true),
            }
        }
    }
    (left, right)
}

fn put(parts: &mut Vec<Part>, text: &str, changed: bool) {
    match parts.last_mut() {
        Some(last) if last.changed == changed => last.text.push_str(text),
        _ => parts.push(Part {
            text: text.to_owned(),
            changed,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marked(parts: &[Part]) -> String {
        let mark = |part: &Part| {
            if part.changed {
                format!("<{}>", part.text)
            } else {
                part.text.clone()
            }
        };
        parts.iter().map(mark).collect()
    }

    #[test]
    fn words_that_changed_are_told_apart_from_those_that_did_not() {
        let (before, after) = words(
            "I agree to receive the newsletter by e-mail.",
            "I agree to receive offers of partners by e-mail.",
        );
        assert_eq!(
            marked(&before),
            "I agree to receive <the> <newsletter> by e-mail."
        );
        assert_eq!(
            marked(&after),
            "I agree to receive <offers of> <partners> by e-mail."
        );
        let (before, after) = words("v1", "");
        assert_eq!((marked(&before), after), ("<v1>".to_owned(), Vec::new()));
    }

    #[test]
    fn a_book_is_not_compared_word_by_word() {
        let long = "word ".repeat(WORDS_MAX);
        let (before, after) = words(&long, "word");
        assert!(before[0].changed && after[0].changed);
        assert!(!words(&long, &long).0[0].changed);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_texts(before in "[\\PC ]{0,40}", after in "[\\PC ]{0,40}") {
            let (left, right) = words(&before, &after);
            let whole = |parts: Vec<Part>| parts.into_iter().map(|part| part.text).collect::<String>();
            prop_assert_eq!(whole(left), before);
            prop_assert_eq!(whole(right), after);
        }
    }
}
