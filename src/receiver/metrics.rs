//! What the receiver has counted since its start, as Prometheus text.
//!
//! Labels are from closed sets: never a path, an address or a word out of a body.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::providers;
use crate::receiver::health::Pulse;
use crate::receiver::reply::Reply;
use crate::store::vitals::{COMMIT_BOUNDS_MS, Figures};

/// Upper bounds of the histogram of answers, milliseconds.
const BOUNDS_MS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 500, 1_000, 5_000];

/// Why requests are turned away.
const REASONS: [&str; 15] = [
    "signed_time",
    "signature",
    "path_key",
    "basic",
    "address",
    "accounts",
    "nothing_to_judge_by",
    "no_credential",
    "unknown_path",
    "wrong_method",
    "body_too_large",
    "too_slow",
    "compressed",
    "flood",
    "other",
];

/// By what a reason of `providers::door` is told, the surest first: one sentence may name several credentials.
const TOLD_BY: [(&str, &str); 8] = [
    ("accounts", "several accounts"),
    ("accounts", "two accounts"),
    ("signed_time", "signed time"),
    ("nothing_to_judge_by", "nothing to judge by"),
    ("no_credential", "no credential"),
    ("address", "address is not"),
    ("signature", "signature"),
    ("path_key", "secret link wrong"),
];

/// The credentials that can let a request in.
const CREDENTIALS: [&str; 4] = ["path_key", "basic", "signature", "none"];

/// Which secret it was, the newest first; a list that is longer is counted as its fourth.
const POSITIONS: [&str; 4] = ["1", "2", "3", "4"];

/// Counters of one provider, or of everything else.
#[derive(Debug)]
struct Row {
    answers: [AtomicU64; Reply::WORDS.len()],
    reasons: [AtomicU64; REASONS.len()],
    secrets: [[AtomicU64; POSITIONS.len()]; CREDENTIALS.len()],
}

impl Row {
    fn zeros() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            answers: std::array::from_fn(zero),
            reasons: std::array::from_fn(zero),
            secrets: std::array::from_fn(|_| std::array::from_fn(zero)),
        }
    }
}

/// Counters since the start.
#[derive(Debug)]
pub(crate) struct Counters {
    /// The providers of `ALL`, then everything else.
    rows: Vec<Row>,
    unkept: AtomicU64,
    connections: AtomicU64,
    /// One per bound, then those beyond the last.
    took: [AtomicU64; BOUNDS_MS.len() + 1],
    took_us: AtomicU64,
}

impl Counters {
    /// All at zero.
    pub(crate) fn new() -> Self {
        Self {
            rows: (0..=providers::ALL.len()).map(|_| Row::zeros()).collect(),
            unkept: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            took: std::array::from_fn(|_| AtomicU64::new(0)),
            took_us: AtomicU64::new(0),
        }
    }

    fn row(&self, provider: &str) -> &Row {
        let place = providers::ALL
            .iter()
            .position(|known| known.id() == provider);
        &self.rows[place.unwrap_or(providers::ALL.len())]
    }

    /// `reply` was given to a request for `provider`; any other word than a provider's id is `none`.
    pub(crate) fn answered(&self, provider: &str, reply: Reply) {
        add(&self.row(provider).answers[reply.index()]);
    }

    /// A request for `provider` failed: `reply` is its answer, `reason` what the ring says of it, if it would.
    pub(crate) fn turned_away(&self, provider: &str, reply: Reply, reason: Option<&str>) {
        let class = class(reply, reason.unwrap_or_default());
        let place = REASONS.iter().position(|known| *known == class);
        add(&self.row(provider).reasons[place.unwrap_or(REASONS.len() - 1)]);
    }

    /// A delivery of `provider` came in by `credential`, as its column says.
    pub(crate) fn let_in(&self, provider: &str, credential: &str) {
        let row = self.row(provider);
        for word in credential.split('+') {
            let (name, nth) = word.split_once('#').unwrap_or((word, "1"));
            if let Some(place) = CREDENTIALS.iter().position(|known| *known == name) {
                let nth = POSITIONS.iter().position(|known| *known == nth);
                add(&row.secrets[place][nth.unwrap_or(POSITIONS.len() - 1)]);
            }
        }
    }

