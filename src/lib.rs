//! One Rust binary that receives a publisher's webhooks durably into one SQLite file and reviews the day in a
//! terminal.
//!
//! Floors; each imports only what stands to its left, and neighbours (`|`) do not import each other:
//!
//! ```text
//! domain, config  ->  providers | store  ->  receiver | tui  ->  cli  ->  main
//! ```

pub mod domain;

pub mod config;

pub mod providers;

pub mod demo;

pub mod store;

pub mod receiver;

pub mod tui;

pub mod cli;
