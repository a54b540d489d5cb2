//! The page of a reader: who they are, what they have and pay now, where else they may be known, and everything they
//! did on one line of time.

use crate::domain::money::grouped;
use crate::domain::page::{Cell, List, Row};
use crate::domain::printable::Printable;
use crate::domain::time::Timestamp;
use crate::store::query::{Kinds, Money};
use crate::tui::cell::{self, When};
use crate::tui::lookup::ReaderPage;
use crate::tui::rows::{Piece, RecordLine, Rows};
use crate::tui::theme::Meaning;
use crate::tui::{timeline, ways};

/// From so many consents on those of one state stand together.
const CONSENTS_APART: usize = 8;

/// Lays the page out, and tells the line that the timeline begins with: what stands before it says how things are now.
pub fn lay_out(rows: &mut Rows, page: &ReaderPage, when: When) -> usize {
    who(rows, page, when);
    subscriptions(rows, page);
    consents(rows, page, when);
    money(rows, &page.money);
    also_seen(rows, page, when);
    rows.gap();
    let begins = rows.lines.len();
    kinds(rows, page.kinds);
    let turns = timeline::turns(&page.user.changes);
    if page.timeline.events.is_empty() {
        let text = match page.kinds {
            Kinds::All => "nothing is kept of what this reader did".to_owned(),
            kinds => format!("nothing of {kinds}: `f` shows others"),
        };
        rows.put("", &text, Meaning::Quiet);
    }
    timeline::events(rows, &page.timeline.events, None, &turns, when);
    if let Some(last) = page.timeline.events.last().filter(|_| page.timeline.more) {
        let shown = cell::number(page.timeline.events.len() as u64);
        let of = page
            .in_all
            .map_or_else(String::new, |all| format!(" of {}", cell::count(all)));
        let text = format!("{shown}{of} events: Enter goes on with the older ones");
        let place = ways::events_from(&page.user.row, page.kinds, &last.key);
        let line = RecordLine::new("").opening(place);
        rows.put_line(line, &[Piece::new(text, Meaning::Link)]);
    }
    begins
}

fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    cell::text_field(List::Users, row, name)
}

fn time(row: &Row, name: &str) -> Option<Timestamp> {
    Timestamp::parse(text(row, name)?)
}

fn known(rows: &mut Rows, label: &str, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        let source = rows.source(name, value);
        let shown = Printable::line(value);
        rows.put_line(
            RecordLine::new(label).from(source),
            &[Piece::new(shown.as_str(), Meaning::Plain)],
        );
    }
}

fn who(rows: &mut Rows, page: &ReaderPage, when: When) {
    let row = &page.user.row;
    if cell::is_test(List::Users, row) {
        rows.put("TEST", "made to try things; in no figure", Meaning::Test);
    }
    let name = Printable::line(text(row, "who").unwrap_or("a reader without a name"));
    rows.put("reader", name.as_str(), Meaning::Strong);
    let at = [text(row, "provider"), text(row, "account")];
    let at: Vec<&str> = at.into_iter().flatten().collect();
    rows.put(
        "known at",
        Printable::line(&at.join(", ")).as_str(),
        Meaning::Plain,
    );
    known(rows, "id", "user_id", text(row, "user_id"));
    known(rows, "e-mail", "email", text(row, "email"));
    known(rows, "phone", "phone", text(row, "phone"));
    if let Some((proof, meaning)) = proof(row) {
        rows.put("address", &proof, meaning);
    }
    let place = [text(row, "city"), text(row, "country")];
    let place: Vec<&str> = place.into_iter().flatten().collect();
    if !place.is_empty() {
        let place = Printable::line(&place.join(", "));
        rows.put("from", place.as_str(), Meaning::Plain);
    }
    known(
        rows,
        "own id",
        "client_user_id",
        text(row, "client_user_id"),
    );
    let first = time(row, "registered_at").map(|at| ("registered", at));
    let first = first.or_else(|| time(row, "first_seen_at").map(|at| ("first seen", at)));
    if let Some((label, at)) = first {
        rows.put(label, &dated(at, when), Meaning::Plain);
    }
    if let Some(at) = time(row, "last_seen_at") {
        let signed = cell::field(List::Users, row, "sign_ins").and_then(Cell::as_int);
        let signed = match signed.unwrap_or(0) {
            0 => String::new(),
            1 => "; signed in once".to_owned(),
            many => format!("; signed in {} times", cell::number(many.unsigned_abs())),
        };
        rows.put(
            "last seen",
            &format!("{}{signed}", dated(at, when)),
            Meaning::Plain,
        );
    }
    for alias in &page.user.aliases {
        let text = format!("{} ({})", alias.alias, alias.source);
        let line = RecordLine::new("other id").opening(Some(ways::delivery(alias.seq)));
        let text = Printable::line(&text);
        rows.put_line(line, &[Piece::new(text.as_str(), Meaning::Plain)]);
    }
}

