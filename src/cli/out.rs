//! The one door to stdout and stderr: data on stdout or in a file, talk on stderr.
//!
//! Whoever writes text from data passes it through `Printable` first. Paths, arguments and the words of other programs come
//! in messages too, so each line passes it here once more: what is printable already stays as it is.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};

use crate::cli::args::{Colour, Global};
use crate::domain::printable::Printable;

/// So much is gathered before it is written.
const BUFFER_BYTES: usize = 64 << 10;

/// Where a command writes.
pub struct Out {
    stdout: BufWriter<Box<dyn Write>>,
    terminal: bool,
    colour: bool,
}

impl Out {
    /// The process's own.
    pub fn new(global: &Global) -> Self {
        let terminal = io::stdout().is_terminal();
        let colour = match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        Self {
            stdout: BufWriter::with_capacity(BUFFER_BYTES, Box::new(io::stdout())),
            terminal,
            colour,
        }
    }

    /// `file` in the place of stdout.
    pub fn file(file: File) -> Self {
        Self {
            stdout: BufWriter::with_capacity(BUFFER_BYTES, Box::new(file)),
            terminal: false,
            colour: false,
        }
    }

    /// One line of data.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.stdout, "{}", tame(text))
    }

    /// A heading: bold where there are colours.
    pub fn heading(&mut self, text: impl Display) -> io::Result<()> {
        let text = tame(text);
        if self.colour {
            writeln!(self.stdout, "\x1b[1m{text}\x1b[0m")
        } else {
            writeln!(self.stdout, "{text}")
        }
    }

    /// Stdout itself.
    pub fn data(&mut self) -> &mut impl Write {
        &mut self.stdout
    }

    /// One line of talk. What was written before it comes out before it.
    pub fn say(&mut self, text: impl Display) -> io::Result<()> {
        self.stdout.flush()?;
        // Nobody may be there to listen: that stops no work.
        writeln!(io::stderr(), "{}", tame(text)).ok();
        Ok(())
    }

    /// Whatever was written is out.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Cells in a line, where stdout is a terminal that tells.
    pub fn width(&self) -> Option<usize> {
        if !self.terminal {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    }
}

/// The last words of a command that failed, whatever became of stderr.
pub fn complain(text: impl Display) {
    writeln!(io::stderr(), "subledger: {}", tame(text)).ok();
}

/// `text` without anything that a terminal acts on; its lines and tabs stay.
pub fn tame(text: impl Display) -> String {
    let text = text.to_string();
    if text
        .bytes()
        .all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~'))
    {
        return text;
    }
    let parts = text.split('\t').map(|part| Printable::lines(part).into());
    parts.collect::<Vec<String>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_its_lines_and_nothing_that_acts() {
        for (text, shown) in [
            ("two\nlines\tand a tab", "two\nlines\tand a tab"),
            ("Ayşe\t日本 é", "Ayşe\t日本 é"),
            ("a\n\u{1b}[2J\u{9b}\u{202e}", "a\n\\x1b[2J<U+009B><U+202E>"),
            ("<U+202E> \\x1b", "<U+202E> \\x1b"),
            ("a\t\u{301}\r", "a\t<U+0301>\\r"),
        ] {
            assert_eq!(tame(text), shown);
        }
    }
}
