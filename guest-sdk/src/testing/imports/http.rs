//! The fake `http`: answers from what the test gave.

use crate::HeaderEntry;
use crate::http::{Answer, Error, Outgoing};
use crate::testing::call::{self, Phase};

/// What the generated bindings take.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [&'a HeaderEntry],
    pub(crate) body: Option<&'a [u8]>,
    pub(crate) timeout_ms: Option<u32>,
}

pub(crate) fn send(request: Request<'_>) -> Result<Answer, Error> {
    let request = Outgoing {
        method: request.method.to_owned(),
        url: request.url.to_owned(),
        headers: request.headers.iter().copied().cloned().collect(),
        body: request.body.map(<[u8]>::to_vec),
        timeout_ms: request.timeout_ms,
    };
    let within = |call: &mut call::Call| {
        let answers = call.around.http.iter();
        let mut meant = answers.filter(|(url, _)| *url == request.url);
        let answer = meant.next().map(|(_, answer)| answer.clone());
        let unknown = || Error::Denied(["no answer was given to ", &request.url].concat());
        let answer = answer.unwrap_or_else(|| Err(unknown()));
        call.around.sent.push(request.clone());
        answer
    };
    call::with(|call| match call.phase {
        Phase::Configure => None,
        Phase::Request | Phase::Response => Some(within(call)),
    })
    .flatten()
    .unwrap_or_else(|| Err(Error::WrongPhase(String::from("send: there is no call"))))
}
