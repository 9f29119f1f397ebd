//! Where a filter gets to: by name, by address, by tricks with either, by what a
//! server says, and which of it anybody but the allowed server ever hears of.

use crate::namespace::{inside, socket};
use crate::servers::Server;
use crate::stage::{PATIENT, Place, Stage, WAYS, granting, in_words_of, to};
use crate::town::{METADATA, NAMES, PRIVATE, PUBLIC, PUBLIC_V6, Town};

/// What may be reached, and nothing else.
const RULES: [&str; 6] = [
    "http://*.test/",
    "http://localhost/",
    "http://paths.example/v1/",
    "http://93.184.215.14/",
    "http://[2001:470::1]/",
    "http://moved.example:8300/",
];

/// A method and a URL, what the filter is told (an address is who answered), and
/// the same through `wasi:http` where its own types do not even take it.
const TRICKS: &[(&str, &str, &str, &str)] = &[
    // Addresses in all their forms.
    ("GET", "http://93.184.215.14/", PUBLIC, ""),
    ("GET", "http://1572394766/", PUBLIC, ""),
    ("GET", "http://[2001:470::1]/", PUBLIC_V6, ""),
    ("GET", "http://[::ffff:5db8:d70e]/", "denied", ""),
    ("GET", "http://127.0.0.1/", "denied", ""),
    ("GET", "http://127.0.0.1./", "denied", ""),
    ("GET", "http://127.1/", "denied", ""),
    ("GET", "http://2130706433/", "denied", ""),
    ("GET", "http://0x7f000001/", "denied", ""),
    ("GET", "http://0x7f.0.0.1/", "denied", ""),
    ("GET", "http://0177.0.0.1/", "denied", ""),
    ("GET", "http://017700000001/", "denied", ""),
    (
        "GET",
        "http://%31%32%37.0.0.1/",
        "denied",
        "authority refused",
    ),
    ("GET", "http://①②⑦.0.0.1/", "denied", "authority refused"),
    ("GET", "http://0/", "denied", ""),
    ("GET", "http://0.0.0.0/", "denied", ""),
    ("GET", "http://2852039166/", "denied", ""),
    (
        "GET",
        "http://169.254.169.254/latest/meta-data/",
        "denied",
        "",
    ),
    ("GET", "http://10.1.2.3/", "denied", ""),
    ("GET", "http://[::]/", "denied", ""),
    ("GET", "http://[::1]/", "denied", ""),
    ("GET", "http://[0:0:0:0:0:0:0:1]/", "denied", ""),
    ("GET", "http://[::ffff:127.0.0.1]/", "denied", ""),
    ("GET", "http://[::ffff:7f00:1]/", "denied", ""),
    ("GET", "http://[::ffff:169.254.169.254]/", "denied", ""),
    ("GET", "http://[::10.1.2.3]/", "denied", ""),
    ("GET", "http://[64:ff9b::10.1.2.3]/", "denied", ""),
    ("GET", "http://[64:ff9b:1::a01:203]/", "denied", ""),
    ("GET", "http://[2002:a01:203::1]/", "denied", ""),
    ("GET", "http://[fd00::7]/", "denied", ""),
    ("GET", "http://[fe80::7]/", "denied", ""),
    ("GET", "http://[fe80::7%25lo]/", "invalid", ""),
    ("GET", "http://[fe80::7%1]/", "invalid", ""),
    // Names that are not what they seem.
    ("GET", "http://localhost/", "denied", ""),
    ("GET", "http://LOCALHOST/", "denied", ""),
    ("GET", "http://public.test./", "invalid", ""),
    ("GET", "http://PUBLIC.Test/", PUBLIC, ""),
    ("GET", "http://public.test.evil.example/", "denied", ""),
    ("GET", "http://test/", "denied", ""),
    ("GET", "http://nobody.test/", "unresolvable", ""),
    ("GET", "http://public.test@127.0.0.1/", "invalid", ""),
    ("GET", "http://public.test:80@127.0.0.1/", "invalid", ""),
    ("GET", "http://127.0.0.1@public.test/", "invalid", ""),
    (
        "GET",
        "http://public.test\\@127.0.0.1/",
        "invalid",
        "path refused",
    ),
    (
        "GET",
        "http://127.0.0.1\\@public.test/",
        "invalid",
        "path refused",
    ),
    (
        "GET",
        "http://public.test#@127.0.0.1/",
        PUBLIC,
        "authority refused",
    ),
    ("GET", "http://public.test?@127.0.0.1/", PUBLIC, ""),
    ("GET", "http://127.0.0.1?@public.test/", "denied", ""),
    (
        "GET",
        "http://public.test:80:80/",
        "invalid",
        "authority refused",
    ),
    (
        "GET",
        "http://public.test 127.0.0.1/",
        "invalid",
        "authority refused",
    ),
    ("GET", "http:///127.0.0.1/", "invalid", "authority refused"),
    // Paths that lead out of what is allowed.
    ("GET", "http://paths.example/v1/", PUBLIC, ""),
    ("GET", "http://paths.example/v1/./x", PUBLIC, ""),
    ("GET", "http://paths.example/v1", PUBLIC, ""),
    ("GET", "http://paths.example/", "denied", ""),
    ("GET", "http://paths.example/v1x", "denied", ""),
    ("GET", "http://paths.example/V1/", "denied", ""),
    ("GET", "http://paths.example//v1/", "denied", ""),
    ("GET", "http://paths.example/v1/../admin", "denied", ""),
    ("GET", "http://paths.example/v1/%2e%2e/admin", "invalid", ""),
    ("GET", "http://paths.example/v1/.%2E/admin", "invalid", ""),
    (
        "GET",
        "http://paths.example/v1/%252e%252e/admin",
        "invalid",
        "",
    ),
    ("GET", "http://paths.example/v1/..%2fadmin", "invalid", ""),
    ("GET", "http://paths.example/v1/..%5cadmin", "invalid", ""),
    ("GET", "http://paths.example/v1/..;/admin", "invalid", ""),
    (
        "GET",
        "http://paths.example/v1/%c0%ae%c0%ae/admin",
        "invalid",
        "",
    ),
    ("GET", "http://paths.example/v1/..\\admin", "invalid", ""),
    // What else a rule says.
    ("HEAD", "http://paths.example/v1/", "200 ", "200 "),
    ("POST", "http://public.test/", "denied", ""),
    ("DELETE", "http://public.test/", "denied", ""),
    ("get", "http://public.test/", "invalid", "denied"),
    ("CONNECT", "http://public.test/", "invalid", ""),
    ("TRACE", "http://public.test/", "invalid", ""),
    ("GET", "http://public.test:81/", "denied", ""),
    ("GET", "http://public.test:22/", "denied", ""),
    ("GET", "http://public.test:0/", "invalid", ""),
    ("GET", "https://public.test/", "denied", ""),
    (
        "GET",
        "ftp://public.test/",
        "invalid",
        "ErrorCode::HttpProtocolError",
    ),
    ("GET", "file:///etc/passwd", "invalid", "authority refused"),
    (
        "GET",
        "gopher://169.254.169.254:80/_GET",
        "invalid",
        "ErrorCode::HttpProtocolError",
    ),
];

