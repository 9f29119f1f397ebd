//! `isolation: process`: what becomes of the processes, whoever ends which, and
//! what each of them is left with.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use harness::guests::stopping_with;
use harness::wire_client::NoReply;
use harness::{Signal, WireClient, send_signal};
use protocol::gateway_side::Reply;

use crate::house::{House, ISOLATIONS, Plan, UNAVAILABLE, tenant};
use crate::processes::Process;
use crate::stage::{answer, put, soon};

fn house() -> House {
    let both = [("a", 201), ("b", 202)].map(|(name, status)| {
        tenant(name)
            .module("same", stopping_with(status))
            .example("probe")
    });
    House::new("process", "", &both)
}

/// Calls one tenant until it is told to end, and connects anew where it has to.
struct Client {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Served, String>>,
}

/// What came of it.
#[derive(Default)]
struct Served {
    calls: usize,
    /// Connections that ended, and were answered for all the same.
    ends: usize,
}

impl Client {
    fn start(house: &House, tenant: &str, status: u16) -> Self {
        let socket = house.socket(tenant);
        let over = Arc::<AtomicBool>::default();
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut served = Served::default();
            while !told.load(Ordering::Relaxed) {
                // Never refused: who comes while nobody serves waits.
                let mut client = WireClient::connect(&socket).map_err(|error| error.to_string())?;
                let mut token = None;
                while !told.load(Ordering::Relaxed) {
                    let reply = match token {
                        None => client.prepare(&[("same", "")]).map(|given| {
                            token = Some(given);
                            None
                        }),
                        Some(token) => client.call(token).map(Some),
                    };
                    match reply {
                        Ok(None) => {}
                        Ok(Some(reply)) if answer(reply.clone()) == Some(status) => {
                            served.calls += 1;
                        }
                        Ok(Some(reply)) => return Err(format!("{reply:?}")),
                        Err(NoReply::Closed) => {
                            served.ends += 1;
                            break;
                        }
                        Err(NoReply::Failed(error)) if error.contains("Broken pipe") => {
                            served.ends += 1;
                            break;
                        }
                        Err(other) => return Err(format!("{other:?}")),
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            Ok(served)
        });
        Client { over, thread }
    }

    fn end(self) -> Served {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic").expect("all answered")
    }
}

#[test]
fn the_end_of_one_tenants_process_should_be_a_pause_for_it_and_nothing_to_others() {
    const KILLS: usize = 3;
    let house = house();
    let (of_a, of_b) = (
        Client::start(&house, "a", 201),
        Client::start(&house, "b", 202),
    );
    let others = house.process("b").expect("a process");
    for _ in 0..KILLS {
        let process = house.process("a").expect("a process");
        process.kill(Signal::KILL);
        // Nobody is refused, whenever it comes.
        let end = Instant::now() + Duration::from_millis(100);
        while Instant::now() < end {
            UnixStream::connect(house.socket("a")).expect("connected");
            std::thread::sleep(Duration::from_millis(5));
        }
        house.logs("the process of tenant a is gone (signal 9)");
        assert!(soon(|| house
            .process("a")
            .is_some_and(|now| now != process)));
        house.caller("a", "same", "").always(3, 201);
    }
    let (of_a, of_b) = (of_a.end(), of_b.end());
    assert!(of_a.ends > 0 && of_a.calls > 0, "{}", of_a.ends);
    assert_eq!(of_b.ends, 0, "a connection of b ended");
    assert!(of_b.calls > 50, "{}", of_b.calls);
    assert_eq!(house.process("b"), Some(others), "b has another process");
    assert!(!house.runner.log().contains("tenant b is gone"));
}

#[test]
fn a_supervisor_that_is_told_to_end_should_answer_calls_and_leave_nothing() {
    let mut house = house();
    let mut in_flight = ["a", "b"].map(|name| house.caller(name, "probe", r#"{"vars":["x"]}"#));
    for caller in &mut in_flight {
        caller.begin();
        assert!(matches!(caller.client.receive(), Ok(Reply::ExtraInfo(_))));
    }
    let mut idle = [("a", 201), ("b", 202)].map(|(name, status)| {
        let mut caller = house.caller(name, "same", "");
        caller.always(1, status);
        (caller, status)
    });
    let processes = Process::children_of(house.runner.id());
    assert_eq!(processes.len(), 2);
    house.runner.signal(Signal::TERM).expect("sent");
    for (caller, status) in &mut idle {
        caller.always(1, *status);
    }
    for caller in &mut in_flight {
        assert_eq!(caller.client.receive(), Ok(UNAVAILABLE));
    }
    // The gateway kills it 1 s after it asked.
    let status = house.runner.wait(Duration::from_secs(5)).expect("it ends");
    assert!(status.success(), "{status}: {}", house.runner.log());
    for process in &processes {
        assert!(!process.is_there(), "{process:?} is left");
    }
    for name in ["a", "b"] {
        assert!(!house.socket(name).exists(), "the socket of {name} is left");
    }
}

#[test]
fn a_supervisor_that_is_killed_should_leave_no_process() {
    let house = house();
    let mut family = Process::children_of(house.runner.id());
    assert_eq!(family.len(), 2);
    // Theirs start compilers, which start others.
    let mut at = 0;
    while at < family.len() {
        family.extend(Process::children_of(family[at].id));
        at += 1;
    }
    assert!(family.len() >= 4, "{family:?}");
    // One is paused, and hears nothing.
    house.process("b").expect("a process").kill(Signal::STOP);
    house.runner.signal(Signal::KILL).expect("sent");
    for process in &family {
        assert!(soon(|| !process.is_there()), "{process:?} is left");
    }
}

#[test]
fn a_process_should_know_no_variable_of_another_tenant() {
    let variables = [
        ("KEY_OF_A", "a-7f3d"),
        ("FOLDER_OF_B", "b"),
        ("KEY_OF_B", "b-91c2"),
        ("KEY_OF_NOBODY", "n-55aa"),
        ("HOME", "/nonexistent"),
    ];
    let plan = Plan::new(
        "process",
        "",
        &[
            tenant("a")
                .with("grants: {secrets: {key: {env: KEY_OF_A}}}")
                .module("same", stopping_with(201)),
            tenant("b")
                .with(
                    "grants: {secrets: {key: {env: KEY_OF_B}, folder: {value: $env.FOLDER_OF_B}}}",
                )
                .module("same", stopping_with(202)),
        ],
    );
    let house = plan.start(&[], &variables);
    house.ready();
    for (name, own) in [
        ("a", &["APISIX_CONF_EXPIRE_TIME", "HOME", "KEY_OF_A"][..]),
        (
            "b",
            &[
                "APISIX_CONF_EXPIRE_TIME",
                "APISIX_LISTEN_ADDRESS",
                "HOME",
                "KEY_OF_B",
            ],
        ),
    ] {
        let environment = house.process(name).expect("a process").environment();
        let mut names: Vec<&str> = environment
            .split('\0')
            .filter_map(|variable| Some(variable.split_once('=')?.0))
            .filter(|name| *name != "FOLDER_OF_B")
            .collect();
        names.sort_unstable();
        assert_eq!(names, own, "{name}");
        for (_, secret) in variables.iter().filter(|(_, value)| value.contains('-')) {
            let is_own = secret.starts_with(name);
            assert_eq!(environment.contains(secret), is_own, "{name}: {secret}");
        }
    }
}

/// The sockets on which a process could accept connections.
fn listening(process: u32) -> BTreeSet<String> {
    // Kernel address, references, protocol, flags, type, state, inode, path; a
    // socket that listens has this flag.
    let sockets = std::fs::read_to_string("/proc/net/unix").expect("sockets");
    let listening: BTreeSet<String> = sockets
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row.get(3) == Some(&"00010000"))
        .map(|row| format!("socket:[{}]", row[6]))
        .collect();
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).expect("descriptors");
    let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let open = open.map(|target| target.display().to_string());
    open.filter(|target| listening.contains(target)).collect()
}

#[test]
fn a_process_should_hold_its_own_sockets_and_no_others() {
    let house = house();
    let all = listening(house.runner.id());
    // Each tenant's, where the harness looks, and the pages.
    assert_eq!(all.len(), 4);
    let [of_a, of_b] = ["a", "b"].map(|name| listening(house.process(name).expect("one").id));
    assert_eq!((of_a.len(), of_b.len()), (1, 2));
    assert!(of_a.is_disjoint(&of_b) && of_a.is_subset(&all) && of_b.is_subset(&all));
}

#[test]
fn every_thread_of_every_process_should_be_behind_the_second_wall() {
    let house = house();
    for name in ["a", "b"] {
        let process = house.process(name).expect("a process");
        let threads = std::fs::read_dir(format!("/proc/{}/task", process.id)).expect("threads");
        let threads: Vec<String> = threads
            .map(|thread| thread.expect("a thread").file_name())
            .map(|thread| format!("task/{}/status", thread.display()))
            .collect();
        assert!(threads.len() > 3, "{threads:?}");
        for status in threads {
            for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
                assert!(process.holds(&status, line), "{name}: {status}: no {line}");
            }
        }
    }
}

