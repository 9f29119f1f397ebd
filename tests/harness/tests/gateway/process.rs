//! Starting a process as the gateway starts its runner. The processes here are
//! shell commands: what matters is what surrounds them.

use std::path::Path;
use std::time::Duration;

use harness::RunnerProcess;
use harness::runner_process::{Signal, StartError};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_process_that_ends_early_leaves_its_words() {
    let script = "echo out; echo err >&2; env; exit 3";
    let failed = RunnerProcess::start(Path::new("/bin/sh"), ["-c", script], &[("EXTRA", "1")]);
    let Err(StartError::Ended { status, log }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(status.code(), Some(3));
    for line in [
        "out",
        "err",
        "APISIX_LISTEN_ADDRESS=unix:/",
        "APISIX_CONF_EXPIRE_TIME=3600",
    ] {
        assert!(log.contains(line), "no {line} in {log}");
    }
    assert!(log.contains("EXTRA=1") && !log.contains("HOME="), "{log}");
}

#[test]
fn a_listening_process_is_signalled_and_awaited() {
    // Python only because a shell cannot listen.
    let script = "import os, signal, socket, sys\n\
        s = socket.socket(socket.AF_UNIX)\n\
        s.bind(os.environ['APISIX_LISTEN_ADDRESS'][len('unix:'):])\n\
        s.listen()\n\
        signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(0)))\n\
        print('up', flush=True)\n\
        while True: signal.pause()";
    let mut runner =
        match RunnerProcess::start(Path::new("/usr/bin/env"), ["python3", "-c", script], &[]) {
            Ok(runner) => runner,
            // Not every machine has it.
            Err(StartError::Ended { status, .. }) if status.code() == Some(127) => return,
            Err(error) => panic!("{error}"),
        };
    assert!(runner.prints("up", SOON));
    assert!(runner.socket().exists());
    assert!(runner.wait(Duration::ZERO).is_none(), "it runs");
    runner.signal(Signal::TERM).expect("it is there");
    assert!(runner.wait(SOON).expect("it ends").success());
    assert!(runner.log().ends_with("bye\n"), "{}", runner.log());
}
