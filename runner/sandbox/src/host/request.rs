//! `apisix:filter/request`: the request of the current call. Each function
//! finds the call, then leaves the rules to [`RequestSubject`].

use std::net::IpAddr;

use bytes::Bytes;

use super::{can_be_had, first, text};
use crate::bindings::apisix::filter::request::Host;
use crate::bindings::apisix::filter::types::{
    ArgEntry, ArgEntryBytes, Error, HeaderEntry, HeaderEntryBytes,
};
use crate::call_state::CallState;
use crate::request_call::{Keep, RequestSubject};
use crate::{Question, UPSTREAM_URI};

impl CallState {
    /// The decoded path; asks the gateway at most once per call.
    async fn decoded_path(&mut self, function: &str) -> Result<&[u8], Error> {
        if self.request(function)?.path().is_none() {
            let answer = self.ask_one(UPSTREAM_URI).await?;
            let encoded = answer.is_some_and(|uri| !uri.is_empty());
            self.request(function)?.settle_path(encoded);
        }
        Ok(self.request(function)?.path().unwrap_or_default())
    }
}

fn first_header(request: &RequestSubject, name: &str) -> Option<Vec<u8>> {
    first(|visit| request.visit_header(name, visit))
}

fn first_arg(request: &RequestSubject, name: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut first = None;
    request.visit_arg(name, &mut |value| {
        first.get_or_insert_with(|| value.map(<[u8]>::to_vec));
    });
    first
}

impl Host for CallState {
    fn id(&mut self) -> Result<u32, Error> {
        Ok(self.request("request.id")?.source().id())
    }

    fn method(&mut self) -> Result<String, Error> {
        Ok(self.request("request.method")?.source().method().to_owned())
    }

