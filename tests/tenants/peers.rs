//! Who may connect: each socket has a mode, an owner and a list of users of its
//! own.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use harness::guests::stopping_with;
use harness::wire_client::NoReply;

use crate::house::{House, ISOLATIONS, UNAVAILABLE, tenant};

/// No user of this machine.
const STRANGER: u32 = 54_321;

#[test]
fn only_the_users_that_a_socket_names_should_be_served_there() {
    let own = rustix::process::getuid().as_raw();
    assert_ne!(own, STRANGER);
    // Whom a's socket names, and whether that is us.
    let rows = [
        (format!("[{STRANGER}]"), false),
        (format!("[{own}]"), true),
        (format!("[{STRANGER}, {own}]"), true),
        ("[]".to_owned(), true),
    ];
    for isolation in ISOLATIONS {
        for (peers, served) in &rows {
            let house = House::new(
                isolation,
                "",
                &[
                    tenant("a")
                        .socket(&format!("peers: {peers}"))
                        .module("same", stopping_with(201)),
                    tenant("b").module("same", stopping_with(202)),
                ],
            );
            match served {
                true => house.caller("a", "same", "").always(2, 201),
                false => {
                    let mut refused = house.client("a");
                    assert_eq!(refused.receive(), Ok(UNAVAILABLE), "{isolation}");
                    assert_eq!(refused.receive(), Err(NoReply::Closed), "{isolation}");
                    house.logs(&format!(
                        "1 connections to {} were refused, the last of user {own}, process {}; \
                         only those whom sockets' `peers` names may connect",
                        house.socket("a").display(),
                        std::process::id()
                    ));
                }
            }
            let refused = f64::from(u8::from(!served));
            house.reaches("wasm_runner_connections_refused_total", "a", refused);
            house.reaches("wasm_runner_connections_refused_total", "b", 0.0);
            house.caller("b", "same", "").always(2, 202);
        }
    }
}

#[test]
fn each_socket_should_have_its_own_mode_and_owner() {
    // Only root may give files away.
    let is_root = rustix::process::geteuid().is_root();
    for isolation in ISOLATIONS {
        let given = match is_root {
            true => format!(
                "mode: '0640', owner: '{STRANGER}', group: '{}'",
                STRANGER + 1
            ),
            false => "mode: '0640'".to_owned(),
        };
        let house = House::new(
            isolation,
            "",
            &[
                tenant("a")
                    .socket(&given)
                    .module("same", stopping_with(201)),
                tenant("b")
                    .socket("mode: '0606'")
                    .module("same", stopping_with(202)),
            ],
        );
        let found = |name| std::fs::metadata(house.socket(name)).expect("a socket");
        let (of_a, of_b) = (found("a"), found("b"));
        assert_eq!(of_a.permissions().mode() & 0o777, 0o640, "{isolation}");
        assert_eq!(of_b.permissions().mode() & 0o777, 0o606, "{isolation}");
        if is_root {
            assert_eq!((of_a.uid(), of_a.gid()), (STRANGER, STRANGER + 1));
            assert_ne!(of_b.uid(), STRANGER, "{isolation}");
        }
    }
}
