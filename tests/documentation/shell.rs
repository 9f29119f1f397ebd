//! Runs the commands of a page as somebody would who types them one after the
//! other, and compares what the page says they print.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::page::{Block, Page};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// Printed between blocks.
const MARK: &str = "=== end of block ===";

/// Runs the blocks of a page in one shell, in an empty folder, with the runner
/// in its path. A `runner serve` is started, seen to listen, and ended.
///
/// # Errors
/// What the page says and is not so.
pub(crate) fn run(page: &Page, blocks: &[&Block]) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut script = String::from(PROLOGUE);
    for block in blocks.iter().filter(|block| block.kind == "sh") {
        script.push_str(&block.text);
        script.push_str(&format!("\necho '{MARK}'\n"));
    }
    let binaries = Path::new(RUNNER).parent().expect("a folder");
    let path = format!(
        "{}:{}",
        binaries.display(),
        std::env::var_os("PATH")
            .unwrap_or_default()
            .to_string_lossy()
    );
    let output = Command::new("bash")
        .arg("-c")
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

/// `runner serve` would not end by itself.
const PROLOGUE: &str = r#"
set -euo pipefail
runner() {
  if [ "$1" != serve ]; then
    command runner "$@"
    return
  fi
  local log status=0
  log=$(mktemp)
  APISIX_LISTEN_ADDRESS=unix:$log.sock timeout --signal=TERM 8 runner "$@" 2>"$log" &
  local server=$!
  for _ in $(seq 100); do
    grep -q 'plugins can be used' "$log" && break
    sleep 0.05
  done
  grep -q 'plugins can be used' "$log" || { cat "$log" >&2; return 1; }
  kill "$server"
  wait "$server" || status=$?
  # Ended by us, or by timeout.
  [ $status -le 143 ]
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
