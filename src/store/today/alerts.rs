//! Which rules need the publisher, since when, and what of it nobody was told yet.
//!
//! Time is a value, and what is told is text: running the program that tells it is the caller's. Kept in `meta`, so that
//! a restart neither tells the same again nor forgets an end.

use serde::{Deserialize, Serialize};

use crate::domain::page::List;
use crate::domain::printable::Printable;
use crate::domain::query::value_text;
use crate::domain::time::{MINUTE_MS, SECOND_MS, Timestamp, span};
use crate::store::query::Reader;
use crate::store::today::{Need, Rule};
use crate::store::{Error, schema};

/// Where they are kept in `meta`.
pub(crate) const ALERTS: &str = "alerts";
/// Where the last heartbeat is kept in `meta`.
pub(crate) const HEARTBEAT: &str = "heartbeat";

/// So often something is told at most.
const TELL_EVERY_MS: i64 = MINUTE_MS;
/// So many things are followed at most: rules, times providers and accounts, are fewer.
const OPEN_MAX: usize = 200;
/// So many sentences stand for one rule at one provider.
const SENTENCES_MAX: usize = 3;
/// A reason for a failure is cut to so many cells.
const WHY_CELLS_MAX: usize = 200;

/// What needs the publisher, and what was told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    open: Vec<Open>,
    /// What ceased and nobody was told yet.
    ended: Vec<Ended>,
    /// The last attempt to tell.
    pub last: Option<Attempt>,
}

/// Something that needs the publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    rule: Rule,
    provider: Option<String>,
    account: Option<String>,
    says: String,
    count: u64,
    list: Option<List>,
    query: Option<String>,
    since: Timestamp,
    told: bool,
}

/// Something that needed the publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    was: Open,
    at: Timestamp,
}

/// An attempt to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// When one last succeeded.
    pub told_at: Option<Timestamp>,
    /// Since when none did, and why the last did not; `None` if it did.
    pub failing: Option<(Timestamp, String)>,
}

/// Whose alerts these are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The ledger's file.
    pub ledger: String,
    /// What the receiver is reached by, if the settings say so.
    pub public_url: Option<String>,
}

/// The last heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When one last arrived.
    pub sent_at: Option<Timestamp>,
    /// Since when none did, and why; `None` if the last did.
    pub failing: Option<(Timestamp, String)>,
}

/// The object on stdin; `assets/subledger.toml` shows one.
#[derive(Serialize)]
struct Message<'a> {
    ledger: &'a str,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<&'a str>,
    open: usize,
    text: String,
    started: Vec<Told<'a>>,
    ended: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    says: String,
    count: u64,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lasted_s: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<List>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
}

impl Alerts {
    /// Takes in what needs the publisher at `now`; whether anything is to be kept. While `behind`, the figures are not
    /// whole, and rules that depend on them are left as they were.
    pub fn take_in(&mut self, needs: &[Need], behind: bool, now: Timestamp) -> bool {
        let mut found = merged(needs, now);
        if behind {
            found.retain(|open| !open.rule.is_folded());
        }
        let mut changed = false;
        let mut kept = Vec::with_capacity(self.open.len());
        for mut open in std::mem::take(&mut self.open) {
            if let Some(at) = found.iter().position(|one| one.is_same(&open)) {
                open.refresh(found.swap_remove(at));
                kept.push(open);
            } else if behind && open.rule.is_folded() {
                kept.push(open);
            } else {
                self.ended.push(Ended { was: open, at: now });
                changed = true;
            }
        }
        self.open = kept;
        found.sort_by_key(|open| open.rule as u8);
        for fresh in found {
            changed = true;
            let mut ended = self.ended.iter();
            match ended.position(|ended| ended.was.is_same(&fresh)) {
                // It never ended, as far as anybody was told.
                Some(at) => {
                    let mut open = self.ended.remove(at).was;
                    open.refresh(fresh);
                    self.open.push(open);
                }
                None if self.open.len() < OPEN_MAX => self.open.push(fresh),
                None => {}
            }
        }
        changed
    }

