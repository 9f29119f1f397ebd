//! Puts the templates of `runner new` into the program: every file of
//! templates/, of wit/ and of the SDK, as a table of paths and bytes. What tools
//! leave in those folders stays out.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of the repository that go in.
const FOLDERS: [&str; 3] = ["templates", "wit", "guest-sdk"];

/// What tools leave behind.
const LEFT_BEHIND: [&str; 6] = [
    "node_modules",
    "target",
    "dist",
    "venv",
    ".venv",
    "__pycache__",
];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let path = file.strip_prefix(&root).expect("a file of the repository");
        let bytes = file.canonicalize().expect("a file that was just listed");
        let _ = writeln!(
            table,
            "    ({:?}, include_bytes!({:?}), {}),",
            path.display().to_string(),
            bytes.display().to_string(),
            is_executable(file)
        );
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("templates.rs"), table).expect("the folder of cargo");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| {
        panic!("{}: {error}", folder.display());
    });
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.expect("a name that is UTF-8");
        if path.is_dir() {
            if !LEFT_BEHIND.contains(&name) {
                collect(&path, files);
            }
        } else {
            files.push(path);
        }
    }
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = fs::metadata(file).expect("a file that was just listed");
    metadata.permissions().mode() & 0o100 != 0
}
