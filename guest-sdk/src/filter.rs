//! The traits a filter's author implements. They must not know how a call
//! reaches them: in a component through `export.rs`, natively through
//! `testing`.

use crate::{Failure, Request, Response, Verdict};

/// One plugin with one configuration.
///
/// Every call runs in a fresh instance by default: what a filter stores in
/// itself or in statics is gone with the call.
pub trait Filter: Sized + 'static {
    /// Takes the configuration text of this plugin on this route, by
    /// convention JSON. Bytes that are not UTF-8 show as U+FFFD;
    /// [`plugin::configuration_bytes`](crate::plugin::configuration_bytes)
    /// has the original.
    ///
    /// # Errors
    ///
    /// The reason why the configuration cannot be used. It is logged, and
    /// every call with this configuration fails.
    fn configure(text: &str) -> Result<Self, Failure>;
}

/// A filter of the request phase, for `ext-plugin-pre-req` and
/// `ext-plugin-post-req`.
pub trait RequestFilter: Filter {
    /// Looks at the request, may edit it, and decides whether it goes on.
    /// Edits count only with [`Verdict::Next`].
    ///
    /// # Errors
    ///
    /// A failure of the filter: it is logged and the request fails.
    fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure>;
}

/// A filter of the response phase, for `ext-plugin-post-resp`.
pub trait ResponseFilter: Filter {
    /// Looks at the upstream's response and may edit it.
    ///
    /// # Errors
    ///
    /// A failure of the filter: it is logged and the response is withheld.
    fn on_response(&self, response: &mut Response) -> Result<(), Failure>;
}
