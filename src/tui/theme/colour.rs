//! Colours as numbers: what a terminal makes of a name or an index, how two contrast, how a style is written.
//!
//! For pictures, tests, and terminals of fewer colours. Never decides what a meaning looks like.

use ratatui::style::{Color, Modifier};

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// The steps of each part in the cube of a 256-colour terminal.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The first index of the cube, and of the greys behind it; below it are the 16.
const CUBE: u8 = 16;
const GREYS: u8 = 232;

/// Of the many sets of 16 in use: one whose colours can be read on the background that `terminal` is pictured with.
const SIXTEEN: [Rgb; 16] = [
    Rgb(0x1b, 0x1e, 0x24),
    Rgb(0xf2, 0x7e, 0x76),
    Rgb(0x80, 0xc9, 0x8a),
    Rgb(0xe3, 0xb8, 0x5c),
    Rgb(0x7a, 0xa8, 0xf0),
    Rgb(0xcf, 0x97, 0xe6),
    Rgb(0x72, 0xc7, 0xd1),
    Rgb(0xd5, 0xd7, 0xda),
    Rgb(0x7d, 0x84, 0x8f),
    Rgb(0xff, 0x9a, 0x92),
    Rgb(0xa0, 0xe0, 0xa8),
    Rgb(0xf5, 0xd0, 0x85),
    Rgb(0xa3, 0xc4, 0xf7),
    Rgb(0xe1, 0xb9, 0xf2),
    Rgb(0x9a, 0xdf, 0xe6),
    Rgb(0xf4, 0xf4, 0xf2),
];

/// Text and background of a pictured terminal where nothing else is said.
pub const OWN_TEXT: Rgb = SIXTEEN[7];
/// See `OWN_TEXT`.
pub const OWN_GROUND: Rgb = SIXTEEN[0];

impl Rgb {
    /// What a pictured terminal shows for `colour`; its own text where none is named.
    pub fn of(colour: Color) -> Self {
        match colour {
            Color::Rgb(red, green, blue) => Self(red, green, blue),
            Color::Indexed(index) => Self::indexed(index),
            Color::Reset => OWN_TEXT,
            named => SIXTEEN[usize::from(index_of(named).unwrap_or(7))],
        }
    }

    fn indexed(index: u8) -> Self {
        if index < CUBE {
            SIXTEEN[usize::from(index)]
        } else if index < GREYS {
            let place = index - CUBE;
            let step = |of: u8| STEPS[usize::from(of % 6)];
            Self(step(place / 36), step(place / 6), step(place))
        } else {
            let grey = 8 + (index - GREYS) * 10;
            Self(grey, grey, grey)
        }
    }

    /// This very colour.
    pub const fn exact(self) -> Color {
        Color::Rgb(self.0, self.1, self.2)
    }

    /// The nearest of those that all 256-colour terminals have in common.
    pub fn nearest(self) -> Color {
        let index = (CUBE..=u8::MAX)
            .min_by_key(|index| self.distance(Self::indexed(*index)))
            .unwrap_or(u8::MAX);
        Color::Indexed(index)
    }

    /// How different they look: the eye tells greens best.
    fn distance(self, other: Self) -> u32 {
        let part = |one: u8, other: u8, weight: u32| weight * u32::from(one.abs_diff(other)).pow(2);
        part(self.0, other.0, 3) + part(self.1, other.1, 6) + part(self.2, other.2, 2)
    }

    /// The light it gives, from 0 to 1, by WCAG 2.
    fn luminance(self) -> f64 {
        let part = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(self.0) + 0.7152 * part(self.1) + 0.0722 * part(self.2)
    }

    /// How well one can be read on the other, from 1 to 21, by WCAG 2.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// Half-way to `other`, as terminals show dimmed text.
    #[must_use]
    pub fn towards(self, other: Self) -> Self {
        let part = |one: u8, other: u8| {
            u8::try_from((u16::from(one) * 2 + u16::from(other)) / 3).unwrap_or(u8::MAX)
        };
        Self(
            part(self.0, other.0),
            part(self.1, other.1),
            part(self.2, other.2),
        )
    }

