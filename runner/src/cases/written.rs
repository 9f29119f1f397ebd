//! Requests and responses as people write them: on the command line of `runner
//! try`, in the cases of `runner test`.
//!
//! Must not know what a filter makes of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use gateway_model::{HttpRequest, UpstreamResponse, query};
use protocol::gateway_side::NamedValue;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::strict::unique;

/// A value that is text on the wire, however it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenScalar")]
pub struct Scalar(String);

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenScalar {
    Text(String),
    Number(serde_json::Number),
    Truth(bool),
}

impl TryFrom<WrittenScalar> for Scalar {
    type Error = String;

    /// A number with a point would lose what YAML thinks needless: 1.10 is 1.1.
    fn try_from(written: WrittenScalar) -> Result<Self, String> {
        Ok(Scalar(match written {
            WrittenScalar::Text(text) => text,
            WrittenScalar::Number(number) if number.is_f64() => {
                return Err(format!(
                    "write {number} in quotes, as the text that is meant"
                ));
            }
            WrittenScalar::Number(number) => number.to_string(),
            WrittenScalar::Truth(truth) => truth.to_string(),
        }))
    }
}

impl Scalar {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One value, or several of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// One.
    One(Scalar),
    /// Several, in order.
    Many(Vec<Scalar>),
}

/// By hand, because an untagged enum would not say what is wrong.
impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let scalar = |value| serde_json::from_value(value).map_err(D::Error::custom);
        match Value::deserialize(from)? {
            Value::Array(values) => {
                let values: Result<_, _> = values.into_iter().map(scalar).collect();
                Ok(Values::Many(values?))
            }
            Value::Null | Value::Object(_) => Err(D::Error::custom(
                "expected a text, a number, true, false, or a list of them",
            )),
            value => Ok(Values::One(scalar(value)?)),
        }
    }
}

impl Values {
    /// In order.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Values::One(value) => vec![value.as_str()],
            Values::Many(values) => values.iter().map(Scalar::as_str).collect(),
        }
    }
}

/// A body: text as it is, anything else as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum WrittenBody {
    /// Text.
    Text(String),
    /// JSON.
    Json(Value),
}

impl WrittenBody {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            WrittenBody::Text(text) => text.clone().into_bytes(),
            WrittenBody::Json(value) => value.to_string().into_bytes(),
        }
    }
}

/// A client's request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "expected a request, such as `{url: /}`"
)]
pub struct WrittenRequest {
    /// GET unless it says so.
    #[serde(default = "get")]
    pub method: String,
    /// `/path?query` as on a request line, or a whole URL.
    pub url: String,
    /// By name; `host` unless it is among them.
    #[serde(default, deserialize_with = "unique")]
    pub headers: BTreeMap<String, Values>,
    /// None unless it is written.
    #[serde(default)]
    pub body: Option<WrittenBody>,
    /// 127.0.0.1 unless it says so.
    #[serde(default)]
    pub source_address: Option<IpAddr>,
}

fn get() -> String {
    "GET".into()
}

/// Where a bare path goes.
const HOST: &str = "localhost";

impl WrittenRequest {
    /// A GET.
    #[must_use]
    pub fn to(url: &str) -> Self {
        WrittenRequest {
            method: get(),
            url: url.to_owned(),
            headers: BTreeMap::new(),
            body: None,
            source_address: None,
        }
    }

    /// The request as the gateway holds it.
    ///
    /// # Errors
    /// Where it is none: nginx would answer 400.
    pub fn request(&self) -> Result<HttpRequest> {
        let headers = self.headers.iter().flat_map(|(name, values)| {
            let values = values.texts().into_iter();
            values.map(|value| (name.clone(), value.to_owned()))
        });
        let body = self.body.as_ref().map(WrittenBody::bytes);
        request(&self.method, &self.url, headers, body, self.source_address)
    }
}

/// A request as the gateway holds it.
///
/// # Errors
/// Where it is none.
pub fn request(
    method: &str,
    url: &str,
    headers: impl IntoIterator<Item = (String, String)>,
    body: Option<Vec<u8>>,
    source_address: Option<IpAddr>,
) -> Result<HttpRequest> {
    let upper = method.to_ascii_uppercase();
    gateway_model::request_phase::method(method).with_context(|| {
        match upper != method && gateway_model::request_phase::method(&upper).is_ok() {
            true => format!("did you mean {upper}?"),
            false => format!("the method {method:?} cannot be tried"),
        }
    })?;
    let (host, target) = split_url(url)?;
    let (path, query) = query::split_target(target.as_bytes());
    let path = query::decode_path(path)
        .with_context(|| format!("{url:?} has no path that nginx would take; it begins with /"))?;
    // What follows a `#` stays with the client.
    let query = query.unwrap_or_default();
    let query = query.split(|byte| *byte == b'#').next().unwrap_or_default();
    let mut request = HttpRequest::new(method, "/");
    request.path = path;
    request.args = query::parse_args(query);
    request.headers = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        ensure!(
            !name.is_empty() && !name.contains(|letter: char| letter == ':' || letter <= ' '),
            "{name:?} is no name of a header"
        );
        request.headers.push(NamedValue::new(name, value));
    }
    let has = |request: &HttpRequest, name: &[u8]| {
        request.headers.iter().any(|header| header.name == name)
    };
    if !has(&request, b"host") {
        request.headers.insert(0, NamedValue::new("host", host));
    }
    if let Some(body) = body {
        if !has(&request, b"content-length") {
            let length = body.len().to_string();
            let header = NamedValue::new("content-length", length);
            request.headers.push(header);
        }
        request.body = Some(body);
    }
    if let Some(address) = source_address {
        request.src_ip = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
    }
    Ok(request)
}

