//! What filters keep: the same key is another entry for each tenant, through
//! restarts, and whatever becomes of the process that keeps it.

use std::path::Path;
use std::time::Duration;

use harness::Signal;
use protocol::FrameBuilder;
use protocol::gateway_side::{HttpAction, HttpReqCall, Reply};

use crate::house::{House, ISOLATIONS, Tenant, tenant};
use crate::stage::soon;

/// So many requests, in a window that outlives the test.
const LIMIT: &str = "10 3600";

/// How long a change may wait to be written, twice.
const WRITTEN: Duration = Duration::from_secs(2);

const FOLDER: &str = "key_value: {folder: HERE/kept}";

fn both() -> [Tenant; 2] {
    ["a", "b"].map(|name| {
        tenant(name)
            .example("rate-limit")
            .with("grants: {key_value: {}}")
    })
}

/// One more request of the one client; how many are left to it.
fn left(house: &House, tenant: &str) -> u32 {
    let mut caller = house.caller(tenant, "rate-limit", LIMIT);
    let mut builder = FrameBuilder::new();
    let call = HttpReqCall {
        path: b"/",
        src_ip: &[127, 0, 0, 1],
        conf_token: caller.token,
        ..HttpReqCall::default()
    };
    let frame = call.encode(&mut builder).expect("a frame");
    match caller.client.exchange(frame) {
        Ok(Reply::HttpReqCall {
            action: HttpAction::Rewrite { resp_headers, .. },
            ..
        }) => {
            let value = resp_headers[0].value.clone().expect("a value");
            String::from_utf8(value)
                .expect("text")
                .parse()
                .expect("a number")
        }
        other => panic!("{other:?}\n{}", house.runner.log()),
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_same_key_should_be_counted_for_each_tenant_apart() {
    for isolation in ISOLATIONS {
        let mut house = House::new(isolation, FOLDER, &both());
        assert_eq!(
            [9, 8, 7].map(|_| left(&house, "a")),
            [9, 8, 7],
            "{isolation}"
        );
        assert_eq!(left(&house, "b"), 9, "{isolation}");
        house = house.restarted();
        assert_eq!(left(&house, "a"), 6, "{isolation}");
        assert_eq!(left(&house, "b"), 8, "{isolation}");
        assert_eq!(files(&house.plan.at("kept")), ["a", "b"], "{isolation}");
        for name in ["a", "b"] {
            let own = files(&house.plan.at("kept").join(name));
            assert!(own.contains(&format!("{name}.kv")), "{own:?}");
            let entries = "wasm_runner_key_value_entries";
            assert_eq!(house.figure(entries, name, &[]), 1.0, "{isolation}");
        }
    }
}

#[test]
fn a_full_or_broken_store_of_one_tenant_should_be_nothing_to_another() {
    for isolation in ISOLATIONS {
        let mut house = House::new(isolation, FOLDER, &both());
        assert_eq!(
            (left(&house, "a"), left(&house, "b")),
            (9, 9),
            "{isolation}"
        );
        let file = house.plan.at("kept/a/a.kv");
        house.runner.signal(Signal::TERM).expect("sent");
        house.runner.wait(crate::stage::SOON).expect("it ends");
        std::fs::write(&file, "no store at all").expect("written");
        house = house.plan.start(&[], &[]);
        house.ready();
        assert_eq!(left(&house, "b"), 8, "{isolation}");
        // Its own begins anew, and the file that nobody could read is kept.
        assert_eq!(left(&house, "a"), 9, "{isolation}");
    }
}

#[test]
fn a_process_that_is_killed_should_lose_little_and_nothing_of_anothers() {
    let house = House::new("process", FOLDER, &both());
    for expected in [9, 8, 7] {
        assert_eq!((left(&house, "a"), left(&house, "b")), (expected, expected));
    }
    std::thread::sleep(WRITTEN);
    // This one may be lost, and is the only one.
    assert_eq!(left(&house, "a"), 6);
    let process = house.process("a").expect("a process");
    process.kill(Signal::KILL);
    assert_eq!(left(&house, "b"), 6);
    let next = left(&house, "a");
    assert!((5..=6).contains(&next), "{next}");
    assert!(soon(|| house
        .process("a")
        .is_some_and(|now| now != process)));
    assert_eq!(left(&house, "b"), 5);
}
