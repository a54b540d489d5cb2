//! The line after `:`: commands by name, with what completes them.
//!
//! Plain data: text in, one command or a sentence out. What a command does stands in `app::command`.

use crate::domain::page::{List, Order};
use crate::store::query::View;
use crate::tui::complete::Offer;
use crate::tui::place::Screen;

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A screen, with a filter if one was written behind it.
    Go(Screen, Option<String>),
    /// Keep the list and filter on screen under a name.
    Save(String),
    /// Open a saved filter.
    View(String),
    /// The saved filters.
    Views,
    /// Drop a saved filter.
    Delete(String),
    /// Have a digit open a saved filter.
    Pin(String, Option<u8>),
    /// Filter the list on screen.
    Filter(String),
    /// Drop the filter.
    Clear,
    /// Which end of the list comes first.
    Order(Order),
    /// Go to a time.
    Time(String),
    /// Write what is seen into a file; how, if it was said.
    Export(Option<FileFormat>),
    /// The keys.
    Help,
    /// Close the screen.
    Quit,
}

/// How a list is written into a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileFormat {
    /// For spreadsheets.
    #[default]
    Csv,
    /// For `cut` and `awk`.
    Tsv,
    /// One array.
    Json,
    /// One object a line.
    Ndjson,
    /// A table for text.
    Md,
}

impl FileFormat {
    /// Every format: itself, its word, what it is good for.
    pub const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Csv, "csv", "for spreadsheets"),
        (Self::Tsv, "tsv", "for cut and awk"),
        (Self::Json, "json", "one array"),
        (Self::Ndjson, "ndjson", "one object a line"),
        (Self::Md, "md", "a Markdown table"),
    ];

    /// Its word, which also ends the file's name.
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(format, ..)| *format == self);
        found.map_or("csv", |(_, word, _)| word)
    }
}

/// What stands behind a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Nothing,
    Filter,
    Name,
    KnownName,
    NameAndDigit,
    Time,
    Format,
    Order,
}

/// One line of the table: names, the first one shown; what stands behind; what it does.
struct Line {
    names: &'static [&'static str],
    behind: Behind,
    help: &'static str,
    make: fn(&str) -> Result<Command, String>,
}

const fn line(
    names: &'static [&'static str],
    behind: Behind,
    help: &'static str,
    make: fn(&str) -> Result<Command, String>,
) -> Line {
    Line {
        names,
        behind,
        help,
        make,
    }
}

/// Every command.
static COMMANDS: &[Line] = &[
    line(
        &["save"],
        Behind::Name,
        "keep this list and filter under a name",
        |name| named(name, "save").map(Command::Save),
    ),
    line(
        &["view"],
        Behind::KnownName,
        "open a saved filter",
        |name| named(name, "view").map(Command::View),
    ),
    line(&["views"], Behind::Nothing, "the saved filters", |_| {
        Ok(Command::Views)
    }),
    line(
        &["pin"],
        Behind::NameAndDigit,
        "have v and a digit open a saved filter",
        pin,
    ),
    line(
        &["unpin"],
        Behind::KnownName,
        "take its digit away",
        |name| named(name, "unpin").map(|name| Command::Pin(name, None)),
    ),
    line(
        &["delete"],
        Behind::KnownName,
        "drop a saved filter",
        |name| named(name, "delete").map(Command::Delete),
    ),
    line(
        &["filter"],
        Behind::Filter,
        "filter the list on screen",
        |text| Ok(Command::Filter(text.to_owned())),
    ),
    line(&["clear"], Behind::Nothing, "drop the filter", |_| {
        Ok(Command::Clear)
    }),
    line(
        &["at", "time"],
        Behind::Time,
        "go to a time: 14:30, yesterday, 2026-11-20",
        |text| {
            if text.is_empty() {
                return Err("which time? `:at yesterday`".to_owned());
            }
            Ok(Command::Time(text.to_owned()))
        },
    ),
    line(
        &["export"],
        Behind::Format,
        "write all rows of this list into a file",
        export,
    ),
    line(
        &["sort"],
        Behind::Order,
        "newest first or oldest first",
        |word| Order::parse(word).map(Command::Order),
    ),
    line(&["help", "keys"], Behind::Nothing, "the keys", |_| {
        Ok(Command::Help)
    }),
    line(&["quit", "q"], Behind::Nothing, "close the screen", |_| {
        Ok(Command::Quit)
    }),
    line(&["today"], Behind::Nothing, "the daily review", |_| {
        Ok(Command::Go(Screen::Today, None))
    }),
    line(&["events"], Behind::Filter, "what happened", |text| {
        go(List::Events, text)
    }),
    line(&["users"], Behind::Filter, "readers", |text| {
        go(List::Users, text)
    }),
    line(
        &["subscriptions", "subs"],
        Behind::Filter,
        "subscriptions",
        |text| go(List::Subscriptions, text),
    ),
    line(
        &["cancellations", "cancels"],
        Behind::Filter,
        "cancellations",
        |text| go(List::Cancellations, text),
    ),
    line(
        &["consents", "consent"],
        Behind::Filter,
        "consents as they stand",
        |text| go(List::Consents, text),
    ),
    line(
        &["changes"],
        Behind::Filter,
        "every change of a consent",
        |text| go(List::Changes, text),
    ),
    line(
        &["payments"],
        Behind::Filter,
        "payments and refunds",
        |text| go(List::Payments, text),
    ),
    line(
        &["deliveries"],
        Behind::Filter,
        "every webhook, stored or turned away",
        |text| go(List::Deliveries, text),
    ),
    line(
        &["connections", "connect"],
        Behind::Nothing,
        "links, last webhooks, proofs",
        |_| Ok(Command::Go(Screen::Connections, None)),
    ),
];

