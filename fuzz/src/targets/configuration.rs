//! The configuration file: any text is settled or refused, and what is settled
//! keeps the promises that the rest of the program builds on.
//!
//! Must not know what the values are for.

use std::time::Duration;

use runner::config::{self, ConfigError, Environment};

use super::Depth;

/// Keys and values of the file.
pub const WORDS: &[&[u8]] = &[
    b"socket:\n  ",
    b"file: ",
    b"mode: \"0660\"\n",
    b"owner: ",
    b"group: ",
    b"logging:\n  ",
    b"level: ",
    b"limits:\n  ",
    b"memory_mib: ",
    b"handler_ms: ",
    b"gateway_ms: ",
    b"plugins:\n  ",
    b"snapshot: always\n",
    b"instances: warm\n",
    b"warm_uses: ",
    b"cache:\n  ",
    b"dir: ",
    b"max_mib: ",
    b"$env.SET",
    b"$env.",
    b"unix:",
    b"null",
    b"~",
    b"0",
    b"-1",
    b"4294967295",
    b"4294967296",
    b"1e400",
    b".nan",
    b"0x7fffffff",
    b"{",
    b"}",
    b"[",
    b"]",
    b"&a ",
    b"*a",
    b"<<: *a",
    b"!!binary ",
    b"? ",
    b"- ",
    b"|\n",
    b"---\n",
    b"...\n",
    b"\t",
    b"\\x00",
    b"\"\\0\"",
    "\u{feff}".as_bytes(),
    "\u{2028}".as_bytes(),
];

/// The gateway would give up on what takes longer.
const LONGEST: Duration = Duration::from_secs(60);

struct Fixed;

impl Environment for Fixed {
    fn get(&self, name: &str) -> Option<String> {
        match name {
            "SET" => Some("set".into()),
            "EMPTY" => Some(String::new()),
            "HOME" => Some("/home/u".into()),
            _ => None,
        }
    }
}

/// The file's bytes.
pub fn attack(data: &[u8]) -> Depth {
    // Anything else is refused when it is read.
    let Ok(text) = std::str::from_utf8(data) else {
        return Depth::Refused;
    };
    match config::settle("c.yaml", text.to_owned(), &Fixed) {
        Ok(config) => {
            settled(&config);
            Depth::Read
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.starts_with("c.yaml"), "{message:?} says not where");
            // What was written is quoted, every character of it perhaps escaped.
            let most = 2000 + 16 * text.len();
            assert!(message.len() <= most, "{} bytes", message.len());
            match error {
                // It is a configuration, of values that will not do.
                ConfigError::Value { .. } => Depth::Read,
                _ => Depth::Refused,
            }
        }
    }
}

/// What holds where nothing is written.
pub(super) fn defaults() -> config::Config {
    config::settle("c.yaml", String::new(), &Fixed).expect("the defaults")
}

fn settled(config: &config::Config) {
    assert!(!config.cache.folders.is_empty());
    assert!(!config.tenants.is_empty());
    for tenant in &config.tenants {
        assert!(!tenant.sockets.is_empty());
        for socket in &tenant.sockets {
            assert!(socket.mode <= 0o777);
            assert!(!socket.path.as_os_str().is_empty());
        }
        assert!(tenant.instances > 0 && tenant.connections > 0);
        assert!(tenant.prepare_time < LONGEST);
        assert!(tenant.share.own > 0 && tenant.share.own <= tenant.share.largest);
        let named = tenant.plugins.named.values();
        for plugin in named.chain([&tenant.plugins.others]) {
            settled_plugin(plugin);
        }
    }
}

fn settled_plugin(plugin: &config::PluginConfig) {
    let limits = plugin.settings.limits;
    assert!(limits.memory >= 1 << 20);
    assert!(limits.questions > 0);
    for time in [
        limits.handler_time,
        limits.configure_time,
        limits.gateway_time,
    ] {
        assert!(!time.is_zero() && time < LONGEST, "{time:?}");
    }
    assert!(!plugin.grants.clock_resolution.is_zero());
    if let Some(http) = &plugin.grants.http {
        assert!(!http.allow.is_empty() && http.concurrent > 0);
    }
}
