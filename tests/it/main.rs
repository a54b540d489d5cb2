//! Behaviour through public borders, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

mod cli;
mod clients;
mod crash;
mod floors;
mod hooks;
mod hostile;
mod oracle;
mod queries;
mod screen;
