//! The response of one call as its filters see it: what the gateway sent with
//! the edits of the filters so far on top.

use std::sync::Arc;

use crate::bindings::apisix::filter::types::Error;
use crate::call::Call;
use crate::limits::EditLimits;
use crate::{Gateway, ResponseEdits, validate};

/// Names and values of headers.
pub type Headers<'a> = Box<dyn Iterator<Item = (&'a [u8], &'a [u8])> + 'a>;

/// A response as the gateway sent it.
pub trait ResponseSource: Send + Sync {
    /// The number the gateway gave the call.
    fn id(&self) -> u32;
    /// The upstream's status.
    fn status(&self) -> u16;
    /// Every header in the order and case received.
    fn headers(&self) -> Headers<'_>;
}

/// A call in the response phase.
pub type ResponseCall = Call<ResponseSubject>;

/// The response of a call and what its filters changed so far.
pub struct ResponseSubject {
    source: Arc<dyn ResponseSource>,
    pub(crate) limits: EditLimits,
    pub(crate) edits: ResponseEdits,
}

impl Call<ResponseSubject> {
    /// A call that no filter has seen yet.
    pub fn new(source: Arc<dyn ResponseSource>, gateway: Arc<dyn Gateway>) -> Self {
        Call::about(
            ResponseSubject {
                source,
                limits: EditLimits::NONE,
                edits: ResponseEdits::default(),
            },
            gateway,
        )
    }

    /// The response as the gateway sent it.
    pub fn source(&self) -> &dyn ResponseSource {
        &*self.subject.source
    }

    /// What the filters changed.
    pub fn edits(&self) -> &ResponseEdits {
        &self.subject.edits
    }

    /// The headers as the filters left them.
    pub fn headers(&self) -> Headers<'_> {
        self.subject.headers()
    }
}

impl ResponseSubject {
    pub(crate) fn source(&self) -> &dyn ResponseSource {
        &*self.source
    }

    pub(crate) fn status(&self) -> u16 {
        self.edits.status.unwrap_or_else(|| self.source.status())
    }

    pub(crate) fn set_status(&mut self, status: u16) -> Result<(), Error> {
        validate::final_status(status)?;
        self.edits.status = Some(status);
        Ok(())
    }

    /// The headers as they are now.
    pub(crate) fn headers(&self) -> Headers<'_> {
        match &self.edits.headers {
            Some(headers) => Box::new(headers.iter().map(|(name, value)| (&**name, &**value))),
            None => self.source.headers(),
        }
    }

    /// The values of one header as they are now.
    pub(crate) fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        let named = |other: &[u8]| other.eq_ignore_ascii_case(name.as_bytes());
        self.headers()
            .filter(move |(other, _)| named(other))
            .map(|(_, value)| value)
    }

    pub(crate) fn set_header(&mut self, name: &str, value: Vec<u8>) -> Result<(), Error> {
        validate::response_header(name, &value)?;
        self.room_for_header(name, value.len())?;
        validate::edits_size(self.edits.size(), name.len() + value.len())?;
        self.edits.set_header(&*self.source, name, value);
        Ok(())
    }

    pub(crate) fn add_header(&mut self, name: &str, value: Vec<u8>) -> Result<(), Error> {
        validate::response_header(name, &value)?;
        self.room_for_header(name, value.len())?;
        validate::edits_size(self.edits.size(), name.len() + value.len())?;
        self.edits.add_header(&*self.source, name, value);
        Ok(())
    }

    /// Those that the filters put there, less those that were received.
    fn room_for_header(&self, name: &str, value: usize) -> Result<(), Error> {
        let others = match &self.edits.headers {
            Some(headers) => headers.len().saturating_sub(self.source.headers().count()),
            None => 0,
        };
        self.limits.entry("header", others, name.len() + value)
    }

    pub(crate) fn remove_header(&mut self, name: &str) -> Result<(), Error> {
        validate::header_name(name)?;
        if self.header(name).next().is_some() {
            self.edits.remove_header(&*self.source, name);
        }
        Ok(())
    }

    pub(crate) fn set_body(&mut self, body: Vec<u8>) -> Result<(), Error> {
        validate::body(&body)?;
        self.limits.body(body.len() as u64)?;
        validate::edits_size(self.edits.size(), body.len())?;
        self.edits.set_body(&*self.source, body);
        Ok(())
    }
}