fn dated(at: Timestamp, when: When) -> String {
    format!("{} ({})", when.short(at), when.ago(at))
}

/// What is proven of the reader's address, in the publisher's words.
fn proof(row: &Row) -> Option<(String, Meaning)> {
    let provider = text(row, "provider").unwrap_or_default();
    let provider = Printable::line(provider);
    let provider = provider.as_str();
    Some(match text(row, "identity_proof")? {
        "verified" => (format!("proven by {provider}"), Meaning::Good),
        "mismatch" => (
            format!("NOT the one that {provider} proved: look at the last webhooks"),
            Meaning::Bad,
        ),
        "unverifiable" => (
            format!("the proof of {provider} could not be checked"),
            Meaning::Warning,
        ),
        _ => return None,
    })
}

fn heading(rows: &mut Rows, title: &str) {
    rows.gap();
    rows.heading(title);
}

/// A heading with nothing below it takes one line.
fn none(rows: &mut Rows, title: &str) {
    rows.gap();
    rows.put(title, "none", Meaning::Quiet);
}

fn subscriptions(rows: &mut Rows, page: &ReaderPage) {
    if page.user.subscriptions.is_empty() {
        return none(rows, "Subscriptions");
    }
    heading(rows, "Subscriptions");
    for row in &page.user.subscriptions {
        let list = List::Subscriptions;
        let text = |name: &str| cell::text_field(list, row, name);
        let plan = Printable::line(text("plan").unwrap_or("no plan told"));
        let state = Printable::line(text("state").unwrap_or_default());
        let has_access = cell::field(list, row, "has_access").and_then(Cell::as_int) == Some(1);
        let meaning = match (text("status"), has_access) {
            _ if cell::is_ending(list, row) => Meaning::Warning,
            (Some("active" | "trialing"), _) => Meaning::Good,
            (Some("grace" | "on_hold" | "revoked"), _) => Meaning::Warning,
            (_, true) => Meaning::Plain,
            _ => Meaning::Quiet,
        };
        let line = RecordLine::new("  subscription").opening(Some(ways::row(list, &row.key)));
        let mut pieces = vec![
            Piece::new(plan.as_str(), Meaning::Plain),
            Piece::new(format!("  {}", state.as_str()), meaning),
        ];
        if let Some(price) = price(row) {
            pieces.push(Piece::new(format!("  {price}"), Meaning::Plain));
        }
        rows.put_line(line, &pieces);
    }
}

/// `149.00 TRY a month`.
fn price(row: &Row) -> Option<String> {
    let list = List::Subscriptions;
    let number = |name: &str| cell::field(list, row, name).and_then(Cell::as_int);
    let exponent = u8::try_from(number("exponent")?).ok()?;
    let currency = Printable::line(cell::text_field(list, row, "currency")?);
    let amount = grouped(number("price_minor")?, exponent.min(8));
    let unit = cell::text_field(list, row, "interval_unit");
    let period = match (unit, number("interval_count")) {
        (Some(unit), None | Some(1)) => format!(" a {}", Printable::line(unit).as_str()),
        (Some(unit), Some(count)) => {
            format!(" each {count} {}s", Printable::line(unit).as_str())
        }
        (None, _) => String::new(),
    };
    Some(format!("{amount} {}{period}", currency.as_str()))
}

