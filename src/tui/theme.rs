//! How each meaning looks, in four themes. No state is told by hue alone: a word or a sign always says it too.
//!
//! - `terminal`: the terminal's 16 colours on its own background, so that light and dark both work.
//! - `mono`: no colour at all; also whenever `NO_COLOR` is set, the terminal is dumb, or `--color never` asks for it.
//! - `light` and `dark`: colours of ours on a background of ours, each readable on it (a contrast of 7 and
//!   more by WCAG 2). Where the terminal does not say that it shows any colour, the nearest of its 256; where it has only 16,
//!   which are whatever its owner made of them, these look like `terminal`.
//!
//! Never a colour outside this file and `theme/colour.rs`.

pub mod colour;

use ratatui::style::{Color, Modifier, Style};

use crate::tui::theme::colour::Rgb;

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
    /// The selected row while keys act on what was opened from it.
    Held,
    /// It arrived since the last look.
    New,
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

impl Meaning {
    /// Every meaning.
    pub const ALL: &'static [Self] = &[
        Self::Plain,
        Self::Quiet,
        Self::Strong,
        Self::Here,
        Self::Selected,
        Self::Held,
        Self::New,
        Self::Good,
        Self::Warning,
        Self::Bad,
        Self::Test,
        Self::Wrong,
        Self::Link,
    ];
}

/// How many colours a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// None, or none are wanted.
    None,
    /// The 16 that its owner chose.
    Sixteen,
    /// Those, a cube and a row of greys.
    Indexed,
    /// Any.
    True,
}

impl Depth {
    /// What the environment says of the terminal; `variable` gives its variables, empty ones as `None`.
    pub fn told(variable: impl Fn(&str) -> Option<String>) -> Self {
        let term = variable("TERM").unwrap_or_default();
        let colour_term = variable("COLORTERM").unwrap_or_default();
        if variable("NO_COLOR").is_some() || term == "dumb" {
            Self::None
        } else if matches!(colour_term.as_str(), "truecolor" | "24bit") || term.ends_with("-direct")
        {
            Self::True
        } else if term.contains("256color") {
            Self::Indexed
        } else {
            Self::Sixteen
        }
    }

    /// What the environment of this process says.
    pub fn here() -> Self {
        Self::told(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }
}

/// A set of styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's 16 colours on its own background.
    Terminal,
    /// No colour at all.
    Mono,
    /// Our own colours on our own background.
    Painted {
        /// Which.
        palette: &'static Palette,
        /// The terminal shows 256 colours, not any.
        indexed: bool,
    },
}

impl Theme {
    /// The theme of this name in the settings, as far as a terminal of this depth can show it.
    pub fn named(name: &str, depth: Depth) -> Self {
        let palette = match name {
            "light" => &LIGHT,
            "dark" => &DARK,
            "mono" => return Self::Mono,
            _ if depth == Depth::None => return Self::Mono,
            _ => return Self::Terminal,
        };
        match depth {
            Depth::None => Self::Mono,
            Depth::Sixteen => Self::Terminal,
            Depth::Indexed | Depth::True => Self::Painted {
                palette,
                indexed: depth == Depth::Indexed,
            },
        }
    }

    /// How a cell looks that nothing stands on.
    pub fn base(self) -> Style {
        match self {
            Self::Terminal | Self::Mono => Style::new(),
            Self::Painted { .. } => self.style(Meaning::Plain),
        }
    }

    /// How `meaning` looks.
    pub fn style(self, meaning: Meaning) -> Style {
        let shape = shape(meaning);
        match self {
            Self::Mono => shape,
            Self::Terminal => match named_colour(meaning) {
                Some(colour) => shape.fg(colour),
                None => shape,
            },
            Self::Painted { palette, indexed } => {
                let (text, ground) = palette.of(meaning);
                let colour = |colour: Rgb| {
                    if indexed {
                        colour.nearest()
                    } else {
                        colour.exact()
                    }
                };
                // Each terminal makes something else of these two, and our colours say it already.
                shape
                    .remove_modifier(Modifier::DIM | Modifier::REVERSED)
                    .fg(colour(text))
                    .bg(colour(ground))
            }
        }
    }
}

