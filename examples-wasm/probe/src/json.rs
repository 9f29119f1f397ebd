//! Reads JSON of a known shape: whoever calls says what comes next. It must
//! not know the keys.
//!
//! By hand because nothing on the shelf is as small. Code and data of a filter
//! that reads a text, a list, a number and a boolean: 10 KB with this file,
//! 21 with serde-json-core 0.6 (which has neither escapes nor lists of any
//! length), 29 with miniserde 0.1, 66 with nanoserde 0.2, 86 with tinyjson 2.
//! They bring floating point, and maps that lose the order of keys.

pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

type Result<T> = std::result::Result<T, String>;

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Reader { text, at: 0 }
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed()),
        }
    }

    /// An object: `member` is given each key and reads the value. What it
    /// fails with is put behind the key.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<()>,
    ) -> Result<()> {
        self.items(b'{', b'}', "expected an object", |reader| {
            let key = reader.string()?;
            if !reader.take(b':') {
                return Err(reader.malformed());
            }
            member(reader, &key).map_err(|reason| behind(&key, &reason))
        })
    }

    /// An object whose values are strings.
    pub(crate) fn pairs(&mut self) -> Result<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        self.object(|reader, key| {
            pairs.push((key.to_owned(), reader.string()?));
            Ok(())
        })?;
        Ok(pairs)
    }

    /// A list of strings.
    pub(crate) fn strings(&mut self) -> Result<Vec<String>> {
        let mut strings = Vec::new();
        self.items(b'[', b']', "expected a list of strings", |reader| {
            strings.push(reader.string()?);
            Ok(())
        })?;
        Ok(strings)
    }

    pub(crate) fn boolean(&mut self) -> Result<bool> {
        self.peek();
        for (word, value) in [("true", true), ("false", false)] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(String::from("expected true or false"))
    }

    /// A whole number from 0 to 65535.
    pub(crate) fn number(&mut self) -> Result<u16> {
        self.peek();
        let digits =
            self.while_matches(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'e' | b'E'));
        let canonical = digits == "0" || !digits.starts_with('0');
        match digits.parse() {
            Ok(number) if canonical => Ok(number),
            _ => Err(String::from("expected a number from 0 to 65535")),
        }
    }

    pub(crate) fn string(&mut self) -> Result<String> {
        if !self.take(b'"') {
            return Err(String::from("expected a string"));
        }
        let mut string = String::new();
        loop {
            string.push_str(self.while_matches(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)));
            match self.next() {
                Some(b'"') => return Ok(string),
                Some(b'\\') => string.push(self.escape()?),
                _ => return Err(self.malformed()),
            }
        }
    }

    // === Inside ===

    fn items(
        &mut self,
        open: u8,
        close: u8,
        expected: &str,
        mut item: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if !self.take(open) {
            return Err(expected.to_owned());
        }
        if self.take(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.take(close) {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.malformed());
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let character = match self.next() {
            Some(byte @ (b'"' | b'\\' | b'/')) => Some(char::from(byte)),
            Some(b'b') => Some('\u{8}'),
            Some(b'f') => Some('\u{c}'),
            Some(b'n') => Some('\n'),
            Some(b'r') => Some('\r'),
            Some(b't') => Some('\t'),
            Some(b'u') => self.unicode(),
            _ => None,
        };
        character.ok_or_else(|| self.malformed())
    }

    /// `XXXX`, or the two halves `XXXX\uXXXX` of what UTF-16 splits.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if self.next() != Some(b'\\') || self.next() != Some(b'u') {
            return None;
        }
        let second = self.hex()?.checked_sub(0xdc00)?;
        let joined = 0x10000 + ((first - 0xd800) << 10) + second;
        (second < 0x400).then(|| char::from_u32(joined)).flatten()
    }

    fn hex(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |value, _| {
            let digit = char::from(self.next()?).to_digit(16)?;
            Some(value << 4 | digit)
        })
    }

    /// The next byte that is not white space, not taken.
    fn peek(&mut self) -> Option<u8> {
        self.while_matches(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.rest().bytes().next()
    }

    fn take(&mut self, byte: u8) -> bool {
        let matches = self.peek() == Some(byte);
        self.at += usize::from(matches);
        matches
    }

    /// The next byte, white space included. Only for ASCII that ends a piece:
    /// the position stays between characters.
    fn next(&mut self) -> Option<u8> {
        let byte = self.rest().bytes().next()?;
        self.at += 1;
        Some(byte)
    }

    fn while_matches(&mut self, matches: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| !matches(byte));
        let length = length.unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// `get` instead of an index: an index brings a panic, and a panic brings
    /// formatting machinery.
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn malformed(&self) -> String {
        let mut text = String::from("not JSON at byte ");
        crate::report::push_number(&mut text, self.at as u32);
        text
    }
}

/// `key: reason`; inside another key once more: `key: inner: reason`.
fn behind(key: &str, reason: &str) -> String {
    let mut text = String::from(key);
    text.push_str(": ");
    text.push_str(reason);
    text
}