/// As `docker pause` and a debugger do: what waits in the kernel is interrupted,
/// and begins to wait anew.
#[test]
fn a_process_that_was_paused_should_go_on_as_before() {
    for isolation in ISOLATIONS {
        let a = tenant("a").module("same", stopping_with(201));
        let house = House::new(isolation, "", &[a]);
        let mut caller = house.caller("a", "same", "");
        caller.always(1, 201);
        let serving = house.process("a").map_or(house.runner.id(), |own| own.id);
        for signal in [Signal::STOP, Signal::CONT] {
            send_signal(serving, signal).expect("it is there");
            std::thread::sleep(Duration::from_millis(100));
        }
        caller.always(1, 201);
        put(&house.plan.modules("a"), "same", 202);
        house.runner.signal(Signal::HUP).expect("sent");
        let reached = soon(|| caller.call() == Some(202));
        assert!(reached, "{isolation}: {}", house.runner.log());
        let page = house.page("/readyz");
        assert!(page.ends_with("\r\n\r\nready\n"), "{isolation}: {page}");
    }
}

#[test]
fn a_hangup_of_the_supervisor_should_reach_every_process() {
    let house = house();
    let mut callers = ["a", "b"].map(|name| house.caller(name, "same", ""));
    for status in [301, 302] {
        for name in ["a", "b"] {
            put(&house.plan.modules(name), "same", status);
        }
        house.runner.signal(Signal::HUP).expect("sent");
        for caller in &mut callers {
            let reached = soon(|| caller.call() == Some(status));
            assert!(reached, "{status}: {}", house.runner.log());
        }
    }
    assert!(
        !house.runner.log().contains("is gone"),
        "{}",
        house.runner.log()
    );
}
