//! Every hostile guest of `tests/guests/`, as the table in the harness says:
//! what the gateway gets for it, what is counted, that the next call on the
//! same connection is served, and that another connection never notices.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use harness::guests::{self, ROWS, Row};
use harness::wire_client::NoReply;
use harness::{Metrics, RunnerProcess, WireClient};
use protocol::FrameBuilder;
use protocol::gateway_side::{HttpAction, Reply, encode_answer};
use tempfile::TempDir;

/// A filter that answers every request with status 201.
const GOOD: &[(&str, &str)] = &[("stop", "")];

/// Questions that the filters of one call may ask (`limits.questions`), and one
/// that the runner may ask for itself.
const QUESTIONS: u32 = 65;

/// How long counters may take to show what was answered.
const SOON: Duration = Duration::from_secs(5);

/// A runner with all guests and the good filters.
struct Attacked {
    runner: RunnerProcess,
    admin: PathBuf,
    /// Where all of them are called.
    socket: PathBuf,
    /// Where others call good filters.
    quiet: PathBuf,
    _folder: TempDir,
}

impl Attacked {
    /// All in one, as without any tenants.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let modules = folder.path().join("modules");
        std::fs::create_dir(&modules).expect("folder");
        guests::write_modules(&modules).expect("modules");
        let text = guests::configuration(&folder.path().join("admin.sock"));
        let mut attacked = Self::run(folder, &text, &["--modules".as_ref(), modules.as_os_str()]);
        attacked.socket = attacked.runner.socket().to_owned();
        attacked.quiet = attacked.socket.clone();
        attacked
    }

    /// The guests are those of one tenant and the others' filters another's, each
    /// in a process of its own.
    fn start_tenants() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let here = folder.path().display();
        for name in ["good", "hostile"] {
            std::fs::create_dir(folder.path().join(name)).expect("folder");
        }
        guests::write_modules(&folder.path().join("hostile")).expect("modules");
        guests::write_good_modules(&folder.path().join("good")).expect("modules");
        let text = format!(
            "isolation: process\nadmin: {{listen: 'unix:{here}/admin.sock'}}\ntenants:\n- {{name: \
             hostile, modules: {here}/hostile, sockets: [{{file: {here}/hostile.sock}}], plugins: \
             {}}}\n- {{name: good, modules: {here}/good, sockets: [{{file: {here}/good.sock}}, \
             {{file: $env.APISIX_LISTEN_ADDRESS}}]}}\n",
            guests::settings()
        );
        Self::run(folder, &text, &[])
    }

    fn run(folder: TempDir, configuration: &str, more: &[&OsStr]) -> Self {
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, configuration).expect("configuration");
        let mut args = vec!["serve".as_ref(), "--config".as_ref(), config.as_os_str()];
        args.extend(more);
        let binary = Path::new(env!("CARGO_BIN_EXE_runner"));
        let runner = RunnerProcess::start(binary, args, &[]).expect("the runner starts");
        Attacked {
            runner,
            admin: folder.path().join("admin.sock"),
            socket: folder.path().join("hostile.sock"),
            quiet: folder.path().join("good.sock"),
            _folder: folder,
        }
    }

    fn connect(&self) -> WireClient {
        WireClient::connect(&self.socket).expect("connection")
    }

    fn outcomes(&self, row: &Row) -> BTreeMap<String, u64> {
        let metrics = Metrics::read(&self.admin).expect("figures");
        metrics.outcomes(row.plugin, row.phase.label())
    }

    /// Waits until one more call of the row's plugin was counted, under the
    /// outcome that the row expects and no other.
    fn counted_one_more(&self, row: &Row, before: &BTreeMap<String, u64>) -> Result<(), String> {
        // A module that is not there has no name to be counted under.
        if row.outcome == "missing" {
            return Ok(());
        }
        let mut expected = before.clone();
        *expected.entry(row.outcome.to_owned()).or_default() += 1;
        let end = Instant::now() + SOON;
        loop {
            let found = self.outcomes(row);
            if found == expected {
                return Ok(());
            }
            if found != *before || Instant::now() > end {
                return Err(format!("expected to count {expected:?}, found {found:?}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Whether this is the answer of the good filter.
fn is_good(reply: &Result<Reply, NoReply>) -> bool {
    matches!(
        reply,
        Ok(Reply::HttpReqCall {
            id: 0,
            action: HttpAction::Stop { status: 201, headers, body: Some(body) },
        }) if headers.len() == 1 && body == b"Hello, Python Runner of APISIX"
    )
}

/// Calls a good filter, on a connection of its own, until it is told to end.
struct Bystander {
    served: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), String>>,
}

impl Bystander {
    fn start(attacked: &Attacked) -> Self {
        let mut client = WireClient::connect(&attacked.quiet).expect("connection");
        let token = client.prepare(GOOD).expect("token");
        let (served, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, told) = (Arc::clone(&served), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let reply = client.call(token);
                if !is_good(&reply) {
                    return Err(format!("{reply:?}"));
                }
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
        Bystander {
            served,
            over,
            thread,
        }
    }

    /// Whether a call was served since there were so many.
    fn was_served_since(&self, before: u64) -> bool {
        let end = Instant::now() + SOON;
        while self.served.load(Ordering::Relaxed) <= before {
            if Instant::now() > end || self.thread.is_finished() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    fn end(self) -> Result<(), String> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

/// Makes the call of a row and answers what the runner asks.
fn call(client: &mut WireClient, row: &Row, token: u32, id: u32) -> Result<(), String> {
    let mut asked = 0;
    let mut reply = client.exchange(&row.call(token, id));
    while let Ok(Reply::ExtraInfo(question)) = &reply {
        asked += 1;
        if asked > QUESTIONS {
            return Err(format!("{asked} questions in one call"));
        }
        let mut builder = FrameBuilder::new();
        let answer = encode_answer(&mut builder, row.answer(question)).expect("a frame");
        reply = client.exchange(answer);
    }
    match reply {
        Ok(reply) => row.verify(id, &reply),
        Err(error) => Err(format!("no reply: {error:?}")),
    }
}

/// One row, with everything that has to be true of it.
fn check(attacked: &Attacked, bystander: &Bystander, row: &Row, id: u32) -> Result<(), String> {
    let mut client = attacked.connect();
    let good = client.prepare(GOOD).expect("token");
    let plugin = [(row.plugin, row.configuration)];
    let token = client.prepare(&plugin).expect("token");
    let before = attacked.outcomes(row);
    let served = bystander.served.load(Ordering::Relaxed);

    call(&mut client, row, token, id)?;
    if !bystander.was_served_since(served) {
        return Err("the other connection was not served".into());
    }
    let next = client.call(good);
    if !is_good(&next) {
        return Err(format!("the next call got {next:?}"));
    }
    attacked.counted_one_more(row, &before)
}

/// Every row, with what has to be true of it; what is not.
fn failures(attacked: &mut Attacked) -> Vec<String> {
    let bystander = Bystander::start(attacked);
    let mut failures = Vec::new();
    for (id, row) in (1..).zip(ROWS) {
        if let Err(error) = check(attacked, &bystander, row, id) {
            let (plugin, phase) = (row.plugin, row.phase);
            failures.push(format!(
                "{plugin} ({phase:?}, {:?}): {error}",
                row.configuration
            ));
        }
    }
    if let Err(error) = bystander.end() {
        failures.push(format!("the other connection got {error}"));
    }
    if let Some(status) = attacked.runner.wait(Duration::ZERO) {
        failures.push(format!("the runner ended: {status}"));
    }
    failures
}

fn assert_none(failures: &[String]) {
    let rows = ROWS.len();
    assert!(
        failures.is_empty(),
        "{} of {rows} rows:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_guest_should_come_to_what_the_table_says_and_hurt_nobody() {
    assert_none(&failures(&mut Attacked::start()));
}

#[test]
fn every_guest_of_a_tenant_should_come_to_the_same_and_hurt_no_other() {
    let mut attacked = Attacked::start_tenants();
    let mut failures = failures(&mut attacked);
    // A process that a guest has ended would have been started again.
    if attacked.runner.log().contains("is gone") {
        failures.push(format!("a process ended: {}", attacked.runner.log()));
    }
    let metrics = Metrics::read(&attacked.admin).expect("figures");
    let calls = |tenant, outcome| {
        let labels = [("tenant", tenant), ("outcome", outcome)];
        metrics.sum("wasm_runner_filter_calls_total", &labels)
    };
    let (all, stopped) = (
        metrics.sum("wasm_runner_filter_calls_total", &[("tenant", "good")]),
        calls("good", "stop"),
    );
    if all != stopped || stopped == 0.0 || calls("hostile", "trap") == 0.0 {
        failures.push(format!("{stopped} of {all} calls of the other were good"));
    }
    assert_none(&failures);
}

#[test]
fn a_guests_lines_should_stay_lines_and_be_few() {
    /// What one call may log (`limits.log_kib`), with the runner's own words
    /// around each of a thousand short lines.
    const PER_CALL: usize = 256 << 10;
    let attacked = Attacked::start();
    let noisy = ROWS
        .iter()
        .filter(|row| row.guest.starts_with("log-") || row.guest.starts_with("long-"));
    for (id, row) in (1..).zip(noisy) {
        let mut client = attacked.connect();
        let token = client
            .prepare(&[(row.plugin, row.configuration)])
            .expect("token");
        // A first call, so that modules are loaded and have said so.
        call(&mut client, row, token, id).expect("expected");
        std::thread::sleep(Duration::from_millis(300));
        let printed = attacked.runner.log().len();
        call(&mut client, row, token, id).expect("expected");
        std::thread::sleep(Duration::from_millis(300));
        let log = attacked.runner.log();
        let lines = &log[printed..];
        assert!(
            (1..PER_CALL).contains(&lines.len()),
            "{}: {} bytes",
            row.guest,
            lines.len()
        );
        for line in lines.lines() {
            assert!(
                line.len() < 10 << 10,
                "{}: {} bytes in a line",
                row.guest,
                line.len()
            );
            assert!(!line.contains('\u{1b}'), "{}: {line}", row.guest);
            assert!(
                !line.starts_with("2026-01-01"),
                "{} speaks for the runner: {line}",
                row.guest
            );
        }
        if row.guest.starts_with("log-") {
            let metrics = Metrics::read(&attacked.admin).expect("figures");
            let labels = [("plugin", row.plugin)];
            let dropped = metrics.sum("wasm_runner_guest_log_dropped_total", &labels);
            assert!(dropped > 0.0, "{}", row.guest);
        }
    }
}
