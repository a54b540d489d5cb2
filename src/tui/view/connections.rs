//! Links to paste, and what is known of each provider's account: all accounts at once, or one with all its links.

use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::app::connections::{Account, Stop};
use crate::tui::facts::{Arrived, Connection, Fact};
use crate::tui::theme::Meaning;
use crate::tui::view::paint::{Cursor, Paint, first_line, width};
use crate::tui::wrap::wrapped;
use crate::tui::{LinkCard, Missing};

/// A line of this screen: indentation, pieces, and which link or account it belongs to.
struct Line {
    indent: u16,
    pieces: Vec<(String, Meaning)>,
    of: Option<usize>,
}

/// Lines under way.
struct Lines {
    done: Vec<Line>,
    width: usize,
    of: Option<usize>,
}

impl Lines {
    fn new(width: u16) -> Self {
        Self {
            done: Vec::new(),
            width: usize::from(width),
            of: None,
        }
    }

    fn blank(&mut self) {
        let of = self.of.take();
        self.put(0, "", Meaning::Plain);
        self.of = of;
    }

    /// A text, on as many lines as it needs.
    fn put(&mut self, indent: u16, text: &str, meaning: Meaning) {
        for text in wrapped(text, self.width.saturating_sub(usize::from(indent))) {
            self.pieces(indent, vec![(text, meaning)]);
        }
    }

    /// Whose account and how it stands: side by side, or one under the other where that is too long for a line.
    fn head(&mut self, name: String, state: String, meaning: Meaning) {
        if usize::from(width(&name)) + usize::from(width(&state)) < self.width {
            self.pieces(1, vec![(name, Meaning::Strong), (state, meaning)]);
        } else {
            self.put(1, name.trim_end(), Meaning::Strong);
            self.put(2, &state, meaning);
        }
    }

    /// One line, cut where it is too long.
    fn pieces(&mut self, indent: u16, pieces: Vec<(String, Meaning)>) {
        let of = self.of;
        self.done.push(Line { indent, pieces, of });
    }

    /// The command, from the first column on, so that it can be taken from the screen as it stands.
    fn curl(&mut self, card: &LinkCard) {
        match card.curl.lines(self.width) {
            Some(lines) => {
                for line in lines {
                    self.pieces(0, vec![(line, Meaning::Quiet)]);
                }
            }
            None => self.put(3, "Y copies a curl command that tries it", Meaning::Quiet),
        }
    }
}

/// Draws every account in `area`; its cursor stands on the selected one.
pub fn draw(paint: &mut Paint<'_>, app: &App, area: Rect) -> Cursor {
    let height = usize::from(area.height);
    // With all that helps if it fits, whichever account is selected; else without the blank lines, else without the
    // commands too.
    let tries = [(true, true), (false, true), (true, false), (false, false)];
    let (blanks, curls) = tries
        .into_iter()
        .find(|(blanks, curls)| {
            let accounts = 0..app.accounts().len().max(1);
            let longest = accounts.map(|at| overview(app, area.width, at, *blanks, *curls).len());
            longest.max().unwrap_or(0) <= height
        })
        .unwrap_or((false, false));
    let lines = overview(app, area.width, app.place().line, blanks, curls);
    show(paint, app, area, &lines)
}

/// Draws the links of one account in `area`; its cursor stands on the selected one.
pub fn draw_account(paint: &mut Paint<'_>, app: &App, account: usize, area: Rect) -> Cursor {
    let accounts = app.accounts();
    let page = accounts.get(account);
    let lines = page.map_or_else(Vec::new, |one| opened(app, account, one, area.width));
    show(paint, app, area, &lines)
}

fn show(paint: &mut Paint<'_>, app: &App, area: Rect, lines: &[Line]) -> Cursor {
    let selected = app.place().line;
    let is_selected = |line: &Line| line.of == Some(selected);
    let first = lines.iter().position(is_selected).unwrap_or(0);
    let last = lines.iter().rposition(is_selected).unwrap_or(0);
    let height = usize::from(area.height);
    let top = match selected {
        // What stands before the first link is in sight with it.
        0 if last < height => 0,
        _ => first_line(last, lines.len(), height).min(first),
    };
    let mut cursor = None;
    for (y, line) in (0..area.height).zip(lines.iter().skip(top)) {
        let pieces: Vec<_> = line
            .pieces
            .iter()
            .map(|(text, meaning)| (text.as_str(), *meaning))
            .collect();
        paint.line_from(area, y, line.indent, &pieces);
        if cursor.is_none() && is_selected(line) {
            cursor = paint.select(area, y);
        }
    }
    cursor
}

