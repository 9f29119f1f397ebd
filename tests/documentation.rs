//! Everything in docs/, README.md and the pages beside the examples that looks
//! like something to type or to copy is tried: commands are run in order in an
//! empty folder and print what the page says, settings are read by what reads
//! them, source is the source of a file that is built elsewhere.
//!
//! A page that names a language whose tools are missing here fails: CI has them.

#[path = "documentation/page.rs"]
mod page;
#[path = "documentation/shell.rs"]
mod shell;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use page::{Block, Page};

/// Pages whose commands are not run, and what runs them instead.
const COMMANDS_RUN_ELSEWHERE: [(&str, &str); 6] = [
    (
        "README.md",
        "CI runs these very commands; the verbs are checked below",
    ),
    ("CONTRIBUTING.md", "the verbs are checked below"),
    ("examples-wasm/README.md", "the verbs are checked below"),
    ("docs/apisix.md", "they need a gateway"),
    ("docs/operations.md", "they need a machine of one's own"),
    (
        "docs/performance.md",
        "they take minutes and measure nothing on a busy machine",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page for people who use the runner.
fn pages() -> Vec<Page> {
    let mut files = vec![
        root().join("README.md"),
        root().join("CONTRIBUTING.md"),
        root().join("examples-wasm/README.md"),
    ];
    collect(&root().join("docs"), &mut files);
    files.sort();
    files.iter().map(|file| Page::read(&root(), file)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of pages") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            files.push(path);
        }
    }
}

#[test]
fn every_link_should_lead_somewhere() {
    for page in pages() {
        for link in page.links() {
            let (file, _) = link.split_once('#').unwrap_or((&link, ""));
            let target = root().join(&page.name).with_file_name("").join(file);
            assert!(
                file.is_empty() || target.exists(),
                "{}: {link} leads nowhere",
                page.name
            );
        }
    }
}

#[test]
fn every_block_should_be_of_a_kind_that_is_tried() {
    let kinds = [
        "nginx", "sh", "text", "yaml", "json", "wit", "rust", "js", "ts", "python", "c", "go",
    ];
    for page in pages() {
        for block in page.blocks() {
            let known = kinds.contains(&block.kind.as_str());
            assert!(
                known,
                "{}:{}: a block of {:?}",
                page.name, block.line, block.kind
            );
        }
    }
}

#[test]
fn settings_should_be_readable() {
    for page in pages() {
        for block in page.blocks() {
            let place = format!("{}:{}", page.name, block.line);
            match block.kind.as_str() {
                "yaml" => page::check_yaml(&place, &block.text),
                "json" => page::check_json(&place, &block.text),
                _ => {}
            }
        }
    }
}

/// Source on a page is a part of a file that is built and held against cases,
/// or is written into such a file by a command of the page.
#[test]
fn source_should_be_that_of_a_file() {
    let mut sources = Vec::new();
    for folder in [
        "templates",
        "docs/recipes",
        "examples-wasm",
        "guest-sdk",
        "wit",
    ] {
        page::sources(&root().join(folder), &mut sources);
    }
    let mut strangers = Vec::new();
    for page in pages() {
        for block in page.blocks() {
            if matches!(
                block.kind.as_str(),
                "sh" | "text" | "yaml" | "json" | "nginx"
            ) {
                continue;
            }
            let wanted = page::squeezed(&block.text);
            if !sources.iter().any(|(_, source)| source.contains(&wanted)) {
                let (name, line, text) = (&page.name, block.line, &block.text);
                strangers.push(format!("{name}:{line}: no file has this source:\n{text}"));
            }
        }
    }
    assert!(strangers.is_empty(), "{}", strangers.join("\n"));
}

/// `./just VERB` and `runner COMMAND` exist.
#[test]
fn every_verb_and_command_should_exist() {
    let justfile = std::fs::read_to_string(root().join("Justfile")).expect("Justfile");
    for page in pages() {
        for command in page.commands() {
            if let Some(verb) = command.strip_prefix("./just ") {
                let verb = verb.split_whitespace().next().unwrap_or_default();
                let known = justfile
                    .lines()
                    .any(|line| line.split([':', ' ']).next() == Some(verb) && line.contains(':'));
                assert!(known, "{}: there is no verb {verb}", page.name);
            }
            if let Some(arguments) = command.strip_prefix("runner ") {
                shell::assert_known_command(&page.name, arguments);
            }
        }
    }
}

/// One test a page would be better, but pages come and go without this file.
/// Compilers take most of the time, so as many pages at once as there are cores.
#[test]
fn commands_should_do_what_the_page_says() {
    let runs_here = |page: &Page| {
        !COMMANDS_RUN_ELSEWHERE
            .iter()
            .any(|(name, _)| *name == page.name)
    };
    let pages: Vec<Page> = pages().into_iter().filter(runs_here).collect();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = run(page) {
                failures.lock().expect("not poisoned").push(failure);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().expect("not poisoned");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn run(page: &Page) -> Result<(), String> {
    let shown = |block: &&Block| matches!(block.kind.as_str(), "sh" | "text");
    let blocks: Vec<&Block> = page.blocks().iter().filter(shown).collect();
    match blocks.iter().any(|block| block.kind == "sh") {
        true => shell::run(page, &blocks),
        false => Ok(()),
    }
}

#[test]
fn what_is_run_elsewhere_should_still_be_there() {
    for (name, _) in COMMANDS_RUN_ELSEWHERE {
        assert!(root().join(name).exists(), "{name}");
    }
}
