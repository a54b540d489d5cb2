//! `prove`: what a reader had agreed to at a time, by which message, and where that stands in the chain (GDPR article
//! 7(1)).
//!
//! The message is hashed again and its link followed to the newest one, so that what is printed was checked just now.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::args::ProveArgs;
use crate::cli::behind::{Behind, advice};
use crate::cli::context::Context;
use crate::cli::failure::{FAILED, Failure};
use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::cli::show::heads;
use crate::cli::table::{shown, tame};
use crate::cli::user::{looked_at, nobody_but, whom};
use crate::config::read;
use crate::domain::count::in_words;
use crate::domain::event::ConsentState;
use crate::domain::page::List;
use crate::domain::printable::Printable;
use crate::domain::query::{Moment, caseless, moment};
use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::query::reader::Link;
use crate::store::query::who::Match;
use crate::store::query::{AtTime, Consent, Detail, Reader, Standing, columns};

/// How to check it without subledger.
const BY_HAND: &str = "\
By hand: SHA-256 of the salt's bytes and the body (`subledger show SEQ --body`) is the commitment. SHA-256 of previous link,
number (8 bytes, big-endian), the text after `As hashed`, provider, account, hook and commitment, each with its length in
front as 8 bytes, big-endian, is the link. `subledger verify` follows the whole chain.";

/// Writes how every consent that is meant stood; exit code 1 where a message is not the one that was acknowledged.
pub fn run(context: &Context, args: &ProveArgs, out: &mut Out) -> Result<()> {
    let who = whom(context, &args.who)?;
    let reader = Reader::open(&context.database)?;
    interrupt::watch(&reader)?;
    let at = time(context, &reader, args.at.as_deref())?;
    let behind = Behind::of(context, &reader)?;
    let matches = reader.readers(&who)?;
    if matches.is_empty() {
        let similar = reader.similar(&who)?;
        if !similar.is_empty() {
            return Err(nobody_but(&who, &similar, behind).into());
        }
        let place = looked_at(&who);
        let who = Printable::line(&who.text);
        return Err(Failure::failed(format!(
            "no reader is known as `{who}`{place}: WHO is an e-mail, a phone, a provider's id, or provider:id{}",
            advice(behind)
        ))
        .into());
    }
    if let Some(behind) = behind {
        out.say(format!("{}, and not in this", behind.says()))?;
    }
    let consents = chosen(reader.consents_of(&matches)?, &args.purpose, &matches)?;
    let mut proofs = Vec::new();
    for consent in consents {
        proofs.push(proof(&reader, consent, at)?);
    }
    let sound = proofs.iter().all(Proof::is_sound);
    let zone = reader.zone()?;
    if context.global.json {
        let all: Vec<Value> = proofs.iter().map(|one| one.json(at, zone)).collect();
        out.line(tame(&serde_json::to_string(&all)?))?;
    } else {
        for one in &proofs {
            tell(one, at, zone, out)?;
        }
        if proofs.iter().any(|one| !one.links.is_empty()) {
            out.line(BY_HAND)?;
        }
    }
    out.flush()?;
    if sound {
        Ok(())
    } else {
        Err(Failure::silent(FAILED).into())
    }
}

/// The last instant of the time that is named, at most now.
fn time(context: &Context, reader: &Reader, text: Option<&str>) -> Result<Timestamp> {
    let now = context.clock.now();
    let Some(text) = text else { return Ok(now) };
    let zone = reader.zone()?;
    let review = reader.last_review()?.map(|(_, at)| at);
    let quoted = Printable::line(text);
    let Some(found) = moment(&joined(text.trim()), now, zone, review, false) else {
        return Err(Failure::usage(format!(
            "`{quoted}` is no time: 2026-03-03, 2026-03-03T10:00 (in {}), 2026-03-03T10:00:00Z or +02:00 for Z",
            zone.name()
        ))
        .into());
    };
    let (from, at) = match found {
        Moment::Instant(at) => (at, at),
        Moment::Stretch(from, to) => (from, to.plus_ms(-1)),
        Moment::Beginning => (Timestamp::from_ms(0), Timestamp::from_ms(0)),
    };
    if from > now {
        return Err(Failure::usage(format!("`{quoted}` is yet to come")).into());
    }
    Ok(at.min(now))
}

/// A date, a time and perhaps a distance from UTC with blanks between them, as they are printed, in the form that filters
/// have.
fn joined(text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let is_date = |word: &str| word.len() == 10 && word.starts_with(|c: char| c.is_ascii_digit());
    match words.as_slice() {
        [date, time] if is_date(date) => format!("{date}T{time}"),
        [date, time, offset] if is_date(date) => format!("{date}T{time}{offset}"),
        _ => text.to_owned(),
    }
}

