//! The receiver as a service of this user, which the screen offers when it is closed: a systemd user unit, kept
//! running after logging out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::running::{self, Running};
use crate::cli::start;

/// The unit, with places for paths.
const UNIT: &str = include_str!("../../assets/subledger.service");

/// The unit's name.
const NAME: &str = "subledger.service";

/// So long the service may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Stops the receiver that runs and has the system start it from now on. Where there is no systemd the receiver goes on
/// as it is, and the failure says so.
pub fn install(
    context: &Context,
    running: &Running,
    child: Option<Child>,
    out: &mut Out,
) -> Result<()> {
    if let Err(error) = systemctl(&["show-environment"]) {
        return Err(Failure::failed(format!(
            "no service was installed: {error:#}; the receiver goes on in the background (process {})",
            running.pid
        ))
        .into());
    }
    let path = unit_path()?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    fs::write(&path, unit(context)?).with_context(|| format!("cannot write {}", path.display()))?;
    start::stop(context, running, child, out)?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", NAME])?;
    out.say(format!("installed {}", path.display()))?;
    let up = running::wait(START_TIMEOUT, || {
        running::receiver(&context.database).filter(|running| running::is_live(running.listen))
    });
    match up {
        Some(running) => out.say(format!(
            "the service receives on {} (process {})",
            running.listen, running.pid
        ))?,
        None => {
            return Err(Failure::failed(format!(
                "the service does not answer: systemctl --user status {NAME}"
            ))
            .into());
        }
    }
    // Without lingering a user's services end when they log out.
    let lingers = Command::new("loginctl")
        .arg("enable-linger")
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|done| done.status.success());
    if !lingers {
        out.say("it ends when you log out until somebody runs: sudo loginctl enable-linger $USER")?;
    }
    Ok(())
}

fn unit_path() -> Result<PathBuf> {
    let dirs = etcetera::base_strategy::Xdg::new().context("there is no home directory")?;
    Ok(dirs.config_dir().join("systemd/user").join(NAME))
}

fn unit(context: &Context) -> Result<String> {
    let program = std::env::current_exe().context("cannot find this program")?;
    Ok(UNIT
        .replace("{program}", &quoted(&program))
        .replace("{settings}", &quoted(&context.settings.path))
        .replace("{database}", &quoted(&context.database)))
}

/// One word of a unit's command line.
fn quoted(path: &Path) -> String {
    let text = path
        .display()
        .to_string()
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    format!("\"{text}\"")
}

fn systemctl(args: &[&str]) -> Result<()> {
    let done = Command::new("systemctl")
        .arg("--user")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("there is no systemctl here")?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let line = crate::domain::printable::Printable::line(said.trim());
    anyhow::bail!("systemctl --user {}: {line}", args.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_in_a_unit_as_one_word() {
        assert_eq!(quoted(Path::new("/a b/50%\"$x")), "\"/a b/50%%\\\"$$x\"");
    }

    #[test]
    fn the_unit_has_a_place_for_each_path() {
        for place in ["{program}", "{settings}", "{database}"] {
            assert_eq!(UNIT.matches(place).count(), 1, "{place}");
        }
    }
}