#[expect(clippy::unnecessary_wraps, reason = "one of the makers in the table")]
fn go(list: List, filter: &str) -> Result<Command, String> {
    let filter = (!filter.is_empty()).then(|| filter.to_owned());
    Ok(Command::Go(Screen::List(list), filter))
}

fn named(name: &str, command: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err(format!("which one? `:{command} NAME`"));
    }
    Ok(name.to_owned())
}

fn pin(text: &str) -> Result<Command, String> {
    let digit = |word: &str| word.parse().ok().filter(|digit| (1..=9).contains(digit));
    match text.rsplit_once(char::is_whitespace) {
        Some((name, word)) if digit(word).is_some() => {
            Ok(Command::Pin(name.trim().to_owned(), digit(word)))
        }
        _ => Err("which one, and to which digit? `:pin NAME 1`".to_owned()),
    }
}

fn export(text: &str) -> Result<Command, String> {
    if text.is_empty() {
        return Ok(Command::Export(None));
    }
    let mut formats = FileFormat::ALL.iter();
    if let Some((format, ..)) = formats.find(|(_, word, _)| *word == text) {
        return Ok(Command::Export(Some(*format)));
    }
    let words: Vec<_> = FileFormat::ALL.iter().map(|(_, word, _)| *word).collect();
    Err(format!("no format {text:?}: one of {}", words.join(", ")))
}

/// The command that `text` is, or why it is none.
pub fn parse(text: &str) -> Result<Command, String> {
    let text = text.trim();
    let (name, behind) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let known = |line: &&Line| line.names.contains(&name);
    let Some(line) = COMMANDS.iter().find(known) else {
        return Err(unknown(name));
    };
    let behind = behind.trim();
    if line.behind == Behind::Nothing && !behind.is_empty() {
        return Err(format!("nothing stands behind `:{name}`"));
    }
    (line.make)(behind)
}

fn unknown(name: &str) -> String {
    let names = COMMANDS.iter().flat_map(|line| line.names.iter().copied());
    let nearest = names
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 3)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, known)) => format!("no command {name:?}; did you mean `:{known}`?"),
        None => format!("no command {name:?}: Tab shows all"),
    }
}

/// Where what stands behind the command begins, and the list that it filters, if it does: a name of a list says which,
/// else `here`.
pub fn filter_in(text: &str, here: List) -> Option<(usize, List)> {
    let start = text.len() - text.trim_start().len();
    let gap = start + text[start..].find(char::is_whitespace)?;
    let line = COMMANDS
        .iter()
        .find(|line| line.names.contains(&&text[start..gap]))?;
    let from = gap + 1;
    (line.behind == Behind::Filter).then(|| (from, List::from_word(line.names[0]).unwrap_or(here)))
}

