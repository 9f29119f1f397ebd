//! What filters changed in a request, kept apart from the request itself so
//! that only changes are sent back. Knows HTTP's rules about names, not the
//! gateway's about order.

/// One header that was changed. Names are unique among the edits of a request
/// in any case of their letters; the last change wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderEdit {
    /// The name in the case its author wrote.
    pub name: String,
    /// The one new value; `None` removes the header.
    pub value: Option<Vec<u8>>,
}

/// One query argument that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgEdit {
    /// The exact name.
    pub name: Vec<u8>,
    /// Every value it has now; none removes the argument.
    pub values: Vec<Vec<u8>>,
}

/// Everything the filters of one call changed so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestEdits {
    /// The new path, decoded; starts with `/`.
    pub path: Option<Vec<u8>>,
    /// Request headers in the order of their first change.
    pub headers: Vec<HeaderEdit>,
    /// Query arguments in the order of their first change.
    pub args: Vec<ArgEdit>,
    /// The new request body, never empty.
    pub body: Option<Vec<u8>>,
    /// Headers for the response to this request, in order, with repeats.
    pub response_headers: Vec<(String, Vec<u8>)>,
}

impl RequestEdits {
    /// Removes an argument, whether it is there or not.
    pub fn remove_arg(&mut self, name: Vec<u8>) {
        self.put_arg(name, Vec::new());
    }

    /// Bytes of everything in it, each entry with some more for itself.
    pub(crate) fn size(&self) -> usize {
        const ENTRY: usize = 16;
        let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let headers = self
            .headers
            .iter()
            .map(|edit| ENTRY + edit.name.len() + value(&edit.value));
        let args = self.args.iter().map(|edit| {
            let values = edit
                .values
                .iter()
                .map(|value| ENTRY + edit.name.len() + value.len());
            ENTRY + values.sum::<usize>()
        });
        let response_headers = self
            .response_headers
            .iter()
            .map(|(name, value)| ENTRY + name.len() + value.len());
        value(&self.path)
            + value(&self.body)
            + headers.chain(args).chain(response_headers).sum::<usize>()
    }

    pub(crate) fn header(&self, name: &[u8]) -> Option<&HeaderEdit> {
        self.headers
            .iter()
            .find(|edit| edit.name.as_bytes().eq_ignore_ascii_case(name))
    }

    pub(crate) fn arg(&self, name: &[u8]) -> Option<&ArgEdit> {
        self.args.iter().find(|edit| edit.name == name)
    }

    pub(crate) fn put_header(&mut self, name: String, value: Option<Vec<u8>>) {
        let edit = HeaderEdit { name, value };
        match self
            .headers
            .iter_mut()
            .find(|old| old.name.eq_ignore_ascii_case(&edit.name))
        {
            Some(old) => *old = edit,
            None => self.headers.push(edit),
        }
    }

    pub(crate) fn put_arg(&mut self, name: Vec<u8>, values: Vec<Vec<u8>>) {
        match self.args.iter_mut().find(|old| old.name == name) {
            Some(old) => old.values = values,
            None => self.args.push(ArgEdit { name, values }),
        }
    }

    pub(crate) fn set_response_header(&mut self, name: String, value: Vec<u8>) {
        self.response_headers
            .retain(|(old, _)| !old.eq_ignore_ascii_case(&name));
        self.response_headers.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_change_of_a_header_should_win_in_any_case() {
        let mut edits = RequestEdits::default();
        edits.put_header("X-A".into(), Some(b"1".to_vec()));
        edits.put_header("x-b".into(), Some(b"2".to_vec()));
        edits.put_header("x-a".into(), None);
        assert_eq!(edits.headers.len(), 2);
        assert_eq!(
            edits.header(b"X-a").and_then(|edit| edit.value.clone()),
            None
        );
    }

    #[test]
    fn argument_names_should_keep_their_case() {
        let mut edits = RequestEdits::default();
        edits.put_arg(b"a".to_vec(), vec![b"1".to_vec()]);
        edits.put_arg(b"A".to_vec(), vec![]);
        assert_eq!(edits.args.len(), 2);
    }
}
