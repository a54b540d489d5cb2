//! What the `credential` column of a delivery says: `path_key#2@0f1e2d3c4b5a6978+basic:unchecked`. Pure.
//!
//! Parts stand between `+`, one for each proof on the request. `#2` is the second newest secret of the settings at that
//! time. Where several secrets were in force, `@` and the mark of the one that matched follow: places in a list move
//! when a secret is changed, a mark stays. `:unchecked`: the settings held nothing to judge it by.

/// What stands before a mark.
const MARK: char = '@';

/// One proof of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// `path_key`, `basic`, `signature`.
    pub proof: &'a str,
    /// Marks of the secrets that matched; none where only one was in force.
    pub marks: Vec<&'a str>,
    /// It was judged, and it was right.
    pub right: bool,
}

/// One part as it is written: `nth` is the place of the secret that matched, from 0, `None` where nothing could judge it.
pub fn written(proof: &str, nth: Option<usize>, marks: &[String]) -> String {
    let Some(nth) = nth else {
        return format!("{proof}:unchecked");
    };
    let place = match nth {
        0 => String::new(),
        nth => format!("#{}", nth + 1),
    };
    let marks: String = marks.iter().map(|mark| format!("{MARK}{mark}")).collect();
    format!("{proof}{place}{marks}")
}

/// The parts of a credential.
pub fn parts(credential: &str) -> impl Iterator<Item = Part<'_>> {
    credential.split('+').map(|part| {
        let (part, right) = match part.strip_suffix(":unchecked") {
            Some(part) => (part, false),
            None => (part, true),
        };
        let mut words = part.split(MARK);
        let named = words.next().unwrap_or_default();
        Part {
            proof: named.split_once('#').map_or(named, |(proof, _)| proof),
            marks: words.collect(),
            right,
        }
    })
}

/// The credential without its marks, which say nothing to a reader.
pub fn without_marks(credential: &str) -> String {
    credential
        .split('+')
        .map(|part| part.split(MARK).next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let marks = ["0f1e".to_owned(), "a0b1".to_owned()];
        let credential = [
            written("path_key", Some(1), &marks[..1]),
            written("basic", None, &[]),
            written("signature", Some(0), &marks),
        ]
        .join("+");
        assert_eq!(
            credential,
            "path_key#2@0f1e+basic:unchecked+signature@0f1e@a0b1"
        );
        let read: Vec<_> = parts(&credential)
            .map(|part| (part.proof, part.marks, part.right))
            .collect();
        assert_eq!(
            read,
            [
                ("path_key", vec!["0f1e"], true),
                ("basic", vec![], false),
                ("signature", vec!["0f1e", "a0b1"], true),
            ]
        );
        assert_eq!(
            without_marks(&credential),
            "path_key#2+basic:unchecked+signature"
        );
        assert_eq!(written("path_key", Some(0), &[]), "path_key");
    }

    #[test]
    fn what_was_written_by_hand_or_by_earlier_versions_is_read_too() {
        for (credential, proof) in [("path_key", "path_key"), ("none", "none"), ("", "")] {
            let read: Vec<_> = parts(credential).collect();
            assert_eq!(read.len(), 1);
            assert_eq!((read[0].proof, read[0].right), (proof, true));
        }
    }
}
