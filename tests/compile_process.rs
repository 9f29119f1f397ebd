//! Modules are compiled in processes of their own: one that takes too long, too
//! much memory, or its compiler with it, is refused for that reason, and nobody
//! else notices. Whatever becomes of these processes, the runner goes on; and
//! none of them is left when it ends.

#[path = "compile_process/processes.rs"]
mod processes;
#[allow(dead_code)]
#[path = "hot_swap/stage.rs"]
mod stage;

use std::path::Path;

use harness::{Guest, RunnerProcess, Signal};
use processes::{Process, soon_some};
use stage::{RUNNER, SOON, Stage, put, put_bytes, soon};

/// A filter that takes a compiler minutes, and more memory than it should: so
/// many places that code can come from, with so many values to keep apart at
/// each.
fn slow() -> Vec<u8> {
    tangled(3000, 1000)
}

fn tangled(places: usize, values: usize) -> Vec<u8> {
    use std::fmt::Write;
    let mut items = String::from("(func $tangled (param i32) (local");
    items.push_str(&" i32".repeat(values));
    items.push_str(") (loop ");
    items.push_str(&"(block ".repeat(places));
    items.push_str("(br_table");
    for place in 0..=places {
        let _ = write!(items, " {place}");
    }
    items.push_str(" (local.get 0))");
    for place in 0..places {
        let (to, from) = (1 + place % values, 1 + (place + 1) % values);
        let _ = write!(
            items,
            ") (local.set {to} (i32.add (local.get {from}) (local.get 0)))"
        );
    }
    items.push_str("))");
    Guest::request_filter(&items, "i32.const 0", "i32.const 0").build()
}

/// A runner that watches, with the module `quick` that answers with 201.
fn watching(config: &str) -> Stage {
    let fill = |folder: &Path| {
        std::fs::create_dir(folder).expect("folder");
        put(folder, "quick", 201);
    };
    let config = format!("logging: {{level: debug}}\ncache: {{max_mib: 0}}\n{config}");
    let stage = Stage::new(fill, &["--watch"], &config);
    stage.says("/readyz", stage::READY);
    stage
}

fn launcher(stage: &Stage) -> Process {
    let found = soon_some(|| Process::children_of(stage.runner.id()).pop());
    found.unwrap_or_else(|| panic!("no launcher\n{}", stage.runner.log()))
}

/// A compiler that works on something.
fn busy_compiler(launcher: &Process) -> Process {
    let busy = || {
        let mut children = Process::children_of(launcher.id).into_iter();
        children.find(|process| process.state() == 'R')
    };
    soon_some(busy).expect("a compiler at work")
}

fn still_serves(stage: &mut Stage) {
    let token = stage.token("quick", "as before");
    stage.reaches(token, Some(201));
}

fn refuses(stage: &mut Stage, name: &str, reason: &str) {
    stage.says("/readyz", &format!("plugin {name}: {reason}"));
    let refused = format!("{name}.wasm is refused: {reason}");
    stage.logs(0, &refused);
    let zombies = Process::children_of(launcher(stage).id);
    let zombies = zombies.iter().filter(|process| process.state() == 'Z');
    assert_eq!(zombies.count(), 0);
    still_serves(stage);
}

#[test]
fn what_takes_too_much_should_be_refused_with_the_limit_and_its_key() {
    let rows = [
        (
            "limits: {compile_s: 1}",
            "compiling it takes more than 1 s; if you trust where it comes from, raise \
             limits.compile_s",
        ),
        (
            "limits: {compile_mib: 64}",
            "compiling it takes more than 64 MiB of memory; if you trust where it comes from, \
             raise limits.compile_mib",
        ),
    ];
    for (config, reason) in rows {
        let mut stage = watching(config);
        put_bytes(&stage.modules(), "slow", &slow());
        refuses(&mut stage, "slow", reason);
        // The next one finds a compiler again.
        put(&stage.modules(), "later", 202);
        let token = stage.token("later", "x");
        stage.reaches(token, Some(202));
    }
}