    /// Whether something is to be told now: what waits is gathered for a minute after the last attempt.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let waits = !self.ended.is_empty() || self.open.iter().any(|open| !open.told);
        waits
            && self.last.as_ref().is_none_or(|last| {
                // A clock that was put back must not keep anybody waiting.
                now < last.at || now.ms() - last.at.ms() >= TELL_EVERY_MS
            })
    }

    /// What nobody was told yet, as one JSON object.
    pub fn message(&self, sender: &Sender, now: Timestamp) -> Result<String, serde_json::Error> {
        // What began and ended unheard is told as both.
        let began = self.open.iter().filter(|open| !open.told);
        let unheard = self.ended.iter().map(|ended| &ended.was);
        let started: Vec<&Open> = began.chain(unheard.filter(|was| !was.told)).collect();
        let mut lines: Vec<String> = started.iter().map(|open| open.says.clone()).collect();
        for Ended { was, at } in &self.ended {
            let lasted = span(at.ms() - was.since.ms());
            lines.push(format!("over after {lasted}: {}", was.says));
        }
        serde_json::to_string(&Message {
            ledger: &sender.ledger,
            at: now.to_string(),
            public_url: sender.public_url.as_deref(),
            open: self.open.len(),
            text: Printable::lines(&lines.join("\n")).into(),
            started: started.into_iter().map(|open| open.told(None)).collect(),
            ended: self
                .ended
                .iter()
                .map(|ended| ended.was.told(Some(ended.at)))
                .collect(),
        })
    }

    /// Everything was told at `now`.
    pub fn told(&mut self, now: Timestamp) {
        self.ended.clear();
        for open in &mut self.open {
            open.told = true;
        }
        self.last = Some(Attempt {
            at: now,
            told_at: Some(now),
            failing: None,
        });
    }

    /// It could not be told at `now`, and waits for the next minute.
    pub fn failed(&mut self, now: Timestamp, why: &str) {
        let (told_at, failing) = match self.last.take() {
            Some(last) => (last.told_at, last.failing),
            None => (None, None),
        };
        let since = failing.map_or(now, |(since, _)| since);
        self.last = Some(Attempt {
            at: now,
            told_at,
            failing: Some((since, short(why))),
        });
    }

    /// How many things need the publisher.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}

/// An object of the same shape to try the program with.
pub fn trial(sender: &Sender, now: Timestamp) -> Result<String, serde_json::Error> {
    let says = "this is a test of subledger's alerts: nothing is the matter";
    serde_json::to_string(&Message {
        ledger: &sender.ledger,
        at: now.to_string(),
        public_url: sender.public_url.as_deref(),
        open: 0,
        text: says.to_owned(),
        started: vec![Told {
            rule: "test",
            provider: None,
            account: None,
            says: says.to_owned(),
            count: 0,
            since: now.to_string(),
            lasted_s: None,
            list: None,
            query: None,
        }],
        ended: Vec::new(),
    })
}

impl Heartbeat {
    /// One arrived, or did not for this reason; whether that is news.
    pub fn take_in(&mut self, now: Timestamp, failed: Option<&str>) -> bool {
        let Some(why) = failed.map(short) else {
            self.sent_at = Some(now);
            return self.failing.take().is_some();
        };
        let known = self
            .failing
            .as_ref()
            .is_some_and(|(_, known)| *known == why);
        let since = self.failing.as_ref().map_or(now, |(since, _)| *since);
        self.failing = Some((since, why));
        !known
    }
}

impl Open {
    fn is_same(&self, other: &Self) -> bool {
        (self.rule, &self.provider, &self.account) == (other.rule, &other.provider, &other.account)
    }

    /// Takes over what is said of it now.
    fn refresh(&mut self, now: Self) {
        *self = Self {
            since: self.since,
            told: self.told,
            ..now
        };
    }

    fn told(&self, ended_at: Option<Timestamp>) -> Told<'_> {
        Told {
            rule: self.rule.as_str(),
            provider: self.provider.as_deref(),
            account: self.account.as_deref(),
            says: Printable::line(&self.says).into(),
            count: self.count,
            since: self.since.to_string(),
            lasted_s: ended_at.map(|at| (at.ms() - self.since.ms()).max(0) / SECOND_MS),
            list: self.list,
            query: self.query.as_deref(),
        }
    }
}

/// `needs` by rule, provider and account, since `now`: several reasons at one provider are one thing to be told.
fn merged(needs: &[Need], now: Timestamp) -> Vec<Open> {
    let mut out: Vec<(Open, usize)> = Vec::new();
    for need in needs.iter().filter(|need| need.rule != Rule::AlertsFail) {
        let open = Open {
            rule: need.rule,
            provider: need.provider.clone(),
            account: need.account.clone(),
            says: need.sentence.clone(),
            count: need.count,
            list: need.list,
            query: need.query.clone(),
            since: now,
            told: false,
        };
        let Some((one, sentences)) = out.iter_mut().find(|(one, _)| one.is_same(&open)) else {
            out.push((open, 1));
            continue;
        };
        *sentences += 1;
        one.count += open.count;
        if *sentences <= SENTENCES_MAX {
            one.says = format!("{}; {}", one.says, open.says);
        } else if *sentences == SENTENCES_MAX + 1 {
            one.says.push_str("; and more");
        }
        let provider = one.provider.as_deref().map(value_text);
        one.query = provider.map(|provider| format!("is:rejected is:new provider:{provider}"));
    }
    out.into_iter().map(|(open, _)| open).collect()
}

