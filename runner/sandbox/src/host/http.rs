//! `apisix:filter/http`: requests to other servers, through the port that the
//! operator granted. What may be reached is decided behind it.

use std::time::Duration;

use crate::bindings::apisix::filter::http::{Error, Host, Request, Response};
use crate::bindings::apisix::filter::types::{self, HeaderEntry};
use crate::call_state::{CallState, NotAsked};
use crate::limits::EditLimits;
use crate::{Grant, Limits, OutboundError, OutboundRequest, OutboundResponse, validate};

impl Host for CallState {
    async fn send(&mut self, request: Request) -> Result<Response, Error> {
        let Some(outbound) = self.grants().http.clone() else {
            return Err(Error::Denied(super::not_granted(self, Grant::Http)));
        };
        let shorter = request.timeout_ms;
        let shorter = shorter.map(|ms| Duration::from_millis(ms.into()));
        let limits = *self.limits();
        let mut request = checked(request, &limits)?;
        let under_way = self.ask_service("http.send")?;
        request.time = shorter.map_or(under_way.time, |shorter| shorter.min(under_way.time));
        let sent = under_way.within(shorter, outbound.send(request)).await;
        let response = sent.map_err(|late| Error::Timeout(late.to_string()))??;
        received(response, &limits)
    }
}

/// The request, unless it cannot be sent as HTTP.
fn checked(request: Request, limits: &Limits) -> Result<OutboundRequest, Error> {
    validate::method(&request.method)?;
    if request.timeout_ms == Some(0) {
        let text = "a request cannot be sent within 0 ms; leave the timeout out for the longest";
        return Err(Error::Invalid(text.into()));
    }
    let of_edits = EditLimits::from(limits);
    of_edits.body(request.body.as_ref().map_or(0, Vec::len) as u64)?;
    let mut headers = Vec::with_capacity(request.headers.len());
    for (others, HeaderEntry { name, value }) in request.headers.into_iter().enumerate() {
        of_edits.entry("header", others, name.len() + value.len())?;
        validate::header_of_own_request(&name, value.as_bytes())?;
        headers.push((name, value.into_bytes()));
    }
    Ok(OutboundRequest {
        method: request.method,
        url: request.url,
        headers,
        body: request.body.map(Into::into),
        time: limits.services_time,
        response_body: limits.body,
    })
}

fn received(response: OutboundResponse, limits: &Limits) -> Result<Response, Error> {
    EditLimits::from(limits).body(response.body.len() as u64)?;
    let header = |(name, value): (String, Vec<u8>)| HeaderEntry {
        name,
        value: super::text(&value),
    };
    Ok(Response {
        status: response.status,
        headers: response.headers.into_iter().map(header).collect(),
        body: response.body.into(),
    })
}

impl From<OutboundError> for Error {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Denied(text) => Error::Denied(text),
            OutboundError::Invalid(text) => Error::Invalid(text),
            OutboundError::Limit(text) => Error::Limit(text),
            OutboundError::Unresolvable(text) => Error::Unresolvable(text),
            OutboundError::Unreachable(text) => Error::Unreachable(text),
            OutboundError::Timeout(text) => Error::Timeout(text),
            OutboundError::Protocol(text) => Error::Protocol(text),
            OutboundError::Other(text) => Error::Other(text),
        }
    }
}

impl From<NotAsked> for Error {
    fn from(error: NotAsked) -> Self {
        match error {
            NotAsked::WrongPhase(text) => Error::WrongPhase(text),
            NotAsked::Exhausted(limit) => Error::Limit(limit.to_string()),
        }
    }
}

/// Of the rules that hold for every request.
impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Invalid(text) => Error::Invalid(text),
            types::Error::Limit(text) => Error::Limit(text),
            other => Error::Other(other.to_string()),
        }
    }
}
