//! Filters as WebAssembly text that call one function and report what it
//! answered, as the reason of a failure.

use harness::Guest;

/// Address 0 holds "ok" and `next`.
pub(crate) const PASS: &str = "i32.const 0";

/// Constant texts: a key of 3 bytes at 512, a value of 5 at 520, a name of 5 at
/// 528. And `$report`, which makes an error of a text.
const ITEMS: &str = r#"
    (data (i32.const 512) "key") (data (i32.const 520) "value") (data (i32.const 528) "TOKEN")
    (data (i32.const 544) "nothing")
    (func $report (param $at i32) (param $bytes i32) (result i32)
        (i32.store8 (i32.const 800) (i32.const 1))
        (i32.store (i32.const 804) (local.get $at))
        (i32.store (i32.const 808) (local.get $bytes))
        (i32.const 800))
    (func $nothing (result i32) (call $report (i32.const 544) (i32.const 7)))
    ;; The text of an error that is in a result at 64 with an aligned payload.
    (func $error (param $payload i32) (result i32)
        (call $report
            (i32.load (i32.add (local.get $payload) (i32.const 4)))
            (i32.load (i32.add (local.get $payload) (i32.const 8)))))"#;

/// A filter of requests that imports one function as `$f`, which takes the
/// address of its result behind its parameters.
pub(crate) fn importing(
    interface: &str,
    function: &str,
    parameters: &str,
    configure: &str,
    on_request: &str,
) -> Guest {
    let import = format!(
        r#"(import "apisix:filter/{interface}@0.1.0" "{function}"
            (func $f (param {parameters} i32))) {ITEMS}"#
    );
    let offer = "import types;\n    import request;";
    let offered = "import types;\n    import http;\n    import key-value;\n    import secrets;\n    \
                   import random;\n    import request;";
    Guest::request_filter(&import, configure, on_request).against(offer, offered)
}

/// Calls a function with these arguments, and reports the error, whose payload
/// is so far behind the result's beginning, or what `otherwise` says.
pub(crate) fn reporting(arguments: &str, payload: u32, otherwise: &str) -> String {
    format!(
        "(call $f {arguments} (i32.const 64))
        (if (result i32) (i32.load8_u (i32.const 64))
            (then (call $error (i32.const {})))
            (else {otherwise}))",
        64 + payload
    )
}

/// A filter of requests, as a core module for WASI preview 1, that has `$print`.
/// The adapter allocates in the guest, pages at a time, so the allocator has to
/// be one.
pub(crate) fn printing(on_request: &str) -> Vec<u8> {
    let items = r#"
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 520) "value\n")
        (global $room (mut i32) (i32.const 4096))
        (func $print (param $at i32) (param $bytes i32)
            (i32.store (i32.const 256) (local.get $at))
            (i32.store (i32.const 260) (local.get $bytes))
            (drop (call $fd_write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 264))))"#;
    let mut guest = Guest::request_filter(items, PASS, on_request);
    guest.wat = guest
        .wat
        .replace(
            r#"(memory (export "memory") 1)"#,
            r#"(memory (export "memory") 8)"#,
        )
        .replace(
            "(result i32) i32.const 1024)",
            "(result i32) (local $at i32)
               (local.set $at (i32.and
                 (i32.add (global.get $room) (i32.sub (local.get 2) (i32.const 1)))
                 (i32.sub (i32.const 0) (local.get 2))))
               (global.set $room (i32.add (local.get $at) (local.get 3)))
               (local.get $at))",
        );
    guest.core_module()
}
