//! The runner's log, under the filter's name (`wit/log.wit`). Works in every
//! phase and never fails.
//!
//! ```no_run
//! use guest_sdk::log;
//!
//! log::info!("started");
//! log::warn!("{} is not a number", "x");
//! ```

use std::fmt;

use crate::imports::log as host;

pub use crate::types::Level;
pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_trace as trace,
    __log_warn as warn,
};

/// Writes one line. Control characters are escaped; more than 8 KiB of text
/// is cut.
pub fn write(level: Level, message: &str) {
    host::log(level, message);
}

/// Whether a line at this level would be written: ask before building an
/// expensive message. The macros ask by themselves.
pub fn enabled(level: Level) -> bool {
    host::enabled(level)
}

#[doc(hidden)]
#[inline]
pub fn write_args(level: Level, message: fmt::Arguments<'_>) {
    // A literal needs no formatting code in the component.
    match message.as_str() {
        Some(text) => write(level, text),
        None => write_formatted(level, message),
    }
}

fn write_formatted(level: Level, message: fmt::Arguments<'_>) {
    if enabled(level) {
        write(level, &message.to_string());
    }
}

/// Writes one line at level `trace`; arguments as for `format!`, evaluated
/// only when the line would be written.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_trace {
    ($($message:tt)+) => {
        $crate::log::write_args(
            $crate::log::Level::Trace,
            ::std::format_args!($($message)+),
        )
    };
}

/// Writes one line at level `debug`; arguments as for `format!`, evaluated
/// only when the line would be written.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($message:tt)+) => {
        $crate::log::write_args(
            $crate::log::Level::Debug,
            ::std::format_args!($($message)+),
        )
    };
}

/// Writes one line at level `info`; arguments as for `format!`, evaluated
/// only when the line would be written.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($message:tt)+) => {
        $crate::log::write_args(
            $crate::log::Level::Info,
            ::std::format_args!($($message)+),
        )
    };
}

/// Writes one line at level `warn`; arguments as for `format!`, evaluated
/// only when the line would be written.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($message:tt)+) => {
        $crate::log::write_args(
            $crate::log::Level::Warn,
            ::std::format_args!($($message)+),
        )
    };
}

/// Writes one line at level `error`; arguments as for `format!`, evaluated
/// only when the line would be written.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($message:tt)+) => {
        $crate::log::write_args(
            $crate::log::Level::Error,
            ::std::format_args!($($message)+),
        )
    };
}
