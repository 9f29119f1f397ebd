//! The process: what the gateway's environment means to it.

use std::path::Path;

use harness::{RunnerProcess, Signal, modules};
use protocol::gateway_side::Reply;

use crate::{RUNNER, SOON, connect};

/// A start with one variable of the environment set or taken away.
pub(crate) struct StartRow {
    pub(crate) from: &'static str,
    name: &'static str,
    value: Option<&'static str>,
    /// The text of a configuration file.
    config: &'static str,
    /// It serves, or ends and prints this.
    expected: Result<(), &'static str>,
}

pub(crate) const STARTS: &[StartRow] = &[
    StartRow {
        from: "Go TestGetConfCacheTTL",
        name: "APISIX_CONF_EXPIRE_TIME",
        value: None,
        config: "",
        expected: Ok(()),
    },
    StartRow {
        from: "Go TestGetConfCacheTTL",
        name: "APISIX_CONF_EXPIRE_TIME",
        value: Some("12"),
        config: "",
        expected: Ok(()),
    },
    StartRow {
        // There, 0 is returned, and the runner ends on it.
        from: "Go TestGetConfCacheTTL",
        name: "APISIX_CONF_EXPIRE_TIME",
        value: Some("1a"),
        config: "",
        expected: Err(r#"APISIX_CONF_EXPIRE_TIME is "1a"; it takes a whole number of seconds"#),
    },
    StartRow {
        from: "APISIX sanity 13; Python test_config_custom",
        name: "MY_ENV_VAR",
        value: Some("warn"),
        config: "logging:\n  level: $env.MY_ENV_VAR\n",
        expected: Ok(()),
    },
    StartRow {
        // A departure: there, an unknown level means all of them.
        from: "Python test_config_default",
        name: "MY_ENV_VAR",
        value: Some("NOTSET"),
        config: "logging:\n  level: $env.MY_ENV_VAR\n",
        expected: Err(r#""NOTSET" is not one of error, warn, info, debug, trace"#),
    },
];

/// What is in the log after the start and a call that fails.
pub(crate) struct LevelRow {
    pub(crate) from: &'static str,
    level: &'static str,
    warning: bool,
    information: bool,
}

const fn level(level: &'static str, warning: bool, information: bool) -> LevelRow {
    LevelRow {
        from: "Python test_logger, test_config_default",
        level,
        warning,
        information,
    }
}

pub(crate) const LEVELS: &[LevelRow] = &[
    level("error", false, false),
    level("warn", true, false),
    level("info", true, true),
    level("debug", true, true),
];

fn start(row: &StartRow) -> Result<RunnerProcess, String> {
    let config = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(config.path(), row.config).expect("written");
    let modules = modules::examples();
    let unset = format!("--unset={}", row.name);
    let args = [
        unset.as_ref(),
        RUNNER.as_ref(),
        "serve".as_ref(),
        "--modules".as_ref(),
        modules.as_os_str(),
        "--config".as_ref(),
        config.path().as_os_str(),
    ];
    let started = match row.value {
        None => RunnerProcess::start(Path::new("/usr/bin/env"), args, &[]),
        Some(value) => RunnerProcess::start(Path::new(RUNNER), &args[2..], &[(row.name, value)]),
    };
    started.map_err(|error| error.to_string())
}

#[test]
fn the_environment_should_be_read_or_refused_at_the_start() {
    for row in STARTS {
        let (from, value) = (row.from, row.value);
        match (start(row), row.expected) {
            (Ok(runner), Ok(())) => {
                let token = connect(&runner).prepare(&[("stop", "")]);
                assert!(token.is_ok(), "{from}: {value:?}: {token:?}");
            }
            (Err(error), Err(expected)) => {
                assert!(error.contains(expected), "{from}: {value:?}: {error}");
            }
            (started, _) => panic!("{from}: {value:?}: {started:?}"),
        }
    }
}

/// Python test_server
#[test]
fn the_start_should_say_where_it_listens() {
    let runner = crate::runner();
    let listening = format!("listening on unix:{}", runner.socket().display());
    assert!(runner.prints(&listening, SOON), "{}", runner.log());
}

#[test]
fn a_level_should_hide_what_is_below_it() {
    for row in LEVELS {
        let with_level = StartRow {
            from: row.from,
            name: "MY_ENV_VAR",
            value: Some(row.level),
            config: "logging:\n  level: $env.MY_ENV_VAR\n",
            expected: Ok(()),
        };
        let mut runner = start(&with_level).expect("started");
        let reply = connect(&runner).exchange(&[126, 0, 0, 4, 4, 0, 0, 0]);
        assert_eq!(reply, Ok(Reply::Error(0)), "{}", row.level);
        runner.signal(Signal::INT).expect("sent");
        runner.wait(SOON).expect("ended, so that the log is whole");
        let log = runner.log();
        let (warning, information) = (log.contains("type 126"), log.contains("listening on"));
        let expected = (row.warning, row.information);
        assert_eq!(
            (warning, information),
            expected,
            "{}: {}: {log}",
            row.from,
            row.level
        );
    }
}
