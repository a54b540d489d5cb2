//! Keys: what is pressed, and how it is written on screen.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with what is held down beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The key.
    pub code: KeyCode,
    /// Ctrl is held.
    pub ctrl: bool,
}

impl Key {
    /// A key alone.
    pub const fn plain(code: KeyCode) -> Self {
        Self { code, ctrl: false }
    }

    /// A character.
    pub const fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    /// Ctrl and a character.
    pub const fn ctrl(c: char) -> Self {
        Self {
            code: KeyCode::Char(c),
            ctrl: true,
        }
    }

    /// The key of this name, as it is written on screen; `lt` is `<`.
    pub fn named(name: &str) -> Option<Self> {
        let (ctrl, rest) = match name.strip_prefix("Ctrl-") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let code = match rest {
            "Space" => KeyCode::Char(' '),
            "lt" => KeyCode::Char('<'),
            "PgDn" => KeyCode::PageDown,
            "PgUp" => KeyCode::PageUp,
            "Backspace" => KeyCode::Backspace,
            "Del" => KeyCode::Delete,
            "Enter" => KeyCode::Enter,
            "Esc" => KeyCode::Esc,
            "Tab" => KeyCode::Tab,
            "BackTab" | "Shift-Tab" => KeyCode::BackTab,
            "Home" => KeyCode::Home,
            "End" => KeyCode::End,
            "Up" => KeyCode::Up,
            "Down" => KeyCode::Down,
            "Left" => KeyCode::Left,
            "Right" => KeyCode::Right,
            other => {
                let mut chars = other.chars();
                let (Some(c), None) = (chars.next(), chars.next()) else {
                    return None;
                };
                KeyCode::Char(if ctrl { c.to_ascii_lowercase() } else { c })
            }
        };
        Some(Self { code, ctrl })
    }

    /// How it is written on screen: `Ctrl-D`, `PgDn`, `Enter`, `g`.
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) if self.ctrl => c.to_uppercase().to_string(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            KeyCode::Backspace => "Backspace".to_owned(),
            KeyCode::Delete => "Del".to_owned(),
            other => format!("{other:?}"),
        };
        if self.ctrl {
            format!("Ctrl-{name}")
        } else {
            name
        }
    }
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        Self {
            // Nothing is bound to Alt: it must not be taken for the key alone.
            code: if alt { KeyCode::Null } else { event.code },
            ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
        }
    }
}

/// One line down, everywhere.
pub(super) const DOWN: &[Key] = &[Key::char('j'), Key::plain(KeyCode::Down)];
/// One line up.
pub(super) const UP: &[Key] = &[Key::char('k'), Key::plain(KeyCode::Up)];
/// A screen down.
pub(super) const PAGE_DOWN: &[Key] = &[Key::plain(KeyCode::PageDown), Key::ctrl('f')];
/// A screen up.
pub(super) const PAGE_UP: &[Key] = &[Key::plain(KeyCode::PageUp), Key::ctrl('b')];
/// Half a screen down.
pub(super) const HALF_DOWN: &[Key] = &[Key::ctrl('d')];
/// Half a screen up.
pub(super) const HALF_UP: &[Key] = &[Key::ctrl('u')];
/// To the first line.
pub(super) const FIRST: &[Key] = &[Key::char('g'), Key::plain(KeyCode::Home)];
/// To the last line.
pub(super) const LAST: &[Key] = &[Key::char('G'), Key::plain(KeyCode::End)];
/// Open, apply.
pub(super) const LEFT: &[Key] = &[Key::char('h'), Key::plain(KeyCode::Left)];
pub(super) const RIGHT: &[Key] = &[
    Key::char('l'),
    Key::plain(KeyCode::Right),
    Key::plain(KeyCode::Tab),
];
pub(super) const ENTER: &[Key] = &[Key::plain(KeyCode::Enter)];
/// Leave.
pub(super) const ESC: &[Key] = &[Key::plain(KeyCode::Esc)];
/// The other part, backwards.
pub(super) const BACK_TAB: &[Key] = &[Key::plain(KeyCode::BackTab)];
/// The other part.
pub(super) const TAB: &[Key] = &[Key::plain(KeyCode::Tab)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_people_say_them() {
        assert_eq!(Key::ctrl('d').name(), "Ctrl-D");
        assert_eq!(Key::plain(KeyCode::PageDown).name(), "PgDn");
        assert_eq!(Key::char(' ').name(), "Space");
    }
}