    /// `#1b1e24`.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// The place of a named colour among the 16; `None` of others.
const fn index_of(colour: Color) -> Option<u8> {
    Some(match colour {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => return None,
    })
}

/// The escape sequence that makes what follows plain.
pub fn plain_sgr() -> String {
    sgr(Color::Reset, Color::Reset, Modifier::empty())
}

/// The escape sequence that makes what follows look like this, whatever was before it.
pub fn sgr(text: Color, ground: Color, modifier: Modifier) -> String {
    let mut codes = vec!["0".to_owned()];
    for (of, code) in [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
    ] {
        if modifier.contains(of) {
            codes.push(code.to_owned());
        }
    }
    codes.extend(code(text, 30));
    codes.extend(code(ground, 40));
    format!("\x1b[{}m", codes.join(";"))
}

fn code(colour: Color, first: u8) -> Option<String> {
    match colour {
        Color::Reset => None,
        Color::Rgb(red, green, blue) => Some(format!("{};2;{red};{green};{blue}", first + 8)),
        Color::Indexed(index) => Some(format!("{};5;{index}", first + 8)),
        named => index_of(named).map(|index| match index {
            0..8 => (first + index).to_string(),
            bright => (first + 60 + bright - 8).to_string(),
        }),
    }
}

/// The terminal's own, whatever that is.
pub fn is_own(colour: Color) -> bool {
    colour == Color::Reset
}

/// A colour by a name that snapshots can hold; empty: the terminal's own.
pub fn name(colour: Color) -> String {
    match colour {
        Color::Reset => String::new(),
        Color::Rgb(..) | Color::Indexed(_) => Rgb::of(colour).hex(),
        named => named.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_standard() {
        let (black, white) = (Rgb(0, 0, 0), Rgb(255, 255, 255));
        assert!((black.contrast(white) - 21.0).abs() < 0.001);
        assert!((white.contrast(white) - 1.0).abs() < 0.001);
        // The grey that is just readable on white.
        assert!((Rgb(0x76, 0x76, 0x76).contrast(white) - 4.54).abs() < 0.01);
    }

    #[test]
    fn the_nearest_of_256_is_one_that_all_terminals_share() {
        assert_eq!(Rgb(255, 0, 0).nearest(), Color::Indexed(196));
        assert_eq!(Rgb(9, 8, 7).nearest(), Color::Indexed(232));
        for index in CUBE..=u8::MAX {
            assert_eq!(
                Rgb::of(Rgb::indexed(index).nearest()),
                Rgb::indexed(index),
                "{index}"
            );
        }
    }

    #[test]
    fn the_pictured_terminal_can_be_read() {
        for colour in [
            Color::Green,
            Color::Yellow,
            Color::Red,
            Color::Magenta,
            Color::Cyan,
            Color::Reset,
        ] {
            assert!(Rgb::of(colour).contrast(OWN_GROUND) >= 4.5, "{colour}");
        }
        assert!(OWN_TEXT.towards(OWN_GROUND).contrast(OWN_GROUND) >= 4.5);
    }

    #[test]
    fn styles_are_written_from_scratch() {
        assert_eq!(
            sgr(
                Color::Cyan,
                Color::Reset,
                Modifier::BOLD | Modifier::REVERSED
            ),
            "\x1b[0;1;7;36m"
        );
        assert_eq!(
            sgr(Color::White, Color::Indexed(17), Modifier::empty()),
            "\x1b[0;97;48;5;17m"
        );
        assert_eq!(
            sgr(Color::Rgb(1, 2, 3), Color::Reset, Modifier::empty()),
            "\x1b[0;38;2;1;2;3m"
        );
    }
}
