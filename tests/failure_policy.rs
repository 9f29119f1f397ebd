//! What the client and the upstream see of a filter that fails: every cause,
//! under every policy, in both phases, in front of the model of the gateway. A
//! filter that is left out must leave nothing behind.

#[path = "failure_policy/guests.rs"]
mod guests;

use std::path::Path;
use std::time::{Duration, Instant};

use harness::test_gateway::{NGINX_PAGE, ResponseOutcome};
use harness::{
    ClientResponse, Fault, HttpOutcome, HttpRequest, Observed, RouteConf, RunnerProcess,
    TestGateway, UpstreamResponse, WireClient,
};
use protocol::gateway_side::{HttpAction, Reply};
use tempfile::TempDir;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// The log is written by a thread of its own.
const SOON: Duration = Duration::from_secs(10);

/// Each cause, the kind it is of, and the plugins that bring it about: in a
/// request and in a response.
const CAUSES: [(&str, &str, [&str; 2]); 13] = [
    ("missing", "missing", ["absent"; 2]),
    ("load", "load", ["broken"; 2]),
    ("configuration", "configuration", ["refusing"; 2]),
    ("not_ready", "not_ready", ["preparing"; 2]),
    ("wrong_phase", "wrong_phase", ["responses", "requests"]),
    ("trap", "trap", ["trapping"; 2]),
    ("trap", "trap", ["trapping-in-configure"; 2]),
    ("deadline_cpu", "deadline", ["looping"; 2]),
    ("deadline_wall", "deadline", ["sleeping"; 2]),
    ("memory", "memory", ["growing"; 2]),
    ("limit", "limit", ["flooding"; 2]),
    ("saturation", "saturation", ["busy"; 2]),
    ("guest_error", "guest_error", ["reporting"; 2]),
];

/// A status for each kind, and what the client reads with it.
const STATUSES: [(&str, u16, &str); 11] = [
    ("missing", 404, "404 Not Found\n"),
    ("load", 500, "500 Internal Server Error\n"),
    ("configuration", 501, "501 Not Implemented\n"),
    ("not_ready", 503, "503 Service Unavailable\n"),
    ("wrong_phase", 405, "405 Method Not Allowed\n"),
    ("trap", 502, "502 Bad Gateway\n"),
    ("deadline", 504, "504 Gateway Timeout\n"),
    ("memory", 507, "507 Insufficient Storage\n"),
    ("limit", 413, "413 Payload Too Large\n"),
    ("saturation", 429, "429 Too Many Requests\n"),
    ("guest_error", 599, "599\n"),
];

/// A runner with all guests, in front of a gateway.
struct Stage {
    runner: RunnerProcess,
    gateway: TestGateway,
    _folder: TempDir,
}

