//! The request of one call as its filters see it: what the gateway sent with
//! the edits of the filters so far on top. Reads go to the original bytes and
//! copy only what was asked for.

use std::sync::Arc;

use crate::bindings::apisix::filter::types::Error;
use crate::call::Call;
use crate::limits::EditLimits;
use crate::{Gateway, RequestEdits, validate};

/// Takes a header's name and value.
pub type VisitHeader<'a> = dyn FnMut(&[u8], &[u8]) + 'a;

/// Takes a query argument's name and value; `None` is a value-less one.
pub type VisitArg<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

/// A request as the gateway sent it. Implemented over the received bytes, so
/// that nothing is copied for a filter that does not ask.
pub trait RequestSource: Send + Sync {
    /// The number the gateway gave the call.
    fn id(&self) -> u32;
    /// The method in upper case.
    fn method(&self) -> &str;
    /// The client's address: 4 bytes, 16 bytes, or something else (a client on
    /// a unix socket).
    fn source_address(&self) -> &[u8];
    /// The path as received: decoded, unless the gateway rewrote it before.
    fn path(&self) -> &[u8];
    /// Visits every header in the order received, names in lower case.
    fn visit_headers(&self, visit: &mut VisitHeader<'_>);
    /// Visits every query argument; `None` is a value-less one.
    fn visit_args(&self, visit: &mut VisitArg<'_>);
}

/// What a filter decided about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// On to the next filter.
    Next,
    /// The client gets this response and nobody else sees the request.
    Stop(StopResponse),
}

/// A response that a filter made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopResponse {
    /// 200 to 599.
    pub status: u16,
    /// In order, with repeats.
    pub headers: Vec<(String, String)>,
    /// May be empty.
    pub body: Vec<u8>,
}

/// A call in the request phase.
pub type RequestCall = Call<RequestSubject>;

/// The request of a call and what its filters changed so far.
pub struct RequestSubject {
    source: Arc<dyn RequestSource>,
    pub(crate) limits: EditLimits,
    pub(crate) edits: RequestEdits,
    /// The received path in its decoded form, once somebody had to find out.
    decoded_path: Option<Vec<u8>>,
}

impl Call<RequestSubject> {
    /// A call that no filter has seen yet.
    pub fn new(source: Arc<dyn RequestSource>, gateway: Arc<dyn Gateway>) -> Self {
        let edits = RequestEdits::default();
        Call::about(
            RequestSubject {
                source,
                limits: EditLimits::NONE,
                edits,
                decoded_path: None,
            },
            gateway,
        )
    }

    /// The request as the gateway sent it.
    pub fn source(&self) -> &dyn RequestSource {
        &*self.subject.source
    }

    /// What the filters changed.
    pub fn edits(&self) -> &RequestEdits {
        &self.subject.edits
    }

    /// What the filters changed, to be taken away or completed.
    pub fn edits_mut(&mut self) -> &mut RequestEdits {
        &mut self.subject.edits
    }

    /// The received path, decoded; the gateway sent it encoded because it
    /// rewrote it before.
    pub fn decode_rewritten_path(&mut self) -> &[u8] {
        self.subject.settle_path(true)
    }
}

impl RequestSubject {
    /// Settles which form of the path the gateway sent, encoded or not, and
    /// returns the decoded one.
    pub(crate) fn settle_path(&mut self, encoded: bool) -> &[u8] {
        let path = self.source.path();
        self.decoded_path.get_or_insert_with(|| match encoded {
            true => percent_encoding::percent_decode(path).collect(),
            false => path.to_vec(),
        })
    }

    pub(crate) fn source(&self) -> &dyn RequestSource {
        &*self.source
    }

    // === path ===

    /// The current path, or `None` where the gateway has to be asked first
    /// which form it sent; `settle_path` takes its answer.
    pub(crate) fn path(&self) -> Option<&[u8]> {
        match (&self.edits.path, &self.decoded_path) {
            (Some(path), _) | (None, Some(path)) => Some(path),
            (None, None) if self.source.path().contains(&b'%') => None,
            (None, None) => Some(self.source.path()),
        }
    }

    pub(crate) fn set_path(&mut self, path: Vec<u8>) -> Result<(), Error> {
        validate::path(&path)?;
        self.limits.entry("path", 0, path.len())?;
        validate::edits_size(self.edits.size(), path.len())?;
        self.edits.path = Some(path);
        Ok(())
    }

    // === headers ===

    /// Visits the headers as they are now.
    pub(crate) fn visit_headers(&self, visit: &mut VisitHeader<'_>) {
        let edits = &self.edits;
        self.source.visit_headers(&mut |name, value| {
            if edits.headers.is_empty() || edits.header(name).is_none() {
                visit(name, value);
            }
        });
        for edit in &edits.headers {
            if let Some(value) = &edit.value {
                visit(edit.name.as_bytes(), value);
            }
        }
    }

