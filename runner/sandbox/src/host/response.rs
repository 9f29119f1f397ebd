//! `apisix:filter/response`: the response of the current call. Each function
//! finds the call, then leaves the rules to `ResponseSubject`.

use bytes::Bytes;

use super::{can_be_had, text};
use crate::Question;
use crate::bindings::apisix::filter::response::Host;
use crate::bindings::apisix::filter::types::{Error, HeaderEntry, HeaderEntryBytes};
use crate::call_state::CallState;

impl Host for CallState {
    fn id(&mut self) -> Result<u32, Error> {
        Ok(self.response("response.id")?.source().id())
    }

    fn status(&mut self) -> Result<u16, Error> {
        Ok(self.response("response.status")?.status())
    }

    fn set_status(&mut self, status: u16) -> Result<(), Error> {
        self.response("response.set-status")?.set_status(status)
    }

    fn header(&mut self, name: String) -> Result<Option<String>, Error> {
        let response = self.response("response.header")?;
        Ok(response.header(&name).next().map(text))
    }

    fn header_bytes(&mut self, name: String) -> Result<Option<Vec<u8>>, Error> {
        let response = self.response("response.header-bytes")?;
        Ok(response.header(&name).next().map(<[u8]>::to_vec))
    }

    fn header_values(&mut self, name: String) -> Result<Vec<String>, Error> {
        Ok(self
            .response("response.header-values")?
            .header(&name)
            .map(text)
            .collect())
    }

    fn header_values_bytes(&mut self, name: String) -> Result<Vec<Vec<u8>>, Error> {
        let response = self.response("response.header-values-bytes")?;
        Ok(response.header(&name).map(<[u8]>::to_vec).collect())
    }

    fn headers(&mut self) -> Result<Vec<HeaderEntry>, Error> {
        let headers = self.response("response.headers")?.headers();
        let entry = |(name, value)| HeaderEntry {
            name: text(name),
            value: text(value),
        };
        Ok(headers.map(entry).collect())
    }

    fn headers_bytes(&mut self) -> Result<Vec<HeaderEntryBytes>, Error> {
        let headers = self.response("response.headers-bytes")?.headers();
        let entry = |(name, value): (&[u8], &[u8])| HeaderEntryBytes {
            name: name.to_vec(),
            value: value.to_vec(),
        };
        Ok(headers.map(entry).collect())
    }

    fn set_header(&mut self, name: String, value: String) -> Result<(), Error> {
        self.response("response.set-header")?
            .set_header(&name, value.into_bytes())
    }

    fn set_header_bytes(&mut self, name: String, value: Vec<u8>) -> Result<(), Error> {
        self.response("response.set-header-bytes")?
            .set_header(&name, value)
    }

    fn add_header(&mut self, name: String, value: String) -> Result<(), Error> {
        self.response("response.add-header")?
            .add_header(&name, value.into_bytes())
    }

    fn add_header_bytes(&mut self, name: String, value: Vec<u8>) -> Result<(), Error> {
        self.response("response.add-header-bytes")?
            .add_header(&name, value)
    }

    fn remove_header(&mut self, name: String) -> Result<(), Error> {
        self.response("response.remove-header")?
            .remove_header(&name)
    }

    async fn body(&mut self) -> Result<Option<Vec<u8>>, Error> {
        // What a filter before this one put there needs no question.
        if let Some(body) = &self.response("response.body")?.edits.body {
            return Ok(Some(body.clone()));
        }
        let response = self.response("response.body")?;
        let length = response
            .source()
            .headers()
            .find(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
        let limits = response.limits;
        can_be_had(length.map(|(_, value)| value), limits)?;
        let answer = self.ask_one(Question::ResponseBody).await?;
        limits.body(answer.as_ref().map_or(0, Bytes::len) as u64)?;
        Ok(answer.map(|body| body.to_vec()))
    }

    fn set_body(&mut self, body: Vec<u8>) -> Result<(), Error> {
        self.response("response.set-body")?.set_body(body)
    }
}
