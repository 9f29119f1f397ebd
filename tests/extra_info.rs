//! What is asked of the gateway in the middle of a call, as conversations over
//! the real socket. Questions are asked once, in step and within limits, and
//! whatever the gateway does instead of answering, nothing passes unfiltered
//! and nobody else notices.
//!
//! A conversation is a line: the call and its filters, a colon, and what then
//! happens on the connection, in this order.
//!
//! ```text
//! request /PATH  response  the call; a response is chunked
//! {...}  @NAME             a filter: a probe; one of GUESTS
//! ?A,BODY                  a probe that asks for these and reports them
//! +A,B                     answers sent in the same write as the call
//!
//! ?NAME  ?BODY  ?RESPONSE  the runner asks for a variable or a body
//! quiet  ends              nothing comes from the runner; it closes the connection
//! passesTEXT  passes~9     it lets the call pass; a report has the text; with a new body
//! stops  refuses  late     it answers the request; fails the call; when tired of waiting
//!
//! =VALUE  =none            the gateway answers; it has no such thing
//! =A,B  &A,B               it gives several answers in one write; in single bytes
//! !WHAT                    it sends something else, see `instead`
//! call  half-close  sleep  it calls again; will send no more; waits 200 ms
//!
//! 2#X is X X, v0..2 is v0 v1, the value ~9 is nine bytes
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::{Guest, RunnerProcess, WireClient, modules};
use protocol::gateway_side::{
    Asked, HttpAction, HttpReqCall, HttpRespCall, NamedValue, Reply, decode_reply, encode_answer,
};
use protocol::{Entry, Frame, FrameBuilder};

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

const LATE: &str = "the gateway did not answer within 300 ms";

/// All goes well, and each thing is asked once.
const TOLD_APART: &str = r#"
request ?a,b,c,BODY ?d,a,BODY : ?a ?b ?c quiet =none = =ü ?BODY quiet =text ?d quiet =4 passes"vars":{"d":"4","a":null},"body":"text"
request ?a,b,c,BODY : ?a ?b ?c =none = =ü ?BODY =none passes"vars":{"a":null,"b":"","c":"ü"},"body":null
request ?a,b,a ?b,a : ?a ?b quiet = =none passes"vars":{"b":null,"a":""}
request ?a,BODY ?BODY,a : ?a =none ?BODY quiet =none passes"body":null
request ?BODY : ?BODY = passes"body":""
request {"set_body":"new"} ?BODY : passes"body":"new"
request {"status":403} ?a,BODY : stops
request /a%2Bb ?upstream_uri {"report":"r"} {"set_args":{"x":"1"}} : ?upstream_uri =/a%2Bb?y passes"path":"/a+b"
request /a%2Bb {"report":"r"} {"report":"r"} : ?upstream_uri =none passes"path":"/a%2Bb"
request /a%2Bb {} : passes
request /a%2Bb {"set_path":"/p"} {"report":"r"} {"set_args":{"x":"1"}} : passes"path":"/p"
request {"set_args":{"x":"1"}} {"add_args":{"x":"1"}} : ?upstream_uri =none passes
request {"response":{"vars":["a"],"body":true}} : passes
request @astray : passes
request @deaf : ?0 =none passes
response @astray : ?request_method =GET passes
response ?uri,b,BODY ?b,BODY : ?uri ?b quiet =/x =none ?RESPONSE quiet =text passes"vars":{"b":null},"body":"text"
response ?b,BODY ?BODY,b : ?b =1 ?RESPONSE = ?request_method =HEAD passes"vars":{"b":"1"},"body":""
response ?BODY : ?RESPONSE =none ?request_method =GET passes"body":null
response {"vars":["a"],"body":true} : ?request_method =POST ?RESPONSE =x passes
"#;

/// What guests have in common; 64 is where a result begins, with a byte that
/// is 1 if it is an error.
const ITEMS: &str = r#"
    (import "apisix:filter/variables@0.1.0" "get" (func $get (param i32 i32 i32)))
    (import "apisix:filter/request@0.1.0" "body" (func $body (param i32)))
    (import "apisix:filter/request@0.1.0" "set-body" (func $set_body (param i32 i32 i32)))
    (import "apisix:filter/response@0.1.0" "body" (func $response_body (param i32)))
    (data (i32.const 512) "0")
    (func $ask (call $get (i32.const 512) (i32.const 1) (i32.const 64)))
    (func $failed (param i32)
        (if (i32.ne (i32.load8_u (i32.const 64)) (local.get 0)) (then unreachable)))
    (func $stray (export "apisix:filter/response-handler@0.1.0#on-response") (result i32)
        (call $body (i32.const 64)) (call $failed (i32.const 1)) i32.const 0)"#;