    /// Visits the values of one header as they are now.
    pub(crate) fn visit_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        if let Some(edit) = self.edits.header(name.as_bytes()) {
            edit.value.iter().for_each(|value| visit(value));
            return;
        }
        self.source.visit_headers(&mut |other, value| {
            if other.eq_ignore_ascii_case(name.as_bytes()) {
                visit(value);
            }
        });
    }

    pub(crate) fn set_header(&mut self, name: String, value: Vec<u8>) -> Result<(), Error> {
        validate::request_header(&name, &value)?;
        self.room_for_header(&name, value.len())?;
        validate::edits_size(self.edits.size(), name.len() + value.len())?;
        self.edits.put_header(name, Some(value));
        Ok(())
    }

    fn room_for_header(&self, name: &str, value: usize) -> Result<(), Error> {
        let others = match self.edits.header(name.as_bytes()) {
            Some(_) => 0,
            None => self.edits.headers.len(),
        };
        self.limits.entry("header", others, name.len() + value)
    }

    pub(crate) fn add_header(&mut self, name: String, value: Vec<u8>) -> Result<(), Error> {
        let mut exists = false;
        self.visit_header(&name, &mut |_| exists = true);
        if exists {
            return Err(Error::Invalid(format!(
                "the request has a header {name} already and the gateway's protocol cannot add a \
                 second value; use set-header with a joined value"
            )));
        }
        self.set_header(name, value)
    }

    pub(crate) fn remove_header(&mut self, name: String) -> Result<(), Error> {
        validate::removable_header(&name)?;
        let mut exists = self.edits.header(name.as_bytes()).is_some();
        self.source.visit_headers(&mut |other, _| {
            exists |= other.eq_ignore_ascii_case(name.as_bytes());
        });
        if exists {
            self.room_for_header(&name, 0)?;
            self.edits.put_header(name, None);
        }
        Ok(())
    }

    // === query arguments ===

    /// Visits the query arguments as they are now.
    pub(crate) fn visit_args(&self, visit: &mut VisitArg<'_>) {
        let edits = &self.edits;
        self.source.visit_args(&mut |name, value| {
            if edits.args.is_empty() || edits.arg(name).is_none() {
                visit(name, value);
            }
        });
        for edit in &edits.args {
            for value in &edit.values {
                visit(&edit.name, Some(value));
            }
        }
    }

    /// Visits the values of one argument as they are now.
    pub(crate) fn visit_arg(&self, name: &[u8], visit: &mut dyn FnMut(Option<&[u8]>)) {
        if let Some(edit) = self.edits.arg(name) {
            edit.values.iter().for_each(|value| visit(Some(value)));
            return;
        }
        self.source.visit_args(&mut |other, value| {
            if other == name {
                visit(value);
            }
        });
    }

    pub(crate) fn set_arg(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), Error> {
        validate::arg_name(&name)?;
        self.room_for_arg(&name, 0, value.len())?;
        validate::edits_size(self.edits.size(), name.len() + value.len())?;
        self.edits.put_arg(name, vec![value]);
        Ok(())
    }

    fn room_for_arg(&self, name: &[u8], values: usize, value: usize) -> Result<(), Error> {
        let others = match self.edits.arg(name) {
            Some(_) => 0,
            None => self.edits.args.len(),
        };
        self.limits
            .entry("query argument", others.max(values), name.len() + value)
    }

    pub(crate) fn add_arg(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), Error> {
        validate::arg_name(&name)?;
        let mut values = Vec::new();
        let mut has_value_less = false;
        self.visit_arg(&name, &mut |old| match old {
            Some(old) => values.push(old.to_vec()),
            None => has_value_less = true,
        });
        if has_value_less {
            return Err(Error::Invalid(format!(
                "argument {} has a value-less occurrence, which the gateway's protocol cannot \
                 send back; use set-arg",
                String::from_utf8_lossy(&name)
            )));
        }
        self.room_for_arg(&name, values.len(), value.len())?;
        validate::edits_size(self.edits.size(), name.len() + value.len())?;
        values.push(value);
        self.edits.put_arg(name, values);
        Ok(())
    }

    pub(crate) fn remove_arg(&mut self, name: Vec<u8>) -> Result<(), Error> {
        validate::arg_name(&name)?;
        let mut exists = self.edits.arg(&name).is_some();
        self.source
            .visit_args(&mut |other, _| exists |= other == name);
        if exists {
            self.room_for_arg(&name, 0, 0)?;
            self.edits.put_arg(name, Vec::new());
        }
        Ok(())
    }

    // === body and response headers ===

    pub(crate) fn set_body(&mut self, body: Vec<u8>) -> Result<(), Error> {
        validate::body(&body)?;
        self.limits.body(body.len() as u64)?;
        validate::edits_size(self.edits.size(), body.len())?;
        self.edits.body = Some(body);
        Ok(())
    }

    pub(crate) fn set_response_header(
        &mut self,
        name: String,
        value: Vec<u8>,
        keep: Keep,
    ) -> Result<(), Error> {
        validate::response_header_on_request(&name)?;
        validate::header_value(&name, &value)?;
        let others = self.edits.response_headers.len();
        let size = name.len() + value.len();
        self.limits.entry("response header", others, size)?;
        validate::edits_size(self.edits.size(), name.len() + value.len())?;
        match keep {
            Keep::Nothing => self.edits.set_response_header(name, value),
            Keep::Earlier => self.edits.response_headers.push((name, value)),
        }
        Ok(())
    }
}

/// What happens to the values a response header was given before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    Earlier,
}
