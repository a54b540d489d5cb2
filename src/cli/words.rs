//! `completions` and `man`: what clap knows, written out.

use std::io;

use clap::CommandFactory;

use crate::cli::args::Cli;
use crate::cli::out::Out;

/// Completions for `shell`.
pub fn completions(shell: clap_complete::Shell, out: &mut Out) -> io::Result<()> {
    // The generator panics when its reader goes away, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "subledger", &mut script);
    io::Write::write_all(out.data(), &script)?;
    out.flush()
}

/// The manual page, one section for each command.
pub fn man(out: &mut Out) -> io::Result<()> {
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
    io::Write::write_all(out.data(), &page)?;
    out.flush()
}