/// `astray` asks for bodies where there are none and knows that it gets an
/// error; `deaf` overlooks that; `echo` sends the request's body back; `greedy`
/// asks ten questions one by one and knows that eight are allowed.
const GUESTS: &str = r#"
astray (call $response_body (i32.const 64)) (call $failed (i32.const 1)) i32.const 0
deaf (call $ask) i32.const 0
echo (drop (memory.grow (i32.const 400))) (call $body (i32.const 64)) (call $set_body (i32.load (i32.const 72)) (i32.load (i32.const 76)) (i32.const 64)) i32.const 0
greedy (local $n i32) (loop $more (i32.store8 (i32.const 512) (i32.add (local.get $n) (i32.const 48))) (call $ask) (call $failed (i32.ge_u (local.get $n) (i32.const 8))) (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10)))) i32.const 0
"#;

/// The call with its filters, and the steps.
fn rows(table: &str) -> impl Iterator<Item = (&str, &str)> {
    let rows = table.trim().lines();
    rows.map(|row| row.split_once(" : ").expect("a colon"))
}

/// The configuration of a probe that asks for these.
fn probe(asked: &str, response: bool) -> String {
    let asked = asked.split(',').flat_map(expand);
    let (bodies, vars): (Vec<_>, Vec<_>) = asked.partition(|name| name == "BODY");
    let reads = format!(r#""vars":{vars:?},"body":{}"#, !bodies.is_empty());
    match response {
        true => format!(r#"{{"response":{{{reads}}},"report":"r"}}"#),
        false => format!(r#"{{{reads},"report":"r"}}"#),
    }
}

/// What `2#X` and `v0..2` stand for.
fn expand(word: &str) -> Vec<String> {
    let number = |digits: &str| digits.parse::<usize>().expect("number");
    if let Some((count, word)) = word.split_once('#') {
        return vec![word.into(); number(count)];
    }
    let Some((from, to)) = word.split_once("..") else {
        return vec![word.into()];
    };
    let (stem, from) = from.split_at(from.rfind('v').expect("v") + 1);
    let range = number(from)..number(to);
    range.map(|index| format!("{stem}{index}")).collect()
}

fn answers(values: &str) -> Vec<u8> {
    let mut frames = Vec::new();
    for value in values.split(',').flat_map(expand) {
        let value = match value.strip_prefix('~') {
            Some(count) => vec![b'x'; count.parse().expect("count")],
            None => value.into(),
        };
        let value = (value != b"none").then_some(&*value);
        let mut builder = FrameBuilder::new();
        frames.extend(encode_answer(&mut builder, value).expect("frame"));
    }
    frames
}

/// What a gateway may send instead of an answer.
fn instead(what: &str) -> Vec<u8> {
    let whole = answers("late");
    match what {
        "half" => whole[..9].to_vec(),
        "rest" => whole[9..].to_vec(),
        "empty" => vec![3, 0, 0, 0],
        "malformed" => b"\x03\x00\x00\x08rubbish!".to_vec(),
        "garbage" => b"rubbish!".to_vec(),
        rpc_type => [&[rpc_type.parse().expect("type")], &whole[1..]].concat(),
    }
}

/// The gateway's end of one connection.
struct Gateway {
    stream: UnixStream,
    call: Vec<u8>,
}

impl Gateway {
    /// Connects and makes the call.
    fn call(socket: &Path, scene: &str) -> io::Result<Self> {
        let response = scene.starts_with("response");
        let (mut path, mut chain, mut ahead) = ("/", Vec::new(), Vec::new());
        for word in scene.split_whitespace().skip(1) {
            match word.split_at(1) {
                ("/", _) => path = word,
                ("+", values) => ahead = answers(values),
                ("@", name) => chain.push((name, String::new())),
                ("?", asked) => chain.push(("probe", probe(asked, response))),
                _ => chain.push(("probe", word.to_owned())),
            }
        }
        let chain: Vec<_> = chain.iter().map(|(name, conf)| (*name, &**conf)).collect();
        let conf_token = WireClient::connect(socket)?.prepare(&chain).expect("token");
        let mut request = HttpReqCall::default();
        (request.path, request.conf_token) = (path.as_bytes(), conf_token);
        let headers = [Entry::new("transfer-encoding", "chunked")];
        let mut upstream = HttpRespCall::default();
        (upstream.status, upstream.headers, upstream.conf_token) = (200, &headers, conf_token);
        let mut builder = FrameBuilder::new();
        let call = match response {
            true => upstream.encode(&mut builder),
            false => request.encode(&mut builder),
        };
        let call = call.expect("frame").to_vec();
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&[&*call, &ahead].concat())?;
        Ok(Gateway { stream, call })
    }

    /// What the runner does next, as a step.
    fn hear(&mut self, limit: Duration) -> io::Result<String> {
        self.stream.set_read_timeout(Some(limit))?;
        let mut header = [0; 4];
        let read = self.stream.read_exact(&mut header);
        match read.as_ref().map_err(io::Error::kind) {
            // A reset, where something of ours was unread.
            Err(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return Ok("ends".into()),
            _ => read?,
        }
        let [rpc_type, high, middle, low] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        self.stream.read_exact(&mut payload)?;
        let payload = payload.into();
        let reply = decode_reply(Frame { rpc_type, payload }).map_err(io::Error::other)?;
        let response = self.call.starts_with(&[4]);
        Ok(match reply {
            Reply::ExtraInfo(Asked::ReqBody) => "?BODY".into(),
            Reply::ExtraInfo(Asked::RespBody) => "?RESPONSE".into(),
            Reply::ExtraInfo(Asked::Var(name)) => format!("?{}", String::from_utf8_lossy(&name)),
            Reply::Error(1) if !response => "refuses".into(),
            Reply::HttpRespCall { status, body, .. }
                if response && status == 503 && body.is_some() =>
            {
                "refuses".into()
            }
            Reply::HttpRespCall { headers, .. } if response => passes(&headers, None),
            Reply::HttpReqCall { action, .. } if !response => match action {
                HttpAction::None => "passes".into(),
                HttpAction::Stop { .. } => "stops".into(),
                HttpAction::Rewrite { headers, body, .. } => passes(&headers, body),
            },
            other => format!("{other:?}"),
        })
    }

    /// Takes the gateway's step, or sees that the runner takes its own.
    fn play(&mut self, step: &str) -> io::Result<()> {
        let stream = &mut self.stream;
        match (step, step.split_at(1)) {
            ("call", _) => stream.write_all(&self.call),
            ("half-close", _) => stream.shutdown(Shutdown::Write),
            ("sleep", _) => {
                std::thread::sleep(Duration::from_millis(200));
                Ok(())
            }
            (_, ("=", values)) => stream.write_all(&answers(values)),
            (_, ("&", values)) => {
                let mut bytes = answers(values).into_iter();
                bytes.try_for_each(|byte| stream.write_all(&[byte]))
            }
            (_, ("!", what)) => stream.write_all(&instead(what)),
            _ => self.hears(step),
        }
    }

    fn hears(&mut self, step: &str) -> io::Result<()> {
        let started = Instant::now();
        let limit = if step == "quiet" { 60 } else { 20_000 };
        let heard = match self.hear(Duration::from_millis(limit)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => "quiet".into(),
            heard => heard?,
        };
        let after = started.elapsed();
        let as_expected = match step.strip_prefix("passes") {
            Some(text) => heard.starts_with("passes") && heard.contains(text),
            None if step == "late" => heard == "refuses" && (50..1500).contains(&after.as_millis()),
            None => heard == step,
        };
        let wrong = || io::Error::other(format!("heard {heard:.400} after {after:?}"));
        as_expected.then_some(()).ok_or_else(wrong)
    }
}

fn passes(headers: &[NamedValue], body: Option<Vec<u8>>) -> String {
    let values = headers.iter().filter_map(|header| header.value.as_deref());
    let reports: String = values.map(String::from_utf8_lossy).collect();
    match body {
        Some(body) if body.iter().all(|byte| *byte == b'x') => format!("passes~{}", body.len()),
        _ => format!("passes{reports}"),
    }
}

/// A runner, and a connection that was there before.
struct Stage {
    runner: RunnerProcess,
    other: Gateway,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// `gateway_ms` is how long a call may wait for the gateway.
    fn new(gateway_ms: u32) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let dir = folder.path().to_str().expect("UTF-8");
        let config = format!("{dir}/config.yaml");
        let limits = "limits: {handler_ms: 5000, handler_wall_ms: 9000, header_kib: 1000";
        std::fs::write(&config, format!("{limits}, gateway_ms: {gateway_ms}}}")).expect("config");
        let probe = modules::examples().join("probe.wasm");
        std::fs::copy(probe, format!("{dir}/probe.wasm")).expect("probe");
        for line in GUESTS.trim().lines() {
            let (name, does) = line.split_once(' ').expect("a name");
            let mut guest = Guest::request_filter(ITEMS, "(call $stray)", does);
            guest.world = "filter";
            std::fs::write(format!("{dir}/{name}.wasm"), guest.build()).expect(name);
        }
        let args = ["serve", "--modules", dir, "--config", &config];
        let runner = RunnerProcess::start(Path::new(env!("CARGO_BIN_EXE_runner")), args, &[]);
        let runner = runner.expect("runner");
        let mut other = Gateway::call(runner.socket(), "request {}").expect("call");
        other.play("passes").expect("served");
        Stage {
            runner,
            other,
            _folder: folder,
        }
    }

    /// Plays steps; the connection is left as it is then.
    fn play(&self, scene: &str, steps: &str) -> Gateway {
        let mut gateway = Gateway::call(self.runner.socket(), scene).expect("connection");
        for (at, step) in steps.split_whitespace().flat_map(expand).enumerate() {
            if let Err(error) = gateway.play(&step) {
                let log = self.runner.log();
                panic!("{scene:.200} : {steps:.400}\nstep {at} {step:.40}: {error}\n{log}");
            }
        }
        gateway
    }

    /// Plays conversations, and sees each time that the runner goes on serving:
    /// on this connection, on an old one, on a new one.
    fn check(&mut self, conversations: &str) {
        for (scene, steps) in rows(conversations) {
            let mut gateway = self.play(scene, steps);
            gateway.call.clone_from(&self.other.call);
            gateway.play("call").expect(scene);
            gateway.play("passes").expect(scene);
            self.check_others(scene);
        }
    }

    fn check_others(&mut self, after: &str) {
        self.other.play("call").expect(after);
        self.other.play("passes").expect(after);
        self.play("request {}", "passes");
    }

    /// Waits until something was logged so many times.
    fn logs(&self, text: &str, times: usize) {
        self.soon(text, || self.runner.log().matches(text).count() == times);
    }

    fn soon(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "{what}:\n{}", self.runner.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn what_is_asked_should_be_asked_once_and_told_apart() {
    Stage::new(55_000).check(TOLD_APART);
}

#[test]
fn answers_of_any_size_and_in_any_pieces_should_be_taken() {
    let mut stage = Stage::new(55_000);
    let table = r#"
request ?a,b : ?a ?b =1,2 passes"vars":{"a":"1","b":"2"}
request ?a,b,BODY : ?a ?b &1,2 ?BODY &3 passes"vars":{"a":"1","b":"2"},"body":"3"
request ?a,b +1,2 : ?a ?b passes"vars":{"a":"1","b":"2"}
request @echo : ?BODY =~1048576 passes~1048576
request @echo : ?BODY =~15728640 passes~15728640
response {"response":{"body":true}} : ?RESPONSE =~15728640 passes
"#;
    stage.check(table);
    // Neither side may put off reading until it has written: the questions
    // fill one direction, the answers the other.
    let names: Vec<_> = (0..32).map(|index| format!("{index:030000}")).collect();
    let ask = |name: &String| format!(" ?{name} =~500000");
    let asked: String = names.iter().map(ask).collect();
    let probe = format!(r#"{{"vars":["{}"]}}"#, names.join(r#"",""#));
    stage.check(&format!("request {probe} : {asked} passes"));
    let asked = asked.replace("=~500000", "");
    stage.check(&format!("request {probe} +32#~500000 : {asked} passes"));
}

#[test]
fn questions_should_be_limited() {
    let mut stage = Stage::new(55_000);
    let table = r#"
request ?v0..40 : ?v0..32 quiet =1 ?v32 quiet =1 ?v33 quiet 6#=1 ?v34..40 quiet 32#=1 passes"v39":"1"
request ?v0..64 : ?v0..32 32#=1 ?v32..64 32#=1 passes"v63":"1"
request ?v0..65 : refuses
request ?v0..32 ?v16..80 : ?v0..32 32#=1 refuses
response ?v0..65 : refuses
request ?v0..56 @greedy : ?v0..32 32#=1 ?v32..56 24#=1 ?0 =1 ?1 =1 ?2 =1 ?3 =1 ?4 =1 ?5 =1 ?6 =1 ?7 =1 passes
"#;
    stage.check(table);
    stage.logs("may ask the gateway 64 questions", 3);
}

#[test]
fn a_gateway_that_vanishes_at_any_step_should_end_that_call_only() {
    let mut stage = Stage::new(55_000);
    let descriptors = format!("/proc/{}/fd", stage.runner.id());
    let descriptors = || std::fs::read_dir(&descriptors).expect("/proc").count();
    // Each module that is loaded keeps one.
    stage.logs("plugins can be used", 1);
    let before = descriptors();
    let (mut gone, mut cuts) = (0, Vec::new());
    let table = TOLD_APART.replace(" quiet", "");
    for (scene, steps) in rows(&table) {
        let steps: Vec<_> = steps.split(' ').collect();
        for cut in 0..steps.len() {
            let (before, after) = (steps[..cut].join(" "), &steps[cut..]);
            drop(stage.play(scene, &before));
            if after.iter().any(|step| step.starts_with('=')) {
                let asked = after.iter().take_while(|step| step.starts_with('?'));
                let asked = asked.copied().collect::<Vec<_>>().join(" ");
                stage.play(scene, &format!("{before} half-close {asked} refuses ends"));
                let torn = format!("{before} !half");
                drop(stage.play(scene, &torn));
                cuts.push((scene, torn));
                gone += 3;
            }
            stage.check_others(scene);
        }
        stage.logs("the gateway closed the connection before it answered", gone);
    }
    for (scene, steps) in cuts.iter().cycle().take(200) {
        drop(stage.play(scene, steps));
    }
    stage.soon("descriptors", || descriptors() <= before);
    stage.check_others("200 vanished");
}

#[test]
fn anything_but_an_answer_should_fail_the_call() {
    let mut stage = Stage::new(55_000);
    let (mut wrong, table) = (0, TOLD_APART.replace(" quiet", ""));
    for (scene, steps) in rows(&table) {
        let steps: Vec<_> = steps.split(' ').collect();
        for at in (0..steps.len()).filter(|at| steps[*at].starts_with('=')) {
            let before = steps[..at].join(" ");
            for what in ["0", "1", "2", "4", "9", "malformed", "empty"] {
                stage.play(scene, &format!("{before} !{what} refuses ends"));
                wrong += 1;
            }
            stage.play(scene, &format!("{before} !garbage half-close refuses ends"));
            stage.check_others(scene);
        }
    }
    stage.logs("the gateway's answer cannot be used", wrong);
}

#[test]
fn an_answer_that_comes_too_late_should_leave_the_stream_in_step() {
    let mut stage = Stage::new(300);
    let table = r#"
request ?a ?b : ?a late =late call ?a =1 ?b =2 passes"b":"2"
request ?a ?b : ?a late call ?a =1 ?b =2 passes"b":"2"
request ?a ?b : ?a !half late !rest call ?a =1 ?b =2 passes"b":"2"
request ?a ?b : ?a sleep =1 ?b sleep =2 refuses call ?a =1 ?b =2 passes"b":"2"
request ?a,b : ?a ?b =0 late =0 call ?a ?b =1 =2 passes"b":"2"
request ?v0..40 : ?v0..32 late 32#=0 call ?v0..32 32#=1 ?v32..40 8#=1 passes"v0":"1"
request @deaf : ?0 late =none call ?0 =1 passes
request {"set_args":{"x":"1"}} : ?upstream_uri late =none call ?upstream_uri =none passes
request ?BODY : ?BODY late =late call ?BODY =b passes"body":"b"
response ?b,BODY : ?b late =none call ?b =1 ?RESPONSE late =late call ?b =2 ?RESPONSE =x passes"body":"x"
response {} : ?request_method late =GET call ?request_method =GET passes
"#;
    stage.check(table);
    stage.logs(LATE, 12);
}

#[test]
fn a_question_that_could_not_be_written_whole_should_come_before_the_reply() {
    let mut stage = Stage::new(300);
    let question = format!("?{}", "n".repeat(500_000));
    for (times, call) in ["request", "response"].into_iter().enumerate() {
        let mut gateway = stage.play(&format!("{call} {question}"), "");
        stage.logs(LATE, times + 1);
        for step in [&question, "refuses", "=1"] {
            gateway.play(step).expect(call);
        }
        gateway.call.clone_from(&stage.other.call);
        gateway.play("call").expect(call);
        gateway.play("passes").expect(call);
        stage.check_others(call);
    }
}

#[test]
fn an_unanswered_question_should_delay_nobody_else() {
    let stage = Stage::new(55_000);
    let wait = |_| stage.play("request ?a,b", "?a ?b");
    let waiting: Vec<_> = (0..20).map(wait).collect();
    let started = Instant::now();
    for _ in 0..20 {
        stage.play("request ?a,b", "?a ?b =1 =2 passes");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    for mut gateway in waiting {
        gateway.play("=1,2").expect("answered");
        gateway.play("passes").expect("served");
    }
}
