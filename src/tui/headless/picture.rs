//! A frame as text, as text with colours, as a picture (SVG), and as text with its styles named.
//!
//! Symbols of a frame have passed `Printable`; here they are also kept from meaning anything to XML.

use std::fmt::{self, Write as _};

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Position;
use ratatui::style::Modifier;
use unicode_width::UnicodeWidthStr;

use crate::tui::theme::colour::{self, OWN_GROUND, Rgb};

/// Pixels of a cell across and down, and from its top to the line that letters stand on.
const CELL: (u32, u32) = (9, 19);
const BASELINE: u32 = 14;

/// Pixels around the cells.
const MARGIN: u32 = 10;

/// A frame.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What each cell shows.
    pub cells: Buffer,
    /// Where the cursor stands; `None`: hidden.
    pub cursor: Option<Position>,
}

/// What stands in one place: one cell, or two for a wide symbol.
struct Glyph<'a> {
    x: u16,
    width: u16,
    cell: &'a Cell,
}

impl Glyph<'_> {
    fn is_blank(&self) -> bool {
        self.cell.symbol().chars().all(char::is_whitespace)
    }

    /// A blank that nobody sees.
    fn is_nothing(&self) -> bool {
        let seen = Modifier::REVERSED | Modifier::UNDERLINED;
        self.is_blank() && !self.cell.modifier.intersects(seen) && !has_ground(self.cell)
    }
}

fn has_ground(cell: &Cell) -> bool {
    !colour::is_own(cell.bg)
}

impl Picture {
    /// The lines, without blanks at their ends.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for y in self.rows() {
            let line: String = self.glyphs(y).map(|glyph| glyph.cell.symbol()).collect();
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// The lines with the escape sequences that colour them; each line stands for itself.
    pub fn ansi(&self) -> String {
        let mut out = String::new();
        for y in self.rows() {
            let mut glyphs: Vec<_> = self.glyphs(y).collect();
            while glyphs.pop_if(|last| last.is_nothing()).is_some() {}
            let mut before = colour::plain_sgr();
            for glyph in glyphs {
                let style = colour::sgr(glyph.cell.fg, glyph.cell.bg, glyph.cell.modifier);
                if style != before {
                    out.push_str(&style);
                    before = style;
                }
                out.push_str(glyph.cell.symbol());
            }
            if before != colour::plain_sgr() {
                out.push_str(&colour::plain_sgr());
            }
            out.push('\n');
        }
        out
    }

    /// The lines, under each what looks different from plain text: `1+7 bold`, from the second cell on seven cells.
    /// Many empty lines in a row are one that counts them.
    pub fn with_styles(&self) -> String {
        let mut out = String::new();
        let mut empty = 0;
        for y in self.rows() {
            let line: String = self.glyphs(y).map(|glyph| glyph.cell.symbol()).collect();
            let styles = self.styles(y);
            if line.trim_end().is_empty() && styles.is_empty() {
                empty += 1;
                continue;
            }
            put_empty(&mut out, std::mem::take(&mut empty));
            out.push_str(line.trim_end());
            out.push('\n');
            if !styles.is_empty() {
                out.extend(["    ~ ", &styles.join(", "), "\n"]);
            }
        }
        put_empty(&mut out, empty);
        let cursor = match self.cursor {
            Some(at) => format!("cursor at {},{}\n", at.x, at.y),
            None => "no cursor\n".to_owned(),
        };
        out.push_str(&cursor);
        out
    }

    /// The styled stretches of a line.
    fn styles(&self, y: u16) -> Vec<String> {
        let mut stretches: Vec<(u16, u16, String)> = Vec::new();
        for glyph in self.glyphs(y) {
            let style = style_name(glyph.cell);
            match stretches.last_mut() {
                Some((from, cells, of)) if *of == style && *from + *cells == glyph.x => {
                    *cells += glyph.width;
                }
                _ => stretches.push((glyph.x, glyph.width, style)),
            }
        }
        stretches
            .into_iter()
            .filter(|(.., style)| !style.is_empty())
            .map(|(from, cells, style)| format!("{from}+{cells} {style}"))
            .collect()
    }

    fn rows(&self) -> std::ops::Range<u16> {
        0..self.cells.area.height
    }

    fn glyphs(&self, y: u16) -> impl Iterator<Item = Glyph<'_>> {
        let end = self.cells.area.width;
        let mut x = 0;
        std::iter::from_fn(move || {
            let cell = (x < end).then(|| &self.cells[(x, y)])?;
            let width = u16::try_from(cell.symbol().width()).unwrap_or(1).max(1);
            let glyph = Glyph {
                x,
                width: width.min(end - x),
                cell,
            };
            x += glyph.width;
            Some(glyph)
        })
    }
}

