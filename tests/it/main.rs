//! Behaviour through public borders, in one binary.

mod support;

mod cli;
mod clients;
mod crash;
mod floors;
mod hooks;
mod oracle;
mod queries;
mod screen;
