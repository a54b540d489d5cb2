//! systemd, by its own commands: what is asked, what is done, and who may.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::Result;

use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::service::unit::NAME;
use crate::domain::printable::Printable;

/// What is asked of a unit.
const PROPERTIES: &str = "--property=LoadState,UnitFileState,ActiveState,SubState,Result,MainPID,ActiveEnterTimestamp,\
                          NRestarts,StatusText,FragmentPath,TriggeredBy";

/// So many of the service's last lines are shown.
const LINES: &str = "--lines=5";

/// Whose services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This user's.
    User,
    /// The machine's.
    System,
}

impl Scope {
    /// As it stands before a command for the service, for a person to type.
    pub const fn words(self) -> &'static str {
        match self {
            Self::User => "systemctl --user",
            Self::System => "sudo systemctl",
        }
    }
}

/// What systemd says of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether it knows the unit: `loaded`, `not-found`, `masked`.
    pub load: String,
    /// Whether it starts by itself: `enabled`, `disabled`.
    pub enabled: String,
    /// `active`, `inactive`, `failed`, `activating`, ...
    pub active: String,
    /// More closely: `running`, `auto-restart`, ...
    pub sub: String,
    /// How it ended last: `success`, `exit-code`, `watchdog`, ...
    pub result: String,
    /// The receiver.
    pub pid: Option<u32>,
    /// Since when it is active, in systemd's words; empty: it is not.
    pub since: String,
    /// How often systemd has started it again.
    pub restarts: String,
    /// What the receiver says of itself.
    pub says: String,
    /// The unit's file.
    pub path: String,
    /// The socket that starts it, too; empty: none.
    pub socket: String,
}

impl State {
    fn read(text: &str) -> Self {
        let of = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| Printable::line(value).to_string())
                .unwrap_or_default()
        };
        Self {
            load: of("LoadState"),
            enabled: of("UnitFileState"),
            active: of("ActiveState"),
            sub: of("SubState"),
            result: of("Result"),
            pid: of("MainPID").parse().ok().filter(|pid| *pid > 0),
            since: of("ActiveEnterTimestamp"),
            restarts: of("NRestarts"),
            says: of("StatusText"),
            path: of("FragmentPath"),
            socket: of("TriggeredBy"),
        }
    }
}

/// What systemd says of the service of `scope`, without a word about it; `None`: no systemd answers.
pub fn state(scope: Scope) -> Option<State> {
    let mut args = scoped(scope);
    args.extend(["show", NAME, PROPERTIES]);
    let done = command("systemctl", &args).output().ok()?;
    let text = String::from_utf8_lossy(&done.stdout);
    done.status.success().then(|| State::read(&text))
}

/// Whose service the process `pid` is, if it is one.
pub fn keeper(pid: u32) -> Option<(Scope, State)> {
    [Scope::User, Scope::System].into_iter().find_map(|scope| {
        let state = state(scope)?;
        (state.pid == Some(pid)).then_some((scope, state))
    })
}

/// That this user's systemd answers. The failure says what is missing.
pub fn reach(out: &mut Out) -> Result<()> {
    let why = match shown("systemctl", &["--user", "show-environment"], out) {
        Ok(done) if done.status.success() => return Ok(()),
        Ok(done) => said(&done),
        Err(error) => error.to_string(),
    };
    let hint = if rustix::process::getuid().is_root() {
        "root has no services of its own: subledger service install --system"
    } else if Path::new("/run/systemd/system").is_dir() {
        "log in as this user itself (ssh, not su), or see subledger service install --system"
    } else {
        "this machine was not started by systemd; have what starts its programs run `subledger serve`"
    };
    Err(Failure::failed(format!(
        "this user's systemd does not answer ({why}): {hint}"
    ))
    .into())
}

/// Shows and runs `systemctl` for `scope`; a failure carries what it said.
pub fn systemctl(scope: Scope, args: &[&str], out: &mut Out) -> Result<()> {
    let mut all = scoped(scope);
    all.extend(args);
    let failed = |why: String| {
        let line = format!("systemctl {}: {why}", all.join(" "));
        Failure::failed(line)
    };
    let done = shown("systemctl", &all, out).map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(failed(said(&done)).into())
}

/// Whether this user's services go on when they log out; `None`: nobody can say.
pub fn lingers() -> Option<bool> {
    let user = rustix::process::getuid().as_raw().to_string();
    let args = ["show-user", &user, "--property=Linger"];
    let done = command("loginctl", &args).output().ok()?;
    let text = String::from_utf8_lossy(&done.stdout);
    if done.status.success() {
        return Some(text.trim() == "Linger=yes");
    }
    // It knows users that are logged in or linger; asked for another one it fails.
    String::from_utf8_lossy(&done.stderr)
        .contains("not logged in or lingering")
        .then_some(false)
}

/// Has this user's services go on when they log out; false: that takes an administrator.
pub fn linger(out: &mut Out) -> Result<bool> {
    let done = shown("loginctl", &["--no-ask-password", "enable-linger"], out);
    Ok(done.is_ok_and(|done| done.status.success()))
}

/// What an administrator types so that this user's services go on when they log out.
pub fn linger_line() -> String {
    let tame = |name: &String| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        !name.is_empty() && !name.starts_with('-') && name.bytes().all(plain)
    };
    let user = std::env::var("USER")
        .ok()
        .filter(tame)
        .unwrap_or_else(|| rustix::process::getuid().as_raw().to_string());
    format!("sudo loginctl enable-linger {user}")
}

/// The service's last lines, oldest first; empty where they cannot be had.
pub fn last_lines(scope: Scope) -> Vec<String> {
    let mut args = scoped(scope);
    args.extend([
        "--unit",
        NAME,
        LINES,
        "--output=cat",
        "--no-pager",
        "--quiet",
    ]);
    let Ok(done) = command("journalctl", &args).output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&done.stdout)
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| Printable::line(line).to_string())
        .collect()
}

fn scoped<'a>(scope: Scope) -> Vec<&'a str> {
    match scope {
        Scope::User => vec!["--user"],
        Scope::System => vec![],
    }
}

/// A command of systemd's that asks nobody anything.
fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .env("SYSTEMD_PAGER", "")
        .env("SYSTEMD_COLORS", "0");
    // After `su` the variable is missing, though the user's systemd may run.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        let dir = format!("/run/user/{}", rustix::process::getuid().as_raw());
        if Path::new(&dir).is_dir() {
            command.env("XDG_RUNTIME_DIR", dir);
        }
    }
    command
}

fn shown(program: &str, args: &[&str], out: &mut Out) -> std::io::Result<Output> {
    out.say(format!("$ {program} {}", args.join(" ")))?;
    command(program, args).output().map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            std::io::Error::other(format!("there is no {program} here"))
        } else {
            error
        }
    })
}

/// What a command said when it failed, in one line.
fn said(done: &Output) -> String {
    let text = String::from_utf8_lossy(&done.stderr);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return done.status.to_string();
    }
    Printable::line(&words.join(" ")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_is_read_by_name() {
        let state = State::read(
            "LoadState=loaded\nActiveState=active\nMainPID=42\nStatusText=2 = 2\nNRestarts=0\nResult=\n",
        );
        assert_eq!(state.load, "loaded");
        assert_eq!(state.pid, Some(42));
        assert_eq!(state.says, "2 = 2");
        assert_eq!(state.enabled, "");
        assert_eq!(State::read("MainPID=0").pid, None);
        assert_eq!(State::read(""), State::default());
    }
}
