//! An outcome as the gateway wants to read it. Only what a filter changed is
//! sent: every entry that is sent is set anew by the gateway.

use protocol::http_req_call::{self, Action, Rewrite, Stop};
use protocol::http_resp_call::{self, Edits};
use protocol::{EncodeError, Entry, FrameBuilder, prepare_conf};
use sandbox::{RequestEdits, ResponseCall, StopResponse};

use crate::after_chain::response::Filler;
use crate::handlers::Outcome;

/// Writes the reply.
///
/// # Errors
/// [`EncodeError`] for what a frame cannot carry; the builder is ready for
/// another message.
pub fn encode<'b>(
    builder: &'b mut FrameBuilder,
    outcome: &Outcome,
) -> Result<&'b [u8], EncodeError> {
    match outcome {
        Outcome::Prepared { conf_token } => prepare_conf::encode_reply(builder, *conf_token),
        Outcome::Pass { id, edits } => encode_edits(builder, *id, edits),
        Outcome::Stop { id, response } => encode_stop(builder, *id, response),
        Outcome::Response { call, filler } => encode_response(builder, call, *filler),
    }
}

fn encode_stop<'b>(
    builder: &'b mut FrameBuilder,
    id: u32,
    response: &StopResponse,
) -> Result<&'b [u8], EncodeError> {
    let headers: Vec<Entry<'_>> = response
        .headers
        .iter()
        .map(|(name, value)| Entry::new(name, value))
        .collect();
    let stop = Stop {
        status: response.status,
        headers: &headers,
        body: &response.body,
    };
    http_req_call::encode_reply(builder, id, Action::Stop(&stop))
}

fn encode_edits<'b>(
    builder: &'b mut FrameBuilder,
    id: u32,
    edits: &RequestEdits,
) -> Result<&'b [u8], EncodeError> {
    let headers: Vec<Entry<'_>> = edits
        .headers
        .iter()
        .map(|edit| Entry {
            name: edit.name.as_bytes(),
            value: edit.value.as_deref(),
        })
        .collect();
    let args = arg_entries(edits);
    let resp_headers: Vec<Entry<'_>> = edits
        .response_headers
        .iter()
        .map(|(name, value)| Entry::new(name, value))
        .collect();
    let rewrite = Rewrite {
        path: edits.path.as_deref(),
        headers: &headers,
        args: &args,
        resp_headers: &resp_headers,
        body: edits.body.as_deref(),
    };
    http_req_call::encode_reply(builder, id, Action::Rewrite(&rewrite))
}

/// One entry per value; the first of a name replaces what the request had. A
/// name without a value is removed.
fn arg_entries(edits: &RequestEdits) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    for edit in &edits.args {
        match edit.values.is_empty() {
            true => entries.push(Entry::bare(&edit.name)),
            false => entries.extend(
                edit.values
                    .iter()
                    .map(|value| Entry::new(&edit.name, value)),
            ),
        }
    }
    entries
}

/// The gateway takes the list of headers for the whole response and drops what
/// is not in it; without a list it drops ten names of its own choice. So the
/// list is always sent, changed or not.
fn encode_response<'b>(
    builder: &'b mut FrameBuilder,
    call: &ResponseCall,
    filler: Filler,
) -> Result<&'b [u8], EncodeError> {
    let hop_by_hop = HopByHop::of(call);
    // RFC 9110 section 8.6: no Content-Length in a 204.
    let loses_body = filler == Filler::Seen || call.edits().status == Some(204);
    let mut headers: Vec<Entry<'_>> = call
        .headers()
        .filter(|(name, _)| !hop_by_hop.contains(name))
        .filter(|(name, _)| !loses_body || !of_the_body(name))
        .map(|(name, value)| Entry {
            name,
            value: Some(value),
        })
        .collect();
    if headers.is_empty() {
        // An empty list would bring back what the filters removed; an entry
        // without a value clears what is not set.
        headers.extend(
            call.source()
                .headers()
                .take(1)
                .map(|(name, _)| Entry::bare(name)),
        );
    }
    let body = call.edits().body.as_deref().or(filler.bytes());
    let edits = Edits {
        status: call.edits().status,
        headers: &headers,
        body,
    };
    http_resp_call::encode_reply(builder, call.source().id(), &edits)
}

/// The headers that end with the upstream's connection (RFC 9110 section
/// 7.6.1). An echoed Transfer-Encoding would arrive twice.
struct HopByHop {
    nominated: Vec<u8>,
}

impl HopByHop {
    const ALWAYS: [&[u8]; 7] = [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ];

    /// With those that the Connection header names.
    fn of(call: &ResponseCall) -> Self {
        let mut nominated = Vec::new();
        for (_, value) in call
            .source()
            .headers()
            .filter(|(name, _)| is(name, b"connection"))
        {
            nominated.extend_from_slice(value);
            nominated.push(b',');
        }
        HopByHop { nominated }
    }

    fn contains(&self, name: &[u8]) -> bool {
        let mut nominated = self
            .nominated
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii);
        Self::ALWAYS.iter().any(|always| is(name, always)) || nominated.any(|other| is(name, other))
    }
}

/// What a header says of the body that was is not true of no body, nor of the
/// byte that the client gets in its place.
fn of_the_body(name: &[u8]) -> bool {
    is(name, b"content-length") || is(name, b"content-encoding")
}

fn is(name: &[u8], other: &[u8]) -> bool {
    name.eq_ignore_ascii_case(other)
}
