//! What an operator allows, and whether a request is that. Must not know what
//! names stand for: where a host may lie is checked when that is known.

use std::fmt;

use hyper::Method;
use ipnet::IpNet;

use crate::error::Reason;
use crate::networks;
use crate::target::{Scheme, Target};

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// This host; an IPv6 address in brackets.
    Exact(String),
    /// Every name below this one, at any depth, but not itself.
    Below(String),
}

impl Host {
    fn holds(&self, host: &str) -> bool {
        match self {
            Host::Exact(name) => name == host,
            Host::Below(name) => host
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.ends_with('.')),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Exact(name) => f.write_str(name),
            Host::Below(name) => write!(f, "*.{name}"),
        }
    }
}

/// One thing that an operator allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowRule {
    scheme: Scheme,
    host: Host,
    port: u16,
    /// Without a slash at its end: empty for every path.
    path: String,
    methods: Vec<Method>,
    networks: Vec<IpNet>,
}

impl AllowRule {
    /// Reads a rule.
    ///
    /// * `url`: `https://auth.example.com:8443/v1/`. The port is the scheme's
    ///   where it is not written. The path allows itself and what is below it:
    ///   `/v1` allows `/v1` and `/v1/x`, not `/v1x`. The host may be
    ///   `*.example.com`: every name below example.com, not itself.
    /// * `methods`: GET and HEAD, where none is given.
    /// * `networks`: where the host may lie, beyond the public Internet:
    ///   `10.1.2.0/24`, or one address.
    ///
    /// # Errors
    /// A sentence on what is wrong, with the way out.
    pub fn parse(url: &str, methods: &[String], networks: &[String]) -> Result<Self, String> {
        if url.contains(['?', '#']) {
            return Err(format!(
                "{url:?} has a query or a fragment; a rule ends with the path"
            ));
        }
        let wrong = |error: String| format!("{url:?}: {error}");
        let (target, below) = match url.split_once("://*.") {
            Some((scheme, rest)) => (Target::parse(&format!("{scheme}://{rest}")), true),
            None => (Target::parse(url), false),
        };
        let target = target.map_err(wrong)?;
        if below && target.address().is_some() {
            return Err(wrong("nothing is below an address; leave *. out".into()));
        }
        let rule = AllowRule {
            scheme: target.scheme(),
            port: target.port(),
            path: target.path().trim_end_matches('/').to_owned(),
            host: match below {
                true => Host::Below(target.host().to_owned()),
                false => Host::Exact(target.host().to_owned()),
            },
            methods: allowed_methods(methods)?,
            networks: networks
                .iter()
                .map(|text| network(text))
                .collect::<Result<_, _>>()?,
        };
        rule.refuse_if_it_never_holds(&target)?;
        Ok(rule)
    }

    /// How the server must be spoken to.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whom it allows.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port it allows.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The methods it allows.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(AsRef::as_ref)
    }

    /// Where its host may lie beyond the public Internet.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        &self.networks
    }

    /// A host that is an address in a blocked network is unreachable from the
    /// start; better said now than at the first request.
    fn refuse_if_it_never_holds(&self, target: &Target) -> Result<(), String> {
        let Some(address) = target.address() else {
            return Ok(());
        };
        if networks::reachable(address, &self.networks) {
            return Ok(());
        }
        let connected = networks::connected(address);
        let purpose = networks::blocked(address).map_or("blocked", |row| row.purpose);
        Err(format!(
            "{self} is an address that filters do not reach ({purpose}); name {connected} \
             in the rule's networks to allow it all the same"
        ))
    }

    /// How far a request gets with this rule.
    fn judge(&self, method: &str, target: &Target) -> Step {
        if !self.host.holds(target.host()) {
            Step::Host
        } else if self.scheme != target.scheme() {
            Step::Scheme
        } else if self.port != target.port() {
            Step::Port
        } else if !self.path_holds(target.path()) {
            Step::Path
        } else if !self.methods.iter().any(|one| one.as_str() == method) {
            Step::Method
        } else {
            Step::Allowed
        }
    }

    fn path_holds(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// As its URL was written, with the port where it is not the scheme's.
impl fmt::Display for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "{}/", self.path)
    }
}

/// What a request fails at; the later, the closer it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Host,
    Scheme,
    Port,
    Path,
    Method,
    Allowed,
}

