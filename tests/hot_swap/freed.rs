//! A version that was replaced is gone once its last call is over: nothing else
//! holds it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use runner::conf_cache::{ConfCache, ConfLimits, PluginConf, Tokens};
use runner::config::{Config, Environment};
use runner::granting::{Authorities, Granting};
use runner::metrics::AllMetrics;
use runner::module_swap::{ModuleSwap, Said, Taken, Trusted};
use runner::plugin_catalog::PluginCatalog;
use runner::tenant::Tenant;
use sandbox::{Engine, EngineSettings, Filter, Plugin, ThreadStart};

use crate::stage::{SOON, put};

struct Nothing;

impl Environment for Nothing {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}

/// What serves a configuration, once that is of this plugin.
async fn serving(confs: &ConfCache, token: u32, plugin: &Arc<Plugin>) -> Filter {
    let end = Instant::now() + SOON;
    while Instant::now() < end {
        // The catalog's, the one here, and one for the filter.
        if Arc::strong_count(plugin) >= 3
            && let Some(chain) = confs.chain(&Tenant::sole(), token)
            && let Some(filter) = chain.links()[0].filter()
        {
            return filter;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no filter");
}

async fn is_gone(plugin: &Weak<Plugin>) -> bool {
    let end = Instant::now() + SOON;
    while plugin.strong_count() > 0 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    plugin.strong_count() == 0
}

#[tokio::test]
async fn a_version_should_be_freed_with_its_last_call() {
    let mut config: Config = runner::config::load(None, None, &Nothing).expect("defaults");
    let settings = EngineSettings {
        guest_memory: usize::MAX,
        instances: 8,
        snapshot_memory: 1 << 20,
        cache: None,
        count_instructions: false,
        compiler: None,
        thread_start: ThreadStart::default(),
    };
    let engine = Engine::start(settings).expect("an engine");
    let (tenant, metrics) = (
        Tenant::sole(),
        AllMetrics::new().expect("metrics").of(&Tenant::sole()),
    );
    let folder = tempfile::tempdir().expect("temporary folder");
    put(folder.path(), "a", 201);
    let listed = PluginCatalog::list(&tenant, folder.path(), 9, &metrics);
    let catalog = Arc::new(listed.expect("modules").0);
    let lifetime = config.configuration_lifetime;
    let key_value = config.key_value.clone();
    let authorities = Authorities::read(&config);
    let config = config.tenants.remove(0);
    let granting = Granting::start(&config, &key_value, &authorities, ThreadStart::default());
    let granting = granting.expect("nothing is granted");
    let limits = ConfLimits::of(&config, lifetime);
    let here = tokio::runtime::Handle::current();
    let policies = config.failure_policies;
    let tokens = Tokens::from_random();
    let confs = ConfCache::new(Arc::clone(&catalog), here, policies, limits, tokens);
    let confs = Arc::new(confs);
    let said = Said {
        plugins: config.plugins,
        trusted: Trusted::default(),
        granting: Arc::new(granting),
    };
    let swap = ModuleSwap::new(
        tenant.clone(),
        engine,
        said,
        Arc::clone(&catalog),
        Arc::clone(&confs),
    );
    let configuration = Box::new([PluginConf {
        name: "a".into(),
        text: (*b"").into(),
    }]);
    let token = confs.token_for(&tenant, configuration, "r");
    assert_eq!(swap.load_all().await, 1);
    let module = catalog.module(&tenant, &"a".into()).expect("it is there");
    for status in 202..206 {
        let plugin = module.plugin().expect("it is loaded");
        // As a call that is under way has it.
        let call = serving(&confs, token, &plugin).await;
        let old = Arc::downgrade(&plugin);
        drop(plugin);
        put(folder.path(), "a", status);
        assert_eq!(swap.take(&module, true).await, Taken::Done);
        let new = module.plugin().expect("it is loaded");
        serving(&confs, token, &new).await;
        assert_eq!(old.strong_count(), 1, "the call has it, and nobody else");
        drop(call);
        assert!(is_gone(&old).await);
    }
}