fn granted(town: &Town) -> String {
    let rules = RULES.map(to);
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    granting(town, PATIENT, &rules)
}

struct Trial {
    town: Town,
    stage: Stage,
}

impl Trial {
    fn begin() -> Self {
        let town = Town::build();
        let text = format!("grants: {}\nlimits: {{services_ms: 50000}}", granted(&town));
        let stage = Place::with(&WAYS).serve(&text);
        Trial { town, stage }
    }

    /// Lets a filter try. What should come of it is the address that answers, the
    /// kind of error, or what the filter says.
    fn check(&self, way: &str, attempt: &str, expected: &'static str, secrets: &str) {
        let told = self.stage.tried(way, attempt);
        self.town.expect(expected);
        let is_address = expected.parse::<std::net::IpAddr>().is_ok();
        let fits = match is_address {
            true => told == format!("200 {expected}"),
            false => told.starts_with(in_words_of(way, expected)),
        };
        assert!(fits, "{way}: {attempt}: {told:?} is not {expected:?}");
        // `::` is in the names of errors.
        let secrets = secrets.split_whitespace().filter(|secret| *secret != "::");
        for secret in secrets.filter(|_| !is_address) {
            assert!(!told.contains(secret), "{way}: {attempt}: {told:?}");
        }
    }

    fn check_names(&self, way: &str) {
        for (name, addresses, expected) in NAMES {
            self.town.names.add(name, &[addresses]);
            self.check(way, &format!("GET\thttp://{name}/"), expected, addresses);
        }
    }

    fn check_tricks(&self, way: &str) {
        self.town.names.add("paths.example", &[PUBLIC]);
        self.town.names.add("public.test.evil.example", &[PUBLIC]);
        self.town.names.add("test", &[PUBLIC]);
        for (method, url, expected, other) in TRICKS {
            let expected = if way == "fetch" || other.is_empty() {
                expected
            } else {
                other
            };
            if *method == "HEAD" {
                self.town.expect(PUBLIC);
            }
            self.check(way, &format!("{method}\t{url}"), expected, "");
        }
    }

