//! Where seeds lie: `corpus/TARGET/`, one input per file. What once made a
//! target panic stays there under a name that says what it was.
//!
//! Must not know what the bytes are.

use std::io;
use std::path::{Path, PathBuf};

/// The folder of a target.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target)
}

/// A file of the corpus.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Every seed of a target, by name, so that the order is the same everywhere.
///
/// # Errors
/// Where the folder cannot be read.
pub fn seeds(target: &str) -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for file in std::fs::read_dir(folder(target))? {
        let file = file?;
        seeds.push(Seed {
            name: file.file_name().to_string_lossy().into_owned(),
            bytes: std::fs::read(file.path())?,
        });
    }
    seeds.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(seeds)
}