fn put(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

fn put_empty(out: &mut String, empty: usize) {
    if empty > 0 {
        put(out, format_args!("({empty} empty)\n"));
    }
}

/// `bold+reversed cyan on #123456`; empty: plain.
fn style_name(cell: &Cell) -> String {
    let mut shapes = Vec::new();
    for (of, name) in [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::UNDERLINED, "underlined"),
        (Modifier::REVERSED, "reversed"),
    ] {
        if cell.modifier.contains(of) {
            shapes.push(name);
        }
    }
    let mut words = vec![shapes.join("+"), colour::name(cell.fg)];
    if has_ground(cell) {
        words.push(format!("on {}", colour::name(cell.bg)));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// How a cell of the picture is painted.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ink {
    text: Rgb,
    ground: Rgb,
    bold: bool,
    underlined: bool,
}

impl Ink {
    fn of(cell: &Cell) -> Self {
        let text = Rgb::of(cell.fg);
        let ground = if has_ground(cell) {
            Rgb::of(cell.bg)
        } else {
            OWN_GROUND
        };
        let (text, ground) = if cell.modifier.contains(Modifier::REVERSED) {
            (ground, text)
        } else {
            (text, ground)
        };
        Self {
            text: if cell.modifier.contains(Modifier::DIM) {
                text.towards(ground)
            } else {
                text
            },
            ground,
            bold: cell.modifier.contains(Modifier::BOLD),
            underlined: cell.modifier.contains(Modifier::UNDERLINED),
        }
    }
}

/// Pieces of a line of letters that are set as one.
struct Letters {
    x: u16,
    cells: u16,
    ink: Ink,
    text: String,
    /// Nothing may be joined to it: fonts disagree on how wide it is.
    alone: bool,
}

impl Picture {
    /// A picture that needs nothing but itself; every letter stands in its cell whatever the font. `title` is what it
    /// is called where it cannot be seen.
    pub fn svg(&self, title: &str) -> String {
        let area = self.cells.area;
        let size = (
            u32::from(area.width) * CELL.0 + 2 * MARGIN,
            u32::from(area.height) * CELL.1 + 2 * MARGIN,
        );
        let ground = self.ground();
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" \
             height=\"{1}\" role=\"img\">\n<title>{2}</title>\n\
             <rect width=\"{0}\" height=\"{1}\" rx=\"6\" fill=\"{3}\"/>\n\
             <g transform=\"translate({MARGIN} {MARGIN})\" font-size=\"15\" font-family=\"ui-monospace, \
             'DejaVu Sans Mono', Menlo, Consolas, monospace\">\n",
            size.0,
            size.1,
            escaped(title),
            ground.hex(),
        );
        for y in self.rows() {
            self.svg_grounds(&mut out, y, ground);
            self.svg_letters(&mut out, y);
        }
        if let Some(at) = self.cursor {
            let ink = Ink::of(&self.cells[at]);
            put(
                &mut out,
                format_args!(
                    "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{}\"/>\n",
                    u32::from(at.x) * CELL.0,
                    u32::from(at.y) * CELL.1,
                    CELL.0,
                    CELL.1,
                    ink.text.hex()
                ),
            );
        }
        out.push_str("</g>\n</svg>\n");
        out
    }

    /// The ground of the picture: that of most cells at its edge.
    fn ground(&self) -> Rgb {
        let last = self.cells.area.height.saturating_sub(1);
        self.glyphs(last)
            .last()
            .map_or(OWN_GROUND, |glyph| Ink::of(glyph.cell).ground)
    }

    fn svg_grounds(&self, out: &mut String, y: u16, ground: Rgb) {
        let mut stretches: Vec<(u16, u16, Rgb)> = Vec::new();
        for glyph in self.glyphs(y) {
            let of = Ink::of(glyph.cell).ground;
            match stretches.last_mut() {
                Some((from, cells, last)) if *last == of && *from + *cells == glyph.x => {
                    *cells += glyph.width;
                }
                _ => stretches.push((glyph.x, glyph.width, of)),
            }
        }
        for (x, cells, of) in stretches.into_iter().filter(|(.., of)| *of != ground) {
            put_rect(out, x, cells, u32::from(y) * CELL.1, CELL.1, of);
        }
    }

    fn svg_letters(&self, out: &mut String, y: u16) {
        for letters in self.letters(y) {
            let symbol = letters.text.chars().next().unwrap_or(' ');
            if let (Some(eighths), true) = (eighths(symbol), letters.alone) {
                let height = (CELL.1 * eighths).div_ceil(8);
                let top = u32::from(y) * CELL.1 + CELL.1 - height;
                put_rect(out, letters.x, letters.cells, top, height, letters.ink.text);
                continue;
            }
            let (bold, underlined) = (
                if letters.ink.bold {
                    " font-weight=\"700\""
                } else {
                    ""
                },
                if letters.ink.underlined {
                    " text-decoration=\"underline\""
                } else {
                    ""
                },
            );
            put(
                out,
                format_args!(
                    "<text x=\"{}\" y=\"{}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\" \
                 xml:space=\"preserve\" fill=\"{}\"{bold}{underlined}>{}</text>\n",
                    u32::from(letters.x) * CELL.0,
                    u32::from(y) * CELL.1 + BASELINE,
                    u32::from(letters.cells) * CELL.0,
                    letters.ink.text.hex(),
                    escaped(&letters.text)
                ),
            );
        }
    }

    /// The words of a line; blanks that nobody sees part them.
    fn letters(&self, y: u16) -> Vec<Letters> {
        let mut all: Vec<Letters> = Vec::new();
        for glyph in self.glyphs(y) {
            let ink = Ink::of(glyph.cell);
            if glyph.is_blank() && !ink.underlined {
                continue;
            }
            let symbol = glyph.cell.symbol();
            let alone = glyph.width > 1 || !symbol.is_ascii();
            match all.last_mut() {
                Some(last)
                    if !alone
                        && !last.alone
                        && last.ink == ink
                        && last.x + last.cells == glyph.x =>
                {
                    last.text.push_str(symbol);
                    last.cells += glyph.width;
                }
                _ => all.push(Letters {
                    x: glyph.x,
                    cells: glyph.width,
                    ink,
                    text: symbol.to_owned(),
                    alone,
                }),
            }
        }
        all
    }
}

