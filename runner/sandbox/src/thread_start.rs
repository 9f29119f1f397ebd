//! What each thread does before anything else: whose it is, and how much of a
//! busy processor it gets, is known outside.

use std::fmt;
use std::sync::Arc;

/// Done on each thread that is started.
#[derive(Clone)]
pub struct ThreadStart(Arc<dyn Fn() + Send + Sync>);

impl ThreadStart {
    /// Does this on each.
    #[must_use]
    pub fn new(first: impl Fn() + Send + Sync + 'static) -> Self {
        ThreadStart(Arc::new(first))
    }

    /// Called on the thread that has started.
    pub fn run(&self) {
        (self.0)();
    }
}

/// Nothing.
impl Default for ThreadStart {
    fn default() -> Self {
        ThreadStart::new(|| {})
    }
}

impl fmt::Debug for ThreadStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThreadStart")
    }
}
