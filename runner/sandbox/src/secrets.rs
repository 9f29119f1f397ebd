//! Texts that the operator grants by name, and the one place where they are
//! taken out of what a guest says: its lines in the log, the reasons of its
//! failures. Must not know where they come from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Bytes from which a text is looked for: a shorter one stands in other words
/// by chance.
const SOUGHT: usize = 4;

/// Bytes from which a line of a text with several is looked for on its own: who
/// prints a key in PEM prints it line by line.
const SOUGHT_LINE: usize = 16;

/// Texts by name.
#[derive(Default)]
pub struct Secrets {
    values: BTreeMap<String, String>,
    /// What is looked for and whose it is, the longest first: one may be a part
    /// of another.
    sought: Vec<(String, String)>,
}

/// Without the texts.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Secrets {
    /// Names with their texts.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(values: T) -> Self {
        let values: BTreeMap<String, String> = values.into_iter().collect();
        let mut sought = Vec::new();
        for (name, value) in &values {
            let lines = value
                .lines()
                .filter(|line| line.len() >= SOUGHT_LINE && *line != value);
            let whole = Some(value.as_str()).filter(|value| value.len() >= SOUGHT);
            for text in whole.into_iter().chain(lines) {
                sought.push((text.to_owned(), name.clone()));
            }
        }
        sought.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Secrets { values, sought }
    }
}

impl Secrets {
    /// The text that a name stands for.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The text with `[secret NAME]` wherever a secret of 4 bytes or more
    /// stands in it as it is.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for (secret, name) in &self.sought {
            if text.contains(secret) {
                text = text.replace(secret, &format!("[secret {name}]")).into();
            }
        }
        text
    }

    /// The same for a text whose end was cut off, and perhaps a secret with it:
    /// what may be the beginning of one goes too.
    pub(crate) fn redact_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let whole = self.redact(text);
        let begun = |secret: &str| {
            let lengths = (SOUGHT..secret.len()).rev();
            let mut beginnings = lengths.filter_map(|length| secret.get(..length));
            beginnings.find_map(|beginning| whole.strip_suffix(beginning).map(str::len))
        };
        let starts = self.sought.iter().filter_map(|(secret, _)| begun(secret));
        match starts.min() {
            Some(start) => whole[..start].to_owned().into(),
            None => whole,
        }
    }

    /// Bytes of the longest text that is looked for.
    pub(crate) fn longest(&self) -> usize {
        self.sought.first().map_or(0, |(text, _)| text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END KEY-----\n";
        [
            ("SHORT", "abc"),
            ("TOKEN", "s3cret"),
            ("LONGER", "s3cret-and-more"),
            ("PEM", key),
        ]
        .map(pair)
        .into_iter()
        .collect()
    }

    #[test]
    fn a_secret_should_give_way_to_its_name() {
        for (text, expected) in [
            ("nothing", "nothing"),
            ("abc is too short", "abc is too short"),
            ("Bearer s3cret.", "Bearer [secret TOKEN]."),
            ("s3crets3cret", "[secret TOKEN][secret TOKEN]"),
            ("s3cret-and-more", "[secret LONGER]"),
            ("MIIEvQIBADANBgkqhkiG", "[secret PEM]"),
        ] {
            assert_eq!(secrets().redact(text), expected, "{text}");
        }
    }

    #[test]
    fn the_beginning_of_a_secret_should_not_stand_at_a_cut() {
        for (text, expected) in [
            ("x s3cret-and-mo", "x [secret TOKEN]-and-mo"),
            ("x s3cre", "x "),
            ("x s3c", "x s3c"),
            ("s3cret s3cre", "[secret TOKEN] "),
        ] {
            assert_eq!(secrets().redact_cut(text), expected, "{text}");
        }
    }

    #[test]
    fn no_text_should_be_shown_to_whoever_debugs() {
        let shown = format!("{:?}", secrets());
        assert_eq!(shown, r#"{"LONGER", "PEM", "SHORT", "TOKEN"}"#);
    }
}
