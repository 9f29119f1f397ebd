//! A network of a test's own: the test runs itself once more where nothing but a
//! loopback device exists. No packet leaves the namespace, and none of the
//! machine's own network is touched. Must not know what is tested there.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// What a test sets where it runs itself: the namespace that it came from.
const CAME_FROM: &str = "TEST_CAME_FROM_NAMESPACE";

/// Where a proxy would be, which nobody may follow.
const PROXY: &str = "http://169.254.169.254:80";

fn namespace() -> PathBuf {
    std::fs::read_link("/proc/self/ns/net").expect("/proc")
}

/// Does this in a network of its own, by running the test of this name there.
pub(crate) fn inside(test: &str, work: impl FnOnce()) {
    match std::env::var_os(CAME_FROM) {
        None => run_in_a_namespace(test),
        Some(came_from) => {
            // Nothing below may ever touch the machine's own network.
            assert_ne!(
                namespace(),
                Path::new(&came_from),
                "no namespace of its own"
            );
            ip(&["link", "set", "lo", "up"]);
            work();
        }
    }
}

/// As root with a network namespace; else with a user namespace as well.
fn run_in_a_namespace(test: &str) {
    let can = |flags: &str| {
        let tried = Command::new("unshare").args([flags, "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let flags = ["-n", "-rn"].into_iter().find(|flags| can(flags));
    let flags = flags.expect(
        "neither `unshare -n` nor `unshare -rn` works: this test needs root, or user namespaces",
    );
    let output = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture"])
        .env(CAME_FROM, namespace())
        .env("http_proxy", PROXY)
        .env("HTTP_PROXY", PROXY)
        .env("ALL_PROXY", PROXY)
        .output()
        .expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(
        text.contains("1 passed"),
        "it did not run: {text}\n{errors}"
    );
}

/// Gives the loopback device another address.
pub(crate) fn give(address: &str) {
    let length = if address.contains(':') { 128 } else { 32 };
    let network = format!("{address}/{length}");
    ip(&["addr", "add", &network, "dev", "lo", "nodad"]);
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output();
    let output = output.expect("`ip` cannot be run: install iproute2, as tests/setup does");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {errors}");
}

/// Where a server listens: link-local addresses belong to a device, of which
/// there is one.
pub(crate) fn socket(address: &str, port: u16) -> SocketAddr {
    match address.parse().expect(address) {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, port, 0, 1).into(),
        address => SocketAddr::new(address, port),
    }
}

/// Whether something comes true within a time that no machine needs.
pub(crate) fn soon(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if what() {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}
