//! What surrounds a call in either phase: variables, the values of earlier
//! filters, the log, the clock, the plugin's name, and what the operator grants.

use std::collections::BTreeMap;

use super::outcome::LogLine;
use crate::Error;
use crate::http;
use crate::log::Level;

#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) id: u32,
    pub(super) plugin_name: String,
    pub(super) now_ms: u64,
    pub(super) variables: BTreeMap<String, Vec<u8>>,
    pub(super) variables_error: Option<Error>,
    pub(super) chain: BTreeMap<String, String>,
    /// URLs and what requests to them come to.
    pub(super) http: Vec<(String, Result<http::Answer, http::Error>)>,
    /// Requests of the filter.
    pub(super) sent: Vec<http::Outgoing>,
    pub(super) key_value: BTreeMap<String, Vec<u8>>,
    pub(super) secrets: BTreeMap<String, String>,
    /// Where the random numbers are.
    pub(super) drawn: u64,
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
            http: Vec::new(),
            sent: Vec::new(),
            key_value: BTreeMap::new(),
            secrets: BTreeMap::new(),
            drawn: 0,
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

        /// What a request to this URL comes to, whatever its method. Any other
        /// request is denied.
        #[must_use]
        pub fn http(mut self, url: &str, status: u16, body: impl AsRef<[u8]>) -> Self {
            let answer = crate::http::Answer {
                status,
                headers: Vec::new(),
                body: body.as_ref().to_vec(),
            };
            self.around.http.push((url.to_owned(), Ok(answer)));
            self
        }

        /// Lets a request to this URL fail.
        #[must_use]
        pub fn http_error(mut self, url: &str, error: crate::http::Error) -> Self {
            self.around.http.push((url.to_owned(), Err(error)));
            self
        }

        /// A value that an earlier call left in the store.
        #[must_use]
        pub fn key_value(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
            let value = value.as_ref().to_vec();
            self.around.key_value.insert(key.to_owned(), value);
            self
        }

        /// A secret that the operator grants. Those not given are denied.
        #[must_use]
        pub fn secret(mut self, name: &str, value: &str) -> Self {
            self.around
                .secrets
                .insert(name.to_owned(), value.to_owned());
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
