//! More connections than there may be, and fewer file descriptors than
//! connections.

use std::path::Path;

use harness::wire_client::NoReply;
use harness::{RunnerProcess, WireClient};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::stage::*;

/// Waits until the connection that the harness tried the socket with has come and
/// gone.
fn alone(stage: &Stage) {
    stage.reaches(
        r#"wasm_runner_connections_accepted_total{tenant="default"}"#,
        1.0,
    );
    stage.reaches(r#"wasm_runner_connections{tenant="default"}"#, 0.0);
}

#[test]
fn connections_beyond_the_limit_should_be_told_and_closed() {
    const LIMIT: usize = 3;
    let stage = Stage::new(&[], &format!("limits: {{connections: {LIMIT}}}\n"));
    alone(&stage);
    let mut served: Vec<WireClient> = (0..LIMIT).map(|_| stage.connect()).collect();
    for client in &mut served {
        client.prepare(&[("stop", "")]).expect("token");
    }
    for _ in 0..5 {
        let mut refused = stage.connect();
        assert_eq!(refused.receive(), Ok(UNAVAILABLE));
        assert_eq!(refused.receive(), Err(NoReply::Closed));
    }
    for client in &mut served {
        client.prepare(&[("stop", "")]).expect("still served");
    }
    stage.reaches(
        r#"wasm_runner_connections_refused_total{tenant="default"}"#,
        5.0,
    );
    stage.reaches(r#"wasm_runner_connections{tenant="default"}"#, LIMIT as f64);
    let logged = "there are 3 already; raise limits.connections";
    assert!(stage.runner.prints(logged, SOON), "{}", stage.runner.log());
    let lines = stage.runner.log().matches(logged).count();
    assert!(lines <= 3, "once a second, and not {lines} times");
    served.pop();
    stage.reaches(
        r#"wasm_runner_connections{tenant="default"}"#,
        (LIMIT - 1) as f64,
    );
    stage
        .connect()
        .prepare(&[("stop", "")])
        .expect("the next is served");
}

#[test]
fn a_small_limit_of_descriptors_should_lower_that_of_connections() {
    // Each of the runner's threads takes some.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let descriptors = 128 + 16 * cores;
    let (folder, args) = prepare(&[], "");
    let args: Vec<&str> = args
        .iter()
        .map(|arg| arg.to_str().expect("UTF-8"))
        .collect();
    let command = format!("ulimit -n {descriptors}; exec {RUNNER} {}", args.join(" "));
    let runner = RunnerProcess::start(Path::new("/bin/sh"), ["-c", &command], &[]);
    let runner = runner.expect("it starts");
    let stage = Stage { runner, folder };
    let logged = "limits.connections is lowered from 4096 to";
    assert!(stage.runner.prints(logged, SOON), "{}", stage.runner.log());
    stage.reaches("process_max_fds", descriptors as f64);
    alone(&stage);
    let limit = stage
        .figure(r#"wasm_runner_connections_limit{tenant="default"}"#)
        .expect("a limit") as usize;
    assert!((10..descriptors).contains(&limit), "{limit}");
    let mut clients: Vec<WireClient> = (0..descriptors + 20).map(|_| stage.connect()).collect();
    let (served, refused) = clients.split_at_mut(limit);
    for client in served {
        client.prepare(&[("stop", "")]).expect("served");
    }
    for client in refused {
        assert_eq!(client.receive(), Ok(UNAVAILABLE));
    }
    stage.reaches(
        r#"wasm_runner_accept_failures_total{tenant="default"}"#,
        0.0,
    );
    drop(clients);
    stage.reaches(r#"wasm_runner_connections{tenant="default"}"#, 0.0);
    call(&mut stage.connect(), "stop", "", "request");
}

#[test]
fn it_should_outlive_a_moment_without_descriptors() {
    let stage = Stage::new(&[], "");
    stage.ready();
    alone(&stage);
    let id = Pid::from_raw(i32::try_from(stage.runner.id()).expect("an id")).expect("an id");
    let folder = format!("/proc/{}/fd", stage.runner.id());
    let open: Vec<u64> = std::fs::read_dir(folder)
        .expect("descriptors")
        .map(|found| {
            let name = found.expect("a descriptor").file_name();
            name.to_str().and_then(|name| name.parse().ok())
        })
        .map(|number| number.expect("a number"))
        .collect();
    // The third number that is free is the last it gets.
    let free = (0..).filter(|number| !open.contains(number)).nth(2);
    let few = Rlimit {
        current: free.map(|number| number + 1),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let before = prlimit(Some(id), Resource::Nofile, few).expect("a limit of its own");
    let mut clients: Vec<WireClient> = (0..20).map(|_| stage.connect()).collect();
    clients[0]
        .prepare(&[("stop", "")])
        .expect("the first is served");
    let logged = "cannot accept connections, the gateway gets 503s meanwhile";
    assert!(stage.runner.prints(logged, SOON), "{}", stage.runner.log());
    clients[0].prepare(&[("stop", "")]).expect("and still is");
    drop(clients);
    stage
        .connect()
        .prepare(&[("stop", "")])
        .expect("the next is served");
    prlimit(Some(id), Resource::Nofile, before).expect("as it was");
    stage
        .connect()
        .prepare(&[("stop", "")])
        .expect("and the next");
    let failures = soon(|| {
        let failures = stage.figure(r#"wasm_runner_accept_failures_total{tenant="default"}"#);
        failures.is_some_and(|failures| failures > 0.0)
    });
    assert!(failures, "{}", stage.page("/metrics").1);
    stage.reaches(r#"wasm_runner_connections{tenant="default"}"#, 0.0);
}
