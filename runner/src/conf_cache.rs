//! Configurations and their tokens. A configuration is known by its content,
//! never by the gateway's key: after a restart of the gateway the same key can
//! carry another configuration (`core/config_etcd.lua` counts anew).
//!
//! A configuration lives for a time from its last use, longer than the gateway
//! keeps its token; where memory is short, the least recently used goes first.
//! A call with a token that is gone makes the gateway prepare anew.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::chain_link::Link;
use crate::config::TenantConfig;
use crate::failure_policy::FailurePolicies;
use crate::filter_chain::{FilterChain, shown};
use crate::plugin_catalog::PluginCatalog;
use crate::tenant::Tenant;

/// One plugin of a configuration, as the gateway sent it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginConf {
    /// The plugin's name.
    pub name: Arc<str>,
    /// Its configuration text.
    pub text: Arc<[u8]>,
}

/// The plugins of a route in order; none where the route names none.
pub type Configuration = Box<[PluginConf]>;

/// How long and how much.
#[derive(Debug, Clone, Copy)]
pub struct ConfLimits {
    /// How long a call waits for a filter that is not ready.
    pub prepare_time: Duration,
    /// How long a configuration lives after its last use.
    pub lifetime: Duration,
    /// Bytes that all configurations together may take.
    pub memory: usize,
}

impl ConfLimits {
    /// Those of a tenant.
    #[must_use]
    pub fn of(tenant: &TenantConfig, lifetime: Duration) -> Self {
        ConfLimits {
            prepare_time: tenant.prepare_time,
            lifetime,
            memory: tenant.configuration_memory,
        }
    }
}

/// Where tokens come from. Those of several caches with one source differ, so
/// that a token of one tenant means nothing to another.
#[derive(Debug, Clone)]
pub struct Tokens(Arc<AtomicU32>);

impl Tokens {
    /// They count up from a random number, so that a token which the gateway
    /// still holds from an earlier runner is unknown here instead of meaning
    /// another route's configuration.
    #[must_use]
    pub fn from_random() -> Self {
        Tokens(Arc::new(AtomicU32::new(random())))
    }
}

/// Hands out tokens and finds chains by them.
pub struct ConfCache {
    catalog: Arc<PluginCatalog>,
    /// Where configurations are checked.
    background: Handle,
    /// What becomes of calls that plugins fail on, those included that are not
    /// in the catalog.
    policies: FailurePolicies,
    limits: ConfLimits,
    started: Instant,
    /// Read by every call, by any number at the same time, without a lock.
    chains: papaya::HashMap<(Tenant, u32), Arc<Prepared>>,
    /// Touched by `PrepareConf` only, of which the gateway sends one at a time.
    index: Mutex<Index>,
    tokens: Tokens,
}

/// A chain and when it was used.
pub struct Prepared {
    chain: FilterChain,
    /// Seconds since the cache was made.
    last_used: AtomicU64,
}

impl Deref for Prepared {
    type Target = FilterChain;

    fn deref(&self) -> &FilterChain {
        &self.chain
    }
}

/// What configurations take at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfUsage {
    /// How many there are.
    pub count: usize,
    /// Bytes of memory.
    pub size: usize,
    /// How many went because memory was short, since the start.
    pub dropped: u64,
}

/// Configurations that a newer version of a plugin cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBack {
    /// How many.
    pub count: usize,
    /// The route of one of them.
    pub route: Arc<str>,
    /// What the newer version said of that one.
    pub reason: Arc<str>,
}

/// What is known of configurations beside their chains.
#[derive(Default)]
struct Index {
    tokens: HashMap<(Tenant, Configuration), u32>,
    size: usize,
    /// Because memory was short; the log tells.
    dropped: u64,
    swept: u64,
}

/// What a configuration takes beside its text: its places in two maps, its
/// chain, and for each plugin the filter and what came of its check. Measured as
/// what 10,000 configurations of one plugin add to the resident memory (`just
/// bench`): 700 to 980 bytes each, text included.
const OVERHEAD: usize = 320;
const OVERHEAD_PER_PLUGIN: usize = 464;

/// Seconds after its last use in which a configuration counts as in use.
const IN_USE: u64 = 10;

/// Seconds between two searches for configurations that have outlived their
/// time.
const SWEEP_INTERVAL: u64 = 60;

impl ConfCache {
    /// A cache without any configuration, over these plugins. New ones are
    /// checked on the runtime `background`.
    #[must_use]
    pub fn new(
        catalog: Arc<PluginCatalog>,
        background: Handle,
        policies: FailurePolicies,
        limits: ConfLimits,
        tokens: Tokens,
    ) -> Self {
        ConfCache {
            catalog,
            background,
            policies,
            limits,
            started: Instant::now(),
            chains: papaya::HashMap::new(),
            index: Mutex::default(),
            tokens,
        }
    }

