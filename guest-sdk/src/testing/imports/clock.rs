//! The fake `clock`, which stands still.

use crate::testing::call;

pub(crate) fn now_ms() -> u64 {
    call::with(|call| call.around.now_ms).unwrap_or(0)
}
