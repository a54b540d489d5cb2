//! Every colour, by what it means.
//!
//! The 16 colours of the terminal on its own background, so that light and dark both work; `mono` has none. No state
//! is told by hue alone: a word or a sign always says it too. Never a colour outside this file.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of the screen means, which decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Ordinary text.
    Plain,
    /// What stands around the data: heads, hints, counts.
    Quiet,
    /// Names of things: heads of parts, keys to press.
    Strong,
    /// The screen that is open.
    Here,
    /// The row or choice that keys act on.
    Selected,
    /// It went well: given, renewed, connected.
    Good,
    /// It wants a look: cancelled, late, quiet.
    Warning,
    /// It went wrong: turned away, not understood, an error.
    Bad,
    /// Made to try things.
    Test,
    /// A part of the filter that does not parse.
    Wrong,
    /// What can be opened or copied.
    Link,
}

/// A set of styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// 16 colours.
    Terminal,
    /// No colour at all.
    Mono,
}

impl Theme {
    /// The theme of this name in the settings; `mono` wherever colour is unwanted.
    pub fn named(name: &str, colour_wanted: bool) -> Self {
        if name == "mono" || !colour_wanted {
            Self::Mono
        } else {
            Self::Terminal
        }
    }

    /// How `meaning` looks.
    pub fn style(self, meaning: Meaning) -> Style {
        let shape = shape(meaning);
        match (self, colour(meaning)) {
            (Self::Terminal, Some(colour)) => shape.fg(colour),
            _ => shape,
        }
    }
}

fn shape(meaning: Meaning) -> Style {
    let style = Style::new();
    match meaning {
        Meaning::Plain | Meaning::Good => style,
        Meaning::Quiet => style.add_modifier(Modifier::DIM),
        Meaning::Strong | Meaning::Warning | Meaning::Bad | Meaning::Test => {
            style.add_modifier(Modifier::BOLD)
        }
        Meaning::Here => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        Meaning::Selected => style.add_modifier(Modifier::REVERSED),
        Meaning::Wrong | Meaning::Link => style.add_modifier(Modifier::UNDERLINED),
    }
}

fn colour(meaning: Meaning) -> Option<Color> {
    match meaning {
        Meaning::Plain | Meaning::Quiet | Meaning::Strong | Meaning::Selected | Meaning::Here => {
            None
        }
        Meaning::Good => Some(Color::Green),
        Meaning::Warning => Some(Color::Yellow),
        Meaning::Bad | Meaning::Wrong => Some(Color::Red),
        Meaning::Test => Some(Color::Magenta),
        Meaning::Link => Some(Color::Cyan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_has_no_colour_and_still_tells_what_matters_apart() {
        let all = [
            Meaning::Selected,
            Meaning::Bad,
            Meaning::Wrong,
            Meaning::Here,
        ];
        for meaning in all {
            let style = Theme::named("mono", true).style(meaning);
            assert_eq!(style.fg, None);
            assert!(!style.add_modifier.is_empty(), "{meaning:?}");
        }
        assert_eq!(Theme::named("terminal", false), Theme::Mono);
    }
}