    /// The token of a configuration: the one it has, or a new one. A new
    /// configuration is checked in the background, so this returns at once.
    /// `route` is what the log calls it.
    pub fn token_for(&self, tenant: &Tenant, configuration: Configuration, route: &str) -> u32 {
        self.token_at(self.now(), tenant, configuration, route)
    }

    /// The chain behind a token.
    pub fn chain(&self, tenant: &Tenant, token: u32) -> Option<Arc<Prepared>> {
        self.chain_at(self.now(), tenant, token)
    }

    /// What they take now.
    pub fn usage(&self) -> ConfUsage {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        ConfUsage {
            count: index.tokens.len(),
            size: index.size,
            dropped: index.dropped,
        }
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    fn chain_at(&self, now: u64, tenant: &Tenant, token: u32) -> Option<Arc<Prepared>> {
        let chains = self.chains.pin();
        let prepared = chains.get(&(tenant.clone(), token))?;
        prepared.touch(now);
        Some(Arc::clone(prepared))
    }

    fn token_at(
        &self,
        now: u64,
        tenant: &Tenant,
        configuration: Configuration,
        route: &str,
    ) -> u32 {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (tenant.clone(), configuration);
        if let Some(token) = index.tokens.get(&key) {
            if let Some(prepared) = self.chains.pin().get(&(tenant.clone(), *token)) {
                prepared.touch(now);
            }
            return *token;
        }
        self.make_room(&mut index, now, size_of(&key.1));
        let token = self.unused_token(tenant);
        let prepared = self.prepare(now, tenant, &mut key.1, route);
        // First here: whoever brings another version of a plugin looks here for
        // whom it concerns.
        let chains = self.chains.pin();
        chains.insert((tenant.clone(), token), Arc::clone(&prepared));
        for position in 0..prepared.links().len() {
            let background = &self.background;
            self.catalog
                .check(background, tenant, &prepared, position, false);
        }
        index.size += size_of(&key.1);
        index.tokens.insert(key, token);
        token
    }

    /// Another version of a plugin is there, or none any more: every
    /// configuration that names it is checked again, in the background. Until
    /// then it is served as before.
    pub fn check_again(&self, tenant: &Tenant, plugin: &str) {
        for ((of, _), chain) in &self.chains.pin() {
            for (position, link) in chain.links().iter().enumerate() {
                if of == tenant && &*link.plugin == plugin {
                    let background = &self.background;
                    self.catalog
                        .check(background, tenant, chain, position, true);
                }
            }
        }
    }

    /// Configurations that an older version of a plugin serves, because the
    /// newer one cannot: how many for each plugin, and one of them.
    pub fn kept_back(&self) -> BTreeMap<Arc<str>, KeptBack> {
        let mut found = BTreeMap::<Arc<str>, KeptBack>::new();
        for chain in self.chains.pin().values() {
            for link in chain.links() {
                let Some(reason) = link.kept_back() else {
                    continue;
                };
                let of_plugin = found.entry(Arc::clone(&link.plugin));
                let first = || KeptBack {
                    count: 0,
                    route: chain.shared_route(),
                    reason,
                };
                of_plugin.or_insert_with(first).count += 1;
            }
        }
        found
    }

    fn prepare(
        &self,
        now: u64,
        tenant: &Tenant,
        configuration: &mut Configuration,
        route: &str,
    ) -> Arc<Prepared> {
        let links = configuration.iter_mut().map(|conf| {
            let (name, metrics) = self.catalog.own_name(tenant, Arc::clone(&conf.name));
            conf.name = Arc::clone(&name);
            let policy = self.policies.of(&name);
            Link::new(name, Arc::clone(&conf.text), policy, metrics)
        });
        let prepare_time = self.limits.prepare_time;
        Arc::new(Prepared {
            chain: FilterChain::new(links.collect(), shown(route).into(), prepare_time),
            last_used: AtomicU64::new(now),
        })
    }

    /// Drops what has outlived its time, and, where `size` more bytes would be
    /// too many, what was not used for longest.
    fn make_room(&self, index: &mut Index, now: u64, size: usize) {
        let short = index.size + size > self.limits.memory;
        if !short && now < index.swept + SWEEP_INTERVAL {
            return;
        }
        // The search takes time, and the gateway waits: where everything is in
        // use, once a second is enough.
        if short && now == index.swept && index.size + size <= 2 * self.limits.memory {
            return;
        }
        index.swept = now;
        let oldest_allowed = now.saturating_sub(self.limits.lifetime.as_secs());
        self.drop_unused_since(index, oldest_allowed);
        if index.size + size <= self.limits.memory {
            return;
        }
        // An eighth at once, so that a full cache is not searched every time.
        let goal = (self.limits.memory - self.limits.memory / 8).saturating_sub(size);
        let before = index.tokens.len();
        self.drop_least_recently_used(index, now, goal);
        index.dropped += (before - index.tokens.len()) as u64;
        if index.tokens.len() == before {
            return;
        }
        tracing::warn!(
            "configurations take {} MiB, the most allowed: {} of {before} were dropped, {} since \
             the start; raise limits.configurations_mib",
            self.limits.memory >> 20,
            before - index.tokens.len(),
            index.dropped
        );
    }

    /// Drops until `goal` bytes are left, but nothing that is in use: a gateway
    /// that finds its token unknown three times in a row gives up on the
    /// request. For that, the limit may be passed up to its double.
    fn drop_least_recently_used(&self, index: &mut Index, now: u64, goal: usize) {
        let chains = self.chains.pin();
        let Index { tokens, size, .. } = index;
        let mut by_use: Vec<(u64, (Tenant, Configuration))> = tokens
            .iter()
            .map(|(key, token)| (self.last_use(key, *token), key.clone()))
            .collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        for (used, key) in by_use {
            let in_use = used + IN_USE > now && *size <= 2 * self.limits.memory;
            if *size <= goal || in_use {
                return;
            }
            if let Some(token) = tokens.remove(&key) {
                chains.remove(&(key.0.clone(), token));
                *size -= size_of(&key.1);
            }
        }
    }

    /// Keeps what was used at `oldest_allowed` or later.
    fn drop_unused_since(&self, index: &mut Index, oldest_allowed: u64) {
        let chains = self.chains.pin();
        let Index { tokens, size, .. } = index;
        tokens.retain(|key, token| {
            let keep = self.last_use(key, *token) >= oldest_allowed;
            if !keep {
                chains.remove(&(key.0.clone(), *token));
                *size -= size_of(&key.1);
            }
            keep
        });
    }

    fn last_use(&self, key: &(Tenant, Configuration), token: u32) -> u64 {
        let chains = self.chains.pin();
        let prepared = chains.get(&(key.0.clone(), token));
        prepared.map_or(0, |prepared| prepared.last_used.load(Ordering::Relaxed))
    }

    fn unused_token(&self, tenant: &Tenant) -> u32 {
        let chains = self.chains.pin();
        loop {
            let token = self.tokens.0.fetch_add(1, Ordering::Relaxed);
            // 0 is what a frame without a token says.
            if token != 0 && !chains.contains_key(&(tenant.clone(), token)) {
                return token;
            }
        }
    }
}

impl Prepared {
    /// Writes only when the second changed: a line of memory that every call
    /// wrote to would be shared by all cores.
    fn touch(&self, now: u64) {
        if self.last_used.load(Ordering::Relaxed) != now {
            self.last_used.store(now, Ordering::Relaxed);
        }
    }
}

fn size_of(configuration: &Configuration) -> usize {
    let texts: usize = configuration
        .iter()
        .map(|conf| 2 * conf.name.len() + conf.text.len())
        .sum();
    OVERHEAD + configuration.len() * OVERHEAD_PER_PLUGIN + texts
}

/// 32 random bits, from the source that keeps hash maps safe.
fn random() -> u32 {
    RandomState::new().hash_one(0_u8) as u32
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Barrier;

    use super::*;
    use crate::chain_link::Checked;
    use crate::failure::Unavailable;
    use crate::metrics::AllMetrics;

    const LIFETIME: u64 = 7200;

    fn cache(memory: usize) -> ConfCache {
        let limits = ConfLimits {
            prepare_time: Duration::ZERO,
            lifetime: Duration::from_secs(LIFETIME),
            memory,
        };
        // No plugin is ever there to be checked, so nothing has to run on it.
        let nowhere = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        ConfCache::new(
            Arc::new(PluginCatalog::empty(
                &AllMetrics::new().expect("metrics").of(&Tenant::sole()),
            )),
            nowhere.handle().clone(),
            FailurePolicies::default(),
            limits,
            Tokens::from_random(),
        )
    }

    fn configuration(text: &str) -> Configuration {
        Box::new([PluginConf {
            name: "p".into(),
            text: text.as_bytes().into(),
        }])
    }

    fn prepare(cache: &ConfCache, now: u64, text: &str) -> u32 {
        cache.token_at(now, &Tenant::sole(), configuration(text), "r")
    }

    fn dropped(cache: &ConfCache) -> u64 {
        cache.index.lock().expect("not poisoned").dropped
    }

    fn lives(cache: &ConfCache, now: u64, token: u32) -> bool {
        cache.chain_at(now, &Tenant::sole(), token).is_some()
    }

    #[test]
    fn the_same_content_should_have_the_same_token_and_no_other_tenants() {
        let cache = cache(1 << 20);
        let token = prepare(&cache, 0, "a");
        assert_eq!(prepare(&cache, 1, "a"), token);
        assert_ne!(prepare(&cache, 1, "b"), token);
        let other = Tenant::named("other");
        assert!(cache.chain_at(1, &other, token).is_none());
        assert_ne!(cache.token_at(1, &other, configuration("a"), "r"), token);
    }

    #[test]
    fn a_configuration_should_live_for_its_time_from_its_last_use() {
        let cache = cache(1 << 20);
        let [used, unused] = ["a", "b"].map(|text| prepare(&cache, 0, text));
        assert!(lives(&cache, LIFETIME, used));
        // The search happens when the next configuration comes.
        prepare(&cache, LIFETIME + 1, "c");
        assert!(!lives(&cache, LIFETIME + 1, unused));
        assert!(lives(&cache, LIFETIME + 1, used));
        assert_eq!(dropped(&cache), 0, "it was time, not memory");
        assert_ne!(
            prepare(&cache, LIFETIME + 2, "b"),
            unused,
            "never given out again"
        );
    }

    #[test]
    fn the_least_recently_used_should_go_first_where_memory_is_short() {
        let one = size_of(&configuration("000"));
        let cache = cache(16 * one);
        let tokens: Vec<u32> = (0..16)
            .map(|n| prepare(&cache, n, &format!("{n:03}")))
            .collect();
        assert!(lives(&cache, 100, tokens[0]));
        let newest = prepare(&cache, 101, "new");
        for (index, token) in tokens.iter().enumerate() {
            let expected = index == 0 || index > 3;
            let found = cache.chains.pin().contains_key(&(Tenant::sole(), *token));
            assert_eq!(found, expected, "{index}");
        }
        assert!(lives(&cache, 101, newest));
        assert_eq!(dropped(&cache), 3);
        let index = cache.index.lock().expect("not poisoned");
        assert_eq!((index.tokens.len(), index.size), (14, 14 * one));
    }

    #[test]
    fn what_is_in_use_should_stay_even_where_memory_is_short() {
        let one = size_of(&configuration("000"));
        let cache = cache(16 * one);
        let tokens: Vec<u32> = (0..20)
            .map(|n| prepare(&cache, 50, &format!("{n:03}")))
            .collect();
        assert!(
            tokens.iter().all(|token| lives(&cache, 50, *token)),
            "all of one second"
        );
        for n in 20..64 {
            prepare(&cache, 50, &format!("{n:03}"));
        }
        let index = cache.index.lock().expect("not poisoned");
        assert!(
            index.size <= 33 * one,
            "twice the limit is the end: {}",
            index.size / one
        );
    }

    /// The gateway's call and the module come at the same moment: whoever looks
    /// second sees the other.
    #[test]
    fn a_configuration_should_not_stay_without_a_module_that_came_meanwhile() {
        let background = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a runtime");
        let metrics = AllMetrics::new().expect("metrics").of(&Tenant::sole());
        let catalog = Arc::new(PluginCatalog::empty(&metrics));
        let tenant = Tenant::sole();
        let module = |name: &Arc<str>| catalog.new_module(name, Path::new("x.wasm"));
        // So that replacing the map takes some time.
        for other in 0..500 {
            let name = format!("other-{other}").into();
            catalog.enter(&tenant, &module(&name));
        }
        let limits = ConfLimits {
            prepare_time: Duration::ZERO,
            lifetime: Duration::from_secs(LIFETIME),
            memory: usize::MAX,
        };
        let handle = background.handle().clone();
        let cache = ConfCache::new(
            Arc::clone(&catalog),
            handle,
            FailurePolicies::default(),
            limits,
            Tokens::from_random(),
        );
        for round in 0..500 {
            let name: Arc<str> = format!("p-{round}").into();
            let coming = module(&name);
            let start = Barrier::new(2);
            let token = std::thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    catalog.enter(&tenant, &coming);
                    catalog.put(&tenant, &coming, Err("no good".into()));
                    cache.check_again(&tenant, &name);
                });
                start.wait();
                let since = Instant::now();
                while since.elapsed() < Duration::from_micros(round) {}
                let conf = PluginConf {
                    name: Arc::clone(&name),
                    text: [].into(),
                };
                cache.token_for(&tenant, Box::new([conf]), "r")
            });
            let chain = cache.chain(&tenant, token).expect("a chain");
            let since = Instant::now();
            while !matches!(
                chain.links()[0].checked().as_deref(),
                Some(Checked {
                    outcome: Err(Unavailable::NotLoaded(_)),
                    ..
                })
            ) {
                assert!(since.elapsed() < Duration::from_secs(10), "round {round}");
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }
}
