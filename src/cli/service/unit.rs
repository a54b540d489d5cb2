//! The units: their texts, where they stand, which program they start.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::config::fresh::Fresh;
use crate::config::places;
use crate::domain::printable::Printable;

/// The unit's name.
pub const NAME: &str = "subledger.service";

/// The socket's, of the machine's service.
pub const SOCKET: &str = "subledger.socket";

/// The user's unit, with places for paths.
const USER: &str = include_str!("../../../assets/subledger.service");

/// The machine's units, as a package ships them.
const SYSTEM: &str = include_str!("../../../assets/subledger-system.service");
const SYSTEM_SOCKET: &str = include_str!("../../../assets/subledger-system.socket");

/// What the machine's units say, and what takes its place.
const SYSTEM_PROGRAM: &str = "/usr/bin/subledger";
const SYSTEM_LISTEN: &str = "127.0.0.1:8484";

/// Where a program that no package brought stands.
const LOCAL_PROGRAM: &str = "/usr/local/bin/subledger";

/// How a unit of ours begins.
const MARK: &str = "# subledger's receiver as a service of this user";

/// Folders that are emptied without a question.
const PASSING: [&str; 5] = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/proc"];

/// The unit of this user, as it is to be.
pub struct Unit {
    /// Where it stands.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// What stands where the unit is to stand.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A unit that `service install` wrote, word by word.
    Ours(String),
    /// Something else.
    Foreign,
}

impl Unit {
    /// The unit that starts `program`, else this program, on the files of `context`.
    pub fn of(context: &Context, program: Option<&Path>) -> Result<Self> {
        let program = match program {
            Some(named) => named_program(named)?,
            None => lasting(this_program()?)?,
        };
        let text = USER
            .replace("{program}", &word(&program, true)?)
            .replace("{settings}", &word(&context.settings.path, false)?)
            .replace("{database}", &word(&context.database, false)?);
        let path = path()?;
        Ok(Self { path, text })
    }

    /// Whether `other`, a unit of ours, is for the same settings and the same ledger.
    pub fn is_for_the_same_as(&self, other: &str) -> bool {
        let files = |text: &str| {
            let start = text.lines().find(|line| line.starts_with("ExecStart="))?;
            let (_, files) = start.split_once(" serve --config ")?;
            Some(files.to_owned())
        };
        files(&self.text) == files(other)
    }

    /// Writes it, whole or not at all.
    pub fn write(&self) -> Result<()> {
        put(&self.path, &self.text)
    }
}

/// Writes `text` at `path`, whole or not at all.
pub fn put(path: &Path, text: &str) -> Result<()> {
    let cannot = |error: std::io::Error| {
        Failure::failed(format!(
            "cannot write the unit {}: {error}; no service was installed",
            path.display()
        ))
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(cannot)?;
    }
    Ok(Fresh::beside(path)
        .and_then(|fresh| fresh.with_mode(0o644)?.write(text.as_bytes()))
        .and_then(Fresh::put)
        .map_err(cannot)?)
}

/// Where the unit of this user stands.
pub fn path() -> Result<PathBuf> {
    let dirs = etcetera::base_strategy::Xdg::new().map_err(|_| {
        Failure::usage("there is no home directory for a unit: HOME is not set to an absolute path")
    })?;
    Ok(dirs.config_dir().join("systemd/user").join(NAME))
}

/// What stands at `path`.
pub fn look(path: &Path) -> Result<Found> {
    let cannot = || format!("cannot read the unit {}", path.display());
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        other => other.with_context(cannot)?,
    };
    if !metadata.is_file() {
        return Ok(Found::Foreign);
    }
    let bytes = fs::read(path).with_context(cannot)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) if text.starts_with(MARK) => Found::Ours(text),
        _ => Found::Foreign,
    })
}

/// That what stands at `path` is left alone.
pub fn foreign(path: &Path) -> Failure {
    Failure::failed(format!(
        "{} was not written by `subledger service install`, so it is left as it is: move it away first",
        path.display()
    ))
}

/// The script that places the unit of this user and starts it, as `service install` does.
pub fn script(unit: &Unit) -> String {
    let dir = unit.path.parent().unwrap_or(Path::new("/"));
    format!(
        "mkdir -p {dir}\ncat > {path} <<'END'\n{text}END\n\
         systemctl --user daemon-reload\nsystemctl --user enable {NAME}\nsystemctl --user restart {NAME}\n\
         loginctl enable-linger\n",
        dir = places::quoted(dir),
        path = places::quoted(&unit.path),
        text = unit.text,
    )
}