/// The networks beyond the public Internet where the target's host may lie: those
/// of all rules that allow the request.
///
/// Pure, and total: whatever it is given, it answers.
///
/// # Errors
/// Which part of the closest rule does not fit, and what to ask the operator for.
pub fn permit(rules: &[AllowRule], method: &str, target: &Target) -> Result<Vec<IpNet>, Reason> {
    let mut closest: Option<(Step, &AllowRule)> = None;
    let mut excepted = Vec::new();
    for rule in rules {
        let step = rule.judge(method, target);
        if step == Step::Allowed {
            excepted.extend_from_slice(&rule.networks);
        }
        if closest.is_none_or(|(best, _)| step > best) {
            closest = Some((step, rule));
        }
    }
    match closest {
        Some((Step::Allowed, _)) => Ok(excepted),
        other => Err(refusal(other, method, target)),
    }
}

fn refusal(closest: Option<(Step, &AllowRule)>, method: &str, target: &Target) -> Reason {
    let failed = match closest {
        Some((Step::Scheme, rule)) => format!("the rule {rule} is for {}", rule.scheme.name()),
        Some((Step::Port, rule)) => format!("the rule {rule} is for port {}", rule.port),
        Some((Step::Path, rule)) => format!("the rule {rule} is for other paths"),
        Some((Step::Method, rule)) => format!("the rule {rule} is for other methods"),
        _ => format!("no rule names the host {}", target.host()),
    };
    Reason::new(format!(
        "{method} {target} is not allowed: {failed}; ask the operator to allow this method and URL"
    ))
}

/// Methods that make a tunnel or send credentials back (RFC 9110, 9.3.6, 9.3.8)
/// are nobody's.
pub(crate) fn method(name: &str) -> Result<Method, String> {
    match Method::from_bytes(name.as_bytes()) {
        Ok(Method::CONNECT | Method::TRACE) => Err(format!("the method {name} is never allowed")),
        Ok(method) => Ok(method),
        Err(_) => Err("the method is not one: letters, digits and some signs".into()),
    }
}

fn allowed_methods(names: &[String]) -> Result<Vec<Method>, String> {
    if names.is_empty() {
        return Ok(vec![Method::GET, Method::HEAD]);
    }
    let one = |name: &String| {
        if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
            let upper = name.to_ascii_uppercase();
            return Err(format!(
                "methods differ in case (RFC 9110, 9.1): write {upper} for {name:?}"
            ));
        }
        method(name)
    };
    names.iter().map(one).collect()
}