fn short(why: &str) -> String {
    Printable::line(why).cut(WHY_CELLS_MAX).into()
}

impl Reader {
    /// What was told, and what waits to be.
    pub fn alerts(&self) -> Result<Alerts, Error> {
        Ok(self.kept(ALERTS)?.unwrap_or_default())
    }

    /// The last heartbeat.
    pub fn heartbeat(&self) -> Result<Heartbeat, Error> {
        Ok(self.kept(HEARTBEAT)?.unwrap_or_default())
    }

    /// What stands under `key`; what cannot be read was written by another version and is as good as nothing.
    fn kept<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<T>, Error> {
        let text = self.with(|conn| schema::meta(conn, key))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_ms(1_790_000_000_000 + s * SECOND_MS)
    }

    fn need(rule: Rule, provider: Option<&str>, sentence: &str) -> Need {
        Need {
            rule,
            provider: provider.map(str::to_owned),
            account: None,
            sentence: sentence.to_owned(),
            count: 2,
            list: Some(List::Deliveries),
            query: Some("q".to_owned()),
        }
    }

    fn quiet() -> Need {
        need(Rule::Quiet, Some("zotlo"), "Zotlo quiet for 3 h")
    }

    fn odd() -> Need {
        need(Rule::Quarantined, None, "2 webhooks are kept")
    }

    fn message(alerts: &Alerts, now: Timestamp) -> serde_json::Value {
        let sender = Sender {
            ledger: "/l.db".to_owned(),
            public_url: None,
        };
        serde_json::from_str(&alerts.message(&sender, now).unwrap()).unwrap()
    }

    fn rules(message: &serde_json::Value, key: &str) -> Vec<String> {
        let told = message[key].as_array().unwrap();
        let rules = told.iter().map(|told| told["rule"].as_str().unwrap());
        rules.map(str::to_owned).collect()
    }

    #[test]
    fn a_start_is_told_once_and_its_end_once() {
        let mut alerts = Alerts::default();
        assert!(!alerts.take_in(&[], false, at(0)) && !alerts.is_due(at(0)));
        assert!(alerts.take_in(&[quiet()], false, at(1)));
        assert!(alerts.is_due(at(1)), "the first is told at once");
        let told = message(&alerts, at(1));
        assert_eq!(rules(&told, "started"), ["quiet"]);
        assert_eq!(told["started"][0]["provider"], "zotlo");
        assert_eq!(told["open"], 1);
        assert_eq!(told["text"], "Zotlo quiet for 3 h");
        alerts.told(at(1));
        assert!(!alerts.take_in(&[quiet()], false, at(500)), "nothing new");
        assert!(!alerts.is_due(at(500)));
        assert!(alerts.take_in(&[], false, at(601)));
        assert!(alerts.is_due(at(601)));
        let told = message(&alerts, at(601));
        assert_eq!(rules(&told, "ended"), ["quiet"]);
        assert_eq!(told["ended"][0]["lasted_s"], 600);
        assert_eq!(told["ended"][0]["since"], at(1).to_string());
        assert_eq!(told["text"], "over after 10 m: Zotlo quiet for 3 h");
        assert!(rules(&told, "started").is_empty() && told["open"] == 0);
        alerts.told(at(601));
        assert!(!alerts.is_due(at(900)));
    }

    #[test]
    fn changes_within_a_minute_are_gathered_and_none_is_lost() {
        let mut alerts = Alerts::default();
        alerts.take_in(&[quiet()], false, at(0));
        alerts.told(at(0));
        alerts.take_in(&[quiet(), odd()], false, at(10));
        assert!(!alerts.is_due(at(10)));
        let disk = need(Rule::DiskLow, None, "the disk has 3 MiB left");
        alerts.take_in(&[disk.clone(), odd()], false, at(20));
        alerts.take_in(&[odd()], false, at(30));
        assert!(!alerts.is_due(at(59)) && alerts.is_due(at(60)));
        let told = message(&alerts, at(60));
        assert_eq!(rules(&told, "started"), ["quarantined", "disk_low"]);
        assert_eq!(rules(&told, "ended"), ["quiet", "disk_low"]);
        alerts.told(at(60));
        assert!(!alerts.is_due(at(600)));
    }

