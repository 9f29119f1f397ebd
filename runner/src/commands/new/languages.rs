//! The languages of `runner new`: which folders of the repository make a
//! project, and what a machine needs to build it.

use anyhow::{Result, bail};

/// One of them.
pub(super) struct Language {
    /// As it is given on the command line.
    pub(super) name: &'static str,
    /// Other names for it.
    also: &'static [&'static str],
    /// As people call it.
    pub(super) title: &'static str,
    /// What building it needs.
    pub(super) needs: &'static str,
    /// Folders and files of the repository, and where in the project they go.
    /// Where two have the same file, the first counts.
    pub(super) sources: &'static [(&'static str, &'static str)],
}

/// What every project has.
const CASES: (&str, &str) = ("templates/cases.yaml", "");
const WIT: (&str, &str) = ("wit", "wit");

/// All of them.
pub(super) const LANGUAGES: [Language; 7] = [
    Language {
        name: "rust",
        also: &["rs"],
        title: "Rust",
        needs: "Building it takes a Rust toolchain.",
        sources: &[
            ("templates/rust", ""),
            ("guest-sdk/src", "guest-sdk/src"),
            ("guest-sdk/cargo-wasm", "guest-sdk"),
            CASES,
            WIT,
        ],
    },
    Language {
        name: "js",
        also: &["javascript"],
        title: "JavaScript, on QuickJS",
        needs: "Building it takes Node.js and npm.",
        sources: &[
            ("templates/js", ""),
            ("templates/js-wrapper", ""),
            CASES,
            WIT,
        ],
    },
    Language {
        name: "js-full",
        also: &["starlingmonkey"],
        title: "JavaScript, on StarlingMonkey",
        needs: "Building it takes Node.js and npm.",
        sources: &[
            ("templates/js-full", ""),
            ("templates/js/filter.js", ""),
            ("templates/js-wrapper", ""),
            CASES,
            WIT,
        ],
    },
    Language {
        name: "ts",
        also: &["typescript"],
        title: "TypeScript, on QuickJS",
        needs: "Building it takes Node.js and npm.",
        sources: &[
            ("templates/ts", ""),
            ("templates/js-wrapper", ""),
            CASES,
            WIT,
        ],
    },
    Language {
        name: "python",
        also: &["py"],
        title: "Python",
        needs: "Building it takes Python 3.10 or later.",
        sources: &[("templates/python", ""), CASES, WIT],
    },
    Language {
        name: "c",
        also: &[],
        title: "C",
        needs: "Building it takes clang, or Python for a compiler from PyPI.",
        sources: &[("templates/c", ""), CASES, WIT],
    },
    Language {
        name: "go",
        also: &["golang"],
        title: "Go",
        needs: "Building it takes Go, or Python for one from PyPI.",
        sources: &[("templates/go", ""), CASES, WIT],
    },
];

/// The language of this name.
///
/// # Errors
/// The known ones, where it is not among them.
pub(super) fn named(name: &str) -> Result<&'static Language> {
    let wanted = name.to_ascii_lowercase();
    let is =
        |language: &&Language| language.name == wanted || language.also.contains(&wanted.as_str());
    if let Some(language) = LANGUAGES.iter().find(is) {
        return Ok(language);
    }
    let known: Vec<&str> = LANGUAGES.iter().map(|language| language.name).collect();
    bail!(
        "there is no template for {name:?}; there are: {}. Any language whose compiler leaves a \
         component, or a core module with the exports of wit-bindgen, will do: wit/ is the \
         interface",
        known.join(", ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_should_go_by_each_of_its_names_and_no_other() {
        for (name, expected) in [
            ("rust", Some("rust")),
            ("JavaScript", Some("js")),
            ("py", Some("python")),
            ("cobol", None),
            ("", None),
        ] {
            assert_eq!(
                named(name).ok().map(|language| language.name),
                expected,
                "{name}"
            );
        }
        let error = named("cobol").err().expect("unknown").to_string();
        for language in &LANGUAGES {
            assert!(error.contains(language.name), "{error}");
        }
    }
}
