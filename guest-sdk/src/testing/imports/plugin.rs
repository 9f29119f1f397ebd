//! The fake `plugin`.

use crate::testing::call;

pub(crate) fn name() -> String {
    call::with(|call| call.around.plugin_name.clone()).unwrap_or_default()
}

pub(crate) fn configuration_bytes() -> Vec<u8> {
    call::with(|call| call.configuration.clone()).unwrap_or_default()
}
