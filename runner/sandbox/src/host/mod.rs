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
