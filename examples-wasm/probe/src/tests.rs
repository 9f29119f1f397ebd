//! What the probe does, as tables: configurations it refuses, the request
//! phase, the response phase.

mod configuration;
mod request_phase;
mod response_phase;
