//! `[alerts]`: what is run and what is fetched. Imports domain only.
//!
//! The arguments of the command and the address may hold a token: neither is ever shown whole, in a message either.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Secret;
use crate::domain::printable::Printable;

/// `[alerts]`. The default alerts nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertSettings {
    /// What is run when a "needs you" rule starts or ends.
    pub command: Option<AlertCommand>,
    /// What is fetched while the ledger can be written.
    pub heartbeat_url: Option<Secret>,
}

/// A program and its arguments; no shell reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertCommand {
    /// An absolute path, or a name to be found on PATH.
    pub program: String,
    /// Its arguments.
    pub args: Vec<Secret>,
}

impl AlertCommand {
    /// `words` as a command; `None` for no words at all, an error in words where they cannot be one.
    pub(crate) fn read(words: &[String]) -> Result<Option<Self>, &'static str> {
        let Some((program, args)) = words.split_first() else {
            return Ok(None);
        };
        if program.trim().is_empty() {
            return Err("begins with an empty text: name the program first");
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err("holds a NUL, which no argument can");
        }
        if program.contains('/') && !program.starts_with('/') {
            return Err("wants the program's absolute path, or a name that is found on PATH");
        }
        Ok(Some(Self {
            program: program.clone(),
            args: args.iter().map(Secret::new).collect(),
        }))
    }

    /// Why it cannot be run as things stand; `path` is PATH. `None` if it can.
    pub fn lacks(&self, path: &str) -> Option<String> {
        let name = Printable::line(&self.program);
        if !self.program.starts_with('/') {
            let found = path
                .split(':')
                .filter(|dir| dir.starts_with('/'))
                .any(|dir| is_executable(&PathBuf::from(dir).join(&self.program)));
            return (!found).then(|| format!("`{name}` is not found on PATH"));
        }
        match fs::metadata(&self.program) {
            Err(error) => Some(format!("cannot use {name}: {error}")),
            Ok(found) if found.is_dir() => Some(format!("{name} is a directory")),
            Ok(_) if is_executable(Path::new(&self.program)) => None,
            Ok(_) => Some(format!("{name} is not executable: chmod +x it")),
        }
    }

    /// As `config print` shows it.
    pub(crate) fn shown(&self) -> String {
        let program = format!("{:?}", Printable::line(&self.program).as_str());
        let args = self.args.iter().map(|_| "[secret]".to_owned());
        let words: Vec<String> = std::iter::once(program).chain(args).collect();
        format!("[{}]", words.join(", "))
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The scheme and host of an address that can be fetched, `https://host[:port]`; `None` if it is none.
pub fn origin(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next()?;
    let plain = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
        && url
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"\\<>^`{|}".contains(&b));
    plain.then(|| &url[..url.len() - rest.len() + host.len()])
}

/// The address as `config print` shows it: behind the host may stand a token.
pub(crate) fn shown_url(url: &str) -> String {
    match origin(url) {
        Some(origin) => format!("\"{origin}/[secret]\""),
        None => "[secret]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_command_is_a_path_or_a_name_and_never_a_relative_path() {
        assert_eq!(AlertCommand::read(&[]), Ok(None));
        for fit in [&["/usr/bin/mail", "-s", "x"][..], &["notify"]] {
            assert!(AlertCommand::read(&words(fit)).unwrap().is_some());
        }
        for unfit in [&[""][..], &["./notify"], &["bin/notify"], &["a", "b\0"]] {
            assert!(AlertCommand::read(&words(unfit)).is_err(), "{unfit:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_and_arguments_are_not_shown() {
        let read = |program: &str| {
            AlertCommand::read(&words(&[program, "token-of-mine"]))
                .unwrap()
                .unwrap()
        };
        assert_eq!(read("/bin/sh").lacks(""), None);
        assert_eq!(read("sh").lacks("/nowhere:/bin:/usr/bin"), None);
        for (program, why) in [
            ("sh", "not found on PATH"),
            ("/nowhere/at/all", "No such file"),
            ("/etc", "is a directory"),
            ("/etc/passwd", "not executable"),
        ] {
            let lack = read(program).lacks("/nowhere:relative").unwrap();
            assert!(lack.contains(why), "{lack}");
        }
        assert_eq!(read("sh").shown(), "[\"sh\", [secret]]");
        assert!(!format!("{:?}", read("sh")).contains("token"));
    }

    #[test]
    fn of_an_address_only_the_host_is_shown() {
        for (url, shown) in [
            (
                "https://hc.example.org/ping/token",
                "\"https://hc.example.org/[secret]\"",
            ),
            (
                "http://127.0.0.1:81?token",
                "\"http://127.0.0.1:81/[secret]\"",
            ),
            ("https://[::1]/x", "\"https://[::1]/[secret]\""),
        ] {
            assert_eq!(shown_url(url), shown);
        }
        for wrong in [
            "",
            "hc.example.org",
            "ftp://a/",
            "https://",
            "https://user:pw@a/",
            "https://a b/",
        ] {
            assert_eq!(origin(wrong), None, "{wrong}");
        }
    }
}
