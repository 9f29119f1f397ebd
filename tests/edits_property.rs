//! Any sequence of edits, made through the interface by a chain of filters and
//! applied by the gateway, gives the request that applying them directly
//! gives. The sequences are random and the same in every run.

use std::collections::BTreeMap;

use std::time::{Duration, Instant};

use harness::{
    Fault, HttpOutcome, HttpRequest, RouteConf, TestGateway, UpstreamRequest, modules, query,
};
use protocol::gateway_side::NamedValue;
use serde_json::json;

/// How many sequences of up to how many edits.
const SEQUENCES: u64 = 400;
const EDITS: usize = 7;

/// One edit, as an author makes it.
#[derive(Debug, Clone)]
enum Edit {
    SetPath(String),
    SetHeader(String, String),
    AddHeader(String, String),
    RemoveHeader(String),
    SetArg(String, String),
    AddArg(String, String),
    RemoveArg(String),
    SetBody(String),
}

impl Edit {
    fn random(random: &mut fastrand::Rng) -> Self {
        let value = |random: &mut fastrand::Rng| {
            random
                .choice(["", "1", "a b", "%41&=", "ü", "x;y"])
                .unwrap_or_default()
                .to_owned()
        };
        let header = random
            .choice(["X-A", "x-a", "X-B", "cookie"])
            .unwrap_or_default()
            .to_owned();
        let arg = random
            .choice(["a", "A", "b c", "z", "%"])
            .unwrap_or_default()
            .to_owned();
        match random.u8(0..8) {
            0 => Edit::SetPath(format!("/{}", value(random))),
            // nginx does not send an empty header.
            1 => Edit::SetHeader(header, format!("v{}", value(random))),
            2 => Edit::AddHeader(header, format!("v{}", value(random))),
            3 => Edit::RemoveHeader(header),
            4 => Edit::SetArg(arg, value(random)),
            5 => Edit::AddArg(arg, value(random)),
            6 => Edit::RemoveArg(arg),
            _ => Edit::SetBody(format!("b{}", value(random))),
        }
    }

    /// The configuration of `probe` that makes it.
    fn conf(&self) -> String {
        let conf = match self {
            Edit::SetPath(path) => json!({"set_path": path}),
            Edit::SetHeader(name, value) => json!({"set_headers": {name: value}}),
            Edit::AddHeader(name, value) => json!({"add_headers": {name: value}}),
            Edit::RemoveHeader(name) => json!({"remove_headers": [name]}),
            Edit::SetArg(name, value) => json!({"set_args": {name: value}}),
            Edit::AddArg(name, value) => json!({"add_args": {name: value}}),
            Edit::RemoveArg(name) => json!({"remove_args": [name]}),
            Edit::SetBody(body) => json!({"set_body": body}),
        };
        conf.to_string()
    }
}

/// A request as a set of values by name: the order of names means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    path: Vec<u8>,
    headers: BTreeMap<String, Vec<Vec<u8>>>,
    args: BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>>,
    body: Option<Vec<u8>>,
}

impl Plain {
    /// `path` is encoded.
    fn new(path: &[u8], headers: &[NamedValue], args: &[NamedValue], body: Option<&[u8]>) -> Self {
        let mut plain = Plain {
            path: path.to_vec(),
            headers: BTreeMap::new(),
            args: BTreeMap::new(),
            body: body.map(<[u8]>::to_vec),
        };
        for header in headers {
            let name = String::from_utf8_lossy(&header.name).to_ascii_lowercase();
            // The gateway counts it anew for a new body.
            if name != "content-length" {
                let values = plain.headers.entry(name).or_default();
                values.push(header.value.clone().unwrap_or_default());
            }
        }
        for arg in args {
            plain
                .args
                .entry(arg.name.clone())
                .or_default()
                .push(arg.value.clone());
        }
        plain
    }

    fn of_client(request: &HttpRequest) -> Self {
        let path = query::escape_path(&request.path);
        Plain::new(
            &path,
            &request.headers,
            &request.args,
            request.body.as_deref(),
        )
    }

    fn of_upstream(request: &UpstreamRequest) -> Self {
        let (path, query) = query::split_target(&request.path_and_query);
        let args = query::parse_args(query.unwrap_or_default());
        Plain::new(path, &request.headers, &args, request.body.as_deref())
    }

