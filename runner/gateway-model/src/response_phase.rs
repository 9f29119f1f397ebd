//! The response phase (`ext-plugin-post-resp`): the call that the gateway
//! sends, its answers to questions, and what it does to the response after the
//! reply.

use protocol::gateway_side::{Asked, HttpRespCall, NamedValue};
use protocol::{EncodeError, FrameBuilder};

use crate::http::{self, ClientResponse, HttpRequest, UpstreamResponse};
use crate::request_phase::{self, EXCLUDED};

/// The call about a response.
///
/// # Errors
/// [`EncodeError`] for more than a frame carries.
pub fn encode(
    frame: &mut FrameBuilder,
    upstream: &UpstreamResponse,
    id: u32,
    conf_token: u32,
) -> Result<Vec<u8>, EncodeError> {
    let headers: Vec<_> = upstream.headers.iter().map(NamedValue::entry).collect();
    let call = HttpRespCall {
        id,
        status: upstream.status,
        headers: &headers,
        conf_token,
    };
    call.encode(frame).map(<[u8]>::to_vec)
}

/// The gateway's answers inside one call.
pub struct Answers<'a> {
    request: &'a HttpRequest,
    /// Handed out once; the second question finds nothing.
    body: Option<Vec<u8>>,
}

impl<'a> Answers<'a> {
    /// About this request and the upstream's response to it.
    #[must_use]
    pub fn new(request: &'a HttpRequest, upstream: &UpstreamResponse) -> Self {
        // Whatever the upstream says it would send, such a response has none.
        let bodiless = request.method == "HEAD" || matches!(upstream.status, 204 | 304);
        let body = match bodiless {
            true => vec![],
            false => upstream.body.clone(),
        };
        Answers {
            request,
            body: Some(body),
        }
    }

    /// The answer to a question.
    pub fn answer(&mut self, asked: &Asked) -> Option<Vec<u8>> {
        match asked {
            Asked::RespBody => self.body.take(),
            other => request_phase::answer(self.request, other),
        }
    }
}

/// A response on its way through nginx's output filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtered {
    status: u16,
    headers: Vec<NamedValue>,
    body: Vec<u8>,
    body_is_upstreams: bool,
}

impl Filtered {
    /// Whether the gateway has printed nothing and falls through to an ordinary
    /// proxied request, which calls the upstream once more.
    #[must_use]
    pub fn falls_through(&self, request: &HttpRequest, upstream: &UpstreamResponse) -> bool {
        self.body_is_upstreams && upstream.reads_as_nothing(request)
    }

    /// What the client gets: nginx drops the body where HTTP allows none.
    #[must_use]
    pub fn sent(self, request: &HttpRequest) -> ClientResponse {
        let body = if has_no_body(request, self.status) {
            vec![]
        } else {
            self.body
        };
        ClientResponse {
            status: self.status,
            headers: self.headers,
            body,
        }
    }
}

impl From<ClientResponse> for Filtered {
    fn from(response: ClientResponse) -> Self {
        let ClientResponse {
            status,
            headers,
            body,
        } = response;
        Self {
            status,
            headers,
            body,
            body_is_upstreams: false,
        }
    }
}

impl UpstreamResponse {
    /// Whether the gateway's reader meets no chunk of body and no length that
    /// says so in advance.
    fn reads_as_nothing(&self, request: &HttpRequest) -> bool {
        has_no_body(request, self.status) || (self.chunked && self.body.is_empty())
    }
}

/// The response after a reply with these changes; a status of 0 and what is
/// empty change nothing.
#[must_use]
pub fn edited(
    upstream: &UpstreamResponse,
    status: u16,
    replacement: &[NamedValue],
    body: Vec<u8>,
) -> Filtered {
    let mut headers = vec![];
    if replacement.is_empty() {
        headers = lower_cased(&upstream.headers);
        headers.retain(|header| !EXCLUDED.iter().any(|name| http::is(header, name)));
        headers.push(default_type());
    } else {
        http::set_or_add(&mut headers, replacement);
        // nginx speaks for its own connection: it swallows two of these names,
        // and adds its own to the third.
        headers.retain(|header| !http::is(header, b"connection") && !http::is(header, b"server"));
        if headers
            .iter()
            .any(|header| http::is(header, b"transfer-encoding"))
        {
            headers.push(NamedValue::new("transfer-encoding", "chunked"));
        }
        if !headers
            .iter()
            .any(|header| http::is(header, b"content-type"))
        {
            headers.push(default_type());
        }
    }
    let body_is_upstreams = body.is_empty();
    Filtered {
        status: if status == 0 { upstream.status } else { status },
        headers,
        body: if body_is_upstreams {
            upstream.body.clone()
        } else {
            body
        },
        body_is_upstreams,
    }
}

/// After a failure: the upstream's body under nginx's headers alone.
#[must_use]
pub fn bare(status: u16, upstream: &UpstreamResponse) -> Filtered {
    let headers = vec![default_type()];
    Filtered {
        status,
        headers,
        body: upstream.body.clone(),
        body_is_upstreams: true,
    }
}

/// nginx's `default_type`.
fn default_type() -> NamedValue {
    NamedValue::new("content-type", "text/plain")
}

/// Whether HTTP allows no body here, whatever the headers say.
#[must_use]
pub fn has_no_body(request: &HttpRequest, status: u16) -> bool {
    request.method == "HEAD" || matches!(status, 204 | 304)
}

/// The same headers with their names in lower case.
#[must_use]
pub fn lower_cased(headers: &[NamedValue]) -> Vec<NamedValue> {
    let lower = |header: &NamedValue| NamedValue {
        name: header.name.to_ascii_lowercase(),
        value: header.value.clone(),
    };
    headers.iter().map(lower).collect()
}