/// Host and target of `http://host/path?query` or of a bare `/path?query`.
fn split_url(url: &str) -> Result<(&str, &str)> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Ok((HOST, url));
    };
    ensure!(
        matches!(scheme, "http" | "https"),
        "{url:?} is neither http:// nor https:// nor a path"
    );
    ensure!(
        !rest.is_empty() && !rest.starts_with(['/', '?', '#']),
        "{url:?} has no host"
    );
    match rest.find(['/', '?', '#']) {
        Some(at) if rest.as_bytes()[at] == b'/' => Ok((&rest[..at], &rest[at..])),
        None => Ok((rest, "/")),
        Some(_) => anyhow::bail!("{url:?} has no path; write a / before the query"),
    }
}

/// An upstream's response.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "expected a response, such as `{status: 404, body: gone}`"
)]
pub struct WrittenResponse {
    /// 200 unless it says so.
    #[serde(default = "ok")]
    pub status: u16,
    /// By name, in the case in which they are written.
    #[serde(default, deserialize_with = "unique")]
    pub headers: BTreeMap<String, Values>,
    /// Empty unless it is written.
    #[serde(default)]
    pub body: Option<WrittenBody>,
    /// Sent in chunks, without Content-Length.
    #[serde(default)]
    pub chunked: bool,
}

fn ok() -> u16 {
    200
}

impl Default for WrittenResponse {
    fn default() -> Self {
        WrittenResponse {
            status: ok(),
            headers: BTreeMap::new(),
            body: None,
            chunked: false,
        }
    }
}

impl WrittenResponse {
    /// The response as the gateway receives it.
    ///
    /// # Errors
    /// A status that no upstream can send.
    pub fn response(&self) -> Result<UpstreamResponse> {
        let status = self.status;
        ensure!(
            (100..=999).contains(&status),
            "a response has no status {status}: it is 100 to 999"
        );
        let body = self.body.as_ref().map(WrittenBody::bytes);
        let body = body.unwrap_or_default();
        let mut headers = Vec::new();
        for (name, values) in &self.headers {
            for value in values.texts() {
                headers.push(NamedValue::new(name.as_str(), value));
            }
        }
        let announced = |headers: &[NamedValue]| {
            let mut names = headers.iter().map(|header| &header.name);
            names.any(|name| name.eq_ignore_ascii_case(b"content-length"))
        };
        if self.chunked {
            headers.push(NamedValue::new("Transfer-Encoding", "chunked"));
        } else if !announced(&headers) {
            headers.push(NamedValue::new("Content-Length", body.len().to_string()));
        }
        Ok(UpstreamResponse {
            status,
            headers,
            body,
            chunked: self.chunked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_should_be_read_as_a_client_and_nginx_would() {
        let rows = [
            ("/a%20b?x=1#y", Some(("localhost", "/a b", 1))),
            (
                "http://api.test:8080/a?x=1&y",
                Some(("api.test:8080", "/a", 2)),
            ),
            ("https://api.test", Some(("api.test", "/", 0))),
            ("ftp://api.test/", None),
            ("http://api.test?x=1", None),
            ("hello", None),
            ("", None),
        ];
        for (url, expected) in rows {
            let read = WrittenRequest::to(url).request().ok();
            let read = read.map(|request| {
                let host = String::from_utf8_lossy(
                    request.headers[0].value.as_deref().unwrap_or_default(),
                )
                .into_owned();
                (
                    host,
                    String::from_utf8_lossy(&request.path).into_owned(),
                    request.args.len(),
                )
            });
            let expected =
                expected.map(|(host, path, args)| (host.to_owned(), path.to_owned(), args));
            assert_eq!(read, expected, "{url}");
        }
    }

    #[test]
    fn what_is_written_should_be_text_on_the_wire() {
        let text = "url: /\nheaders: {a: 1, b: [x, true], Host: h}\nbody: {k: [1]}";
        let written: WrittenRequest = serde_yaml::from_str(text).expect("a request");
        let request = written.request().expect("a request");
        let headers: Vec<_> = request
            .headers
            .iter()
            .map(|header| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (
                    text(&header.name),
                    text(header.value.as_deref().unwrap_or_default()),
                )
            })
            .collect();
        let expected = [
            ("host", "h"),
            ("a", "1"),
            ("b", "x"),
            ("b", "true"),
            ("content-length", "9"),
        ];
        assert_eq!(
            headers,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(request.body.as_deref(), Some(&br#"{"k":[1]}"#[..]));
    }
}
