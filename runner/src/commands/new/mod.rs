//! `runner new`: a project that builds a filter, with everything that no
//! registry has. It asks no network and no toolchain.

mod languages;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use self::languages::{LANGUAGES, Language};
use crate::cli::NewOptions;

/// Every file that was built in: its path in the repository, its bytes, whether
/// it can be run.
static FILES: &[(&str, &[u8], bool)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// What the templates are called.
const NAME: &str = "my-filter";
const NAME_WITH_UNDERSCORES: &str = "my_filter";

/// The longest name that the gateway lets a plugin have (`maxLength` in its
/// schema).
const NAME_LIMIT: usize = 128;

/// A file of the project to be.
struct File {
    path: PathBuf,
    bytes: Vec<u8>,
    executable: bool,
}

/// Writes a project.
///
/// # Errors
/// Where the name or the language will not do, or the folder is there already.
pub fn run(options: &NewOptions) -> Result<()> {
    let language = languages::named(&options.lang)?;
    let folder = &options.name;
    let name = name_of(folder)?;
    ensure!(
        is_free(folder),
        "{} is there already and not an empty folder; choose another name, or remove it first",
        folder.display()
    );
    for file in files(language, name) {
        write(&folder.join(&file.path), &file)?;
    }
    let mut out = anstream::stdout();
    let bold = anstyle::Style::new().bold();
    let shown = folder.display();
    let what = language.title;
    writeln!(
        out,
        "{bold}{shown}{bold:#} holds a filter in {what}. {}\n\n\
         \x20 cd {shown}\n\
         \x20 ./build\n\
         \x20 runner try dist/{name}.wasm '/hello?lang=EN' --conf '{{\"header\":\"x-team\",\"value\":\"blue\"}}'\n\
         \x20 runner test .\n\
         \x20 runner serve --modules dist --watch",
        language.needs
    )?;
    Ok(())
}

/// Names that toolchains keep to themselves, and that of the SDK.
const TAKEN: [&str; 8] = [
    "alloc",
    "core",
    "guest-sdk",
    "main",
    "proc-macro",
    "std",
    "test",
    "wit",
];

fn is_free(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !folder.exists(),
    }
}

/// What the project and the plugin are called: the folder's name.
fn name_of(folder: &Path) -> Result<&str> {
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} is no name for a project", folder.display()))?;
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
        && !name.ends_with('-')
        && !name.contains("--")
        && name.len() <= NAME_LIMIT;
    if !fits {
        bail!(
            "{name:?} is no name that all toolchains take: a lower-case letter, then lower-case \
             letters, digits and single dashes between them, such as `{NAME}`, at most {NAME_LIMIT}"
        );
    }
    ensure!(
        !TAKEN.contains(&name),
        "{name:?} is a name that toolchains keep to themselves; choose another"
    );
    Ok(name)
}

/// The files of a project, as they are to be written.
fn files(language: &Language, name: &str) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    for (source, destination) in language.sources {
        for (path, bytes, executable) in FILES {
            let Some(rest) = within(path, source) else {
                continue;
            };
            let path = Path::new(destination).join(renamed(rest, name));
            // What comes first is the template's own.
            if files.iter().any(|file| file.path == path) {
                continue;
            }
            let bytes = match std::str::from_utf8(bytes) {
                Ok(text) => renamed(text, name).into_bytes(),
                Err(_) => bytes.to_vec(),
            };
            files.push(File {
                path,
                bytes,
                executable: *executable,
            });
        }
    }
    files
}

/// The rest of a path below a folder; of a file itself, its name.
fn within<'a>(path: &'a str, source: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(source)?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(rest),
        None if rest.is_empty() => path.rsplit('/').next(),
        None => None,
    }
}

fn renamed(text: &str, name: &str) -> String {
    text.replace(NAME, name)
        .replace(NAME_WITH_UNDERSCORES, &name.replace('-', "_"))
}

fn write(path: &Path, file: &File) -> Result<()> {
    let shown = path.display();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mode = if file.executable { 0o777 } else { 0o666 };
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let written = opened.and_then(|mut opened| opened.write_all(&file.bytes));
    written.with_context(|| format!("cannot write {shown}"))
}

/// The languages, a line each, for `--help`.
#[must_use]
pub fn known_languages() -> String {
    let lines: Vec<String> = LANGUAGES
        .iter()
        .map(|language| format!("  {:<8} {}", language.name, language.title))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_should_have_what_a_project_needs() {
        for language in &LANGUAGES {
            let files = files(language, "hello-there");
            for needed in [
                "build",
                "README.md",
                "cases.yaml",
                "wit/world.wit",
                ".gitignore",
            ] {
                let found = files.iter().find(|file| file.path == Path::new(needed));
                let found = found.unwrap_or_else(|| panic!("{}: no {needed}", language.name));
                assert_eq!(found.executable, needed == "build", "{}", language.name);
            }
            for file in &files {
                let (path, text) = (file.path.display(), String::from_utf8_lossy(&file.bytes));
                for left in [NAME, NAME_WITH_UNDERSCORES] {
                    let clean = !text.contains(left) && !path.to_string().contains(left);
                    assert!(clean, "{}: {path} has {left}", language.name);
                }
                for host in [
                    "registry.npmjs",
                    "pypi.org",
                    "files.pythonhosted",
                    "static.crates.io",
                ] {
                    assert!(
                        !text.contains(host),
                        "{}: {path} names {host}",
                        language.name
                    );
                }
            }
        }
    }

    #[test]
    fn a_name_should_be_one_that_all_toolchains_take() {
        for (name, fits) in [
            ("hello", true),
            ("hello-2", true),
            ("a/b/hello", true),
            ("Hello", false),
            ("2nd", false),
            ("a_b", false),
            ("a--b", false),
            ("a-", false),
            ("guest-sdk", false),
            ("test", false),
            ("..", false),
            ("", false),
        ] {
            assert_eq!(name_of(Path::new(name)).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn only_what_is_below_a_folder_should_be_within_it() {
        for (path, source, expected) in [
            ("templates/js/build", "templates/js", Some("build")),
            ("templates/js-full/build", "templates/js", None),
            (
                "templates/cases.yaml",
                "templates/cases.yaml",
                Some("cases.yaml"),
            ),
            ("wit/a/b.wit", "wit", Some("a/b.wit")),
        ] {
            assert_eq!(within(path, source), expected, "{path}");
        }
    }
}
