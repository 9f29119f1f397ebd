//! What calls take while they last: places for instances, memory, connections,
//! computing. A tenant that has taken all of its own fails alone.

use harness::guests::stopping_with;
use harness::wire_client::NoReply;
use harness::{Guest, WireClient};
use protocol::gateway_side::Reply;

use crate::house::{Caller, House, ISOLATIONS, Plan, UNAVAILABLE, tenant};
use crate::stage::soon;

/// What the gateway is asked, and does not answer.
const ASKS: &str = r#"{"vars":["x"]}"#;

/// Two places, and nobody waits long for one.
const TWO_PLACES: &str = "limits: {instances: 2, wait_ms: 100, handler_ms: 10000, \
                          handler_wall_ms: 30000}";

const FILTER_CALLS: &str = "wasm_runner_filter_calls_total";

/// Computes until its time is over.
fn spinning() -> Vec<u8> {
    Guest::request_filter("", "i32.const 0", "(loop br 0) unreachable").build()
}

/// Takes 20 MiB for itself and then does this.
fn growing(then: &str) -> Vec<u8> {
    let grow = "(if (i32.eq (memory.grow (i32.const 320)) (i32.const -1)) (then unreachable))";
    Guest::request_filter("", "i32.const 0", &format!("{grow} {then}")).build()
}

#[test]
fn a_tenant_without_a_free_place_should_fail_alone() {
    for isolation in ISOLATIONS {
        for holder in ["probe", "spins"] {
            let both = ["a", "b"].map(|name| {
                tenant(name)
                    .with(TWO_PLACES)
                    .example("probe")
                    .module("spins", spinning())
                    .module("quick", stopping_with(201))
            });
            let house = House::new(isolation, "", &both);
            let [mut a, mut b] = ["a", "b"].map(|name| house.caller(name, "quick", ""));
            a.always(1, 201);
            b.always(1, 201);
            let mut held: Vec<Caller> = (0..2).map(|_| house.caller("a", holder, ASKS)).collect();
            for caller in &mut held {
                caller.begin();
                if holder == "probe" {
                    let asked = caller.client.receive();
                    assert!(matches!(asked, Ok(Reply::ExtraInfo(_))), "{asked:?}");
                }
            }
            let refused = soon(|| a.reply() == Ok(UNAVAILABLE));
            assert!(refused, "{isolation}, {holder}: {}", house.runner.log());
            for _ in 0..10 {
                assert_eq!(a.call(), None, "{isolation}, {holder}");
                b.always(5, 201);
            }
            let saturated = [("outcome", "saturation")];
            let counted = |name| house.figure(FILTER_CALLS, name, &saturated);
            assert!(counted("a") >= 10.0, "{isolation}, {holder}");
            assert_eq!(counted("b"), 0.0, "{isolation}, {holder}");
            if holder == "probe" {
                // Its gateway hangs up, and there is room again.
                drop(held);
                assert!(soon(|| a.call() == Some(201)), "{isolation}");
            }
        }
    }
}

#[test]
fn a_tenant_without_memory_for_instances_should_fail_alone() {
    let limits = "limits: {guest_memory_mib: 32, handler_ms: 10000, handler_wall_ms: 30000}";
    for isolation in ISOLATIONS {
        let both = ["a", "b"].map(|name| {
            tenant(name)
                .with(limits)
                .module("grows", growing("i32.const 0"))
                .module("keeps", growing("(loop br 0) unreachable"))
        });
        let house = House::new(isolation, "limits: {guest_memory_mib: 64}", &both);
        let [mut a, mut b] = ["a", "b"].map(|name| house.caller(name, "grows", ""));
        a.always(1, 0);
        // One at a time, or it is the other that finds none left.
        let taken = || house.figure("wasm_runner_guest_memory_bytes", "a", &[]);
        assert!(soon(|| taken() == 0.0), "{isolation}: {}", taken());
        let mut keeps = house.caller("a", "keeps", "");
        keeps.begin();
        let most = f64::from(20 << 20);
        assert!(soon(|| taken() >= most), "{isolation}: {}", taken());
        let refused = soon(|| a.reply() == Ok(UNAVAILABLE));
        assert!(refused, "{isolation}: {}", house.runner.log());
        for _ in 0..5 {
            assert_eq!(a.call(), None, "{isolation}");
            b.always(3, 0);
        }
        let outcomes = |name| house.figure(FILTER_CALLS, name, &[("outcome", "saturation")]);
        assert!(
            outcomes("a") >= 5.0,
            "{isolation}: {}",
            house.page("/metrics")
        );
        assert_eq!(outcomes("b"), 0.0, "{isolation}");
    }
}

