//! What the gateway's own contract tests and the suites of the Go, Java and
//! Python runners expect of a runner, as tables against the real binary. Every
//! row says in `from` where it comes from; `contract/upstream.rs` lists all
//! cases of those suites, and holds that each has a row, a test elsewhere or a
//! reason why it does not apply.
//!
//! A case that another suite expects otherwise is a departure: its row says so
//! and expects what this runner does.
//!
//! Suites: APISIX `t/plugin/ext-plugin/*.t` (3.18, by number of the test), Go
//! runner b0d6d23, Java runner 0.6.0, Python runner 0.2.0.

#[path = "contract/calls.rs"]
mod calls;
#[path = "contract/configurations.rs"]
mod configurations;
#[path = "contract/conversations.rs"]
mod conversations;
#[path = "contract/process.rs"]
mod process;
#[path = "contract/requests.rs"]
mod requests;
#[path = "contract/responses.rs"]
mod responses;
#[path = "contract/runners.rs"]
mod runners;
#[path = "contract/upstream.rs"]
mod upstream;

use std::time::Duration;

use harness::wire_client::NoReply;
use harness::{
    ClientResponse, Fault, HttpOutcome, HttpRequest, Observed, RouteConf, RunnerProcess,
    TestGateway, UpstreamRequest, UpstreamResponse, WireClient, modules, query,
};
use protocol::FrameBuilder;
use protocol::gateway_side::{NamedValue, Reply, encode_answer};

/// The log is written by a thread of its own.
const SOON: Duration = Duration::from_secs(5);

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// Plugins with their configuration, in order.
type Plugins = &'static [(&'static str, &'static str)];

/// The header in which rows let `probe` report.
const REPORT: &str = "r";

/// A request through the request phase.
struct RequestRow {
    from: &'static str,
    what: &'static str,
    plugins: Plugins,
    request: HttpRequest,
    expected: &'static [Seen],
}

/// An upstream's response through the response phase.
struct ResponseRow {
    from: &'static str,
    what: &'static str,
    plugins: Plugins,
    request: HttpRequest,
    upstream: UpstreamResponse,
    expected: &'static [Seen],
}

