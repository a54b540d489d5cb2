//! One binary for all behaviour that is tested through public borders.

mod queries;