fn overview(app: &App, width: u16, selected: usize, blanks: bool, curls: bool) -> Vec<Line> {
    let mut lines = Lines::new(width);
    beginning(&mut lines, app, curls);
    for (at, account) in app.accounts().iter().enumerate() {
        if blanks && !lines.done.is_empty() {
            lines.blank();
        }
        lines.of = Some(at);
        let cards = app.links.get(account.links.clone()).unwrap_or_default();
        brief(&mut lines, app, account, cards, at == selected);
        // The command holds the link.
        if let Some(card) = cards
            .first()
            .filter(|_| curls && at == selected && !app.masked)
        {
            lines.curl(card);
        }
        lines.of = None;
    }
    if blanks {
        lines.blank();
    }
    ending(&mut lines, app);
    lines.done
}

/// What is said before the accounts.
fn beginning(lines: &mut Lines, app: &App, curls: bool) {
    if app.demo {
        let text = if app.links.is_empty() {
            "A made-up ledger has no links: `subledger` without `demo` shows yours."
        } else {
            "A made-up ledger: the links are those of your settings, and what comes on them is not in here."
        };
        return lines.put(1, text, Meaning::Strong);
    }
    settings_fault(lines, app);
    if app.links.is_empty() {
        let text = "The settings hold no provider: `subledger config set --help` says how to add \
                    one.";
        return lines.put(1, text, Meaning::Strong);
    }
    if app.arrived() != Arrived::Real {
        let text = if app.links.iter().any(|link| link.is_local) {
            "No real webhook yet. These links work on this machine only; behind a proxy or tunnel: \
             subledger config set receiver.public_url https://your.address"
        } else {
            "No real webhook yet. Paste each link into its provider's dashboard: y copies."
        };
        lines.put(1, text, Meaning::Strong);
        let text = if curls {
            "Or try one from here: paste the curl command into another terminal."
        } else {
            "Or try one from here: Enter shows a curl command, Y copies it."
        };
        lines.put(1, text, Meaning::Plain);
    }
}

/// Where the receiver listens, from where it can be reached, the last backup.
fn ending(lines: &mut Lines, app: &App) {
    let Some(status) = app.status.as_ref().filter(|_| !app.demo) else {
        return;
    };
    let (text, meaning) = match &status.listens {
        Some((address, pid)) => (format!("http://{address} (process {pid})"), Meaning::Quiet),
        None if status.running => ("none runs; another program writes".to_owned(), Meaning::Bad),
        None => (
            "none runs: `subledger serve` starts one".to_owned(),
            Meaning::Bad,
        ),
    };
    lines.pieces(
        1,
        vec![
            ("Receiver     ".to_owned(), Meaning::Quiet),
            (text, meaning),
        ],
    );
    let public = app.links.iter().find(|link| !link.is_local);
    if let Some((base, _)) = public.and_then(|link| link.url.split_once("/hooks/")) {
        let text = format!("From outside {base}; `subledger doctor --public` tries it");
        lines.pieces(1, vec![(text, Meaning::Quiet)]);
    }
    if let Some(last) = &status.last_backup {
        lines.pieces(1, vec![(format!("Last backup  {last}"), Meaning::Quiet)]);
    }
}

/// The file says something else than the receiver goes by.
fn settings_fault(lines: &mut Lines, app: &App) {
    if let Some(why) = &app.settings_fault {
        let text = format!("The settings do not hold, the old ones stay in force: {why}");
        lines.put(1, &text, Meaning::Bad);
    }
}

