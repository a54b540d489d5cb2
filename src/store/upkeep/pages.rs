//! The unused middle of a page: where deleted rows may still stand, and how it is overwritten.
//!
//! What is deleted is overwritten, and so is a page that becomes free (`secure_delete`). But where SQLite divides a full
//! page in two, or makes one of several, it leaves copies of rows between the pointers at the beginning of a page and the
//! rows at its end, and overwrites those never. `vacuum` writes the whole file anew, for which webhooks would have to
//! wait as long as it takes. Here a bounded number of pages is overwritten where they stand, and only those bytes, which
//! belong to no row, no list and no index, and which nobody ever reads: it makes no difference to anybody when they
//! change, and none if only some of them have.
//!
//! The file is written beside SQLite, so this holds only while nobody else writes (the caller has begun a write
//! transaction) and the write-ahead log is empty, so that no older page comes back out of it. Whoever wrote has to drop
//! its cache afterwards. The format is the one of <https://www.sqlite.org/fileformat2.html>, read 2026-11-21.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Of the file's own head, bytes.
const HEAD: usize = 100;
/// The byte of the file whose page holds nothing, for the locks of other systems.
const PENDING_BYTE: u64 = 0x4000_0000;
/// An entry of the map of pages: a kind, and the page above, bytes.
const ENTRY: usize = 5;
/// Kinds of pages in that map: the root of a table or index, and any other page of one.
const ROOT: u8 = 1;
const INNER: u8 = 5;

/// How a file is divided into pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Bytes of a page.
    size: usize,
    /// Of them, those that SQLite uses.
    usable: usize,
}

impl Layout {
    /// So many pages have that many bytes; one at least.
    pub(crate) fn pages_in(self, bytes: usize) -> u32 {
        u32::try_from(bytes / self.size).unwrap_or(u32::MAX).max(1)
    }

    /// As the head of `file` says; `None` if it has no map of its pages, or is no such file.
    pub(crate) fn of(file: &File) -> io::Result<Option<Self>> {
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0)?;
        let size = match number(&head, 16) {
            1 => 65_536,
            size => size,
        };
        // The largest root page stands there in a file that has such a map.
        let is_mapped = head[52..56].iter().any(|byte| *byte != 0);
        let is_one =
            head.starts_with(b"SQLite format 3\0") && size >= 512 && size.is_power_of_two();
        Ok((is_mapped && is_one).then(|| Self {
            size,
            usable: size - usize::from(head[20]),
        }))
    }

    /// The page that maps page `page`: itself, where it is a map.
    fn map_of(self, page: u32) -> u32 {
        let span = u32::try_from(self.usable / ENTRY + 1).unwrap_or(u32::MAX);
        let map = (page - 2) / span * span + 2;
        if map == self.pending() { map + 1 } else { map }
    }

    /// The page that holds nothing.
    fn pending(self) -> u32 {
        u32::try_from(PENDING_BYTE / self.size as u64 + 1).unwrap_or(u32::MAX)
    }

    fn at(self, page: u32) -> u64 {
        u64::from(page - 1) * self.size as u64
    }

    /// What of page `page` belongs to no row: `None` where it is not a whole page of a table or an index.
    fn unused(self, page: u32, bytes: &[u8]) -> Option<Range<usize>> {
        let head = if page == 1 { HEAD } else { 0 };
        let pointers = head
            + match bytes[head] {
                2 | 5 => 12,
                10 | 13 => 8,
                _ => return None,
            };
        let rows = number(bytes, head + 3);
        let begin = pointers + 2 * rows;
        let end = match number(bytes, head + 5) {
            0 => 65_536,
            end => end,
        };
        let free = number(bytes, head + 1);
        if begin > end || end > self.usable || (free != 0 && free < end) {
            return None;
        }
        let mut pointed = (0..rows).map(|row| number(bytes, pointers + 2 * row));
        pointed
            .all(|at| (end..self.usable).contains(&at))
            .then_some(begin..end)
    }
}

