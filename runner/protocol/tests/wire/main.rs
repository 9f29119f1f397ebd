//! The wire against real bytes: what the gateway sent, what it accepted, and
//! everything that could go wrong in between.

mod captured;
mod describe;
mod framing;
mod golden;
mod hostile;
mod limits;
mod lists;
mod replies;
mod round_trip;