fn consents(rows: &mut Rows, page: &ReaderPage, when: When) {
    let list = List::Consents;
    let all = &page.user.consents;
    if all.is_empty() {
        return none(rows, "Consents now");
    }
    heading(rows, "Consents now");
    let text = |row: &'_ Row, name: &str| {
        String::from(Printable::line(
            cell::text_field(list, row, name).unwrap_or_default(),
        ))
    };
    if all.len() > CONSENTS_APART {
        for state in ["given", "withdrawn", "refused", "expired"] {
            let names: Vec<String> = all
                .iter()
                .filter(|row| text(row, "state") == state)
                .map(|row| text(row, "purpose"))
                .collect();
            if !names.is_empty() {
                rows.put(&format!("  {state}"), &names.join(", "), Meaning::Plain);
            }
        }
        rows.put("", "`6` has each with its date", Meaning::Quiet);
        return;
    }
    for row in all {
        let state = text(row, "state");
        let meaning = match state.as_str() {
            "given" => Meaning::Good,
            "withdrawn" | "expired" => Meaning::Warning,
            _ => Meaning::Plain,
        };
        let since = cell::text_field(list, row, "since").and_then(Timestamp::parse);
        let since = since.map_or_else(String::new, |at| format!(" since {}", when.short(at)));
        let version = match text(row, "version") {
            version if version.is_empty() => String::new(),
            version => format!(", version {version}"),
        };
        let line = RecordLine::new("  consent").opening(Some(ways::row(list, &row.key)));
        let pieces = [
            Piece::new(format!("{}  ", text(row, "purpose")), Meaning::Plain),
            Piece::new(state, meaning),
            Piece::new(format!("{since}{version}"), Meaning::Plain),
        ];
        rows.put_line(line, &pieces);
    }
}

fn money(rows: &mut Rows, money: &[Money]) {
    if money.is_empty() {
        return;
    }
    heading(rows, "Money");
    for one in money {
        let amount = |minor: i128| grouped(minor, one.exponent);
        let mut parts = Vec::new();
        if one.payments > 0 {
            let times = cell::counted(one.payments, "payment", "payments");
            parts.push(format!("{} in {times}", amount(one.paid_minor)));
        }
        if one.refunds > 0 {
            let times = cell::counted(one.refunds, "refund", "refunds");
            parts.push(format!("{} back in {times}", amount(one.refunded_minor)));
        }
        if one.monthly_minor != 0 {
            parts.push(format!("monthly {}", amount(one.monthly_minor)));
        }
        let label = format!("  {}", Printable::line(&one.currency).as_str());
        rows.put(&label, &parts.join(", "), Meaning::Plain);
    }
}

fn also_seen(rows: &mut Rows, page: &ReaderPage, when: When) {
    if page.user.also_seen_as.is_empty() {
        return;
    }
    heading(rows, "Also seen as: the same e-mail, phone or id elsewhere");
    for row in &page.user.also_seen_as {
        let names = ["provider", "account", "user_id", "email", "last_seen_at"];
        let line = RecordLine::new("  reader").opening(Some(ways::row(List::Users, &row.key)));
        let text = cell::summary(List::Users, row, &names, when.into());
        rows.put_line(line, &[Piece::new(text, Meaning::Link)]);
    }
}

/// What the timeline shows, and what it could.
fn kinds(rows: &mut Rows, shown: Kinds) {
    let mut pieces = Vec::new();
    for kinds in Kinds::ALL {
        let meaning = if *kinds == shown {
            Meaning::Here
        } else {
            Meaning::Quiet
        };
        pieces.push(Piece::new(kinds.as_str(), meaning));
        pieces.push(Piece::new("  ", Meaning::Plain));
    }
    rows.put_line(RecordLine::new("Timeline"), &pieces);
}
