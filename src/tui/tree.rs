//! A JSON body as a tree that folds: every token as it was sent, no number read, no key moved or dropped.
//!
//! Plain data. One flat list of values in the order of the text, and beside it the list of those that are not folded
//! away: both are walked without recursion, so neither depth nor length can exhaust the stack, and drawing costs what
//! is on screen.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// More values than these are not made a tree of: 40 bytes each would be more than a screen may hold.
const NODES_MAX: usize = 1_000_000;

/// A body of up to so many values begins with everything open, a longer one with the outermost alone.
const OPEN_MAX: usize = 400;

/// So many bytes of a value are looked at to show its beginning.
const SHOWN_BYTES: usize = 2048;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`.
    Object,
    /// `[`.
    Array,
    /// `"`.
    Text,
    /// A number, `true`, `false` or `null`.
    Bare,
}

/// One value. Positions are bytes of the text.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    depth: u32,
    parent: u32,
    /// Its place among those of its parent.
    place: u32,
    /// The key with its quotes; empty in arrays.
    key: (u32, u32),
    /// The whole value.
    at: (u32, u32),
    /// How many values stand within it, at any depth.
    below: u32,
    /// How many stand directly within it.
    children: u32,
}

/// Why a body is not shown as a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no text.
    #[error("the body is no text, so it is no JSON")]
    NotText,
    /// There is nothing.
    #[error("the body is empty")]
    Empty,
    /// It is not JSON.
    #[error("the body is no JSON: byte {0} is not what should stand there")]
    NotJson(usize),
    /// It holds too much.
    #[error("the body has more than 1,000,000 values: too many for a tree")]
    TooMany,
}

/// A body as a tree.
#[derive(Clone, Debug)]
pub struct Tree {
    text: Arc<str>,
    nodes: Vec<Node>,
    open: Vec<bool>,
    /// The nodes that no folded one hides.
    shown: Vec<u32>,
}

/// One line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeLine {
    /// How deep it stands.
    pub depth: usize,
    /// `Some(true)`: open; `None`: nothing can be opened.
    pub open: Option<bool>,
    /// The key, or the place in its array; empty for the outermost.
    pub key: String,
    /// The value, or what a folded one begins with.
    pub value: String,
    /// What kind of value it is.
    pub kind: Kind,
}