    /// A failure was too many for its address: not kept in the ring.
    pub(crate) fn unkept(&self) {
        add(&self.unkept);
    }

    /// A connection was accepted.
    pub(crate) fn connected(&self) {
        add(&self.connections);
    }

    /// An authentic delivery was answered after so long.
    pub(crate) fn took(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS_MS.iter().position(|bound| us <= bound * 1_000);
        add(&self.took[place.unwrap_or(BOUNDS_MS.len())]);
        self.took_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Prometheus text.
    pub(crate) fn text(&self, pulse: &Pulse, figures: &Figures, open: usize) -> String {
        let mut page = Page(String::with_capacity(8 << 10));
        self.write_requests(&mut page);
        self.write_credentials(&mut page);
        let took = self.took.each_ref().map(read);
        let sum = Duration::from_micros(read(&self.took_us));
        let help = "From the end of a request's head to its answer, authentic deliveries.";
        page.histogram("answer_seconds", help, &BOUNDS_MS, &took, sum);
        let help = "How long the writer's commits took, sync included.";
        page.histogram(
            "commit_seconds",
            help,
            &COMMIT_BOUNDS_MS,
            &figures.commits,
            figures.commits_took,
        );
        page.one(
            "connections_total",
            "counter",
            "Connections accepted.",
            read(&self.connections),
        );
        page.one(
            "rejected_unkept_total",
            "counter",
            "Failures beyond their address's share: counted, not kept.",
            read(&self.unkept),
        );
        page.one(
            "busy_total",
            "counter",
            "Times that another program held the database's lock for too long.",
            figures.busy,
        );
        page.one("connections_open", "gauge", "Connections open now.", open);
        write_writer(&mut page, pulse);
        write_ledger(&mut page, figures);
        page.0
    }

    fn by_provider(&self) -> impl Iterator<Item = (&'static str, &Row)> {
        let ids = providers::ALL.iter().map(|provider| provider.id());
        ids.chain(["none"]).zip(&self.rows)
    }

    fn write_requests(&self, page: &mut Page) {
        let name = "requests_total";
        page.family(
            name,
            "counter",
            "Requests answered, by provider and outcome.",
        );
        for (id, row) in self.by_provider() {
            for (word, count) in Reply::WORDS.iter().zip(&row.answers) {
                page.counted(name, &[("provider", id), ("outcome", word)], count);
            }
        }
        let name = "rejected_total";
        page.family(
            name,
            "counter",
            "Requests turned away, by provider and kind of reason.",
        );
        for (id, row) in self.by_provider() {
            for (word, count) in REASONS.iter().zip(&row.reasons) {
                page.counted(name, &[("provider", id), ("reason", word)], count);
            }
        }
    }

    fn write_credentials(&self, page: &mut Page) {
        let name = "secret_used_total";
        let help = "Deliveries let in, by credential and which secret of its list, 1 the newest.";
        page.family(name, "counter", help);
        for (id, row) in self.by_provider() {
            for (credential, counts) in CREDENTIALS.iter().zip(&row.secrets) {
                for (position, count) in POSITIONS.iter().zip(counts) {
                    let labels = [
                        ("provider", id),
                        ("credential", credential),
                        ("position", position),
                    ];
                    page.counted(name, &labels, count);
                }
            }
        }
    }
}

fn write_writer(page: &mut Page, pulse: &Pulse) {
    let lag = pulse.last_seq.saturating_sub(pulse.folded_seq);
    page.one(
        "queue_depth",
        "gauge",
        "Deliveries waiting for the writer.",
        pulse.queued,
    );
    page.one(
        "last_seq",
        "gauge",
        "Number of the newest delivery: the head of the chain.",
        pulse.last_seq,
    );
    page.one(
        "projection_lag_deliveries",
        "gauge",
        "Deliveries kept and not yet read into events.",
        lag,
    );
    page.one(
        "writer_failing",
        "gauge",
        "1 while the last commit failed.",
        u8::from(pulse.is_failing),
    );
}

fn write_ledger(page: &mut Page, figures: &Figures) {
    page.one(
        "queue_oldest_seconds",
        "gauge",
        "How long the first delivery in the queue has waited.",
        figures.queue_oldest.as_secs_f64(),
    );
    page.one(
        "quarantined_deliveries",
        "gauge",
        "Deliveries kept and not understood, as of the last minute, 100,000 at most.",
        figures.quarantined,
    );
    page.one(
        "db_bytes",
        "gauge",
        "Size of the database file.",
        figures.db_bytes,
    );
    page.one(
        "wal_bytes",
        "gauge",
        "Size of the write-ahead log.",
        figures.wal_bytes,
    );
    if let Some(free) = figures.disk_free_bytes {
        page.one(
            "disk_free_bytes",
            "gauge",
            "Free on the disk of the database.",
            free,
        );
    }
    let name = "last_delivery_timestamp_seconds";
    page.family(
        name,
        "gauge",
        "When each provider's latest delivery arrived, since 1970.",
    );
    for provider in providers::ALL {
        let of_it = |(id, _): &&(String, _)| id == provider.id();
        if let Some((_, at)) = figures.last_received.iter().find(of_it) {
            let ms = u64::try_from(at.ms()).unwrap_or(0);
            let s = Duration::from_millis(ms).as_secs_f64();
            page.sample(name, &[("provider", provider.id())], s);
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The kind of a reason, one of `REASONS`.
fn class(reply: Reply, reason: &str) -> &'static str {
    match reply {
        Reply::NotFound => "unknown_path",
        Reply::WrongMethod { .. } => "wrong_method",
        Reply::TooLarge | Reply::HeadTooLarge => "body_too_large",
        Reply::TooSlow => "too_slow",
        Reply::Encoded => "compressed",
        Reply::Flood => "flood",
        Reply::Unauthorized => {
            let told = TOLD_BY.iter().find(|(_, words)| reason.contains(words));
            match told {
                Some((class, _)) => class,
                None if reason.contains("basic:") => "basic",
                None => "other",
            }
        }
        _ => "other",
    }
}

/// Text that grows; writing to a String cannot fail.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.0,
            "# HELP subledger_{name} {help}\n# TYPE subledger_{name} {kind}"
        );
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "subledger_{name}");
        for (place, (label, word)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{word}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }

