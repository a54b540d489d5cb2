//! What the `credential` column of a delivery says: `path_key#2@0f1e2d3c4b5a6978+basic:unchecked`. Pure.
//!
//! Parts stand between `+`, one for each proof on the request. `#2` is the second newest secret of the settings at that
//! time. Where several secrets were in force, `@` and the mark of the one that matched follow: places in a list move
//! when a secret is changed, a mark stays. `:unchecked`: the settings held nothing to judge it by.

use crate::domain::time::Timestamp;

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

/// The mark of the secret that ends `path`, where that is a fingerprint: `/hooks/zotlo/events/fp:0f1e2d3c4b5a6978`.
pub fn mark_in(path: &str) -> Option<&str> {
    let (_, last) = path.rsplit_once('/')?;
    let mark = last.strip_prefix("fp:")?;
    let is_mark = mark.len() == 16 && mark.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_mark.then_some(mark)
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
    let mut text = format!("{proof}{place}");
    for mark in marks {
        text.push(MARK);
        text.push_str(mark);
    }
    text
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

/// How often one credential came, and when last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// As stored.
    pub credential: String,
    /// How many deliveries.
    pub deliveries: i64,
    /// The last of them.
    pub last_at: Timestamp,
}

/// How often one secret was used, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How many deliveries.
    pub deliveries: i64,
    /// The last of them; `None` if there was none.
    pub last_at: Option<Timestamp>,
}

impl Used {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            deliveries: self.deliveries + other.deliveries,
            last_at: self.last_at.max(other.last_at),
        }
    }
}

/// How each secret of a key that judges `proof` was used, in the order of their `marks`, newest first. What carries
/// none of these marks came while the oldest was the only one.
pub fn used(proof: &str, marks: &[String], came: &[Came]) -> Vec<Used> {
    let mut out = vec![Used::default(); marks.len()];
    for came in came {
        let Some(part) = parts(&came.credential).find(|part| part.right && part.proof == proof)
        else {
            continue;
        };
        let place = marks
            .iter()
            .position(|mark| part.marks.contains(&mark.as_str()));
        if let Some(used) = out.get_mut(place.unwrap_or(marks.len().saturating_sub(1))) {
            *used = used.and(Used {
                deliveries: came.deliveries,
                last_at: Some(came.last_at),
            });
        }
    }
    out
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
    fn each_delivery_counts_for_the_secret_that_it_came_on() {
        let came = |credential: &str, deliveries, at| Came {
            credential: credential.to_owned(),
            deliveries,
            last_at: Timestamp::from_ms(at),
        };
        let came = [
            came("path_key", 40, 10),
            came("path_key@aa+basic:unchecked", 5, 90),
            came("path_key#2@bb", 3, 80),
            // Its place was another one before the last change.
            came("path_key@bb+signature@cc", 2, 70),
            came("basic", 7, 99),
            came("path_key:unchecked", 7, 99),
        ];
        let marks = ["aa", "bb", "dd"].map(str::to_owned);
        let used = used("path_key", &marks, &came);
        let of = |deliveries, at| Used {
            deliveries,
            last_at: Some(Timestamp::from_ms(at)),
        };
        assert_eq!(used, [of(5, 90), of(5, 80), of(40, 10)]);
        assert_eq!(used[1].and(used[2]), of(45, 80));
        assert_eq!(Used::default().and(Used::default()), Used::default());
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
