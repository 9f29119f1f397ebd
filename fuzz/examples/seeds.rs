//! Writes the seeds: frames that APISIX sent, replies, configurations and small
//! components. Run it after a change of any of those; what is there under
//! another name stays.

use std::path::{Path, PathBuf};

use fuzz::corpus;
use harness::guest::Guest;
use protocol::frame::HEADER_LEN;
use protocol::gateway_side;
use protocol::http_req_call::{self, Action, Rewrite, Stop};
use protocol::http_resp_call::{self, Edits};
use protocol::{Entry, FrameBuilder, err_resp, extra_info, prepare_conf};

fn main() -> std::io::Result<()> {
    captured()?;
    made()?;
    replies()?;
    structured()?;
    configurations()?;
    components()?;
    core_modules()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = corpus::folder(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), bytes)
}

/// Each distinct message in `tests/frames` to the reader of its type, and
/// conversations to the codec.
fn captured() -> std::io::Result<()> {
    let mut frames: Vec<(String, Vec<u8>)> = Vec::new();
    for file in std::fs::read_dir(root().join("tests/frames"))? {
        let path = file?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.extension().is_some_and(|extension| extension == "bin") {
            frames.push((name.into_owned(), std::fs::read(&path)?));
        }
    }
    frames.sort();
    // Of messages with one length and type one is enough.
    let mut seen = std::collections::HashSet::new();
    let mut conversation = 7_u32.to_le_bytes().to_vec();
    let mut conversations = 0;
    for (name, frame) in frames.iter().filter(|(_, frame)| frame.len() < 2000) {
        let Some((header, payload)) = frame.split_first_chunk::<HEADER_LEN>() else {
            continue;
        };
        let target = match header[0] {
            1 => "prepare_conf",
            2 => "request_call",
            3 => "answer",
            _ => "response_call",
        };
        if seen.insert((header[0], payload.len())) {
            write(target, name, payload)?;
            conversation.extend_from_slice(frame);
        }
        if conversation.len() > 1000 {
            conversations += 1;
            write(
                "frames",
                &format!("conversation-{conversations:02}"),
                &conversation,
            )?;
            conversation.truncate(4);
            conversation[0] = conversations;
        }
    }
    for (name, bytes) in [
        ("empty", &[][..]),
        ("torn-header", &[1, 0, 0, 0, 2, 0, 0]),
        ("zero-length", &[1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 1, 7]),
        ("largest-announced", &[1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 7]),
        ("smallest", &[1, 0, 0, 0, 2, 0, 0, 1, 7, 4, 0, 0, 1, 8]),
    ] {
        write("frames", name, bytes)?;
    }
    Ok(())
}

/// What no gateway sends and a reader has to survive all the same.
fn made() -> std::io::Result<()> {
    let any: Vec<u8> = (0..=255).collect();
    let entries = [
        Entry::new("b", "1"),
        Entry::new("a", ""),
        Entry::bare("z"),
        Entry::bare(""),
        Entry::new(&any, &any),
    ];
    let builder = &mut FrameBuilder::new();
    let keep = |target: &str, name: &str, frame: Result<&[u8], protocol::EncodeError>| {
        let frame = frame.map_err(std::io::Error::other)?;
        write(target, name, &frame[HEADER_LEN..])
    };
    let conf = gateway_side::PrepareConf {
        key: Some(b"route#1"),
        conf: &entries,
    };
    keep("prepare_conf", "any-bytes", conf.encode(builder))?;
    let request = gateway_side::HttpReqCall {
        id: u32::MAX,
        src_ip: &[10, 0, 0, 1],
        method: 200,
        path: &any,
        args: &entries,
        headers: &entries,
        conf_token: u32::MAX,
    };
    keep("request_call", "any-bytes", request.encode(builder))?;
    let none = gateway_side::HttpReqCall::default();
    keep("request_call", "nothing", none.encode(builder))?;
    for (name, id, status, headers) in [
        ("any-bytes", u32::MAX, 999, &entries[..]),
        ("nothing", 0, 0, &[]),
        ("two-headers", 1, 200, &entries[..2]),
    ] {
        let conf_token = id;
        let response = gateway_side::HttpRespCall {
            id,
            status,
            headers,
            conf_token,
        };
        keep("response_call", name, response.encode(builder))?;
    }
    for (name, result) in [
        ("absent", None),
        ("nothing", Some(&b""[..])),
        ("any-bytes", Some(&any)),
    ] {
        keep("answer", name, gateway_side::encode_answer(builder, result))?;
    }
    Ok(())
}

