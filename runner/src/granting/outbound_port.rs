//! The sandbox's port for requests, on the client of `outbound`. What a filter is
//! told names no address behind a name; what the log says does.

use std::sync::Arc;

use bytes::Bytes;
use outbound::{Client, Request, SendError};
use sandbox::{Outbound, OutboundError, OutboundRequest, OutboundResponse, Sending};

use crate::metrics::LineBudget;

/// The requests of one plugin.
pub(super) struct OutboundPort {
    client: Client,
    plugin: String,
    lines: Arc<LineBudget>,
}

impl OutboundPort {
    pub(super) fn new(client: Client, plugin: &str) -> Self {
        OutboundPort {
            client,
            plugin: plugin.to_owned(),
            lines: Arc::default(),
        }
    }
}

impl Outbound for OutboundPort {
    fn send(&self, request: OutboundRequest) -> Sending<'_> {
        let most = request.response_body;
        let sending = self.client.send(Request {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body.map(|body| body.to_vec()).unwrap_or_default(),
        });
        Box::pin(async move {
            let response = sending.await.map_err(|error| {
                self.tell(&error);
                for_guest(&error)
            })?;
            if response.body.len() > most {
                let text = format!("the response has more than {most} bytes");
                return Err(OutboundError::Limit(text));
            }
            Ok(OutboundResponse {
                status: response.status,
                headers: response.headers,
                body: Bytes::from(response.body),
            })
        })
    }
}

impl OutboundPort {
    fn tell(&self, error: &SendError) {
        if let Some(left_out) = self.lines.take() {
            tracing::warn!(
                plugin = %self.plugin,
                left_out,
                "a request of a filter came to nothing ({}): {}",
                error.kind(),
                error.reason().for_operator()
            );
        }
    }
}

fn for_guest(error: &SendError) -> OutboundError {
    let text = error.to_string();
    match error {
        SendError::Denied(_) => OutboundError::Denied(text),
        SendError::Invalid(_) => OutboundError::Invalid(text),
        SendError::Limit(_) => OutboundError::Limit(text),
        SendError::Unresolvable(_) => OutboundError::Unresolvable(text),
        SendError::Unreachable(_) => OutboundError::Unreachable(text),
        SendError::Timeout(_) => OutboundError::Timeout(text),
        SendError::Protocol(_) => OutboundError::Protocol(text),
    }
}
