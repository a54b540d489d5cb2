//! `urls`: the links to paste, one a line on stdout; what each is called on stderr.

use anyhow::Result;

use crate::cli::context::{Context, provider};
use crate::cli::failure::Failure;
use crate::cli::links::{Link, links};
use crate::cli::out::Out;
use crate::cli::{running, table};
use crate::config::Settings;

/// Writes the links of one provider or of all.
pub fn run(context: &Context, wanted: Option<&str>, out: &mut Out) -> Result<()> {
    if let Some(id) = wanted {
        provider(id)?;
        context.account(id)?;
    }
    let account = context.global.account.as_deref();
    let links: Vec<Link> = all(context)
        .filter(|link| wanted.is_none_or(|id| link.provider == id))
        .filter(|link| account.is_none_or(|name| link.account == name))
        .collect();
    if links.is_empty() {
        let name = account.unwrap_or_default();
        return Err(Failure::usage(format!("no provider has an account {name:?}")).into());
    }
    write(context, &links, out)
}

/// Writes the links of one account.
pub fn of_account(context: &Context, settings: &Settings, out: &mut Out) -> Result<()> {
    let links: Vec<Link> = all(context)
        .filter(|link| (link.provider, &link.account) == (&settings.provider, &settings.account))
        .collect();
    write(context, &links, out)
}

fn all(context: &Context) -> impl Iterator<Item = Link> {
    let listen = running::listen(context);
    links(&context.config, listen, context.clock.now()).into_iter()
}

fn write(context: &Context, links: &[Link], out: &mut Out) -> Result<()> {
    if context.global.json {
        out.line(table::tame(&serde_json::to_string(&links)?))?;
        return Ok(out.flush()?);
    }
    for (place, link) in links.iter().enumerate() {
        let first = place == 0
            || links[place - 1].account != link.account
            || links[place - 1].provider != link.provider;
        if first && place > 0 {
            out.say("")?;
        }
        if first {
            out.say(format!("paste into: {}", link.place))?;
        }
        out.say(&link.title)?;
        out.line(&link.url)?;
        let last = links
            .get(place + 1)
            .is_none_or(|next| (next.provider, &next.account) != (link.provider, &link.account));
        if last {
            for add in &link.add {
                out.say(format!("  to add, if your dashboard shows it: {add}"))?;
            }
        }
    }
    out.flush()?;
    if !context.settings.exists {
        out.say("these links have no secret end yet: `subledger serve` writes the settings at its first start")?;
    }
    if context.config.receiver.public_url.is_none() {
        out.say(
            "\nThese links work on this machine only. Once a proxy or tunnel leads here: \
             subledger config set receiver.public_url https://your.address",
        )?;
    }
    for warning in &context.config.warnings {
        out.say(format!("warning: {warning}"))?;
    }
    Ok(())
}
