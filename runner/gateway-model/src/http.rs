//! The HTTP around the protocol: what a client sends, what the upstream sees
//! and answers, what the client gets.
//!
//! Must not know that there is a runner.

use std::collections::BTreeMap;

use protocol::gateway_side::NamedValue;

use crate::query;

/// A request as the gateway holds it when the plugin's phase begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// As on the request line.
    pub method: String,
    /// Percent-decoded, without the query.
    pub path: Vec<u8>,
    /// Decoded, in order.
    pub args: Vec<NamedValue>,
    /// Names in lower case.
    pub headers: Vec<NamedValue>,
    /// `None`: the request has no body.
    pub body: Option<Vec<u8>>,
    /// 4 or 16 bytes.
    pub src_ip: Vec<u8>,
    /// What the runner can ask for by name.
    pub variables: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where a plugin that ran before (`proxy-rewrite`) has sent the request:
    /// encoded, with its query.
    pub upstream_uri: Option<Vec<u8>>,
}

impl HttpRequest {
    /// A request from 127.0.0.1 to `gateway.test`; `target` is a decoded path
    /// with an encoded query.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = query::split_target(target.as_bytes());
        Self {
            method: method.to_owned(),
            path: path.to_vec(),
            args: query::parse_args(query.unwrap_or_default()),
            headers: vec![NamedValue::new("host", "gateway.test")],
            body: None,
            src_ip: vec![127, 0, 0, 1],
            variables: BTreeMap::new(),
            upstream_uri: None,
        }
    }

    /// Adds a header; earlier ones of the name stay.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push(NamedValue::new(name.to_ascii_lowercase(), value));
        self
    }

    /// Gives the request a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Makes the gateway know a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Lets `proxy-rewrite` have run before.
    #[must_use]
    pub fn rewritten_to(mut self, upstream_uri: &str) -> Self {
        self.upstream_uri = Some(upstream_uri.into());
        self
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpOutcome {
    /// It goes on to the upstream.
    Upstream(UpstreamRequest),
    /// The client is answered without the upstream.
    Client(ClientResponse),
}

/// What the upstream receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// Never changed.
    pub method: String,
    /// Encoded.
    pub path_and_query: Vec<u8>,
    /// In no order of names that matters.
    pub headers: Vec<NamedValue>,
    /// `None`: no body.
    pub body: Option<Vec<u8>>,
    /// Set on the response that the client will get.
    pub response_headers: Vec<NamedValue>,
}

impl UpstreamRequest {
    /// All values of a header, in order.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&[u8]> {
        values(&self.headers, name)
    }

    /// All values of a header that the client will get, in order.
    #[must_use]
    pub fn response_header(&self, name: &str) -> Vec<&[u8]> {
        values(&self.response_headers, name)
    }
}

/// What the client receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientResponse {
    /// The final status.
    pub status: u16,
    /// Names in lower case. What nginx adds (`date`, `server`) is not in here.
    pub headers: Vec<NamedValue>,
    /// Empty where nginx sends none, such as to a HEAD.
    pub body: Vec<u8>,
}

impl ClientResponse {
    /// All values of a header, in order.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&[u8]> {
        values(&self.headers, name)
    }
}

/// What the upstream answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamResponse {
    /// Its status.
    pub status: u16,
    /// Names in its own case.
    pub headers: Vec<NamedValue>,
    /// Its body.
    pub body: Vec<u8>,
    /// Sent with `Transfer-Encoding: chunked`, so that an empty body is only
    /// seen when it is read.
    pub chunked: bool,
}

impl UpstreamResponse {
    /// A response with the headers of a plain text server.
    #[must_use]
    pub fn new(status: u16, body: &str) -> Self {
        let headers = vec![
            NamedValue::new("Content-Type", "text/html"),
            NamedValue::new("Content-Length", body.len().to_string()),
        ];
        Self {
            status,
            headers,
            body: body.into(),
            chunked: false,
        }
    }

    /// The same, sent in chunks.
    #[must_use]
    pub fn chunked(status: u16, body: &str) -> Self {
        let mut response = Self::new(status, body).header("Transfer-Encoding", "chunked");
        response
            .headers
            .retain(|header| !is(header, b"content-length"));
        Self {
            chunked: true,
            ..response
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(NamedValue::new(name, value));
        self
    }
}

/// Puts one value in place of all the header's values; without a value the
/// header is removed.
pub(crate) fn set(headers: &mut Vec<NamedValue>, name: &[u8], value: Option<&[u8]>) {
    headers.retain(|header| !is(header, name));
    if let Some(value) = value {
        headers.push(NamedValue::new(name, value));
    }
}

/// Writes a list of response headers as the gateway does: the first entry of a
/// name sets it, more add to it, one without a value clears it.
pub(crate) fn set_or_add(headers: &mut Vec<NamedValue>, entries: &[NamedValue]) {
    for (index, entry) in entries.iter().enumerate() {
        let first = !entries[..index]
            .iter()
            .any(|earlier| is(earlier, &entry.name));
        let mut name = entry.name.to_ascii_lowercase();
        match &entry.value {
            Some(value) if !first => headers.push(NamedValue::new(name, value.clone())),
            value => {
                // ngx_lua: `ngx.header` turns underscores into dashes.
                name.iter_mut()
                    .filter(|byte| **byte == b'_')
                    .for_each(|byte| *byte = b'-');
                set(headers, &name, value.as_deref());
            }
        }
    }
}

pub(crate) fn is(header: &NamedValue, name: &[u8]) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

fn values<'a>(headers: &'a [NamedValue], name: &str) -> Vec<&'a [u8]> {
    let named = headers.iter().filter(|header| is(header, name.as_bytes()));
    named.filter_map(|header| header.value.as_deref()).collect()
}