impl Tree {
    /// The tree of `body`.
    pub fn of(body: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(body).map_err(|_| Fault::NotText)?;
        if text.trim().is_empty() {
            return Err(Fault::Empty);
        }
        let nodes = Parser::new(text.as_bytes()).parse()?;
        let all = nodes.len() <= OPEN_MAX;
        let mut tree = Self {
            text: Arc::from(text),
            open: nodes.iter().map(|node| all || node.depth == 0).collect(),
            nodes,
            shown: Vec::new(),
        };
        tree.settle();
        Ok(tree)
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Never: there is always the outermost value.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// How many values there are.
    pub fn values(&self) -> usize {
        self.nodes.len()
    }

    fn node(&self, line: usize) -> Option<(usize, &Node)> {
        let at = usize::try_from(*self.shown.get(line)?).ok()?;
        Some((at, &self.nodes[at]))
    }

    fn slice(&self, (from, to): (u32, u32)) -> &str {
        self.text
            .get(from as usize..to as usize)
            .unwrap_or_default()
    }

    /// Line `line`, the value cut to its first bytes.
    pub fn line(&self, line: usize) -> Option<TreeLine> {
        let (at, node) = self.node(line)?;
        let holds = node.children > 0;
        Some(TreeLine {
            depth: node.depth as usize,
            open: holds.then(|| self.open[at]),
            key: self.name(node),
            value: self.beginning(at, node),
            kind: node.kind,
        })
    }

    /// The key, or the place in an array.
    fn name(&self, node: &Node) -> String {
        match node.key {
            (0, 0) if node.depth == 0 => String::new(),
            (0, 0) => format!("[{}]", node.place),
            key => decoded(first(inside(self.slice(key)), SHOWN_BYTES)).into_owned(),
        }
    }

    fn beginning(&self, at: usize, node: &Node) -> String {
        let raw = self.slice(node.at);
        match node.kind {
            Kind::Bare => first(raw, SHOWN_BYTES).to_owned(),
            Kind::Text => {
                let text = inside(raw);
                let cut = first(text, SHOWN_BYTES);
                let end = if cut.len() < text.len() { "…" } else { "\"" };
                format!("\"{}{end}", decoded(cut))
            }
            Kind::Object | Kind::Array => {
                let (left, right) = if node.kind == Kind::Object {
                    ('{', '}')
                } else {
                    ('[', ']')
                };
                let mut out = if node.children == 0 {
                    format!("{left}{right}")
                } else {
                    format!("{left}{}{right}", node.children)
                };
                if node.children > 0 && !self.open[at] {
                    out.push_str("  ");
                    out.push_str(&squeezed(inside(first(raw, 240))));
                }
                out
            }
        }
    }

    /// The path of `line`: `$.data.items[3].name`, other keys as `["a b"]`.
    pub fn path(&self, line: usize) -> String {
        let Some((mut at, _)) = self.node(line) else {
            return String::new();
        };
        let mut steps = Vec::new();
        while self.nodes[at].depth > 0 {
            steps.push(at);
            at = self.nodes[at].parent as usize;
        }
        let mut path = String::from("$");
        for step in steps.into_iter().rev() {
            let node = &self.nodes[step];
            let key = self.slice(node.key);
            if key.is_empty() {
                write!(path, "[{}]", node.place).expect("a String takes everything");
            } else if is_plain(inside(key)) {
                path.push('.');
                path.push_str(inside(key));
            } else {
                path.extend(["[", key, "]"]);
            }
        }
        path
    }

    /// The value of `line`: the text of a string, everything else as it was sent.
    pub fn value(&self, line: usize) -> String {
        match self.node(line) {
            Some((_, node)) if node.kind == Kind::Text => {
                decoded(inside(self.slice(node.at))).into_owned()
            }
            _ => self.json(line).to_owned(),
        }
    }

    /// The JSON of `line` as it was sent.
    pub fn json(&self, line: usize) -> &str {
        self.node(line).map_or("", |(_, node)| self.slice(node.at))
    }

    /// Lists anew what is not folded away.
    fn settle(&mut self) {
        self.shown.clear();
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            self.shown.push(u32::try_from(at).unwrap_or(u32::MAX));
            let hidden = if self.open[at] {
                0
            } else {
                node.below as usize
            };
            at += 1 + hidden;
        }
    }

    /// The line on which value `at` stands, or the folded one that hides it.
    fn line_of(&self, at: usize) -> usize {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.shown
            .partition_point(|shown| *shown <= at)
            .saturating_sub(1)
    }

    /// Opens what is folded and folds what is open.
    pub fn toggle(&mut self, line: usize) {
        if let Some((at, node)) = self.node(line)
            && node.children > 0
        {
            self.open[at] = !self.open[at];
            self.settle();
        }
    }

    /// Opens `line`; where it is open, to the first within. The line to stand on.
    pub fn go_in(&mut self, line: usize) -> usize {
        match self.node(line) {
            Some((at, node)) if node.children > 0 && self.open[at] => line + 1,
            Some((at, node)) if node.children > 0 => {
                self.open[at] = true;
                self.settle();
                line
            }
            _ => line,
        }
    }

    /// Folds `line`; where there is nothing to fold, to what it stands in. The line to stand on.
    pub fn go_out(&mut self, line: usize) -> usize {
        match self.node(line) {
            Some((at, node)) if node.children > 0 && self.open[at] => {
                self.open[at] = false;
                self.settle();
                line
            }
            Some((_, node)) if node.depth > 0 => self.line_of(node.parent as usize),
            _ => line,
        }
    }

