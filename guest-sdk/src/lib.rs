//! Write filters for Apache APISIX in Rust, test them natively, and build them
//! into WebAssembly components that the runner loads.
//!
//! A filter implements [`Filter`] and one or both of [`RequestFilter`] and
//! [`ResponseFilter`], and says which with [`export_request_filter!`],
//! [`export_response_filter!`] or [`export_filter!`]:
//!
//! ```
//! use guest_sdk::{Failure, Filter, Request, RequestFilter, Verdict};
//!
//! struct Greet {
//!     name: String,
//! }
//!
//! impl Filter for Greet {
//!     fn configure(text: &str) -> Result<Self, Failure> {
//!         Ok(Greet { name: text.to_owned() })
//!     }
//! }
//!
//! impl RequestFilter for Greet {
//!     fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
//!         request.set_header("x-greeting", &["hello ", &self.name].concat())?;
//!         Ok(Verdict::Next)
//!     }
//! }
//!
//! guest_sdk::export_request_filter!(Greet);
//!
//! // An ordinary test; see `guest_sdk::testing`.
//! use guest_sdk::testing::{FakeRequest, run_request};
//!
//! let outcome = run_request::<Greet>("world", FakeRequest::new("GET", "/"));
//! assert_eq!(outcome.passed().header("x-greeting").as_deref(), Some("hello world"));
//! ```
//!
//! Besides the [`Request`] or [`Response`] a filter has [`variables`],
//! [`chain`], [`log`], [`clock`], [`plugin`] and [`random`]. What the operator
//! grants it has too: [`http`], [`key_value`] and [`secrets`]; a filter that calls
//! one of these and was not granted it is not loaded. There is nothing else: no
//! files, no sockets, no environment.
//!
//! # Building
//!
//! The crate is a `cdylib`, built for `wasm32-unknown-unknown` and turned into
//! a component; `examples-wasm/build` does both. Nothing in this crate asks
//! for WASI.
//!
//! # Small and quick
//!
//! Every call gets a fresh instance, so each page of memory that a filter
//! touches is set up again. Do the work in `configure`, and prefer
//! `[a, b].concat()` to `format!`: the formatting machinery alone is larger
//! than a whole small filter. A panic ends the call as a failure.
//!
//! The feature `allocator`, on by default, replaces the standard allocator by
//! a smaller one; turn it off to bring your own.

#![deny(missing_docs)]

#[cfg(any(test, all(target_arch = "wasm32", feature = "allocator")))]
mod allocator;
mod error_kinds;
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
pub use host::{chain, clock, http, key_value, log, plugin, random, secrets, variables};
pub use types::{ArgEntry, ArgEntryBytes, Error, HeaderEntry, HeaderEntryBytes};
pub use verdict::{StopResponse, Verdict};

#[cfg(target_arch = "wasm32")]
use bindings::base::apisix::filter as imports;
#[cfg(not(target_arch = "wasm32"))]
use testing::imports;
