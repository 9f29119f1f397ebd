//! The command line, as a person types it. What the commands do is in
//! `commands/`.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

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
  runner serve --modules ./filters --listen unix:/run/apisix/runner.sock
  runner bench --socket /run/apisix/runner.sock --plugin NAME";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the filters of a folder to the gateway on a unix socket.
    #[command(after_help = SERVE_HELP)]
    Serve(ServeOptions),
    /// Start a runner with two example filters, play captured APISIX requests
    /// against it and print each request before and after.
    Demo,
    /// Put load on any external plugin runner and print what it costs.
    #[command(after_help = BENCH_HELP)]
    Bench(BenchOptions),
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
    /// Take modules into service as they are changed, added or removed there,
    /// without a restart. SIGHUP looks once, with or without this.
    #[arg(long)]
    pub watch: bool,
    /// A configuration file; conf/config.yaml lists every key. Without it,
    /// every key has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen: unix:PATH, or the path alone.
    #[arg(long, value_name = "unix:PATH")]
    pub listen: Option<String>,
}

const BENCH_HELP: &str = "\
Plays the gateway: prepares one configuration, then sends the same request over
and over. As with the gateway, a connection carries one request at a time, so
the load is closed: a slower runner gets fewer requests. A question of a filter
is answered at once: a variable with a short text, the body with --body.

The exit status is 1 if a call failed or none was served.

Examples:
  runner serve --modules target/modules --listen unix:/tmp/runner.sock &
  runner bench --socket /tmp/runner.sock --plugin probe \\
               --conf '{\"set_headers\":{\"X-A\":\"1\"}}' --connections 8

  # The same filter five times in a row; a thousand requests; figures as JSON.
  runner bench --socket /tmp/runner.sock --plugin probe --conf @probe.json \\
               --chain 5 --requests 1000 --json

  # A filter of another runner that reads the request's body.
  runner bench --socket /tmp/go-runner.sock --plugin say --body 10k.txt";

/// Options of `runner bench`.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// The socket of a runner: PATH or unix:PATH.
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// The plugin to call; several make a chain in this order.
    #[arg(long = "plugin", value_name = "NAME", required = true)]
    pub plugins: Vec<String>,
    /// Its configuration: the text, or @FILE. One is for all plugins, several
    /// are for one plugin each.
    #[arg(long = "conf", value_name = "TEXT|@FILE", default_value = "")]
    pub confs: Vec<String>,
    /// Repeats the plugins so many times in the chain.
    #[arg(long, value_name = "N", default_value = "1")]
    pub chain: NonZeroU32,
    /// Connections, each with one request in flight.
    #[arg(long, value_name = "N", default_value = "1")]
    pub connections: NonZeroU32,
    /// How long to measure: 10s, 500ms, 2m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// How many requests to measure, instead of --duration.
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    pub requests: Option<NonZeroU64>,
    /// How long to send requests before anything is measured.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub warmup: Duration,
    /// Headers of the request.
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub headers: usize,
    /// Query arguments of the request.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub args: usize,
    /// What is in this file is the request's body, for filters that ask.
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// The process whose CPU time and memory are measured. Without it, the one
    /// that listens on the socket.
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Prints the figures as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `10s`, `500ms`, `2m`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("`{unit}` is no unit of time: ms, s or m")),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .ok_or_else(|| String::from("not a time such as 10s, 500ms or 2m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_time_should_be_read_with_its_unit() {
        for (text, expected) in [
            ("10s", Some(10_000)),
            ("500ms", Some(500)),
            ("1.5", Some(1_500)),
            ("2m", Some(120_000)),
            ("0", Some(0)),
            ("", None),
            ("-1s", None),
            ("ten", None),
            ("1h", None),
            ("1e99s", None),
        ] {
            let read = duration(text).ok();
            assert_eq!(read, expected.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn the_command_line_should_be_consistent() {
        Cli::command().debug_assert();
    }
}
