//! One text for Prometheus of the texts of several processes: each name once,
//! with the samples of all. A process is taken at its word for its own tenant
//! and for no other.
//!
//! Must not know where the texts come from.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Names that a process may speak of.
const NAMESPACES: [&str; 2] = ["wasm_runner_", "process_"];

/// A name, what it means, and its samples.
#[derive(Default)]
struct Family {
    /// `# HELP` and `# TYPE`, of the first who said so.
    head: String,
    samples: String,
}

/// The text of all, each `(tenant, text)`.
#[must_use]
pub fn merged<'a>(texts: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut families = BTreeMap::<String, Family>::new();
    for (tenant, text) in texts {
        add(&mut families, tenant, text);
    }
    let families = families.into_values();
    families
        .map(|family| family.head + &family.samples)
        .collect()
}

fn add(families: &mut BTreeMap<String, Family>, tenant: &str, text: &str) {
    let mut current: Option<&str> = None;
    let mut has_head = false;
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let Some(name) = family_of(comment) else {
                current = None;
                continue;
            };
            if current != Some(name) {
                has_head = families.contains_key(name);
                current = Some(name);
            }
            if let Some(name) = current.filter(|_| !has_head) {
                let family = families.entry(name.to_owned()).or_default();
                let _ = writeln!(family.head, "{line}");
            }
            continue;
        }
        let sample = current.and_then(|name| Some((name, of_tenant(line, name, tenant)?)));
        if let Some((name, sample)) = sample {
            let family = families.entry(name.to_owned()).or_default();
            let _ = writeln!(family.samples, "{sample}");
        }
    }
}

/// The name in `HELP name text` or `TYPE name kind`, where a process may speak of
/// it.
fn family_of(comment: &str) -> Option<&str> {
    let rest = comment
        .strip_prefix("HELP ")
        .or(comment.strip_prefix("TYPE "))?;
    let (name, _) = rest.split_once(' ')?;
    let ours = NAMESPACES.iter().any(|space| name.starts_with(space));
    let whole = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (ours && whole).then_some(name)
}

/// The sample with the tenant's label; `None` where it is about another, or
/// about something else than `family`, or not as we write samples.
fn of_tenant(line: &str, family: &str, tenant: &str) -> Option<String> {
    let rest = line.strip_prefix(family)?;
    let at = rest.find(['{', ' '])?;
    let (suffix, rest) = rest.split_at(at);
    if !["", "_bucket", "_sum", "_count"].contains(&suffix) {
        return None;
    }
    let label = format!("tenant=\"{tenant}\"");
    let Some(labels) = rest.strip_prefix('{') else {
        return is_value(rest).then(|| format!("{family}{suffix}{{{label}}}{rest}"));
    };
    match named_tenant(labels)? {
        Some(named) if named == tenant => Some(line.to_owned()),
        Some(_) => None,
        None => Some(format!("{family}{suffix}{{{label},{labels}")),
    }
}

/// The value of the label `tenant` in `a="b",c="d"} 1`, where there is one.
/// `None` where that is not what follows, or it stands there twice.
fn named_tenant(mut labels: &str) -> Option<Option<&str>> {
    let mut tenant = None;
    loop {
        let (name, rest) = labels.split_once("=\"")?;
        let is_name = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        };
        let end = end_of_value(rest)?;
        if name.is_empty() || !is_name(name) {
            return None;
        }
        if name == "tenant" && tenant.replace(&rest[..end]).is_some() {
            return None;
        }
        let rest = &rest[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => labels = more,
            None => return is_value(rest.strip_prefix('}')?).then_some(tenant),
        }
    }
}

/// Where the quotation mark is that ends a value.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.find(|character| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    })
}

/// A space and a number.
fn is_value(text: &str) -> bool {
    let value = text.strip_prefix(' ').map(str::parse::<f64>);
    matches!(value, Some(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_should_stand_once_with_the_samples_of_all() {
        let a = "# HELP wasm_runner_x X.\n# TYPE wasm_runner_x counter\n\
                 wasm_runner_x{plugin=\"p\",tenant=\"a\"} 1\n\
                 # HELP process_fds F.\n# TYPE process_fds gauge\nprocess_fds 7\n";
        let b = "# HELP wasm_runner_x X.\n# TYPE wasm_runner_x counter\n\
                 wasm_runner_x{plugin=\"p\",tenant=\"b\"} 2\n";
        let expected = "# HELP process_fds F.\n# TYPE process_fds gauge\n\
                        process_fds{tenant=\"a\"} 7\n\
                        # HELP wasm_runner_x X.\n# TYPE wasm_runner_x counter\n\
                        wasm_runner_x{plugin=\"p\",tenant=\"a\"} 1\n\
                        wasm_runner_x{plugin=\"p\",tenant=\"b\"} 2\n";
        assert_eq!(merged([("a", a), ("b", b)].into_iter()), expected);
    }

    #[test]
    fn a_process_should_not_speak_for_another_tenant() {
        let head = "# TYPE wasm_runner_x counter\n";
        let rows = [
            ("wasm_runner_x{tenant=\"b\"} 1", None),
            ("wasm_runner_x{p=\"\\\"\",tenant=\"b\"} 1", None),
            ("wasm_runner_x{tenant=\"a\",tenant=\"b\"} 1", None),
            ("wasm_runner_x{tenant =\"b\"} 1", None),
            ("wasm_runner_y{tenant=\"a\"} 1", None),
            ("other{tenant=\"a\"} 1", None),
            ("wasm_runner_x{p=\"", None),
            ("wasm_runner_x", None),
            ("wasm_runner_x{p/\"1\"} 1", None),
            ("wasm_runner_x{p=\"1\"tenant=\"b\"} 1", None),
            ("wasm_runner_x{p=\"1\"} 1 # {tenant=\"b\"}", None),
            ("wasm_runner_x x", None),
            (
                "wasm_runner_x{p=\"\\\\\"} 1",
                Some("wasm_runner_x{tenant=\"a\",p=\"\\\\\"} 1"),
            ),
            (
                "wasm_runner_x{p=\"tenant=\\\"b\\\"\",tenant=\"a\"} 1",
                Some("wasm_runner_x{p=\"tenant=\\\"b\\\"\",tenant=\"a\"} 1"),
            ),
            (
                "wasm_runner_x_bucket{le=\"1\"} 1",
                Some("wasm_runner_x_bucket{tenant=\"a\",le=\"1\"} 1"),
            ),
            ("wasm_runner_x 1", Some("wasm_runner_x{tenant=\"a\"} 1")),
        ];
        for (line, expected) in rows {
            let text = format!("{head}{line}\n");
            let found = merged([("a", &*text)].into_iter());
            let samples = found.strip_prefix(head).expect(line).trim_end();
            assert_eq!(
                Some(samples).filter(|text| !text.is_empty()),
                expected,
                "{line}"
            );
        }
    }
}
