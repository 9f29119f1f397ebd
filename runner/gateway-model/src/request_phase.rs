//! The request phase (`ext-plugin-pre-req`, `ext-plugin-post-req`): the call
//! that the gateway sends, its answers to questions, and what it does to the
//! request after the reply.

use protocol::Entry;
use protocol::gateway_side::{Asked, HttpAction, HttpReqCall, NamedValue};
use protocol::http_req_call::METHODS;
use protocol::{EncodeError, FrameBuilder};

use crate::http::{self, ClientResponse, HttpOutcome, HttpRequest, UpstreamRequest};
use crate::query;

/// Most headers the gateway reads from a request (`ngx.req.get_headers`).
const MAX_HEADERS: usize = 100;

/// Response headers that a rewrite cannot set, and that the response phase
/// does not copy (`exclude_resp_header` in init.lua).
pub const EXCLUDED: [&[u8]; 10] = [
    b"connection",
    b"content-length",
    b"transfer-encoding",
    b"location",
    b"server",
    b"www-authenticate",
    b"content-encoding",
    b"content-type",
    b"content-location",
    b"content-language",
];

/// In place of nginx's own page for a status without a body.
pub const NGINX_PAGE: &[u8] = b"<html>nginx</html>";

/// Why the gateway sends no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// Its encoder fails on methods that the schema does not have; the client
    /// gets status 500.
    #[error("the gateway answers 500 to the method {0}, which its protocol does not have")]
    Method(String),
    /// More than a frame carries.
    #[error(transparent)]
    TooLarge(#[from] EncodeError),
}

/// The call about a request.
///
/// # Errors
/// [`NotSent`].
pub fn encode(
    frame: &mut FrameBuilder,
    request: &HttpRequest,
    id: u32,
    conf_token: u32,
) -> Result<Vec<u8>, NotSent> {
    let method = method(&request.method)?;
    let (path, args) = Target::of(request);
    let args: Vec<_> = args.iter().map(NamedValue::entry).collect();
    let headers: Vec<Entry<'_>> = request
        .headers
        .iter()
        .take(MAX_HEADERS)
        .map(NamedValue::entry)
        .collect();
    let call = HttpReqCall {
        id,
        src_ip: &request.src_ip,
        method,
        path,
        args: &args,
        headers: &headers,
        conf_token,
    };
    Ok(call.encode(frame)?.to_vec())
}

/// The number of a method.
///
/// # Errors
/// [`NotSent::Method`].
pub fn method(name: &str) -> Result<u8, NotSent> {
    let position = METHODS.iter().position(|method| *method == name);
    // Fifteen of them.
    position
        .map(|position| position as u8)
        .ok_or_else(|| NotSent::Method(name.to_owned()))
}

/// The answer to a question inside the call.
#[must_use]
pub fn answer(request: &HttpRequest, asked: &Asked) -> Option<Vec<u8>> {
    match asked {
        Asked::Var(name) if name == b"upstream_uri" => {
            // Always defined; empty until something rewrites.
            Some(request.upstream_uri.clone().unwrap_or_default())
        }
        Asked::Var(name) => request.variables.get(name).cloned(),
        Asked::ReqBody => request.body.clone(),
        Asked::RespBody => None,
    }
}

/// What becomes of the request. `keeps_query`: a new path alone leaves the
/// query, as from APISIX 3.16 on.
#[must_use]
pub fn apply(action: HttpAction, request: &HttpRequest, keeps_query: bool) -> HttpOutcome {
    let mut target = Target::new(request);
    let mut upstream = UpstreamRequest {
        method: request.method.clone(),
        path_and_query: vec![],
        headers: request.headers.clone(),
        body: request.body.clone(),
        response_headers: vec![],
    };
    match action {
        HttpAction::None => {}
        HttpAction::Stop {
            status,
            headers,
            body,
        } => {
            return HttpOutcome::Client(stop(status, &headers, body.unwrap_or_default()));
        }
        HttpAction::Rewrite {
            path,
            headers,
            args,
            mut resp_headers,
            body,
        } => {
            for header in &headers {
                http::set(&mut upstream.headers, &header.name, header.value.as_deref());
            }
            if let Some(body) = body.filter(|body| !body.is_empty()) {
                let length = body.len().to_string();
                http::set(
                    &mut upstream.headers,
                    b"content-length",
                    Some(length.as_bytes()),
                );
                upstream.body = Some(body);
            }
            resp_headers.retain(|header| !EXCLUDED.iter().any(|name| http::is(header, name)));
            http::set_or_add(&mut upstream.response_headers, &resp_headers);
            target.edit(path.as_deref(), &args, keeps_query);
        }
    }
    upstream.path_and_query = target.finish(request);
    HttpOutcome::Upstream(upstream)
}

/// Where the request goes: the gateway's `upstream_uri` and query.
struct Target {
    args: Vec<NamedValue>,
    upstream_uri: Option<Vec<u8>>,
}

impl Target {
    /// What the runner is told: path and arguments. After `proxy-rewrite` the
    /// path is the encoded new one and the arguments are those of its query.
    fn of(request: &HttpRequest) -> (&[u8], Vec<NamedValue>) {
        match request.upstream_uri.as_deref().map(query::split_target) {
            None => (&request.path, request.args.clone()),
            Some((path, None)) => (path, request.args.clone()),
            Some((path, Some(query))) => (path, query::parse_args(query)),
        }
    }

    fn new(request: &HttpRequest) -> Self {
        let (_, args) = Self::of(request);
        Self {
            args,
            upstream_uri: request.upstream_uri.clone(),
        }
    }

    fn edit(&mut self, path: Option<&[u8]>, edits: &[NamedValue], keeps_query: bool) {
        for (index, edit) in edits.iter().enumerate() {
            let set_before =
                |earlier: &NamedValue| earlier.name == edit.name && earlier.value.is_some();
            if edit.value.is_none() || !edits[..index].iter().any(set_before) {
                self.args.retain(|arg| arg.name != edit.name);
            }
            if edit.value.is_some() {
                self.args.push(edit.clone());
            }
        }
        if let Some(path) = path {
            let path = query::escape_path(path);
            let with_query = keeps_query || !edits.is_empty();
            let args = if with_query {
                self.args.as_slice()
            } else {
                &[]
            };
            self.upstream_uri = Some(query::join_target(&path, args));
        }
    }

    /// With an `upstream_uri` the arguments no longer count.
    fn finish(self, request: &HttpRequest) -> Vec<u8> {
        let target = self
            .upstream_uri
            .unwrap_or_else(|| query::join_target(&query::escape_path(&request.path), &self.args));
        // nginx puts a slash in front of a URI that has none.
        if target.starts_with(b"/") {
            target
        } else {
            [b"/", target.as_slice()].concat()
        }
    }
}

fn stop(status: u16, headers: &[NamedValue], body: Vec<u8>) -> ClientResponse {
    let status = if status == 0 { 200 } else { status };
    let mut response = match body {
        body if body.is_empty() && status >= 300 => error_page(status),
        body => ClientResponse {
            status,
            headers: vec![],
            body,
        },
    };
    http::set_or_add(&mut response.headers, headers);
    response
}

/// What the client gets where nginx speaks for itself.
#[must_use]
pub fn error_page(status: u16) -> ClientResponse {
    let headers = vec![NamedValue::new("content-type", "text/html; charset=utf-8")];
    ClientResponse {
        status,
        headers,
        body: NGINX_PAGE.to_vec(),
    }
}
