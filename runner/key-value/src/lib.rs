//! Small values that the filters of one tenant keep between calls: counters,
//! rate limits, state. In memory with a file behind it, which is there after a
//! restart; or in Redis, which several runners share.
//!
//! Must not know wasmtime, the gateway or who asks: it sees a tenant's name,
//! keys and bytes. Whatever a guest is told names no path and no address.

mod clock;
mod embedded;
mod error;
mod folder;
mod number;
mod redis_link;
mod redis_store;
mod settings;
mod shard;
mod store;
mod store_file;
mod table;
mod writer;

pub use error::{OpenError, StoreError};
pub use settings::{Backend, EmbeddedSettings, Limits, RedisSettings, Settings};
pub use store::{Store, Usage};
