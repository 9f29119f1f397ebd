//! A URL as this client understands it: what a rule is asked about is what is
//! sent. Must not know rules, or addresses behind names.

use std::fmt;
use std::net::IpAddr;

use url::Url;

use crate::ambiguity;

/// Bytes of a URL. Servers refuse longer ones (RFC 9110, 4.1, asks them to take
/// 8000).
pub(crate) const LONGEST: usize = 8 * 1024;

/// How to speak to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port that a URL need not write.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    host: String,
    address: Option<IpAddr>,
    port: u16,
    path: String,
    query: Option<String>,
}

impl Target {
    /// Reads a URL as browsers do (WHATWG), but refuses what they repair. The
    /// host comes out in lower case, an IDN in Punycode, an IPv4 address in
    /// whichever form as four numbers; the path without dot segments. A fragment
    /// is dropped, as nothing of it is ever sent (RFC 9110, 4.2.5).
    ///
    /// # Errors
    /// A sentence on what is wrong with it. It does not quote the URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("the URL is longer than {LONGEST} bytes"));
        }
        ambiguity::refuse_in_url(text)?;
        let raw = RawParts::of(text)?;
        if raw.authority.contains('@') {
            return Err("the URL names a user; use a header Authorization".into());
        }
        ambiguity::refuse_in_path(raw.path)?;
        let url = Url::parse(text).map_err(|error| format!("the URL is not one: {error}"))?;
        let (host, address) = host(&url)?;
        let port = url.port_or_known_default().filter(|port| *port != 0);
        Ok(Target {
            scheme: raw.scheme,
            host,
            address,
            port: port.ok_or("the URL has port 0, which nobody listens on")?,
            path: url.path().to_owned(),
            query: url.query().map(str::to_owned),
        })
    }

    /// How to speak to it.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host as in a header Host: an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host, where it is an address.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The port, of the scheme where the URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, from its first `/`, without dot segments.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What follows `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Host and port as in a header Host (RFC 9110, 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// What a request line names (RFC 9112, 3.2.1).
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

/// As a URL without its query, which may hold what nobody else should read.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority, path) = (self.scheme.name(), self.authority(), &self.path);
        write!(f, "{scheme}://{authority}{path}")
    }
}

/// A URL's parts as they are written, for what its reader would repair.
struct RawParts<'a> {
    scheme: Scheme,
    authority: &'a str,
    path: &'a str,
}

impl<'a> RawParts<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("the URL does not begin with http:// or https://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err("the URL's scheme is neither http nor https".into()),
        };
        let hierarchy = rest.split(['?', '#']).next().unwrap_or_default();
        let end = hierarchy.find('/').unwrap_or(hierarchy.len());
        let (authority, path) = hierarchy.split_at(end);
        if authority.is_empty() {
            return Err("the URL names no host".into());
        }
        Ok(RawParts {
            scheme,
            authority,
            path,
        })
    }
}

