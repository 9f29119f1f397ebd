//! Numbers that look random and are the same in every instance, for plugins
//! that the operator gives these instead of random ones. Nothing that is to be
//! secret may be made of them.

use std::convert::Infallible;

use rand_core::TryRng;

/// SplitMix64 (Steele, Lea and Flood, 2014), which visits every number of 64
/// bits before it begins again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FixedNumbers {
    state: u64,
}

impl FixedNumbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

/// For wasmtime-wasi.
impl TryRng for FixedNumbers {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_should_be_those_of_the_algorithm_every_time() {
        let draw = || {
            let mut numbers = FixedNumbers::default();
            [numbers.next(), numbers.next()]
        };
        // The reference implementation, seeded with 0.
        assert_eq!(draw(), [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_eq!(draw(), draw());
        let mut bytes = [0; 11];
        FixedNumbers::default().fill(&mut bytes);
        assert_eq!(bytes[..8], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
    }
}
