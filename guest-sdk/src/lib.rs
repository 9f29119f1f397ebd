//! Write filters for Apache APISIX in Rust, test them natively, and build
//! them into WebAssembly components that the runner loads.

#![deny(missing_docs)]

mod failure;
mod filter;
mod host;
mod types;
mod verdict;

#[doc(hidden)]
#[cfg(target_arch = "wasm32")]
pub mod bindings;
#[doc(hidden)]
pub mod export;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use failure::Failure;
pub use filter::{Filter, RequestFilter, ResponseFilter};
pub use host::request::Request;
pub use host::response::Response;
pub use host::{chain, clock, log, plugin, variables};
pub use types::{ArgEntry, ArgEntryBytes, Error, HeaderEntry, HeaderEntryBytes};
pub use verdict::{StopResponse, Verdict};

#[cfg(target_arch = "wasm32")]
use bindings::base::apisix::filter as imports;
#[cfg(not(target_arch = "wasm32"))]
use testing::imports;
