//! Runs the commands of a page as somebody would who types them one after the
//! other, and compares what the page says they print.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::page::{Block, Page};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// Printed between blocks.
const MARK: &str = "=== end of block ===";

/// Runs the blocks of a page in one shell, in an empty folder, with the runner
/// in its path. A `runner serve` in front is started, seen to load, and ended.
///
/// # Errors
/// What the page says and is not so.
pub(crate) fn run(page: &Page, blocks: &[&Block]) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("temporary folder");
    // A page that stands beside sources is about them.
    for (name, bytes) in page.beside() {
        std::fs::write(folder.path().join(name), bytes).expect("a copy");
    }
    let mut script = String::from(PROLOGUE);
    for block in blocks.iter().filter(|block| block.kind == "sh") {
        for line in block.text.lines() {
            let in_front = line.starts_with("runner serve") && !line.ends_with('&');
            script.push_str(&match in_front {
                true => line.replacen("runner serve", "serve_for_a_moment", 1),
                false => line.to_owned(),
            });
            script.push('\n');
        }
        script.push_str(&format!("echo '{MARK}'\n"));
    }
    let binaries = Path::new(RUNNER).parent().expect("a folder");
    let path = format!(
        "{}:{}",
        binaries.display(),
        std::env::var_os("PATH")
            .unwrap_or_default()
            .to_string_lossy()
    );
    let output = Command::new("timeout")
        .args([PATIENCE, "bash", "-c"])
        .arg(&script)
        .current_dir(folder.path())
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let (printed, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let place = &page.name;
    if !output.status.success() {
        return Err(format!("{place}: its commands fail\n{printed}\n{said}"));
    }
    let mut pieces = printed.split(MARK);
    let mut piece = "";
    for block in blocks {
        if block.kind == "sh" {
            piece = pieces.next().unwrap_or_default();
            continue;
        }
        let mut lines = piece.lines().chain(said.lines());
        for wanted in block.text.lines().filter(|line| !line.trim().is_empty()) {
            if !lines.any(|line| line.trim() == wanted.trim()) {
                let line = block.line;
                return Err(format!(
                    "{place}:{line}: nothing prints {wanted:?}, in this order; there is\n{piece}\n{said}"
                ));
            }
        }
    }
    Ok(())
}

/// For all commands of a page: a loop may wait for what never comes.
const PATIENCE: &str = "900s";

/// In place of a `runner serve` that would not end by itself.
const PROLOGUE: &str = r#"
set -euo pipefail
# What a page leaves running would keep us waiting for its output.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
serve_for_a_moment() {
  local log
  log=$(mktemp)
  APISIX_LISTEN_ADDRESS=unix:$log.sock runner serve "$@" 2>"$log" &
  local server=$!
  for _ in $(seq 1200); do
    grep -q 'can be used' "$log" && break
    kill -0 "$server" || break
    sleep 0.05
  done
  grep -q 'can be used' "$log" || { cat "$log" >&2; return 1; }
  kill "$server"
  wait "$server" || true
}
"#;

/// Whether the runner knows the command, as far as its name.
pub(crate) fn assert_known_command(page: &str, arguments: &str) {
    let name = arguments.split_whitespace().next().unwrap_or_default();
    let is_name = name.chars().all(|letter| letter.is_ascii_lowercase());
    if name.is_empty() || !is_name {
        return;
    }
    let output = Command::new(RUNNER).arg(name).arg("--help").output();
    let output = output.expect("the runner");
    assert!(
        output.status.success(),
        "{page}: there is no `runner {name}`"
    );
}
