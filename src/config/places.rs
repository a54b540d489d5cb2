//! Where files are looked for: the XDG directories, and what overrides them.
//!
//! Never creates anything.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;

use crate::config::SettingsError;

/// The settings of the whole machine, looked at last.
pub const SYSTEM_SETTINGS: &str = "/etc/subledger/subledger.toml";

/// What was said on the command line or in the environment.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// `--config`, else `SUBLEDGER_CONFIG`.
    pub settings: Option<PathBuf>,
    /// `--db`, else `SUBLEDGER_DB`.
    pub database: Option<PathBuf>,
}

/// The directories of this user; `None` where the environment tells of no home.
#[derive(Clone, Debug)]
pub struct Places {
    config_dir: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    system: PathBuf,
}

/// The settings file in force, or the one to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// Whether the publisher named it.
    pub named: bool,
}

impl Places {
    /// As the environment says. A `HOME` that is no absolute path counts as none, as the XDG rules have it for their
    /// own variables.
    pub fn from_environment() -> Self {
        let xdg = Xdg::new().ok();
        let take = |dir: Option<PathBuf>| {
            dir.filter(|dir| dir.is_absolute())
                .map(|dir| dir.join("subledger"))
        };
        Self {
            config_dir: take(xdg.as_ref().map(BaseStrategy::config_dir)),
            data_dir: take(xdg.as_ref().map(BaseStrategy::data_dir)),
            state_dir: take(xdg.as_ref().and_then(BaseStrategy::state_dir)),
            system: PathBuf::from(SYSTEM_SETTINGS),
        }
    }

    /// The settings file: the one named, else this user's, else the machine's, else this user's to be made.
    pub fn settings(&self, named: &Named) -> Result<Settings, SettingsError> {
        if let Some(path) = &named.settings {
            return Ok(Settings {
                path: absolute(path),
                exists: path.exists(),
                named: true,
            });
        }
        let own = self
            .config_dir
            .as_ref()
            .map(|dir| dir.join("subledger.toml"));
        let found = own
            .iter()
            .chain([&self.system])
            .find(|path| path.exists())
            .cloned();
        let exists = found.is_some();
        let path = found.or(own).ok_or_else(|| homeless("--config"))?;
        Ok(Settings {
            path,
            exists,
            named: false,
        })
    }

    /// The database: the one named, else the settings' one, else this user's.
    pub fn database(
        &self,
        named: &Named,
        by_settings: Option<&Path>,
    ) -> Result<PathBuf, SettingsError> {
        if let Some(path) = named.database.as_deref().or(by_settings) {
            return Ok(absolute(path));
        }
        self.data_dir
            .as_ref()
            .map(|dir| dir.join("subledger.db"))
            .ok_or_else(|| homeless("--db"))
    }

    /// Where a receiver in the background writes its log.
    pub fn log(&self) -> Result<PathBuf, SettingsError> {
        self.state_dir
            .as_ref()
            .map(|dir| dir.join("receiver.log"))
            .ok_or_else(|| homeless("XDG_STATE_HOME"))
    }
}

/// The path from the root, without a look at the disk.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let tame = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&b);
    if !text.is_empty() && text.bytes().all(tame) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn homeless(way_out: &str) -> SettingsError {
    SettingsError(format!(
        "there is no home directory to look in: HOME is not set to an absolute path; set it, or use {way_out}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(dir: &Path) -> Places {
        Places {
            config_dir: Some(dir.join("config")),
            data_dir: Some(dir.join("data")),
            state_dir: Some(dir.join("state")),
            system: dir.join("etc.toml"),
        }
    }

    #[test]
    fn the_named_file_comes_before_the_users_and_that_before_the_machines() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        let named = Named::default();
        let own = dir.path().join("config/subledger.toml");
        let fresh = places.settings(&named).unwrap();
        assert_eq!((fresh.path, fresh.exists), (own.clone(), false));
        std::fs::write(dir.path().join("etc.toml"), "").unwrap();
        assert_eq!(
            places.settings(&named).unwrap().path,
            dir.path().join("etc.toml")
        );
        std::fs::create_dir(dir.path().join("config")).unwrap();
        std::fs::write(&own, "").unwrap();
        assert_eq!(places.settings(&named).unwrap().path, own);
        let named = Named {
            settings: Some(dir.path().join("x.toml")),
            database: None,
        };
        assert!(places.settings(&named).unwrap().named);
    }

    #[test]
    fn without_a_home_the_message_says_what_to_use() {
        let places = Places {
            config_dir: None,
            data_dir: None,
            state_dir: None,
            system: PathBuf::from("/nonexistent/subledger.toml"),
        };
        let named = Named::default();
        assert!(places.settings(&named).unwrap_err().0.contains("--config"));
        assert!(
            places
                .database(&named, None)
                .unwrap_err()
                .0
                .contains("--db")
        );
    }
}
