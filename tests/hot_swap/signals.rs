//! SIGHUP, which makes the runner look once.

use std::time::Duration;

use harness::Signal;

use crate::stage::*;

#[test]
fn a_hangup_should_make_the_runner_look_once() {
    let fill = |folder: &std::path::Path| {
        std::fs::create_dir(folder).expect("folder");
        put(folder, "a", 201);
        put(folder, "b", 299);
    };
    let mut stage = Stage::new(fill, &[], "");
    let token = stage.token("a", "");
    stage.reaches(token, Some(201));
    put(&stage.modules(), "a", 202);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(stage.call(token), Some(201), "nobody looked");
    stage.runner.signal(Signal::HUP).expect("sent");
    stage.reaches(token, Some(202));
    // One look goes on until it knows what it sees.
    std::thread::sleep(Duration::from_secs(1));
    put(&stage.modules(), "a", 203);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(stage.call(token), Some(202), "nobody looked again");
    // All that one look finds, what takes some time to be sure of included.
    std::fs::remove_file(module(&stage.modules(), "a")).expect("removed");
    stage.runner.signal(Signal::HUP).expect("sent");
    stage.reaches(token, None);
}

#[test]
fn a_hangup_should_be_no_harm_to_one_that_watches() {
    let mut stage = Stage::watching(&[("a", 201)]);
    let token = stage.token("a", "");
    for status in 202..207 {
        put(&stage.modules(), "a", status);
        stage.runner.signal(Signal::HUP).expect("sent");
        stage.reaches(token, Some(status));
    }
    stage.runner.signal(Signal::TERM).expect("sent");
    assert!(stage.runner.wait(SOON).expect("it ends").success());
}
