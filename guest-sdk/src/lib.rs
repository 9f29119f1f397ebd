//! Write filters for Apache APISIX in Rust, test them natively, and build
//! them into WebAssembly components that the runner loads.

#![deny(missing_docs)]

mod failure;
mod filter;
mod host;
mod types;
mod verdict;

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod export;

pub use failure::Failure;
pub use filter::{Filter, RequestFilter, ResponseFilter};
pub use host::request::Request;
pub use host::response::Response;
pub use host::{chain, clock, log, plugin, variables};
pub use types::{ArgEntry, ArgEntryBytes, Error, HeaderEntry, HeaderEntryBytes};
pub use verdict::{StopResponse, Verdict};

use bindings::base::apisix::filter as imports;
