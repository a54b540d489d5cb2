//! How a consent stood at a time: folded out of the same events as `consents`, up to there.
//!
//! Imports domain. Reads only. Two answers: what holds today of that time, and what had arrived by then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::event::{ConsentKind, ConsentState};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::project::consents::{Purpose, State, TOLD, Told, facts_of, family, told};
use crate::store::project::order::{EVENTS_MAX, counted};

/// Which consent of which reader.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consent {
    /// The provider.
    pub provider: String,
    /// The account.
    pub account: String,
    /// The reader.
    pub user_id: String,
    /// Which of the five.
    pub kind: ConsentKind,
    /// The app; the agreement; else empty.
    pub app: String,
    /// For what.
    pub purpose: String,
}

/// How it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it was.
    pub state: ConsentState,
    /// Since when.
    pub since: Timestamp,
    /// How it was told, in the provider's word.
    pub method: Option<String>,
    /// Of the wording.
    pub version: Option<String>,
    /// The provider's id of the proof.
    pub evidence: Option<String>,
    /// The wording that was shown, where it was told.
    pub wording: Option<String>,
    /// The delivery that brought the state.
    pub seq: i64,
    /// The delivery that told the version, where that is another one.
    pub version_seq: Option<i64>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When.
    pub at: Timestamp,
    /// The delivery that brought it.
    pub seq: i64,
    /// From what; `None`: not known before.
    pub before: Option<ConsentState>,
    /// To what.
    pub after: ConsentState,
    /// Of the wording.
    pub version: Option<String>,
}

/// A consent at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtTime {
    /// As everything that has arrived until today tells it; `None`: nothing was known.
    pub standing: Option<Standing>,
    /// As what had arrived by then told it.
    pub known_then: Option<Standing>,
    /// Every change up to then.
    pub turns: Vec<Turn>,
    /// Changes since then.
    pub later: usize,
}

/// One purpose before an event and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// For what.
    pub purpose: String,
    /// How it stood; `None`: nothing was known.
    pub before: Option<Standing>,
    /// How it stands.
    pub after: Option<Standing>,
}

/// What one event did to the consents of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// Which of the five.
    pub kind: ConsentKind,
    /// The app; the agreement; else empty.
    pub app: String,
    /// Every purpose that was known before it or is after, by name.
    pub purposes: Vec<Difference>,
}

/// One event and when it had arrived.
struct Arrived {
    told: Told,
    received_at: Timestamp,
}

/// `consent` as it stood at `at`, of events that count: tests only where there is nothing else.
pub(crate) fn at_time(
    conn: &Connection,
    consent: &Consent,
    at: Timestamp,
) -> Result<AtTime, Error> {
    let events = events(conn, consent)?;
    let all: Vec<&Told> = events.iter().map(|event| &event.told).collect();
    let by_then: Vec<&Told> = events
        .iter()
        .filter(|event| event.received_at <= at)
        .map(|event| &event.told)
        .collect();
    let mut turns: Vec<Turn> = turns(&all, &consent.purpose);
    let count = turns.len();
    turns.retain(|turn| turn.at <= at);
    Ok(AtTime {
        standing: standing(&all, &consent.purpose, at),
        known_then: standing(&by_then, &consent.purpose, at),
        later: count - turns.len(),
        turns,
    })
}

/// What event `id` did; `None` where it is no event of consents, names no reader, or counts nowhere: a test among real
/// ones.
pub(crate) fn around(conn: &Connection, id: i64) -> Result<Option<Around>, Error> {
    const ONE: &str = "select provider, account, user_id, data from events \
                       where id = ?1 and user_id is not null";
    let mut statement = conn.prepare_cached(ONE)?;
    let found = statement
        .query_row([id], |row| {
            let Some(facts) = facts_of(3, row.get_ref(3)?.as_str()?)? else {
                return Ok(None);
            };
            Ok(Some(Consent {
                provider: row.get(0)?,
                account: row.get(1)?,
                user_id: row.get(2)?,
                kind: facts.kind,
                app: facts.app,
                purpose: String::new(),
            }))
        })
        .optional()?
        .flatten();
    let Some(consent) = found else {
        return Ok(None);
    };
    let mut told = Wordings::default();
    for event in events(conn, &consent)? {
        let before = told.standings();
        told.add(&event.told);
        if event.told.place.id() == id {
            return Ok(Some(Around {
                kind: consent.kind,
                app: consent.app,
                purposes: differences(before, told.standings()),
            }));
        }
    }
    Ok(None)
}

/// The ids of the events that tell of `consent`, oldest first.
pub(crate) fn events_of(conn: &Connection, consent: &Consent) -> Result<Vec<i64>, Error> {
    let mut ids = Vec::new();
    for event in events(conn, consent)? {
        let facts = &event.told.facts;
        let named = facts
            .scopes
            .iter()
            .any(|one| one.purpose == consent.purpose);
        if named || facts.whole_set || facts.withdraws_all {
            ids.push(event.told.place.id());
        }
    }
    Ok(ids)
}

