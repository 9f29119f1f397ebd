//! `apisix:filter/response`: the upstream's response. Declared, and not served
//! by this version: no call of the response phase reaches a filter yet, so
//! whoever asks is in another phase.

use crate::bindings::apisix::filter::response::Host;
use crate::bindings::apisix::filter::types::{Error, HeaderEntry, HeaderEntryBytes};
use crate::call_state::CallState;

fn wrong_phase<T>(function: &str) -> Result<T, Error> {
    Err(Error::WrongPhase(format!(
        "response.{function} works in on-response only"
    )))
}

impl Host for CallState {
    fn id(&mut self) -> Result<u32, Error> {
        wrong_phase("id")
    }

    fn status(&mut self) -> Result<u16, Error> {
        wrong_phase("status")
    }

    fn set_status(&mut self, _status: u16) -> Result<(), Error> {
        wrong_phase("set-status")
    }

    fn header(&mut self, _name: String) -> Result<Option<String>, Error> {
        wrong_phase("header")
    }

    fn header_bytes(&mut self, _name: String) -> Result<Option<Vec<u8>>, Error> {
        wrong_phase("header-bytes")
    }

    fn header_values(&mut self, _name: String) -> Result<Vec<String>, Error> {
        wrong_phase("header-values")
    }

    fn header_values_bytes(&mut self, _name: String) -> Result<Vec<Vec<u8>>, Error> {
        wrong_phase("header-values-bytes")
    }

    fn headers(&mut self) -> Result<Vec<HeaderEntry>, Error> {
        wrong_phase("headers")
    }

    fn headers_bytes(&mut self) -> Result<Vec<HeaderEntryBytes>, Error> {
        wrong_phase("headers-bytes")
    }

    fn set_header(&mut self, _name: String, _value: String) -> Result<(), Error> {
        wrong_phase("set-header")
    }

    fn set_header_bytes(&mut self, _name: String, _value: Vec<u8>) -> Result<(), Error> {
        wrong_phase("set-header-bytes")
    }

    fn add_header(&mut self, _name: String, _value: String) -> Result<(), Error> {
        wrong_phase("add-header")
    }

    fn add_header_bytes(&mut self, _name: String, _value: Vec<u8>) -> Result<(), Error> {
        wrong_phase("add-header-bytes")
    }

    fn remove_header(&mut self, _name: String) -> Result<(), Error> {
        wrong_phase("remove-header")
    }

    async fn body(&mut self) -> Result<Option<Vec<u8>>, Error> {
        wrong_phase("body")
    }

    fn set_body(&mut self, _body: Vec<u8>) -> Result<(), Error> {
        wrong_phase("set-body")
    }
}
