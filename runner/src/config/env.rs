//! The process environment behind a trait, so that tests never touch the real
//! one. The only place that reads it.

/// Where environment variables come from.
pub trait Environment {
    /// The variable's value; `None` where it is unset or not UTF-8.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
