//! The targets, each in a file of its own with what it asserts.
//!
//! Must not know where inputs come from.

pub mod answer;
pub mod error_code;
pub mod frames;
pub mod prepare_conf;
pub mod replies;
pub mod reply_decoder;
pub mod request_call;
pub mod response_call;
mod sent;
mod written;

#[cfg(feature = "stable")]
pub mod components;
#[cfg(feature = "stable")]
pub mod configuration;
#[cfg(feature = "stable")]
pub mod core_modules;
#[cfg(feature = "stable")]
pub mod merged_metrics;
#[cfg(feature = "stable")]
pub mod outcomes;
#[cfg(feature = "stable")]
pub mod plugins;
#[cfg(feature = "stable")]
pub mod urls;

/// How far an input got. A run in which nearly all were refused has attacked
/// the first check and nothing behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// It was refused as a whole.
    Refused,
    /// It meant something.
    Read,
}

/// One function under attack.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its folder of seeds.
    pub name: &'static str,
    /// Panics on a fault.
    pub attack: fn(&[u8]) -> Depth,
    /// Words that mean something to it.
    pub words: &'static [&'static [u8]],
    /// Longer inputs show nothing new.
    pub max_len: usize,
    /// Inputs that the ordinary tests try: about a second's worth.
    pub tried_by_tests: u64,
}

const SMALL: usize = 4096;

/// All of them, those of the wire first.
pub const TARGETS: &[Target] = &[
    Target {
        name: "frames",
        attack: frames::attack,
        words: frames::WORDS,
        max_len: SMALL,
        tried_by_tests: 150_000,
    },
    Target {
        name: "prepare_conf",
        attack: prepare_conf::attack,
        words: &[],
        max_len: SMALL,
        tried_by_tests: 150_000,
    },
    Target {
        name: "request_call",
        attack: request_call::attack,
        words: &[],
        max_len: SMALL,
        tried_by_tests: 100_000,
    },
    Target {
        name: "response_call",
        attack: response_call::attack,
        words: &[],
        max_len: SMALL,
        tried_by_tests: 100_000,
    },
    Target {
        name: "answer",
        attack: answer::attack,
        words: &[],
        max_len: SMALL,
        tried_by_tests: 150_000,
    },
    Target {
        name: "error_code",
        attack: error_code::attack,
        words: &[],
        max_len: SMALL,
        tried_by_tests: 150_000,
    },
    Target {
        name: "reply_decoder",
        attack: reply_decoder::attack,
        words: &[],
        max_len: SMALL,
        tried_by_tests: 100_000,
    },
    Target {
        name: "replies",
        attack: replies::attack,
        words: replies::WORDS,
        max_len: SMALL,
        tried_by_tests: 100_000,
    },
    #[cfg(feature = "stable")]
    Target {
        name: "outcomes",
        attack: outcomes::attack,
        words: outcomes::WORDS,
        max_len: SMALL,
        tried_by_tests: 50_000,
    },
    #[cfg(feature = "stable")]
    Target {
        name: "configuration",
        attack: configuration::attack,
        words: configuration::WORDS,
        max_len: 8192,
        tried_by_tests: 10_000,
    },
    #[cfg(feature = "stable")]
    Target {
        name: "components",
        attack: components::attack,
        words: components::WORDS,
        max_len: 32 * 1024,
        tried_by_tests: 5000,
    },
    #[cfg(feature = "stable")]
    Target {
        name: "core_modules",
        attack: core_modules::attack,
        words: core_modules::WORDS,
        max_len: 8192,
        tried_by_tests: 3000,
    },
    #[cfg(feature = "stable")]
    Target {
        name: "plugins",
        attack: plugins::attack,
        words: components::WORDS,
        max_len: 8192,
        tried_by_tests: 200,
    },
    #[cfg(feature = "stable")]
    Target {
        name: "urls",
        attack: urls::attack,
        words: urls::WORDS,
        max_len: 512,
        tried_by_tests: 50_000,
    },
    #[cfg(feature = "stable")]
    Target {
        name: "merged_metrics",
        attack: merged_metrics::attack,
        words: merged_metrics::WORDS,
        max_len: 1024,
        tried_by_tests: 50_000,
    },
];

/// The target of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
