//! Finds things in the text of a configuration for the sake of its errors: the
//! line of a key, and the key that was probably meant.

/// The line, from 1, where a key such as `socket.file` or `tenants.0.name` is
/// set, in block style or in flow style; `None` where it is not written. Lists
/// in flow style are not looked into.
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
    /// The outermost first, each with how deep it stands: twice its column, one
    /// more for an item of a list (whose dash may stand below the list's own
    /// key), or behind all columns the braces around it.
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
            let mut column = line.len() - line.trim_start().len();
            let mut item = line.trim_start();
            while let Some(inner) = item.strip_prefix("- ") {
                if self.enter_item(2 * column + 1, key) {
                    return true;
                }
                column += item.len() - inner.trim_start().len();
                item = inner.trim_start();
            }
            if item.starts_with('{') {
                rest = item;
            } else {
                let Some((name, behind)) = item.split_once(':') else {
                    return false;
                };
                if self.enter(2 * column, name, key) {
                    return true;
                }
                rest = behind;
            }
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

    /// The next item of the list at this depth, by its number.
    fn enter_item(&mut self, depth: usize, key: &str) -> bool {
        let before = self.path.iter().rfind(|(outer, _)| *outer == depth);
        let number = before.and_then(|(_, number)| number.parse::<usize>().ok());
        let number = number.map_or(0, |number| number + 1);
        self.enter(depth, &number.to_string(), key)
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
    fn a_key_within_a_list_should_be_found_by_the_number_of_its_item() {
        let text = "tenants:\n- name: a\n  limits: {x: 1}\n- name: b\n  sockets:\n    - file: s\n      \
                    mode: m\n    - {file: t, mode: n}\n  limits:\n    x: 2\nother:\n  -\n    - y: 3\n";
        for (key, line) in [
            ("tenants.0", Some(2)),
            ("tenants.0.name", Some(2)),
            ("tenants.0.limits.x", Some(3)),
            ("tenants.1.name", Some(4)),
            ("tenants.1.sockets.0.file", Some(6)),
            ("tenants.1.sockets.0.mode", Some(7)),
            ("tenants.1.sockets.1.mode", Some(8)),
            ("tenants.1.limits.x", Some(10)),
            ("tenants.2", None),
            ("tenants.0.sockets", None),
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