/// The script that places the machine's units, for root. `settings`: those to begin with, where there are some.
pub fn system_script(
    program: &Path,
    settings: Option<&Path>,
    listen: SocketAddr,
) -> Result<String> {
    let is_packaged = program.starts_with("/usr") || program.starts_with("/opt");
    let (place, program) = if is_packaged {
        (String::new(), program)
    } else {
        let from = places::quoted(program);
        (
            format!("install -m 0755 {from} {LOCAL_PROGRAM}\n"),
            Path::new(LOCAL_PROGRAM),
        )
    };
    let word = word(program, true)?;
    let plain = word.trim_matches('"');
    // A plain path stands there as packages have it.
    let is_plain = places::quoted(program) == plain;
    let service = SYSTEM.replace(SYSTEM_PROGRAM, if is_plain { plain } else { &word });
    let socket = SYSTEM_SOCKET.replace(SYSTEM_LISTEN, &listen.to_string());
    let toml = "/etc/subledger/subledger.toml";
    let begin = match settings {
        Some(from) => format!(
            "install -m 0600 -o subledger -g subledger {} {toml}",
            places::quoted(from)
        ),
        None => format!(
            "runuser -u subledger -- {} --config {toml} config set receiver.listen {listen}",
            places::quoted(program)
        ),
    };
    Ok(format!(
        "# Read this, then run it as root: subledger service install --system | sudo sh\n\
         # A ledger that you have already moves to /var/lib/subledger/subledger.db (owner subledger, mode 0600) before the\n\
         # last line; stop its receiver first.\n\
         set -e\n\
         getent passwd subledger > /dev/null || \
         useradd --system --user-group --home-dir /var/lib/subledger --no-create-home --shell /usr/sbin/nologin subledger\n\
         {place}\
         install -d -m 0750 -o subledger -g subledger /etc/subledger\n\
         install -d -m 0700 -o subledger -g subledger /var/lib/subledger\n\
         test -e {toml} || {begin}\n\
         cat > /etc/systemd/system/{NAME} <<'END'\n{service}END\n\
         cat > /etc/systemd/system/{SOCKET} <<'END'\n{socket}END\n\
         systemctl daemon-reload\n\
         systemctl enable {SOCKET} {NAME}\n\
         systemctl restart {SOCKET} {NAME}\n"
    ))
}

/// The script that takes the machine's units away, for root.
pub fn system_removal() -> String {
    format!(
        "# Read this, then run it as root: subledger service uninstall --system | sudo sh\n\
         # It leaves /etc/subledger, /var/lib/subledger, the program and the user subledger.\n\
         systemctl disable --now {SOCKET} {NAME}\n\
         rm -f /etc/systemd/system/{NAME} /etc/systemd/system/{SOCKET}\n\
         systemctl daemon-reload\n"
    )
}

/// This program, by the name that outlives an upgrade where the search path has one.
pub fn this_program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let name = Path::new("subledger");
    let by_name = std::env::var_os("PATH").and_then(|paths| {
        std::env::split_paths(&paths)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|path| {
                path.canonicalize()
                    .is_ok_and(|real| Ok(real) == program.canonicalize().map_err(drop))
            })
    });
    Ok(by_name.unwrap_or(program))
}

/// `program`, unless it stands where it will not stay.
fn lasting(program: PathBuf) -> Result<PathBuf> {
    match passing(&program) {
        None => Ok(program),
        Some(why) => Err(Failure::failed(format!(
            "no service was installed: {} {why}; put subledger where it stays (cargo install --path .) and install from \
             there, or name that program with --program",
            program.display()
        ))
        .into()),
    }
}

/// Why `program` will not stay where it is; `None`: it will.
fn passing(program: &Path) -> Option<&'static str> {
    if !program.exists() {
        return Some("is gone already");
    }
    let real = program.canonicalize();
    let real = real.as_deref().unwrap_or(program);
    if PASSING.iter().any(|dir| real.starts_with(dir)) {
        return Some("is in a folder that is emptied at the next start");
    }
    is_built(real).then_some("is a build that the next `cargo build` or `cargo clean` takes away")
}

/// What cargo builds in stands beside a note of cargo's.
fn is_built(program: &Path) -> bool {
    program
        .ancestors()
        .any(|dir| dir.join("CACHEDIR.TAG").is_file() && dir.join(".rustc_info.json").is_file())
}

