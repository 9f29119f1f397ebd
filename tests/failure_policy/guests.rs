//! Filters that each fail in exactly one way, after they changed the call, and
//! two that do well. Must not know what becomes of the call.

use harness::Guest;

/// What a filter imports here, and the texts it uses.
const ITEMS: &str = r#"
    (import "apisix:filter/request@0.1.0" "set-header"
        (func $request-header (param i32 i32 i32 i32 i32)))
    (import "apisix:filter/response@0.1.0" "set-header"
        (func $response-header (param i32 i32 i32 i32 i32)))
    (import "apisix:filter/chain@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
    (import "apisix:filter/chain@0.1.0" "get" (func $get (param i32 i32 i32)))
    (import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration"
        (func $sleep (param i64) (result i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
    (data (i32.const 512) "x-before") (data (i32.const 528) "x-after")
    (data (i32.const 544) "x-half") (data (i32.const 560) "half")
    (data (i32.const 576) "asleep")"#;

const SLEEP_WIT: &str = "
    package wasi:io@0.2.0 {
        interface poll { resource pollable { block: func(); } }
    }
    package wasi:clocks@0.2.0 {
        interface monotonic-clock {
            use wasi:io/poll@0.2.0.{pollable};
            subscribe-duration: func(when: u64) -> pollable;
        }
    }
    /// A filter of requests.";

/// Result of a handler or of `configure`: address 0 holds "ok" for both.
const OK: &str = "i32.const 0";

/// Both return an error with an empty text.
const ERROR: &str = "(i32.store8 (i32.const 64) (i32.const 1)) i32.const 64";

/// Makes a header of a text of this address and length, and of itself the value.
fn header(address: u32, length: u32) -> String {
    let text = format!("(i32.const {address}) (i32.const {length})");
    format!("(call $header {text} {text} (i32.const 96))")
}

/// A filter that does the same in both phases. `$header` in its text sets a
/// header of whatever the phase is about.
fn guest(configure: &str, handler: &str) -> Guest {
    let in_phase = |phase: &str| handler.replace("$header", &format!("${phase}-header"));
    let mut guest = Guest::request_filter(ITEMS, configure, &in_phase("request"));
    guest.world = "filter";
    let end = guest.wat.rfind(')').expect("the module ends");
    let on_response = format!(
        r#"(func (export "apisix:filter/response-handler@0.1.0#on-response") (result i32) {})"#,
        in_phase("response")
    );
    guest.wat.insert_str(end, &on_response);
    guest
        .against("/// A filter of requests.", SLEEP_WIT)
        .against(
            "import types;\n    import request;",
            "import types;\n    import request;\n    import wasi:clocks/monotonic-clock@0.2.0;",
        )
}

/// One that changes the call in two ways, and then fails in this one.
fn failing(how: &str) -> Guest {
    let half = header(544, 6);
    let value = "(call $set (i32.const 560) (i32.const 4) (i32.const 560) (i32.const 4)
        (i32.const 96))";
    guest(OK, &format!("{half} {value} {how}"))
}

/// With a handler for one phase only.
fn one_sided(world: &'static str, handler: &str) -> Guest {
    let wat = format!(
        r#"(module
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
            (func (export "apisix:filter/configuration@0.1.0#configure") (param i32 i32)
                (result i32) i32.const 0)
            (func (export "apisix:filter/{handler}") (result i32) i32.const 0))"#
    );
    Guest {
        wat,
        world,
        wit_edits: vec![],
    }
}

/// A filter that asks the gateway for something.
fn asking() -> Guest {
    let items = r#"(import "apisix:filter/variables@0.1.0" "get" (func $get (param i32 i32 i32)))
        (data (i32.const 512) "uri")"#;
    let ask = "(call $get (i32.const 512) (i32.const 3) (i32.const 64)) i32.const 0";
    Guest::request_filter(items, OK, ask)
}

/// All of them by name.
pub(crate) fn all() -> Vec<(&'static str, Guest)> {
    let sleep = "(call $block (call $sleep (i64.const 60000000000))) i32.const 0";
    // Two megabytes, of which the first page was there before.
    let flood = "(drop (memory.grow (i32.const 40)))
        (call $header (i32.const 544) (i32.const 6) (i32.const 0) (i32.const 2097152)
            (i32.const 96)) i32.const 0";
    // Shows what the filters before it passed on.
    let after = format!(
        "{} (call $get (i32.const 560) (i32.const 4) (i32.const 64))
        (if (i32.load8_u (i32.const 68)) (then {})) {OK}",
        header(528, 7),
        header(544, 6)
    );
    let says_so = format!("(call $log (i32.const 2) (i32.const 576) (i32.const 6)) {sleep}");
    vec![
        ("before", guest(OK, &format!("{} {OK}", header(512, 8)))),
        ("after", guest(OK, &after)),
        ("refusing", guest(ERROR, OK)),
        ("preparing", guest("(loop br 0) unreachable", OK)),
        (
            "responses",
            one_sided("response-filter", "response-handler@0.1.0#on-response"),
        ),
        (
            "requests",
            one_sided("request-filter", "request-handler@0.1.0#on-request"),
        ),
        ("trapping", failing("unreachable")),
        ("trapping-in-configure", guest("unreachable", OK)),
        ("looping", failing("(loop br 0) unreachable")),
        ("sleeping", failing(sleep)),
        (
            "growing",
            failing("(drop (memory.grow (i32.const 2000))) unreachable"),
        ),
        ("flooding", failing(flood)),
        ("busy", failing(&says_so)),
        ("reporting", failing(ERROR)),
        ("asking", asking()),
    ]
}
