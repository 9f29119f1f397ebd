//! The two files that know both the wire's words and the sandbox's.

pub mod from_wire;
pub mod to_wire;
