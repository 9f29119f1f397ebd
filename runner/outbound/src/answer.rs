//! An answer read whole, within its bounds. Must not know the request beyond its
//! answer.

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};

use crate::client::Response;
use crate::error::SendError;
use crate::headers;

/// Reads the body to its end. What follows it (trailers) is dropped.
///
/// # Errors
/// [`SendError::Limit`] as soon as it is known to be larger than `most` bytes,
/// [`SendError::Protocol`] where it ends early or is no body.
pub(crate) async fn read(
    answer: hyper::Response<Incoming>,
    most: usize,
) -> Result<Response, SendError> {
    let (head, mut body) = answer.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(SendError::protocol(
            "the server changed the protocol unasked",
        ));
    }
    let too_large = || SendError::limit(format!("the response's body is larger than {most} bytes"));
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        if let Ok(data) = frame.into_data() {
            if data.len() > most - bytes.len() {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(Response {
        status: head.status.as_u16(),
        headers: headers::returned(&head.headers),
        body: bytes,
    })
}

/// What hyper's error is to whoever asked.
pub(crate) fn broken(error: &hyper::Error) -> SendError {
    if error.is_parse_too_large() {
        return SendError::limit("the response's headers are too large or too many");
    }
    SendError::protocol(format!("no whole response came back: {error}"))
}