/// The program that `--program` names: its word is taken that it stays.
pub fn named_program(named: &Path) -> Result<PathBuf> {
    let program = places::absolute(named);
    let is_program = fs::metadata(&program)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0);
    if is_program {
        return Ok(program);
    }
    Err(Failure::usage(format!(
        "{} is no program that can be run: name subledger itself with --program",
        Printable::line(&named.display().to_string())
    ))
    .into())
}

/// One word of a unit's command line. systemd takes no variables in the name of the program.
fn word(path: &Path, is_program: bool) -> Result<String> {
    let plain = path
        .to_str()
        .filter(|text| !text.contains(char::is_control));
    let Some(text) = plain else {
        let path = path.display().to_string();
        let says = format!(
            "{} cannot stand in a unit: choose a path of plain characters",
            Printable::line(&path)
        );
        return Err(Failure::usage(says).into());
    };
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    let text = if is_program {
        text
    } else {
        text.replace('$', "$$")
    };
    Ok(format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_in_a_unit_as_one_word() {
        let path = Path::new("/a b/50%\"$x");
        assert_eq!(word(path, false).unwrap(), "\"/a b/50%%\\\"$$x\"");
        assert_eq!(word(path, true).unwrap(), "\"/a b/50%%\\\"$x\"");
        assert!(word(Path::new("/a\nExecStart=/b"), false).is_err());
    }

    #[test]
    fn the_unit_has_a_place_for_each_path() {
        for place in ["{program}", "{settings}", "{database}"] {
            assert_eq!(USER.matches(place).count(), 2, "{place}");
        }
        assert!(USER.starts_with(MARK));
    }

    #[test]
    fn the_units_of_a_machine_take_program_and_address() {
        assert_eq!(SYSTEM.matches(SYSTEM_PROGRAM).count(), 2);
        assert_eq!(SYSTEM_SOCKET.matches(SYSTEM_LISTEN).count(), 1);
        let listen = "192.0.2.1:9".parse().unwrap();
        let home = Path::new("/home/reader/bin/subledger");
        let script = system_script(home, Some(Path::new("/a b.toml")), listen).unwrap();
        assert!(script.contains("install -m 0755 /home/reader/bin/subledger /usr/local/bin/"));
        assert!(script.contains("ExecStart=/usr/local/bin/subledger serve"));
        assert!(script.contains("'/a b.toml' /etc/subledger/subledger.toml"));
        assert!(script.contains("ListenStream=192.0.2.1:9\n"));
        let packaged = system_script(Path::new("/usr/bin/subledger"), None, listen).unwrap();
        assert!(packaged.contains("ExecStart=/usr/bin/subledger serve"));
        assert!(!packaged.contains("install -m 0755"));
        assert!(packaged.contains("config set receiver.listen 192.0.2.1:9"));
    }

    #[test]
    fn a_path_gives_root_no_orders() {
        let listen = "192.0.2.1:9".parse().unwrap();
        let odd = Path::new("/opt/a b;id/50%/subledger");
        let script = system_script(odd, None, listen).unwrap();
        assert!(script.contains("ExecStart=\"/opt/a b;id/50%%/subledger\" serve"));
        assert!(script.contains("-- '/opt/a b;id/50%/subledger' --config"));
        let newline = Path::new("/opt/a\nEND\nid/subledger");
        assert!(system_script(newline, None, listen).is_err());
    }

    #[test]
    fn a_program_that_will_go_away_is_not_put_into_a_unit() {
        let dir = tempfile::tempdir().unwrap();
        let built = dir.path().join("target/debug/subledger");
        fs::create_dir_all(built.parent().unwrap()).unwrap();
        fs::write(&built, "").unwrap();
        assert!(!is_built(&built));
        fs::write(dir.path().join("target/CACHEDIR.TAG"), "").unwrap();
        fs::write(dir.path().join("target/.rustc_info.json"), "{}").unwrap();
        assert!(is_built(&built));
        assert!(passing(&built).is_some());
        assert!(
            passing(Path::new("/nowhere/subledger"))
                .unwrap()
                .contains("gone")
        );
    }

    #[test]
    fn only_units_of_ours_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user").join(NAME);
        assert_eq!(look(&path).unwrap(), Found::Nothing);
        put(&path, "[Service]\n").unwrap();
        assert_eq!(look(&path).unwrap(), Found::Foreign);
        put(&path, USER).unwrap();
        assert_eq!(look(&path).unwrap(), Found::Ours(USER.to_owned()));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(look(&path).unwrap(), Found::Foreign);
    }
}