/// One reply of each kind, as the runner writes them.
fn replies() -> std::io::Result<()> {
    let entries = [
        Entry::new("x-a", "1"),
        Entry::new("host", "example.org"),
        Entry::new("empty", ""),
        Entry::bare("gone"),
    ];
    let builder = &mut FrameBuilder::new();
    let keep = |name: &str, frame: Result<&[u8], protocol::EncodeError>| {
        let frame = frame.map_err(std::io::Error::other)?;
        let typed = [&frame[..1], &frame[HEADER_LEN..]].concat();
        write("reply_decoder", name, &typed)?;
        match frame[0] {
            0 => write("error_code", name, &frame[HEADER_LEN..]),
            _ => Ok(()),
        }
    };
    for code in [
        err_resp::Code::BadRequest,
        err_resp::Code::ServiceUnavailable,
        err_resp::Code::ConfTokenNotFound,
    ] {
        keep(
            &format!("error-{}", code as u8),
            err_resp::encode(builder, code),
        )?;
    }
    keep("prepared", prepare_conf::encode_reply(builder, 0xdead_beef))?;
    keep("prepared-0", prepare_conf::encode_reply(builder, 0))?;
    let questions = [
        (
            "asks-for-a-variable",
            extra_info::Question::Var(b"remote_addr"),
        ),
        ("asks-for-the-request-body", extra_info::Question::ReqBody),
        ("asks-for-the-response-body", extra_info::Question::RespBody),
    ];
    for (name, question) in questions {
        keep(name, extra_info::encode_question(builder, question))?;
    }
    let stop = Stop {
        status: 403,
        headers: &entries,
        body: b"no",
    };
    let rewrite = Rewrite {
        path: Some(b"/p"),
        headers: &entries[..3],
        args: &entries,
        resp_headers: &entries[..1],
        body: Some(b"new"),
    };
    let removes = Rewrite {
        headers: &entries[3..],
        ..Rewrite::default()
    };
    for (name, id, action) in [
        ("passes", 7, Action::None),
        ("passes-0", 0, Action::None),
        ("stops", 7, Action::Stop(&stop)),
        ("rewrites", 7, Action::Rewrite(&rewrite)),
        ("removes", 1, Action::Rewrite(&removes)),
    ] {
        keep(name, http_req_call::encode_reply(builder, id, action))?;
    }
    let edits = Edits {
        status: Some(201),
        headers: &entries,
        body: Some(b"x"),
    };
    keep(
        "edits-a-response",
        http_resp_call::encode_reply(builder, 5, &edits),
    )?;
    keep(
        "leaves-a-response",
        http_resp_call::encode_reply(builder, 5, &Edits::default()),
    )
}

