//! `apisix:filter/variables`: gateway variables. Declared, and not served by
//! this version.

use super::unsupported;
use crate::bindings::apisix::filter::types::Error;
use crate::bindings::apisix::filter::variables::Host;
use crate::call_state::CallState;

impl Host for CallState {
    async fn get(&mut self, _name: String) -> Result<Option<String>, Error> {
        self.request("variables.get")?;
        unsupported("variables.get")
    }

    async fn get_bytes(&mut self, _name: String) -> Result<Option<Vec<u8>>, Error> {
        self.request("variables.get-bytes")?;
        unsupported("variables.get-bytes")
    }

    async fn get_many(&mut self, _names: Vec<String>) -> Result<Vec<Option<String>>, Error> {
        self.request("variables.get-many")?;
        unsupported("variables.get-many")
    }

    async fn get_many_bytes(&mut self, _names: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.request("variables.get-many-bytes")?;
        unsupported("variables.get-many-bytes")
    }
}
