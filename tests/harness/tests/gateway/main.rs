//! The test gateway against scripted runners. Each row names the behaviour of
//! APISIX that it stands for.

mod connections;
mod failures;
mod process;
mod requests;
mod responses;
mod scripted;
mod stops;
