//! The one HTTP client through which sandboxed, untrusted filters may reach out.
//! Nothing is reachable unless an operator's rule allows it.
//!
//! What happens to a request, in this order; the first "no" ends it:
//!
//! 1. Its URL, method, headers and body are read ([`Target`], `headers`).
//! 2. One of the operator's rules must allow method, scheme, host, port and path
//!    ([`AllowRule`], [`permit`]).
//! 3. The host's name becomes addresses of both families ([`Resolver`]).
//! 4. Addresses in networks that are not for the public, the machine's own among
//!    them, are dropped, unless a rule that allowed the request names the network
//!    ([`networks`]).
//! 5. A connection to one of the addresses that are left, and to no other, is
//!    made or found among those that were checked and kept (`connection`,
//!    `pool`).
//! 6. The answer is read whole, within its bounds, and returned as it is: no
//!    redirect is followed.
//!
//! This room knows neither WebAssembly nor the gateway, nor where its settings
//! come from: no proxy, cookie or credential of the surroundings is used.

mod ambiguity;
mod answer;
mod client;
mod connecting;
mod connection;
mod error;
mod headers;
pub mod networks;
mod pool;
mod resolver;
mod roots;
mod rule;
mod settings;
mod target;
mod tasks;

pub use client::{Client, Request, Response};
pub use error::{Reason, SendError};
pub use ipnet::IpNet;
pub use resolver::Resolver;
pub use roots::Roots;
pub use rule::{AllowRule, Host, permit};
pub use settings::{LEAST_RESPONSE_HEADERS, Settings};
pub use target::{Scheme, Target};
