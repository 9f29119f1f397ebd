//! Limits, checked against each other and against their ceilings, in the units
//! of the sandbox. Must not know what happens where one is reached.

use std::time::Duration;

use super::ConfigError;
use super::limit_keys::{RawCeilings, RawLimits, Row};
use super::source::Source;

/// How long the gateway waits for the next frame (`ext-plugin/init.lua`).
const GATEWAY_PATIENCE_MS: u32 = 60_000;

/// The longest body that fits into a frame: 24 bits of length, and the few
/// bytes around a body.
const LONGEST_BODY: usize = 0xff_ffff - 64;

/// Clocks of which the first cannot run out when it is longer than the second.
const COMPUTING_AND_WALL: [(&str, &str); 2] = [
    ("handler_ms", "handler_wall_ms"),
    ("configure_ms", "configure_wall_ms"),
];

impl Source {
    /// The limits of a plugin. `section` is where it could say so itself.
    pub(super) fn limits(
        &self,
        section: &str,
        raw: &RawLimits,
        ceilings: &RawCeilings,
    ) -> Result<sandbox::Limits, ConfigError> {
        let rows = raw.rows(ceilings);
        for row in &rows {
            self.check_limit(section, row)?;
        }
        for (computing, wall) in COMPUTING_AND_WALL {
            self.check_clocks(section, &rows, computing, wall)?;
        }
        Ok(sandbox::Limits {
            memory: mib(raw.memory_mib),
            table_elements: raw.table_elements as usize,
            handles: raw.handles as usize,
            handler_time: millis(raw.handler_ms),
            handler_wall_time: millis(raw.handler_wall_ms),
            configure_time: millis(raw.configure_ms),
            configure_wall_time: millis(raw.configure_wall_ms),
            gateway_time: millis(raw.gateway_ms),
            questions: raw.questions,
            services_time: millis(raw.services_ms),
            service_calls: raw.service_calls,
            host_call: mib(raw.host_call_mib),
            body: kib(raw.body_kib).min(LONGEST_BODY),
            headers: raw.headers as usize,
            header: kib(raw.header_kib),
            log_per_call: kib(raw.log_kib),
            log_per_second: kib(raw.log_kib_per_s),
            concurrent_calls: raw.concurrent_calls,
            waiting_calls: raw.waiting_calls,
            wait: millis(raw.wait_ms),
        })
    }

    fn check_limit(&self, section: &str, row: &Row) -> Result<(), ConfigError> {
        let (key, ceiling_key) = (
            format!("{section}.{}", row.key),
            format!("{}.{}", ceilings_beside(section), row.key),
        );
        // A tenant that has no ceiling of its own is below that of all.
        let ceiling_key = match self.place_of(&ceiling_key) {
            Some(_) => ceiling_key,
            None => format!("ceilings.{}", row.key),
        };
        if row.key.ends_with("_ms") {
            self.check_time(&key, row.value)?;
            self.check_time(&ceiling_key, row.ceiling)?;
        }
        if row.value < row.least {
            return Err(self.value_error(&key, format!("must be at least {}", row.least)));
        }
        if row.value <= row.ceiling {
            return Ok(());
        }
        let written = self.place_of(&key);
        let limit = match written {
            Some(_) => format!("{}", row.value),
            None => format!("{}, which it is unless the file says otherwise,", row.value),
        };
        let place = self.place_of(&ceiling_key);
        let message = format!(
            "{limit} is above its ceiling of {}; lower it, or raise {ceiling_key} ({})",
            row.ceiling,
            place.as_deref().unwrap_or("not in the file")
        );
        Err(self.value_error(&key, message))
    }

    fn check_clocks(
        &self,
        section: &str,
        rows: &[Row],
        computing: &str,
        wall: &str,
    ) -> Result<(), ConfigError> {
        let value = |key| rows.iter().find(|row| row.key == key).map(|row| row.value);
        let (Some(cpu_ms), Some(wall_ms)) = (value(computing), value(wall)) else {
            return Ok(());
        };
        if cpu_ms <= wall_ms {
            return Ok(());
        }
        // Of the two, the one that the operator wrote here.
        let key = match self.place_of(&format!("{section}.{wall}")) {
            Some(_) => wall,
            None => computing,
        };
        let message = format!(
            "{computing} is {cpu_ms} and {wall} {wall_ms}, but whoever computes so long takes as \
             long by the clock on the wall; raise {wall} or lower {computing}"
        );
        Err(self.value_error(&format!("{section}.{key}"), message))
    }

    /// Of what the gateway waits for.
    pub(super) fn check_time(&self, key: &str, ms: u32) -> Result<(), ConfigError> {
        match ms {
            GATEWAY_PATIENCE_MS.. => {
                let message =
                    format!("must be below {GATEWAY_PATIENCE_MS}: the gateway gives up then");
                Err(self.value_error(key, message))
            }
            _ => Ok(()),
        }
    }
}

