//! `wasi:http`: the same grant, the same port, the same limits.

use std::sync::Arc;
use std::time::Duration;

use harness::Guest;
use sandbox::{Grants, OutboundError, StopResponse, Verdict};

use crate::Bench;
use crate::fakes::{Server, everything, response};
use crate::guests::PASS;

/// What of it a guest needs to ask for one response, as the standard declares
/// it.
const WIT: &str = "
    package wasi:io@0.2.0 {
        interface poll { resource pollable { block: func(); } }
    }
    package wasi:http@0.2.0 {
        interface types {
            use wasi:io/poll@0.2.0.{pollable};
            record DNS-error-payload { rcode: option<string>, info-code: option<u16> }
            record TLS-alert-received-payload {
                alert-id: option<u8>, alert-message: option<string>
            }
            record field-size-payload { field-name: option<string>, field-size: option<u32> }
            variant error-code {
                DNS-timeout, DNS-error(DNS-error-payload), destination-not-found,
                destination-unavailable, destination-IP-prohibited, destination-IP-unroutable,
                connection-refused, connection-terminated, connection-timeout,
                connection-read-timeout, connection-write-timeout, connection-limit-reached,
                TLS-protocol-error, TLS-certificate-error,
                TLS-alert-received(TLS-alert-received-payload), HTTP-request-denied,
                HTTP-request-length-required, HTTP-request-body-size(option<u64>),
                HTTP-request-method-invalid, HTTP-request-URI-invalid, HTTP-request-URI-too-long,
                HTTP-request-header-section-size(option<u32>),
                HTTP-request-header-size(option<field-size-payload>),
                HTTP-request-trailer-section-size(option<u32>),
                HTTP-request-trailer-size(field-size-payload), HTTP-response-incomplete,
                HTTP-response-header-section-size(option<u32>),
                HTTP-response-header-size(field-size-payload),
                HTTP-response-body-size(option<u64>),
                HTTP-response-trailer-section-size(option<u32>),
                HTTP-response-trailer-size(field-size-payload),
                HTTP-response-transfer-coding(option<string>),
                HTTP-response-content-coding(option<string>), HTTP-response-timeout,
                HTTP-upgrade-failed, HTTP-protocol-error, loop-detected, configuration-error,
                internal-error(option<string>),
            }
            resource fields { constructor(); }
            resource request-options { constructor(); }
            resource incoming-response { status: func() -> u16; }
            resource outgoing-request {
                constructor(headers: fields);
                set-path-with-query: func(path-with-query: option<string>) -> result;
                set-authority: func(authority: option<string>) -> result;
            }
            resource future-incoming-response {
                subscribe: func() -> pollable;
                get: func() -> option<result<result<incoming-response, error-code>>>;
            }
        }
        interface outgoing-handler {
            use types.{outgoing-request, request-options, future-incoming-response, error-code};
            handle: func(request: outgoing-request, options: option<request-options>)
                -> result<future-incoming-response, error-code>;
        }
    }
    /// A filter of requests.";

