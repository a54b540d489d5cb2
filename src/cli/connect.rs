//! `connect`: asks for what a provider's dashboard shows, stores it, prints the links. Never shows a secret, and never
//! takes one as an argument.

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _, stdin};

use anyhow::{Context as _, Result};

use crate::cli::args::Global;
use crate::cli::ask::Person;
use crate::cli::context::{self, Context, known, provider};
use crate::cli::failure::Failure;
use crate::cli::keys::{self, PATH_KEY, full_key};
use crate::cli::out::Out;
use crate::cli::{settings, urls};
use crate::config::edit::{Change, Edit, Standing, Standings, fresh_path_key};
use crate::config::{Secret, Settings, places, read};
use crate::domain::delivery::MAIN_ACCOUNT;
use crate::domain::printable::Printable;
use crate::providers::{Provider, Setting, SettingShape};
use crate::tui::secrets::drop_command;

/// No answers are longer than this together, bytes.
const ANSWERS_BYTES_MAX: u64 = 1 << 20;

/// One answer. Never printed whole.
enum Answer {
    Secret(Secret),
    Plain(String),
}

/// What was answered so far, by key.
type Answers = BTreeMap<&'static str, Answer>;

/// Connects one account of a provider.
pub fn run(global: &Global, id: &str, out: &mut Out) -> Result<()> {
    let provider = provider(id)?;
    let account = global.account.as_deref().unwrap_or(MAIN_ACCOUNT);
    if !read::is_account_name(account) {
        let account = Printable::line(account);
        return Err(Failure::usage(format!(
            "`{account}` cannot name an account: use a-z, 0-9, `-` and `_`, at most 32"
        ))
        .into());
    }
    let (_, file) = context::find(global)?;
    let form = Form::open(provider, account, &file)?;
    let edits = if let Some(person) = Person::at_terminal()? {
        form.ask(&person, &file, out)?
    } else {
        let answers = form.answers_from(stdin().lock())?;
        let edits = form.edits(&answers)?;
        write(&file, &edits, out)?;
        edits
    };
    form.report(&edits, &file, out)?;
    let context = Context::read(global)?;
    let settings = keys::again(&context, &form.settings)?;
    if !edits.is_empty() || !file.exists {
        keys::reload(&context, Some(settings), out)?;
    }
    out.say("")?;
    urls::of_account(&context, settings, out)
}

fn write(file: &places::Settings, edits: &[Edit], out: &mut Out) -> Result<()> {
    if edits.is_empty() && file.exists {
        return Ok(());
    }
    settings::write(file, edits, out)
}

/// What there is to ask of one account, and what is there already.
struct Form {
    provider: &'static dyn Provider,
    /// As they are now; empty for an account that is new.
    settings: Settings,
    standings: Standings,
    /// The first start's file is still to be written, with a secret link for this account.
    is_first: bool,
    /// The settings hold nothing of this account.
    is_new: bool,
}

impl Form {
    fn open(
        provider: &'static dyn Provider,
        account: &str,
        file: &places::Settings,
    ) -> Result<Self> {
        let accounts = if file.exists {
            read::load(&file.path, &known())?.accounts
        } else {
            Vec::new()
        };
        let standings = Standings::read(&file.path)?;
        let nothing = Settings {
            provider: provider.id().to_owned(),
            account: account.to_owned(),
            ..Settings::default()
        };
        let table = nothing.table();
        let is_first = !file.exists && account == MAIN_ACCOUNT;
        let is_new = !is_first && !standings.has_table(table.trim_matches(['[', ']']));
        let is_it =
            |one: &Settings| (&one.provider, &one.account) == (&nothing.provider, &nothing.account);
        Ok(Self {
            provider,
            settings: accounts.into_iter().find(is_it).unwrap_or(nothing),
            standings,
            is_first,
            is_new,
        })
    }

    fn standing(&self, setting: &Setting) -> Standing {
        self.standings.of(&full_key(&self.settings, setting.key))
    }

    /// Asks until what was answered holds, and writes it.
    fn ask(&self, person: &Person, file: &places::Settings, out: &mut Out) -> Result<Vec<Edit>> {
        out.say(format!(
            "{}, account {}. An empty answer leaves a thing as it is; nothing is written before the last one.",
            self.provider.name(),
            self.settings.account
        ))?;
        let mut answers = Answers::new();
        loop {
            for setting in self.provider.settings() {
                if let Some(answer) = self.ask_one(person, setting, &answers, out)? {
                    answers.insert(setting.key, answer);
                }
            }
            let undisturbed = person.undisturbed();
            let edits = self.edits(&answers)?;
            let Err(error) = write(file, &edits, out) else {
                return Ok(edits);
            };
            drop(undisturbed);
            // Asking again mends a wrong answer, and nothing else.
            if answers.is_empty() || !error.is::<crate::config::SettingsError>() {
                return Err(error);
            }
            out.say(format!(
                "\nNothing was written: {error:#}\nOnce more; an empty answer keeps the one before, Ctrl-C gives up."
            ))?;
        }
    }

