//! How many of what, in words: `1 delivery`, `2 deliveries`.

use std::fmt::Display;

/// `count` and the word for so many: `one` or `many`.
pub fn in_words<N: Copy + Display + PartialEq + From<u8>>(
    count: N,
    one: &str,
    many: &str,
) -> String {
    format!("{count} {}", word(count, one, many))
}

/// The word for `count` of a thing: `one` or `many`.
pub fn word<'a, N: Copy + PartialEq + From<u8>>(count: N, one: &'a str, many: &'a str) -> &'a str {
    if count == N::from(1) { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_the_rest_are_many() {
        assert_eq!(in_words(1_u64, "delivery", "deliveries"), "1 delivery");
        assert_eq!(in_words(0_usize, "delivery", "deliveries"), "0 deliveries");
        assert_eq!(in_words(2_i64, "is", "are"), "2 are");
        assert_eq!(in_words(-1_i64, "day", "days"), "-1 days");
    }
}
