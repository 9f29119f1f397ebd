//! The command line, as a person types it. What the commands do is in
//! `commands/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Runs APISIX external plugins as sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "runner", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  runner demo                                   see two filters act on real gateway traffic
  runner serve --modules ./filters              serve every ./filters/NAME.wasm as plugin NAME
  runner serve --modules ./filters --listen unix:/run/apisix/runner.sock";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the filters of a folder to the gateway on a unix socket.
    #[command(after_help = SERVE_HELP)]
    Serve(ServeOptions),
    /// Start a runner with two example filters, play captured APISIX requests
    /// against it and print each request before and after.
    Demo,
    /// Print the versions of the runner, wasmtime and the protocol.
    Version,
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  runner completions bash > ~/.local/share/bash-completion/completions/runner"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const SERVE_HELP: &str = "\
The address is, in this order: --listen, the environment variable
APISIX_LISTEN_ADDRESS (which APISIX sets), socket.file of the configuration.

In APISIX's config.yaml, either let the gateway start the runner:

  ext-plugin:
    cmd: [\"/usr/local/bin/runner\", \"serve\", \"--modules\", \"/etc/apisix/filters\"]

or start it yourself and name the socket:

  ext-plugin:
    path_for_test: /run/apisix/runner.sock

Examples:
  runner serve --modules ./filters
  runner serve --modules ./filters --config conf/config.yaml";

/// Options of `runner serve`.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// The folder with the filters: NAME.wasm serves the plugin NAME.
    #[arg(long, value_name = "DIR")]
    pub modules: PathBuf,
    /// A configuration file; conf/config.yaml lists every key. Without it,
    /// every key has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen: unix:PATH, or the path alone.
    #[arg(long, value_name = "unix:PATH")]
    pub listen: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_should_be_consistent() {
        Cli::command().debug_assert();
    }
}
