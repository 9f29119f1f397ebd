//! Folders of modules for a runner under test: the built examples, and guests
//! made from text.
//!
//! Must not know what the guests do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

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
    started(binary, &["--modules".as_ref(), folder.as_ref()])
}

/// One that serves a folder and waits as long as a busy machine may take for what
/// computes: only the clocks on the wall are not the default ones.
///
/// # Panics
/// Where it does not start.
#[must_use]
pub fn patient_runner(binary: &str, folder: &Path) -> RunnerProcess {
    const LIMITS: &str = "limits: {handler_wall_ms: 40000, configure_wall_ms: 40000, \
                          prepare_ms: 40000, compile_s: 300}";
    let place = TempDir::new().expect("temporary folder");
    let config = place.path().join("config.yaml");
    std::fs::write(&config, LIMITS).expect("configuration");
    let modules = ["--modules".as_ref(), folder.as_ref()];
    started(
        binary,
        &[&modules[..], &["--config".as_ref(), config.as_ref()]].concat(),
    )
}

fn started(binary: &str, options: &[&OsStr]) -> RunnerProcess {
    let args = ["serve".as_ref()]
        .into_iter()
        .chain(options.iter().copied());
    match RunnerProcess::start(Path::new(binary), args, &[]) {
        Ok(runner) => runner,
        Err(error) => panic!("the runner does not start: {error}"),
    }
}