/// One thing to be seen behind the gateway.
#[derive(Debug)]
enum Seen {
    /// The request goes on to this path and query; the order of different
    /// names in the query does not count.
    Target(&'static str),
    /// The client gets this status.
    Status(u16),
    /// All values of a header, of the request that goes on or else of the
    /// response.
    Header(&'static str, &'static [&'static str]),
    /// The same for the response to a request that goes on.
    ResponseHeader(&'static str, &'static [&'static str]),
    /// The body, of the request that goes on or else of the response.
    Body(&'static str),
    /// The report holds this.
    Read(&'static str),
    /// The call fails: 503 for the client, this in the log and nothing of it,
    /// nor of the upstream, in the response.
    Refused(&'static str),
}

/// What there is to be seen, as text.
#[derive(Debug, Default)]
struct View {
    target: Option<String>,
    status: Option<u16>,
    headers: Vec<(String, String)>,
    response_headers: Vec<(String, String)>,
    body: String,
    refused: bool,
}

impl From<UpstreamRequest> for View {
    fn from(request: UpstreamRequest) -> Self {
        View {
            target: Some(text(&request.path_and_query)),
            headers: texts(&request.headers),
            response_headers: texts(&request.response_headers),
            body: text(&request.body.unwrap_or_default()),
            ..View::default()
        }
    }
}

impl From<ClientResponse> for View {
    fn from(response: ClientResponse) -> Self {
        View {
            status: Some(response.status),
            headers: texts(&response.headers),
            body: text(&response.body),
            ..View::default()
        }
    }
}

impl View {
    fn of_request(observed: Observed<HttpOutcome>) -> Result<Self, String> {
        let refused = observed.faults == [Fault::Refused(1)];
        if !refused && !observed.faults.is_empty() {
            return Err(format!("{:?}", observed.faults));
        }
        let view = match observed.outcome {
            HttpOutcome::Upstream(request) => View::from(request),
            HttpOutcome::Client(response) => View::from(response),
        };
        Ok(View { refused, ..view })
    }

    fn shows(&self, seen: &Seen, log: &RunnerProcess) -> bool {
        match seen {
            Seen::Target(expected) => {
                self.target.as_deref().map(in_order) == Some(in_order(expected))
            }
            Seen::Status(expected) => self.status == Some(*expected),
            Seen::Header(name, expected) => values(&self.headers, name) == *expected,
            Seen::ResponseHeader(name, expected) => {
                values(&self.response_headers, name) == *expected
            }
            Seen::Body(expected) => self.body == *expected,
            Seen::Read(expected) => values(&self.headers, REPORT).concat().contains(expected),
            Seen::Refused(reason) => {
                self.refused
                    && self.status == Some(503)
                    && !self.body.contains(reason)
                    && log.prints(reason, SOON)
            }
        }
    }

    /// What a row expected and did not get, one line for each.
    fn check(&self, expected: &[Seen], log: &RunnerProcess) -> Vec<String> {
        let missing = expected.iter().filter(|seen| !self.shows(seen, log));
        missing
            .map(|seen| format!("{seen:?} in {self:?}"))
            .collect()
    }
}

/// Path and arguments, names in order, values of one name as they came.
fn in_order(target: &str) -> (Vec<u8>, Vec<NamedValue>) {
    let (path, query) = query::split_target(target.as_bytes());
    let mut args = query::parse_args(query.unwrap_or_default());
    args.sort_by(|a, b| a.name.cmp(&b.name));
    (path.to_vec(), args)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn texts(headers: &[NamedValue]) -> Vec<(String, String)> {
    let text_of = |header: &NamedValue| {
        let value = header.value.as_deref().unwrap_or_default();
        (text(&header.name), text(value))
    };
    headers.iter().map(text_of).collect()
}

fn values<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let named = headers
        .iter()
        .filter(|header| header.0.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

fn runner() -> RunnerProcess {
    modules::runner(RUNNER, &modules::examples())
}

fn route(plugins: Plugins) -> RouteConf {
    let key = format!("{plugins:?}");
    plugins
        .iter()
        .fold(RouteConf::new(&key), |route, (name, conf)| {
            route.plugin(name, conf)
        })
}

/// Every row in front of this gateway and of one older than 3.16, which must
/// make no difference.
fn check_requests(rows: &[RequestRow]) {
    let runner = runner();
    let gateways = [
        ("", TestGateway::new(runner.socket())),
        (
            ", before 3.16",
            TestGateway::new(runner.socket()).before_3_16(),
        ),
    ];
    let mut failures = vec![];
    for row in rows {
        for (version, gateway) in &gateways {
            let observed = gateway.request_phase(&route(row.plugins), &row.request);
            let missing = match View::of_request(observed) {
                Ok(view) => view.check(row.expected, &runner),
                Err(faults) => vec![faults],
            };
            let failed = missing.into_iter();
            failures
                .extend(failed.map(|seen| format!("{}{version}: {}: {seen}", row.from, row.what)));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}\n{}", runner.log());
}

/// Every row with and without degradation, which must make no difference, and
/// with one call of the upstream.
fn check_responses(rows: &[ResponseRow]) {
    let runner = runner();
    let gateway = TestGateway::new(runner.socket());
    let mut failures = vec![];
    for row in rows {
        let strict = route(row.plugins);
        for route in [strict.clone(), strict.allow_degradation()] {
            let mut upstream = || row.upstream.clone();
            let observed = gateway.response_phase(&route, &row.request, &mut upstream);
            let mut missing: Vec<String> =
                observed.faults.iter().map(ToString::to_string).collect();
            if observed.outcome.upstream_calls != 1 {
                missing.push(format!(
                    "{} upstream calls",
                    observed.outcome.upstream_calls
                ));
            }
            let view = View::from(observed.outcome.response);
            let refused = view.body != text(&row.upstream.body);
            missing.extend(View { refused, ..view }.check(row.expected, &runner));
            let failed = missing.into_iter();
            failures.extend(failed.map(|seen| format!("{}: {}: {seen}", row.from, row.what)));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}\n{}", runner.log());
}

/// Sends a call; a question on the way is answered with "there is no such
/// thing".
fn exchange(client: &mut WireClient, frame: &[u8]) -> Result<Reply, NoReply> {
    let mut reply = client.exchange(frame)?;
    while let Reply::ExtraInfo(_) = reply {
        let mut builder = FrameBuilder::new();
        reply = client.exchange(encode_answer(&mut builder, None).expect("frame"))?;
    }
    Ok(reply)
}

fn connect(runner: &RunnerProcess) -> WireClient {
    WireClient::connect(runner.socket()).expect("connection")
}

fn get(target: &str) -> HttpRequest {
    HttpRequest::new("GET", target)
}
