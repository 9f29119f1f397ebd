//! A client made of somebody else's protocol code (`independent/client.py`,
//! PyPI a6pluginprotos) against the real binary.

use std::path::Path;
use std::process::Command;

use harness::modules;

#[test]
fn an_independent_client_should_understand_every_reply() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/tools/independent/bin/python");
    assert!(
        python.exists(),
        "{} is missing; run `./just setup`",
        python.display()
    );
    let runner = modules::runner(env!("CARGO_BIN_EXE_runner"), &modules::examples());
    let output = Command::new(python)
        .arg(root.join("tests/independent/client.py"))
        .arg(runner.socket())
        .output()
        .expect("the client runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failed}{}", runner.log());
    assert!(said.lines().count() >= 15, "{said}");
}
