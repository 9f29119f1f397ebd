//! What the gateway does to a response after the runner's reply
//! (`ext-plugin-post-resp`), and how often it calls the upstream for it.
//!
//! Must not know how the reply was obtained.

use protocol::gateway_side::{Asked, HttpRespCall, NamedValue, Reply};

use super::request_phase::{EXCLUDED, answer, error_page};
use super::{Fault, Observed, RouteConf, TestGateway};
use crate::http::{self, ClientResponse, HttpRequest, UpstreamResponse};

/// What the client got, and at what price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseOutcome {
    /// What the client sees.
    pub response: ClientResponse,
    /// 1, or 2 where the gateway falls through to an ordinary proxied request
    /// because it has printed nothing.
    pub upstream_calls: usize,
}

impl TestGateway {
    /// Calls the upstream and runs the response phase.
    #[must_use]
    pub fn response_phase(
        &self,
        route: &RouteConf,
        request: &HttpRequest,
        upstream: &mut dyn FnMut() -> UpstreamResponse,
    ) -> Observed<ResponseOutcome> {
        let mut faults = vec![];
        let first = upstream();
        let response = self.filter_response(route, request, &first, &mut faults);
        let falls_through = response.body_is_upstreams && first.reads_as_nothing(request);
        let mut outcome = ResponseOutcome {
            response: response.sent(request),
            upstream_calls: 1,
        };
        if falls_through {
            outcome.upstream_calls = 2;
            outcome
                .response
                .headers
                .extend(lower_cased(&upstream().headers));
        }
        faults.extend(broken_length(request, &outcome.response));
        Observed { outcome, faults }
    }

    fn filter_response(
        &self,
        route: &RouteConf,
        request: &HttpRequest,
        upstream: &UpstreamResponse,
        faults: &mut Vec<Fault>,
    ) -> Filtered {
        let headers: Vec<_> = upstream.headers.iter().map(NamedValue::entry).collect();
        let encode = |frame: &mut protocol::FrameBuilder, id, conf_token| {
            let call = HttpRespCall {
                id,
                status: upstream.status,
                headers: &headers,
                conf_token,
            };
            call.encode(frame).map(<[u8]>::to_vec)
        };
        // Whatever the upstream says it would send, such a response has none.
        let bodiless = request.method == "HEAD" || matches!(upstream.status, 204 | 304);
        let mut body = Some(if bodiless {
            vec![]
        } else {
            upstream.body.clone()
        });
        let mut answer = |asked: &Asked| match asked {
            // Handed out once; the second question finds nothing.
            Asked::RespBody => body.take(),
            other => answer(request, other),
        };
        match self.call(route, &encode, &mut answer, faults) {
            Ok(Reply::HttpRespCall {
                status,
                headers,
                body,
                ..
            }) => edited(upstream, status, &headers, body.unwrap_or_default()),
            Ok(_) => edited(upstream, 0, &[], vec![]),
            Err(fault) if fault.passes_unfiltered() => edited(upstream, 0, &[], vec![]),
            Err(fault) if fault.breaks_the_gateway() => error_page(500).into(),
            Err(_) if route.allow_degradation => bare(upstream.status, upstream),
            // The gateway has the upstream's body in its hands and prints it.
            Err(_) => bare(503, upstream),
        }
    }
}

/// A response on its way through nginx's output filters.
struct Filtered {
    status: u16,
    headers: Vec<NamedValue>,
    body: Vec<u8>,
    body_is_upstreams: bool,
}

impl Filtered {
    /// nginx drops the body where HTTP allows none.
    fn sent(self, request: &HttpRequest) -> ClientResponse {
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

fn edited(
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
fn bare(status: u16, upstream: &UpstreamResponse) -> Filtered {
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

fn has_no_body(request: &HttpRequest, status: u16) -> bool {
    request.method == "HEAD" || matches!(status, 204 | 304)
}

fn lower_cased(headers: &[NamedValue]) -> Vec<NamedValue> {
    let lower = |header: &NamedValue| NamedValue {
        name: header.name.to_ascii_lowercase(),
        value: header.value.clone(),
    };
    headers.iter().map(lower).collect()
}

/// An echoed `content-length` that is not the body's.
fn broken_length(request: &HttpRequest, response: &ClientResponse) -> Option<Fault> {
    if has_no_body(request, response.status) {
        return None;
    }
    let announced = response.header("content-length").pop()?;
    let announced = std::str::from_utf8(announced).ok()?.parse().ok()?;
    let sent = response.body.len();
    (announced != sent).then_some(Fault::BrokenLength { announced, sent })
}
