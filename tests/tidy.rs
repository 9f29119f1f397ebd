//! Guards the plan of ARCHITECTURE.md: what must not be known where, what must
//! stand beside what, how a file begins.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the repository")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file that git tracks with one of these endings, relative to the
/// repository.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .arg("ls-files")
        .current_dir(root())
        .output()
        .expect("git");
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    let found: Vec<PathBuf> = listed
        .lines()
        .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
        .map(PathBuf::from)
        .filter(|file| root().join(file).exists())
        .collect();
    assert!(!found.is_empty(), "no files with {endings:?}");
    found
}

/// The names of a manifest's normal and build dependencies.
fn dependencies(manifest: &Path) -> Vec<String> {
    let text = read(manifest);
    let mut names = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = matches!(line, "[dependencies]" | "[build-dependencies]");
        } else if let (true, Some((name, _))) = (inside, line.split_once(['=', '.']))
            && !line.starts_with([' ', '#'])
        {
            names.push(name.trim().to_owned());
        }
    }
    names
}

#[test]
fn every_source_file_should_say_what_it_is_for() {
    for file in files(&[".rs"]) {
        let text = read(&file);
        assert!(
            text.starts_with("//! "),
            "{} does not open with //!",
            file.display()
        );
    }
}

#[test]
fn only_its_room_should_name_a_crate() {
    let rooms = [
        ("wasmtime", &["runner/sandbox"][..]),
        ("wasmtime-wasi", &["runner/sandbox"]),
        ("wasmtime-wasi-http", &["runner/sandbox"]),
        ("flatbuffers", &["runner/protocol"]),
        ("hickory-resolver", &["runner/outbound"]),
        ("tokio-rustls", &["runner/outbound"]),
        ("redb", &["runner/key-value"]),
        ("redis", &["runner/key-value"]),
        ("landlock", &["runner/confinement"]),
        ("seccompiler", &["runner/confinement"]),
        ("outbound", &["runner", "fuzz"]),
        ("key-value", &["runner"]),
        ("integrity", &["runner"]),
        ("confinement", &["runner"]),
        (
            "tokio",
            &[
                "runner",
                "runner/sandbox",
                "runner/outbound",
                "runner/key-value",
                "bench",
                "tests/siege",
            ],
        ),
        ("serde_yaml", &["runner"]),
        ("sandbox", &["runner", "fuzz"]),
        (
            "protocol",
            &[
                "runner",
                "runner/gateway-model",
                "tests/harness",
                "tests/siege",
                "bench",
                "fuzz",
            ],
        ),
        ("gateway-model", &["runner", "tests/harness"]),
        ("runner", &["fuzz"]),
    ];
    for manifest in files(&["Cargo.toml"]) {
        let folder = manifest.parent().expect("folder");
        for name in dependencies(&manifest) {
            if let Some((_, allowed)) = rooms.iter().find(|(crate_name, _)| *crate_name == name) {
                let here = allowed.iter().any(|allowed| folder == Path::new(allowed));
                assert!(here, "{} must not depend on {name}", manifest.display());
            }
        }
    }
}

#[test]
fn every_dependency_should_earn_its_line() {
    let map = read("ARCHITECTURE.md");
    let table = map.split("## Dependencies").nth(1).expect("the table");
    let own = [
        "sandbox",
        "protocol",
        "gateway-model",
        "guest-sdk",
        "harness",
        "outbound",
        "key-value",
        "integrity",
        "confinement",
        "runner",
        "fuzz",
    ];
    for manifest in files(&["Cargo.toml"]) {
        for name in dependencies(&manifest) {
            let known = own.contains(&name.as_str())
                || table
                    .split(['|', ','])
                    .any(|cell| cell.split_whitespace().next() == Some(&name));
            assert!(
                known,
                "{}: {name} has no line in ARCHITECTURE.md",
                manifest.display()
            );
        }
    }
}

#[test]
fn every_import_should_have_its_file_in_host_and_sdk() {
    let world = read("wit/world.wit");
    let imports: Vec<&str> = world
        .lines()
        .filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'))
        .filter(|import| *import != "types")
        .collect();
    assert!(imports.len() >= 7, "{imports:?}");
    for import in imports {
        for place in [
            "wit/NAME.wit",
            "runner/sandbox/src/host/NAME.rs",
            "guest-sdk/src/host/NAME.rs",
        ] {
            let name = match place.starts_with("wit") {
                true => import.to_owned(),
                false => import.replace('-', "_"),
            };
            let file = place.replace("NAME", &name);
            assert!(root().join(&file).exists(), "{file} is missing");
        }
    }
}

#[test]
fn every_item_of_the_interface_should_be_documented() {
    let of_interface = |file: &PathBuf| file.starts_with("wit");
    for file in files(&[".wit"]).into_iter().filter(of_interface) {
        let text = read(&file);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let is_item = line.contains(": func(")
                || ["interface ", "world ", "record ", "variant ", "enum "]
                    .iter()
                    .any(|word| line.starts_with(word));
            let documented = index > 0 && lines[index - 1].starts_with("///");
            assert!(
                !is_item || documented,
                "{}:{}: {line}",
                file.display(),
                index + 1
            );
        }
    }
}

#[test]
fn files_should_stay_small_and_names_should_say_something() {
    // Generated, as its first line says.
    let large = ["runner/protocol/src/gen/ext_plugin.rs"];
    let banned = ["manager", "helper", "util", "utils", "common"];
    for file in files(&[".rs", ".wit", ".py"]) {
        let name = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("UTF-8");
        assert!(!banned.contains(&name), "{} says nothing", file.display());
        let lines = read(&file)
            .split("#[cfg(test)]")
            .next()
            .unwrap_or_default()
            .lines()
            .count();
        let allowed = lines <= 500 || large.iter().any(|large| file == Path::new(large));
        assert!(allowed, "{} has {lines} lines", file.display());
    }
}

#[test]
fn the_readme_should_name_only_what_exists() {
    let readme = read("README.md");
    let verbs = read("Justfile");
    for line in readme.lines() {
        if let Some((_, rest)) = line.split_once("./just ") {
            let verb = rest.split_whitespace().next().expect("a verb");
            let known = verbs
                .lines()
                .any(|line| line.split([':', ' ']).next() == Some(verb) && line.contains(':'));
            assert!(
                known,
                "`./just {verb}` is in the README and not in the Justfile"
            );
        }
        for link in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let exists = link.starts_with("https://") || root().join(link).exists();
            assert!(exists, "{link} is linked in the README and does not exist");
        }
    }
}
