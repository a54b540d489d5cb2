//! Behaviour through public borders, in one binary.

mod floors;
mod oracle;
