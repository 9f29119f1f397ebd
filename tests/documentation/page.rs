//! A page of Markdown as its fenced blocks, links and commands, and what reads
//! the blocks that hold settings.

use std::path::{Path, PathBuf};

/// One page.
pub(crate) struct Page {
    /// Relative to the repository.
    pub(crate) name: String,
    file: PathBuf,
    text: String,
    blocks: Vec<Block>,
}

/// A fenced block.
pub(crate) struct Block {
    /// What stands behind the fence.
    pub(crate) kind: String,
    /// Where it begins.
    pub(crate) line: usize,
    /// What is in it.
    pub(crate) text: String,
}

impl Page {
    /// Reads a page.
    pub(crate) fn read(root: &Path, file: &Path) -> Self {
        let text = std::fs::read_to_string(file).expect("a page");
        let name = file.strip_prefix(root).expect("a page of the repository");
        let mut blocks: Vec<Block> = Vec::new();
        let mut inside = false;
        for (index, line) in text.lines().enumerate() {
            if let Some(kind) = line.trim_start().strip_prefix("```") {
                inside = !inside;
                if inside {
                    blocks.push(Block {
                        kind: kind.trim().to_owned(),
                        line: index + 1,
                        text: String::new(),
                    });
                }
            } else if let (true, Some(block)) = (inside, blocks.last_mut()) {
                block.text.push_str(line);
                block.text.push('\n');
            }
        }
        assert!(!inside, "{}: a block has no end", name.display());
        Page {
            name: name.display().to_string(),
            file: file.to_owned(),
            text,
            blocks,
        }
    }

    /// Files in its folder that are no pages.
    pub(crate) fn beside(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = self.file.parent().expect("a folder");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_page = path.extension().is_some_and(|ending| ending == "md");
            if path.is_file() && !is_page {
                let name = path.file_name().expect("a name");
                files.push((name.into(), std::fs::read(&path).expect("a file")));
            }
        }
        files
    }

    /// In order.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Targets of links within the repository.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for piece in self.text.split("](").skip(1) {
            let target = piece.split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") && !target.is_empty() {
                links.push(target.to_owned());
            }
        }
        links
    }

    /// Commands in blocks, and those in the text between backticks.
    pub(crate) fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        for block in self.blocks.iter().filter(|block| block.kind == "sh") {
            commands.extend(block.text.lines().map(|line| line.trim().to_owned()));
        }
        for line in self.text.lines() {
            commands.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
        commands
    }
}

/// Settings of the runner are read by the runner; others are YAML at least.
pub(crate) fn check_yaml(place: &str, text: &str) {
    let parsed: serde_yaml::Value =
        serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"));
    let keys: Vec<&str> = parsed
        .as_mapping()
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.as_str())
        .collect();
    if keys.contains(&"cases") {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("cases.yaml");
        std::fs::write(&file, text).expect("written");
        if let Err(error) = runner::cases::CaseFile::read(&file) {
            panic!("{place}: {error:#}");
        }
    } else if keys.iter().all(|key| SETTINGS.contains(key)) && !keys.is_empty() {
        let read = runner::config::settle(place, text.to_owned(), &Nothing);
        if let Err(error) = read {
            panic!("{place}: {error:#}");
        }
    }
}

/// Top-level keys of conf/config.yaml.
const SETTINGS: [&str; 15] = [
    "socket",
    "modules",
    "logging",
    "limits",
    "ceilings",
    "cache",
    "admin",
    "plugins",
    "on_error",
    "grants",
    "integrity",
    "key_value",
    "confinement",
    "isolation",
    "tenants",
];

struct Nothing;

impl runner::config::Environment for Nothing {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}

/// A whole document, or members of an object.
pub(crate) fn check_json(place: &str, text: &str) {
    let whole: Result<serde_json::Value, _> = serde_json::from_str(text);
    let members: Result<serde_json::Value, _> = serde_json::from_str(&format!("{{{text}}}"));
    if let (Err(error), Err(_)) = (whole, members) {
        panic!("{place}: {error}");
    }
}

/// Files of a folder that are text, without their white space.
pub(crate) fn sources(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
    let skipped = ["node_modules", "target", "dist", ".venv", ".build"];
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && !skipped.contains(&name) {
            sources(&path, into);
        } else if let Ok(text) = std::fs::read_to_string(&path)
            && path.extension().is_none_or(|ending| ending != "md")
        {
            into.push((path, squeezed(&text)));
        }
    }
}

/// Without white space, in which a page may differ.
pub(crate) fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}
