//! stub
use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::query::Reader;
use crate::tui::app::{Effect, Msg, Opened};
use crate::tui::facts::Status;
use std::path::Path;
/// x
pub fn opened(_reader: &Reader, _path: &Path, _now: Timestamp) -> Result<Opened, Error> {
    Ok(Opened {
        zone: Zone::UTC,
        vocabulary: Default::default(),
        last_review: None,
        status: Status::default(),
    })
}
/// x
pub fn answer(
    _reader: &Reader,
    _path: &Path,
    _now: Timestamp,
    _effect: Effect,
    _tell: &mut dyn FnMut(Msg) -> Result<(), Error>,
) -> Result<(), Error> {
    Ok(())
}
/// x
pub fn refused(_effect: &Effect, _why: &str) -> Option<Msg> {
    None
}
