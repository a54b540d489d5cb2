//! What the sheet of keys and the palette hold here, and doing it.

use crate::domain::query::value_text;
use crate::tui::actions::{self, Action, Scope};
use crate::tui::app::message::Effect;
use crate::tui::app::{App, CHAINS, Overlay};
use crate::tui::palette::{Entry, Palette, Runs, fitting};
use crate::tui::place::{Place, Screen};
use crate::tui::theme::Meaning;

impl App {
    /// What fits what is looked for.
    pub fn entries(&self, palette: &Palette) -> Vec<Entry> {
        let all = if palette.wide {
            self.wide_entries()
        } else {
            self.key_entries()
        };
        fitting(all, palette.sought())
    }

    /// Every key under the heading of its scope, what holds here first.
    fn key_entries(&self) -> Vec<Entry> {
        let here = self.place_scopes();
        let rest = Scope::ALL.iter().filter(|scope| !here.contains(scope));
        let mut entries = Vec::new();
        for scope in here.iter().chain(rest) {
            entries.push(Entry::head(scope.title()));
            let actions = actions::of(*scope).into_iter();
            entries.extend(actions.map(|action| self.entry(action)));
        }
        entries
    }

    /// What can be done here, saved filters, providers, and what can be done on other screens.
    fn wide_entries(&self) -> Vec<Entry> {
        let here = self.place_scopes().iter();
        let of = |scope: &Scope| {
            actions::of(*scope)
                .into_iter()
                .map(|action| self.entry(action))
        };
        let (mut entries, mut later): (Vec<_>, Vec<_>) =
            here.flat_map(of).partition(|entry| entry.why_not.is_none());
        let others = Scope::ALL.iter().filter(|scope| {
            let on_screen = |chain: &&&[Scope]| chain.contains(&Scope::Anywhere);
            let is_place = CHAINS
                .iter()
                .filter(on_screen)
                .any(|chain| chain.contains(scope));
            is_place && !self.place_scopes().contains(scope)
        });
        later.extend(others.flat_map(of));
        entries.extend(self.views.iter().enumerate().map(|(at, view)| {
            Entry {
                keys: view
                    .pin
                    .map(|digit| format!("v{digit}"))
                    .into_iter()
                    .collect(),
                title: self.name_shown(&view.name),
                text: format!(
                    "{}: saved filter of {}",
                    self.name_shown(&view.name),
                    view.list
                ),
                danger: "",
                why_not: None,
                runs: Runs::View(at),
            }
        }));
        entries.extend(self.vocabulary.providers.iter().map(|id| Entry {
            keys: Vec::new(),
            title: id.clone(),
            text: format!("{id}: every webhook of this provider"),
            danger: "",
            why_not: None,
            runs: Runs::Provider(id.clone()),
        }));
        entries.extend(self.setting_entries());
        entries.extend(later);
        entries
    }

    /// How the screen looks, and what the settings can say.
    fn setting_entries(&self) -> impl Iterator<Item = Entry> {
        let entry = |title: String, text: String, runs| Entry {
            keys: Vec::new(),
            title,
            text,
            danger: "",
            why_not: None,
            runs,
        };
        let looks = self.looks.iter().enumerate().map(move |(at, (name, _))| {
            let text = format!("theme {name}: how the screen looks, until it is closed");
            entry(format!("theme {name}"), text, Runs::Look(at))
        });
        let knobs = self.knobs.iter().enumerate().map(move |(at, knob)| {
            let title = knob.setting.rsplit('.').next().unwrap_or_default();
            let text = match &*knob.help {
                "" => format!("{}: a setting", knob.setting),
                help => format!("{}: setting: {help}", knob.setting),
            };
            entry(title.to_owned(), text, Runs::Knob(at))
        });
        looks.chain(knobs)
    }

    /// Shows the screen in the theme at this place.
    fn look_like(&mut self, at: usize) {
        let Some((name, theme)) = self.looks.get(at).copied() else {
            return;
        };
        self.theme = theme;
        let keep = self
            .knobs
            .iter()
            .find(|knob| knob.setting == "display.theme");
        let keep = keep.map_or_else(String::new, |knob| {
            format!(": `{} {name}` keeps it", knob.command)
        });
        self.say(
            format!("theme {name} until the screen is closed{keep}"),
            Meaning::Good,
        );
    }

    fn entry(&self, action: &Action) -> Entry {
        let why_not = if self.place_scopes().contains(&action.scope) {
            (action.why_not)(self).map(str::to_owned)
        } else {
            Some(format!("not here: {}", action.scope.title()))
        };
        Entry {
            keys: action.key_names().collect(),
            title: action.title.to_owned(),
            text: action.help.to_owned(),
            danger: action.danger.words(),
            why_not,
            runs: Runs::Act(action.act),
        }
    }

    /// Why what is selected among the keys or in the palette is impossible here.
    pub fn why_not_selected(&self) -> Option<String> {
        let Some(Overlay::Help(palette)) = &self.overlay else {
            return None;
        };
        let mut choices = self.entries(palette).into_iter().filter(Entry::is_choice);
        choices.nth(palette.at)?.why_not
    }

    pub(super) fn step_palette(&mut self, lines: isize) {
        let Some(Overlay::Help(palette)) = &self.overlay else {
            return;
        };
        let choices = self
            .entries(palette)
            .iter()
            .filter(|entry| entry.is_choice())
            .count();
        if let Some(Overlay::Help(palette)) = &mut self.overlay {
            let last = choices.saturating_sub(1);
            palette.at = palette.at.saturating_add_signed(lines).min(last);
        }
    }

    /// Does the selected one, or says why that is impossible and leaves the search open.
    pub(super) fn run_entry(&mut self, effects: &mut Vec<Effect>) {
        let Some(Overlay::Help(palette)) = &self.overlay else {
            return;
        };
        let at = palette.at;
        let mut choices = self.entries(palette).into_iter().filter(Entry::is_choice);
        let Some(entry) = choices.nth(at) else {
            return self.say("nothing here is called that", Meaning::Warning);
        };
        if let Some(why) = entry.why_not {
            return self.say(why, Meaning::Warning);
        }
        self.overlay = None;
        match entry.runs {
            Runs::Nothing => {}
            Runs::Act(act) => self.act(act, effects),
            Runs::View(at) => self.open_view_at(at, effects),
            Runs::Look(at) => self.look_like(at),
            Runs::Knob(at) => {
                if let Some(knob) = self.knobs.get(at) {
                    let command = knob.command.clone();
                    let said = format!(
                        "handed to the terminal's clipboard: {command}, which asks for the value"
                    );
                    self.say(said, Meaning::Good);
                    effects.push(Effect::Copy(command));
                }
            }
            Runs::Provider(id) => {
                let query = format!("provider:{}", value_text(&id));
                self.visit(Place::with_query(Screen::DELIVERIES, query), effects);
            }
        }
    }
}