#[test]
fn what_takes_long_should_hold_up_no_other() {
    let mut stage = watching("limits: {compile_s: 600, compile_mib: 65536}");
    put_bytes(&stage.modules(), "slow", &slow());
    let launcher = launcher(&stage);
    let compiler = busy_compiler(&launcher);
    put(&stage.modules(), "later", 202);
    let token = stage.token("later", "x");
    stage.reaches(token, Some(202));
    still_serves(&mut stage);
    stage.says("/readyz", "plugin slow: still loading");
    assert!(compiler.is_there());
}

#[test]
fn a_module_that_goes_before_its_turn_should_not_come_back_with_it() {
    let large = Guest::request_filter("", "i32.const 0", "i32.const 0");
    let fill = |folder: &Path| {
        std::fs::create_dir(folder).expect("folder");
        std::fs::write(folder.join("slow.wasm"), slow()).expect("module");
        let mut last = large.build();
        // A section of no meaning, so that its turn comes after the other's.
        last.extend([0, 0x80, 0x80, 0x80, 1, 1, b'x']);
        last.resize(last.len() + (1 << 21) - 2, 0);
        std::fs::write(folder.join("last.wasm"), last).expect("module");
    };
    let config = "cache: {max_mib: 0}\nlimits: {compile_s: 6}\n";
    let stage = Stage::new(fill, &["--watch"], config);
    std::fs::remove_file(stage.modules().join("last.wasm")).expect("removed");
    stage.logs(0, "plugin last is gone");
    assert!(stage.page("/readyz").contains("plugin slow: still loading"));
    stage.logs(0, "compiling it takes more than 6 s");
    stage.logs(0, "no module of");
    let page = stage.page("/readyz");
    assert!(!page.contains("plugin last"), "{page}");
    let figures = stage.page("/metrics");
    assert!(!figures.contains("\"last\""), "{figures}");
}

#[test]
fn a_compiler_that_ends_should_take_nothing_else_with_it() {
    let rows = [
        // Somebody's doing: tried again, but not for ever.
        (Signal::KILL, 5, "the compiler was killed from outside"),
        // The module's doing.
        (
            Signal::ABORT,
            1,
            "the compiler crashed on it: signal: 6 (SIGABRT)",
        ),
    ];
    for (signal, times, reason) in rows {
        let mut stage = watching("limits: {compile_s: 600, compile_mib: 65536}");
        let launcher = launcher(&stage);
        put_bytes(&stage.modules(), "slow", &slow());
        for time in 1..=times {
            let compiler = busy_compiler(&launcher);
            compiler.kill(signal);
            assert!(soon(|| !compiler.is_there()), "a zombie is left");
            if time < times {
                stage.says("/readyz", "plugin slow: still loading");
                still_serves(&mut stage);
            }
        }
        refuses(&mut stage, "slow", reason);
    }
}

#[test]
fn a_runner_that_ends_should_leave_no_process_behind() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut stage = watching("limits: {compile_s: 600, compile_mib: 65536}");
        put_bytes(&stage.modules(), "slow", &slow());
        let launcher = launcher(&stage);
        let compiler = busy_compiler(&launcher);
        stage.runner.signal(signal).expect("it is there");
        assert!(stage.runner.wait(SOON).is_some(), "{signal:?}");
        for process in [&launcher, &compiler] {
            let ended = soon(|| !process.is_there());
            assert!(ended, "{signal:?}: {process:?} is left");
        }
    }
}

#[test]
fn what_serves_should_go_on_without_the_launcher() {
    let mut stage = watching("plugins: {quick: {snapshot: always}}");
    let launcher = launcher(&stage);
    launcher.kill(Signal::KILL);
    let gone = "nothing can be compiled any more: the launcher of compilers ended (signal: 9 \
                (SIGKILL)); restart the runner";
    stage.logs(0, gone);
    stage.says("/readyz", gone);
    assert!(!launcher.is_there(), "a zombie is left");
    still_serves(&mut stage);
    stage.logs(0, "plugin quick: a configuration is not captured");
    put(&stage.modules(), "later", 202);
    stage.says("/readyz", &format!("plugin later: {gone}"));
    put(&stage.modules(), "quick", 203);
    stage.logs(0, "quick.wasm is refused: nothing can be compiled any more");
    still_serves(&mut stage);
}

