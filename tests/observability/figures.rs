//! What is counted, under which name.

use protocol::gateway_side::Reply;

use crate::stage::*;

#[test]
fn every_way_a_filter_can_end_should_be_counted_by_plugin_and_cause() {
    let modules = [
        ("trap", guest(PASS, "unreachable")),
        ("loop", guest(PASS, LOOP)),
        ("grow", guest(PASS, GROW)),
        ("says-no", guest(PASS, FAIL)),
        ("refuses", guest(FAIL, PASS)),
        ("response-only", response_filter()),
        ("broken", b"no component".to_vec()),
    ];
    let stage = Stage::new(
        &modules,
        "limits: {gateway_ms: 200, prepare_ms: 9000, handler_wall_ms: 30000}\n",
    );
    // Plugin, configuration, phase, how it ends, and under which name.
    let rows = [
        ("probe", "{}", "request", "next", "probe"),
        ("probe", "{}", "response", "next", "probe"),
        ("probe", ASKS, "request", "deadline_gateway", "probe"),
        ("stop", "", "request", "stop", "stop"),
        ("trap", "", "request", "trap", "trap"),
        ("loop", "", "request", "deadline_cpu", "loop"),
        ("grow", "", "request", "memory", "grow"),
        ("says-no", "", "request", "guest_error", "says-no"),
        ("refuses", "", "request", "configuration", "refuses"),
        (
            "response-only",
            "",
            "request",
            "wrong_phase",
            "response-only",
        ),
        ("response-only", "", "response", "trap", "response-only"),
        ("broken", "", "request", "load", "broken"),
        ("not-there", "", "request", "missing", "(unknown)"),
        ("\"{}\n", "", "response", "missing", "(unknown)"),
    ];
    const TIMES: usize = 2;
    let mut client = stage.connect();
    for (plugin, conf, phase, ..) in rows {
        for _ in 0..TIMES {
            call(&mut client, plugin, conf, phase);
        }
    }
    let (status, text) = stage.page("/metrics");
    assert_eq!(status, 200, "{text}");
    for (plugin, conf, phase, outcome, name) in rows {
        let (total, seconds) = (
            "wasm_runner_filter_calls_total",
            "wasm_runner_filter_duration_seconds",
        );
        let line = format!(
            "{total}{{outcome=\"{outcome}\",phase=\"{phase}\",plugin=\"{name}\",tenant=\"default\"}}"
        );
        assert_eq!(
            figure(&text, &line),
            Some(TIMES as f64),
            "{plugin} {conf}: {line}\n{text}"
        );
        let of_phase = rows
            .iter()
            .filter(|row| (row.2, row.4) == (phase, name))
            .count();
        let count =
            format!("{seconds}_count{{phase=\"{phase}\",plugin=\"{name}\",tenant=\"default\"}}");
        assert_eq!(
            figure(&text, &count),
            Some((TIMES * of_phase) as f64),
            "{count}\n{text}"
        );
    }
    let counted: f64 = text
        .lines()
        .filter(|line| line.starts_with("wasm_runner_filter_calls_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert_eq!(
        counted,
        (TIMES * rows.len()) as f64,
        "and nothing else:\n{text}"
    );
    assert!(!text.contains("not-there"), "a name from the wire:\n{text}");
}

#[test]
fn frames_configurations_and_connections_should_be_counted() {
    let stage = Stage::new(&[("trap", guest(PASS, "unreachable"))], "");
    stage.ready();
    let mut client = stage.connect();
    for n in 0..3 {
        client
            .prepare(&[("probe", "{}"), ("not-there", &n.to_string())])
            .expect("token");
    }
    let token = client.prepare(&[("stop", "")]).expect("token");
    client.call(token).expect("reply");
    assert_eq!(call(&mut client, "trap", "", "request"), UNAVAILABLE);
    assert_eq!(client.call(token.wrapping_add(1000)), Ok(Reply::Error(2)));
    let unexpected = [3, 0, 0, 1, 0];
    assert_eq!(client.exchange(&unexpected), Ok(Reply::Error(0)));
    // After this one the connection is of no use.
    let no_frame = [3, 0, 0, 0];
    assert_eq!(stage.connect().exchange(&no_frame), Ok(Reply::Error(0)));
    for (name, value) in [
        (
            r#"calls_total{outcome="ok",tenant="default",type="prepare_conf"}"#,
            5.0,
        ),
        (
            r#"calls_total{outcome="ok",tenant="default",type="http_req_call"}"#,
            1.0,
        ),
        (
            r#"calls_total{outcome="unavailable",tenant="default",type="http_req_call"}"#,
            1.0,
        ),
        (
            r#"calls_total{outcome="unknown_token",tenant="default",type="http_req_call"}"#,
            1.0,
        ),
        (
            r#"calls_total{outcome="bad_request",tenant="default",type="other"}"#,
            2.0,
        ),
        (r#"configurations{tenant="default"}"#, 5.0),
        (r#"configurations_dropped_total{tenant="default"}"#, 0.0),
        (r#"connections{tenant="default"}"#, 1.0),
        (r#"connections_limit{tenant="default"}"#, 4096.0),
        (r#"connections_refused_total{tenant="default"}"#, 0.0),
        (r#"plugins{state="ready",tenant="default"}"#, 3.0),
        (r#"plugins{state="loading",tenant="default"}"#, 0.0),
        (r#"plugins{state="failed",tenant="default"}"#, 0.0),
        (r#"slots{state="total",tenant="default"}"#, 1000.0),
        (r#"slot_waiters{tenant="default"}"#, 0.0),
        (r#"accept_failures_total{tenant="default"}"#, 0.0),
    ] {
        stage.reaches(&format!("wasm_runner_{name}"), value);
    }
    let (_, text) = stage.page("/metrics");
    for name in [
        r#"wasm_runner_configuration_bytes{tenant="default"}"#,
        r#"wasm_runner_connections_accepted_total{tenant="default"}"#,
        "process_open_fds",
        "process_max_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
    ] {
        assert!(
            figure(&text, name).is_some_and(|value| value >= 1.0),
            "{name}\n{text}"
        );
    }
}

#[test]
fn what_plugins_use_should_be_among_the_figures() {
    let stage = Stage::new(&[("talker", talker(20))], "limits: {log_kib: 8}\n");
    stage.ready();
    // 64 KiB of memory, and five bytes a line.
    call(&mut stage.connect(), "talker", "", "request");
    stage.reaches(
        r#"wasm_runner_filter_memory_peak_bytes{plugin="talker",tenant="default"}"#,
        65536.0,
    );
    stage.reaches(
        r#"wasm_runner_filter_calls_running{plugin="talker",tenant="default"}"#,
        0.0,
    );
    stage.reaches(
        r#"wasm_runner_filter_calls_waiting{plugin="talker",tenant="default"}"#,
        0.0,
    );
    stage.reaches(
        r#"wasm_runner_guest_log_dropped_total{plugin="talker",tenant="default"}"#,
        0.0,
    );
    let flood = Stage::new(&[("talker", talker(1000))], "limits: {log_kib: 8}\n");
    call(&mut flood.connect(), "talker", "", "request");
    let dropped =
        flood.figure(r#"wasm_runner_guest_log_dropped_total{plugin="talker",tenant="default"}"#);
    let logged = || flood.runner.log().matches("guest: hello").count() as f64;
    assert!(
        soon(|| dropped == Some(1000.0 - logged())),
        "{dropped:?} {}",
        logged()
    );
    assert!(dropped > Some(500.0), "{dropped:?}");
}
