//! The lines of Today laid out in a width: which piece stands where. Drawing, moving the selection and the text of the
//! command line all go by these rows.

use ratatui::layout::Rect;

use crate::domain::printable::Printable;
use crate::tui::facts::{Bit, FigureLine, Part, Today, TodayLine};
use crate::tui::theme::Meaning;

/// Where what belongs to a name begins.
const FACT_X: usize = 14;
/// The same where there is no room for that.
const NARROW_X: usize = 3;
/// Cells between parts of a line.
const GAP: usize = 3;
/// Cells between what stands on a line and a fact beside it.
const BESIDE_GAP: usize = 6;
/// So many rows a sentence may take before it is cut.
const SENTENCE_ROWS_MAX: usize = 4;

/// Cells for `down` and its gap.
const WORD_WIDTH: usize = 5;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// From this width on what is to know of a figure stands beside them.
const BESIDE_WIDTH: u16 = 180;
/// Cells of the figures where it does.
const FIGURES_WIDTH: u16 = 100;
/// Fewer lines below the figures are left empty.
const BELOW_HEIGHT_MIN: u16 = 1;

/// Where the rows of Today stand in `area`, and what is to know of the selected one.
pub fn parts(area: Rect, rows: usize) -> (Rect, Rect) {
    if area.width >= BESIDE_WIDTH {
        let left = Rect {
            width: FIGURES_WIDTH.max(area.width * 11 / 20),
            ..area
        };
        let right = Rect {
            x: area.x + left.width + 2,
            width: area.width - left.width - 2,
            ..area
        };
        return (left, right);
    }
    let rows = u16::try_from(rows).unwrap_or(u16::MAX);
    let below = area.height.saturating_sub(rows.saturating_add(1));
    if below < BELOW_HEIGHT_MIN {
        return (area, Rect::ZERO);
    }
    let top = Rect {
        height: rows,
        ..area
    };
    let bottom = Rect {
        y: area.y + rows + 1,
        height: below,
        ..area
    };
    (top, bottom)
}

/// The cells across that rows of Today have in `area`.
pub fn columns(area: Rect) -> usize {
    let (left, _) = parts(area, usize::MAX);
    usize::from(left.width)
}

/// One row of the terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What stands on it, from left to right.
    pub pieces: Vec<Piece>,
}

/// Text at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Cells from the left.
    pub x: usize,
    /// Printable.
    pub text: String,
    /// How it looks.
    pub meaning: Meaning,
    /// Which of Today's stops it is.
    pub stop: Option<usize>,
}

impl Row {
    fn put(&mut self, x: usize, text: &str, meaning: Meaning, stop: Option<usize>) -> usize {
        let text = Printable::line(text);
        let end = x + text.width();
        if end > x {
            self.pieces.push(Piece {
                x,
                text: text.into(),
                meaning,
                stop,
            });
        }
        end
    }

    /// `text` so that it ends before `end`.
    fn put_right(&mut self, end: usize, text: &str, meaning: Meaning, stop: Option<usize>) {
        self.put(end.saturating_sub(width(text)), text, meaning, stop);
    }

    /// The first cell behind everything on it.
    fn end(&self) -> usize {
        self.pieces
            .last()
            .map_or(0, |piece| piece.x + width(&piece.text))
    }

    /// The piece nearest to `x` that can be selected.
    pub fn nearest(&self, x: usize) -> Option<&Piece> {
        let stops = self.pieces.iter().filter(|piece| piece.stop.is_some());
        stops.min_by_key(|piece| piece.x.abs_diff(x))
    }

    /// The row as plain text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut at = 0;
        for piece in &self.pieces {
            for _ in at..piece.x {
                out.push(' ');
            }
            out.push_str(&piece.text);
            at = piece.x.max(at) + width(&piece.text);
        }
        out
    }
}

