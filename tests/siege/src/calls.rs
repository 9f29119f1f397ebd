//! What is called, and whether the reply is right: hostile guests as their
//! table says, good filters with something in each call that no other call
//! has, so that an answer of another call is told from the right one.
//!
//! Must not know over what a call is made.

use std::borrow::Cow;

use harness::guests::Row;
use protocol::err_resp::Code;
use protocol::gateway_side::{Asked, HttpAction, HttpReqCall, HttpRespCall, NamedValue, Reply};
use protocol::{Entry, FrameBuilder};

/// A call.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Hostile(&'static Row),
    Good(Good),
}

/// A call of good filters.
#[derive(Debug, Clone)]
pub(crate) struct Good {
    pub(crate) kind: Kind,
    /// Another in each call.
    pub(crate) number: u64,
}

/// What good filters do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answers the request itself.
    Stop,
    /// Changes path, headers and arguments.
    Rewrite,
    /// Reports a header of the call and a variable that it asks for.
    Report,
    /// Reads the body and sends it on.
    Body,
    /// Changes a response.
    Response,
    /// One filter behind another.
    Chain,
    /// Shows its configuration, which is of this number.
    Configured(u64),
    /// Answers with the status that its module was built with. The module is
    /// replaced again and again.
    Replaced(u16),
    /// Answers with any status, for the configuration of this number. The module
    /// is replaced while it serves, and whoever calls knows what may answer.
    Swapped(u64),
}

impl Kind {
    /// Those that any call can be of.
    pub(crate) const ALL: [Kind; 6] = [
        Kind::Stop,
        Kind::Rewrite,
        Kind::Report,
        Kind::Body,
        Kind::Response,
        Kind::Chain,
    ];
}

impl Call {
    /// Whether another answer may be right while one runner follows another.
    pub(crate) fn depends_on_the_process(&self) -> bool {
        match self {
            // It may be cut short.
            Call::Hostile(_) => true,
            Call::Good(good) => matches!(good.kind, Kind::Replaced(_)),
        }
    }
}

/// What came back instead of the right reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The runner says that it cannot serve the call, now or with this token.
    Unavailable,
    /// Anything else.
    Answer(String),
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wrong::Unavailable => f.write_str("refused, as unavailable or with an unknown token"),
            Wrong::Answer(text) => f.write_str(text),
        }
    }
}

const RESPONSE_HEADERS: [(&str, &str); 2] = [("Content-Type", "text/plain"), ("X-Upstream", "yes")];

impl Call {
    /// The gateway's key of the configuration.
    pub(crate) fn route(&self) -> String {
        match self {
            Call::Hostile(row) => format!("hostile#{}#{}", row.plugin, row.configuration),
            Call::Good(good) => match good.kind {
                Kind::Configured(number) => format!("configured#{number}"),
                Kind::Replaced(_) => "replaced".into(),
                Kind::Swapped(number) => format!("swapped#{number}"),
                kind => format!("good#{kind:?}"),
            },
        }
    }

    /// For whoever reads of it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Call::Hostile(row) => {
                format!("{} ({:?}, {:?})", row.plugin, row.phase, row.configuration)
            }
            Call::Good(good) => format!("{:?}", good.kind),
        }
    }

    /// Plugins with their configuration.
    pub(crate) fn plugins(&self) -> Vec<(&'static str, String)> {
        match self {
            Call::Hostile(row) => vec![(row.plugin, row.configuration.to_owned())],
            Call::Good(good) => good.plugins(),
        }
    }

    /// The frame of the call.
    pub(crate) fn frame(&self, token: u32, id: u32) -> Vec<u8> {
        match self {
            Call::Hostile(row) => row.call(token, id),
            Call::Good(good) => good.frame(token, id),
        }
    }

    /// What the gateway answers inside the call.
    pub(crate) fn answer(&self, asked: &Asked) -> Option<Cow<'static, [u8]>> {
        match self {
            Call::Hostile(row) => row.answer(asked).map(Cow::Borrowed),
            Call::Good(good) => good.answer(asked),
        }
    }

    /// Whether the reply is the right one.
    pub(crate) fn verify(&self, id: u32, reply: &Reply) -> Result<(), Wrong> {
        match self {
            Call::Hostile(row) => row.verify(id, reply).map_err(Wrong::Answer),
            Call::Good(_) if is_unavailable(reply) => Err(Wrong::Unavailable),
            Call::Good(good) => match good.is_right(id, reply) {
                true => Ok(()),
                false => {
                    let mut text = format!("{reply:?}");
                    text.truncate(300);
                    Err(Wrong::Answer(text))
                }
            },
        }
    }
}

/// An unknown token too: the worker has tried three times, as it does while one
/// runner takes over from another, and the client gets a 503 all the same.
fn is_unavailable(reply: &Reply) -> bool {
    match reply {
        Reply::Error(code) => {
            *code == Code::ServiceUnavailable as u8 || *code == Code::ConfTokenNotFound as u8
        }
        Reply::HttpRespCall { status, .. } => *status == 503,
        _ => false,
    }
}

impl Good {
    /// What no other call has.
    fn mark(&self) -> String {
        format!("mark-{:012}", self.number)
    }

