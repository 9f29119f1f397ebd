//! Another runner to compare with, as the environment names it.
//!
//! Must not know what it is asked to do.

use std::path::PathBuf;

/// Somebody has started it and keeps it running.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) socket: PathBuf,
    /// The process to measure where that is not the one that listens.
    pub(crate) pid: Option<String>,
    pub(crate) plugin: String,
    /// What makes the plugin do what the other runners do: set one header.
    pub(crate) conf: String,
}

impl Peer {
    /// `PEER_SOCKET`, `PEER_PID`, `PEER_PLUGIN`, `PEER_CONF`; none without a
    /// socket.
    pub(crate) fn of_environment() -> Option<Self> {
        let read = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(|value| value.to_string_lossy().into_owned())
        };
        Some(Self {
            socket: read("PEER_SOCKET")?.into(),
            pid: read("PEER_PID"),
            plugin: read("PEER_PLUGIN").unwrap_or_else(|| "say".into()),
            conf: read("PEER_CONF").unwrap_or_else(|| "{}".into()),
        })
    }
}