const ITEMS: &str = r#"
    (import "wasi:http/types@0.2.0" "[constructor]fields" (func $fields (result i32)))
    (import "wasi:http/types@0.2.0" "[constructor]outgoing-request"
        (func $request (param i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-path-with-query"
        (func $path (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-authority"
        (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/outgoing-handler@0.2.0" "handle" (func $handle (param i32 i32 i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]future-incoming-response.subscribe"
        (func $subscribe (param i32) (result i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:http/types@0.2.0" "[method]future-incoming-response.get"
        (func $get (param i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]incoming-response.status"
        (func $status (param i32) (result i32)))
    (data (i32.const 512) "auth.test") (data (i32.const 528) "/check?a=1")
    ;; Stops the request with this status.
    (func $stop (param $status i32) (result i32)
        (i32.store (i32.const 804) (i32.const 1))
        (i32.store16 (i32.const 808) (local.get $status))
        (i32.const 800))
    ;; The status of the response; 300 and the number of the error where there is
    ;; none, 400 and that number where it was not even asked for.
    (func $ask (result i32) (local $request i32) (local $future i32)
        (local.set $request (call $request (call $fields)))
        (drop (call $authority (local.get $request) (i32.const 1) (i32.const 512) (i32.const 9)))
        (drop (call $path (local.get $request) (i32.const 1) (i32.const 528) (i32.const 10)))
        (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 64))
        (if (i32.load8_u (i32.const 64))
            (then (return (i32.add (i32.const 400) (i32.load8_u (i32.const 72))))))
        (local.set $future (i32.load (i32.const 72)))
        (call $block (call $subscribe (local.get $future)))
        (call $get (local.get $future) (i32.const 128))
        (if (i32.eqz (i32.load8_u (i32.const 128))) (then unreachable))
        (if (i32.load8_u (i32.const 136)) (then unreachable))
        (if (i32.load8_u (i32.const 144))
            (then (return (i32.add (i32.const 300) (i32.load8_u (i32.const 152))))))
        (call $status (i32.load (i32.const 152))))"#;

fn asks(configure: &str, on_request: &str) -> Vec<u8> {
    Guest::request_filter(ITEMS, configure, on_request)
        .against("/// A filter of requests.", WIT)
        .against(
            "import types;\n    import request;",
            "import types;\n    import request;\n    import wasi:http/outgoing-handler@0.2.0;",
        )
        .build()
}

const ASK: &str = "(call $stop (call $ask))";

#[test]
fn a_component_with_wasi_http_should_need_the_same_grant() {
    let refused = Bench::granting(Grants::none()).load(asks(PASS, PASS)).err();
    let refused = refused.expect("refused").to_string();
    assert!(
        refused.starts_with("imports wasi:http/")
            && refused.ends_with(
                "@0.2.0, which the operator has not granted it; grant it with \
                 plugins.fuzzed.grants.http: {allow: [{url: \"https://HOST/\"}]}"
            ),
        "{refused}"
    );
    assert!(Bench::granting(everything()).load(asks(PASS, PASS)).is_ok());
}

fn status(bench: &Bench, wasm: Vec<u8>) -> u16 {
    match bench.call(&bench.filter(wasm, "")) {
        Ok(Verdict::Stop(StopResponse { status, .. })) => status,
        other => panic!("{other:?}"),
    }
}

fn with(server: &Arc<Server>) -> Bench {
    Bench::granting(Grants {
        http: Some(Arc::clone(server) as _),
        ..Grants::none()
    })
}

#[test]
fn a_request_should_go_through_the_port() {
    let text = || "why".to_owned();
    let rows = [
        (Ok(response(204, "x")), 204),
        (Err(OutboundError::Denied(text())), 315),
        (Err(OutboundError::Invalid(text())), 319),
        (Err(OutboundError::Unresolvable(text())), 301),
        (Err(OutboundError::Unreachable(text())), 303),
        (Err(OutboundError::Timeout(text())), 309),
        (Err(OutboundError::Protocol(text())), 335),
        (Err(OutboundError::Other(text())), 338),
    ];
    for (result, expected) in rows {
        let server = Server::answering(result);
        assert_eq!(status(&with(&server), asks(PASS, ASK)), expected);
        let asked = server.asked.lock().expect("not poisoned");
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].url, "https://auth.test/check?a=1");
        assert_eq!(asked[0].method, "GET");
        assert_eq!(asked[0].body, None);
    }
}

#[test]
fn its_limits_should_be_those_of_all_services() {
    let slow = Server::slowly(Ok(response(204, "")), Duration::from_millis(80));
    let mut bench = with(&slow);
    // Waiting is not charged to the filter.
    bench.settings.limits.handler_wall_time = Duration::from_millis(20);
    bench.settings.limits.handler_time = Duration::from_millis(20);
    assert_eq!(status(&bench, asks(PASS, ASK)), 204);
    let twice = "(drop (call $ask)) (call $stop (call $ask))";
    bench.settings.limits.service_calls = 1;
    assert_eq!(status(&bench, asks(PASS, twice)), 311, "one call only");
    bench.settings.limits.service_calls = 2;
    bench.settings.limits.services_time = Duration::from_millis(30);
    assert_eq!(status(&bench, asks(PASS, ASK)), 309, "too late");
    // Outside of a call there is nobody whose request it could be.
    let bench = with(&slow);
    let configures = "(if (i32.ne (call $ask) (i32.const 338)) (then unreachable)) i32.const 0";
    let filter = bench.filter(asks(configures, PASS), "");
    assert_eq!(bench.call(&filter), Ok(Verdict::Next));
}