    /// The second answer to the same name leads inside.
    fn check_rebinding(&self, way: &str, name: &'static str) {
        self.town.names.add(name, &[PUBLIC, PRIVATE]);
        let attempt = format!("GET\thttp://{name}/");
        self.check(way, &attempt, PUBLIC, "");
        self.check(way, &attempt, "denied", PRIVATE);
        assert_eq!(self.town.names.asked(name)[0], 2);
    }

    fn check_redirects(&self, way: &str, server: &Server) {
        let before = server.connections();
        for (status, location) in REDIRECTS {
            let told = self.stage.tried(
                way,
                &format!("GET\thttp://moved.example:8300/{status}?{location}"),
            );
            assert_eq!(told, format!("{status} {location}"), "{way}");
        }
        assert_eq!(server.connections(), before + REDIRECTS.len());
    }
}

/// Statuses that lead elsewhere, and where to.
const REDIRECTS: [(u16, &str); 8] = [
    (301, "http://169.254.169.254/latest/meta-data/"),
    (302, "http://127.0.0.1/"),
    (303, "http://[::1]/"),
    (307, "http://10.1.2.3/"),
    (308, "http://private.test/"),
    (302, "//169.254.169.254/"),
    (302, "file:///etc/passwd"),
    (302, "gopher://169.254.169.254:80/_GET"),
];

/// Sends everyone where its path says.
fn moved() -> Server {
    let script = |request: &str, wire: &mut dyn crate::servers::Wire| {
        let target = request.split(' ').nth(1).unwrap_or_default();
        let (status, location) = target[1..].split_once('?').unwrap_or_default();
        let answer = format!(
            "HTTP/1.1 {status} -\r\nlocation: {location}\r\ncontent-length: 0\r\n\
             connection: close\r\n\r\n"
        );
        let _ = wire.write_all(answer.as_bytes());
        false
    };
    Server::start(socket(PUBLIC, 8300), Box::new(script))
}

#[test]
fn a_filter_should_reach_nothing_but_what_is_allowed() {
    let name = "addresses::a_filter_should_reach_nothing_but_what_is_allowed";
    inside(name, || {
        let trial = Trial::begin();
        // The operator reads what the filter does not.
        trial.town.names.add("inside.test", &["10.1.2.3 fd00::7"]);
        trial.check(
            "fetch",
            "GET\thttp://inside.test/",
            "denied",
            "10.1.2.3 fd00::7",
        );
        trial.stage.logs(
            "a request of a filter came to nothing (denied): the host inside.test lies in a \
             network that filters do not reach; ask the operator to name its network in the rule \
             for it (",
        );
        trial.stage.logs("plugin=fetch left_out=0");
        trial.stage.logs("10.1.2.3: ");
        trial.stage.logs("fd00::7: ");
        trial.town.names.add("moved.example", &[PUBLIC]);
        let server = moved();
        for (way, rebinding) in WAYS.into_iter().zip(["rebind.test", "rebind-again.test"]) {
            trial.check_names(way);
            trial.check_tricks(way);
            trial.check_rebinding(way, rebinding);
            trial.check_redirects(way, &server);
        }
        for never in [
            PRIVATE,
            METADATA,
            "192.168.7.7",
            "fd00::7",
            "fe80::7",
            "127.0.0.1",
            "::1",
        ] {
            assert_eq!(trial.town.should_have_come(never), 1, "{never}");
        }
        trial.town.check_counts();
    });
}

#[test]
fn an_allowed_request_should_carry_what_the_filter_gives_it() {
    let name = "addresses::an_allowed_request_should_carry_what_the_filter_gives_it";
    inside(name, || {
        let town = Town::build();
        town.names.add("paths.example", &[PUBLIC]);
        let rule = format!("{}, methods: [POST]", to("http://paths.example/v1/"));
        let granted = granting(&town, PATIENT, &[&rule]);
        let stage = Place::with(&WAYS).serve(&format!("grants: {granted}"));
        let attempt = "POST\thttp://paths.example/v1/who?a=b%20c\theader x-of me\tbody of it";
        for (number, way) in WAYS.into_iter().enumerate() {
            assert_eq!(stage.tried(way, attempt), format!("200 {PUBLIC}"), "{way}");
            let requests = town.requests(PUBLIC);
            assert_eq!(requests.len(), number + 1, "{way}");
            let (head, body) = requests[number].split_once("\r\n\r\n").expect("a head");
            let mut lines: Vec<&str> = head.lines().collect();
            lines[1..].sort_unstable();
            let expected = [
                "POST /v1/who?a=b%20c HTTP/1.1",
                "content-length: 5",
                "host: paths.example",
                "x-of: me",
            ];
            assert_eq!((lines.as_slice(), body), (&expected[..], "of it"), "{way}");
        }
    });
}