    /// A counter, once it has counted.
    fn counted(&mut self, name: &str, labels: &[(&str, &str)], counter: &AtomicU64) {
        let count = read(counter);
        if count > 0 {
            self.sample(name, labels, count);
        }
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// `counts`: one per bound, then those beyond the last.
    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        bounds_ms: &[u64],
        counts: &[u64],
        sum: Duration,
    ) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (bound, count) in bounds_ms.iter().zip(counts) {
            below += count;
            let s = Duration::from_millis(*bound).as_secs_f64().to_string();
            self.sample(&bucket, &[("le", &s)], below);
        }
        let all: u64 = counts.iter().sum();
        self.sample(&bucket, &[("le", "+Inf")], all);
        self.sample(&format!("{name}_sum"), &[], sum.as_secs_f64());
        self.sample(&format!("{name}_count"), &[], all);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::delivery::Outcome;
    use crate::domain::time::Timestamp;

    /// Name, labels and value of every sample, as the text format of Prometheus has them; panics where it is not.
    pub(crate) fn parsed(text: &str) -> BTreeMap<String, f64> {
        let (mut kinds, mut helped) = (BTreeMap::new(), BTreeSet::new());
        let mut samples = BTreeMap::new();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
                continue;
            }
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(helped.contains(name), "{line}");
                assert!(
                    kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "{line}"
                );
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap();
            let is_word = |word: &str| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (label, word) = label.split_once('=').unwrap();
                let word = word.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                assert!(is_word(label), "{line}");
                assert!(is_word(word) || label == "le", "{line}");
            }
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|ending| name.strip_suffix(ending))
                .find(|family| kinds.get(*family).is_some_and(|kind| kind == "histogram"))
                .unwrap_or(name);
            assert!(is_word(name) && kinds.contains_key(family), "{line}");
            let value: f64 = value.parse().unwrap();
            assert!(
                samples.insert(series.to_owned(), value).is_none(),
                "{line} twice"
            );
        }
        samples
    }

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let counters = Counters::new();
        counters.answered("zotlo", Reply::Kept(Outcome::Stored, 1));
        counters.answered("nobody's \"name\"\n", Reply::NotFound);
        counters.let_in("conscent", "path_key#2+basic+signature:unchecked");
        counters.let_in("conscent", "path_key#19+something");
        counters.took(Duration::from_millis(3));
        counters.took(Duration::from_secs(60));
        let mut commits = [0; COMMIT_BOUNDS_MS.len() + 1];
        commits[1] = 4;
        let figures = Figures {
            commits,
            queue_oldest: Duration::from_millis(1_500),
            last_received: vec![
                ("zotlo".to_owned(), Timestamp::from_ms(1_767_603_600_250)),
                ("of a later version".to_owned(), Timestamp::from_ms(0)),
            ],
            disk_free_bytes: Some(7),
            ..Figures::default()
        };
        let text = counters.text(&Pulse::default(), &figures, 2);
        let samples = parsed(&text);
        let value = |series: &str| samples.get(series).copied();
        for (series, expected) in [
            (
                "subledger_requests_total{provider=\"zotlo\",outcome=\"stored\"}",
                1.0,
            ),
            (
                "subledger_requests_total{provider=\"none\",outcome=\"not_found\"}",
                1.0,
            ),
            (
                "subledger_secret_used_total{provider=\"conscent\",credential=\"path_key\",position=\"2\"}",
                1.0,
            ),
            (
                "subledger_secret_used_total{provider=\"conscent\",credential=\"path_key\",position=\"4\"}",
                1.0,
            ),
            (
                "subledger_secret_used_total{provider=\"conscent\",credential=\"basic\",position=\"1\"}",
                1.0,
            ),
            ("subledger_answer_seconds_bucket{le=\"0.002\"}", 0.0),
            ("subledger_answer_seconds_bucket{le=\"0.005\"}", 1.0),
            ("subledger_answer_seconds_bucket{le=\"+Inf\"}", 2.0),
            ("subledger_answer_seconds_sum", 60.003),
            ("subledger_commit_seconds_bucket{le=\"0.001\"}", 0.0),
            ("subledger_commit_seconds_count", 4.0),
            ("subledger_queue_oldest_seconds", 1.5),
            ("subledger_disk_free_bytes", 7.0),
            ("subledger_connections_open", 2.0),
            (
                "subledger_last_delivery_timestamp_seconds{provider=\"zotlo\"}",
                1_767_603_600.25,
            ),
        ] {
            assert_eq!(value(series), Some(expected), "{series}\n{text}");
        }
        assert!(
            !text.contains("signature\"") && !text.contains("later") && !text.contains("nobody")
        );
    }

    #[test]
    fn every_reason_of_the_door_has_a_kind() {
        let kinds = [
            ("secret link wrong", "path_key"),
            ("secret link wrong; basic right", "path_key"),
            (
                "basic: user right, password wrong; secret link right",
                "basic",
            ),
            ("basic: not base64", "basic"),
            ("signature wrong: not hex; secret link right", "signature"),
            ("signature header sent twice", "signature"),
            ("signed time 412 s off", "signed_time"),
            ("no credential sent", "no_credential"),
            (
                "the settings hold nothing to judge by: basic, signature",
                "nothing_to_judge_by",
            ),
            ("credentials of two accounts", "accounts"),
            ("credentials fit several accounts: main, weekly", "accounts"),
            (
                "the caller's address is not in allow_ips; secret link right",
                "address",
            ),
            ("something new", "other"),
        ];
        for (reason, kind) in kinds {
            assert_eq!(class(Reply::Unauthorized, reason), kind, "{reason}");
            assert!(REASONS.contains(&kind));
        }
        assert!(TOLD_BY.iter().all(|(kind, _)| REASONS.contains(kind)));
    }
}
