//! What a filter may import: one file per interface of `wit/`, same name. This
//! is the one list of them; nothing else is linked but the standard WASI
//! interfaces and `wasi:http`, and those only into a component that imports them.
//! Whether it may import them is decided in `imports`.

mod chain;
mod clock;
mod http;
mod key_value;
pub(crate) mod log;
mod plugin;
mod random;
mod request;
mod response;
mod secrets;
mod variables;
pub(crate) mod wasi_http;

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksCtxView};
use wasmtime_wasi::p2::bindings::{clocks, random as wasi_random_bindings};
use wasmtime_wasi::random::{WasiRandom, WasiRandomCtx};
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::bindings::FilterWithServices;
use crate::bindings::apisix::filter::types;
use crate::call_state::CallState;
use crate::limits::EditLimits;
use crate::{Grant, Randomness};

/// Links every interface of `apisix:filter`.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    FilterWithServices::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
}

/// Links the standard WASI interfaces. Whatever a guest asks of them, they reach
/// nothing but its log, a coarse clock and random numbers. Those whose answers
/// may differ from one time to the next leave a mark on who asks.
pub(crate) fn link_wasi(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, wasi_clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(linker, wasi_clocks)?;
    wasi_random_bindings::random::add_to_linker::<_, WasiRandom>(linker, wasi_random)?;
    wasi_random_bindings::insecure::add_to_linker::<_, WasiRandom>(linker, wasi_random)?;
    wasi_random_bindings::insecure_seed::add_to_linker::<_, WasiRandom>(linker, wasi_random)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn wasi_clocks(state: &mut CallState) -> WasiClocksCtxView<'_> {
    state.outside = Some("the clock (wasi:clocks)");
    let WasiCtxView { ctx, table } = state.ctx();
    WasiClocksCtxView {
        ctx: ctx.clocks(),
        table,
    }
}

fn wasi_random(state: &mut CallState) -> &mut WasiRandomCtx {
    if state.grants().random == Randomness::Real {
        state.outside = Some("random numbers (wasi:random)");
    }
    state.ctx().ctx.random()
}

impl types::Host for CallState {}

/// What a filter is told that asks for what it was not granted.
fn not_granted(state: &CallState, grant: Grant) -> String {
    let line = grant.line(&state.identity.account.name);
    format!("the operator has not granted this; grant it with {line}")
}

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
/// were there to do would be lost. Nor is one that the filter may not read.
fn can_be_had(content_length: Option<&[u8]>, limits: EditLimits) -> Result<(), types::Error> {
    /// What a frame carries, less the message around the body.
    const LARGEST: u64 = 16_777_215 - 64;
    let length: Option<u64> =
        content_length.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
    match length {
        Some(length) if length > LARGEST => Err(types::Error::Limit(format!(
            "the body has {length} bytes; the gateway can hand over {LARGEST}"
        ))),
        Some(length) => limits.body(length),
        None => Ok(()),
    }
}
