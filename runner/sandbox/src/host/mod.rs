//! What a filter may import: one file per interface of `wit/`, same name. This
//! is the one list of them; nothing else is linked but the standard WASI
//! interfaces, and those only into a component that imports them.

mod chain;
mod clock;
mod log;
mod plugin;
mod request;
mod response;
mod variables;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::Filter;
use crate::bindings::apisix::filter::types;
use crate::call_state::CallState;

/// Links every interface of `apisix:filter`.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    Filter::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
}

/// Links the standard WASI interfaces.
pub(crate) fn link_wasi(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

impl types::Host for CallState {}

/// Text for a guest: bytes that are not UTF-8 show as U+FFFD.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first of what is visited.
fn first(visit_all: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Option<Vec<u8>> {
    let mut found = None;
    visit_all(&mut |value| {
        found.get_or_insert_with(|| value.to_vec());
    });
    found
}

/// A body that its Content-Length says the gateway cannot hand over is not asked
/// for: the gateway would close the connection, and with it what the filters
/// were there to do would be lost.
fn can_be_had(content_length: Option<&[u8]>) -> Result<(), types::Error> {
    /// What a frame carries, less the message around the body.
    const LARGEST: u64 = 16_777_215 - 64;
    let length: Option<u64> =
        content_length.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
    match length {
        Some(length) if length > LARGEST => Err(types::Error::Limit(format!(
            "the body has {length} bytes; the gateway can hand over {LARGEST}"
        ))),
        _ => Ok(()),
    }
}
