//! stub
#![allow(missing_docs)]
use crate::domain::page::*; use crate::domain::query::*; use crate::domain::time::*; use crate::store::Error; use std::path::Path;
pub struct Reader;
pub struct Status { pub last_seq: i64, pub folded_seq: i64, pub last_received_at: Option<Timestamp> }
pub struct Connection { pub provider: String, pub account: String, pub last_received_at: Option<Timestamp> }
impl Reader {
 pub fn open(_: &Path) -> Result<Reader, Error> { unimplemented!() }
 pub fn version(&self) -> Result<i64, Error> { unimplemented!() }
 pub fn zone(&self) -> Result<Zone, Error> { unimplemented!() }
 pub fn vocabulary(&self) -> Result<Vocabulary, Error> { unimplemented!() }
 pub fn last_review(&self) -> Result<Option<(i64, Timestamp)>, Error> { unimplemented!() }
 pub fn page(&self, _: List, _: &Query, _: &Cursor, _: usize) -> Result<Page, Error> { unimplemented!() }
 pub fn count(&self, _: List, _: &Query, _: u64) -> Result<Count, Error> { unimplemented!() }
 pub fn status(&self, _: Timestamp) -> Result<Status, Error> { unimplemented!() }
 pub fn connections(&self, _: Timestamp) -> Result<Vec<Connection>, Error> { unimplemented!() }
}
pub fn columns(_: List) -> &'static [Column] { &[] }
