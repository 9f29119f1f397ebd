//! Figures and readiness: each sample is of one tenant and says of which; what
//! one does changes none of another's.

use harness::Signal;
use harness::guests::stopping_with;

use crate::house::{House, ISOLATIONS, Tenant, tenant};
use crate::stage::soon;

fn both() -> [Tenant; 2] {
    ["a", "b"].map(|name| {
        tenant(name)
            .with("limits: {connections: 4}")
            .module("same", stopping_with(201))
    })
}

/// The samples of the runner, without comments.
fn samples(house: &House) -> Vec<String> {
    let page = house.page("/metrics");
    let lines = page.lines().filter(|line| line.starts_with("wasm_runner_"));
    lines.map(str::to_owned).collect()
}

/// What a sample says of its tenant; where it says more, all of it.
fn named(sample: &str) -> Vec<&str> {
    let labels = sample.split("tenant=\"").skip(1);
    labels.filter_map(|rest| rest.split('"').next()).collect()
}

fn of<'a>(samples: &'a [String], tenant: &str) -> Vec<&'a String> {
    let samples = samples.iter();
    samples.filter(|sample| named(sample) == [tenant]).collect()
}

/// Everything that is counted, at least once.
fn traffic(house: &House, tenant: &str) {
    let mut caller = house.caller(tenant, "same", "");
    caller.always(5, 201);
    let _ = caller.client.call(12345);
    assert_eq!(house.caller(tenant, "missing", "").call(), None);
    let mut many: Vec<_> = (0..6).map(|_| house.client(tenant)).collect();
    for client in &mut many {
        let _ = client.prepare(&[("same", "")]);
    }
    let _ = caller.client.send(b"\xff\xff\xff\xff");
    drop((caller, many));
    house.reaches("wasm_runner_connections", tenant, 0.0);
}

#[test]
fn each_sample_should_name_one_tenant_and_no_traffic_change_anothers() {
    for isolation in ISOLATIONS {
        let house = House::new(isolation, "", &both());
        for name in ["a", "b"] {
            house.reaches("wasm_runner_connections", name, 0.0);
            traffic(&house, name);
        }
        let before = samples(&house);
        for sample in &before {
            let names = named(sample);
            let right = match (isolation, names[..].first()) {
                // Of the process, and so of nobody.
                ("shared", None) => sample.starts_with("wasm_runner_log_lines_dropped_total "),
                (_, Some(&"a" | &"b")) => names.len() == 1,
                (_, Some(&"(supervisor)")) => isolation == "process" && names.len() == 1,
                _ => false,
            };
            assert!(right, "{isolation}: {sample}");
        }
        for (name, other) in [("a", "b"), ("b", "a")] {
            let before = samples(&house);
            traffic(&house, name);
            let after = samples(&house);
            assert_eq!(of(&before, other), of(&after, other), "{isolation}");
            let changed = of(&before, name)
                .iter()
                .zip(of(&after, name))
                .filter(|(before, after)| **before != *after)
                .count();
            assert!(changed > 5, "{isolation}: {changed} of {name} changed");
            let counted = of(&before, name).len();
            assert_eq!(counted, of(&before, other).len(), "the same for both");
        }
    }
}

#[test]
fn each_process_should_be_figures_of_its_own() {
    let house = House::new("process", "", &both());
    let page = house.page("/metrics");
    for name in ["(supervisor)", "a", "b"] {
        let line = format!("process_threads{{tenant=\"{name}\"}} ");
        assert!(page.contains(&line), "no {line} in\n{page}");
    }
    // Each name is explained once, whoever it is from.
    let heads: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    let mut distinct = heads.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(heads.len(), distinct.len(), "{page}");
}

#[test]
fn a_process_that_is_gone_or_silent_should_be_named_and_no_other() {
    let house = House::new("process", "", &both());
    let process = house.process("a").expect("a process");
    process.kill(Signal::STOP);
    let silent = "tenant a: its process does not answer";
    house.page_says("/readyz", silent);
    let page = house.page("/readyz");
    assert!(
        page.starts_with("HTTP/1.1 503") && !page.contains("tenant b"),
        "{page}"
    );
    for (path, status) in [("/readyz/a", 503), ("/readyz/b", 200), ("/readyz/c", 404)] {
        let page = house.page(path);
        assert!(
            page.starts_with(&format!("HTTP/1.1 {status}")),
            "{path}: {page}"
        );
    }
    let page = house.page("/metrics");
    assert!(
        page.contains("tenant=\"b\"") && !page.contains("tenant=\"a\""),
        "{page}"
    );
    house.caller("b", "same", "").always(3, 201);
    process.kill(Signal::CONT);
    house.ready();
    // The pause before the next one starts is longer each time.
    let gone = soon(|| {
        if let Some(process) = house.process("a") {
            let _ = harness::send_signal(process.id, Signal::KILL);
        }
        let page = house.page("/readyz");
        assert!(!page.contains("tenant b"), "{page}");
        page.contains("tenant a: its process is gone: signal 9")
    });
    assert!(gone, "{}", house.runner.log());
    house.caller("b", "same", "").always(3, 201);
    house.ready();
}
