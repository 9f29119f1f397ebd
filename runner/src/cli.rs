//! The command line, as a person types it. What the commands do is in
//! `commands/`.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::commands::new::known_languages;

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
  runner new hello --lang js                    begin a filter of your own
  runner try hello.wasm '/path?x=1'             see what a filter does to a request
  runner test .                                 run a filter's cases
  runner serve --modules ./filters              serve every ./filters/NAME.wasm as plugin NAME
  runner serve --modules ./filters --listen unix:/run/apisix/runner.sock
  runner bench --socket /run/apisix/runner.sock --plugin NAME";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the filters of a folder to the gateway on a unix socket.
    #[command(after_help = SERVE_HELP)]
    Serve(ServeOptions),
    /// Write a project that builds a filter, in any of several languages.
    #[command(after_help = new_help())]
    New(NewOptions),
    /// Say what a filter is, what it needs, and whether it can serve; or what a
    /// configuration comes to, tenant by tenant.
    #[command(after_help = CHECK_HELP)]
    Check(CheckOptions),
    /// Try a filter on one request and print what it did.
    #[command(after_help = TRY_HELP)]
    Try(TryOptions),
    /// Run cases, written in YAML, against a filter.
    #[command(after_help = TEST_HELP)]
    Test(TestOptions),
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
    /// Started by `serve`: starts compilers.
    #[command(hide = true)]
    CompileLauncher(CompileLauncherOptions),
    /// Started by the launcher: compiles.
    #[command(hide = true)]
    CompileWorker(CompileWorkerOptions),
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
    /// The folder with the filters: NAME.wasm serves the plugin NAME. A
    /// configuration with `modules` or `tenants` names its own.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    pub modules: Option<PathBuf>,
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
    /// Serve this tenant of the configuration only.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// The sockets come from a supervisor, over standard input.
    #[arg(long, hide = true, requires = "tenant")]
    pub supervised: bool,
}

fn new_help() -> String {
    format!(
        "\
The project holds a filter that works, cases that it passes, the interface and
the lock files. Writing it needs no network and no toolchain; ./build in it does.

Languages:
{}

Examples:
  runner new hello --lang js
  cd hello && ./build && runner try dist/hello.wasm /",
        known_languages()
    )
}

/// Options of `runner new`.
#[derive(Debug, Args)]
pub struct NewOptions {
    /// The folder to make. Its name is the plugin's.
    #[arg(value_name = "NAME")]
    pub name: PathBuf,
    /// The language.
    #[arg(short, long, value_name = "LANGUAGE", default_value = "rust")]
    pub lang: String,
}

const CHECK_HELP: &str = "\
The exit status is 1 where the filter cannot be loaded, or where something in the
configuration cannot be used. What only this machine lacks, a folder, a user, a
secret, is a warning.

Examples:
  runner check dist/hello.wasm
  runner check --config /etc/apisix/filters.yaml
  runner check --config /etc/apisix/filters.yaml --tenant payments";

/// Options of `runner check`.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// The filter: a component, or a core module as a compiler leaves it.
    #[arg(value_name = "FILE", required_unless_present = "config")]
    pub file: Option<PathBuf>,
    /// A configuration of the runner: without a filter, it is what is checked.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Whose limits and grants, where the configuration has several tenants.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
}

const TRY_HELP: &str = "\
Loads the filter as `runner serve` does, without a gateway: a model of APISIX
sends the request, answers the filter's questions and applies its reply. Prints
the request before and after, every call of the host, the log, and the cost.

The exit status is 0 when the filter let the request pass, changed or stopped
it, and 1 when it cannot be loaded, refuses its configuration or fails.

Examples:
  runner try hello.wasm /
  runner try hello.wasm --conf '{\"header\":\"x-team\"}' POST '/items?page=2' \\
             -H 'X-A: 1' -d @item.json --var remote_port=4711

  # The response phase: a status, or a whole response.
  runner try hello.wasm / --response 404
  runner try hello.wasm / --response '{headers: {Content-Type: text/html}, body: hi}'";

/// Options of `runner try`.
#[derive(Debug, Args)]
pub struct TryOptions {
    /// The filter: a component, or a core module as a compiler leaves it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A path or a URL; before it the method, unless it is GET.
    #[arg(value_name = "[METHOD] URL", num_args = 1..=2, required = true)]
    pub target: Vec<String>,
    /// The filter's configuration, by convention JSON, or @FILE.
    #[arg(long, value_name = "TEXT|@FILE", default_value = "{}")]
    pub conf: String,
    /// A header of the request.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// The request's body, or @FILE.
    #[arg(short, long, value_name = "BODY|@FILE")]
    pub data: Option<String>,
    /// A variable that the gateway knows.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// Calls the filter in the response phase, on this response of the
    /// upstream: a status, or JSON or YAML, or @FILE.
    #[arg(long, value_name = "STATUS|JSON|@FILE")]
    pub response: Option<String>,
    /// What a request of the filter comes to, as under `http` of a case.
    #[arg(long, value_name = "JSON")]
    pub http: Vec<String>,
    /// A secret that is granted to the filter.
    #[arg(long = "secret", value_name = "NAME=VALUE")]
    pub secrets: Vec<String>,
    /// The client's address.
    #[arg(long, value_name = "IP")]
    pub source_address: Option<std::net::IpAddr>,
    /// What the gateway calls the plugin; the file's name otherwise.
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
    /// A configuration of the runner, for its limits and grants.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Whose limits and grants, where the configuration has several tenants.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
}

const TEST_HELP: &str = "\
Runs the cases of cases.yaml and cases/*.yaml in the folder, each in a fresh
instance. docs/testing.md has every key of a case; `runner new` writes a file to
begin with.

Examples:
  runner test .
  runner test cases.yaml --filter dist/hello.wasm
  runner test . --junit report.xml";

/// Options of `runner test`.
#[derive(Debug, Args)]
pub struct TestOptions {
    /// A folder with cases, or one file of them.
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    pub path: PathBuf,
    /// The filter, in place of the one that the cases name.
    #[arg(long, value_name = "FILE")]
    pub filter: Option<PathBuf>,
    /// Writes the results as JUnit XML too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// A configuration of the runner, for its limits and grants.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Whose limits and grants, where the configuration has several tenants.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
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

/// Options of `runner compile-launcher`.
#[derive(Debug, Args)]
pub struct CompileLauncherOptions {
    /// How long a compiler waits for the next component, s.
    #[arg(long)]
    pub idle_seconds: u64,
    /// How many tenants there are.
    #[arg(long)]
    pub tenants: usize,
}

/// Options of `runner compile-worker`.
#[derive(Debug, Args)]
pub struct CompileWorkerOptions {
    /// Bytes that it may map beyond those of the program.
    #[arg(long)]
    pub memory: u64,
    /// How much less of a busy processor it gets.
    #[arg(long)]
    pub niceness: i32,
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
