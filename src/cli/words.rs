//! `completions` and `man`: what clap and the screen's table of actions know, written out.

use std::io;

use clap::CommandFactory;

use crate::cli::args::Cli;
use crate::cli::out::Out;
use crate::tui::actions::{self, Action};

/// Completions for `shell`.
pub fn completions(shell: clap_complete::Shell, out: &mut Out) -> io::Result<()> {
    // The generator panics when its reader goes away, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "subledger", &mut script);
    io::Write::write_all(out.data(), &script)?;
    out.flush()
}

/// The manual page, one section for each command and one for the keys of the screen.
pub fn man(out: &mut Out) -> io::Result<()> {
    io::Write::write_all(out.data(), &manual()?)?;
    out.flush()
}

/// The keys of the screen as Markdown: what `assets/keys.md` holds.
pub fn keys(out: &mut Out) -> io::Result<()> {
    io::Write::write_all(out.data(), keys_as_markdown().as_bytes())?;
    out.flush()
}

fn manual() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    let whole = clap_mangen::Man::new(command.clone());
    whole.render(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let man = clap_mangen::Man::new(sub.clone());
        let name = sub
            .get_display_name()
            .unwrap_or(sub.get_name())
            .to_uppercase();
        page.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
        let mut part = Vec::new();
        man.render_description_section(&mut part)?;
        man.render_synopsis_section(&mut part)?;
        man.render_options_section(&mut part)?;
        let part = String::from_utf8_lossy(&part);
        for line in part
            .lines()
            .filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el "))
        {
            let line = match line.strip_prefix(".SH ") {
                Some(head) => format!(".SS {head}"),
                None => line.to_owned(),
            };
            page.extend_from_slice(line.as_bytes());
            page.push(b'\n');
        }
    }
    page.extend_from_slice(keys_as_roff().as_bytes());
    Ok(page)
}

fn keys_as_roff() -> String {
    let mut page = String::from(".SH \"KEYS OF THE SCREEN\"\n");
    for (scope, actions) in actions::chapters() {
        page.extend([".SS \"", scope.title(), "\"\n"]);
        for action in actions {
            page.push_str(&roff_lines(action));
        }
    }
    page
}

fn roff_lines(action: &Action) -> String {
    let keys: Vec<_> = action.key_names().map(|key| roff(&key)).collect();
    format!(
        ".TP\n\\fB{}\\fR\n\\&{}\n",
        keys.join(" "),
        roff(&action.told())
    )
}

/// `text` as roff shows it to the letter.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
}

fn keys_as_markdown() -> String {
    let mut page = String::from(
        "# Keys of the screen\n\n\
         Written by `subledger man --keys` from the table that the screen itself goes by. On the screen `?` finds a key by\n\
         its name or by what it does, and Ctrl-P also screens, saved filters and providers; Enter does what is selected.\n",
    );
    for (scope, actions) in actions::chapters() {
        page.extend(["\n## ", scope.title(), "\n\n| key | |\n|---|---|\n"]);
        for action in actions {
            page.push_str(&markdown_row(action));
        }
    }
    page
}

fn markdown_row(action: &Action) -> String {
    let keys: Vec<_> = action
        .key_names()
        .map(|key| format!("`{}`", key.replace('|', "\\|")))
        .collect();
    let help = action.told().replace('|', "\\|");
    format!("| {} | {help} |\n", keys.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::actions::key::Key;

    #[test]
    fn the_page_of_keys_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/keys.md");
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            keys_as_markdown(),
            "run `subledger man --keys > assets/keys.md`"
        );
    }

    #[test]
    fn the_manual_page_has_every_key_where_it_holds() {
        let page = String::from_utf8(manual().unwrap()).unwrap();
        let (_, keys) = page.split_once("\n.SH \"KEYS OF THE SCREEN\"\n").unwrap();
        let mut parts = keys.split(".SS \"").skip(1);
        for (scope, actions) in actions::chapters() {
            let part = parts.next().unwrap();
            assert!(part.starts_with(&format!("{}\"\n", scope.title())));
            assert_eq!(part.matches(".TP\n").count(), actions.len(), "{scope:?}");
            for action in actions {
                assert!(part.contains(&roff_lines(action)), "{:?}", action.act);
            }
        }
        assert_eq!(parts.next(), None);
    }

    #[test]
    fn the_readme_names_only_keys_that_hold_on_a_screen() {
        let readme = include_str!("../../README.md");
        let (_, table) = readme.split_once("| key | |\n|---|---|\n").unwrap();
        let rows: Vec<_> = table
            .lines()
            .take_while(|line| line.starts_with('|'))
            .collect();
        assert!(rows.len() > 5);
        for row in rows {
            let cell = row.split(" | ").next().unwrap();
            for name in cell.split('`').skip(1).step_by(2) {
                let key = Key::named(name).unwrap_or_else(|| panic!("{name} is no key"));
                let holds = |action: &Action| {
                    let chains = crate::tui::app::CHAINS.iter();
                    let on_screen = |chain: &&&[_]| chain.contains(&actions::Scope::Anywhere);
                    action.keys.contains(&key)
                        && chains
                            .filter(on_screen)
                            .any(|chain| chain.contains(&action.scope))
                };
                assert!(actions::all().any(holds), "{name} does nothing on a screen");
            }
        }
    }
}