    #[test]
    fn what_flaps_within_a_minute_is_told_once() {
        let mut alerts = Alerts::default();
        alerts.take_in(&[quiet()], false, at(0));
        alerts.told(at(0));
        for s in 1..30 {
            let needs = if s % 2 == 0 { vec![quiet()] } else { vec![] };
            alerts.take_in(&needs, false, at(s));
        }
        assert!(alerts.is_due(at(60)), "it ended");
        alerts.take_in(&[quiet()], false, at(40));
        assert!(!alerts.is_due(at(60)), "it goes on as it was told");
        let mut fresh = Alerts::default();
        fresh.take_in(&[odd()], false, at(0));
        fresh.told(at(0));
        for s in 1..30 {
            let needs = if s % 2 == 0 {
                vec![odd(), quiet()]
            } else {
                vec![odd()]
            };
            fresh.take_in(&needs, false, at(s));
        }
        let told = message(&fresh, at(60));
        assert_eq!(rules(&told, "started"), ["quiet"]);
        assert_eq!(rules(&told, "ended"), ["quiet"]);
    }

    #[test]
    fn a_failure_keeps_what_was_not_told_for_the_next_minute() {
        let mut alerts = Alerts::default();
        alerts.take_in(&[quiet()], false, at(0));
        alerts.failed(at(0), "no such file");
        alerts.take_in(&[], false, at(10));
        assert!(!alerts.is_due(at(59)) && alerts.is_due(at(60)));
        alerts.failed(at(60), "it ended with 1");
        assert!(alerts.is_due(at(30)), "the clock was put back");
        let told = message(&alerts, at(120));
        assert_eq!(rules(&told, "started"), ["quiet"]);
        assert_eq!(rules(&told, "ended"), ["quiet"]);
        let failing = alerts.last.as_ref().unwrap().failing.clone().unwrap();
        assert_eq!(failing, (at(0), "it ended with 1".to_owned()));
        alerts.told(at(120));
        assert_eq!(alerts.last.unwrap().failing, None);
    }

    #[test]
    fn a_restart_remembers_what_was_told() {
        let mut alerts = Alerts::default();
        alerts.take_in(&[quiet(), odd()], false, at(0));
        alerts.told(at(0));
        alerts.take_in(&[odd()], false, at(5));
        let kept = serde_json::to_string(&alerts).unwrap();
        let mut again: Alerts = serde_json::from_str(&kept).unwrap();
        assert_eq!(again, alerts);
        assert!(!again.take_in(&[odd()], false, at(90)));
        assert_eq!(rules(&message(&again, at(90)), "ended"), ["quiet"]);
        assert!(rules(&message(&again, at(90)), "started").is_empty());
    }

    #[test]
    fn figures_that_are_not_whole_neither_start_nor_end_a_rule() {
        let money = need(Rule::MoneyUnannounced, None, "1 payment");
        let mut alerts = Alerts::default();
        assert!(!alerts.take_in(std::slice::from_ref(&money), true, at(0)));
        alerts.take_in(&[money, quiet()], false, at(1));
        alerts.told(at(1));
        assert!(!alerts.take_in(&[quiet()], true, at(2)), "a rebuild");
        assert!(
            alerts.take_in(&[], true, at(3)),
            "this rests on deliveries alone"
        );
        assert_eq!(rules(&message(&alerts, at(3)), "ended"), ["quiet"]);
    }

    #[test]
    fn reasons_at_one_provider_are_told_together_and_tamed() {
        let reasons = ["no credential", "path\u{1b}[2J key wrong", "c", "d", "e"];
        let needs = reasons.map(|why| need(Rule::TurnedAway, Some("klustr"), why));
        let mut alerts = Alerts::default();
        alerts.take_in(&needs, false, at(0));
        let told = message(&alerts, at(0));
        assert_eq!(rules(&told, "started"), ["turned_away"]);
        let says = told["started"][0]["says"].as_str().unwrap();
        assert!(
            says.ends_with("; c; and more") && !says.contains('\u{1b}'),
            "{says}"
        );
        assert!(!told["text"].as_str().unwrap().contains('\u{1b}'));
        assert_eq!(told["started"][0]["count"], 10);
    }

    #[test]
    fn a_heartbeat_that_fails_is_news_once_for_each_reason() {
        let mut heart = Heartbeat::default();
        assert!(!heart.take_in(at(0), None));
        assert!(heart.take_in(at(1), Some("timed out")));
        assert!(!heart.take_in(at(2), Some("timed out")));
        assert!(heart.take_in(at(3), Some("it answered 500")));
        assert_eq!(heart.failing, Some((at(1), "it answered 500".to_owned())));
        assert!(heart.take_in(at(4), None));
        assert_eq!((heart.sent_at, heart.failing), (Some(at(4)), None));
    }
}
