//! `runner demo`: not written yet.

use anyhow::Result;

/// Runs the demo.
///
/// # Errors
/// Always, until it is written.
pub fn run() -> Result<()> {
    anyhow::bail!("not written yet")
}
