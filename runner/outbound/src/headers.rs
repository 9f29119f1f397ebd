//! Which headers a filter may send, and which of an answer it gets. The framing
//! of messages and what concerns one connection only are ours, so that no filter
//! can say where a message ends or for whom it is. Must not know rules.

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

/// How many headers a request may have; servers take about as many.
const MOST: usize = 100;
/// Bytes of all names and values together.
const MOST_BYTES: usize = 64 * 1024;

/// What no filter may set: of this connection only (RFC 9110, 7.6.1), the
/// framing (RFC 9112, 6), or the name of the host, which is the URL's.
const OURS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is of the connection in an answer (RFC 9110, 7.6.1), beside what its
/// Connection header names.
const OF_THE_CONNECTION: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads a filter's headers.
///
/// # Errors
/// A sentence on the first that is not one or not a filter's to set.
pub(crate) fn checked(headers: &[(String, Vec<u8>)]) -> Result<HeaderMap, String> {
    let bytes = headers.iter().map(|(name, value)| name.len() + value.len());
    if headers.len() > MOST || bytes.sum::<usize>() > MOST_BYTES {
        return Err(format!(
            "the request has more than {MOST} headers or {MOST_BYTES} bytes of them"
        ));
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is no name of a header"))?;
        if OURS.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
            return Err(format!("the header {name} is not a filter's to set"));
        }
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| format!("the value of the header {name} has a control character"))?;
        map.append(name, value);
    }
    Ok(map)
}

/// An answer's headers without those of the connection. A length beside a
/// transfer coding is not of the body that the filter gets (RFC 9112, 6.3).
pub(crate) fn returned(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let coded = headers.contains_key(header::TRANSFER_ENCODING);
    let passes = |name: &HeaderName| {
        !(OF_THE_CONNECTION.contains(&name.as_str())
            || named.iter().any(|other| other == name.as_str())
            || coded && *name == header::CONTENT_LENGTH)
    };
    headers
        .iter()
        .filter(|(name, _)| passes(name))
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &[u8]) -> (String, Vec<u8>) {
        (name.to_owned(), value.to_vec())
    }

    #[test]
    fn a_header_of_a_filter_should_be_a_header_and_its_own() {
        for (name, value, expected) in [
            ("Authorization", &b"Bearer x"[..], ""),
            ("x-empty", b"", ""),
            ("X-Latin", b"caf\xe9", ""),
            ("x-tab", b"a\tb", ""),
            ("!#$%&'*+-.^_`|~", b"1", ""),
            ("Cookie", b"a=b", ""),
            ("", b"x", "no name of a header"),
            ("a b", b"x", "no name of a header"),
            ("a:", b"x", "no name of a header"),
            ("a\r\nb", b"x", "no name of a header"),
            ("é", b"x", "no name of a header"),
            (":path", b"x", "no name of a header"),
            ("a", b"x\r\nHost: b", "control character"),
            ("a", b"x\n", "control character"),
            ("a", b"\r", "control character"),
            ("a", b"\0", "control character"),
            ("a", b"\x7f", "control character"),
            ("Host", b"b.example", "not a filter's"),
            ("HOST", b"b.example", "not a filter's"),
            ("Content-Length", b"1", "not a filter's"),
            ("Transfer-Encoding", b"chunked", "not a filter's"),
            ("Connection", b"close", "not a filter's"),
            ("Keep-Alive", b"1", "not a filter's"),
            ("Upgrade", b"h2c", "not a filter's"),
            ("HTTP2-Settings", b"", "not a filter's"),
            ("TE", b"trailers", "not a filter's"),
            ("Trailer", b"x", "not a filter's"),
            ("Expect", b"100-continue", "not a filter's"),
            ("Proxy-Authorization", b"x", "not a filter's"),
            ("Proxy-Connection", b"x", "not a filter's"),
            ("proxy-anything", b"x", "not a filter's"),
        ] {
            match checked(&[pair(name, value)]) {
                Ok(map) => {
                    assert_eq!(expected, "", "{name:?} was taken");
                    assert_eq!(map.len(), 1, "{name:?}");
                }
                Err(error) => {
                    let fits = !expected.is_empty() && error.contains(expected);
                    assert!(fits, "{name:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn more_headers_than_servers_take_should_be_refused() {
        let many = vec![pair("a", b"b"); MOST + 1];
        assert!(checked(&many).is_err());
        assert_eq!(checked(&many[1..]).expect("taken").len(), MOST);
        assert!(checked(&[pair("a", &vec![b'x'; MOST_BYTES])]).is_err());
    }

    #[test]
    fn what_is_of_the_connection_should_not_be_returned() {
        let answer = [
            ("connection", "close, X-Hop"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("upgrade", "h2c"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
            ("content-length", "3"),
        ];
        let kept = |answer: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in answer {
                map.append(*name, value.parse().expect("value"));
            }
            let kept = returned(&map).into_iter();
            kept.map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(&value)))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            kept(&answer),
            ["set-cookie=a", "set-cookie=b", "content-length=3"]
        );
        let mut coded = answer.to_vec();
        coded.push(("transfer-encoding", "chunked"));
        assert_eq!(kept(&coded), ["set-cookie=a", "set-cookie=b"]);
    }
}
