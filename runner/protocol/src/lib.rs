//! The wire between the gateway and the runner: bytes in, typed messages out,
//! and back. No I/O, no clock, no policy, and no panic on any bytes.
//!
//! A frame, in both directions:
//!
//! ```text
//!   0      1                    4                              4 + length
//!   +------+--------------------+---------- - - - - ----------+
//!   | type | length, big-endian | payload: one FlatBuffer     |
//!   +------+--------------------+---------- - - - - ----------+
//!     u8     24 bits, never 0     root table given by the type
//! ```
//!
//! | type | RPC            | who sends it first | module             |
//! |------|----------------|--------------------|--------------------|
//! | 0    | error          | only as a reply of the runner | [`err_resp`] |
//! | 1    | `PrepareConf`  | gateway            | [`prepare_conf`]   |
//! | 2    | `HttpReqCall`  | gateway            | [`http_req_call`]  |
//! | 3    | `ExtraInfo`    | runner, inside an open 2 or 4 | [`extra_info`] |
//! | 4    | `HttpRespCall` | gateway            | [`http_resp_call`] |
//!
//! A connection carries one call at a time and each call gets exactly one
//! reply, of the call's own type or of type 0. The tables are declared in
//! `schema/ext-plugin.fbs`; [`gateway_side`] is the other half of the
//! conversation, for whoever has to play the gateway.

#![deny(unsafe_code)]

pub mod entry;
pub mod err_resp;
pub mod error;
pub mod extra_info;
pub mod frame;
pub mod frame_builder;
pub mod gateway_side;
pub mod http_req_call;
pub mod http_resp_call;
pub mod prepare_conf;
mod reader;

pub use entry::Entry;
pub use error::{DecodeError, EncodeError};
pub use frame::{Frame, FrameError, RpcType};
pub use frame_builder::FrameBuilder;
pub use reader::Entries;

/// What `flatc` wrote. Its style and its unused half are not ours to mend, and
/// its `unsafe` reads are reached only behind its verifier.
#[allow(unsafe_code, missing_docs, unreachable_pub, unused, unsafe_op_in_unsafe_fn)]
#[allow(elided_lifetimes_in_paths, deprecated, clippy::all, clippy::unwrap_used)]
#[rustfmt::skip]
#[path = "gen/ext_plugin.rs"]
mod wire;
