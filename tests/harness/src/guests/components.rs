//! From the text of a hostile guest to a component. What every filter has and
//! a guest does not bring itself is added, so that a file holds what is hostile
//! and nothing else.
//!
//! Must not know what a guest does.

use crate::Guest;

/// Added to a module where its text does not say this.
const ADDED: [(&str, &str); 6] = [
    (r#"(export "memory")"#, r#"(memory (export "memory") 1)"#),
    (
        "cabi_realloc",
        // Room from address 4096 on, never given back.
        r#"(global $room (mut i32) (i32.const 4096))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
          (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $room) (i32.const 15)) (i32.const -16)))
          (global.set $room (i32.add (local.get $at) (local.get 3)))
          (local.get $at))"#,
    ),
    (
        "configuration@0.1.0#configure",
        // Address 0 holds zeros: "ok" for all who return it.
        r#"(func (export "apisix:filter/configuration@0.1.0#configure")
          (param i32 i32) (result i32)
          (global.set $conf (local.get 0))
          (global.set $conf-len (local.get 1))
          i32.const 0)"#,
    ),
    (
        "global $conf ",
        // The configuration, and the number that it is.
        r#"(global $conf (mut i32) (i32.const 0))
        (global $conf-len (mut i32) (i32.const 0))
        (func $number (result i32)
          (local $at i32) (local $number i32)
          (loop $digit
            (if (i32.lt_u (local.get $at) (global.get $conf-len)) (then
              (local.set $number (i32.add
                (i32.mul (local.get $number) (i32.const 10))
                (i32.sub
                  (i32.load8_u (i32.add (global.get $conf) (local.get $at)))
                  (i32.const 48))))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br $digit))))
          local.get $number)"#,
    ),
    (
        "func $expect-error",
        // Traps unless the result at address 64 is this case of `types.error`.
        r#"(func $expect-error (param $case i32)
          (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))
          (if (i32.ne (i32.load8_u (i32.const 68)) (local.get $case)) (then unreachable)))"#,
    ),
    (
        "func $letters",
        // Four letters that are another name for each number below 32768.
        r#"(func $letters (param $number i32) (result i32)
          (i32.or (i32.const 0x40404040) (i32.or
            (i32.and (local.get $number) (i32.const 0x1f))
            (i32.or
              (i32.shl (i32.and (local.get $number) (i32.const 0x3e0)) (i32.const 3))
              (i32.shl (i32.and (local.get $number) (i32.const 0x7c00)) (i32.const 6))))))"#,
    ),
];

const ON_REQUEST: &str = r#"(func (export "apisix:filter/request-handler@0.1.0#on-request")
    (result i32) i32.const 0)"#;

const ON_RESPONSE: &str = r#"(func (export "apisix:filter/response-handler@0.1.0#on-response")
    (result i32) i32.const 0)"#;

/// What a component exports as a filter of responses, of its core instance $i.
/// (A filter of requests has types with names; this is half as long.)
const RESPONSE_FILTER: &str = r#"
    (func $configure (param "text" string) (result (result (error string)))
      (canon lift (core func $i "configure")
        (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
    (instance $configuration (export "configure" (func $configure)))
    (export "apisix:filter/configuration@0.1.0" (instance $configuration))
    (func $on-response (result (result (error string)))
      (canon lift (core func $i "on-response") (memory (core memory $i "memory"))))
    (instance $responses (export "on-response" (func $on-response)))
    (export "apisix:filter/response-handler@0.1.0" (instance $responses))"#;

/// The component of a text, which is that of a component or holds the items of
/// a module, imports first.
///
/// # Panics
/// Where the text is neither: a fault of the guest's author.
#[must_use]
pub(super) fn component(text: &str) -> Vec<u8> {
    let first = text.lines().find(|line| !line.starts_with(";;"));
    if first.is_some_and(|line| line.starts_with("(component")) {
        let end = text.rfind(')').unwrap_or_default();
        let text = format!("{}{RESPONSE_FILTER})", &text[..end]);
        return wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    let (world, handlers) = world_of(text);
    let added: String = ADDED
        .iter()
        .chain(handlers)
        .filter(|(mark, _)| !text.contains(mark))
        .map(|(_, items)| *items)
        .collect();
    let guest = Guest {
        wat: format!("(module {text} {added})"),
        world,
        wit_edits: Vec::new(),
    };
    guest.build()
}

type Handlers = &'static [(&'static str, &'static str)];

/// The world of a module by what it names, and the handlers that belong to it.
fn world_of(text: &str) -> (&'static str, Handlers) {
    const REQUEST: (&str, &str) = ("#on-request", ON_REQUEST);
    const RESPONSE: (&str, &str) = ("#on-response", ON_RESPONSE);
    let names = |phase: &str| {
        text.contains(&format!("apisix:filter/{phase}@")) || text.contains(&format!("#on-{phase}"))
    };
    match (names("request"), names("response")) {
        (true, true) => ("filter", &[REQUEST, RESPONSE]),
        (false, true) => ("response-filter", &[RESPONSE]),
        (_, false) => ("request-filter", &[REQUEST]),
    }
}

/// A component as large as asked for, and a little more: a filter of requests
/// whose memory begins with so many bytes.
#[must_use]
pub(super) fn with_data(bytes: usize) -> Vec<u8> {
    let pages = bytes.div_ceil(1 << 16) + 1;
    let data = "d".repeat(bytes);
    component(&format!(
        r#"(memory (export "memory") {pages}) (data (i32.const 65536) "{data}")"#
    ))
}

/// A component as large as asked for, and a little more: a filter of requests
/// with a section that nobody reads.
#[must_use]
pub(super) fn with_ballast(bytes: usize) -> Vec<u8> {
    const NAME: &[u8] = b"ballast";
    let mut wasm = component("");
    // A custom section: 0, its length, its name with a length, anything.
    wasm.push(0);
    let mut length = 1 + NAME.len() + bytes;
    while length > 0x7f {
        wasm.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    wasm.push(length as u8);
    wasm.push(NAME.len() as u8);
    wasm.extend_from_slice(NAME);
    wasm.resize(wasm.len() + bytes, 0);
    wasm
}

/// A filter that stops every request with this status and nothing else, and
/// leaves responses alone.
#[must_use]
pub fn stopping_with(status: u16) -> Vec<u8> {
    component(&format!(
        r#"(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
            (i32.store8 (i32.const 132) (i32.const 1))
            (i32.store16 (i32.const 136) (i32.const {status}))
            i32.const 128)
        {ON_RESPONSE}"#
    ))
}
