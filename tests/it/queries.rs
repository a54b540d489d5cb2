//! Lists, filters, counts, Today and the publisher's SQL, on generated ledgers, against plain loops in Rust.

mod generated;
mod lists;
mod naive;
mod publisher;
mod today;
