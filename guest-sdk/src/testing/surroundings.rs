//! What surrounds a call in either phase: variables, the values of earlier
//! filters, the log, the clock, the plugin's name.

use std::collections::BTreeMap;

use super::outcome::LogLine;
use crate::Error;
use crate::log::Level;

#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) id: u32,
    pub(super) plugin_name: String,
    pub(super) now_ms: u64,
    pub(super) variables: BTreeMap<String, Vec<u8>>,
    pub(super) variables_error: Option<Error>,
    pub(super) chain: BTreeMap<String, String>,
    pub(super) log_level: Level,
    pub(super) logs: Vec<LogLine>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings {
            id: 1,
            plugin_name: String::from("filter"),
            now_ms: 0,
            variables: BTreeMap::new(),
            variables_error: None,
            chain: BTreeMap::new(),
            log_level: Level::Trace,
            logs: Vec::new(),
        }
    }
}

/// The setters that [`FakeRequest`](super::FakeRequest) and
/// [`FakeResponse`](super::FakeResponse) share.
macro_rules! surroundings_setters {
    () => {
        /// The number the gateway gives the call; 1 unless set.
        #[must_use]
        pub fn id(mut self, id: u32) -> Self {
            self.around.id = id;
            self
        }

        /// A gateway variable. Those not given are unknown to the gateway.
        #[must_use]
        pub fn variable(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
            let value = value.as_ref().to_vec();
            self.around.variables.insert(name.to_owned(), value);
            self
        }

        /// Lets every question for variables fail.
        #[must_use]
        pub fn variables_error(mut self, error: crate::Error) -> Self {
            self.around.variables_error = Some(error);
            self
        }

        /// Lets every question for the body fail.
        #[must_use]
        pub fn body_error(mut self, error: crate::Error) -> Self {
            self.body_error = Some(error);
            self
        }

        /// A value that an earlier filter of the call left in the chain.
        #[must_use]
        pub fn chain(mut self, key: &str, value: &str) -> Self {
            self.around.chain.insert(key.to_owned(), value.to_owned());
            self
        }

        /// The plugin's name; `filter` unless set.
        #[must_use]
        pub fn plugin_name(mut self, name: &str) -> Self {
            name.clone_into(&mut self.around.plugin_name);
            self
        }

        /// The clock, in milliseconds since 1970-01-01T00:00:00Z; it stands
        /// still, at 0 unless set.
        #[must_use]
        pub fn now_ms(mut self, now_ms: u64) -> Self {
            self.around.now_ms = now_ms;
            self
        }

        /// The lowest level that is logged; everything unless set.
        #[must_use]
        pub fn log_level(mut self, level: crate::log::Level) -> Self {
            self.around.log_level = level;
            self
        }
    };
}
pub(super) use surroundings_setters;
