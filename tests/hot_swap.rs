//! Modules that change while the runner serves.