    /// Opens everything. The line on which the value of `line` stands now.
    pub fn open_all(&mut self, line: usize) -> usize {
        let at = self.node(line).map_or(0, |(at, _)| at);
        self.open.fill(true);
        self.settle();
        self.line_of(at)
    }

    /// Folds everything but the outermost. The line of what holds the value of `line` now.
    pub fn close_all(&mut self, line: usize) -> usize {
        let at = self.node(line).map_or(0, |(at, _)| at);
        for (open, node) in self.open.iter_mut().zip(&self.nodes) {
            *open = node.depth == 0;
        }
        self.settle();
        self.line_of(at)
    }

    /// Opens everything within `line`.
    pub fn open_below(&mut self, line: usize) {
        if let Some((at, node)) = self.node(line) {
            let end = at + node.below as usize;
            self.open[at..=end].fill(true);
            self.settle();
        }
    }

    /// The next value after `line` whose key or value holds `text`, in any case, from the beginning again after the
    /// end, and whether it began again; what hides it is opened. `None` if there is none.
    pub fn find(&mut self, text: &str, line: usize, forward: bool) -> Option<(usize, bool)> {
        let wanted = text.to_lowercase();
        let count = self.nodes.len();
        let here = self.node(line).map_or(0, |(at, _)| at);
        let found = (1..=count).find_map(|step| {
            let at = if forward {
                (here + step) % count
            } else {
                (here + count - step % count) % count
            };
            self.holds(at, &wanted).then_some(at)
        })?;
        let mut at = found;
        while self.nodes[at].depth > 0 {
            at = self.nodes[at].parent as usize;
            self.open[at] = true;
        }
        self.settle();
        let again = if forward {
            found <= here
        } else {
            found >= here
        };
        Some((self.line_of(found), again))
    }

    fn holds(&self, at: usize, wanted: &str) -> bool {
        let node = &self.nodes[at];
        let meets = |raw: &str| decoded(raw).to_lowercase().contains(wanted);
        meets(inside(self.slice(node.key)))
            || match node.kind {
                Kind::Text => meets(inside(self.slice(node.at))),
                Kind::Bare => meets(self.slice(node.at)),
                Kind::Object | Kind::Array => false,
            }
    }
}

/// A string without its quotes, a list without its brackets.
fn inside(raw: &str) -> &str {
    let mut chars = raw.chars();
    chars.next();
    let rest = chars.as_str();
    rest.strip_suffix(['"', '}', ']']).unwrap_or(rest)
}