fn put_rect(out: &mut String, x: u16, cells: u16, top: u32, height: u32, fill: Rgb) {
    put(
        out,
        format_args!(
            "<rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{height}\" fill=\"{}\"/>\n",
            u32::from(x) * CELL.0,
            u32::from(cells) * CELL.0,
            fill.hex()
        ),
    );
}

/// How much of its cell a block takes, from the bottom; `None` of other symbols.
fn eighths(symbol: char) -> Option<u32> {
    matches!(symbol, '▁'..='█').then(|| u32::from(symbol) - u32::from('▁') + 1)
}

/// Text that means nothing to XML; what XML cannot hold is shown as `\u{fffd}`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;
    use crate::tui::theme::{Depth, Meaning, Theme};

    fn picture(pieces: &[(u16, &str, Meaning)]) -> Picture {
        let mut cells = Buffer::empty(Rect::new(0, 0, 24, 2));
        let theme = Theme::named("terminal", Depth::True);
        for (x, text, meaning) in pieces {
            cells.set_string(*x, 0, text, theme.style(*meaning));
        }
        Picture {
            cells,
            cursor: Some(Position::new(0, 0)),
        }
    }

    #[test]
    fn wide_symbols_take_their_two_cells_in_every_form() {
        let picture = picture(&[(1, "山田 a", Meaning::Strong), (10, "▁█", Meaning::Plain)]);
        assert_eq!(picture.text(), " 山田 a   ▁█\n\n");
        assert_eq!(picture.ansi(), " \x1b[0;1m山田 a\x1b[0m   ▁█\n\n");
        let svg = picture.svg("a test");
        assert!(
            svg.contains("<text x=\"9\" y=\"14\" textLength=\"18\""),
            "{svg}"
        );
        assert!(
            svg.contains("<text x=\"54\" y=\"14\" textLength=\"9\""),
            "{svg}"
        );
        // Blocks are drawn: no font makes gaps of them.
        assert!(!svg.contains('█'));
        assert!(
            svg.contains("<rect x=\"99\" y=\"0\" width=\"9\" height=\"19\""),
            "{svg}"
        );
        assert_eq!(
            picture.with_styles(),
            " 山田 a   ▁█\n    ~ 1+6 bold\n(1 empty)\ncursor at 0,0\n"
        );
    }

    #[test]
    fn nothing_in_a_picture_means_anything_to_xml() {
        let picture = picture(&[(0, "</text><a b='&\">\u{ffff}", Meaning::Plain)]);
        let svg = picture.svg("]]><script>");
        assert!(svg.contains("&lt;/text&gt;&lt;a"), "{svg}");
        assert!(!svg.contains("</text><a") && !svg.contains("<script"));
        assert!(!svg.contains('\u{ffff}'));
    }
}