#[test]
fn versions_and_configurations_should_be_compiled_by_compilers() {
    let mut stage = watching("plugins: {quick: {snapshot: always}}");
    still_serves(&mut stage);
    stage.logs(0, "plugin quick: calls start from a snapshot");
    let launcher = launcher(&stage);
    let known = Process::children_of(launcher.id);
    let token = stage.token("quick", "as before");
    for status in 202..206 {
        put(&stage.modules(), "quick", status);
        stage.reaches(token, Some(status));
    }
    let now = Process::children_of(launcher.id);
    assert!((1..=2).contains(&now.len()), "{now:?}");
    assert!(known.iter().all(|process| now.contains(process)));
}

#[test]
fn a_runner_that_compiles_inside_should_start_no_process() {
    let mut stage = watching("compile: inside\nplugins: {quick: {snapshot: always}}");
    still_serves(&mut stage);
    stage.logs(0, "modules are compiled in this process, without limits");
    stage.logs(0, "plugin quick: calls start from a snapshot");
    let token = stage.token("quick", "as before");
    put(&stage.modules(), "quick", 202);
    stage.reaches(token, Some(202));
    assert!(Process::children_of(stage.runner.id()).is_empty());
}

#[test]
fn a_compiler_should_have_nothing_but_its_socket() {
    let stage = watching("limits: {compile_mib: 1024}");
    let launcher = launcher(&stage);
    for process in [&launcher, &Process::children_of(launcher.id)[0]] {
        assert_eq!(process.environment(), "");
        assert_eq!(process.link("cwd"), "/");
        assert!(process.holds("status", "NoNewPrivs:\t1"));
    }
    let compiler = &Process::children_of(launcher.id)[0];
    for (limit, most) in [
        ("Max core file size", "0"),
        ("Max file size", "0"),
        ("Max processes", "0"),
        ("Max open files", "16"),
    ] {
        assert_eq!(compiler.limit(limit), most, "{limit}");
    }
    let mapped: u64 = compiler.limit("Max address space").parse().expect("bytes");
    assert!((1 << 30..3 << 30).contains(&mapped), "{mapped}");
    let targets = (0..16).map(|number| compiler.link(&format!("fd/{number}")));
    // Of /proc it keeps the names, by which landlock knows them.
    let open = targets.filter(|target| !target.is_empty() && !target.starts_with("/proc/"));
    let open: Vec<_> = open
        .filter_map(|target| target.split(':').next().map(str::to_owned))
        .collect();
    assert_eq!(open, ["socket", "/dev/null", "pipe", "socket"]);
    assert!(compiler.holds("status", "Seccomp:\t2"), "no filter");
}

#[test]
fn two_tenants_should_not_share_a_compiler() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let place = |name: &str| folder.path().join(name);
    let mut config = String::from("cache: {max_mib: 0}\ntenants:\n");
    let socket = place("b.sock").display().to_string();
    let tenants = [
        ("a", "$env.APISIX_LISTEN_ADDRESS", 512),
        ("b", &socket, 1024),
    ];
    for (name, socket, mib) in tenants {
        std::fs::create_dir(place(name)).expect("folder");
        put(&place(name), "first", 201);
        put(&place(name), "second", 202);
        config += &format!(
            "- {{name: {name}, modules: {}, sockets: [{{file: {socket}}}], limits: {{compile_mib: \
             {mib}}}}}\n",
            place(name).display()
        );
    }
    std::fs::write(place("config.yaml"), config).expect("file");
    let args = ["serve".into(), "--config".into(), place("config.yaml")];
    let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("it starts");
    for (name, ..) in tenants {
        let loaded = format!("tenant {name}: 2 plugins can be used");
        assert!(runner.prints(&loaded, SOON), "{}", runner.log());
    }
    let launcher = Process::children_of(runner.id()).remove(0);
    let mut compilers: Vec<u64> = Process::children_of(launcher.id)
        .iter()
        .map(|compiler| compiler.limit("Max address space").parse().expect("bytes"))
        .collect();
    compilers.sort_unstable();
    // Modules of one tenant are loaded one after the other.
    let [small, large] = compilers[..] else {
        panic!("{compilers:?}");
    };
    // They differ by what the tenants are allowed.
    assert!(
        (large - small).abs_diff(512 << 20) < 8 << 20,
        "{compilers:?}"
    );
}
