//! An outcome as the gateway wants to read it. Only what a filter changed is
//! sent: every entry that is sent is set anew by the gateway.

use protocol::http_req_call::{self, Action, Rewrite, Stop};
use protocol::{EncodeError, Entry, FrameBuilder, prepare_conf};
use sandbox::{RequestEdits, StopResponse};

use crate::filter_chain::ChainOutcome;
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
        Outcome::Request {
            id,
            outcome: ChainOutcome::Pass(edits),
        } => encode_edits(builder, *id, edits),
        Outcome::Request {
            id,
            outcome: ChainOutcome::Stop(response),
        } => encode_stop(builder, *id, response),
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