    /// Applies an edit directly; `None` where it cannot be expressed.
    fn apply(mut self, edit: &Edit) -> Option<Self> {
        match edit {
            Edit::SetPath(path) => self.path = query::escape_path(path.as_bytes()),
            Edit::SetHeader(name, value) => {
                self.headers
                    .insert(name.to_ascii_lowercase(), vec![value.clone().into()]);
            }
            Edit::AddHeader(name, value) => {
                let values = self.headers.entry(name.to_ascii_lowercase()).or_default();
                if !values.is_empty() {
                    return None;
                }
                values.push(value.clone().into());
            }
            Edit::RemoveHeader(name) => {
                self.headers.remove(&name.to_ascii_lowercase());
            }
            Edit::SetArg(name, value) => {
                self.args
                    .insert(name.clone().into(), vec![Some(value.clone().into())]);
            }
            Edit::AddArg(name, value) => {
                let values = self.args.entry(name.clone().into()).or_default();
                if values.contains(&None) {
                    return None;
                }
                values.push(Some(value.clone().into()));
            }
            Edit::RemoveArg(name) => {
                self.args.remove(name.as_bytes());
            }
            Edit::SetBody(body) => self.body = Some(body.clone().into()),
        }
        Some(self)
    }
}

fn requests() -> Vec<HttpRequest> {
    let request = HttpRequest::new("POST", "/p 1%/x?a=1&a=2&z&b%20c=3&_=0")
        .header("X-A", "1")
        .header("X-A", "2")
        .header("Cookie", "c=1")
        .body("body");
    vec![HttpRequest::new("GET", "/"), request]
}

#[test]
fn edits_through_the_interface_should_equal_edits_applied_directly() {
    let runner = modules::runner(env!("CARGO_BIN_EXE_runner"), &modules::examples());
    let gateways = [
        TestGateway::new(runner.socket()),
        TestGateway::new(runner.socket()).before_3_16(),
    ];
    let mut random = fastrand::Rng::with_seed(1);
    let (mut passed, mut refused) = (0, 0);
    for sequence in 0..SEQUENCES {
        let edits: Vec<Edit> = (0..random.usize(0..=EDITS))
            .map(|_| Edit::random(&mut random))
            .collect();
        let mut route = RouteConf::new(&format!("sequence {sequence}"));
        for edit in &edits {
            route = route.plugin("probe", &edit.conf());
        }
        for request in requests() {
            let directly = edits
                .iter()
                .try_fold(Plain::of_client(&request), |plain, edit| plain.apply(edit));
            for gateway in &gateways {
                let outcome = gateway.request_phase(&route, &request).faultless();
                match (&directly, outcome) {
                    (Some(expected), Ok(HttpOutcome::Upstream(upstream))) => {
                        let found = Plain::of_upstream(&upstream);
                        assert_eq!(found, *expected, "{sequence}: {edits:?} on {request:?}");
                        passed += 1;
                    }
                    (None, Err(fault)) => {
                        assert_eq!(fault, Fault::Refused(1), "{edits:?}");
                        refused += 1;
                    }
                    (expected, found) => {
                        panic!("{sequence}: {edits:?} on {request:?}: {expected:?}, got {found:?}")
                    }
                }
            }
        }
    }
    assert!(passed > 400, "only {passed} sequences could be expressed");
    // Every refusal has one of the two reasons that `Plain::apply` knows.
    let reasons = ["cannot add a second value", "value-less occurrence"];
    let said = || {
        let log = runner.log();
        let lines = log.lines();
        lines
            .filter(|line| reasons.iter().any(|reason| line.contains(reason)))
            .count()
    };
    // The log is written by a thread of its own.
    let end = Instant::now() + Duration::from_secs(10);
    while said() < refused && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(
        refused > 100 && said() == refused,
        "{refused} refusals:\n{}",
        runner.log()
    );
}

/// After proxy-rewrite the gateway holds the target in another place.
#[test]
fn edits_after_a_rewrite_by_the_gateway_should_equal_them_too() {
    let runner = modules::runner(env!("CARGO_BIN_EXE_runner"), &modules::examples());
    let gateway = TestGateway::new(runner.socket());
    let mut random = fastrand::Rng::with_seed(2);
    for sequence in 0..SEQUENCES {
        let edit = Edit::random(&mut random);
        let route = RouteConf::new(&format!("sequence {sequence}")).plugin("probe", &edit.conf());
        let uri = "/new%20path/%C3%BC?a=1&q=2";
        let request = HttpRequest::new("GET", "/old")
            .variable("upstream_uri", uri)
            .rewritten_to(uri);
        let rewritten = HttpRequest::new("GET", "/new path/ü?a=1&q=2");
        let Some(expected) = Plain::of_client(&rewritten).apply(&edit) else {
            continue;
        };
        let outcome = gateway.request_phase(&route, &request).faultless();
        let Ok(HttpOutcome::Upstream(upstream)) = outcome else {
            panic!("{edit:?}: {outcome:?}");
        };
        assert_eq!(Plain::of_upstream(&upstream), expected, "{edit:?}");
    }
}
