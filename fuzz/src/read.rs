//! Reading: any bytes at every hook of every provider are read without a panic into what the ledger can hold, and kept to
//! the byte.

use subledger::domain::delivery::{Content, Delivery, Reading};
use subledger::domain::event::Facts;
use subledger::providers::{self, door};

use super::keeper;
use super::{Held, must};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// What is read out of a delivery.
    pub read: fn(&Delivery) -> Reading,
    /// The body of a delivery as the ledger has it.
    pub keep: fn(&Delivery) -> Result<Vec<u8>, String>,
}

/// As it is.
pub const REAL: Subject = Subject {
    read: door::read,
    keep: keeper::keep,
};

/// Looks at `subject` with `data` as a body.
pub fn check(data: &[u8], subject: &Subject) -> Held {
    let mut every = Vec::new();
    for provider in providers::ALL {
        for hook in provider.hooks() {
            every.push((provider.id(), hook.name));
        }
    }
    for (provider, hook) in &every {
        let mut delivery = keeper::delivery(provider, hook, data);
        let named = || format!("{provider}/{hook}");
        readable(&delivery, subject).map_err(|what| format!("{}: {what}", named()))?;
        // What some providers say in a header and some in the body.
        delivery.headers = vec![("svix-id".to_owned(), "msg_1".to_owned())];
        readable(&delivery, subject).map_err(|what| format!("{} again: {what}", named()))?;
    }
    let (provider, hook) = every[data.len() % every.len()];
    let kept = (subject.keep)(&keeper::delivery(provider, hook, data))?;
    must(kept == data, || {
        format!("{provider}/{hook}: {data:?} is kept as {kept:?}")
    })
}

/// Everything that was kept so far on this thread is folded as it is from the start.
pub fn settled() -> Held {
    keeper::settled()
}

/// What holds of every reading.
fn readable(delivery: &Delivery, subject: &Subject) -> Held {
    let reading = (subject.read)(delivery);
    let text = json(&reading)?;
    must(json(&(subject.read)(delivery))? == text, || {
        "read twice it is another".to_owned()
    })?;
    // So it is kept when its body is dropped for its age.
    let back: Reading = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    must(json(&back)? == text, || format!("{text} is not kept"))?;
    let events = match &reading.content {
        Content::Unreadable(why) => return must(!why.is_empty(), || "no reason".to_owned()),
        Content::Events(events) => events,
    };
    must(!events.is_empty() && !reading.keys.is_empty(), || {
        format!("it is readable and says nothing: {text}")
    })?;
    for event in events {
        let facts = serde_json::to_string(&event.facts).map_err(|error| error.to_string())?;
        let back = serde_json::from_str::<Facts>(&facts);
        must(back.is_ok_and(|back| back == event.facts), || facts)?;
        // A payment has an amount, or says why it has none; nothing else has one.
        let holds = match (&event.money, &event.facts) {
            (Some(_), Facts::Payment(_)) => event.kind.family() == "payment",
            (None, Facts::Payment(facts)) => facts.flag.is_some(),
            (money, _) => money.is_none(),
        };
        must(holds, || {
            format!("an amount of {}: {:?}", event.kind, event.money)
        })?;
        let subject = &event.subject;
        let columns = [
            &subject.user_id,
            &subject.email,
            &subject.name,
            &event.subscription_id,
            &event.plan,
        ];
        let bad = columns
            .into_iter()
            .flatten()
            .find(|text| text.is_empty() || text.contains('\0'));
        must(bad.is_none(), || format!("a column would hold {bad:?}"))?;
    }
    Ok(())
}

fn json(reading: &Reading) -> Result<String, String> {
    serde_json::to_string(reading).map_err(|error| error.to_string())
}