/// `today` in rows of `columns` cells. `wrap`: nothing is longer, sentences are broken and what cannot be is cut;
/// without it, what has no room stands there whole.
pub fn rows(today: &Today, columns: usize, wrap: bool) -> Vec<Row> {
    let mut out = Vec::new();
    let table = Table::of(today, columns);
    let mut stop = 0;
    let mut headed = false;
    for line in &today.lines {
        match line {
            TodayLine::Need(need) => {
                let room = if wrap { columns } else { usize::MAX };
                let door = if need.door.is_some() && wrap {
                    "Enter"
                } else {
                    ""
                };
                sentence(
                    &need.text,
                    Some(stop),
                    Meaning::Warning,
                    room,
                    door,
                    &mut out,
                );
                stop += 1;
            }
            TodayLine::Remark(text, selectable) => {
                let room = if wrap { columns } else { usize::MAX };
                let at = selectable.is_some().then_some(stop);
                sentence(text, at, Meaning::Quiet, room, "", &mut out);
                stop += usize::from(selectable.is_some());
            }
            TodayLine::Figure(figure) => {
                if !headed {
                    out.push(table.heads());
                    headed = true;
                }
                out.push(table.row(figure, stop));
                stop += 1 + figure.split.len();
            }
            TodayLine::Fact {
                title,
                parts,
                beside,
            } => stop = fact(title, parts, *beside, stop, columns, &mut out),
        }
    }
    if wrap {
        for piece in out.iter_mut().flat_map(|row| &mut row.pieces) {
            let room = columns.saturating_sub(piece.x);
            piece.text = Printable::line(&piece.text).cut(room).into();
        }
    }
    out
}

/// A sentence on as many rows as it needs; what needs the publisher has a sign before it.
fn sentence(
    text: &str,
    stop: Option<usize>,
    meaning: Meaning,
    columns: usize,
    door: &str,
    out: &mut Vec<Row>,
) {
    let sign = if meaning == Meaning::Warning {
        "! "
    } else {
        ""
    };
    let indent = 1 + sign.len();
    let beside = if door.is_empty() { 1 } else { door.len() + 2 };
    let room = columns.saturating_sub(indent + beside).max(8);
    let mut broken = broken(Printable::line(text).as_str(), room);
    if broken.len() > SENTENCE_ROWS_MAX {
        let rest = broken.split_off(SENTENCE_ROWS_MAX - 1).join(" ");
        broken.push(Printable::line(&rest).cut(room).into());
    }
    for (nth, part) in broken.iter().enumerate() {
        let mut row = Row::default();
        if nth == 0 {
            row.put(1, sign, meaning, stop);
        }
        row.put(indent, part, meaning, stop);
        if nth == 0 {
            row.put_right(columns.saturating_sub(1), door, Meaning::Quiet, None);
        }
        out.push(row);
    }
}