fn differences(
    mut before: BTreeMap<String, Standing>,
    mut after: BTreeMap<String, Standing>,
) -> Vec<Difference> {
    let purposes: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    let one = |purpose: String| Difference {
        before: before.remove(&purpose),
        after: after.remove(&purpose),
        purpose,
    };
    purposes.into_iter().map(one).collect()
}

/// A state with the wordings that came along, which the fold does not keep.
#[derive(Default)]
struct Wordings {
    state: State,
    by_purpose: HashMap<String, String>,
    version_seqs: HashMap<String, i64>,
}

impl Wordings {
    fn add(&mut self, told: &Told) {
        self.state.add(told);
        for stated in &told.facts.scopes {
            if stated.version.is_some() {
                self.version_seqs
                    .insert(stated.purpose.clone(), told.place.seq);
            }
            if let Some(wording) = &stated.wording {
                self.by_purpose
                    .insert(stated.purpose.clone(), wording.clone());
            }
        }
    }

    fn standings(&self) -> BTreeMap<String, Standing> {
        let standing = |(purpose, known): (&String, &Purpose)| {
            let told = Standing {
                state: known.state,
                since: known.since,
                method: known.method.clone(),
                version: known.version.clone(),
                evidence: known.evidence.clone(),
                wording: self.by_purpose.get(purpose).cloned(),
                seq: known.seq,
                version_seq: self
                    .version_seqs
                    .get(purpose)
                    .copied()
                    .filter(|seq| *seq != known.seq),
            };
            (purpose.clone(), told)
        };
        self.state.purposes.iter().map(standing).collect()
    }
}

fn events(conn: &Connection, consent: &Consent) -> Result<Vec<Arrived>, Error> {
    let word = family(consent.kind);
    let mut statement = conn.prepare_cached(TOLD)?;
    let key = params![
        consent.provider,
        consent.account,
        consent.user_id,
        format!("{word}."),
        format!("{word}/")
    ];
    let mut events = Vec::new();
    for found in statement.query_map(key, told)? {
        events.extend(found?.filter(|told| told.facts.app == consent.app));
    }
    let (mut events, _) = counted(events, |told: &Told| told.test);
    events.sort_by(|a, b| a.place.cmp(&b.place));
    let mut arrival = conn.prepare_cached("select received_at from deliveries where seq = ?1")?;
    let mut arrivals: HashMap<i64, Timestamp> = HashMap::new();
    let mut arrived = Vec::with_capacity(events.len());
    for told in events {
        let seq = told.place.seq;
        let received_at = if let Some(known) = arrivals.get(&seq) {
            *known
        } else {
            let text: String = arrival.query_row([seq], |row| row.get(0))?;
            // A time that cannot be read is nobody's knowledge of then.
            let time = Timestamp::parse(&text).unwrap_or(Timestamp::from_ms(i64::MAX));
            arrivals.insert(seq, time);
            time
        };
        arrived.push(Arrived { told, received_at });
    }
    Ok(arrived)
}

fn turns(events: &[&Told], purpose: &str) -> Vec<Turn> {
    let mut state = State::default();
    for told in events {
        state.add(told);
    }
    let mut turns = Vec::new();
    for change in state.changes {
        if change.purpose == purpose {
            turns.push(Turn {
                at: change.at,
                seq: change.seq,
                before: change.before,
                after: change.after,
                version: change.version,
            });
        }
    }
    turns
}

/// What `events` tell of `at`: those that had happened by then, and whatever a later one says had begun by then.
fn standing(events: &[&Told], purpose: &str, at: Timestamp) -> Option<Standing> {
    let mut state = State::default();
    let (mut found, mut wording, mut version_seq) = (None, None, None);
    for told in events {
        let known = state.purposes.get(purpose).map(|known| known.id);
        state.add(told);
        let Some(now) = state.purposes.get(purpose) else {
            continue;
        };
        // A later event tells of then only through a change that it dates back.
        let late = told.place.at > at;
        let turned = known != Some(now.id) && now.id / EVENTS_MAX == told.place.id();
        if late && !(turned && now.since <= at) {
            continue;
        }
        let stated = told.facts.scopes.iter().find(|one| one.purpose == purpose);
        if let Some(stated) = stated {
            if stated.version.is_some() {
                version_seq = Some(told.place.seq);
            }
            if stated.wording.is_some() {
                wording.clone_from(&stated.wording);
            }
        }
        found = Some(Standing {
            state: now.state,
            since: now.since,
            method: now.method.clone(),
            version: now.version.clone(),
            evidence: now.evidence.clone(),
            wording: wording.clone(),
            seq: now.seq,
            version_seq: version_seq.filter(|seq| *seq != now.seq),
        });
    }
    found
}
