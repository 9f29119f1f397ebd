//! What the client sees when the runner fails: retry, degradation, and the two
//! ways in which a request slips through.

use std::time::Duration;

use harness::{Fault, HttpOutcome, HttpRequest, RouteConf, TestGateway};
use protocol::FrameError;
use protocol::RpcType::{HttpReqCall, PrepareConf};
use protocol::err_resp::Code;
use protocol::http_req_call::Action;

use crate::scripted::{ScriptedRunner, Step, act, disguised_error, prepared, refuse, route};

/// What a request comes to: passed on, or answered with a status.
type Fate = Result<(), u16>;

#[test]
fn what_a_failing_runner_costs() {
    let zero = |rpc_type| Step::Send(vec![rpc_type, 0, 0, 0]);
    let empty = |rpc_type| Fault::Frame(FrameError::Empty { rpc_type });
    let torn = Step::Send(vec![2, 0, 0, 12, 8, 0]);
    let Step::Send(type_4) = act(Action::None) else {
        unreachable!()
    };
    let type_4 = Step::Send([&[4], &type_4[1..]].concat());
    let mismatch = Fault::UnexpectedType { call: 2, reply: 4 };
    let unknown = Fault::UnexpectedType { call: 2, reply: 9 };
    for (fact, steps, fault, fate, degraded) in [
        (
            "code 0",
            vec![refuse(Code::BadRequest)],
            Fault::Refused(0),
            Err(503),
            Ok(()),
        ),
        (
            "code 1",
            vec![refuse(Code::ServiceUnavailable)],
            Fault::Refused(1),
            Err(503),
            Ok(()),
        ),
        (
            "end of stream",
            vec![Step::Close],
            Fault::Closed,
            Err(503),
            Ok(()),
        ),
        (
            "torn frame",
            vec![torn, Step::Close],
            Fault::Closed,
            Err(503),
            Ok(()),
        ),
        ("another type", vec![type_4], mismatch, Err(503), Ok(())),
        (
            "a type without meaning",
            vec![Step::Send(vec![9, 0, 0, 1, 0])],
            unknown,
            Err(503),
            Ok(()),
        ),
        (
            "empty frame of type 2",
            vec![zero(2)],
            empty(2),
            Err(500),
            Err(500),
        ),
        (
            "empty frame of type 4",
            vec![zero(4)],
            empty(4),
            Err(503),
            Ok(()),
        ),
        (
            "an error inside a reply passes unfiltered",
            vec![disguised_error(Code::ServiceUnavailable, HttpReqCall)],
            Fault::ErrorInsideReply(1),
            Ok(()),
            Ok(()),
        ),
    ] {
        let runner = ScriptedRunner::doing(steps);
        let faults = vec![fault];
        assert_eq!(
            fate_of(&runner.gateway(), &route()),
            (fate, faults.clone()),
            "{fact}"
        );
        let degrading = route().allow_degradation();
        assert_eq!(
            fate_of(&runner.gateway(), &degrading),
            (degraded, faults),
            "{fact}, degraded"
        );
    }
}

#[test]
fn silence_is_waited_out() {
    let runner = ScriptedRunner::doing(vec![Step::Wait(Duration::from_secs(1))]);
    let gateway = runner.gateway().read_timeout(Duration::from_millis(100));
    let timed_out = vec![Fault::TimedOut];
    assert_eq!(fate_of(&gateway, &route()), (Err(503), timed_out.clone()));
    let degrading = route().allow_degradation();
    assert_eq!(fate_of(&gateway, &degrading), (Ok(()), timed_out));
}

#[test]
fn bytes_that_are_no_message_break_the_gateway() {
    let runner = ScriptedRunner::doing(vec![Step::Send(vec![2, 0, 0, 4, 9, 9, 9, 9])]);
    let (fate, faults) = fate_of(&runner.gateway(), &route());
    assert_eq!(fate, Err(500));
    assert!(matches!(faults[..], [Fault::Reply(_)]), "{faults:?}");
}

#[test]
fn an_unknown_token_is_prepared_again_three_times() {
    let runner = ScriptedRunner::doing(vec![refuse(Code::ConfTokenNotFound)]);
    let unknown = Fault::Refused(2);
    let expected = (Err(503), vec![unknown.clone(), unknown.clone(), unknown]);
    assert_eq!(fate_of(&runner.gateway(), &route()), expected);
    let types: Vec<_> = runner
        .seen()
        .into_iter()
        .map(|(_, rpc_type)| rpc_type)
        .collect();
    assert_eq!(types, [1, 2, 1, 2, 1, 2]);
}

#[test]
fn the_second_try_may_succeed() {
    let runner = ScriptedRunner::start(|frame| match frame.known_type() {
        Some(PrepareConf) => prepared(7),
        // The call's id counts the tries: 0 is the first.
        _ => {
            match protocol::http_req_call::Req::decode(frame.payload.clone()).map(|req| req.id()) {
                Ok(0) => vec![refuse(Code::ConfTokenNotFound)],
                _ => vec![act(Action::None)],
            }
        }
    });
    assert_eq!(
        fate_of(&runner.gateway(), &route()),
        (Ok(()), vec![Fault::Refused(2)])
    );
}

#[test]
fn preparing_can_fail_too() {
    for (fact, step, fault, fate) in [
        (
            "code 1",
            refuse(Code::ServiceUnavailable),
            Fault::Refused(1),
            Err(503),
        ),
        ("end of stream", Step::Close, Fault::Closed, Err(503)),
        (
            "another type",
            act(Action::None),
            Fault::UnexpectedType { call: 1, reply: 2 },
            Err(503),
        ),
    ] {
        let runner = ScriptedRunner::start(move |_| vec![step.clone()]);
        assert_eq!(
            fate_of(&runner.gateway(), &route()),
            (fate, vec![fault]),
            "{fact}"
        );
    }
    let disguised = disguised_error(Code::ServiceUnavailable, PrepareConf);
    let runner = ScriptedRunner::start(move |_| vec![disguised.clone()]);
    let (fate, faults) = fate_of(&runner.gateway(), &route());
    assert_eq!(
        (fate, faults.len()),
        (Err(500), 1),
        "an error inside the reply breaks the gateway"
    );
}

#[test]
fn no_runner_is_503_or_degraded() {
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = TestGateway::new(directory.path().join("nobody.sock"));
    let fault = Fault::Connect(std::io::ErrorKind::NotFound);
    assert_eq!(fate_of(&gateway, &route()), (Err(503), vec![fault.clone()]));
    assert_eq!(
        fate_of(&gateway, &route().allow_degradation()),
        (Ok(()), vec![fault])
    );
}

fn fate_of(gateway: &TestGateway, route: &RouteConf) -> (Fate, Vec<Fault>) {
    let observed = gateway.request_phase(route, &HttpRequest::new("GET", "/"));
    let fate = match observed.outcome {
        HttpOutcome::Upstream(_) => Ok(()),
        HttpOutcome::Client(response) => Err(response.status),
    };
    (fate, observed.faults)
}
