//! Folders of modules for a runner under test: the built examples, and guests
//! made from text.
//!
//! Must not know what the guests do.

use std::path::{Path, PathBuf};

use crate::RunnerProcess;

/// The folder of the built examples.
///
/// # Panics
/// Where they have not been built; says how to.
#[must_use]
pub fn examples() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/modules");
    for name in [
        "auth-callout",
        "fetch",
        "fetch-wasi",
        "probe",
        "rate-limit",
        "rewrite",
        "stop",
    ] {
        let module = folder.join(format!("{name}.wasm"));
        assert!(
            module.exists(),
            "{} is missing; run `./just examples`",
            module.display()
        );
    }
    folder
}

/// A runner that serves a folder.
///
/// # Panics
/// Where it does not start.
#[must_use]
pub fn runner(binary: &str, folder: &Path) -> RunnerProcess {
    let folder = folder.to_str().expect("a path that is UTF-8");
    match RunnerProcess::start(Path::new(binary), ["serve", "--modules", folder], &[]) {
        Ok(runner) => runner,
        Err(error) => panic!("the runner does not start: {error}"),
    }
}
