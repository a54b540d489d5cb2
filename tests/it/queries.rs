//! Lists, filters, counts, Today and the publisher's SQL, on generated ledgers, against plain loops in Rust.

#![expect(
    clippy::unwrap_used,
    reason = "tests: helpers fail as loudly as the tests that call them"
)]

pub(crate) mod generated;
mod indexes;
mod lists;
mod naive;
mod publisher;
mod quiet;
mod today;