    fn source_address(&mut self) -> Result<String, Error> {
        let call = self.request("request.source-address")?;
        let bytes = call.source().source_address();
        let address = <[u8; 4]>::try_from(bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
        Ok(address.map_or_else(|_| text(bytes), |address| address.to_string()))
    }

    // === path ===

    async fn path(&mut self) -> Result<String, Error> {
        self.decoded_path("request.path").await.map(text)
    }

    async fn path_bytes(&mut self) -> Result<Vec<u8>, Error> {
        self.decoded_path("request.path-bytes")
            .await
            .map(<[u8]>::to_vec)
    }

    fn set_path(&mut self, path: String) -> Result<(), Error> {
        self.request("request.set-path")?
            .set_path(path.into_bytes())
    }

    fn set_path_bytes(&mut self, path: Vec<u8>) -> Result<(), Error> {
        self.request("request.set-path-bytes")?.set_path(path)
    }

    // === headers ===

    fn header(&mut self, name: String) -> Result<Option<String>, Error> {
        let call = self.request("request.header")?;
        Ok(first_header(call, &name).map(|value| text(&value)))
    }

    fn header_bytes(&mut self, name: String) -> Result<Option<Vec<u8>>, Error> {
        Ok(first_header(self.request("request.header-bytes")?, &name))
    }

    fn header_values(&mut self, name: String) -> Result<Vec<String>, Error> {
        let mut values = Vec::new();
        let call = self.request("request.header-values")?;
        call.visit_header(&name, &mut |value| values.push(text(value)));
        Ok(values)
    }

    fn header_values_bytes(&mut self, name: String) -> Result<Vec<Vec<u8>>, Error> {
        let mut values = Vec::new();
        let call = self.request("request.header-values-bytes")?;
        call.visit_header(&name, &mut |value| values.push(value.to_vec()));
        Ok(values)
    }

    fn headers(&mut self) -> Result<Vec<HeaderEntry>, Error> {
        let mut entries = Vec::new();
        self.request("request.headers")?
            .visit_headers(&mut |name, value| {
                entries.push(HeaderEntry {
                    name: text(name),
                    value: text(value),
                });
            });
        Ok(entries)
    }

    fn headers_bytes(&mut self) -> Result<Vec<HeaderEntryBytes>, Error> {
        let mut entries = Vec::new();
        self.request("request.headers-bytes")?
            .visit_headers(&mut |name, value| {
                entries.push(HeaderEntryBytes {
                    name: name.to_vec(),
                    value: value.to_vec(),
                });
            });
        Ok(entries)
    }

    fn set_header(&mut self, name: String, value: String) -> Result<(), Error> {
        self.request("request.set-header")?
            .set_header(name, value.into_bytes())
    }

    fn set_header_bytes(&mut self, name: String, value: Vec<u8>) -> Result<(), Error> {
        self.request("request.set-header-bytes")?
            .set_header(name, value)
    }

    fn add_header(&mut self, name: String, value: String) -> Result<(), Error> {
        self.request("request.add-header")?
            .add_header(name, value.into_bytes())
    }

    fn add_header_bytes(&mut self, name: String, value: Vec<u8>) -> Result<(), Error> {
        self.request("request.add-header-bytes")?
            .add_header(name, value)
    }

    fn remove_header(&mut self, name: String) -> Result<(), Error> {
        self.request("request.remove-header")?.remove_header(name)
    }

    // === query arguments ===

    fn arg(&mut self, name: String) -> Result<Option<ArgEntry>, Error> {
        let value = first_arg(self.request("request.arg")?, name.as_bytes());
        Ok(value.map(|value| ArgEntry {
            name,
            value: value.map(|value| text(&value)),
        }))
    }

    fn arg_bytes(&mut self, name: Vec<u8>) -> Result<Option<ArgEntryBytes>, Error> {
        let value = first_arg(self.request("request.arg-bytes")?, &name);
        Ok(value.map(|value| ArgEntryBytes { name, value }))
    }

    fn arg_values(&mut self, name: String) -> Result<Vec<Option<String>>, Error> {
        let mut values = Vec::new();
        let call = self.request("request.arg-values")?;
        call.visit_arg(name.as_bytes(), &mut |value| values.push(value.map(text)));
        Ok(values)
    }

    fn arg_values_bytes(&mut self, name: Vec<u8>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let mut values = Vec::new();
        let call = self.request("request.arg-values-bytes")?;
        call.visit_arg(&name, &mut |value| values.push(value.map(<[u8]>::to_vec)));
        Ok(values)
    }

    fn args(&mut self) -> Result<Vec<ArgEntry>, Error> {
        let mut entries = Vec::new();
        self.request("request.args")?
            .visit_args(&mut |name, value| {
                entries.push(ArgEntry {
                    name: text(name),
                    value: value.map(text),
                });
            });
        Ok(entries)
    }

    fn args_bytes(&mut self) -> Result<Vec<ArgEntryBytes>, Error> {
        let mut entries = Vec::new();
        self.request("request.args-bytes")?
            .visit_args(&mut |name, value| {
                let value = value.map(<[u8]>::to_vec);
                entries.push(ArgEntryBytes {
                    name: name.to_vec(),
                    value,
                });
            });
        Ok(entries)
    }

    fn set_arg(&mut self, name: String, value: String) -> Result<(), Error> {
        self.request("request.set-arg")?
            .set_arg(name.into_bytes(), value.into_bytes())
    }

    fn set_arg_bytes(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), Error> {
        self.request("request.set-arg-bytes")?.set_arg(name, value)
    }

    fn add_arg(&mut self, name: String, value: String) -> Result<(), Error> {
        self.request("request.add-arg")?
            .add_arg(name.into_bytes(), value.into_bytes())
    }

    fn add_arg_bytes(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), Error> {
        self.request("request.add-arg-bytes")?.add_arg(name, value)
    }

    fn remove_arg(&mut self, name: String) -> Result<(), Error> {
        self.request("request.remove-arg")?
            .remove_arg(name.into_bytes())
    }

    fn remove_arg_bytes(&mut self, name: Vec<u8>) -> Result<(), Error> {
        self.request("request.remove-arg-bytes")?.remove_arg(name)
    }

    // === body and response headers ===

    async fn body(&mut self) -> Result<Option<Vec<u8>>, Error> {
        // What a filter before this one put there needs no question.
        if let Some(body) = &self.request("request.body")?.edits.body {
            return Ok(Some(body.clone()));
        }
        let request = self.request("request.body")?;
        let (length, limits) = (first_header(request, "content-length"), request.limits);
        can_be_had(length.as_deref(), limits)?;
        let answer = self.ask_one(Question::RequestBody).await?;
        // A chunked one says how long it is only now.
        limits.body(answer.as_ref().map_or(0, Bytes::len) as u64)?;
        Ok(answer.map(|body| body.to_vec()))
    }

    fn set_body(&mut self, body: Vec<u8>) -> Result<(), Error> {
        self.request("request.set-body")?.set_body(body)
    }

    fn set_response_header(&mut self, name: String, value: String) -> Result<(), Error> {
        let call = self.request("request.set-response-header")?;
        call.set_response_header(name, value.into_bytes(), Keep::Nothing)
    }

    fn set_response_header_bytes(&mut self, name: String, value: Vec<u8>) -> Result<(), Error> {
        let call = self.request("request.set-response-header-bytes")?;
        call.set_response_header(name, value, Keep::Nothing)
    }

    fn add_response_header(&mut self, name: String, value: String) -> Result<(), Error> {
        let call = self.request("request.add-response-header")?;
        call.set_response_header(name, value.into_bytes(), Keep::Earlier)
    }

    fn add_response_header_bytes(&mut self, name: String, value: Vec<u8>) -> Result<(), Error> {
        let call = self.request("request.add-response-header-bytes")?;
        call.set_response_header(name, value, Keep::Earlier)
    }
}