    fn plugins(&self) -> Vec<(&'static str, String)> {
        let probe = |text: &str| ("probe", text.to_owned());
        let rewrite = ("rewrite", String::new());
        match self.kind {
            Kind::Stop => vec![("stop", String::new())],
            Kind::Rewrite => vec![rewrite],
            Kind::Report => vec![probe(r#"{"report": "x-report", "vars": ["mark"]}"#)],
            Kind::Body => vec![probe(r#"{"echo_body": true}"#)],
            Kind::Response => vec![probe(
                r#"{"response": {"set_status": 299, "set_headers": {"X-Filtered": "yes"}}}"#,
            )],
            Kind::Chain => vec![rewrite, probe(r#"{"report": "x-report"}"#)],
            Kind::Configured(number) => {
                vec![probe(&format!(
                    r#"{{"set_headers": {{"x-conf": "{number}"}}}}"#
                ))]
            }
            Kind::Replaced(_) => vec![("replaced", String::new())],
            Kind::Swapped(number) => vec![("swapped", number.to_string())],
        }
    }

    fn frame(&self, conf_token: u32, id: u32) -> Vec<u8> {
        let mark = self.mark();
        let headers = [
            Entry::new("host", "gateway.test"),
            Entry::new("x-mark", &mark),
        ];
        let mut builder = FrameBuilder::new();
        let frame = match self.kind {
            Kind::Response => {
                let [content_type, upstream] =
                    RESPONSE_HEADERS.map(|(name, value)| Entry::new(name, value));
                HttpRespCall {
                    id,
                    status: 200,
                    headers: &[content_type, upstream, Entry::new("X-Mark", &mark)],
                    conf_token,
                }
                .encode(&mut builder)
            }
            _ => HttpReqCall {
                id,
                src_ip: &[127, 0, 0, 1],
                path: b"/good",
                args: &[Entry::new("a", "1")],
                headers: &headers,
                conf_token,
                ..HttpReqCall::default()
            }
            .encode(&mut builder),
        };
        frame.expect("some hundred bytes fit into a frame").to_vec()
    }

    fn answer(&self, asked: &Asked) -> Option<Cow<'static, [u8]>> {
        match asked {
            Asked::Var(name) if name == b"mark" => Some(self.mark().into_bytes().into()),
            Asked::Var(name) if name == b"request_method" => Some(Cow::Borrowed(b"GET")),
            Asked::Var(_) | Asked::RespBody => None,
            Asked::ReqBody => Some(self.body().into()),
        }
    }

    /// The mark, and as much behind it as some bodies have.
    fn body(&self) -> Vec<u8> {
        let mut body = self.mark().into_bytes();
        body.resize(4096 + self.number as usize % 4096, b'.');
        body
    }

    fn is_right(&self, id: u32, reply: &Reply) -> bool {
        match reply {
            Reply::HttpReqCall { id: echo, action } => *echo == id && self.is_action(action),
            Reply::HttpRespCall {
                id: echo,
                status: 299,
                headers,
                body: None,
            } => {
                let mark = self.mark();
                let mut expected = RESPONSE_HEADERS.to_vec();
                expected.extend([("X-Mark", mark.as_str()), ("X-Filtered", "yes")]);
                let expected = expected
                    .into_iter()
                    .map(|(name, value)| NamedValue::new(name, value));
                self.kind == Kind::Response && *echo == id && expected.eq(headers.iter().cloned())
            }
            _ => false,
        }
    }

    fn is_action(&self, action: &HttpAction) -> bool {
        match (self.kind, action) {
            (
                Kind::Stop,
                HttpAction::Stop {
                    status: 201,
                    headers,
                    body: Some(body),
                },
            ) => {
                *headers == [NamedValue::new("X-Resp-A6-Runner", "Python")]
                    && body == b"Hello, Python Runner of APISIX"
            }
            (Kind::Replaced(expected), HttpAction::Stop { status, .. }) => *status == expected,
            (Kind::Swapped(_), HttpAction::Stop { .. }) => true,
            (
                kind,
                HttpAction::Rewrite {
                    path,
                    headers,
                    args,
                    resp_headers,
                    body,
                },
            ) => {
                let rewritten = matches!(kind, Kind::Rewrite | Kind::Chain);
                let path_is_right =
                    path.as_deref() == rewritten.then_some(b"/a6/python/runner".as_slice());
                let args_are_right = match rewritten {
                    true => *args == [NamedValue::new("a6_runner", "Python")],
                    false => args.is_empty(),
                };
                let body_is_right = match kind {
                    Kind::Body => body.as_ref() == Some(&self.body()),
                    _ => body.is_none(),
                };
                let (runner, headers) = match headers.split_first() {
                    Some((first, rest)) if rewritten => (Some(first), rest),
                    _ => (None, headers.as_slice()),
                };
                let runner_is_right = runner
                    .is_none_or(|runner| *runner == NamedValue::new("X-Resp-A6-Runner", "Python"))
                    && runner.is_some() == rewritten;
                path_is_right
                    && args_are_right
                    && body_is_right
                    && runner_is_right
                    && resp_headers.is_empty()
                    && self.are_headers(headers)
            }
            _ => false,
        }
    }

    /// The headers beyond those of the filter that rewrites.
    fn are_headers(&self, headers: &[NamedValue]) -> bool {
        match (self.kind, headers) {
            (Kind::Rewrite | Kind::Body, []) => true,
            (Kind::Configured(number), [header]) => {
                *header == NamedValue::new("x-conf", number.to_string())
            }
            (Kind::Report | Kind::Chain, [header]) => {
                // In the header of the call, and in the variable where that
                // was asked for.
                let times = if self.kind == Kind::Report { 2 } else { 1 };
                let report = String::from_utf8_lossy(header.value.as_deref().unwrap_or_default());
                header.name == b"x-report" && report.matches(&self.mark()).count() == times
            }
            _ => false,
        }
    }
}
