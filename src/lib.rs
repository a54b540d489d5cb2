//! One Rust binary that receives a publisher's webhooks durably into one SQLite file and reviews the day in a
//! terminal.
//!
//! Floors; each imports only what stands to its left, and neighbours (`|`) do not import each other. `demo` stands
//! beside the store and imports providers, for nobody but `cli`, tests and benches:
//!
//! ```text
//! domain, config  ->  providers | store  ->  receiver | tui  ->  cli  ->  main
//! ```
//!
//! Two paths run through them, and they meet only at the database:
//!
//! ```text
//! a webhook                                       a keystroke
//!   receiver::limits   deadlines, caps              tui         press to message
//!   receiver::hook     door, clock, request         actions     (screen, key) to action
//!   providers::door    authenticate: Delivery       app         update: state, effects
//!   providers::*       read: Reading                worker      query off the input thread
//!   store::inbox       bounded queue                store::query  filter to SQL to page
//!   store::thread      append, COMMIT               app         page into state
//!   receiver::reply    200                          view        frame
//!   store::fold        what the screen shows
//! ```
//!
//! The modules below stand in reading order.

pub mod domain;

pub mod config;

pub mod providers;

pub mod store;

pub mod demo;

pub mod receiver;

pub mod tui;

pub mod cli;