fn host(url: &Url) -> Result<(String, Option<IpAddr>), String> {
    let name = match url.host() {
        Some(url::Host::Domain(name)) => name,
        Some(url::Host::Ipv4(v4)) => return Ok((v4.to_string(), Some(v4.into()))),
        Some(url::Host::Ipv6(v6)) => {
            // As the URL writes it, which is not as the standard library does.
            let written = url.host_str().unwrap_or_default().to_owned();
            return Ok((written, Some(v6.into())));
        }
        None => return Err("the URL names no host".into()),
    };
    let known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
    if name.len() > 253 || !name.bytes().all(known) {
        return Err("the URL's host is no name of a host".into());
    }
    if name
        .split('.')
        .any(|label| label.is_empty() || label.len() > 63)
    {
        return Err("the URL's host has an empty or too long label, or ends with a dot".into());
    }
    Ok((name.to_owned(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_should_be_read_as_what_is_sent() {
        for (url, origin, path_and_query) in [
            ("http://a.example", "http a.example 80", "/"),
            ("HTTPS://A.Example:443/x", "https a.example 443", "/x"),
            (
                "https://a.example:8443/x?y=%2F..#z",
                "https a.example 8443",
                "/x?y=%2F..",
            ),
            ("http://a.example?q", "http a.example 80", "/?q"),
            ("http://a.example/a/../b/./c", "http a.example 80", "/b/c"),
            ("http://a.example/../../b", "http a.example 80", "/b"),
            ("http://a.example//b//", "http a.example 80", "//b//"),
            ("http://a.example/100%25", "http a.example 80", "/100%25"),
            ("http://a.example/;x=..", "http a.example 80", "/;x=.."),
            ("http://a.example/..x;y", "http a.example 80", "/..x;y"),
            ("http://a.example/é", "http a.example 80", "/%C3%A9"),
            (
                "http://bücher.example/",
                "http xn--bcher-kva.example 80",
                "/",
            ),
            ("http://ex%61mple.com/", "http example.com 80", "/"),
            ("http://①②⑦.0.0.1/", "http 127.0.0.1 80", "/"),
            ("http://2130706433/", "http 127.0.0.1 80", "/"),
            ("http://0x7f.1/", "http 127.0.0.1 80", "/"),
            ("http://0177.0.0.01/", "http 127.0.0.1 80", "/"),
            ("http://127.1/", "http 127.0.0.1 80", "/"),
            ("http://127.0.0.1./", "http 127.0.0.1 80", "/"),
            ("http://[::1]:81/", "http [::1] 81", "/"),
            ("http://[0:0::0:1]/", "http [::1] 80", "/"),
            ("http://[::ffff:10.1.2.3]/", "http [::ffff:a01:203] 80", "/"),
        ] {
            let target = Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let scheme = target.scheme().name();
            let read = format!("{scheme} {} {}", target.host(), target.port());
            assert_eq!(read, origin, "{url}");
            assert_eq!(target.path_and_query(), path_and_query, "{url}");
        }
    }

    #[test]
    fn a_url_that_can_be_read_in_two_ways_should_be_refused() {
        for (url, part) in [
            ("", "does not begin"),
            ("//a.example/", "does not begin"),
            ("a.example", "does not begin"),
            ("https:a.example", "does not begin"),
            ("https:/a.example", "does not begin"),
            ("https:///a.example", "no host"),
            ("https://?a", "no host"),
            ("ftp://a.example/", "neither http nor https"),
            ("file:///etc/passwd", "neither http nor https"),
            ("unix://a/", "neither http nor https"),
            ("http://user@a.example/", "names a user"),
            ("http://:pass@a.example/", "names a user"),
            ("http://@a.example/", "names a user"),
            ("http://a.example\\@b.example/", "backslash"),
            ("http:\\\\a.example/", "backslash"),
            ("http://a.example/x\\y", "backslash"),
            ("http://a.exa\tmple/", "control character"),
            ("ht\ntp://a.example/", "control character"),
            (" http://a.example/", "space"),
            ("http://a.example/a b", "space"),
            ("http://a.example/\0", "control character"),
            ("http://a.example/%2e%2e/x", "encoded dot"),
            ("http://a.example/%2E/x", "encoded dot"),
            ("http://a.example/.%2e/x", "encoded dot"),
            ("http://a.example/x%2fy", "encoded slash"),
            ("http://a.example/x%2Fy", "encoded slash"),
            ("http://a.example/x%5Cy", "encoded backslash"),
            ("http://a.example/x%00", "encoded NUL"),
            ("http://a.example/%252e%252e/x", "encoded dot"),
            ("http://a.example/%25252525252f", "encoded slash"),
            ("http://a.example/%c0%ae", "encoded overlong"),
            ("http://a.example/x%", "encodes nothing"),
            ("http://a.example/x%2", "encodes nothing"),
            ("http://a.example/%zz", "encodes nothing"),
            ("http://a.example/v1/..;/x", "dot segment with parameters"),
            ("http://a.example/v1/.;a=b/x", "dot segment with parameters"),
            ("http://a.example:0/", "port 0"),
            ("http://a.example:65536/", "not one"),
            ("http://a.example:x/", "not one"),
            ("http://a..example/", "empty"),
            ("http://.a.example/", "empty"),
            ("http://a.example./", "ends with a dot"),
            ("http://*.example/", "no name of a host"),
            ("http://a%00.example/", "not one"),
            ("http://a%2fb.example/", "not one"),
            ("http://1.2.3.4.5/", "not one"),
            ("http://256.256.256.256/", "not one"),
            ("http://0x7f.1.example.0x/", "not one"),
            ("http://[fe80::1%25eth0]/", "not one"),
            ("http://[fe80::1%eth0]/", "not one"),
            ("http://[::1/", "not one"),
            ("http://::1/", "not one"),
            (
                &format!("http://a.example/{}", "x".repeat(LONGEST)),
                "longer",
            ),
        ] {
            match Target::parse(url) {
                Ok(target) => panic!("{url} was read as {target:?}"),
                Err(error) => assert!(error.contains(part), "{url}: {error}"),
            }
        }
    }
}
