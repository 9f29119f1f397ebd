//! Hostile filters (`tests/guests/`), what each is expected to come to, and
//! good filters that must not notice them: for tests and for whoever puts a
//! runner under load.
//!
//! Must not know how a runner defends itself.

mod components;
mod expected;
mod row;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

pub use components::stopping_with;
pub use expected::Expected;
pub use row::{Phase, Row, Source};
pub use table::ROWS;

use crate::modules;

/// The examples that play the good filters.
const GOOD: [&str; 3] = ["probe", "rewrite", "stop"];

/// Fills a folder with every hostile guest and with the good filters.
///
/// # Errors
/// The file's.
///
/// # Panics
/// Where the examples were not built, or a guest's file is not WebAssembly.
pub fn write_modules(folder: &Path) -> std::io::Result<()> {
    write_good_modules(folder)?;
    plugins()
        .values()
        .try_for_each(|row| row.write_module(folder))
}

/// Fills a folder with the good filters.
///
/// # Errors
/// The file's.
///
/// # Panics
/// Where they were not built.
pub fn write_good_modules(folder: &Path) -> std::io::Result<()> {
    for name in GOOD {
        let file = format!("{name}.wasm");
        std::fs::copy(modules::examples().join(&file), folder.join(&file))?;
    }
    Ok(())
}

/// The runner's configuration for them, with its admin listener on a unix
/// socket.
#[must_use]
pub fn configuration(admin: &Path) -> String {
    let admin = admin.display();
    format!(
        "admin: {{listen: \"unix:{admin}\"}}\nplugins: {}\n",
        settings()
    )
}

/// What a configuration says of the plugins that need it, as YAML in one line:
/// the value of `plugins`.
#[must_use]
pub fn settings() -> String {
    let said = plugins();
    let said = said.values().filter(|row| !row.settings.is_empty());
    let said: Vec<String> = said
        .map(|row| format!("{}: {}", row.plugin, row.settings))
        .collect();
    format!("{{{}}}", said.join(", "))
}

/// One row of each plugin.
fn plugins() -> BTreeMap<&'static str, &'static Row> {
    ROWS.iter().map(|row| (row.plugin, row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_guest_should_be_in_the_table() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the guests")
            .filter_map(|file| {
                file.expect("a file")
                    .path()
                    .file_stem()?
                    .to_str()
                    .map(Into::into)
            })
            .collect();
        let of_text = ROWS.iter().filter(|row| row.source == Source::Text);
        let rows: BTreeSet<String> = of_text.map(|row| row.guest.to_owned()).collect();
        assert_eq!(files, rows);
    }

    #[test]
    fn a_plugin_should_have_one_source_and_one_setting() {
        for row in ROWS {
            let other = plugins()[row.plugin];
            let same = (row.guest, row.source, row.settings)
                == (other.guest, other.source, other.settings);
            assert!(same, "{}", row.plugin);
        }
    }
}
