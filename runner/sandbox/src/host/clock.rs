//! `apisix:filter/clock`: a coarse wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::bindings::apisix::filter::clock::Host;
use crate::call_state::CallState;
use crate::surroundings::coarse;

impl Host for CallState {
    fn now_ms(&mut self) -> u64 {
        self.outside = Some("the clock");
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = coarse(since_epoch, self.grants().clock_resolution);
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}
