//! Sizes for people. Powers of two, as file systems count.

use crate::domain::count;

/// So many bytes, rounded up, in the unit that suits them: `512 bytes`, `840 KiB`, `3072 MiB`.
pub fn in_words(bytes: u64) -> String {
    match bytes {
        0..10_240 => count::in_words(bytes, "byte", "bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_that_suits_them() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (10_239, "10239 bytes"),
            (20_480, "20 KiB"),
            (20_481, "21 KiB"),
            (3 << 30, "3072 MiB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }
}
