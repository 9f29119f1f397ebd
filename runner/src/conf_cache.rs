//! Configurations and their tokens. A configuration is known by its content,
//! never by the gateway's key: after a restart of the gateway the same key can
//! carry another configuration (`core/config_etcd.lua` counts anew).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::filter_chain::{FilterChain, Link};
use crate::plugin_catalog::PluginCatalog;
use crate::tenant::Tenant;

/// One plugin of a configuration, as the gateway sent it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginConf {
    /// The plugin's name.
    pub name: Arc<str>,
    /// Its configuration text.
    pub text: Bytes,
}

/// The plugins of a route in order; none where the route names none.
pub type Configuration = Vec<PluginConf>;

/// Hands out tokens and finds chains by them.
pub struct ConfCache {
    catalog: Arc<PluginCatalog>,
    prepare_time: Duration,
    /// Read by every call, by any number at the same time, without a lock.
    chains: papaya::HashMap<(Tenant, u32), Arc<FilterChain>>,
    /// Touched by `PrepareConf` only, of which the gateway sends one at a time.
    tokens: Mutex<HashMap<(Tenant, Configuration), u32>>,
    next_token: AtomicU32,
}

impl ConfCache {
    /// A cache without any configuration, over these plugins. A call waits up
    /// to `prepare_time` for a filter that is not ready.
    #[must_use]
    pub fn new(catalog: Arc<PluginCatalog>, prepare_time: Duration) -> Self {
        ConfCache {
            catalog,
            prepare_time,
            chains: papaya::HashMap::new(),
            tokens: Mutex::default(),
            next_token: AtomicU32::new(random()),
        }
    }

    /// The token of a configuration: the one it has, or a new one. A new
    /// configuration is checked in the background, so this returns at once.
    /// `route` is what the log calls it.
    pub fn token_for(&self, tenant: &Tenant, configuration: Configuration, route: &str) -> u32 {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), configuration);
        if let Some(token) = tokens.get(&key) {
            return *token;
        }
        let token = self.unused_token(tenant);
        let chain = self.prepare(tenant, &key.1, route);
        self.chains
            .pin()
            .insert((tenant.clone(), token), Arc::new(chain));
        tokens.insert(key, token);
        token
    }

    /// The chain behind a token.
    pub fn chain(&self, tenant: &Tenant, token: u32) -> Option<Arc<FilterChain>> {
        self.chains.pin().get(&(tenant.clone(), token)).cloned()
    }

    fn prepare(&self, tenant: &Tenant, configuration: &Configuration, route: &str) -> FilterChain {
        let links = configuration
            .iter()
            .map(|conf| Link {
                plugin: Arc::clone(&conf.name),
                readiness: self
                    .catalog
                    .prepare(tenant, &conf.name, conf.text.clone(), route),
            })
            .collect();
        FilterChain::new(links, route, self.prepare_time)
    }

    /// Tokens count up from a random number, so that a token which the gateway
    /// still holds from an earlier runner is unknown here instead of meaning
    /// another route's configuration.
    fn unused_token(&self, tenant: &Tenant) -> u32 {
        let chains = self.chains.pin();
        loop {
            let token = self.next_token.fetch_add(1, Ordering::Relaxed);
            // 0 is what a frame without a token says.
            if token != 0 && !chains.contains_key(&(tenant.clone(), token)) {
                return token;
            }
        }
    }
}

/// 32 random bits, from the source that keeps hash maps safe.
fn random() -> u32 {
    RandomState::new().hash_one(0_u8) as u32
}
