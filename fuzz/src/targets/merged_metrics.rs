//! The figures of several processes on one page, one of which may write whatever
//! it likes. A fault is a figure that it could give in another's name, or one of
//! another that it could take away.
//!
//! Must not know what is counted.

use runner::supervisor::merged_metrics::merged;

use super::Depth;

/// Pieces of the format.
pub const WORDS: &[&[u8]] = &[
    b"# HELP wasm_runner_x X.\n",
    b"# TYPE wasm_runner_x counter\n",
    b"# TYPE process_fds gauge\n",
    b"wasm_runner_x",
    b"process_fds",
    b"_bucket",
    b"{",
    b"} 1\n",
    b"tenant=\"b\"",
    b"tenant=\"a\"",
    b"p=\"",
    b"\\\"",
    b"\\\\",
    b",",
    b"\r",
];

/// What the other one says.
const HONEST: &str = "# HELP wasm_runner_x X.\n# TYPE wasm_runner_x counter\n\
                      wasm_runner_x{p=\"1\",tenant=\"b\"} 1\nwasm_runner_x{tenant=\"b\"} 2\n";

/// The text of the one that is not honest.
pub fn attack(data: &[u8]) -> Depth {
    let text = String::from_utf8_lossy(data);
    let page = merged([("a", &*text), ("b", HONEST)].into_iter());
    let samples: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
    let of_b = samples.iter().filter(|line| tenants(line) == ["b"]);
    let expected = HONEST.lines().filter(|line| !line.starts_with('#'));
    assert!(of_b.copied().eq(expected), "{page}");
    for line in &samples {
        let tenants = tenants(line);
        assert!(
            tenants == ["a"] || tenants == ["b"],
            "{tenants:?} in {line:?}"
        );
    }
    match samples.len() > 2 {
        true => Depth::Read,
        false => Depth::Refused,
    }
}

/// The values of every label `tenant`, read one character at a time.
fn tenants(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut name, mut value) = (String::new(), String::new());
    let (mut within, mut escaped) = (false, false);
    let Some((_, labels)) = line.split_once('{') else {
        return found;
    };
    for character in labels.chars() {
        match (within, escaped, character) {
            (false, _, '}') => break,
            (false, _, '"') => within = true,
            (false, _, ',') => name.clear(),
            (false, _, '=') => {}
            (false, ..) => name.push(character),
            (true, true, _) => {
                value.push(character);
                escaped = false;
            }
            (true, false, '\\') => escaped = true,
            (true, false, '"') => {
                if name.trim() == "tenant" {
                    found.push(value.clone());
                }
                value.clear();
                within = false;
            }
            (true, false, _) => value.push(character),
        }
    }
    found
}