#[test]
fn a_tenant_at_its_limit_of_connections_should_be_refused_alone() {
    for isolation in ISOLATIONS {
        let both = ["a", "b"].map(|name| {
            tenant(name)
                .with("limits: {connections: 2}")
                .module("quick", stopping_with(201))
        });
        let house = House::new(isolation, "", &both);
        // The one with which the harness looked whether the runner is there.
        house.reaches("wasm_runner_connections", "b", 0.0);
        let mut held: Vec<Caller> = (0..2).map(|_| house.caller("a", "quick", "")).collect();
        for _ in 0..3 {
            let mut refused = house.client("a");
            assert_eq!(refused.receive(), Ok(UNAVAILABLE), "{isolation}");
            assert_eq!(refused.receive(), Err(NoReply::Closed), "{isolation}");
        }
        let mut others: Vec<Caller> = (0..2).map(|_| house.caller("b", "quick", "")).collect();
        for caller in held.iter_mut().chain(&mut others) {
            caller.always(3, 201);
        }
        let refused = "wasm_runner_connections_refused_total";
        house.reaches(refused, "a", 3.0);
        house.reaches(refused, "b", 0.0);
    }
}

#[test]
fn what_a_tenant_writes_to_its_socket_should_be_told_to_it_alone() {
    // Frames that nobody can follow, and halves of frames.
    let rows: [&[u8]; 4] = [b"\xff\xff\xff\xff", b"\x01\0\0\x04abcd", b"\x02\xff", b""];
    for isolation in ISOLATIONS {
        let both = ["a", "b"].map(|name| tenant(name).module("quick", stopping_with(201)));
        let house = House::new(isolation, "", &both);
        let mut b = house.caller("b", "quick", "");
        for row in rows {
            let mut broken: Vec<WireClient> = (0..5).map(|_| house.client("a")).collect();
            for client in &mut broken {
                client.send(row).expect("sent");
            }
            b.always(3, 201);
        }
        house.caller("a", "quick", "").always(1, 201);
    }
}

#[test]
fn a_tenant_with_too_many_modules_should_have_those_that_serve() {
    for isolation in ISOLATIONS {
        let a = (1..=3).fold(tenant("a").with("limits: {modules: 2}"), |a, number| {
            a.module(&format!("m{number}"), stopping_with(200 + number))
        });
        let b = tenant("b").module("same", stopping_with(201));
        let house = Plan::new(isolation, "", &[a, b]).start(&["--watch"], &[]);
        house.ready();
        house.logs("a/m3.wasm is refused, the first of 1 modules beyond the 2");
        house.page_says("/readyz", "1 do not serve, m3.wasm the first");
        let beyond = [("state", "beyond_limit")];
        let beyond = ["a", "b"].map(|name| house.figure("wasm_runner_plugins", name, &beyond));
        assert_eq!(beyond, [1.0, 0.0], "{isolation}");
        house.caller("a", "m1", "").always(1, 201);
        house.caller("a", "m2", "").always(1, 202);
        assert_eq!(house.caller("a", "m3", "").call(), None, "{isolation}");
        // One that comes later takes nobody's place, though its name is before theirs.
        let file = |name: &str| house.plan.modules("a").join(name);
        std::fs::write(file("m0.wasm"), stopping_with(200)).expect("file");
        house.logs("a/m0.wasm is refused, the first of 2 modules beyond the 2");
        house.caller("a", "m1", "").always(1, 201);
        assert_eq!(house.caller("a", "m0", "").call(), None, "{isolation}");
        // It has room once one of them is gone, and so are the figures of that one.
        let counted = |name| house.figure(FILTER_CALLS, "a", &[("plugin", name)]);
        assert!(counted("m1") >= 2.0, "{isolation}");
        std::fs::remove_file(file("m1.wasm")).expect("removed");
        let mut m0 = house.caller("a", "m0", "");
        assert!(soon(|| m0.call() == Some(200)), "{isolation}");
        assert_eq!(house.caller("a", "m1", "").call(), None, "{isolation}");
        assert_eq!(counted("m1"), 0.0, "{isolation}");
        house.caller("a", "m2", "").always(1, 202);
        house.caller("b", "same", "").always(1, 201);
    }
}
