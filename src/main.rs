//! Parses the command line, runs it, prints what went wrong and gives the exit code. Decides nothing else.

use std::process::ExitCode;

use subledger::cli::{self, args, failure, out};

fn main() -> ExitCode {
    let cli = match args::parsed(std::env::args_os()) {
        Ok(cli) => cli,
        Err(said) => said.exit(),
    };
    match cli::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match failure::exit_code(&error) {
            Some(code) => {
                let text = failure::text(&error);
                if !text.is_empty() {
                    out::complain(text);
                }
                ExitCode::from(code)
            }
            None => ExitCode::SUCCESS,
        },
    }
}
