//! Writes the report: one line of JSON that is safe as a header value. It
//! must not know where the values come from.

use guest_sdk::HeaderEntry;

/// An object that grows member by member.
pub(crate) struct Report(String);

impl Report {
    pub(crate) fn new() -> Self {
        Report(String::from("{"))
    }

    pub(crate) fn string(&mut self, key: &str, value: &str) {
        self.key(key);
        push_string(&mut self.0, value);
    }

    pub(crate) fn string_or_null(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        push_string_or_null(&mut self.0, value);
    }

    pub(crate) fn number(&mut self, key: &str, value: u32) {
        self.key(key);
        push_number(&mut self.0, value);
    }

    /// A list of `[name, value]`.
    pub(crate) fn entries<'a>(
        &mut self,
        key: &str,
        entries: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) {
        self.key(key);
        self.0.push('[');
        for (name, value) in entries {
            self.separate('[');
            self.0.push('[');
            push_string(&mut self.0, name);
            self.0.push(',');
            push_string_or_null(&mut self.0, value);
            self.0.push(']');
        }
        self.0.push(']');
    }

    pub(crate) fn headers(&mut self, headers: &[HeaderEntry]) {
        let entries = headers
            .iter()
            .map(|header| (header.name.as_str(), Some(header.value.as_str())));
        self.entries("headers", entries);
    }

    /// An object from names to values.
    pub(crate) fn vars(&mut self, names: &[String], values: &[Option<String>]) {
        self.key("vars");
        self.0.push('{');
        for (name, value) in names.iter().zip(values) {
            self.separate('{');
            push_string(&mut self.0, name);
            self.0.push(':');
            push_string_or_null(&mut self.0, value.as_deref());
        }
        self.0.push('}');
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn key(&mut self, key: &str) {
        self.separate('{');
        push_string(&mut self.0, key);
        self.0.push(':');
    }

    /// A comma, unless this is the first behind the opening bracket.
    fn separate(&mut self, open: char) {
        if !self.0.ends_with(open) {
            self.0.push(',');
        }
    }
}

// === Values ===

fn push_string_or_null(text: &mut String, value: Option<&str>) {
    match value {
        Some(value) => push_string(text, value),
        None => text.push_str("null"),
    }
}

/// Escapes what JSON and what header values cannot hold: control characters,
/// DEL among them. Other characters stay as they are, in UTF-8.
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    let mut rest = value;
    while let Some(at) = rest.bytes().position(must_be_escaped) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or_default();
        text.push_str(plain);
        let mut characters = special.chars();
        push_escaped(text, characters.next().unwrap_or_default());
        rest = characters.as_str();
    }
    text.push_str(rest);
    text.push('"');
}

fn must_be_escaped(byte: u8) -> bool {
    byte.is_ascii_control() || byte == b'"' || byte == b'\\'
}

fn push_escaped(text: &mut String, character: char) {
    text.push('\\');
    if character.is_ascii_control() {
        text.push_str("u00");
        for shift in [4, 0] {
            let digit = u32::from(character) >> shift & 0xf;
            text.push(char::from_digit(digit, 16).unwrap_or_default());
        }
    } else {
        text.push(character);
    }
}

/// In decimal; `to_string` would bring formatting machinery.
pub(crate) fn push_number(text: &mut String, number: u32) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}
