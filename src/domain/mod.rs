//! The words of the ledger: what a delivery, an event, a query and a page are.
//!
//! Imports nothing of ours. Never does I/O, never reads the clock, never knows a provider's field names.

pub mod time;

pub mod delivery;

pub mod credential;

pub mod money;

pub mod event;

pub mod query;

pub mod page;

pub mod printable;

pub mod mask;

pub mod size;

pub mod count;
