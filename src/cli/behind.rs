//! What an answer out of the lists says while deliveries are still to be read: that it is not the last word.

use anyhow::Result;

use crate::cli::context::Context;
use crate::domain::count::in_words;
use crate::store::query::Reader;

/// So many deliveries are not in the lists yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind(i64);

impl Behind {
    /// How far the lists are behind; `None`: everything is in them.
    pub fn of(context: &Context, reader: &Reader) -> Result<Option<Self>> {
        let status = reader.status(context.clock.now())?;
        let left = status.last_seq - status.folded_seq;
        Ok((left > 0).then_some(Self(left)))
    }

    /// How many they are.
    pub const fn deliveries(self) -> i64 {
        self.0
    }

    /// `3 deliveries are still to be read`.
    pub fn says(self) -> String {
        let left = in_words(self.0, "delivery is", "deliveries are");
        format!("{left} still to be read")
    }

    /// The same, and what to do about it.
    pub fn advises(self) -> String {
        format!(
            "{}: ask again when `subledger status` says none",
            self.says()
        )
    }
}

/// What ends a sentence that would else be the last word.
pub fn advice(behind: Option<Behind>) -> String {
    behind.map_or_else(String::new, |behind| format!("; {}", behind.advises()))
}