/// What says a meaning beside colour. What stands on a selected row is as plain as the row.
fn shape(meaning: Meaning) -> Style {
    let style = Style::new();
    match meaning {
        Meaning::Plain | Meaning::Good => style,
        Meaning::Quiet => style.add_modifier(Modifier::DIM),
        Meaning::Strong | Meaning::New | Meaning::Warning | Meaning::Bad | Meaning::Test => {
            style.add_modifier(Modifier::BOLD)
        }
        Meaning::Here => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        Meaning::Selected => style
            .add_modifier(Modifier::REVERSED)
            .remove_modifier(Modifier::DIM),
        Meaning::Held => style
            .add_modifier(Modifier::BOLD)
            .remove_modifier(Modifier::DIM),
        Meaning::Wrong | Meaning::Link => style.add_modifier(Modifier::UNDERLINED),
    }
}

/// Of the terminal's 16; `None`: its own.
fn named_colour(meaning: Meaning) -> Option<Color> {
    match meaning {
        Meaning::Plain | Meaning::Quiet | Meaning::Strong | Meaning::Here | Meaning::Held => None,
        // Over text of several colours it would be as many blocks.
        Meaning::Selected => Some(Color::Reset),
        Meaning::Good => Some(Color::Green),
        Meaning::Warning => Some(Color::Yellow),
        Meaning::Bad | Meaning::Wrong => Some(Color::Red),
        Meaning::Test => Some(Color::Magenta),
        Meaning::New | Meaning::Link => Some(Color::Cyan),
    }
}

/// Colours of our own, all of them readable on `ground`.
#[derive(Debug, PartialEq, Eq)]
pub struct Palette {
    ground: Rgb,
    plain: Rgb,
    quiet: Rgb,
    good: Rgb,
    warning: Rgb,
    bad: Rgb,
    test: Rgb,
    link: Rgb,
    /// The background of the selected row.
    selected: Rgb,
    /// The background of the row that another one was opened from.
    held: Rgb,
}

impl Palette {
    /// Text and background.
    const fn of(&self, meaning: Meaning) -> (Rgb, Rgb) {
        match meaning {
            Meaning::Plain | Meaning::Strong | Meaning::Here => (self.plain, self.ground),
            Meaning::Quiet => (self.quiet, self.ground),
            Meaning::Selected => (self.plain, self.selected),
            Meaning::Held => (self.plain, self.held),
            Meaning::Good => (self.good, self.ground),
            Meaning::Warning => (self.warning, self.ground),
            Meaning::Bad | Meaning::Wrong => (self.bad, self.ground),
            Meaning::Test => (self.test, self.ground),
            Meaning::New | Meaning::Link => (self.link, self.ground),
        }
    }
}

static LIGHT: Palette = Palette {
    ground: Rgb(0xfc, 0xfb, 0xf7),
    plain: Rgb(0x16, 0x18, 0x1d),
    quiet: Rgb(0x4a, 0x4e, 0x57),
    good: Rgb(0x0a, 0x55, 0x22),
    warning: Rgb(0x6a, 0x43, 0x00),
    bad: Rgb(0x98, 0x10, 0x1c),
    test: Rgb(0x6d, 0x1f, 0x86),
    link: Rgb(0x0b, 0x47, 0x86),
    selected: Rgb(0xb9, 0xd4, 0xf5),
    held: Rgb(0xe3, 0xe3, 0xde),
};

