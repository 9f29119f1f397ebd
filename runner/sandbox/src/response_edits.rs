//! What filters changed in a response, kept apart from the response itself.

use crate::response_call::ResponseSource;

/// Everything the filters of one call changed so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseEdits {
    /// The new status.
    pub status: Option<u16>,
    /// The whole list as it is now, once anything in it was changed.
    pub headers: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    /// The new body, never empty.
    pub body: Option<Vec<u8>>,
}

/// Headers that describe the body that was: they go with it.
const OF_THE_BODY: [&[u8]; 7] = [
    b"content-length",
    b"content-encoding",
    b"content-range",
    b"content-md5",
    b"content-digest",
    b"repr-digest",
    b"digest",
];

impl ResponseEdits {
    /// The list to change: a copy of the received one, made at the first
    /// change.
    fn headers(&mut self, source: &dyn ResponseSource) -> &mut Vec<(Vec<u8>, Vec<u8>)> {
        self.headers.get_or_insert_with(|| {
            source
                .headers()
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect()
        })
    }

    /// Bytes of everything in it, each header with some more for itself.
    pub(crate) fn size(&self) -> usize {
        const HEADER: usize = 16;
        let headers = self.headers.iter().flatten();
        let headers = headers.map(|(name, value)| HEADER + name.len() + value.len());
        self.body.as_ref().map_or(0, Vec::len) + headers.sum::<usize>()
    }

    /// Puts one value where the first of the name stood.
    pub(crate) fn set_header(&mut self, source: &dyn ResponseSource, name: &str, value: Vec<u8>) {
        let headers = self.headers(source);
        let first = headers.iter().position(|(old, _)| is(old, name));
        headers.retain(|(old, _)| !is(old, name));
        let at = first.unwrap_or(headers.len());
        headers.insert(at, (name.as_bytes().to_vec(), value));
    }

    pub(crate) fn add_header(&mut self, source: &dyn ResponseSource, name: &str, value: Vec<u8>) {
        self.headers(source).push((name.as_bytes().to_vec(), value));
    }

    pub(crate) fn remove_header(&mut self, source: &dyn ResponseSource, name: &str) {
        self.headers(source).retain(|(old, _)| !is(old, name));
    }

    /// A new body. A filter that encodes it sets `Content-Encoding` after.
    pub(crate) fn set_body(&mut self, source: &dyn ResponseSource, body: Vec<u8>) {
        self.headers(source).retain(|(name, _)| {
            !OF_THE_BODY
                .iter()
                .any(|of_the_body| name.eq_ignore_ascii_case(of_the_body))
        });
        self.body = Some(body);
    }
}

fn is(name: &[u8], wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted.as_bytes())
}