/// The state of an account, what is wrong there, its main link, and what to add.
fn brief(lines: &mut Lines, app: &App, account: &Account, cards: &[LinkCard], is_selected: bool) {
    let known = app.known(account);
    let (state, meaning) = state(cards, known);
    lines.head(format!("{:<14} ", account.name), state, meaning);
    if let Some(refused) = known.and_then(|known| known.refused.as_ref()) {
        lines.put(2, &format!("turned away {refused}"), Meaning::Bad);
        if let Some(hint) = known.and_then(|known| known.hint).filter(|_| is_selected) {
            lines.put(4, hint, Meaning::Plain);
        }
    }
    for fact in known.iter().flat_map(|known| &known.old) {
        lines.put(2, &format!("{}: {}", fact.title, fact.text), fact.meaning);
    }
    let Some(main) = cards.first() else {
        if !app.demo && !account.provider.is_empty() {
            let text = "the settings name no such account: Enter shows what it sent";
            lines.put(2, text, Meaning::Warning);
        }
        return;
    };
    lines.put(2, &url(app, main), Meaning::Link);
    let keys: Vec<_> = main.add.iter().map(Missing::key).collect();
    let more = match cards.len() {
        0 | 1 => String::new(),
        2 => "1 more link".to_owned(),
        all => format!("{} more links", all - 1),
    };
    let add = match keys.as_slice() {
        [] => String::new(),
        keys => format!("{}: {}", main.lacks(), keys.join(", ")),
    };
    let parts: Vec<_> = [more, add]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    if !parts.is_empty() {
        let text = format!("{} (Enter)", parts.join("; "));
        lines.pieces(2, vec![(text, Meaning::Quiet)]);
    }
}

/// The link; its secret masked where data is.
fn url(app: &App, card: &LinkCard) -> String {
    match app.mask() {
        Some(mask) => mask.link(&card.url, &card.path()),
        None => card.url.clone(),
    }
}

fn state(cards: &[LinkCard], known: Option<&Connection>) -> (String, Meaning) {
    if cards.iter().any(|card| card.unguarded) {
        let text = "takes in everything, from whoever sends it (auth = \"none\")";
        return (text.to_owned(), Meaning::Bad);
    }
    match known {
        Some(known) => known.state.clone(),
        None => ("not connected: no webhook yet".to_owned(), Meaning::Warning),
    }
}

/// All there is of one account.
fn opened(app: &App, at: usize, account: &Account, width: u16) -> Vec<Line> {
    let mut lines = Lines::new(width);
    settings_fault(&mut lines, app);
    let cards = app.links.get(account.links.clone()).unwrap_or_default();
    let known = app.known(account);
    let (state, meaning) = match state(cards, known) {
        // The line below says when.
        (_, Meaning::Good) => ("connected".to_owned(), Meaning::Good),
        other => other,
    };
    lines.head(format!("{}  ", account.name), state, meaning);
    let mut is_first_link = true;
    for (line, stop) in app.stops(at).into_iter().enumerate() {
        let is_selected = app.place().line == line;
        if let (Stop::Link(card), true) = (stop, is_first_link) {
            is_first_link = false;
            if !card.place.is_empty() {
                lines.put(1, &format!("Paste into: {}", card.place), Meaning::Plain);
            }
        }
        lines.of = Some(line);
        match stop {
            Stop::Fact(fact) => told(&mut lines, fact),
            Stop::Add(missing) => {
                let lacks = cards.first().map_or("to add", LinkCard::lacks);
                let text = format!("{lacks}: {}. {}", missing.key(), missing.help);
                let is_needed = cards.first().is_some_and(LinkCard::lets_none_in);
                let meaning = if is_needed {
                    Meaning::Warning
                } else {
                    Meaning::Quiet
                };
                lines.put(2, &text, meaning);
                lines.put(4, &missing.command(), Meaning::Plain);
            }
            Stop::Link(card) => {
                lines.put(1, &card.title, Meaning::Strong);
                lines.put(2, &url(app, card), Meaning::Link);
                if is_selected && !app.masked {
                    lines.curl(card);
                    lines.put(2, &card.send(), Meaning::Quiet);
                }
            }
        }
        lines.of = None;
    }
    lines.done
}

/// One thing that is known, and what to do about it.
fn told(lines: &mut Lines, fact: &Fact) {
    lines.put(2, &format!("{}: {}", fact.title, fact.text), fact.meaning);
    if let Some(hint) = fact.hint {
        lines.put(4, hint, Meaning::Plain);
    }
}
