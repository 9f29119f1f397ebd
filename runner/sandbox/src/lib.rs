//! Runs a filter, given as a WebAssembly component, on one request at a time.
//!
//! This room knows WebAssembly and the interface in `wit/`; it knows neither
//! APISIX nor sockets nor FlatBuffers, and it is the only room that names
//! wasmtime.
//!
//! What a guest can and cannot do:
//!
//! * It sees one call, in an instance made for that call and dropped after it.
//!   Nothing it keeps in memory survives.
//! * It changes a request or a response by recording edits; when a filter
//!   fails, so does the call, and no edit counts.
//! * It may ask the gateway questions through the [`Gateway`] port.
//! * What its [`Grants`] say it may ask for more: other servers through
//!   [`Outbound`], a store through [`KeyValue`], [`Secrets`]. By default it may
//!   not even import them.
//! * It has limits of time, computing and waiting, and of memory; it has no files, sockets, environment or
//!   arguments, whatever it imports.
//! * It is native code only after this installation compiled it: precompiled
//!   files are refused, and the cache's own are checked with a secret.

mod account;
mod bindings;
mod call;
mod call_state;
mod caretaker;
mod chain_values;
mod code_cache;
mod compiler;
mod componentise;
mod console;
mod conversation;
mod description;
mod disk_cache;
mod engine;
mod error;
mod filter;
mod fixed_numbers;
#[doc(hidden)]
pub mod fuzz;
mod gateway;
mod grants;
mod guest_clock;
mod guest_memory;
mod host;
mod image;
mod imports;
mod instance;
mod key_value;
mod limits;
mod outbound;
mod outermost;
mod plugin;
mod policy;
mod printable;
mod pulse;
mod request_call;
mod request_edits;
mod response_call;
mod response_edits;
mod restore;
mod secrets;
mod services;
mod shim;
mod slots;
mod slow_lane;
mod snapshot;
mod spending;
mod surroundings;
mod thread_start;
mod validate;
mod warm;

pub use account::{Instructions, PluginUsage};
pub use bindings::HOST_CALLS;
pub use call::Call;
pub use compiler::{CodeMaker, CompileError, CompileJob, Compiler, Shape, Target};
pub use description::{Description, Import};
pub use disk_cache::{CacheError, CodeOrigin, DiskCache};
pub use engine::{Allocation, Engine, EngineSettings, Usage};
pub use error::{Failed, LoadError, SandboxError};
pub use filter::Filter;
pub use gateway::{Answer, Gateway, GatewayError, Question, UPSTREAM_URI};
pub use grants::{Grant, Grants, Randomness};
pub use key_value::{KeyValue, KeyValueError, Stored};
pub use limits::Limits;
pub use outbound::{Outbound, OutboundError, OutboundRequest, OutboundResponse, Sending};
pub use outermost::ends_early;
pub use plugin::{Phases, Plugin};
pub use policy::{InstancePolicy, PluginSettings, SnapshotPolicy};
pub use printable::is_unseen;
pub use request_call::{
    RequestCall, RequestSource, RequestSubject, StopResponse, Verdict, VisitArg, VisitHeader,
};
pub use request_edits::{ArgEdit, HeaderEdit, RequestEdits};
pub use response_call::{Headers, ResponseCall, ResponseSource, ResponseSubject};
pub use response_edits::ResponseEdits;
pub use secrets::Secrets;
pub use thread_start::ThreadStart;

/// The wasmtime this sandbox is built with, for `runner version`.
pub const WASMTIME_VERSION: &str = env!("SANDBOX_WASMTIME_VERSION");
