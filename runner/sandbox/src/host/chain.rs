//! `apisix:filter/chain`: values for the filters that follow in this call.

use crate::bindings::apisix::filter::chain::Host;
use crate::bindings::apisix::filter::types::Error;
use crate::call_state::CallState;

impl Host for CallState {
    fn get(&mut self, key: String) -> Result<Option<String>, Error> {
        Ok(self.chain("chain.get")?.get(&key).map(str::to_owned))
    }

    fn set(&mut self, key: String, value: String) -> Result<(), Error> {
        match self.chain("chain.set")?.set(key, value) {
            true => Ok(()),
            false => Err(Error::Limit(
                "the values of one call may take 64 KiB together".into(),
            )),
        }
    }

    fn remove(&mut self, key: String) -> Result<(), Error> {
        self.chain("chain.remove")?.remove(&key);
        Ok(())
    }
}
