//! `apisix:filter/plugin`: what the filter is called and how it is configured.

use crate::bindings::apisix::filter::plugin::Host;
use crate::call_state::CallState;

impl Host for CallState {
    fn name(&mut self) -> String {
        self.identity.account.name.to_string()
    }

    fn configuration_bytes(&mut self) -> Vec<u8> {
        self.identity.configuration.to_vec()
    }
}
