//! What each hostile guest comes to: one row for each phase, configuration and
//! setting in which it is tried.
//!
//! Must not know how a row is tried.

use super::expected::Expected::{Args, BodyOf, Closed, Headers, Page, StoppedWithBody, Untouched};
use super::row::Phase::{self, Request, Response};
use super::row::Row;
use super::{expected::Expected, row::Source};

/// The cause that metrics name where a filter let the call pass.
const NEXT: &str = "next";
const STOP: &str = "stop";

const fn row(guest: &'static str, phase: Phase, outcome: &'static str, reply: Expected) -> Row {
    Row {
        guest,
        plugin: guest,
        source: Source::Text,
        phase,
        configuration: "x",
        settings: "",
        outcome,
        reply,
    }
}

impl Row {
    /// With this configuration.
    const fn configured(mut self, configuration: &'static str) -> Self {
        self.configuration = configuration;
        self
    }

    /// With these settings for its plugin, as YAML.
    const fn settings(mut self, settings: &'static str) -> Self {
        self.settings = settings;
        self
    }

    /// Under another name, for other settings.
    const fn called(mut self, plugin: &'static str) -> Self {
        self.plugin = plugin;
        self
    }

    const fn made_of(mut self, source: Source) -> Self {
        self.source = source;
        self
    }
}

/// Enough computing for guests that are to reach another limit, on a machine
/// that has much else to do.
const PATIENT: &str = "{limits: {handler_ms: 1000, handler_wall_ms: 10000}}";

/// The same, with less memory to fill.
const SMALL: &str = "{limits: {memory_mib: 16, handler_ms: 1000, handler_wall_ms: 10000}}";

/// Computes until its time is over, on such a machine too.
const COMPUTES: &str = "{limits: {handler_wall_ms: 10000}}";

/// The same before its configuration is accepted.
const CONFIGURES: &str = "{limits: {configure_ms: 100, configure_wall_ms: 10000}}";

/// Sleeps, and is soon given up.
const SLEEPS: &str = "{limits: {configure_ms: 100, configure_wall_ms: 200, handler_wall_ms: 200}}";

/// Bodies of 64 KiB.
const SMALL_BODY: &str = "{limits: {body_kib: 64}}";

const MIB: usize = 1 << 20;