/// Bytes that read as replies and edits; see `Input`.
fn structured() -> std::io::Result<()> {
    // One entry with a value and one without.
    let list = b"\x02\x03x-a\x01\x011\x04gone\x00";
    let rewrite = [
        &b"\x08\x07\0\0\0\x01\x02/p"[..],
        list,
        list,
        list,
        b"\x01\x03new",
    ]
    .concat();
    let stop = [&b"\x06\x07\0\0\0\x93\x01"[..], list, b"\x01\x02no"].concat();
    let response = [&b"\x03\x07\0\0\0\xc9\0"[..], list, b"\x01\x01x"].concat();
    let pairs = [
        ("rewrite-stop", [&rewrite[..], &stop].concat()),
        ("response-rewrite", [&response[..], &rewrite].concat()),
        ("stop-none", [&stop[..], b"\x05\x01\0\0\0"].concat()),
        (
            "question-token",
            b"\x02\x00\x04host\x01\xef\xbe\xad\xde".to_vec(),
        ),
        ("bodies-question", b"\x02\x01\x02\x02".to_vec()),
        ("error-error", b"\x00\x00\x00\x02".to_vec()),
        (
            "host-removed",
            b"\x08\x07\0\0\0\x00\x01\x04Host\x00\x00\x00\x00".to_vec(),
        ),
        (
            "nameless",
            b"\x06\x07\0\0\0\x93\x01\x01\x00\x01\x011\x00".to_vec(),
        ),
    ];
    for (name, bytes) in &pairs {
        write("replies", name, bytes)?;
    }
    let request = [&b"\x02\x04/a%2"[..], list, list, b"\x07\0\0\0"].concat();
    let edits = b"\x0a\x00\x02/b\x01\x03X-A\x012\x02\x03x-b\x013\x03\x04gone\x04\x03x-a\x011\
        \x05\x01b\x00\x06\x03x-a\x07\x01b\x08\x03x-c\x011\x09\x03x-c\x012";
    let response = [&b"\x01"[..], list, b"\x07\0\0\0\xc8\0"].concat();
    let response_edits = b"\x05\x00\xc9\0\x01\x03x-a\x012\x02\x03x-b\x013\x03\x04gone\x04\x01b\x00";
    for (name, bytes) in [
        ("edits", [&request[..], edits].concat()),
        ("untouched", [&request[..], b"\x00"].concat()),
        ("response-edits", [&response[..], response_edits].concat()),
        ("response-untouched", [&response[..], b"\x00\x02"].concat()),
        (
            "connection",
            b"\x01\x02\x0aConnection\x01\x03x-a\x03x-a\x01\x011\x07\0\0\0\xc8\0\x00\x01".to_vec(),
        ),
        (
            "stop",
            b"\x00\x93\x01\x01\x03x-a\x011\x02no\x07\0\0\0".to_vec(),
        ),
    ] {
        write("outcomes", name, &bytes)?;
    }
    Ok(())
}

fn configurations() -> std::io::Result<()> {
    let shipped = std::fs::read(root().join("conf/config.yaml"))?;
    write("configuration", "shipped.yaml", &shipped)?;
    for (name, text) in [
        ("empty.yaml", ""),
        (
            "flow.yaml",
            "{socket: {file: /f.sock}, limits: {instances: 3}}",
        ),
        (
            "variables.yaml",
            "socket: {file: $env.SET}\ncache: {dir: $env.HOME, max_mib: 3}\n",
        ),
        ("unset.yaml", "socket:\n  file: $env.NOPE\n"),
        ("unknown-key.yaml", "socket:\n  fil: x\n"),
        ("wrong-type.yaml", "logging:\n  level: [a]\n"),
        ("zero.yaml", "limits:\n  instances: 0\n"),
        ("too-long.yaml", "limits:\n  gateway_ms: 60000\n"),
        (
            "owner.yaml",
            "socket: {owner: root, group: \"0\", mode: \"0600\"}\n",
        ),
        (
            "plugins.yaml",
            "plugins:\n  a:\n    snapshot: always\n    instances: warm\n    warm_uses: 3\n  b: {}\n",
        ),
        (
            "anchors.yaml",
            "plugins:\n  a: &a {snapshot: off}\n  b: *a\n",
        ),
    ] {
        write("configuration", name, text.as_bytes())?;
    }
    Ok(())
}

