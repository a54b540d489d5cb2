//! What was folded lately, kept in memory so that what happens next can be added to it.
//!
//! Two halves: what was used since they last changed places, and what was used before that. The older half is dropped
//! when the younger one is full, so that nothing is ever sorted by age. Never the only place where anything stands.

use std::collections::HashMap;
use std::hash::Hash;

/// Values by key, the least recently used dropped.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    weight: usize,
    half: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// Room for values that together weigh `room`, by whatever `put` says they weigh.
    pub(super) fn new(room: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            weight: 0,
            half: room / 2,
        }
    }

    /// What a value may weigh to be kept.
    pub(super) const fn weight_max(&self) -> usize {
        self.half
    }

    /// Takes a value out.
    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        if let Some((value, weight)) = self.young.remove(key) {
            self.weight -= weight;
            return Some(value);
        }
        self.old.remove(key).map(|(value, _)| value)
    }

    /// Puts a value in; what had to go for it. One that is heavier than half the room goes at once.
    pub(super) fn put(&mut self, key: K, value: V, weight: usize) -> Vec<V> {
        if weight > self.half {
            return vec![value];
        }
        let mut gone: Vec<V> = self.take(&key).into_iter().collect();
        if self.weight + weight > self.half {
            let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            gone.extend(old.into_values().map(|(value, _)| value));
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, (value, weight));
        gone
    }
}

#[cfg(test)]
mod tests {
    use crate::store::project::recent::Recent;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut recent = Recent::new(8);
        recent.put("used", 0, 1);
        let mut gone = Vec::new();
        for round in 1..20 {
            gone.extend(recent.put("other", round, 2));
            let used = recent.take(&"used");
            assert_eq!(used, Some(0));
            gone.extend(recent.put("used", 0, 1));
            gone.extend(recent.put("more", 100 + round, 1));
        }
        assert!(!gone.contains(&0), "{gone:?}");
        assert!(gone.len() > 30, "{gone:?}");
    }

    #[test]
    fn nothing_heavier_than_half_the_room_is_kept() {
        let mut recent = Recent::new(8);
        assert_eq!(recent.put("heavy", 1, 5), [1]);
        assert_eq!(recent.take(&"heavy"), None);
        assert!(recent.put("light", 2, 4).is_empty());
        assert_eq!(recent.take(&"light"), Some(2));
        assert_eq!(recent.weight, 0);
    }
}
