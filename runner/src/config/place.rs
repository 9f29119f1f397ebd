//! Finds things in the text of a configuration for the sake of its errors: the
//! line of a key, and the key that was probably meant.

/// The line, from 1, where a key such as `socket.file` is set, in block style
/// or in flow style; `None` where it is not written.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let mut lines = text.lines().enumerate().peekable();
    let mut found = None;
    for (depth, part) in key.split('.').enumerate() {
        found = None;
        while let Some((index, line)) = lines.peek() {
            if sets(line, part, depth) {
                found = Some(index + 1);
                break;
            }
            lines.next();
        }
    }
    found
}

/// Whether a line sets a key: at its beginning, or, for a key within another,
/// behind the brace or comma of a mapping in flow style.
fn sets(line: &str, key: &str, depth: usize) -> bool {
    let is_at_top = !line.starts_with([' ', '\t']);
    let code = line.split('#').next().unwrap_or_default();
    let names = |part: &str| part.trim_start().split(':').next().map(str::trim) == Some(key);
    match depth {
        0 => is_at_top && names(code),
        _ => (!is_at_top && names(code)) || code.split(['{', ',']).skip(1).any(names),
    }
}

/// The known key nearest to the unknown one, read from serde's sentence
/// "unknown field `x`, expected one of `a`, `b`".
pub(super) fn nearest_key(message: &str) -> Option<&str> {
    let (_, names) = message.split_once("unknown field ")?;
    let mut names = names.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    names
        .map(|known| {
            (
                strsim::normalized_damerau_levenshtein(unknown, known),
                known,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.4)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_should_be_found_on_its_line() {
        let text = "# file: no\nsocket:\n  # why\n  file: x\nlogging:\n  level: y\n";
        for (key, line) in [
            ("socket", Some(2)),
            ("socket.file", Some(4)),
            ("logging.level", Some(6)),
            ("limits", None),
        ] {
            assert_eq!(line_of(text, key), line, "{key}");
        }
    }

    #[test]
    fn the_nearest_key_should_be_suggested() {
        let message = "unknown field `levle`, expected one of `level`, `file`";
        assert_eq!(nearest_key(message), Some("level"));
        assert_eq!(nearest_key("unknown field `zzz`, expected `file`"), None);
    }
}
