//! Where a request ends that takes too long, brings too much or is one too many;
//! and that whoever waits is in nobody's way.

use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::namespace::{inside, socket, soon};
use crate::servers::{Server, Wire, always};
use crate::stage::{PATIENT, Place, WAYS, granting, in_words_of, to};
use crate::town::{PUBLIC, Town};

/// A server that answers only when it is let.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn server(&self, port: u16) -> Server {
        let gate = self.clone();
        let script = move |_: &str, wire: &mut dyn Wire| {
            gate.wait();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nlate";
            let _ = wire.write_all(answer);
            false
        };
        Server::start(socket(PUBLIC, port), Box::new(script))
    }

    fn wait(&self) {
        let (open, opened) = &*self.0;
        let closed = |open: &mut bool| !*open;
        drop(
            opened
                .wait_while(open.lock().expect("lock"), closed)
                .expect("lock"),
        );
    }

    fn open(&self) {
        *self.0.0.lock().expect("lock") = true;
        self.0.1.notify_all();
    }
}

fn town() -> Town {
    let town = Town::build();
    town.names.add("server.test", &[PUBLIC]);
    town
}

fn rules(ports: &[u16]) -> Vec<String> {
    let rule = |port| {
        format!(
            "{}, methods: [GET, POST]",
            to(&format!("http://server.test:{port}/"))
        )
    };
    ports.iter().map(rule).collect()
}

/// A runner, what a filter tries there, and the beginning of each line that it is
/// told, which through `wasi:http` differs in its words.
struct Row {
    settings: &'static str,
    limits: &'static str,
    attempts: Vec<String>,
    expected: &'static [&'static str],
    wasi: &'static [&'static str],
}

fn get(port: u16) -> String {
    format!("GET\thttp://server.test:{port}/")
}

fn post(bytes: usize) -> String {
    let body = "y".repeat(bytes);
    format!("POST\thttp://server.test:8001/\tbody {body}")
}

fn rows() -> [Row; 5] {
    [
        Row {
            settings: "timeout_ms: 300",
            limits: "",
            attempts: vec![get(8000)],
            expected: &["timeout: no whole response from server.test in 300 ms"],
            wasi: &["timeout"],
        },
        Row {
            settings: PATIENT,
            limits: "",
            attempts: vec![format!("{}\ttimeout 300", get(8000))],
            expected: &["timeout: no answer within 300 ms"],
            wasi: &["timeout"],
        },
        Row {
            settings: PATIENT,
            limits: "services_ms: 300",
            attempts: vec![get(8000), get(8001)],
            expected: &[
                "timeout: no answer within 300 ms",
                "limit: the filters of one call may wait 300 ms for services \
                 (limits.services_ms)",
            ],
            wasi: &["timeout", "timeout"],
        },
        Row {
            settings: "timeout_ms: 40000, connect_ms: 40000, response_kib: 1, request_kib: 1",
            limits: "services_ms: 50000",
            attempts: vec![get(8001), get(8002), post(1024), post(1025)],
            expected: &[
                "200 xxx",
                "limit: the response's body is larger than 1024 bytes",
                "200 xxx",
                "limit: the request's body is larger than 1024 bytes",
            ],
            wasi: &["200 xxx", "limit", "200 xxx", "limit"],
        },
        Row {
            settings: PATIENT,
            limits: "services_ms: 50000, service_calls: 2",
            attempts: vec![get(8001), get(8001), get(8001), get(8001)],
            expected: &[
                "200 xxx",
                "200 xxx",
                "limit: the filters of one call may ask services 2 times (limits.service_calls)",
                "limit: ",
            ],
            wasi: &[
                "200 xxx",
                "200 xxx",
                "ErrorCode::ConnectionLimitReached",
                "ErrorCode::",
            ],
        },
    ]
}

fn answering(port: u16, bytes: usize) -> Server {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n");
    let answer = [head.as_bytes(), &vec![b'x'; bytes]].concat();
    Server::start(socket(PUBLIC, port), always(answer))
}