/// All of them.
pub const ROWS: &[Row] = &[
    // === time ===
    row("endless-loop", Request, "deadline_cpu", Closed).settings(COMPUTES),
    row("endless-loop", Response, "deadline_cpu", Closed).settings(COMPUTES),
    row("endless-loop", Request, "deadline_cpu", Page(504))
        .called("endless-loop-504")
        .settings("{on_error: {deadline: 504}, limits: {handler_wall_ms: 10000}}"),
    row("endless-loop", Response, "deadline_cpu", Page(504))
        .called("endless-loop-504")
        .settings("{on_error: {deadline: 504}, limits: {handler_wall_ms: 10000}}"),
    row("configure-loops", Request, "deadline_cpu", Closed).settings(CONFIGURES),
    row("start-loops", Request, "load", Closed).settings(CONFIGURES),
    row("host-call-loop", Request, "deadline_cpu", Closed).settings(COMPUTES),
    row("list-reads-loop", Request, "deadline_cpu", Closed).settings(COMPUTES),
    row("large-fills", Request, "deadline_cpu", Closed).settings(COMPUTES),
    row("body-reads-loop", Request, "deadline_cpu", Closed).settings(COMPUTES),
    row("post-return-loops", Request, "deadline_cpu", Closed).settings(COMPUTES),
    row("sleeps", Response, "deadline_wall", Closed).settings(SLEEPS),
    row("configure-sleeps", Response, "deadline_wall", Closed).settings(SLEEPS),
    row("waits-a-million-times", Response, "limit", Closed).settings(SLEEPS),
    row("naps", Response, "deadline_wall", Closed).settings(SLEEPS),
    // === stack and memory ===
    row("recursion", Request, "trap", Closed),
    row("recursion", Response, "trap", Closed),
    row("realloc-recurses", Request, "trap", Closed),
    row("memory-in-one-step", Request, "memory", Closed),
    row("memory-in-small-steps", Request, "memory", Closed).settings(SMALL),
    row("memory-refused", Request, NEXT, Untouched).settings(SMALL),
    row("memory-after-refusal", Request, "deadline_cpu", Closed).settings(COMPUTES),
    row("memory-at-start", Request, "load", Closed),
    row("memories-that-add-up", Response, NEXT, Untouched)
        .settings("{limits: {memory_mib: 4, handler_ms: 1000}}"),
    row("memory-of-64-bit", Response, "load", Closed),
    row("memory-that-is-shared", Response, "load", Closed),
    row("table-in-one-step", Request, "memory", Closed),
    row("table-in-small-steps", Request, "memory", Closed),
    row("table-at-start", Request, "load", Closed),
    row("realloc-without-end", Request, "deadline_cpu", Closed).settings(CONFIGURES),
    row("realloc-until-refused", Request, "memory", Closed),
    row("too-many-memories", Response, "load", Closed),
    row("too-many-tables", Response, "load", Closed),
    row("too-many-instances", Response, "load", Closed),
    row("fifty-mib", Request, NEXT, Untouched).made_of(Source::Data(50 * MIB)),
    row("too-large-a-file", Request, "load", Closed).made_of(Source::Ballast(65 * MIB)),
    // === the canonical ABI ===
    row("list-of-four-gib", Request, "trap", Closed).configured("0"),
    row("list-of-four-gib", Request, "trap", Closed).configured("1"),
    row("list-of-four-gib", Request, "trap", Closed).configured("2"),
    row("strings-that-overlap", Request, "limit", Closed).settings(PATIENT),
    row("answer-that-overlaps", Request, "limit", Closed).settings(PATIENT),
    row("not-utf8-argument", Request, "trap", Closed),
    row("not-utf8-answer", Request, "trap", Closed),
    row("not-utf8-refusal", Request, "trap", Closed),
    row("unknown-case", Request, "trap", Closed),
    row("answer-outside", Request, "trap", Closed),
    row("realloc-outside", Request, "trap", Closed),
    row("realloc-misaligned", Request, "trap", Closed),
    row("realloc-calls-back", Request, "trap", Closed),
    row("calls-after-the-end", Request, "trap", Closed),
    row("other-signature", Request, "load", Closed),
    row("unknown-import", Response, "load", Closed),
    // === traps ===
    row("traps", Request, "trap", Closed).configured("0"),
    row("traps", Request, "trap", Closed).configured("1"),
    row("traps", Request, "trap", Closed).configured("2"),
    row("traps", Request, "trap", Closed).configured("3"),
    row("traps", Request, "trap", Closed).configured("4"),
    row("traps", Request, "trap", Closed).configured("5"),
    row("traps", Request, "trap", Closed).configured("6"),
    row("traps", Request, "trap", Closed).configured("7"),
    row("traps", Request, "trap", Closed).configured("8"),
    row("traps", Request, "trap", Closed).configured("9"),
    row("traps", Request, "trap", Closed).configured("10"),
    row("traps", Request, "trap", Closed).configured("11"),
    row("traps", Response, "trap", Closed).configured("0"),
    row("traps", Response, "trap", Closed).configured("3"),
    row("start-traps", Request, "load", Closed),
    row("configure-traps", Request, "trap", Closed),
    row("realloc-traps", Request, "trap", Closed),
    row("realloc-traps-late", Request, "trap", Closed),
    row("post-return-traps", Request, "trap", Closed),
    row("half-its-edits", Request, "trap", Closed),
    row("half-its-edits", Response, "trap", Closed),
    row("half-its-edits", Request, "trap", Untouched)
        .called("half-its-edits-open")
        .settings("{on_error: open}"),
    row("half-its-edits", Response, "trap", Untouched)
        .called("half-its-edits-open")
        .settings("{on_error: open}"),
    row("half-its-edits", Request, "trap", Page(502))
        .called("half-its-edits-502")
        .settings("{on_error: {trap: 502, default: open}}"),
    row("half-its-edits", Response, "trap", Page(502))
        .called("half-its-edits-502")
        .settings("{on_error: {trap: 502, default: open}}"),
    // === HTTP ===
    row("header-crlf", Request, NEXT, Untouched),
    row("stop-with-crlf", Request, "guest_error", Closed),
    row("connection-headers", Request, NEXT, Untouched),
    row("headers-without-end", Request, NEXT, Headers(1000)).settings(PATIENT),
    row("headers-without-end", Response, NEXT, Headers(1000)).settings(PATIENT),
    row("args-without-end", Request, NEXT, Args(1000)).settings(PATIENT),
    row("stop-with-many-headers", Request, "guest_error", Closed),
    row("header-of-16-mib", Request, NEXT, Untouched).settings(PATIENT),
    row("header-of-16-mib", Response, NEXT, Untouched).settings(PATIENT),
    row("stop-status", Request, "guest_error", Closed).configured("0"),
    row("stop-status", Request, "guest_error", Closed).configured("99"),
    row("stop-status", Request, "guest_error", Closed).configured("1000"),
    row("stop-status", Request, "guest_error", Closed).configured("65535"),
    row("set-status", Response, NEXT, Untouched).configured("0"),
    row("set-status", Response, NEXT, Untouched).configured("99"),
    row("set-status", Response, NEXT, Untouched).configured("1000"),
    row("set-status", Response, NEXT, Untouched).configured("65535"),
    row("set-path", Request, NEXT, Untouched).configured(""),
    row("set-path", Request, NEXT, Untouched).configured("no-slash"),
    row("set-path", Request, NEXT, Untouched).configured("/a\0b"),
    row("body-at-the-limit", Request, NEXT, BodyOf(65536))
        .configured("65536")
        .settings(SMALL_BODY),
    row("body-at-the-limit", Request, NEXT, Untouched)
        .configured("65537")
        .settings(SMALL_BODY),
    row("body-at-the-limit", Response, NEXT, BodyOf(65536))
        .configured("65536")
        .settings(SMALL_BODY),
    row("body-at-the-limit", Response, NEXT, Untouched)
        .configured("65537")
        .settings(SMALL_BODY),
    row("stop-with-body", Request, STOP, StoppedWithBody(65536))
        .configured("65536")
        .settings(SMALL_BODY),
    row("stop-with-body", Request, "guest_error", Closed)
        .configured("65537")
        .settings(SMALL_BODY),
    // What a frame carries: as much as `body_kib` says does not fit with the
    // message around it.
    row("body-at-the-limit", Request, NEXT, Untouched)
        .called("body-of-a-frame")
        .settings(PATIENT)
        .configured("16777216"),
    row("body-at-the-limit", Request, NEXT, Untouched)
        .called("body-of-a-frame")
        .settings(PATIENT)
        .configured("16777215"),
    row("body-at-the-limit", Response, NEXT, Untouched)
        .called("body-of-a-frame")
        .settings(PATIENT)
        .configured("16777215"),
    row("body-at-the-limit", Request, NEXT, BodyOf(16_000_000))
        .called("body-of-a-frame")
        .settings(PATIENT)
        .configured("16000000"),
    row("stop-with-body", Request, "guest_error", Closed)
        .called("stop-of-a-frame")
        .settings(PATIENT)
        .configured("16777215"),
    // === what it may ask and say ===
    row("other-phases-body", Request, NEXT, Untouched),
    row("other-phases-body", Response, NEXT, Untouched),
    row("ten-thousand-variables", Request, NEXT, Untouched).settings(PATIENT),
    row("many-variables-at-once", Request, NEXT, Untouched),
    row("chain-flood", Request, NEXT, Untouched),
    row("log-flood", Request, NEXT, Untouched).settings(PATIENT),
    row("log-without-end", Request, "deadline_cpu", Closed).settings(COMPUTES),
    row("long-error", Request, "guest_error", Closed),
    row("long-error", Response, "guest_error", Closed),
    row("long-refusal", Request, "configuration", Closed),
    // === the rest of the machine ===
    row("imports-files", Response, NEXT, Untouched),
    row("imports-sockets", Response, NEXT, Untouched),
    row("random-without-end", Response, "trap", Closed),
    row("exits", Response, "trap", Closed),
    row("timers-without-end", Response, "limit", Closed),
    // === and no guest at all ===
    row("not-there", Request, "missing", Closed).made_of(Source::Nothing),
    row("not-webassembly", Request, "load", Closed).made_of(Source::Bytes(b"(module)")),
    row("cut-off", Request, "load", Closed).made_of(Source::Bytes(b"\0asm\x0d\0\x01\0\x01\x7f")),
    row("other-phase", Response, "wrong_phase", Closed).made_of(Source::Data(1)),
];
