//! A line for a shell that sends a sample with curl, whole or broken so that it can be pasted from a narrow screen.
//!
//! Plain text functions. Every line break stands where shell and JSON do not mind it, and no line is indented.

use std::fmt;

use serde::{Serialize, Serializer};

/// The headers of every sample.
const HEAD: &str = "curl -H 'Content-Type: application/json' -H 'Subledger-Test: 1'";

/// A request to try a link with, marked as a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curl {
    /// The link, as this machine reaches it.
    pub url: String,
    /// JSON on one line, without blanks between its tokens.
    pub body: String,
}

impl fmt::Display for Curl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HEAD} {} -d {}", word(&self.url), quoted(&self.body))
    }
}

impl Serialize for Curl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Curl {
    /// The same command in lines of at most `cells` characters, to be drawn from the first column on; `None` where a
    /// piece that cannot be broken is wider.
    pub fn lines(&self, cells: usize) -> Option<Vec<String>> {
        let url = word(&self.url);
        let mut lines = vec![format!("{HEAD} \\")];
        match url.rsplit_once('/') {
            Some((head, key)) if url.len() + 2 > cells && !url.ends_with('\'') => {
                lines.extend([format!("{head}/\\"), format!("{key} \\")]);
            }
            _ => lines.push(format!("{url} \\")),
        }
        let mut line = "-d '".to_owned();
        for token in tokens(&self.body) {
            let token = token.replace('\'', "'\\''");
            // One more for the closing quote.
            if line.chars().count() + token.chars().count() + 1 > cells {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(&token);
        }
        line.push('\'');
        lines.push(line);
        let fits = |line: &String| line.chars().count() <= cells;
        lines.iter().all(fits).then_some(lines)
    }
}

/// Valid JSON without the blanks between its tokens; what stands within strings is left as it is.
pub fn compact(json: &str) -> String {
    let mut within = Within::default();
    let kept = |c: &char| within.step(*c) || !c.is_ascii_whitespace();
    json.chars().filter(kept).collect()
}

/// The pieces of JSON between which a line break changes nothing.
fn tokens(json: &str) -> Vec<String> {
    let mut within = Within::default();
    let mut tokens = vec![String::new()];
    for c in json.chars() {
        let inside = within.step(c);
        if let Some(last) = tokens.last_mut() {
            last.push(c);
        }
        if !inside && matches!(c, ',' | '{' | '[' | ':') {
            tokens.push(String::new());
        }
    }
    tokens
}

/// Whether a place in JSON is inside a string.
#[derive(Default)]
struct Within {
    string: bool,
    escaped: bool,
}

impl Within {
    /// Whether `c`, the next character, belongs to a string, its quotes included.
    fn step(&mut self, c: char) -> bool {
        let was = self.string;
        if was {
            self.string = self.escaped || c != '"';
            self.escaped = !self.escaped && c == '\\';
        } else {
            self.string = c == '"';
        }
        was || self.string
    }
}

/// One word for a shell, in quotes where it needs them.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:%@".contains(c);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_the_line_as_one_word_each() {
        assert_eq!(quoted("it's $HOME `x`"), "'it'\\''s $HOME `x`'");
        assert_eq!(
            compact("{\n \"a b\": \"c \\\" d\\\\\" ,\n\"e\": 1 }"),
            "{\"a b\":\"c \\\" d\\\\\",\"e\":1}"
        );
        assert_eq!(word("http://[::1]:80/a"), "'http://[::1]:80/a'");
    }

    #[test]
    fn a_shell_reads_the_broken_line_as_the_whole_one() {
        let curl = Curl {
            url: format!("http://127.0.0.1:8484/hooks/expressconsent/events/k_{}", "a".repeat(32)),
            body: r#"{"who":"it's, \"she\" said: {no}","list":[1,2,3],"more":{"plan":"Gold monthly","at":"2026-11-20"}}"#
                .to_owned(),
        };
        let lines = curl.lines(80).unwrap();
        assert!(lines.iter().all(|line| line.len() <= 80), "{lines:#?}");
        let run = |script: String| {
            let told = format!("curl() {{ printf '%s\\n' \"$@\" | tr -d '\\n'; }}\n{script}\n");
            let done = std::process::Command::new("sh")
                .args(["-c", &told])
                .output();
            String::from_utf8(done.unwrap().stdout).unwrap()
        };
        assert_eq!(run(lines.join("\n")), run(curl.to_string()));
        assert_eq!(curl.lines(40), None);
    }
}
