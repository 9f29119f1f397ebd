//! One file per command of the command line. Each sets the rooms up and lets
//! them work; none knows how a call is served.

pub mod bench;
pub mod check;
pub mod completions;
pub mod demo;
pub mod new;
pub mod serve;
pub mod test;
pub mod try_filter;
pub mod version;
