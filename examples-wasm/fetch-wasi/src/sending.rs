//! One request through `wasi:http`. Must not know what it is for.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

use crate::attempts::{Attempt, told};

/// Bytes that are read at a time.
const CHUNK: u64 = 64 << 10;

pub(crate) fn send(attempt: &Attempt) -> Result<String, String> {
    let request = request(attempt)?;
    let options = RequestOptions::new();
    if let Some(timeout) = attempt.timeout_ms {
        let nanoseconds = u64::from(timeout) * 1_000_000;
        let set = options.set_first_byte_timeout(Some(nanoseconds));
        set.map_err(|()| refused("timeout"))?;
    }
    let body = request.body().map_err(|()| refused("body"))?;
    let future = handle(request, Some(options)).map_err(|code| format!("{code:?}"))?;
    write(body, attempt.body.as_deref().unwrap_or_default())?;
    future.subscribe().block();
    let response = match future.get() {
        Some(Ok(response)) => response.map_err(|code| format!("{code:?}"))?,
        _ => return Err("no response".into()),
    };
    let location = response.headers().get("location");
    let location = location
        .first()
        .and_then(|value| std::str::from_utf8(value).ok());
    Ok(told(response.status(), location, &read(&response)?))
}

/// The URL in the parts that the interface wants, as they are written.
fn request(attempt: &Attempt) -> Result<OutgoingRequest, String> {
    let headers = Fields::new();
    for (name, value) in &attempt.headers {
        let appended = headers.append(name, value.as_bytes());
        appended.map_err(|_| refused("header"))?;
    }
    let request = OutgoingRequest::new(headers);
    let method = match attempt.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        other => Method::Other(other.to_owned()),
    };
    request
        .set_method(&method)
        .map_err(|()| refused("method"))?;
    let (scheme, rest) = attempt.url.split_once("://").unwrap_or(("", &attempt.url));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| refused("scheme"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '\\']).unwrap_or(rest.len()));
    request
        .set_authority(Some(authority))
        .map_err(|()| refused("authority"))?;
    request
        .set_path_with_query(Some(path))
        .map_err(|()| refused("path"))?;
    Ok(request)
}

fn refused(what: &str) -> String {
    format!("{what} refused")
}

fn write(body: OutgoingBody, text: &str) -> Result<(), String> {
    {
        let stream = body.write().map_err(|()| refused("body"))?;
        for chunk in text.as_bytes().chunks(4096) {
            let written = stream.blocking_write_and_flush(chunk);
            written.map_err(|error| format!("{error:?}"))?;
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| format!("{code:?}"))
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, String> {
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}
