//! `apisix:filter/random`: random numbers of the system, or the same ones each
//! time where the operator says so.

use crate::Randomness;
use crate::bindings::apisix::filter::random::Host;
use crate::bindings::apisix::filter::types::Error;
use crate::call_state::CallState;

/// Bytes that a guest may ask for at once: nothing interrupts the host while it
/// makes them.
const AT_ONCE: u32 = 64 << 10;

impl CallState {
    fn draw(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        match self.grants().random {
            Randomness::Fixed => {
                self.fixed_numbers.fill(bytes);
                Ok(())
            }
            Randomness::Real => {
                self.outside = Some("random numbers");
                getrandom::fill(bytes)
                    .map_err(|error| Error::Other(format!("no random numbers: {error}")))
            }
        }
    }
}

impl Host for CallState {
    fn get_bytes(&mut self, len: u32) -> Result<Vec<u8>, Error> {
        if len > AT_ONCE {
            return Err(Error::Limit(format!(
                "random.get-bytes: {len} bytes are asked for, {AT_ONCE} can be had at once"
            )));
        }
        let mut bytes = vec![0; len as usize];
        self.draw(&mut bytes)?;
        Ok(bytes)
    }

    fn get_u64(&mut self) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        self.draw(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}