fn network(text: &str) -> Result<IpNet, String> {
    let network: IpNet = match (text.parse(), text.parse()) {
        (Ok(network), _) => network,
        (_, Ok(address)) => IpNet::from(networks::connected(address)),
        _ => {
            return Err(format!(
                "{text:?} is neither a network (10.1.2.0/24) nor an address"
            ));
        }
    };
    let whole = network.trunc();
    if whole != network {
        return Err(format!(
            "{text:?} has bits after its prefix; write {whole} or an address"
        ));
    }
    if let IpNet::V6(v6) = network
        && v6.prefix_len() >= 96
        && v6.addr().to_ipv4_mapped().is_some()
    {
        return Err(format!(
            "{text:?} is IPv4 in the form of IPv6; write it as IPv4"
        ));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &str) -> Vec<String> {
        texts.split_whitespace().map(str::to_owned).collect()
    }

    fn rule(url: &str, methods: &str, networks: &str) -> AllowRule {
        AllowRule::parse(url, &strings(methods), &strings(networks))
            .unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn a_rule_should_allow_what_it_says_and_nothing_else() {
        for (rule_url, methods, method, url, expected) in [
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example/v1",
                Step::Allowed,
            ),
            (
                "https://a.example/v1",
                "",
                "HEAD",
                "https://a.example/v1/",
                Step::Allowed,
            ),
            (
                "https://a.example/v1/",
                "",
                "GET",
                "https://a.example/v1",
                Step::Allowed,
            ),
            (
                "https://a.example/v1/",
                "",
                "GET",
                "https://A.EXAMPLE:443/v1/x?y",
                Step::Allowed,
            ),
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example/v1x",
                Step::Path,
            ),
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example/v1%20",
                Step::Path,
            ),
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example/V1",
                Step::Path,
            ),
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example//v1",
                Step::Path,
            ),
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example/v1/../v2",
                Step::Path,
            ),
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example/v1/./x",
                Step::Allowed,
            ),
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example/x/../v1/y",
                Step::Allowed,
            ),
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example/?/v1",
                Step::Path,
            ),
            (
                "https://a.example/v1",
                "",
                "GET",
                "https://a.example/",
                Step::Path,
            ),
            (
                "https://a.example/a/../v1",
                "",
                "GET",
                "https://a.example/v1",
                Step::Allowed,
            ),
            (
                "https://a.example/é",
                "",
                "GET",
                "https://a.example/%C3%A9",
                Step::Allowed,
            ),
            (
                "https://a.example",
                "",
                "GET",
                "https://a.example/any//thing",
                Step::Allowed,
            ),
            (
                "https://a.example",
                "",
                "POST",
                "https://a.example/",
                Step::Method,
            ),
            (
                "https://a.example",
                "",
                "get",
                "https://a.example/",
                Step::Method,
            ),
            (
                "https://a.example",
                "POST PURGE",
                "POST",
                "https://a.example/",
                Step::Allowed,
            ),
            (
                "https://a.example",
                "POST PURGE",
                "PURGE",
                "https://a.example/",
                Step::Allowed,
            ),
            (
                "https://a.example",
                "POST PURGE",
                "GET",
                "https://a.example/",
                Step::Method,
            ),
            (
                "https://a.example",
                "",
                "GET",
                "http://a.example/",
                Step::Scheme,
            ),
            (
                "https://a.example",
                "",
                "GET",
                "http://a.example:443/",
                Step::Scheme,
            ),
            (
                "https://a.example",
                "",
                "GET",
                "https://a.example:8443/",
                Step::Port,
            ),
            (
                "https://a.example:8443",
                "",
                "GET",
                "https://a.example:8443/",
                Step::Allowed,
            ),
            (
                "https://a.example:8443",
                "",
                "GET",
                "https://a.example/",
                Step::Port,
            ),
            (
                "https://a.example",
                "",
                "GET",
                "https://b.example/",
                Step::Host,
            ),
            (
                "https://a.example",
                "",
                "GET",
                "https://a.example.b.example/",
                Step::Host,
            ),
            (
                "https://a.example",
                "",
                "GET",
                "https://x.a.example/",
                Step::Host,
            ),
            (
                "https://*.a.example",
                "",
                "GET",
                "https://x.a.example/",
                Step::Allowed,
            ),
            (
                "https://*.a.example",
                "",
                "GET",
                "https://y.x.a.example/",
                Step::Allowed,
            ),
            (
                "https://*.a.example",
                "",
                "GET",
                "https://a.example/",
                Step::Host,
            ),
            (
                "https://*.a.example",
                "",
                "GET",
                "https://xa.example/",
                Step::Host,
            ),
            (
                "https://bücher.example",
                "",
                "GET",
                "https://xn--bcher-kva.example/",
                Step::Allowed,
            ),
            (
                "http://9.9.9.9",
                "",
                "GET",
                "http://9.9.9.9/",
                Step::Allowed,
            ),
            (
                "http://9.9.9.9",
                "",
                "GET",
                "http://0x09090909/",
                Step::Allowed,
            ),
            (
                "http://9.9.9.9",
                "",
                "GET",
                "http://[::ffff:9.9.9.9]/",
                Step::Host,
            ),
            (
                "http://[2001:470::1]",
                "",
                "GET",
                "http://[2001:470:0::0:1]/",
                Step::Allowed,
            ),
        ] {
            let rule = rule(rule_url, methods, "");
            let target = Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let step = rule.judge(method, &target);
            assert_eq!(step, expected, "{method} {url} by {rule}");
            let permitted = permit(&[rule], method, &target).is_ok();
            assert_eq!(permitted, expected == Step::Allowed, "{method} {url}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_meant_should_be_refused() {
        for (url, methods, networks, part) in [
            ("auth.example.com", "", "", "does not begin"),
            ("ftp://a.example", "", "", "neither http nor https"),
            ("https://a.example/?x", "", "", "a query"),
            ("https://a.example/#x", "", "", "a fragment"),
            ("https://u:p@a.example/", "", "", "names a user"),
            ("https://*/", "", "", "no name of a host"),
            ("https://*.*.example/", "", "", "no name of a host"),
            ("https://a.*.example/", "", "", "no name of a host"),
            ("https://*a.example/", "", "", "no name of a host"),
            ("https://*.9.9.9.9/", "", "", "below an address"),
            ("https://*.[::1]/", "", "", "below an address"),
            ("https://a.example/%2e%2e", "", "", "encoded dot"),
            ("https://a.example:0/", "", "", "port 0"),
            ("https://a.example", "get", "", "write GET"),
            ("https://a.example", "CONNECT", "", "never allowed"),
            ("https://a.example", "TRACE", "", "never allowed"),
            ("https://a.example", "A,B", "", "method is not one"),
            ("https://a.example", "", "10.1.2.3/8", "write 10.0.0.0/8"),
            ("https://a.example", "", "10.0.0.0/33", "neither a network"),
            ("https://a.example", "", "private", "neither a network"),
            (
                "https://a.example",
                "",
                "::ffff:10.0.0.0/104",
                "write it as IPv4",
            ),
            (
                "http://10.1.2.3",
                "",
                "",
                "name 10.1.2.3 in the rule's networks",
            ),
            ("http://0xa010203", "", "", "private, RFC 1918"),
            ("http://10.1.2.3", "", "10.1.3.0/24", "private, RFC 1918"),
            ("http://[::1]", "", "127.0.0.0/8", "loopback, RFC 4291"),
            ("http://[::ffff:127.0.0.1]", "", "::/0", "name 127.0.0.1 in"),
        ] {
            match AllowRule::parse(url, &strings(methods), &strings(networks)) {
                Ok(rule) => panic!("{url} was read as {rule:?}"),
                Err(error) => assert!(error.contains(part), "{url}: {error}"),
            }
        }
    }

    #[test]
    fn a_refusal_should_name_what_failed_in_the_closest_rule() {
        let rules = [
            rule("https://a.example/v1", "", ""),
            rule("https://b.example:8443", "POST", "10.0.0.0/8"),
        ];
        for (method, url, part) in [
            (
                "GET",
                "https://c.example/x?secret",
                "no rule names the host c.example",
            ),
            (
                "GET",
                "https://a.example/v2",
                "the rule https://a.example/v1/ is for other paths",
            ),
            ("PUT", "https://a.example/v1", "is for other methods"),
            ("POST", "https://b.example/", "is for port 8443"),
            ("POST", "http://b.example/", "is for https"),
        ] {
            let target = Target::parse(url).expect(url);
            let reason = permit(&rules, method, &target).expect_err(url);
            let text = reason.for_guest();
            assert!(text.contains(part), "{url}: {text}");
            assert!(!text.contains("secret"), "{text}");
            assert!(text.contains("ask the operator"), "{text}");
        }
        let target = Target::parse("https://a.example/").expect("URL");
        let reason = permit(&[], "GET", &target).expect_err("no rules");
        assert!(reason.for_guest().contains("no rule names"), "{reason}");
    }

    #[test]
    fn the_networks_of_all_rules_that_allow_a_request_should_count() {
        let rules = [
            rule("http://a.example", "", "10.0.0.0/8"),
            rule("http://a.example/v1", "GET", "fd00::7 ::ffff:127.0.0.1"),
            rule("http://a.example/v1", "POST", "192.168.0.0/16"),
        ];
        let target = Target::parse("http://a.example/v1/x").expect("URL");
        let networks = permit(&rules, "GET", &target).expect("allowed");
        let texts: Vec<_> = networks.iter().map(IpNet::to_string).collect();
        assert_eq!(texts, ["10.0.0.0/8", "fd00::7/128", "127.0.0.1/32"]);
    }

    /// The same sequence from the same number.
    #[test]
    fn any_text_should_be_judged_without_a_panic_and_as_it_is_sent() {
        let parts = [
            "http",
            "https",
            "://",
            ":",
            "/",
            "//",
            "\\",
            "@",
            "?",
            "#",
            "*.",
            "a.example",
            ".",
            "..",
            "/v1",
            "%2e",
            "%2F",
            "%25",
            "%",
            "[",
            "]",
            "::1",
            "::ffff:",
            "10.1.2.3",
            "0x7f",
            ":80",
            ":99999",
            ";",
            "é",
            "\u{200b}",
            "\0",
            "\t",
            "xn--",
            "①",
            "v1",
            "x",
        ];
        let rules = [rule("http://a.example/v1", "", "")];
        let mut random = fastrand::Rng::with_seed(7);
        let mut allowed = 0;
        for _ in 0..200_000 {
            let mut url = random
                .choice(["", "http://a.example/v1", "http://"])
                .unwrap_or("")
                .to_owned();
            for _ in 0..random.usize(..6) {
                url.push_str(random.choice(parts).unwrap_or(""));
            }
            let _ = AllowRule::parse(&url, &[], &[]);
            let Ok(target) = Target::parse(&url) else {
                continue;
            };
            let again = Target::parse(&target.to_string()).expect("a URL that was read");
            assert_eq!(
                (again.host(), again.path()),
                (target.host(), target.path()),
                "{url:?}"
            );
            if permit(&rules, "GET", &target).is_ok() {
                allowed += 1;
                assert_eq!(target.host(), "a.example", "{url:?}");
                let path = target.path();
                assert!(path == "/v1" || path.starts_with("/v1/"), "{url:?}");
                assert!(!path.split('/').any(|part| part == ".."), "{url:?}");
            }
        }
        assert!(allowed > 1000, "{allowed} allowed");
    }
}
