//! The command that brings this screen back, as one line for a shell.
//!
//! Plain text. What a reader or a provider wrote may stand in a filter, so every word is quoted for the shell, and what
//! a terminal could act on is spelt out.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation as _;

use crate::domain::page::{List, Order};
use crate::domain::printable::Printable;

/// What is to be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The list; `None` for Today, Connections and other screens, which the command alone opens.
    pub list: Option<List>,
    /// The period of Today, where it is not the usual one: that is told as text, as the screen opens with the usual one.
    pub period: Option<&'a str>,
    /// Personal data is masked.
    pub masked: bool,
    /// The filter.
    pub query: &'a str,
    /// Which end of the list comes first.
    pub order: Order,
    /// The selected row.
    pub id: Option<i64>,
}

/// The command that shows `shown`; `program` is how this one was started, with the options that name the ledger.
pub fn command(program: &[String], shown: &Shown<'_>) -> String {
    let mut words: Vec<String> = program.iter().map(|text| word(text)).collect();
    if let Some(period) = shown.period {
        words.extend(["today", "--since"].map(str::to_owned));
        words.push(word(period));
        return words.join(" ");
    }
    words.push("tui".to_owned());
    if shown.masked {
        words.push("--redact".to_owned());
    }
    if let Some(list) = shown.list {
        if list != List::Events {
            words.extend(["--list".to_owned(), list.to_string()]);
        }
        if let Some(id) = shown.id {
            words.push("--at".to_owned());
            words.push(id.to_string());
        }
        if shown.order != Order::default() {
            words.extend(["--sort".to_owned(), shown.order.to_string()]);
        }
        if !shown.query.is_empty() {
            // A filter may begin with a minus.
            words.push("--".to_owned());
            words.push(word(shown.query));
        } else if list == List::Events && shown.id.is_none() {
            words.extend(["--list".to_owned(), list.to_string()]);
        }
    }
    words.join(" ")
}

/// The command that writes all rows of a list as the screen's export does.
pub fn listing(program: &[String], list: List, query: &str, order: Order, format: &str) -> String {
    let mut words: Vec<String> = program.iter().map(|text| word(text)).collect();
    words.push(list.to_string());
    words.extend(["--limit", "0", "--format", format].map(str::to_owned));
    if order != Order::default() {
        words.extend(["--sort".to_owned(), order.to_string()]);
    }
    if !query.is_empty() {
        words.extend(["--".to_owned(), word(query)]);
    }
    words.join(" ")
}

/// One word for a shell, in quotes where it needs them.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/:%@+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    // What is spelt out on screen would act on a terminal that it is pasted into.
    if text.graphemes(true).any(acts) {
        return spelt_out(text);
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn acts(grapheme: &str) -> bool {
    Printable::line(grapheme).as_str() != grapheme
}

/// In the quotes of bash, zsh, ksh and fish's neighbours, where a byte may be written as a number.
fn spelt_out(text: &str) -> String {
    let mut out = "$'".to_owned();
    for grapheme in text.graphemes(true) {
        if acts(grapheme) {
            // No argument can hold a NUL.
            for byte in grapheme.bytes().filter(|byte| *byte != 0) {
                write!(out, "\\{byte:03o}").ok();
            }
            continue;
        }
        for c in grapheme.chars() {
            if matches!(c, '\'' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn shown(list: List, query: &str, id: Option<i64>) -> String {
        let shown = Shown {
            list: Some(list),
            query,
            period: None,
            masked: false,
            order: Order::Newest,
            id,
        };
        command(&["subledger".to_owned()], &shown)
    }

    #[test]
    fn the_command_says_list_row_and_filter() {
        assert_eq!(
            shown(List::Events, "type:cancel since:7d", Some(1_230_000)),
            "subledger tui --at 1230000 -- 'type:cancel since:7d'"
        );
        assert_eq!(
            shown(List::Users, "-is:test", None),
            "subledger tui --list users -- -is:test"
        );
        assert_eq!(shown(List::Events, "", None), "subledger tui --list events");
        assert_eq!(
            shown(List::Deliveries, "", Some(-5)),
            "subledger tui --list deliveries --at -5"
        );
        let today = Shown {
            list: None,
            period: None,
            masked: false,
            query: "",
            order: Order::Newest,
            id: None,
        };
        let program = ["subledger", "--db", "/tmp/it's here.db"].map(str::to_owned);
        assert_eq!(
            command(&program, &today),
            "subledger --db '/tmp/it'\\''s here.db' tui"
        );
        let masked = Shown {
            masked: true,
            list: Some(List::Users),
            query: "type:cancel",
            ..today.clone()
        };
        assert_eq!(
            command(&["subledger".to_owned()], &masked),
            "subledger tui --redact --list users -- type:cancel"
        );
        let period = Shown {
            period: Some("last-month"),
            ..today
        };
        assert_eq!(
            command(&["subledger".to_owned()], &period),
            "subledger today --since last-month"
        );
    }

    fn read_by(shell: &str, word: &str) -> Option<String> {
        let done = Command::new(shell)
            .args(["-c", &format!("printf %s {word}")])
            .output()
            .ok()?;
        Some(String::from_utf8(done.stdout).unwrap())
    }

    #[test]
    fn hostile_words_are_one_word_for_a_shell_and_drive_no_terminal() {
        for text in [
            "it's $(reboot) `x` \"y\" \\ ! # ~ * ? ; & | < >",
            "\u{1b}]52;c;aGk=\u{7}",
            "a\nrm -rf x",
            "\u{202e}evil\u{200b}'\\",
            "",
            "-rf",
            "山田 👩‍👩‍👧",
        ] {
            let word = word(text);
            assert_eq!(Printable::line(&word).as_str(), word, "{text:?}");
            match read_by("bash", &word) {
                Some(read) => assert_eq!(read, text, "{word}"),
                None => eprintln!("skipped: no bash"),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_text_is_one_word(text in "[^\0]{0,20}") {
            if let Some(read) = read_by("bash", &word(&text)) {
                prop_assert_eq!(read, text);
            }
        }
    }
}
