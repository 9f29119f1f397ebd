//! A tenant that cannot be served fails alone and is told why; where there is
//! no other, the start fails.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use harness::guests::stopping_with;
use harness::runner_process::StartError;

use crate::house::{ISOLATIONS, Plan, Tenant, tenant};

/// What is wrong with a tenant, and what is said of it. HERE is the folder around
/// everything.
struct Wrong {
    settings: &'static str,
    socket: &'static str,
    spoil: fn(&Plan),
    reason: &'static str,
}

/// Nothing is, yet.
const RIGHT: Wrong = Wrong {
    settings: "",
    socket: "",
    spoil: |_| {},
    reason: "",
};

const WRONGS: [Wrong; 7] = [
    Wrong {
        spoil: |plan| fs::remove_dir_all(plan.modules("a")).expect("removed"),
        reason: "cannot use the modules folder HERE/a",
        ..RIGHT
    },
    Wrong {
        spoil: |plan| {
            let everybodys = Permissions::from_mode(0o777);
            fs::set_permissions(plan.modules("a"), everybodys).expect("mode");
        },
        reason: "everybody may write to HERE/a (mode 0777)",
        ..RIGHT
    },
    Wrong {
        spoil: |plan| fs::remove_file(plan.modules("a").join("same.wasm")).expect("removed"),
        reason: "no NAME.wasm in the modules folder HERE/a",
        ..RIGHT
    },
    Wrong {
        settings: "grants: {secrets: {token: {file: HERE/not-there}}}",
        reason: "HERE/not-there",
        ..RIGHT
    },
    Wrong {
        settings: "grants: {secrets: {token: {env: NOT_THERE}}}",
        reason: "NOT_THERE",
        ..RIGHT
    },
    Wrong {
        socket: "owner: no-such-user",
        reason: "there is no user \"no-such-user\"",
        ..RIGHT
    },
    Wrong {
        settings: "integrity: {trusted_keys: [HERE/not-there.pub]}",
        reason: "the key HERE/not-there.pub cannot be read",
        ..RIGHT
    },
];

/// The one that is wrong, and others.
fn plan(isolation: &str, wrong: &Wrong, others: impl IntoIterator<Item = Tenant>) -> Plan {
    let a = tenant("a")
        .with(wrong.settings)
        .socket(wrong.socket)
        .module("same", stopping_with(201));
    let tenants: Vec<Tenant> = [a].into_iter().chain(others).collect();
    let plan = Plan::new(isolation, "", &tenants);
    (wrong.spoil)(&plan);
    plan
}

fn reason(wrong: &Wrong, plan: &Plan) -> String {
    let here = plan.at("").display().to_string();
    wrong.reason.replace("HERE", here.trim_end_matches('/'))
}

#[test]
fn a_tenant_that_cannot_be_served_should_be_named_and_the_others_served() {
    for isolation in ISOLATIONS {
        for wrong in &WRONGS {
            let others = [tenant("b").module("same", stopping_with(202))];
            let house = plan(isolation, wrong, others).start(&[], &[]);
            let reason = reason(wrong, &house.plan);
            house.caller("b", "same", "").always(3, 202);
            house.logs("tenant a is not served: ");
            house.logs(&reason);
            let page = house.page_says("/readyz", &reason);
            assert!(page.starts_with("HTTP/1.1 503"), "{page}");
            for (path, status) in [("/readyz/a", 503), ("/readyz/b", 200)] {
                let page = house.page(path);
                let begins = page.starts_with(&format!("HTTP/1.1 {status}"));
                assert!(begins, "{isolation} {path}: {page}");
            }
            let said = page.lines().find(|line| line.contains(&reason));
            let named = said.is_some_and(|line| line.starts_with("tenant a is not served: "));
            assert!(named, "{isolation}: {page}");
            assert!(!page.contains("tenant b"), "{isolation}: {page}");
            house.caller("b", "same", "").always(3, 202);
        }
    }
}

#[test]
fn a_start_without_anybody_to_serve_should_fail_and_say_why() {
    for wrong in &WRONGS {
        let plan = plan("shared", wrong, []);
        match plan.try_start(&[], &[]) {
            Err(StartError::Ended { status, log }) => {
                assert_eq!(status.code(), Some(1), "{log}");
                assert!(log.contains(&reason(wrong, &plan)), "{log}");
            }
            Err(other) => panic!("{other}"),
            Ok(runner) => panic!("it serves {}: {}", wrong.reason, runner.log()),
        }
    }
}
