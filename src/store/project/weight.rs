//! About how many bytes it takes to keep something in memory, so that what folds keep is bounded in bytes.
//!
//! Imports domain. A guess where the allocator decides, and never less than the texts have.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::money::Money;

/// What an allocation takes beside what is in it, and an entry of a map or a set beside itself.
const ALLOCATED: usize = 16;

/// A text beside its own place; an empty one takes none.
pub(super) fn text(text: &str) -> usize {
    if text.is_empty() {
        0
    } else {
        text.len() + ALLOCATED
    }
}

/// Texts beside their own places.
pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a Option<String>>) -> usize {
    texts.into_iter().flatten().map(|one| text(one)).sum()
}

/// An amount beside its own place.
pub(super) fn money(money: Option<&Money>) -> usize {
    money.map_or(0, |money| text(&money.currency) + text(&money.text))
}

/// A map beside its own place, where an entry takes so much beside its own.
pub(super) fn map<K, V>(map: &BTreeMap<K, V>, entry: impl Fn(&K, &V) -> usize) -> usize {
    let each = size_of::<(K, V)>() + ALLOCATED;
    let beside: usize = map.iter().map(|(key, value)| entry(key, value)).sum();
    map.len() * each + beside
}

/// Texts in a set, beside its own place.
pub(super) fn set(set: &BTreeSet<String>) -> usize {
    let each = size_of::<String>() + ALLOCATED;
    set.len() * each + set.iter().map(|one| text(one)).sum::<usize>()
}