/// Two bytes, the higher first.
fn number(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

/// Overwrites what is unused of `pages` of `file`; how many had anything there. On disk when it returns.
pub(crate) fn overwrite(file: &File, layout: Layout, pages: Range<u32>) -> io::Result<usize> {
    let mut bytes = vec![0; layout.size * pages.len()];
    file.read_exact_at(&mut bytes, layout.at(pages.start))?;
    let mut map = (0, vec![0; layout.size]);
    let mut written = 0;
    for (page, bytes) in pages.zip(bytes.chunks_exact(layout.size)) {
        if page > 1 {
            let at = layout.map_of(page);
            if at == page || page == layout.pending() {
                continue;
            }
            if map.0 != at {
                file.read_exact_at(&mut map.1, layout.at(at))?;
                map.0 = at;
            }
            let entry = ENTRY * (page - at - 1) as usize;
            if !matches!(map.1[entry], ROOT | INNER) {
                continue;
            }
        }
        let Some(unused) = layout.unused(page, bytes) else {
            continue;
        };
        // Only from the first byte to the last that is there.
        let there = |byte: &u8| *byte != 0;
        let Some(first) = bytes[unused.clone()].iter().position(there) else {
            continue;
        };
        let last = bytes[unused.clone()]
            .iter()
            .rposition(there)
            .unwrap_or(first);
        let nothing = vec![0; last - first + 1];
        file.write_all_at(&nothing, layout.at(page) + (unused.start + first) as u64)?;
        written += 1;
    }
    if written > 0 {
        file.sync_data()?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rusqlite::Connection;

    use super::*;
    use crate::store::kept;
    use crate::store::{Mode, connect};

    /// Rows under random keys, with an index, of which many are deleted again, and long ones beside them.
    fn worn(path: &Path, page: usize) -> Connection {
        let conn = connect(path, Mode::Fill).unwrap();
        conn.execute_batch(&format!(
            "pragma page_size = {page};
             pragma auto_vacuum = incremental;
             pragma secure_delete = true;
             create table worn (key text primary key, note text, long blob) strict, without rowid;
             create index worn_note on worn (note);
             create table plain (id integer primary key, note text) strict"
        ))
        .unwrap();
        conn.execute_batch("begin").unwrap();
        for n in 0..4_000_u64 {
            let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let note = format!("canary-{key:x}");
            let long = vec![7_u8; if n % 50 == 0 { 3 * page } else { 9 }];
            conn.execute(
                "insert into worn values (?1, ?2, ?3)",
                (key.to_string(), &note, long),
            )
            .unwrap();
            conn.execute(
                "insert into plain values (?1, ?2)",
                ((key >> 8).cast_signed(), note),
            )
            .unwrap();
        }
        conn.execute_batch(
            "commit;
             delete from worn where substr(note, -1) in ('1', '5', '9', 'd');
             delete from plain where substr(note, -1) in ('2', '6', 'a')",
        )
        .unwrap();
        conn
    }

    fn rows(conn: &Connection) -> Vec<String> {
        let sql = "select key || note || hex(long) from worn union all select id || note from plain order by 1";
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// How many canaries stand in the file.
    fn canaries(path: &Path) -> usize {
        let bytes = fs::read(path).unwrap();
        bytes
            .windows(7)
            .filter(|window| window == b"canary-")
            .count()
    }

    fn overwrite_all(path: &Path, chunk: u32) -> usize {
        let file = kept::writable(path).unwrap();
        let layout = Layout::of(file).unwrap().unwrap();
        let count = u32::try_from(path.metadata().unwrap().len() / layout.size as u64).unwrap();
        let mut from = 1;
        let mut written = 0;
        while from <= count {
            let to = (from + chunk).min(count + 1);
            written += overwrite(file, layout, from..to).unwrap();
            from = to;
        }
        written
    }

    #[test]
    fn deleted_rows_go_out_of_every_page_and_the_others_stay() {
        for (page, chunk) in [(4_096, 1_000), (512, 7), (65_536, 3)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("worn.db");
            let conn = worn(&path, page);
            let before = rows(&conn);
            // Each note stands in a row, in the index beside it, and in a row of the other table.
            let named: i64 = conn
                .query_row(
                    "select 2 * count(*) + (select count(*) from plain) from worn",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            drop(conn);
            let named = usize::try_from(named).unwrap();
            assert!(canaries(&path) > named, "there are copies to overwrite");
            assert!(overwrite_all(&path, chunk) > 0);
            assert_eq!(canaries(&path), named, "{page}");
            assert_eq!(overwrite_all(&path, 1_000), 0, "once is enough");
            let conn = connect(&path, Mode::Read).unwrap();
            assert_eq!(rows(&conn), before);
            let says: String = conn
                .query_row("pragma integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(says, "ok");
        }
    }

    #[test]
    fn a_page_that_is_not_what_it_should_be_is_left_alone() {
        let layout = Layout {
            size: 512,
            usable: 512,
        };
        let mut page = vec![1; 512];
        // A leaf with one row, at 500.
        page[..10].copy_from_slice(&[13, 0, 0, 0, 1, 1, 244, 0, 1, 244]);
        assert_eq!(layout.unused(2, &page), Some(10..500));
        for (at, byte) in [(0, 9), (3, 200), (5, 255), (1, 1), (8, 0)] {
            let mut damaged = page.clone();
            damaged[at] = byte;
            assert_eq!(layout.unused(2, &damaged), None, "{at}");
        }
    }

    #[test]
    fn maps_stand_where_the_format_says() {
        let layout = |size| Layout { size, usable: size };
        // An entry for each of 819 pages follows a map of 4096 bytes.
        for (page, map) in [(2, 2), (3, 2), (821, 2), (822, 822), (1_642, 1_642)] {
            assert_eq!(layout(4_096).map_of(page), map);
        }
        assert_eq!(layout(4_096).pending(), 262_145);
        // A map that would stand on the page that holds nothing stands on the next.
        let small = layout(512);
        let of = (2..small.pending() + 200).find(|page| small.map_of(*page) == small.pending() + 1);
        assert_eq!(of.is_some(), (small.pending() - 2) % 103 == 0);
    }
}
