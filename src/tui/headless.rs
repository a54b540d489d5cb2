//! The screen without a terminal: keys in, a picture out.
//!
//! The same state, the same readings of the ledger and the same drawing as in a terminal. Each request is answered
//! before the next key is pressed, so that the same ledger, moment and keys give the same picture. Never waits.

pub mod picture;

use std::collections::VecDeque;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::store::Error;
use crate::store::query::Reader;
use crate::tui::actions::key::Key;
use crate::tui::actions::{self, Act, Scope};
use crate::tui::app::message::{Effect, Msg};
use crate::tui::app::{App, Start, update};
use crate::tui::headless::picture::Picture;
use crate::tui::place::Screen;
use crate::tui::{Setup, reading, view};

/// A key must have been answered after so many messages.
const MESSAGES_MAX: usize = 10_000;

/// What a key of a script is written in.
const NAMED: (char, char) = ('<', '>');

/// Keys to press, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(Vec<Key>);

impl Script {
    /// Reads `2jj<Enter>/type:cancel<Enter>`: characters stand for themselves, other keys by the name that `?` shows
    /// for them, and `<lt>` for `<`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c != NAMED.0 {
                keys.push(Key::char(c));
                continue;
            }
            let (name, behind) = rest.split_once(NAMED.1).ok_or_else(|| {
                format!("the key that begins at {rest:?} has no `>`; a `<` alone is `<lt>`")
            })?;
            let key = Key::named(name).ok_or_else(|| {
                format!("no key is called {name:?}: <Enter>, <Esc>, <Tab>, <PgDn>, <Ctrl-D>, <lt>")
            })?;
            keys.push(key);
            rest = behind;
        }
        Ok(Self(keys))
    }

    /// The keys that open `screen`.
    pub fn opening(screen: Screen) -> Self {
        let key = |act: Act, scope: Scope| {
            actions::all()
                .find(|action| action.act == act && action.scope == scope)
                .map(|action| action.keys[0])
        };
        let tab = key(Act::Go(screen.tab()), Scope::Anywhere);
        let other = (screen.tab() != screen).then(|| key(Act::Switch, Scope::Consent));
        Self(tab.into_iter().chain(other.flatten()).collect())
    }
}

/// What to picture.
#[derive(Clone, Debug)]
pub struct Sitting {
    /// Cells across and down.
    pub size: (u16, u16),
    /// The screen to begin with; `None`: the one that the ledger opens with.
    pub screen: Option<Screen>,
    /// Keys to press there.
    pub keys: Script,
}

/// The screen as it is once `sitting` has been answered. What a key wants written goes to `setup.tasks`; a key that
/// leaves ends the script, and what it would copy or hand to the shell is left.
pub fn picture(setup: &Setup, sitting: &Sitting) -> Result<Picture, Error> {
    let reader = Reader::open(&setup.path)?;
    let mut seated = Seated {
        app: App::new(Start::of(setup, sitting.size)),
        reader,
        setup,
        left: false,
    };
    seated.sit_down()?;
    let opening = sitting.screen.map(Script::opening).unwrap_or_default();
    for key in opening.0.iter().chain(&sitting.keys.0) {
        if seated.left {
            break;
        }
        seated.tell(Msg::Tick(setup.clock.now()))?;
        seated.tell(Msg::Key(*key))?;
    }
    Ok(draw(&seated.app))
}

/// Draws `app` in its own size.
///
/// # Panics
///
/// Never: the back end is memory.
pub fn draw(app: &App) -> Picture {
    let (width, height) = app.size;
    let mut terminal =
        Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory cannot fail");
    terminal
        .draw(|frame| view::draw(frame, app))
        .expect("a terminal in memory cannot fail");
    let backend = terminal.backend();
    Picture {
        cells: backend.buffer().clone(),
        cursor: backend.cursor_visible().then(|| backend.cursor_position()),
    }
}

/// Someone before the screen.
struct Seated<'a> {
    app: App,
    reader: Reader,
    setup: &'a Setup,
    left: bool,
}

impl Seated<'_> {
    fn sit_down(&mut self) -> Result<(), Error> {
        let now = self.setup.clock.now();
        let opened = reading::opened(&self.reader, &self.setup.path, now, true)?;
        self.tell(Msg::Opened(opened))?;
        if let Some(settings) = &self.setup.settings {
            let key = self.reader.fingerprint_key()?;
            self.tell(Msg::Links((settings.read)(&key)))?;
        }
        Ok(())
    }

    /// Takes `msg` in, and every answer to what it asks for.
    fn tell(&mut self, msg: Msg) -> Result<(), Error> {
        let mut waiting = VecDeque::from([msg]);
        for _ in 0..MESSAGES_MAX {
            let Some(msg) = waiting.pop_front() else {
                return Ok(());
            };
            for effect in update(&mut self.app, msg) {
                self.perform(&effect, &mut waiting)?;
            }
        }
        Err(Error::Refused(
            "the screen keeps asking: this is a bug".to_owned(),
        ))
    }

    fn perform(&mut self, effect: &Effect, waiting: &mut VecDeque<Msg>) -> Result<(), Error> {
        match effect {
            Effect::Leave(_) => self.left = true,
            Effect::Copy(_) | Effect::Suspend | Effect::Redraw => {}
            Effect::Export(_) => {
                let why = "a picture writes no file".to_owned();
                waiting.push_back(Msg::Exported(Err(why)));
            }
            Effect::Task(task) => {
                let done = (self.setup.tasks)(task.clone(), &mut |_| {});
                waiting.extend([Msg::Done(done), Msg::Changed]);
            }
            read => {
                let answered = reading::answer(
                    &self.reader,
                    &self.setup.path,
                    self.setup.clock.now(),
                    &self.app.links,
                    &*self.setup.outside,
                    read,
                    &mut |msg| {
                        waiting.push_back(msg);
                        Ok(())
                    },
                );
                match answered {
                    Err(Error::Refused(why)) => waiting.extend(reading::refused(read, &why)),
                    other => other?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;

    use super::*;

    #[test]
    fn a_script_is_written_in_the_names_that_the_screen_shows() {
        let script = Script::parse("2j<Enter>/a <lt>b<Ctrl-D><PgDn>é<Esc>").unwrap();
        assert_eq!(
            script.0,
            [
                Key::char('2'),
                Key::char('j'),
                Key::plain(KeyCode::Enter),
                Key::char('/'),
                Key::char('a'),
                Key::char(' '),
                Key::char('<'),
                Key::char('b'),
                Key::ctrl('d'),
                Key::plain(KeyCode::PageDown),
                Key::char('é'),
                Key::plain(KeyCode::Esc),
            ]
        );
        assert!(Script::parse("a<").unwrap_err().contains("<lt>"));
        assert!(
            Script::parse("<Return>")
                .unwrap_err()
                .contains("\"Return\"")
        );
    }

    #[test]
    fn every_key_of_the_table_can_be_written_in_a_script() {
        for action in actions::all() {
            for key in action.keys {
                assert_eq!(Key::named(&key.name()), Some(*key), "{}", key.name());
            }
        }
    }

    #[test]
    fn every_screen_of_a_tab_has_keys_that_open_it() {
        for (_, screen, ..) in Screen::TABS {
            assert_eq!(Script::opening(*screen).0.len(), 1, "{screen:?}");
        }
        assert_eq!(Script::opening(Screen::CHANGES).0.len(), 2);
        assert_eq!(Script::opening(Screen::PAYMENTS).0.len(), 1);
    }
}