/// `text` in lines of `room` cells at most, broken at spaces, a word that is longer anywhere.
pub fn broken(text: &str, room: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word.to_owned();
        if !line.is_empty() && width(&line) + 1 + width(&word) > room {
            out.push(std::mem::take(&mut line));
        }
        while width(&word) > room {
            let head = head(&word, room);
            let rest = word.split_off(head);
            out.push(std::mem::replace(&mut word, rest));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    out.push(line);
    out
}

/// How many bytes of `word` fill `room` cells; one character at least.
fn head(word: &str, room: usize) -> usize {
    let mut end = 0;
    for (at, c) in word.char_indices() {
        let next = at + c.len_utf8();
        if end > 0 && width(&word[..next]) > room {
            break;
        }
        end = next;
    }
    end
}

/// A name and its parts, on as many rows as they need. The stop after its last.
fn fact(
    title: &str,
    parts: &[Part],
    beside: bool,
    mut stop: usize,
    columns: usize,
    out: &mut Vec<Row>,
) -> usize {
    let length: usize = parts.iter().map(|part| part_width(part) + GAP).sum();
    let behind = out.last().map_or(0, Row::end) + BESIDE_GAP;
    let fits = behind + width(title) + 2 + length <= columns + GAP;
    if !(beside && fits) {
        out.push(Row::default());
    }
    let Some(mut row) = out.pop() else {
        return stop;
    };
    let begin = if row.pieces.is_empty() { 1 } else { behind };
    let end = row.put(begin, title, Meaning::Plain, None);
    // Beside another fact there is no column to keep to.
    let mut x = if begin == 1 {
        FACT_X.max(end + 1)
    } else {
        end + 2
    };
    let first = x;
    for part in parts {
        let wide = part_width(part);
        if x + wide > columns && (x > first || NARROW_X + wide <= columns) {
            out.push(std::mem::take(&mut row));
            x = if FACT_X + wide <= columns {
                FACT_X
            } else {
                NARROW_X
            };
        }
        for bit in &part.0 {
            match bit {
                Bit::Text(text) => x = row.put(x, text, Meaning::Quiet, None),
                Bit::Stop(figure) => {
                    x = row.put(x, &figure.text, Meaning::Plain, Some(stop));
                    if !figure.after.is_empty() {
                        x = row.put(x + 1, &figure.after, Meaning::Quiet, None);
                    }
                    stop += 1;
                }
            }
        }
        x += GAP;
    }
    out.push(row);
    stop
}

fn part_width(part: &Part) -> usize {
    let bits = part.0.iter().map(|bit| match bit {
        Bit::Text(text) => width(text),
        Bit::Stop(stop) if stop.after.is_empty() => width(&stop.text),
        Bit::Stop(stop) => width(&stop.text) + 1 + width(&stop.after),
    });
    bits.sum()
}

/// The columns of the figures: which there is room for, and where each ends or begins.
struct Table {
    now_end: usize,
    before_end: Option<usize>,
    difference_end: usize,
    share_end: Option<usize>,
    word_x: Option<usize>,
    days_x: Option<usize>,
    usual_end: Option<usize>,
    split_x: Option<usize>,
}

/// The widest of each column.
struct Widths {
    title: usize,
    now: usize,
    before: usize,
    difference: usize,
    share: usize,
    note: usize,
    days: usize,
    /// 0 where no usual day is known.
    usual: usize,
    /// Gaps included.
    split: usize,
}

impl Widths {
    fn of(today: &Today) -> Self {
        let figures: Vec<&FigureLine> = today
            .lines
            .iter()
            .filter_map(|line| match line {
                TodayLine::Figure(figure) => Some(figure.as_ref()),
                _ => None,
            })
            .collect();
        let widest = |of: fn(&FigureLine) -> usize| figures.iter().map(|one| of(one)).max();
        let least = |of: fn(&FigureLine) -> usize, least| widest(of).unwrap_or(0).max(least);
        Self {
            title: least(|one| width(&one.stop.title), 17),
            now: least(|one| width(&one.stop.text), 4),
            before: least(|one| width(&one.before), 3),
            difference: least(|one| width(&one.difference), 3),
            share: least(|one| width(&one.share), 6),
            note: least(|one| width(&one.note), 0),
            days: least(|one| one.stop.days.len(), 0),
            usual: match widest(|one| width(&one.usual)) {
                None | Some(0) => 0,
                Some(usual) => usual.max(5),
            },
            split: least(
                |one| one.split.iter().map(|stop| width(&stop.text) + GAP).sum(),
                0,
            ),
        }
    }
}

impl Table {
    /// As many columns as fit, those given up first that are missed least: words, then what is usual, then the days.
    fn of(today: &Today, columns: usize) -> Self {
        let widths = Widths::of(today);
        let now_end = 1 + widths.title + 1 + widths.now;
        let mut table = Self {
            now_end,
            before_end: None,
            difference_end: now_end,
            share_end: None,
            word_x: None,
            days_x: None,
            usual_end: None,
            split_x: None,
        };
        let mut end = now_end;
        let fits = |end: usize| end <= columns;
        // A note stands where the comparison would.
        let noted = if widths.note > 0 { widths.note + 2 } else { 0 };
        let compared = (widths.before + widths.difference + 4).max(noted);
        if fits(end + compared) {
            table.before_end = Some(end + 2 + widths.before);
            table.difference_end = end + 4 + widths.before + widths.difference;
            end += compared;
        }
        let share_end = (table.difference_end + 1 + widths.share).max(end);
        if fits(share_end) {
            table.share_end = Some(share_end);
            end = share_end;
        }
        table.add_days(&widths, end, columns);
        table
    }

    /// The days, and what is beside them, from `end` on.
    fn add_days(&mut self, widths: &Widths, mut end: usize, columns: usize) {
        let usual = if widths.usual > 0 {
            1 + widths.usual
        } else {
            0
        };
        let days = 2 + widths.days;
        let choices = [(WORD_WIDTH, usual), (0, usual), (0, 0)];
        let fitting = choices
            .into_iter()
            .find(|(word, usual)| end + word + days + usual <= columns);
        let Some((word, usual)) = fitting else {
            return;
        };
        if word > 0 {
            self.word_x = Some(end + 1);
            end += word;
        }
        self.days_x = Some(end + 2);
        end += days;
        if usual > 0 {
            end += usual;
            self.usual_end = Some(end);
        }
        if widths.split > 0 && end + GAP + widths.split <= columns {
            self.split_x = Some(end + GAP);
        }
    }

    fn heads(&self) -> Row {
        let mut row = Row::default();
        row.put_right(self.now_end, "now", Meaning::Quiet, None);
        if self.before_end.is_some() {
            row.put(self.now_end + 2, "a week before", Meaning::Quiet, None);
        }
        if let Some(x) = self.days_x {
            row.put(x, "28 days", Meaning::Quiet, None);
        }
        if let Some(end) = self.usual_end {
            row.put_right(end, "usual", Meaning::Quiet, None);
        }
        if let Some(x) = self.split_x {
            row.put(x, "of them", Meaning::Quiet, None);
        }
        row
    }

    fn row(&self, figure: &FigureLine, stop: usize) -> Row {
        let mut row = Row::default();
        row.put(1, &figure.stop.title, Meaning::Plain, None);
        row.put_right(self.now_end, &figure.stop.text, Meaning::Strong, Some(stop));
        if let Some(end) = self.before_end {
            if figure.note.is_empty() {
                row.put_right(end, &figure.before, Meaning::Quiet, None);
                row.put_right(
                    self.difference_end,
                    &figure.difference,
                    Meaning::Plain,
                    None,
                );
            } else {
                row.put(self.now_end + 2, &figure.note, Meaning::Quiet, None);
            }
        }
        if let Some(end) = self.share_end {
            row.put_right(end, &figure.share, Meaning::Plain, None);
        }
        if let Some(x) = self.word_x.filter(|_| figure.word != "same") {
            row.put(x, &figure.word, Meaning::Plain, None);
        }
        if let Some(x) = self.days_x {
            row.put(x, &bars(&figure.stop.days), Meaning::Quiet, None);
        }
        if let Some(end) = self.usual_end {
            row.put_right(end, &figure.usual, Meaning::Quiet, None);
        }
        let mut x = self.split_x;
        for (nth, split) in figure.split.iter().enumerate() {
            if let Some(at) = x {
                let end = row.put(at, &split.text, Meaning::Plain, Some(stop + 1 + nth));
                x = Some(end + GAP);
            }
        }
        row
    }
}

/// A block per day, as high as its share of the highest.
pub fn bars(days: &[u64]) -> String {
    let most = days.iter().copied().max().unwrap_or(0).max(1);
    days.iter()
        .map(|day| {
            let step = day.saturating_mul(7).div_ceil(most);
            BLOCKS[usize::try_from(step).unwrap_or(7).min(7)]
        })
        .collect()
}

/// The cells that `text` takes once it is printable.
pub(super) fn width(text: &str) -> usize {
    Printable::line(text).width()
}

/// The stop after `from`, so many rows down or up the `rows`: the nearest one on that row.
pub fn step(rows: &[Row], from: usize, by: isize) -> usize {
    let with_stops: Vec<&Row> = rows.iter().filter(|row| row.nearest(0).is_some()).collect();
    let piece_of = |row: &Row| {
        let piece = row.pieces.iter().find(|piece| piece.stop == Some(from));
        piece.map(|piece| piece.x)
    };
    let here = with_stops.iter().position(|row| piece_of(row).is_some());
    let Some(here) = here else {
        // What was selected has no room at this width.
        let stops = with_stops.iter().filter_map(|row| row.nearest(0)?.stop);
        return stops.min_by_key(|stop| stop.abs_diff(from)).unwrap_or(0);
    };
    let x = piece_of(with_stops[here]).unwrap_or(0);
    let target = |at: usize| with_stops.get(at).and_then(|row| row.nearest(x)?.stop);
    let last = with_stops.len() - 1;
    let mut at = here.saturating_add_signed(by).min(last);
    // A sentence takes several rows and is one stop.
    while target(at) == Some(from) && at != 0 && at != last {
        at = at.saturating_add_signed(by.signum());
    }
    target(at).unwrap_or(from)
}

/// The stop before or after `from` in reading order.
pub fn beside(rows: &[Row], from: usize, on: bool) -> usize {
    let mut stops: Vec<usize> = rows
        .iter()
        .flat_map(|row| row.pieces.iter().filter_map(|piece| piece.stop))
        .collect();
    stops.dedup();
    let found = if on {
        stops.iter().find(|stop| **stop > from)
    } else {
        stops.iter().rev().find(|stop| **stop < from)
    };
    found.copied().unwrap_or(from)
}