/// Where the ceilings of a section of limits are: `tenants.0.ceilings` of
/// `tenants.0.plugins.x.limits`.
fn ceilings_beside(limits: &str) -> String {
    let tenant = limits
        .strip_prefix("tenants.")
        .and_then(|rest| rest.split_once('.'));
    match tenant {
        Some((number, _)) => format!("tenants.{number}.ceilings"),
        None => "ceilings".into(),
    }
}

pub(super) fn millis(value: u32) -> Duration {
    Duration::from_millis(value.into())
}

fn kib(value: u32) -> usize {
    (value as usize) << 10
}

pub(super) fn mib(value: u32) -> usize {
    (value as usize) << 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::check;

    #[test]
    fn a_plugin_should_have_its_own_limits_and_of_the_rest_those_of_all() {
        let text = "limits: {memory_mib: 32, log_kib: 0}\n\
                    plugins: {a: {limits: {memory_mib: 128, wait_ms: 0}}}";
        let plugins = check(text).expect(text).tenants.remove(0).plugins;
        let shown = |name| {
            let limits = plugins.of(name).settings.limits;
            (limits.memory >> 20, limits.log_per_call, limits.wait)
        };
        assert_eq!(shown("a"), (128, 0, Duration::ZERO));
        assert_eq!(shown("b"), (32, 0, Duration::from_secs(1)));
    }

    #[test]
    fn units_should_become_bytes_and_a_body_should_fit_into_a_frame() {
        let text = "limits: {header_kib: 2, body_kib: 16383, host_call_mib: 3, module_mib: 2}";
        let plugins = check(text).expect(text).tenants.remove(0).plugins;
        let limits = plugins.others.settings.limits;
        let shown = (limits.header, limits.body, limits.host_call);
        assert_eq!(shown, (2048, 16383 << 10, 3 << 20));
        assert_eq!(plugins.module_size, 2 << 20);
        let default = check("").expect("defaults").tenants[0]
            .plugins
            .others
            .settings
            .limits;
        assert_eq!(default.body, 16_777_215 - 64);
    }

    #[test]
    fn a_limit_should_be_refused_with_its_place_and_its_ceiling() {
        let rows = [
            (
                "limits:\n  memory_mib: 2000\n",
                "c.yaml:2: limits.memory_mib: 2000 is above its ceiling of 1024; lower it, or raise \
                 ceilings.memory_mib (not in the file)",
            ),
            (
                "ceilings: {headers: 10}\nplugins:\n  a:\n    limits:\n      headers: 11\n\
                 limits: {headers: 5}",
                "c.yaml:5: plugins.a.limits.headers: 11 is above its ceiling of 10; lower it, or \
                 raise ceilings.headers (c.yaml:1)",
            ),
            (
                "ceilings:\n  memory_mib: 32\nplugins: {a: {limits: {memory_mib: 8}}}\n",
                "c.yaml: limits.memory_mib: 64, which it is unless the file says otherwise, is \
                 above its ceiling of 32; lower it, or raise ceilings.memory_mib (c.yaml:2)",
            ),
            (
                "limits:\n  handler_wall_ms: 40\n",
                "c.yaml:2: limits.handler_wall_ms: handler_ms is 50 and handler_wall_ms 40",
            ),
            (
                "plugins:\n  a:\n    limits: {configure_ms: 5000}\n",
                "c.yaml:3: plugins.a.limits.configure_ms: configure_ms is 5000 and \
                 configure_wall_ms 2000",
            ),
            (
                "limits: {gateway_ms: 60000}\n",
                "c.yaml:1: limits.gateway_ms: must be below 60000",
            ),
            (
                "ceilings:\n  wait_ms: 60000\n",
                "c.yaml:2: ceilings.wait_ms: must be below 60000",
            ),
            (
                "limits:\n  prepare_ms: 60000\n",
                "c.yaml:2: limits.prepare_ms: must be below 60000",
            ),
            (
                "plugins: {a: {limits: {memory_mib: 0}}}\n",
                "c.yaml:1: plugins.a.limits.memory_mib: must be at least 1",
            ),
            (
                "limits:\n  module_mib: 0\n",
                "c.yaml:2: limits.module_mib: must be at least 1",
            ),
            (
                "plugins: {a: {limits: {memory_mb: 1}}}\n",
                "did you mean `memory_mib`?",
            ),
            (
                "plugins: {a: {limits: {instances: 1}}}\n",
                "plugins.a.limits: unknown field `instances`",
            ),
            (
                "ceilings: {prepare_ms: 1}\n",
                "ceilings: unknown field `prepare_ms`",
            ),
        ];
        for (text, expected) in rows {
            let error = check(text).expect_err(text);
            assert!(error.contains(expected), "{text:?} gave {error:?}");
        }
    }
}