static DARK: Palette = Palette {
    ground: Rgb(0x13, 0x16, 0x1b),
    plain: Rgb(0xe9, 0xe9, 0xe4),
    quiet: Rgb(0xa9, 0xae, 0xb7),
    good: Rgb(0x86, 0xd6, 0x94),
    warning: Rgb(0xf1, 0xc2, 0x62),
    bad: Rgb(0xff, 0x97, 0x8c),
    test: Rgb(0xd9, 0xa8, 0xf5),
    link: Rgb(0x86, 0xc7, 0xf7),
    selected: Rgb(0x25, 0x48, 0x73),
    held: Rgb(0x2f, 0x33, 0x3a),
};

#[cfg(test)]
mod tests {
    use super::*;

    const PAINTED: [(&str, Depth); 4] = [
        ("light", Depth::True),
        ("light", Depth::Indexed),
        ("dark", Depth::True),
        ("dark", Depth::Indexed),
    ];

    #[test]
    fn every_meaning_can_be_read_on_its_background() {
        for (name, depth) in PAINTED {
            for meaning in Meaning::ALL {
                let style = Theme::named(name, depth).style(*meaning);
                let (text, ground) = (style.fg.unwrap(), style.bg.unwrap());
                let ratio = Rgb::of(text).contrast(Rgb::of(ground));
                // The cube has few dark yellows.
                let least = match (depth, meaning) {
                    (Depth::Indexed, Meaning::Warning) => 6.5,
                    _ => 7.0,
                };
                assert!(ratio >= least, "{name} {depth:?} {meaning:?}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn without_hue_what_must_be_told_apart_still_is() {
        let style = |meaning| Theme::Mono.style(meaning).add_modifier;
        for meaning in Meaning::ALL {
            let style = Theme::Mono.style(*meaning);
            assert_eq!((style.fg, style.bg), (None, None), "{meaning:?}");
        }
        let rows = [Meaning::Plain, Meaning::Selected, Meaning::Held];
        for (at, one) in rows.iter().enumerate() {
            for other in &rows[at + 1..] {
                assert_ne!(style(*one), style(*other), "{one:?} and {other:?}");
            }
        }
        // These always come with a word or a sign; they also stand out.
        for meaning in [Meaning::Bad, Meaning::Test, Meaning::New, Meaning::Warning] {
            assert_ne!(style(meaning), style(Meaning::Plain), "{meaning:?}");
        }
        assert_ne!(style(Meaning::Here), style(Meaning::Plain));
        assert_ne!(style(Meaning::Wrong), style(Meaning::Plain));
    }

    #[test]
    fn what_the_terminal_shows_is_taken_from_what_it_says_of_itself() {
        let told = |pairs: &'static [(&str, &str)]| {
            Depth::told(|name| {
                let found = pairs.iter().find(|(of, _)| *of == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        for (pairs, depth) in [
            (&[][..], Depth::Sixteen),
            (&[("TERM", "xterm")], Depth::Sixteen),
            (&[("TERM", "screen-256color")], Depth::Indexed),
            (
                &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")],
                Depth::True,
            ),
            (&[("TERM", "xterm-direct")], Depth::True),
            (
                &[("NO_COLOR", "1"), ("COLORTERM", "truecolor")],
                Depth::None,
            ),
            (&[("TERM", "dumb"), ("COLORTERM", "24bit")], Depth::None),
        ] {
            assert_eq!(told(pairs), depth, "{pairs:?}");
        }
    }

    #[test]
    fn a_theme_is_shown_as_far_as_the_terminal_can() {
        for name in ["terminal", "light", "dark", "mono"] {
            assert_eq!(Theme::named(name, Depth::None), Theme::Mono);
            assert_eq!(Theme::named("mono", Depth::True), Theme::Mono);
        }
        assert_eq!(Theme::named("dark", Depth::Sixteen), Theme::Terminal);
        assert_eq!(Theme::named("terminal", Depth::True), Theme::Terminal);
        let dark = Theme::named("dark", Depth::True);
        assert_ne!(dark, Theme::named("dark", Depth::Indexed));
        assert_ne!(dark, Theme::named("light", Depth::True));
    }
}
