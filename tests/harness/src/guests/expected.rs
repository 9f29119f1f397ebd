//! What the gateway gets for a call that a hostile guest was in, compared with
//! what it got.
//!
//! Must not know which guest it was.

use protocol::err_resp::Code;
use protocol::gateway_side::{HttpAction, NamedValue, Reply};

use super::row::{Phase, RESPONSE_HEADERS};

/// A reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The call failed and the policy is `closed`: a refusal of a request, a
    /// response of the runner's own in place of a response.
    Closed,
    /// The call failed and the policy names this status.
    Page(u16),
    /// Nothing is changed.
    Untouched,
    /// So many headers are set and nothing else.
    Headers(usize),
    /// So many query arguments are set and nothing else.
    Args(usize),
    /// The body is one of so many bytes, and nothing else is changed but what
    /// belongs to it.
    BodyOf(usize),
    /// The request is stopped with status 200 and a body of so many bytes.
    StoppedWithBody(usize),
}

use Expected::{Args, BodyOf, Closed, Headers, Page, StoppedWithBody, Untouched};

impl Expected {
    /// Compares.
    ///
    /// # Errors
    /// The reply, if it is another.
    pub(super) fn verify(self, phase: Phase, id: u32, reply: &Reply) -> Result<(), String> {
        let right = match (phase, reply) {
            (Phase::Request, Reply::Error(code)) => {
                self == Closed && *code == Code::ServiceUnavailable as u8
            }
            (Phase::Request, Reply::HttpReqCall { id: echo, action }) => {
                *echo == id && self.is_action(action)
            }
            (
                Phase::Response,
                Reply::HttpRespCall {
                    id: echo,
                    status,
                    headers,
                    body,
                },
            ) => *echo == id && self.is_response(*status, headers, body.as_deref()),
            _ => false,
        };
        match right {
            true => Ok(()),
            false => Err(format!("expected {self:?}, got {}", shown(reply))),
        }
    }

    fn is_action(self, action: &HttpAction) -> bool {
        match (self, action) {
            (Untouched, HttpAction::None) => true,
            (
                Headers(_) | Args(_) | BodyOf(_),
                HttpAction::Rewrite {
                    path,
                    headers,
                    args,
                    resp_headers,
                    body,
                },
            ) => {
                let body = body.as_ref().map_or(0, Vec::len);
                let found = (headers.len(), args.len(), body);
                path.is_none() && resp_headers.is_empty() && found == self.counts()
            }
            (
                Page(expected),
                HttpAction::Stop {
                    status,
                    headers,
                    body,
                },
            ) => {
                *status == expected
                    && body.as_deref() == Some(page(expected).as_bytes())
                    && is_ours(headers)
            }
            (
                StoppedWithBody(bytes),
                HttpAction::Stop {
                    status,
                    headers,
                    body,
                },
            ) => {
                *status == 200
                    && headers.is_empty()
                    && body.as_ref().is_some_and(|body| body.len() == bytes)
            }
            _ => false,
        }
    }

    /// Headers, arguments and bytes of body in a rewrite.
    fn counts(self) -> (usize, usize, usize) {
        match self {
            Headers(count) => (count, 0, 0),
            Args(count) => (0, count, 0),
            BodyOf(bytes) => (0, 0, bytes),
            _ => (0, 0, 0),
        }
    }

    fn is_response(self, status: u16, headers: &[NamedValue], body: Option<&[u8]>) -> bool {
        match self {
            Closed => is_page(503, status, headers, body),
            Page(expected) => is_page(expected, status, headers, body),
            Untouched => status == 0 && begins_as_upstreams(headers, 0) && body.is_none(),
            Headers(count) => status == 0 && begins_as_upstreams(headers, count) && body.is_none(),
            BodyOf(bytes) => {
                status == 0
                    && begins_as_upstreams(headers, 0)
                    && body.is_some_and(|body| body.len() == bytes)
            }
            Args(_) | StoppedWithBody(_) => false,
        }
    }
}

/// The upstream's headers and so many more behind them.
fn begins_as_upstreams(headers: &[NamedValue], more: usize) -> bool {
    headers.len() == RESPONSE_HEADERS.len() + more
        && headers
            .iter()
            .zip(RESPONSE_HEADERS)
            .all(|(found, (name, value))| *found == NamedValue::new(name, value))
}

fn is_page(expected: u16, status: u16, headers: &[NamedValue], body: Option<&[u8]>) -> bool {
    status == expected && is_ours(headers) && body == Some(page(expected).as_bytes())
}

/// The runner's own short list: nothing of the upstream's, nothing of a guest.
fn is_ours(headers: &[NamedValue]) -> bool {
    let ours = NamedValue::new("Content-Type", "text/plain; charset=utf-8");
    headers == [ours]
}

/// The fixed text of a status.
fn page(status: u16) -> String {
    let reason = match status {
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    };
    format!("{status} {reason}\n")
}

/// A reply in few words, however large it is.
fn shown(reply: &Reply) -> String {
    let names = |entries: &[NamedValue]| match entries {
        [] => "nothing".to_owned(),
        [first, ..] => {
            let name = String::from_utf8_lossy(&first.name);
            format!("{} ({name:?}, ...)", entries.len())
        }
    };
    let bytes = |body: &Option<Vec<u8>>| {
        let Some(body) = body else {
            return "none".to_owned();
        };
        let begin = &body[..body.len().min(32)];
        format!(
            "{} bytes ({:?})",
            body.len(),
            String::from_utf8_lossy(begin)
        )
    };
    match reply {
        Reply::HttpReqCall { id, action } => match action {
            HttpAction::None => format!("no action on call {id}"),
            HttpAction::Stop {
                status,
                headers,
                body,
            } => {
                let (headers, body) = (names(headers), bytes(body));
                format!("a stop of call {id} with {status}, headers: {headers}, body: {body}")
            }
            HttpAction::Rewrite {
                path,
                headers,
                args,
                resp_headers,
                body,
            } => {
                let path = path.as_deref().map(String::from_utf8_lossy);
                let (headers, args) = (names(headers), names(args));
                let (resp_headers, body) = (names(resp_headers), bytes(body));
                format!(
                    "a rewrite of call {id} with path: {path:?}, headers: {headers}, \
                     arguments: {args}, response headers: {resp_headers}, body: {body}"
                )
            }
        },
        Reply::HttpRespCall {
            id,
            status,
            headers,
            body,
        } => {
            let (headers, body) = (names(headers), bytes(body));
            format!("a response to call {id} with {status}, headers: {headers}, body: {body}")
        }
        other => format!("{other:?}"),
    }
}
