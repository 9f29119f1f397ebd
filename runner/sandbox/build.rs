//! Tells the crate which wasmtime it is built with: the exact version is part
//! of what an operator must know (security advisories name it), and wasmtime
//! does not export it.

use std::path::Path;

fn main() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    let version = text
        .split("[[package]]")
        .find(|package| package.contains("\nname = \"wasmtime\"\n"))
        .and_then(|package| package.split("version = \"").nth(1)?.split('"').next())
        .unwrap_or("48");
    println!("cargo::rustc-env=SANDBOX_WASMTIME_VERSION={version}");
}
