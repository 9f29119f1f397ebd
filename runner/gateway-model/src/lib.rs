//! What APISIX makes of HTTP for a runner, and of the runner's reply for the
//! upstream and the client: as in `apisix/plugins/ext-plugin/init.lua` of APISIX
//! 3.18, its peculiarities included. `runner try`, `runner test` and the tests
//! of the runner show with it what a filter comes to.
//!
//! Must not know how a reply was obtained: no connection, no token, no clock.

pub mod http;
pub mod query;
pub mod request_phase;
pub mod response_phase;

pub use http::{ClientResponse, HttpOutcome, HttpRequest, UpstreamRequest, UpstreamResponse};
