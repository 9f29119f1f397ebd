//! A coarse wall clock (`wit/clock.wit`). Works in every phase.

use crate::imports::clock as host;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub fn now_ms() -> u64 {
    host::now_ms()
}
