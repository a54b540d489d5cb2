//! A file cut into its lines, or a JSON array into its elements, without ever holding more than one of them.
//!
//! Knows of JSON only where strings, brackets and commas are.

use std::io::{self, BufRead};

/// One line or element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// From 1: of lines the line's number, of elements the element's.
    pub(crate) number: u64,
    /// Its bytes, without line ending and blanks around it; cut where it is longer than allowed.
    pub(crate) bytes: Vec<u8>,
    /// How long it really is.
    pub(crate) length: u64,
    /// The file ended before it did.
    pub(crate) is_cut_off: bool,
    /// It stands where nothing may stand: after the end of the array.
    pub(crate) is_stray: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    Array,
    /// Behind the closing bracket.
    Behind,
    /// At the end of a file that has none.
    Unclosed,
    End,
}

/// The pieces of a file.
pub(crate) struct Pieces<R> {
    from: R,
    bytes_max: usize,
    form: Option<Form>,
    is_array: bool,
    number: u64,
    offset: u64,
}

impl<R: BufRead> Pieces<R> {
    /// Pieces of `from`, none held beyond `bytes_max` bytes.
    pub(crate) fn new(from: R, bytes_max: usize) -> Self {
        Self {
            from,
            bytes_max,
            form: None,
            is_array: false,
            number: 0,
            offset: 0,
        }
    }

    /// Bytes of the file that are behind.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether these are elements of an array rather than lines.
    pub(crate) const fn is_array(&self) -> bool {
        self.is_array
    }

    /// The next one that is not blank.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let form = match self.form {
                Some(form) => form,
                None => self.begin()?,
            };
            let piece = match form {
                Form::Lines => self.line()?,
                Form::Array => self.element()?,
                Form::Behind => self.behind()?,
                Form::Unclosed => {
                    self.form = Some(Form::End);
                    Some(Piece {
                        is_cut_off: true,
                        ..self.new_piece()
                    })
                }
                Form::End => None,
            };
            match piece {
                Some(piece) if piece.bytes.is_empty() && !piece.is_cut_off => {}
                piece => return Ok(piece),
            }
        }
    }

    fn take(&mut self, bytes: usize) {
        self.from.consume(bytes);
        self.offset += bytes as u64;
    }

    /// Passes a byte order mark and blank lines: whatever comes first says what this is.
    fn begin(&mut self) -> io::Result<Form> {
        if self.from.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            self.take(3);
        }
        let form = loop {
            let buffer = self.from.fill_buf()?;
            let blank = buffer.iter().take_while(|byte| is_blank(**byte)).count();
            let lines = buffer[..blank].split(|byte| *byte == b'\n').count() - 1;
            let first = buffer.get(blank).copied();
            let is_over = buffer.is_empty();
            self.number += lines as u64;
            match first {
                Some(b'[') => {
                    self.number = 0;
                    self.take(blank + 1);
                    break Form::Array;
                }
                Some(_) => {
                    self.take(blank);
                    break Form::Lines;
                }
                None if is_over => break Form::End,
                None => self.take(blank),
            }
        };
        self.form = Some(form);
        self.is_array = form == Form::Array;
        Ok(form)
    }

    fn line(&mut self) -> io::Result<Option<Piece>> {
        let mut piece = self.new_piece();
        loop {
            let buffer = self.from.fill_buf()?;
            if buffer.is_empty() {
                self.form = Some(Form::End);
                // Nothing behind the last line ending is no line.
                piece.is_cut_off = piece.length > 0;
                piece.trim();
                return Ok((piece.length > 0).then_some(piece));
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            piece.push(&buffer[..end.unwrap_or(buffer.len())], self.bytes_max);
            let taken = end.map_or(buffer.len(), |end| end + 1);
            self.take(taken);
            if end.is_some() {
                piece.trim();
                return Ok(Some(piece));
            }
        }
    }

    fn element(&mut self) -> io::Result<Option<Piece>> {
        let mut piece = self.new_piece();
        let mut place = Place::default();
        loop {
            let buffer = self.from.fill_buf()?;
            if buffer.is_empty() {
                piece.trim();
                let is_blank = piece.bytes.is_empty();
                self.form = Some(if is_blank { Form::End } else { Form::Unclosed });
                piece.is_cut_off = true;
                return Ok(Some(piece));
            }
            let end = buffer.iter().position(|byte| place.ends_at(*byte));
            piece.push(&buffer[..end.unwrap_or(buffer.len())], self.bytes_max);
            let last = end.map(|end| buffer[end]);
            let taken = end.map_or(buffer.len(), |end| end + 1);
            self.take(taken);
            if last == Some(b']') {
                self.form = Some(Form::Behind);
            }
            if last.is_some() {
                piece.trim();
                return Ok(Some(piece));
            }
        }
    }

    fn behind(&mut self) -> io::Result<Option<Piece>> {
        self.form = Some(Form::Lines);
        let piece = self.line()?.map(|piece| Piece {
            is_stray: true,
            ..piece
        });
        if self.form == Some(Form::Lines) {
            self.form = Some(Form::Behind);
        }
        Ok(piece)
    }

    fn new_piece(&mut self) -> Piece {
        self.number += 1;
        Piece {
            number: self.number,
            ..Piece::default()
        }
    }
}

