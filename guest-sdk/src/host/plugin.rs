//! What this filter is called and how it was configured (`wit/plugin.wit`).
//! Works in every phase.

use crate::imports::plugin as host;

/// The plugin's name in the gateway's configuration.
pub fn name() -> String {
    host::name()
}

/// The configuration exactly as the gateway sent it;
/// [`configure`](crate::Filter::configure) receives the same as text.
pub fn configuration_bytes() -> Vec<u8> {
    host::configuration_bytes()
}