/// Small filters: with a shim and without, with state of every kind.
fn components() -> std::io::Result<()> {
    const OK: &str = "i32.const 0";
    let guests = [
        ("nothing", "", OK, OK),
        (
            "state",
            r#"(global $g (mut i32) (i32.const 3)) (global $h (mut i64) (i64.const 4))
               (data (i32.const 2048) "abc") (data (i32.const 9000) "def")"#,
            "i32.const 2050 i32.const 42 i32.store8 global.get $g global.set $g i32.const 0",
            "i32.const 2050 i32.const 43 i32.store8 i32.const 0",
        ),
        (
            "calls-the-host",
            r#"(import "apisix:filter/request@0.1.0" "set-header"
                 (func $set (param i32 i32 i32 i32 i32)))
               (data (i32.const 2048) "x-a1")"#,
            OK,
            "i32.const 2048 i32.const 3 i32.const 2051 i32.const 1 i32.const 3000 call $set
             i32.const 0",
        ),
        (
            "asks-the-host",
            r#"(import "apisix:filter/request@0.1.0" "method" (func $method (param i32)))
               (import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))
               (data (i32.const 2048) "hello")"#,
            "i32.const 1 i32.const 2048 i32.const 5 call $log i32.const 0",
            "i32.const 3000 call $method i32.const 0",
        ),
        (
            "table",
            "(table 4 funcref) (func $f (param i32) (result i32) local.get 0)
             (elem (i32.const 0) $f $f) (type $t (func (param i32) (result i32)))",
            OK,
            "i32.const 0 i32.const 1 call_indirect (type $t)",
        ),
        // What a call leaves behind makes the next one trap.
        (
            "counts",
            "(global $calls (mut i32) (i32.const 3)) (global $other (mut i64) (i64.const 5))",
            "i32.const 4 global.set $calls i64.const 6 global.set $other i32.const 0",
            "global.get $calls i32.const 4 i32.ne if unreachable end
             global.get $other i64.const 6 i64.ne if unreachable end
             i32.const 9 global.set $calls i64.const 9 global.set $other i32.const 0",
        ),
        (
            "remembers",
            r#"(data (i32.const 2048) "abc") (data (i32.const 60000) "z")"#,
            "i32.const 2049 i32.const 42 i32.store8 i32.const 0",
            "i32.const 2048 i32.load16_u i32.const 10849 i32.ne if unreachable end
             i32.const 60000 i32.load8_u i32.const 122 i32.ne if unreachable end
             i32.const 30000 i32.load8_u if unreachable end
             i32.const 30000 i32.const 1 i32.store8 i32.const 60000 i32.const 1 i32.store8
             i32.const 2048 i32.const 1 i32.store8 i32.const 0",
        ),
        (
            "table-and-host",
            r#"(import "apisix:filter/request@0.1.0" "set-header"
                 (func $set (param i32 i32 i32 i32 i32)))
               (import "apisix:filter/request@0.1.0" "method" (func $method (param i32)))
               (table 4 funcref) (type $t (func (param i32) (result i32)))
               (func $f (param i32) (result i32) local.get 0)
               (func $g (param i32) (result i32) local.get 0 i32.const 1 i32.add)
               (elem (i32.const 0) $f $g) (data (i32.const 2048) "x-a12")"#,
            OK,
            "i32.const 3000 call $method
             i32.const 2048 i32.const 3 i32.const 2050 i32.const 1 call_indirect (type $t)
             i32.const 1 i32.const 3000 call $set i32.const 0",
        ),
        ("traps", "", OK, "unreachable"),
        ("grows", "", "i32.const 1 memory.grow drop i32.const 0", OK),
        ("passive", r#"(data "passive")"#, OK, OK),
        (
            "floats",
            "(global (mut f32) (f32.const 1.5)) (global (mut f64) (f64.const 2.5))",
            OK,
            OK,
        ),
    ];
    for (name, items, configure, on_request) in guests {
        let wasm = Guest::request_filter(items, configure, on_request).build();
        write("components", name, &wasm)?;
        write("plugins", name, &wasm)?;
    }
    let rewrite = std::fs::read(root().join("examples-wasm/prebuilt/rewrite.wasm"))?;
    write("components", "rewrite", &rewrite)?;
    write(
        "components",
        "nested",
        b"\0asm\x0d\0\x01\0\x04\x08\0asm\x0d\0\x01\0",
    )?;
    write("components", "core-module", b"\0asm\x01\0\0\0")
}

/// What compilers leave: with imports of the interface, with those of WASI
/// preview 1, without any.
fn core_modules() -> std::io::Result<()> {
    const OK: &str = "i32.const 0";
    let guests = [
        ("nothing", ""),
        (
            "interface",
            r#"(import "apisix:filter/request@0.1.0" "set-header"
                 (func $set (param i32 i32 i32 i32 i32)))"#,
        ),
        (
            "preview-1",
            r#"(import "wasi_snapshot_preview1" "fd_write"
                 (func (param i32 i32 i32 i32) (result i32)))"#,
        ),
        ("linker", r#"(import "env" "abort" (func))"#),
    ];
    for (name, items) in guests {
        let module = Guest::request_filter(items, OK, OK).core_module();
        write("core_modules", name, &module)?;
    }
    Ok(())
}
