//! Behaviour through public borders, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(
    clippy::disallowed_methods,
    reason = "the plain shell's view of a ledger: a connection without the store"
)]

mod support;

mod acting;
mod alerts;
mod backup;
mod cli;
mod clients;
mod connections;
mod crash;
mod detail;
mod duplicates;
mod erase;
mod erase_faults;
mod figures;
mod filter;
mod floors;
mod fuzz;
mod hooks;
mod hostile;
mod import;
mod interrupts;
mod keys;
mod leaks;
mod metrics;
mod mutations;
mod oracle;
mod queries;
mod reach;
mod rebuild;
mod retention;
mod screen;
mod service;
mod shot;
mod today;
mod traps;
mod upgrade;
mod user;
mod verify;
mod views;
