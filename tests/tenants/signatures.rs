//! Which modules a tenant's operator lets in: pinned ones, signed ones. The keys
//! and signatures are those of the `openssl` command.

use std::path::Path;
use std::process::{Command, Stdio};

use harness::guests::stopping_with;

use crate::house::{House, ISOLATIONS, Plan, Tenant, tenant};
use crate::stage::{put_bytes, soon};

/// What stands beside a module.
#[derive(Clone, Copy)]
enum Signature {
    None,
    /// By this key, over the module.
    By(&'static str),
    /// By the trusted key, over another file.
    OfAnother,
    Bytes(&'static [u8]),
}

/// Module, signature, and why it is refused where it is.
const ROWS: [(&str, Signature, Option<&str>); 6] = [
    ("right", Signature::By("ours"), None),
    (
        "unsigned",
        Signature::None,
        Some("module unsigned has no signature"),
    ),
    (
        "foreign",
        Signature::By("theirs"),
        Some("the signature of module foreign is not by a trusted key"),
    ),
    (
        "of-another",
        Signature::OfAnother,
        Some("the signature of module of-another is not by a trusted key"),
    ),
    (
        "malformed",
        Signature::Bytes(b"signed, I swear"),
        Some("the signature of module malformed has 15 bytes and is none"),
    ),
    (
        "pinned",
        Signature::By("ours"),
        Some("which is not among the pinned ones"),
    ),
];

/// One digest that is nobody's.
const STRICT: &str = "integrity: {require_signed: true, trusted_keys: [HERE/ours.pub]}, \
     plugins: {pinned: {sha256: \
     ['0000000000000000000000000000000000000000000000000000000000000000']}}";

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("this test needs the openssl command (apt install openssl)");
    assert!(output.status.success(), "openssl {arguments}: {output:?}");
}

fn make_keys(plan: &Plan) {
    for name in ["ours", "theirs"] {
        let folder = plan.at("");
        openssl(
            &folder,
            &format!("genpkey -algorithm ed25519 -out {name}.pem"),
        );
        openssl(
            &folder,
            &format!("pkey -in {name}.pem -pubout -out {name}.pub"),
        );
    }
}

/// Signs the file of a module, which appears signed in one step.
fn sign(plan: &Plan, tenant: &str, module: &str, key: &str) {
    let wasm = plan.modules(tenant).join(format!("{module}.wasm"));
    let wasm = wasm.display();
    openssl(
        &plan.at(""),
        &format!("pkeyutl -sign -rawin -in {wasm} -out new.sig -inkey {key}.pem"),
    );
    std::fs::rename(plan.at("new.sig"), format!("{wasm}.sig")).expect("renamed");
}

/// The tenant with the modules of all rows, number by number.
fn with_all(name: &'static str) -> Tenant {
    let rows = ROWS.iter().zip(201..);
    rows.fold(tenant(name), |tenant, ((module, ..), status)| {
        tenant.module(module, stopping_with(status))
    })
}

fn prepared(isolation: &str) -> Plan {
    let plan = Plan::new(isolation, "", &[with_all("a").with(STRICT), with_all("b")]);
    make_keys(&plan);
    for (module, signature, _) in ROWS {
        let file = plan.modules("a").join(format!("{module}.wasm.sig"));
        match signature {
            Signature::None => {}
            Signature::By(key) => sign(&plan, "a", module, key),
            Signature::OfAnother => {
                sign(&plan, "a", "right", "ours");
                std::fs::copy(plan.modules("a").join("right.wasm.sig"), file).expect("copied");
            }
            Signature::Bytes(bytes) => std::fs::write(file, bytes).expect("written"),
        }
    }
    plan
}

fn reaches(house: &House, module: &str, status: Option<u16>) {
    let mut caller = house.caller("a", module, "");
    let reached = soon(|| caller.call() == status);
    assert!(reached, "{module}, {status:?}: {}", house.runner.log());
}

#[test]
fn only_modules_that_the_operator_meant_should_serve() {
    for isolation in ISOLATIONS {
        let house = prepared(isolation).start(&[], &[]);
        house.logs("tenant a: 1 plugins can be used");
        for ((module, _, refused), status) in ROWS.iter().zip(201..) {
            let expected = refused.is_none().then_some(status);
            let found = house.caller("a", module, "").call();
            assert_eq!(found, expected, "{isolation}: {module}");
            // What a's operator demands is nothing to b.
            house.caller("b", module, "").always(1, status);
            let Some(reason) = refused else { continue };
            let file = house.plan.modules("a").join(format!("{module}.wasm"));
            house.logs(&format!("{} is refused: ", file.display()));
            house.logs(reason);
            house.page_says("/readyz", reason);
        }
        let page = house.page("/readyz");
        assert!(page.starts_with("HTTP/1.1 503"), "{page}");
        assert!(
            !page.contains("tenant b") && !page.contains("plugin right"),
            "{page}"
        );
    }
}

#[test]
fn a_signature_that_comes_later_should_let_its_module_serve() {
    for isolation in ISOLATIONS {
        let house = prepared(isolation).start(&["--watch"], &[]);
        house.logs("unsigned.wasm is refused: ");
        reaches(&house, "unsigned", None);
        sign(&house.plan, "a", "unsigned", "ours");
        reaches(&house, "unsigned", Some(202));
        // One whose signature is gone, or no longer its own, does not take the
        // place of the last good version.
        put_bytes(&house.plan.modules("a"), "right", &stopping_with(299));
        house.page_says("/readyz", "tenant a");
        house.logs("the last good version of the plugin right stays");
        reaches(&house, "right", Some(201));
        sign(&house.plan, "a", "right", "theirs");
        std::thread::sleep(std::time::Duration::from_millis(500));
        reaches(&house, "right", Some(201));
        sign(&house.plan, "a", "right", "ours");
        reaches(&house, "right", Some(299));
    }
}