/// Those for `purpose`, in any case; a failure names the nearest and what there is.
fn chosen(all: Vec<Consent>, purpose: &str, matches: &[Match]) -> Result<Vec<Consent>> {
    let wanted = caseless(purpose.trim());
    let names: std::collections::BTreeSet<String> =
        all.iter().map(|one| one.purpose.clone()).collect();
    let exact = names.contains(purpose);
    let found: Vec<Consent> = all
        .into_iter()
        .filter(|one| one.purpose == purpose || !exact && caseless(&one.purpose) == wanted)
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let places: Vec<String> = matches.iter().map(Match::place).collect();
    let places = Printable::line(&places.join(", "));
    if names.is_empty() {
        return Err(
            Failure::failed(format!("no consent of {places} is known, for any purpose")).into(),
        );
    }
    let quoted = Printable::line(purpose);
    let near = read::nearest(purpose, names.iter().map(String::as_str))
        .map(|near| format!("did you mean `{}`? ", Printable::line(near)))
        .unwrap_or_default();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Err(Failure::failed(format!(
        "nothing is known of `{quoted}` for {places}: {near}there is {}",
        Printable::line(&names.join(", "))
    ))
    .into())
}

/// One consent at a time, with its evidence.
struct Proof {
    consent: Consent,
    found: AtTime,
    /// The deliveries that it rests on, and where each stands.
    links: Vec<(Detail, Link)>,
}

impl Proof {
    fn is_sound(&self) -> bool {
        self.links.iter().all(|(_, link)| link.wrong.is_none())
    }

    /// What was known then is not what is known today of then.
    fn came_late(&self) -> bool {
        let told = |standing: &Option<Standing>| {
            standing
                .as_ref()
                .map(|one| (one.state, one.since, one.version.clone()))
        };
        told(&self.found.standing) != told(&self.found.known_then)
    }
}

fn proof(reader: &Reader, consent: Consent, at: Timestamp) -> Result<Proof> {
    let found = reader.consent_at(&consent, at)?;
    let mut seqs: Vec<i64> = Vec::new();
    if let Some(standing) = &found.standing {
        seqs.push(standing.seq);
        seqs.extend(standing.version_seq);
    }
    let mut links = Vec::new();
    for seq in seqs {
        let link = reader.link(seq, &mut || {
            if interrupt::is_asked() {
                return Err(Error::Interrupted);
            }
            Ok(())
        })?;
        if let (Some(detail), Some(link)) = (reader.delivery(seq)?, link) {
            links.push((detail, link));
        }
    }
    Ok(Proof {
        consent,
        found,
        links,
    })
}

impl Proof {
    fn json(&self, at: Timestamp, zone: Zone) -> Value {
        let Consent {
            provider,
            account,
            user_id,
            kind,
            app,
            purpose,
        } = &self.consent;
        let turns: Vec<Value> = self
            .found
            .turns
            .iter()
            .map(|turn| {
                json!({
                    "at": turn.at.to_string(),
                    "before_state": turn.before.map(ConsentState::as_str),
                    "after_state": turn.after.as_str(),
                    "version": turn.version,
                    "seq": turn.seq,
                })
            })
            .collect();
        let evidence: Vec<Value> = self.links.iter().map(evidence).collect();
        json!({
            "provider": provider, "account": account, "app": app, "user_id": user_id, "kind": kind.as_str(),
            "purpose": purpose, "at": at.to_string(), "zone": zone.name(),
            "standing": self.found.standing.as_ref().map(standing),
            "known_then": self.found.known_then.as_ref().map(standing),
            "changes": turns, "changes_since": self.found.later,
            "verified": (!self.links.is_empty()).then(|| self.is_sound()),
            "evidence": evidence,
        })
    }
}

fn standing(one: &Standing) -> Value {
    json!({
        "state": one.state.as_str(), "since": one.since.to_string(), "method": one.method,
        "version": one.version, "evidence": one.evidence, "wording": one.wording, "seq": one.seq,
        "version_seq": one.version_seq.unwrap_or(one.seq),
    })
}

/// What is told of a delivery beside its place in the chain.
const TOLD: [&str; 6] = [
    "provider_type",
    "credential",
    "identity_proof",
    "origin",
    "outcome",
    "test",
];

fn evidence((detail, link): &(Detail, Link)) -> Value {
    let mut told = json!({
        "seq": link.seq, "received_at": link.received_at, "provider": link.provider, "account": link.account,
        "hook": link.hook, "salt": link.salt, "commitment": link.commitment, "previous_link": link.previous,
        "link": link.link, "head_seq": link.head_seq, "head": link.head, "erased_at": link.erased_at,
        "wrong": link.wrong,
    });
    for name in TOLD {
        let place = columns(List::Deliveries)
            .iter()
            .position(|column| column.name == name);
        let cell = place.and_then(|place| detail.row.cells.get(place));
        let text = cell.and_then(|cell| cell.as_text().map(Value::from));
        let number = cell.and_then(|cell| cell.as_int().map(Value::from));
        if let Some(fields) = told.as_object_mut() {
            fields.insert(name.to_owned(), text.or(number).unwrap_or(Value::Null));
        }
    }
    told
}

/// Whether `detail` is a delivery that was made to try things.
fn is_test(detail: &Detail) -> bool {
    let place = columns(List::Deliveries)
        .iter()
        .position(|column| column.name == "test");
    place
        .and_then(|place| detail.row.cells.get(place)?.as_int())
        .is_some_and(|test| test != 0)
}

