//! Entry point: reads the command line and hands over. Exit status 0 for
//! success, 1 for a failure with its reason on stderr, 2 for a command line
//! that cannot be understood.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use runner::cli::{Cli, Command};
use runner::{commands, compiler};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(options) => commands::serve::run(&options),
        Command::New(options) => commands::new::run(&options),
        Command::Check(options) => commands::check::run(&options),
        Command::Try(options) => commands::try_filter::run(&options),
        Command::Test(options) => commands::test::run(&options),
        Command::Demo => commands::demo::run(),
        Command::Bench(options) => commands::bench::run(&options),
        Command::Version => commands::version::run(),
        Command::Completions { shell } => commands::completions::run(shell),
        Command::CompileLauncher(options) => compiler::launcher::run(&options),
        Command::CompileWorker(options) => compiler::worker::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let style = anstyle::AnsiColor::Red.on_default().bold();
            // Nowhere is left to report that stderr is gone.
            let _ = writeln!(anstream::stderr(), "{style}error{style:#}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
