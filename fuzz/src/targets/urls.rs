//! What a filter may ask for: a method and a URL, which it chooses, against rules,
//! which it does not. A fault is a request that is allowed and not what a rule
//! says, and a URL that is another one when it is read again.
//!
//! Must not know what is done with a request that is allowed.

use std::sync::LazyLock;

use outbound::{AllowRule, Scheme, Target, permit};

use super::Depth;

/// Pieces of URLs, and what is put into them to lead readers astray.
pub const WORDS: &[&[u8]] = &[
    b"GET\n",
    b"POST\n",
    b"https://auth.example.com:8443/v1/",
    b"http://a.example.org/",
    b"http://127.0.0.1:8080/",
    b"../",
    b"/..",
    b"%2e%2e",
    b"%2f",
    b"%5c",
    b"\\",
    b"@",
    b"#",
    b"?",
    b":8443",
    b"//",
    b"[::ffff:127.0.0.1]",
    b"0x7f.1",
    b"2130706433",
    b"\xe3\x80\x82",
    b"\t",
    b"%00",
];

static RULES: LazyLock<Vec<AllowRule>> = LazyLock::new(|| {
    let rule = |url: &str, methods: &[&str], networks: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (methods, networks): (Vec<String>, Vec<String>) = (owned(methods), owned(networks));
        AllowRule::parse(url, &methods, &networks).expect("a rule")
    };
    vec![
        rule(
            "https://auth.example.com:8443/v1/",
            &["GET", "POST"],
            &["10.1.2.0/24"],
        ),
        rule("http://*.example.org/", &["GET"], &[]),
        rule("http://127.0.0.1:8080/", &["GET"], &["127.0.0.0/8"]),
    ]
});

/// The first line is the method, the rest the URL.
pub fn attack(data: &[u8]) -> Depth {
    let text = String::from_utf8_lossy(data);
    let (method, url) = text.split_once('\n').unwrap_or(("GET", &text));
    // A rule can be anything as well; it is the operator's.
    let _ = AllowRule::parse(url, &[method.to_owned()], &[method.to_owned()]);
    let Ok(target) = Target::parse(url) else {
        return Depth::Refused;
    };
    let again = format!(
        "{}://{}{}",
        target.scheme().name(),
        target.authority(),
        target.path_and_query()
    );
    let read = Target::parse(&again).expect("what was read can be read again");
    assert_eq!(
        read.authority(),
        target.authority(),
        "{url:?} and {again:?}"
    );
    assert_eq!(
        read.path_and_query(),
        target.path_and_query(),
        "{url:?} and {again:?}"
    );
    if permit(&RULES, method, &target).is_ok() {
        assert!(
            fits(method, &target),
            "{method} {url:?} is allowed: {target:?}"
        );
    }
    Depth::Read
}

/// What the rules say, said once more.
fn fits(method: &str, target: &Target) -> bool {
    let path = target.path();
    let lower = path.to_ascii_lowercase();
    let odd = ["/../", "/./", "\\", "%2e", "%2f", "%5c", "%00"];
    if odd.iter().any(|odd| lower.contains(odd)) || lower.ends_with("/..") {
        return false;
    }
    match (target.scheme(), target.host(), target.port()) {
        (Scheme::Https, "auth.example.com", 8443) => {
            ["GET", "POST"].contains(&method) && (path == "/v1" || path.starts_with("/v1/"))
        }
        (Scheme::Http, "127.0.0.1", 8080) => method == "GET",
        (Scheme::Http, host, 80) => method == "GET" && host.ends_with(".example.org"),
        _ => false,
    }
}
