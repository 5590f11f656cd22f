//! The command line: arguments, words for people, exit statuses.
//!
//! A command is a file under `commands`, and the doc comment of its arguments is its help. Results
//! go to standard output, everything else to standard error; the exit status is one of
//! [`exit::Exit`], always.

mod args;
mod commands;
mod derive;
mod duration;
mod execute;
pub mod exit;
mod failure;
mod files;
mod interrupt;
mod output;
mod progress;
mod rehearsal;
mod side;
mod size;
mod trouble;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::exit::Exit;
use crate::output::Output;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody may be left to read it.
            let _ = error.print();
            // Asked for help or the version it is no error; clap's own status for errors is 2,
            // which here means that differences were found.
            return if error.use_stderr() { Exit::Error } else { Exit::Done }.into();
        }
    };
    let output = Output::new(cli.global.color);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(commands::run(cli, &output));
            // Whoever waits for an answer on the terminal waits for nothing any more.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(trouble::Trouble::new("runtime", error.to_string()).into()),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}
