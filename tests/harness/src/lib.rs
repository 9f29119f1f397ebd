//! What the end-to-end tests stand on: a gateway without APISIX, and a runner
//! process under control.
//!
//! [`TestGateway`] speaks the wire as APISIX does and then does with the reply
//! what APISIX does with it (`gateway_model`), mistakes included, so that a test
//! can ask what the upstream or the client would have seen. [`RunnerProcess`] starts the real
//! binary the way APISIX starts it.
//!
//! Must not know how the runner works: it sees a socket and a process.

pub mod guest;
pub mod guests;
pub mod metrics;
pub mod modules;
pub mod runner_process;
pub mod test_gateway;
pub mod wire_client;

pub use gateway_model::{
    ClientResponse, HttpOutcome, HttpRequest, UpstreamRequest, UpstreamResponse, query,
};
pub use guest::Guest;
pub use metrics::Metrics;
pub use runner_process::{RunnerProcess, Signal, send_signal};
pub use test_gateway::{Fault, Observed, RouteConf, TestGateway};
pub use wire_client::WireClient;
