//! Folders of modules for a runner under measurement.
//!
//! Must not know what the modules do.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The examples that every folder has.
pub(crate) const USUAL: [&str; 3] = ["probe", "rewrite", "stop"];

/// The names of a folder's modules beyond the usual ones: guests that somebody
/// has built from other languages.
pub(crate) fn others(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{}: run `./just examples`", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let is_module = path.extension().is_some_and(|ending| ending == "wasm");
        if let (true, Some(name)) = (is_module, path.file_stem().and_then(|stem| stem.to_str()))
            && !USUAL.contains(&name)
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Makes a folder of `count` modules, each with a content of its own: the usual
/// ones, then their likes under other names.
pub(crate) fn folder_of(count: usize, from: &Path, inside: &Path) -> Result<PathBuf> {
    let folder = inside.join(format!("modules-{count}"));
    std::fs::create_dir(&folder)?;
    for index in 0..count {
        let like = USUAL[index % USUAL.len()];
        let file = from.join(format!("{like}.wasm"));
        let mut wasm = std::fs::read(&file)
            .with_context(|| format!("{}: run `./just examples`", file.display()))?;
        let name = match index < USUAL.len() {
            true => like.to_owned(),
            false => {
                wasm.extend(note(index as u8));
                format!("{like}-{index}")
            }
        };
        std::fs::write(folder.join(format!("{name}.wasm")), wasm)?;
    }
    Ok(folder)
}

/// A custom section: changes a component's bytes and nothing else. Section 0,
/// four bytes long, the name's length, the name, the content.
fn note(number: u8) -> [u8; 6] {
    [0, 4, 2, b'n', b'o', number]
}