    fn ask_one(
        &self,
        person: &Person,
        setting: &Setting,
        so_far: &Answers,
        out: &mut Out,
    ) -> Result<Option<Answer>> {
        out.say(format!("\n{}", setting.help))?;
        let standing = self.standing(setting);
        if let Some(elsewhere) = &standing.elsewhere {
            out.say(format!("  it comes from {elsewhere}: change it there"))?;
            return Ok(None);
        }
        if so_far.contains_key(setting.key) {
            out.say("  answered")?;
        } else if let Some(there) = self.there(setting, &standing) {
            out.say(format!("  {there}"))?;
        }
        let answer = match setting.shape {
            SettingShape::Secret => person.secret(setting.key)?.map(Answer::Secret),
            SettingShape::Text | SettingShape::List => person.text(setting.key)?.map(Answer::Plain),
        };
        Ok(answer)
    }

    /// What is set already, without a secret's value.
    fn there(&self, setting: &Setting, standing: &Standing) -> Option<String> {
        match setting.shape {
            SettingShape::Secret => match standing.secrets {
                0 => None,
                1 => {
                    Some("set already: a new one goes in front, the old one stays valid".to_owned())
                }
                all => Some(format!(
                    "{all} are set already: a new one goes in front, they stay valid"
                )),
            },
            SettingShape::Text => {
                let text = self.settings.text(setting.key)?;
                Some(format!("now {}", Printable::line(text)))
            }
            SettingShape::List => {
                let list = self.settings.list(setting.key).join(", ");
                (!list.is_empty()).then(|| format!("now {}", Printable::line(&list)))
            }
        }
    }

    /// Lines `key=value`; empty ones and those that begin with `#` are none.
    fn answers_from(&self, input: impl BufRead) -> Result<Answers> {
        let mut text = String::new();
        input
            .take(ANSWERS_BYTES_MAX)
            .read_to_string(&mut text)
            .context("cannot read the answers from stdin")?;
        let mut answers = Answers::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line may hold a secret: only its number is said.
            let wrong = |say: String| Failure::usage(format!("line {} of stdin: {say}", at + 1));
            let Some((key, value)) = line.split_once('=') else {
                let keys: Vec<&str> = self.provider.settings().iter().map(|s| s.key).collect();
                let say = format!("it is not KEY=VALUE; the keys are {}", keys.join(", "));
                return Err(wrong(say).into());
            };
            let (setting, value) = (self.setting(key.trim()).map_err(wrong)?, value.trim());
            if value.is_empty() {
                continue;
            }
            if let Some(elsewhere) = self.standing(setting).elsewhere {
                let say = format!("{} comes from {elsewhere}: change it there", setting.key);
                return Err(wrong(say).into());
            }
            let answer = match setting.shape {
                SettingShape::Secret => Answer::Secret(Secret::new(value)),
                SettingShape::Text | SettingShape::List => Answer::Plain(value.to_owned()),
            };
            if answers.insert(setting.key, answer).is_some() {
                return Err(wrong(format!("{} is there twice", setting.key)).into());
            }
        }
        Ok(answers)
    }

    fn setting(&self, key: &str) -> Result<&'static Setting, String> {
        let settings = self.provider.settings();
        settings
            .iter()
            .find(|setting| setting.key == key)
            .ok_or_else(|| {
                let keys: Vec<&str> = settings.iter().map(|setting| setting.key).collect();
                // What stands before the first `=` may be a part of a secret.
                let near = read::nearest(key, keys.iter().copied());
                let hint =
                    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                format!("no such key{hint} There is {}", keys.join(", "))
            })
    }

    /// What the answers change. An account that is new, or that nothing could come in by, gets a secret link.
    fn edits(&self, answers: &Answers) -> Result<Vec<Edit>> {
        let mut edits = Vec::new();
        let any_secret = |answer: &Answer| matches!(answer, Answer::Secret(_));
        let lets_in = !self.settings.secrets.is_empty()
            || self.settings.text("auth").is_some()
            || answers.values().any(any_secret);
        if self.is_new || (!lets_in && !self.is_first) {
            edits.push(Edit {
                key: full_key(&self.settings, PATH_KEY),
                change: Change::PutFirst(Secret::new(fresh_path_key()?)),
            });
        }
        for (key, answer) in answers {
            let change = match answer {
                Answer::Secret(secret) if self.settings.secrets(key).first() == Some(secret) => {
                    continue;
                }
                Answer::Secret(secret) => Change::PutFirst(secret.clone()),
                Answer::Plain(text) if self.settings.text(key) == Some(text) => continue,
                Answer::Plain(text) => Change::Set(text.clone()),
            };
            edits.push(Edit {
                key: full_key(&self.settings, key),
                change,
            });
        }
        Ok(edits)
    }

    /// What was done, without a value.
    fn report(&self, edits: &[Edit], file: &places::Settings, out: &mut Out) -> Result<()> {
        let path = file.path.display();
        if edits.is_empty() {
            if file.exists {
                out.say(format!("{path} stays as it is"))?;
            }
            return Ok(());
        }
        let keys: Vec<&str> = edits.iter().map(|edit| edit.key.as_str()).collect();
        out.say(format!("set {} in {path}", keys.join(", ")))?;
        let who = (
            self.settings.provider.as_str(),
            self.settings.account.as_str(),
        );
        for setting in self.provider.settings() {
            let full = full_key(&self.settings, setting.key);
            let is_changed = edits.iter().any(|edit| edit.key == full);
            if is_changed && self.standing(setting).secrets > 0 && setting.proof.is_some() {
                let command = drop_command(who, setting.key);
                out.say(format!(
                    "{}: the old one stays valid too, until `{command}`",
                    setting.key
                ))?;
            }
        }
        Ok(())
    }
}
