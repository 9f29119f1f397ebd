//! `runner version`: what an operator has to know when an advisory names a
//! version.

use std::io::Write;

use anyhow::Result;

/// Prints the versions.
///
/// # Errors
/// Where stdout cannot be written.
pub fn run() -> Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "runner {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "wasmtime {}", sandbox::WASMTIME_VERSION)?;
    writeln!(out, "filter interface apisix:filter@0.1.0")?;
    writeln!(out, "external plugin protocol 0.6.1 (APISIX 2.9 and later)")?;
    Ok(())
}