/// The beginning of `text`, at most so many bytes.
pub(super) fn first(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A piece of JSON on one line, without blanks outside strings.
fn squeezed(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        if in_string {
            in_string = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            return true;
        }
        in_string = *c == '"';
        !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

/// A key that needs no brackets in a path.
fn is_plain(key: &str) -> bool {
    let mut chars = key.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The text that a JSON string means. Half a surrogate pair means nothing and stays as it was sent.
fn decoded(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (text, used) = escape(&rest[at..]);
        match text {
            Some(c) => out.push(c),
            None => out.push_str(&rest[at..at + used]),
        }
        rest = &rest[at + used..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that an escape at the beginning of `raw` means, if it means one, and the bytes it takes.
fn escape(raw: &str) -> (Option<char>, usize) {
    let plain = match raw.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(c @ (b'"' | b'\\' | b'/')) => char::from(*c),
        Some(b'u') => return code_point(raw),
        _ => return (None, 1),
    };
    (Some(plain), 2)
}

fn code_point(raw: &str) -> (Option<char>, usize) {
    let unit = |at: usize| {
        let digits = raw.get(at + 2..at + 6)?;
        let marked = raw.get(at..at + 2)? == "\\u";
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        (marked && hex).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let Some(high) = unit(0) else {
        return (None, 1);
    };
    let pair: Vec<u16> = std::iter::once(high).chain(unit(6)).collect();
    match char::decode_utf16(pair).next() {
        Some(Ok(c)) => (Some(c), c.len_utf16() * 6),
        _ => (None, 6),
    }
}

/// What may stand next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ItemOrEnd,
    KeyOrEnd,
    Key,
    Behind,
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    /// What is open, outermost first.
    within: Vec<u32>,
    key: (u32, u32),
}

fn short(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            nodes: Vec::new(),
            within: Vec::new(),
            key: (0, 0),
        }
    }

    fn fault<T>(&self) -> Result<T, Fault> {
        Err(Fault::NotJson(self.at + 1))
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn parse(mut self) -> Result<Vec<Node>, Fault> {
        if u32::try_from(self.bytes.len()).is_err() {
            return Err(Fault::TooMany);
        }
        let mut next = Next::Value;
        loop {
            let byte = self.peek();
            next = match (next, byte) {
                (Next::Behind, None) if self.within.is_empty() => return Ok(self.nodes),
                (Next::ItemOrEnd, Some(b']')) | (Next::KeyOrEnd, Some(b'}')) => self.end(),
                (Next::Value | Next::ItemOrEnd, Some(byte)) => self.value(byte)?,
                (Next::KeyOrEnd | Next::Key, Some(b'"')) => self.name()?,
                (Next::Behind, Some(byte)) => self.behind(byte)?,
                _ => return self.fault(),
            };
        }
    }

    /// Closes what is open.
    fn end(&mut self) -> Next {
        self.at += 1;
        if let Some(open) = self.within.pop() {
            let below = self.nodes.len() - open as usize - 1;
            let node = &mut self.nodes[open as usize];
            node.at.1 = short(self.at);
            node.below = short(below);
        }
        Next::Behind
    }

    fn behind(&mut self, byte: u8) -> Result<Next, Fault> {
        let Some(open) = self.within.last() else {
            return self.fault();
        };
        let in_object = self.nodes[*open as usize].kind == Kind::Object;
        match (byte, in_object) {
            (b',', true) => {
                self.at += 1;
                Ok(Next::Key)
            }
            (b',', false) => {
                self.at += 1;
                Ok(Next::Value)
            }
            (b'}', true) | (b']', false) => Ok(self.end()),
            _ => self.fault(),
        }
    }

    fn name(&mut self) -> Result<Next, Fault> {
        let from = self.at;
        self.string()?;
        self.key = (short(from), short(self.at));
        if self.peek() != Some(b':') {
            return self.fault();
        }
        self.at += 1;
        Ok(Next::Value)
    }

    fn value(&mut self, byte: u8) -> Result<Next, Fault> {
        let from = self.at;
        let (kind, next) = match byte {
            b'{' => (Kind::Object, Next::KeyOrEnd),
            b'[' => (Kind::Array, Next::ItemOrEnd),
            b'"' => (Kind::Text, Next::Behind),
            _ => (Kind::Bare, Next::Behind),
        };
        match kind {
            Kind::Object | Kind::Array => self.at += 1,
            Kind::Text => self.string()?,
            Kind::Bare => self.bare(byte)?,
        }
        self.push(kind, from)?;
        if next != Next::Behind {
            self.within.push(short(self.nodes.len() - 1));
        }
        Ok(next)
    }

    fn push(&mut self, kind: Kind, from: usize) -> Result<(), Fault> {
        if self.nodes.len() >= NODES_MAX {
            return Err(Fault::TooMany);
        }
        let parent = self.within.last().copied();
        let place = parent.map_or(0, |parent| {
            let parent = &mut self.nodes[parent as usize];
            parent.children += 1;
            parent.children - 1
        });
        self.nodes.push(Node {
            kind,
            depth: short(self.within.len()),
            parent: parent.unwrap_or(0),
            place,
            key: std::mem::take(&mut self.key),
            at: (short(from), short(self.at)),
            below: 0,
            children: 0,
        });
        Ok(())
    }

    /// A string from its first quote to behind its last.
    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let length = match self.bytes.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') => 6,
                        _ => return self.fault(),
                    };
                    let digits = self.bytes.get(self.at + 2..self.at + length);
                    let hex = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                    if !hex {
                        return self.fault();
                    }
                    self.at += length;
                }
                Some(0..=0x1f) | None => return self.fault(),
                Some(_) => self.at += 1,
            }
        }
    }

    fn bare(&mut self, byte: u8) -> Result<(), Fault> {
        for word in ["true", "false", "null"] {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(());
            }
        }
        if byte == b'-' {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Fault> {
        let from = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == from {
            return self.fault();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(json: &str) -> Tree {
        Tree::of(json.as_bytes()).unwrap()
    }

    fn lines(tree: &Tree) -> Vec<String> {
        let text = |line| {
            let line: TreeLine = tree.line(line).unwrap();
            format!("{}{}={}", " ".repeat(line.depth), line.key, line.value)
        };
        (0..tree.len()).map(text).collect()
    }

    #[test]
    fn every_token_stays_as_it_was_sent() {
        let shown = lines(&tree(
            r#"{"amount":1.50,"big":1e400,"list":[],"x\u0131":"\ud83d\ude00 \"q\" \ud800","a":1,"a":2}"#,
        ));
        assert_eq!(
            shown,
            [
                "={6}",
                " amount=1.50",
                " big=1e400",
                " list=[]",
                " xı=\"😀 \"q\" \\ud800\"",
                " a=1",
                " a=2",
            ]
        );
    }

    #[test]
    fn the_path_names_the_value_under_the_cursor() {
        let tree = tree(r#"{"data":{"a b":[{"id":7},8]},"n":null}"#);
        let paths: Vec<_> = (0..tree.len()).map(|line| tree.path(line)).collect();
        assert_eq!(
            paths,
            [
                "$",
                "$.data",
                "$.data[\"a b\"]",
                "$.data[\"a b\"][0]",
                "$.data[\"a b\"][0].id",
                "$.data[\"a b\"][1]",
                "$.n",
            ]
        );
        assert_eq!(tree.json(3), r#"{"id":7}"#);
        assert_eq!(tree.value(6), "null");
    }

    #[test]
    fn what_is_folded_says_how_much_is_in_it() {
        let mut tree = tree(r#"{"a": {"b": "x y", "c": 2}, "d": [1, [2, 3]]}"#);
        assert_eq!(tree.close_all(3), 1);
        assert_eq!(
            lines(&tree),
            ["={2}", r#" a={2}  "b":"x y","c":2"#, " d=[2]  1,[2,3]"]
        );
        assert_eq!(tree.go_in(1), 1);
        assert_eq!(tree.go_in(1), 2);
        assert_eq!(tree.go_out(2), 1);
        assert_eq!(tree.go_out(1), 1);
        assert_eq!(tree.go_out(1), 0);
        tree.open_below(0);
        assert_eq!(tree.len(), tree.values());
    }

    #[test]
    fn a_search_opens_what_hides_its_hit_and_begins_again_at_the_end() {
        let mut tree = tree(r#"{"a":{"deep":{"Name":"\u00c7i\u011fdem"}},"b":"name"}"#);
        tree.close_all(0);
        assert_eq!(tree.find("NAME", 0, true), Some((3, false)));
        assert_eq!(tree.path(3), "$.a.deep.Name");
        assert_eq!(tree.find("name", 3, true), Some((4, false)));
        assert_eq!(tree.find("name", 4, true), Some((3, true)));
        assert_eq!(tree.find("name", 3, false), Some((4, true)));
        assert_eq!(tree.find("çiğdem", 0, true), Some((3, false)));
        assert_eq!(tree.find("nowhere", 0, true), None);
    }

    #[test]
    fn what_is_no_json_is_said_with_its_place() {
        for (body, fault) in [
            ("", Fault::Empty),
            (" \n", Fault::Empty),
            ("a=1&b=2", Fault::NotJson(1)),
            ("{\"a\":01}", Fault::NotJson(7)),
            ("[1,]", Fault::NotJson(4)),
            ("{\"a\"}", Fault::NotJson(5)),
            ("[1] 2", Fault::NotJson(5)),
            ("[1}", Fault::NotJson(3)),
            ("\"a\nb\"", Fault::NotJson(3)),
            ("[", Fault::NotJson(2)),
            ("\u{feff}{}", Fault::NotJson(1)),
        ] {
            assert_eq!(Tree::of(body.as_bytes()).err(), Some(fault), "{body:?}");
        }
        assert_eq!(Tree::of(b"{\"a\":\"\xff\"}").err(), Some(Fault::NotText));
    }

    #[test]
    fn ten_thousand_levels_are_no_trouble() {
        let depth = 10_000;
        let json = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let mut tree = tree(&json);
        assert_eq!(tree.len(), 2, "only the outermost is open");
        tree.open_all(0);
        assert_eq!(tree.len(), depth + 1);
        assert_eq!(tree.path(depth).len(), 1 + 3 * depth);
        assert_eq!(tree.find("1", 0, true), Some((depth, false)));
        assert_eq!(tree.close_all(depth), 1);
    }

    #[test]
    fn a_megabyte_is_a_list_of_which_only_the_lines_on_screen_are_made() {
        let item = r#"{"id":123456,"name":"reader","plan":"gold"},"#;
        let mut json = format!("[{}", item.repeat(24_000));
        json.pop();
        json.push(']');
        assert!(json.len() > 1_000_000);
        let mut tree = tree(&json);
        assert_eq!(tree.len(), 24_001);
        assert_eq!(tree.open_all(24_000), 24_000 * 4 - 3);
        assert_eq!(tree.path(tree.len() - 1), "$[23999].plan");
        let long = format!("[\"{}\"]", "x".repeat(1_000_000));
        let tree = Tree::of(long.as_bytes()).unwrap();
        assert!(tree.line(1).unwrap().value.len() < 4096);
        assert_eq!(tree.value(1).len(), 1_000_000);
    }

    #[test]
    fn more_values_than_a_screen_can_hold_are_refused() {
        let json = format!("[{}1]", "1,".repeat(NODES_MAX));
        assert_eq!(Tree::of(json.as_bytes()).err(), Some(Fault::TooMany));
    }

    proptest! {
        #[test]
        fn what_serde_takes_is_taken_and_what_it_refuses_is_refused(text in r#"[\[\]{}:,"\\ute0-9. a\n-]{0,24}"#) {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            let ours = Tree::of(text.as_bytes());
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", text, ours.err());
        }

        #[test]
        fn no_fold_loses_its_place(json in any_json(), steps in prop::collection::vec((0..8u8, any::<usize>()), 0..40)) {
            let mut tree = Tree::of(json.as_bytes()).unwrap();
            for (step, line) in steps {
                let line = line % tree.len();
                let stands = match step {
                    0 => { tree.toggle(line); line }
                    1 => tree.go_in(line),
                    2 => tree.go_out(line),
                    3 => tree.open_all(line),
                    4 => tree.close_all(line),
                    5 => { tree.open_below(line); line }
                    6 => tree.find("a", line, true).map_or(0, |(line, _)| line),
                    _ => tree.find("1", line, false).map_or(0, |(line, _)| line),
                };
                prop_assert!(stands < tree.len());
                prop_assert!(tree.line(stands).is_some());
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(tree.json(stands)).is_ok());
            }
        }
    }

    fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("1".to_owned()),
            Just("null".to_owned()),
            Just("\"\\u0131a\"".to_owned()),
            Just("[]".to_owned()),
            Just("{}".to_owned()),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6)
                    .prop_map(|items| format!("[{}]", items.join(" , "))),
                prop::collection::vec(inner, 0..6).prop_map(|items| {
                    let pairs: Vec<_> = items.iter().map(|item| format!("\"a\":{item}")).collect();
                    format!("{{{}}}", pairs.join(","))
                }),
            ]
        })
    }
}