impl Piece {
    fn push(&mut self, bytes: &[u8], bytes_max: usize) {
        let room = bytes_max.saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len() as u64;
    }

    fn trim(&mut self) {
        let blank = self.bytes.iter().rev().take_while(|byte| is_blank(**byte));
        let end = self.bytes.len() - blank.count();
        self.bytes.truncate(end);
        let blank = self
            .bytes
            .iter()
            .take_while(|byte| is_blank(**byte))
            .count();
        self.bytes.drain(..blank);
    }

    /// Whether it is longer than what is held of it could be.
    pub(crate) fn is_too_long(&self, bytes_max: usize) -> bool {
        self.length > bytes_max as u64
    }
}

/// Where in an element a byte stands.
#[derive(Default)]
struct Place {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Place {
    /// Whether the element ends before `byte`.
    fn ends_at(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b']' | b',' if self.depth == 0 => return true,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Number, text and whether the file ended in it, read through a buffer that is far too small.
    fn pieces(text: &[u8]) -> Vec<(u64, String, bool)> {
        let mut pieces = Pieces::new(BufReader::with_capacity(5, text), 40);
        let mut out = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            let text = String::from_utf8(piece.bytes).unwrap();
            out.push((piece.number, text, piece.is_cut_off));
        }
        out
    }

    fn one(number: u64, text: &str, cut: bool) -> (u64, String, bool) {
        (number, text.to_owned(), cut)
    }

    #[test]
    fn lines_keep_their_numbers_whatever_ends_them() {
        assert_eq!(
            pieces(b"\xef\xbb\xbf\r\n\r\n{\"a\":1}\r\n\n  {} \n"),
            [one(3, "{\"a\":1}", false), one(5, "{}", false)]
        );
        assert_eq!(
            pieces(b"{}\n{\"a"),
            [one(1, "{}", false), one(2, "{\"a", true)]
        );
        assert_eq!(pieces(b""), []);
        assert_eq!(pieces(b" \n\n"), []);
    }

    #[test]
    fn elements_end_at_commas_that_are_not_inside_them() {
        let text = br#" [ {"a":[1,2],"b":"],\"[{"} , "x,\\" ,
          [[]], 7 ] "#;
        let found: Vec<String> = pieces(text).into_iter().map(|(_, text, _)| text).collect();
        assert_eq!(
            found,
            [r#"{"a":[1,2],"b":"],\"[{"}"#, r#""x,\\""#, "[[]]", "7"]
        );
        assert_eq!(pieces(b"[]\n"), []);
        assert_eq!(
            pieces(b"[{},\n{\"a\""),
            [
                one(1, "{}", false),
                one(2, "{\"a\"", true),
                one(3, "", true)
            ]
        );
        // Cut off between two elements: there is something to say, and nothing to show.
        assert_eq!(pieces(b"[{},"), [one(1, "{}", false), one(2, "", true)]);
    }

    #[test]
    fn what_stands_behind_the_array_is_seen() {
        let mut found = Pieces::new(&b"[{}]\n{}\n"[..], 40);
        assert!(!found.next().unwrap().unwrap().is_stray);
        assert!(found.next().unwrap().unwrap().is_stray);
        assert_eq!(found.next().unwrap(), None);
        assert_eq!(found.offset(), 8);
    }

    #[test]
    fn a_long_line_is_measured_and_not_held() {
        let long = [vec![b'x'; 100_000], b"\n{}".to_vec()].concat();
        let mut pieces = Pieces::new(&long[..], 40);
        let piece = pieces.next().unwrap().unwrap();
        assert_eq!((piece.length, piece.bytes.len()), (100_000, 40));
        assert!(piece.is_too_long(40));
        assert_eq!(pieces.next().unwrap().unwrap().bytes, b"{}");
    }
}