#[test]
fn a_request_should_end_at_its_limits() {
    let name = "limits::a_request_should_end_at_its_limits";
    inside(name, || {
        let town = town();
        Gate::default().server(8000);
        let fits = answering(8001, 1024);
        let _too_long = answering(8002, 1025);
        let place = Place::with(&WAYS);
        let rules = rules(&[8000, 8001, 8002]);
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        for row in rows() {
            let granted = granting(&town, row.settings, &rules);
            let config = format!("grants: {granted}\nlimits: {{{}}}", row.limits);
            let stage = place.serve(&config);
            for (way, expected) in WAYS.into_iter().zip([row.expected, row.wasi]) {
                let before = fits.connections();
                let told = stage.tried(way, &row.attempts.join("\n"));
                let lines: Vec<&str> = told.lines().collect();
                assert_eq!(lines.len(), expected.len(), "{way}: {told}");
                for (line, expected) in lines.iter().zip(expected) {
                    let fits = line.starts_with(in_words_of(way, expected));
                    assert!(fits, "{way}: {line:?} is not {expected:?}");
                }
                let answered = lines.iter().filter(|line| line.starts_with("200")).count();
                assert_eq!(fits.connections(), before + answered, "{way}: {told}");
            }
        }
    });
}

#[test]
fn one_request_too_many_should_be_told_at_once() {
    let name = "limits::one_request_too_many_should_be_told_at_once";
    inside(name, || {
        let town = town();
        let gate = Gate::default();
        let server = gate.server(8000);
        let settings = format!("{PATIENT}, concurrent: 1");
        let granted = granting(&town, &settings, &[&rules(&[8000])[0]]);
        let limits = "limits: {services_ms: 50000}";
        let stage = Place::with(&WAYS).serve(&format!("grants: {granted}\n{limits}"));
        let (ended, told) = channel();
        thread::scope(|scope| {
            // One has the place and four wait for it; which of them is nobody's matter.
            for _ in 0..6 {
                let (stage, ended) = (&stage, ended.clone());
                scope.spawn(move || {
                    let _ = ended.send(stage.tried("fetch", &get(8000)));
                });
            }
            let first = told.recv().expect("an answer");
            assert_eq!(first, "limit: 1 requests are under way, and others wait");
            assert!(soon(|| server.connections() == 1));
            gate.open();
            for _ in 0..5 {
                assert_eq!(told.recv().expect("an answer"), "200 late");
            }
        });
        assert_eq!(server.connections(), 5);
    });
}

#[test]
fn a_slow_server_should_keep_nobody_else_waiting() {
    let name = "limits::a_slow_server_should_keep_nobody_else_waiting";
    inside(name, || {
        let town = town();
        let gate = Gate::default();
        let slow = gate.server(8000);
        let _quick = answering(8001, 4);
        let rules = rules(&[8000, 8001]);
        let granted = granting(&town, PATIENT, &[&rules[0], &rules[1]]);
        let limits = "limits: {services_ms: 50000}";
        let filters = ["fetch", "fetch-wasi", "stop"];
        let stage = Place::with(&filters).serve(&format!("grants: {granted}\n{limits}"));
        thread::scope(|scope| {
            // More than there are threads to serve calls, in both ways.
            let waiting: Vec<_> = (0..32)
                .map(|number| {
                    let stage = &stage;
                    scope.spawn(move || stage.tried(WAYS[number % 2], &get(8000)))
                })
                .collect();
            assert!(soon(|| slow.connections() == 32), "{}", slow.connections());
            for _ in 0..20 {
                assert_eq!(stage.ask("stop", "{}").status, 201);
                for way in WAYS {
                    assert_eq!(stage.tried(way, &get(8001)), "200 xxxx");
                }
            }
            assert!(waiting.iter().all(|call| !call.is_finished()));
            gate.open();
            for call in waiting {
                assert_eq!(call.join().expect("no panic"), "200 late");
            }
        });
    });
}
