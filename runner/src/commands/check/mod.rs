//! `runner check`: what a filter is, or what a configuration comes to, before
//! anything serves.

mod configuration;
mod filter;

use anyhow::{Result, bail};

use crate::cli::CheckOptions;
use crate::config::{self, ProcessEnvironment};

/// Says what a filter is; without one, what the configuration comes to.
///
/// # Errors
/// Where the filter cannot be loaded, or something in the configuration cannot
/// be used.
pub fn run(options: &CheckOptions) -> Result<()> {
    let (file, tenant) = (options.config.as_deref(), options.tenant.as_deref());
    match (&options.file, file, tenant) {
        (Some(filter), ..) => {
            let config = config::load(file, None, &ProcessEnvironment)?;
            filter::run(filter, &config, tenant)
        }
        (None, Some(_), Some(tenant)) => {
            configuration::run(&config::load_tenant(file, tenant, &ProcessEnvironment)?)
        }
        (None, Some(_), None) => {
            configuration::run(&config::load(file, None, &ProcessEnvironment)?)
        }
        (None, None, _) => bail!("what is to be checked? Give a filter, or --config FILE"),
    }
}
