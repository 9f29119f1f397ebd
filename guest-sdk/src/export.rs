//! The glue between the generated exports and the author's traits, and the
//! three macros that apply it. The only file that knows a filter lives in a
//! static.

use std::cell::OnceCell;

use crate::{Failure, Filter, Request, RequestFilter, Response, ResponseFilter, Verdict};

/// Makes a component of the world `request-filter` from a type that
/// implements [`RequestFilter`]. Once per crate.
#[macro_export]
macro_rules! export_request_filter {
    ($filter:ty) => {
        $crate::__export!($filter, request);
    };
}

/// Makes a component of the world `response-filter` from a type that
/// implements [`ResponseFilter`]. Once per crate.
#[macro_export]
macro_rules! export_response_filter {
    ($filter:ty) => {
        $crate::__export!($filter, response);
    };
}

/// Makes a component of the world `filter` from a type that implements
/// [`RequestFilter`] and [`ResponseFilter`]. Once per crate.
#[macro_export]
macro_rules! export_filter {
    ($filter:ty) => {
        $crate::__export!($filter, request, response);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($filter:ty, $($phase:ident),+) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::base as configuration;

            // A thread-local because a filter need not be `Sync`; without
            // threads it is a plain static.
            ::std::thread_local! {
                static FILTER: $crate::export::Slot<$filter> =
                    const { $crate::export::Slot::empty() };
            }

            struct Exports;

            impl configuration::exports::apisix::filter::configuration::Guest for Exports {
                fn configure(
                    text: ::std::string::String,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    FILTER.with(|filter| filter.configure(&text))
                }
            }

            configuration::__export_configuration!(Exports with_types_in configuration);
            $($crate::__export_phase!($phase Exports FILTER);)+
        };

        // Natively nothing is exported, but the type must fit all the same.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $($crate::__check_phase!($phase $filter);)+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_phase {
    (request $exports:ident $slot:ident) => {
        use $crate::bindings::request_handler;

        impl request_handler::exports::apisix::filter::request_handler::Guest for $exports {
            fn on_request() -> ::std::result::Result<$crate::Verdict, ::std::string::String> {
                $slot.with(|filter| filter.on_request())
            }
        }

        request_handler::__export_request_handler!($exports with_types_in request_handler);
    };
    (response $exports:ident $slot:ident) => {
        use $crate::bindings::response_handler;

        impl response_handler::exports::apisix::filter::response_handler::Guest for $exports {
            fn on_response() -> ::std::result::Result<(), ::std::string::String> {
                $slot.with(|filter| filter.on_response())
            }
        }

        response_handler::__export_response_handler!($exports with_types_in response_handler);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __check_phase {
    (request $filter:ty) => {
        let _ = <$filter as $crate::RequestFilter>::on_request;
    };
    (response $filter:ty) => {
        let _ = <$filter as $crate::ResponseFilter>::on_response;
    };
}

/// Where an instance keeps its filter between `configure` and the call.
#[doc(hidden)]
#[derive(Debug)]
pub struct Slot<T>(OnceCell<T>);

#[doc(hidden)]
impl<T: Filter> Slot<T> {
    /// Nothing configured yet.
    #[allow(clippy::new_without_default)]
    pub const fn empty() -> Self {
        Slot(OnceCell::new())
    }

    /// Runs the author's `configure`; the runner calls it once.
    pub fn configure(&self, text: &str) -> Result<(), String> {
        #[cfg(target_arch = "wasm32")]
        tell_panics();
        let filter = T::configure(text).map_err(Failure::into_text)?;
        self.0
            .set(filter)
            .map_err(|_| String::from("configure was called twice"))
    }

    /// Runs the author's `on_request`.
    pub fn on_request(&self) -> Result<Verdict, String>
    where
        T: RequestFilter,
    {
        self.filter()?
            .on_request(&mut Request::current())
            .map_err(Failure::into_text)
    }

    /// Runs the author's `on_response`.
    pub fn on_response(&self) -> Result<(), String>
    where
        T: ResponseFilter,
    {
        self.filter()?
            .on_response(&mut Response::current())
            .map_err(Failure::into_text)
    }

    fn filter(&self) -> Result<&T, String> {
        self.0
            .get()
            .ok_or_else(|| String::from("configure was not called"))
    }
}

/// A panic is a trap, which says nothing: what it was about is logged before.
#[cfg(target_arch = "wasm32")]
fn tell_panics() {
    use crate::log::{self, Level};

    std::panic::set_hook(Box::new(|panic| {
        // Not formatted as a whole: that machinery is larger than a small filter.
        let text = panic.payload_as_str().unwrap_or("panicked");
        let line = match panic.location() {
            Some(place) => [
                text,
                " (",
                place.file(),
                ":",
                &place.line().to_string(),
                ")",
            ]
            .concat(),
            None => text.to_owned(),
        };
        log::write(Level::Error, &line);
    }));
}
