//! Finds things in the text of a configuration for the sake of its errors: the
//! line of a key, and the key that was probably meant.

/// The line, from 1, where a key such as `socket.file` is set, in block style
/// or in flow style; `None` where it is not written.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let mut keys = Keys::default();
    text.lines().enumerate().find_map(|(index, line)| {
        // Without what is behind a `#`, unless that belongs to a value.
        let code = match line.find(" #") {
            Some(comment) => &line[..comment],
            None if line.starts_with('#') => "",
            None => line,
        };
        keys.find(code, key).then_some(index + 1)
    })
}

/// The keys that a place in the text is within.
#[derive(Default)]
struct Keys {
    /// The outermost first, each with how deep it stands: its column, or behind
    /// all columns the braces around it.
    path: Vec<(usize, String)>,
    braces: usize,
}

/// Deeper than any column.
const BRACES: usize = 1 << 16;

impl Keys {
    /// Whether this line sets the key; goes on behind it.
    fn find(&mut self, line: &str, key: &str) -> bool {
        let mut rest = line;
        if self.braces == 0 {
            let column = line.len() - line.trim_start().len();
            let Some((name, behind)) = line.split_once(':') else {
                return false;
            };
            if self.enter(column, name, key) {
                return true;
            }
            rest = behind;
        } else if self.enter_flow(rest, key) {
            return true;
        }
        while let Some(at) = rest.find(['{', '}', ',']) {
            let mark = rest.as_bytes()[at];
            rest = &rest[at + 1..];
            match mark {
                b'{' => self.braces += 1,
                b'}' => self.braces = self.braces.saturating_sub(1),
                _ => {}
            }
            if mark != b'}' && self.braces > 0 && self.enter_flow(rest, key) {
                return true;
            }
        }
        false
    }

    /// What stands next within braces, if it is a key.
    fn enter_flow(&mut self, rest: &str, key: &str) -> bool {
        let next = rest.split(['{', '}', ',']).next().unwrap_or_default();
        let Some((name, _)) = rest.split_once(':') else {
            return false;
        };
        name.len() < next.len() && self.enter(BRACES + self.braces, name, key)
    }

    fn enter(&mut self, depth: usize, name: &str, key: &str) -> bool {
        self.path.retain(|(outer, _)| *outer < depth);
        let name = name.trim().trim_matches(['"', '\'']);
        self.path.push((depth, name.to_owned()));
        let names = self.path.iter().map(|(_, name)| name.as_str());
        names.collect::<Vec<_>>().join(".") == key
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
        let text = "# file: no\nsocket:\n  # why\n  file: x # limits: no\nlogging:\n  level: y\n\
                    plugins:\n  a: {limits: {x: 1, y: 2}, warm_uses: 3}\n  b.c:\n    limits:\n      \
                    x: 3\n  \"d\": {\n    limits: {\n      x: 4 },\n    e: 5 }\nlimits: {z: 1}\n";
        for (key, line) in [
            ("socket", Some(2)),
            ("socket.file", Some(4)),
            ("socket.level", None),
            ("logging.level", Some(6)),
            ("plugins.a.limits.y", Some(8)),
            ("plugins.a.warm_uses", Some(8)),
            ("plugins.a.limits.warm_uses", None),
            ("plugins.b.c.limits.x", Some(11)),
            ("plugins.b.c.limits.y", None),
            ("plugins.d.limits.x", Some(14)),
            ("plugins.d.e", Some(15)),
            ("limits.x", None),
            ("limits.z", Some(16)),
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
