//! What is attacked: everything that takes bytes which somebody else chose. A
//! target is a function of bytes that panics on a fault and on nothing else;
//! what a fault is stands in it as assertions.
//!
//! Must not know which engine makes the bytes: ours (`campaign`, on stable
//! Rust) or cargo-fuzz.

#[cfg(feature = "stable")]
pub mod campaign;
pub mod corpus;
pub mod input;
pub mod mutation;
pub mod targets;

pub use targets::{Depth, TARGETS, Target};