/// With the distance from UTC: when clocks go back, one hour is shown twice.
fn instant(at: Timestamp, zone: Zone) -> String {
    at.utc()
        .with_timezone(&zone.0)
        .format("%Y-%m-%d %H:%M:%S %:z")
        .to_string()
}

fn field(title: &str, value: &str, out: &mut Out) -> Result<()> {
    if !value.is_empty() {
        out.line(format!("{title:<16} {}", Printable::line(value)))?;
    }
    Ok(())
}

fn tell(proof: &Proof, at: Timestamp, zone: Zone, out: &mut Out) -> Result<()> {
    let one = &proof.consent;
    let app = if one.app.is_empty() {
        String::new()
    } else {
        format!(", {}", one.app)
    };
    let whose = format!("{}/{}:{}", one.provider, one.account, one.user_id);
    out.heading(Printable::line(&format!(
        "{}: {} of {whose}{app}",
        one.purpose,
        one.kind.as_str()
    )))?;
    let at = format!("{} ({})", instant(at, zone), zone.name());
    let Some(standing) = &proof.found.standing else {
        out.line(format!("At {at}: nothing was known."))?;
        if proof.found.later > 0 {
            let later = in_words(proof.found.later, "change", "changes");
            out.line(format!("{later} came after."))?;
        }
        return Ok(out.line("")?);
    };
    field("At", &at, out)?;
    how(standing, zone, out)?;
    if proof.came_late() {
        late(proof, zone, out)?;
    }
    for link in &proof.links {
        place(link, zone, out)?;
    }
    out.line("")?;
    out.line("Changes up to then")?;
    for turn in &proof.found.turns {
        let before = turn.before.map_or("not known", ConsentState::as_str);
        let version = match &turn.version {
            Some(version) => format!("  {version}"),
            None => String::new(),
        };
        out.line(Printable::line(&format!(
            "  {}  {before} -> {}  delivery {}{version}",
            instant(turn.at, zone),
            turn.after.as_str(),
            turn.seq
        )))?;
    }
    if proof.found.later > 0 {
        out.line(format!("  {} more since then", proof.found.later))?;
    }
    Ok(out.line("")?)
}

fn how(standing: &Standing, zone: Zone, out: &mut Out) -> Result<()> {
    field("State", standing.state.as_str(), out)?;
    field("Since", &instant(standing.since, zone), out)?;
    let rest = [
        ("Method", &standing.method),
        ("Wording version", &standing.version),
        ("Wording", &standing.wording),
        ("Evidence id", &standing.evidence),
    ];
    for (title, value) in rest {
        field(title, value.as_deref().unwrap_or_default(), out)?;
    }
    Ok(())
}

/// What had arrived by then told something else.
fn late(proof: &Proof, zone: Zone, out: &mut Out) -> Result<()> {
    let known = match &proof.found.known_then {
        None => "nothing: the message arrived later".to_owned(),
        Some(then) => {
            let version = match &then.version {
                Some(version) => format!(", version {version}"),
                None => String::new(),
            };
            format!(
                "{} since {}{version}: more arrived later",
                then.state.as_str(),
                instant(then.since, zone)
            )
        }
    };
    field("Known then", &known, out)
}

fn place((detail, link): &(Detail, Link), zone: Zone, out: &mut Out) -> Result<()> {
    out.line("")?;
    let test = if is_test(detail) {
        "  TEST: made to try things, and nobody's word"
    } else {
        ""
    };
    out.line(format!("Delivery {}{test}", link.seq))?;
    let received = Timestamp::parse(&link.received_at).map(|at| instant(at, zone));
    field("  Received", &received.unwrap_or_default(), out)?;
    field("  As hashed", &link.received_at, out)?;
    let from = format!("{}/{}, hook {}", link.provider, link.account, link.hook);
    field("  From", &from, out)?;
    let heads = heads(List::Deliveries);
    for (at, head) in heads.iter().enumerate() {
        if TOLD[..4].contains(&head.name.as_str()) {
            let value = shown(&heads, at, &detail.row.cells, zone);
            field(&format!("  {}", head.title), &value, out)?;
        }
    }
    field("  Salt", link.salt.as_deref().unwrap_or_default(), out)?;
    field("  Commitment", &link.commitment, out)?;
    field("  Previous link", &link.previous, out)?;
    field("  Link", &link.link, out)?;
    field(
        "  End of chain",
        &format!("{} {}", link.head_seq, link.head),
        out,
    )?;
    let verdict = match &link.wrong {
        None if link.head_seq == link.seq => {
            "verified: the body has this commitment, and the link follows; it is the end of the chain".to_owned()
        }
        None => format!(
            "verified: the body has this commitment, and all links from {} to {} follow",
            link.seq, link.head_seq
        ),
        Some(wrong) => format!("NOT VERIFIED: {wrong}"),
    };
    field(
        "  Checked",
        &verdict.replace("its link follow ", "its link follows "),
        out,
    )
}
