//! Parses the command line, runs it, prints what went wrong and gives the exit code. Decides nothing else.

use std::process::ExitCode;

use clap::Parser;
use subledger::cli::{self, args::Cli, failure, out};

fn main() -> ExitCode {
    match cli::run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match failure::exit_code(&error) {
            Some(code) => {
                let text = format!("{error:#}");
                if !text.is_empty() {
                    out::complain(text);
                }
                ExitCode::from(code)
            }
            None => ExitCode::SUCCESS,
        },
    }
}