/// What the end of `text` may become, and the byte where it begins: commands, names of saved filters, formats.
pub fn offers(text: &str, views: &[View]) -> (usize, Vec<Offer>) {
    let start = text.len() - text.trim_start().len();
    let Some(gap) = text[start..].find(char::is_whitespace) else {
        return (start, names(&text[start..]));
    };
    let name = &text[start..start + gap];
    let rest = &text[start + gap..];
    let from = text.len() - rest.trim_start().len();
    let begun = rest.trim_start().to_lowercase();
    let line = COMMANDS.iter().find(|line| line.names.contains(&name));
    let items = match line.map(|line| line.behind) {
        Some(Behind::KnownName | Behind::NameAndDigit | Behind::Name) => views
            .iter()
            .filter(|view| view.name.to_lowercase().starts_with(&begun))
            .map(|view| Offer {
                text: view.name.clone(),
                help: "",
            })
            .collect(),
        Some(Behind::Order) => Order::ALL
            .iter()
            .filter(|order| order.as_str().starts_with(&begun))
            .map(|order| Offer {
                text: order.to_string(),
                help: "",
            })
            .collect(),
        Some(Behind::Format) => FileFormat::ALL
            .iter()
            .filter(|(_, word, _)| word.starts_with(&begun))
            .map(|(_, word, help)| Offer {
                text: (*word).to_owned(),
                help,
            })
            .collect(),
        _ => Vec::new(),
    };
    (
        from,
        items
            .into_iter()
            .filter(|offer| offer.text != text[from..])
            .collect(),
    )
}

fn names(begun: &str) -> Vec<Offer> {
    COMMANDS
        .iter()
        .filter(|line| line.names.iter().any(|name| name.starts_with(begun)))
        .map(|line| {
            let gap = if line.behind == Behind::Nothing {
                ""
            } else {
                " "
            };
            Offer {
                text: format!("{}{gap}", line.names[0]),
                help: line.help,
            }
        })
        .filter(|offer| offer.text != begun)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_commands_share_a_name_and_each_says_what_it_does() {
        let mut seen = HashSet::new();
        for line in COMMANDS {
            assert!(
                !line.help.is_empty() && line.help.len() < 50,
                "{:?}",
                line.names
            );
            for name in line.names {
                assert!(seen.insert(*name), "{name} twice");
            }
        }
        for (_, screen, name, _) in Screen::TABS {
            let word = name.to_lowercase();
            assert!(
                matches!(parse(&word), Ok(Command::Go(found, None)) if found == *screen),
                "{word}"
            );
        }
    }

    #[test]
    fn a_command_is_read_with_what_stands_behind_it() {
        for (text, wanted) in [
            (
                "save  gold and late ",
                Command::Save("gold and late".to_owned()),
            ),
            (
                "pin gold and late 3",
                Command::Pin("gold and late".to_owned(), Some(3)),
            ),
            ("unpin gold", Command::Pin("gold".to_owned(), None)),
            ("q", Command::Quit),
            (
                "subs is:ending",
                Command::Go(Screen::SUBSCRIPTIONS, Some("is:ending".to_owned())),
            ),
            ("export md", Command::Export(Some(FileFormat::Md))),
            ("filter", Command::Filter(String::new())),
        ] {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_command_says_the_nearest() {
        for (text, says) in [
            ("sav x", "no command \"sav\"; did you mean `:save`?"),
            ("evnets", "no command \"evnets\"; did you mean `:events`?"),
            ("frobnicate", "no command \"frobnicate\": Tab shows all"),
            ("save", "which one? `:save NAME`"),
            (
                "pin gold 12",
                "which one, and to which digit? `:pin NAME 1`",
            ),
            (
                "export pdf",
                "no format \"pdf\": one of csv, tsv, json, ndjson, md",
            ),
            ("quit now", "nothing stands behind `:quit`"),
        ] {
            assert_eq!(parse(text), Err(says.to_owned()), "{text}");
        }
    }

    #[test]
    fn names_of_commands_and_saved_filters_are_offered() {
        let views = ["Gold late", "silver"].map(|name| View {
            name: name.to_owned(),
            list: List::Events,
            query: String::new(),
            order: Order::default(),
            pin: None,
        });
        let texts = |text: &str| {
            let (from, offers) = offers(text, &views);
            let texts: Vec<_> = offers.into_iter().map(|offer| offer.text).collect();
            (from, texts)
        };
        assert_eq!(
            texts("vi"),
            (0, vec!["view ".to_owned(), "views".to_owned()])
        );
        assert_eq!(texts("view g"), (5, vec!["Gold late".to_owned()]));
        assert_eq!(texts(" export n"), (8, vec!["ndjson".to_owned()]));
        assert_eq!(texts("quit "), (5, Vec::new()));
        assert_eq!(texts("").1.len(), COMMANDS.len());
        assert_eq!(
            filter_in("subs is:e", List::Events),
            Some((5, List::Subscriptions))
        );
        assert_eq!(filter_in("filter pro", List::Users), Some((7, List::Users)));
        assert_eq!(filter_in("view pro", List::Users), None);
    }
}