impl Stage {
    /// `limits` and `plugins` are the insides of mappings in flow style.
    fn new(on_error: &str, limits: &str, plugins: &str) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let place = |name: &str| folder.path().join(name);
        std::fs::create_dir(place("modules")).expect("folder");
        for (name, guest) in guests::all() {
            std::fs::write(place(&format!("modules/{name}.wasm")), guest.build()).expect(name);
        }
        std::fs::write(place("modules/broken.wasm"), "no component").expect("file");
        let config =
            format!("on_error: {on_error}\nlimits: {{{limits}}}\nplugins: {{{plugins}}}\n");
        std::fs::write(place("config.yaml"), config).expect("configuration");
        let args = [
            "serve".into(),
            "--modules".into(),
            place("modules"),
            "--config".into(),
            place("config.yaml"),
        ];
        let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("a runner");
        Stage {
            gateway: TestGateway::new(runner.socket()),
            runner,
            _folder: folder,
        }
    }

    /// With limits that the guests reach soon.
    fn where_everything_fails(on_error: &str) -> Self {
        let stage = Stage::new(
            on_error,
            // Long on the wall, where the machine has other work.
            "prepare_ms: 2000, handler_wall_ms: 40000, configure_wall_ms: 40000",
            "preparing: {limits: {configure_ms: 30000}}, \
             sleeping: {limits: {handler_wall_ms: 100}}, \
             flooding: {limits: {host_call_mib: 1}}, \
             busy: {limits: {concurrent_calls: 1, waiting_calls: 0}}",
        );
        stage.says(&["plugins can be used"]);
        stage
    }

    /// A call that is in flight for as long as its wall clock allows, in the only
    /// place of this plugin.
    fn occupant_of(&self, plugin: &str) -> WireClient {
        let mut occupant = WireClient::connect(self.runner.socket()).expect("connection");
        let conf_token = occupant.prepare(&[(plugin, "")]).expect("token");
        let call = WireClient::simplest_call(conf_token);
        occupant.send(&call).expect("sent");
        self.says(&["asleep"]);
        occupant
    }

    /// The plugin between two others.
    fn route(&self, key: &str, plugin: &str) -> RouteConf {
        let route = RouteConf::new(key).plugin("before", "");
        route.plugin(plugin, "").plugin("after", "")
    }

    fn request(&self, route: &RouteConf) -> Observed<HttpOutcome> {
        self.gateway
            .request_phase(route, &HttpRequest::new("GET", "/r?a=1"))
    }

    fn response(&self, route: &RouteConf) -> Observed<ResponseOutcome> {
        let request = HttpRequest::new("GET", "/r").variable("request_method", "GET");
        let upstream = UpstreamResponse::new(200, "secret").header("X-Up", "1");
        self.gateway
            .response_phase(route, &request, &mut || upstream.clone())
    }

    /// Waits for a line with all of these in it.
    fn says(&self, texts: &[&str]) {
        let end = Instant::now() + SOON;
        let said = || {
            let log = self.runner.log();
            log.lines()
                .any(|line| texts.iter().all(|text| line.contains(text)))
        };
        while !said() {
            assert!(Instant::now() < end, "{texts:?}:\n{}", self.runner.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Checks every cause in both phases and names all rows that are wrong.
fn check_all(on_error: &str, check: impl Fn(&Stage, Row) -> Result<(), String>) {
    let stage = Stage::where_everything_fails(on_error);
    let mut wrong = Vec::new();
    for (cause, kind, plugins) in CAUSES {
        // Not before: on a busy machine the rows above may take longer than it.
        let _occupant = (cause == "saturation").then(|| stage.occupant_of(plugins[0]));
        for (phase, plugin) in ["request", "response"].into_iter().zip(plugins) {
            let row = Row {
                cause,
                kind,
                phase,
                plugin,
            };
            if let Err(found) = check(&stage, row) {
                wrong.push(format!("{cause} ({plugin}), {phase} phase: {found}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "on_error: {on_error}\n{}\n{}",
        wrong.join("\n"),
        stage.runner.log()
    );
}

#[derive(Clone, Copy)]
struct Row {
    cause: &'static str,
    kind: &'static str,
    phase: &'static str,
    plugin: &'static str,
}

impl Row {
    fn key(&self) -> String {
        format!("route-{}-{}", self.phase, self.plugin)
    }

    /// Each failure is logged with what it was and what was done about it.
    fn is_logged(&self, stage: &Stage, action: &str) {
        stage.says(&[
            &format!("plugin={} route=", self.plugin),
            "request=",
            &format!("cause={} action={action}", self.cause),
        ]);
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{found:?} instead of {expected:?}")),
    }
}

/// A response of the runner's own.
fn text(status: u16, body: &str) -> ClientResponse {
    let mut response = ClientResponse {
        status,
        headers: vec![],
        body: body.into(),
    };
    let value = "text/plain; charset=utf-8";
    let header = protocol::gateway_side::NamedValue::new("content-type", value);
    response.headers.push(header);
    response
}

#[test]
fn closed_should_end_the_call_and_withhold_the_response() {
    check_all("closed", |stage, row| {
        let route = stage.route(&row.key(), row.plugin);
        for degradable in [false, true] {
            let route = match degradable {
                true => route.clone().allow_degradation(),
                false => route.clone(),
            };
            if row.phase == "response" {
                let observed = stage.response(&route);
                expect(observed.faults, vec![])?;
                let outcome = observed.outcome;
                let withheld = text(503, "503 Service Unavailable\n");
                expect((outcome.response, outcome.upstream_calls), (withheld, 1))?;
                continue;
            }
            let observed = stage.request(&route);
            expect(observed.faults, vec![Fault::Refused(1)])?;
            match (degradable, observed.outcome) {
                (false, HttpOutcome::Client(response)) => {
                    expect((response.status, &*response.body), (503, NGINX_PAGE))?;
                }
                (true, HttpOutcome::Upstream(upstream)) => {
                    expect(upstream.headers.len(), 1)?;
                }
                (_, other) => return Err(format!("{other:?}")),
            }
        }
        row.is_logged(stage, "closed");
        Ok(())
    });
}

#[test]
fn a_status_should_reach_the_client_whatever_the_route_allows() {
    let actions = STATUSES.map(|(kind, status, _)| format!("{kind}: {status}"));
    let on_error = format!("{{{}}}", actions.join(", "));
    check_all(&on_error, |stage, row| {
        let (_, status, body) = STATUSES
            .into_iter()
            .find(|(kind, ..)| *kind == row.kind)
            .expect("every kind has one");
        let route = stage.route(&row.key(), row.plugin).allow_degradation();
        let response = match row.phase {
            "response" => {
                let observed = stage.response(&route);
                expect(observed.faults, vec![])?;
                expect(observed.outcome.upstream_calls, 1)?;
                observed.outcome.response
            }
            _ => match stage.request(&route).faultless() {
                Ok(HttpOutcome::Client(response)) => response,
                other => return Err(format!("{other:?}")),
            },
        };
        expect(response, text(status, body))?;
        row.is_logged(stage, &status.to_string());
        Ok(())
    });
}

#[test]
fn open_should_leave_the_filter_out_and_nothing_of_it_behind() {
    check_all("open", |stage, row| {
        let route = stage.route(&row.key(), row.plugin);
        let alone = RouteConf::new(&format!("{} alone", row.key())).plugin(row.plugin, "");
        let nothing = RouteConf::new("nothing");
        let headers = |named: &dyn Fn(&str) -> usize| ["x-before", "x-after", "x-half"].map(named);
        if row.phase == "response" {
            let observed = stage.response(&route);
            expect(observed.faults, vec![])?;
            let response = observed.outcome.response;
            expect((response.status, &*response.body), (200, &b"secret"[..]))?;
            expect(headers(&|name| response.header(name).len()), [1, 1, 0])?;
            expect(response.header("x-up").len(), 1)?;
            expect(stage.response(&alone), stage.response(&nothing))?;
        } else {
            match stage.request(&route).faultless() {
                Ok(HttpOutcome::Upstream(upstream)) => {
                    expect(headers(&|name| upstream.header(name).len()), [1, 1, 0])?;
                    expect(&*upstream.path_and_query, &b"/r?a=1"[..])?;
                }
                other => return Err(format!("{other:?}")),
            }
            expect(stage.request(&alone), stage.request(&nothing))?;
        }
        row.is_logged(stage, "open");
        Ok(())
    });
}

#[test]
fn a_plugin_should_have_a_policy_of_its_own_whether_it_is_there_or_not() {
    let stage = Stage::new(
        "{trap: 502}",
        "",
        "absent: {on_error: {missing: open}}, trapping: {on_error: {default: 504, memory: open}}, \
         growing: {on_error: open}",
    );
    // None: it reaches the upstream.
    let rows = [
        ("absent", None),
        ("absent-too", Some(503)),
        ("trapping", Some(504)),
        ("trapping-in-configure", Some(502)),
        ("growing", None),
        ("looping", Some(503)),
    ];
    for (plugin, expected) in rows {
        let status = match stage.request(&stage.route(plugin, plugin)).outcome {
            HttpOutcome::Upstream(_) => None,
            HttpOutcome::Client(response) => Some(response.status),
        };
        assert_eq!(status, expected, "{plugin}:\n{}", stage.runner.log());
    }
    stage.says(&[
        "plugin=absent",
        "cause=missing action=open",
        "every call goes on without it",
    ]);
}

/// Calls a filter that asks, and one behind it; sends something else than the
/// answer or nothing, and returns what the runner replies to the call.
fn call_without_an_answer(on_error: &str, instead: &[u8], logged: &str) -> Reply {
    let stage = Stage::new(on_error, "gateway_ms: 200", "");
    let mut client = WireClient::connect(stage.runner.socket()).expect("connection");
    let conf_token = client
        .prepare(&[("asking", ""), ("after", "")])
        .expect("token");
    let question = client.call(conf_token);
    assert!(matches!(question, Ok(Reply::ExtraInfo(_))), "{question:?}");
    client.send(instead).expect("sent");
    let reply = client.receive().expect("a reply");
    stage.says(&["plugin=asking", logged]);
    reply
}

#[test]
fn a_gateway_that_does_not_answer_should_be_a_deadline_and_a_lost_one_end_the_call() {
    let late = |action| format!("cause=deadline_gateway action={action}");
    let reply = call_without_an_answer("open", b"", &late("open"));
    let rewrites = |action: &HttpAction| match action {
        HttpAction::Rewrite { headers, .. } => headers.len() == 1 && headers[0].name == b"x-after",
        _ => false,
    };
    assert!(
        matches!(&reply, Reply::HttpReqCall { action, .. } if rewrites(action)),
        "{reply:?}"
    );
    let reply = call_without_an_answer("{deadline: 504}", b"", &late("504"));
    assert!(
        matches!(
            reply,
            Reply::HttpReqCall {
                action: HttpAction::Stop { status: 504, .. },
                ..
            }
        ),
        "{reply:?}"
    );
    let call = WireClient::simplest_call(1);
    let reply = call_without_an_answer("open", &call, "cause=gateway_lost action=closed");
    assert_eq!(reply, Reply::Error(1));
}
