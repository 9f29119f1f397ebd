//! The fake `random`: numbers that are the same in every test.

use crate::Error;
use crate::testing::call;

/// Bytes that can be had at once.
const AT_ONCE: u32 = 65_536;

pub(crate) fn get_bytes(len: u32) -> Result<Vec<u8>, Error> {
    if len > AT_ONCE {
        let text = "get-bytes: 65,536 bytes can be had at once";
        return Err(Error::Limit(String::from(text)));
    }
    let mut bytes = Vec::new();
    while bytes.len() < len as usize {
        bytes.extend_from_slice(&get_u64()?.to_le_bytes());
    }
    bytes.truncate(len as usize);
    Ok(bytes)
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn get_u64() -> Result<u64, Error> {
    let state = call::with(|call| {
        call.around.drawn = call.around.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        call.around.drawn
    });
    let mut number = state.unwrap_or_default();
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Ok(number ^ (number >> 31))
}
