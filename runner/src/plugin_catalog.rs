//! Plugin names and the modules behind them, as they are at a moment: the map
//! is replaced as a whole when a module comes or goes, so nobody waits to read
//! it.
//!
//! Must not know how a module gets there, nor how it is loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use arc_swap::{ArcSwap, ArcSwapOption};
use sandbox::Plugin;
use tokio::runtime::Handle;

use crate::chain_link::Checked;
use crate::conf_cache::Prepared;
use crate::config::Plugins;
use crate::configuration_checks::{Check, Version, warn_unavailable};
use crate::failure::Unavailable;
use crate::filter_chain::shown;
use crate::metrics::{Metrics, PluginMetrics};
use crate::module::{Module, Stage};
use crate::module_folder::{self, Listing};
use crate::tenant::Tenant;

/// The longest name the gateway lets a plugin have, in bytes of four to a
/// character (`maxLength` 128 in its schema).
const NAME_LIMIT: usize = 512;

type Modules = BTreeMap<(Tenant, Arc<str>), Arc<Module>>;

/// The plugins of all tenants.
pub struct PluginCatalog {
    modules: ArcSwap<Modules>,
    /// Held by whoever replaces the map.
    changing: Mutex<()>,
    metrics: Arc<Metrics>,
    /// The counters of all names that are not among them.
    unknown: Arc<PluginMetrics>,
    /// Counts everything that changes what a name stands for, so that of two
    /// checks of a configuration the later one is known.
    generation: AtomicU64,
    /// Why the folder cannot be what serves.
    trouble: ArcSwapOption<String>,
    /// Of modules beyond the most that there may be.
    refused: ArcSwap<BTreeSet<Arc<str>>>,
}

impl PluginCatalog {
    /// A catalog without any plugin.
    #[must_use]
    pub fn empty(metrics: &Arc<Metrics>) -> Self {
        PluginCatalog {
            modules: ArcSwap::default(),
            changing: Mutex::default(),
            unknown: metrics.unknown_plugin(),
            metrics: Arc::clone(metrics),
            generation: AtomicU64::new(0),
            trouble: ArcSwapOption::empty(),
            refused: ArcSwap::default(),
        }
    }

    /// Lists a folder: every `NAME.wasm` in it is the plugin NAME, up to `most`
    /// of them. What else is there is named in the log.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn list(
        tenant: &Tenant,
        folder: &Path,
        most: usize,
        metrics: &Arc<Metrics>,
    ) -> Result<(Self, Listing)> {
        let mut listing = module_folder::list(folder).with_context(|| {
            format!(
                "cannot read the modules folder {}; give another, with --modules or in the \
                 configuration",
                folder.display()
            )
        })?;
        listing.keep(most, &BTreeSet::new());
        let catalog = PluginCatalog::empty(metrics);
        for remark in &listing.remarks {
            remark.tell();
        }
        let modules = listing.modules.iter().map(|(name, file)| {
            let module = catalog.new_module(name, &file.path);
            ((tenant.clone(), Arc::clone(name)), module)
        });
        catalog.modules.store(Arc::new(modules.collect()));
        catalog.set_refused(std::mem::take(&mut listing.refused));
        Ok((catalog, listing))
    }

    /// A module that is not in the catalog yet.
    pub fn new_module(&self, name: &Arc<str>, file: &Path) -> Arc<Module> {
        let metrics = self.metrics.plugin(name);
        Arc::new(Module::new(Arc::clone(name), file.to_owned(), metrics))
    }

    /// The module of a name.
    pub fn module(&self, tenant: &Tenant, name: &Arc<str>) -> Option<Arc<Module>> {
        let key = (tenant.clone(), Arc::clone(name));
        self.modules.load().get(&key).cloned()
    }

    /// Every module there is.
    pub fn modules(&self) -> Vec<Arc<Module>> {
        self.modules.load().values().cloned().collect()
    }

    /// The name of every module there is.
    pub fn names(&self) -> BTreeSet<Arc<str>> {
        let names = |(_, name): &(Tenant, Arc<str>)| Arc::clone(name);
        self.modules.load().keys().map(names).collect()
    }

    /// Every plugin, by name, and how far it is.
    pub fn stages(&self) -> Vec<(Arc<str>, Stage)> {
        let modules = self.modules.load();
        let stage = |module: &Arc<Module>| (Arc::clone(&module.name), module.stage());
        modules.values().map(stage).collect()
    }

    /// Whether this module is what its name stands for.
    pub fn has(&self, tenant: &Tenant, module: &Arc<Module>) -> bool {
        let there = self.module(tenant, &module.name);
        there.is_some_and(|there| Arc::ptr_eq(&there, module))
    }

    /// Counts something of a module, unless it is in the catalog no more: then
    /// nobody would take its figures out of the text again.
    pub fn count(&self, tenant: &Tenant, module: &Arc<Module>, count: fn(&Metrics, &str)) -> bool {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let has = self.has(tenant, module);
        if has {
            count(&self.metrics, &module.name);
        }
        has
    }

    /// Gives a module the plugin that it is from here on, or the reason why it
    /// is none, unless it is in the catalog no more. Configurations have to be
    /// checked again.
    pub fn put(
        &self,
        tenant: &Tenant,
        module: &Arc<Module>,
        plugin: Result<Arc<Plugin>, Arc<str>>,
    ) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.has(tenant, module) {
            return;
        }
        // After the map: whoever looked into it before and found nothing has a
        // smaller number, and is checked again.
        let generation = self.next_generation();
        module.set_version(Version { generation, plugin });
    }

    /// Puts a module into the catalog, unless it is there: from here on new
    /// configurations that name it wait for its first version.
    pub fn enter(&self, tenant: &Tenant, module: &Arc<Module>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), Arc::clone(&module.name));
        let modules = self.modules.load();
        if !modules.contains_key(&key) {
            let mut modules = Modules::clone(&modules);
            modules.insert(key, Arc::clone(module));
            self.modules.store(Arc::new(modules));
        }
    }

    /// There is no plugin of this name from here on. Configurations have to be
    /// checked again.
    pub fn remove(&self, tenant: &Tenant, name: &Arc<str>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut modules = Modules::clone(&self.modules.load());
        modules.remove(&(tenant.clone(), Arc::clone(name)));
        self.modules.store(Arc::new(modules));
        self.next_generation();
        self.metrics.forget(name);
    }

    fn next_generation(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// What is wrong with the folder as a whole.
    pub fn trouble(&self) -> Option<Arc<String>> {
        self.trouble.load_full()
    }

    /// Something is wrong with it, or nothing any more.
    pub fn set_trouble(&self, trouble: Option<String>) {
        self.trouble.store(trouble.map(Arc::new));
    }

    /// The names of modules beyond the most that there may be.
    pub fn refused(&self) -> Arc<BTreeSet<Arc<str>>> {
        self.refused.load_full()
    }

    /// These are beyond it.
    pub fn set_refused(&self, refused: BTreeSet<Arc<str>>) {
        if **self.refused.load() != refused {
            self.refused.store(Arc::new(refused));
        }
    }

    /// Warns of settings for plugins that are not there.
    pub fn check_names(&self, tenant: &Tenant, settings: &Plugins) {
        for name in settings.named.keys() {
            let key = Arc::from(name.as_str());
            if self.module(tenant, &key).is_none() {
                let advice = self.suggest(tenant, name);
                tracing::warn!(
                    "the configuration has settings for plugins.{name}: there is no such plugin; {advice}"
                );
            }
        }
    }

    /// The catalog's own copy of a plugin's name, so that thousands of
    /// configurations do not each keep one, and its counters.
    pub fn own_name(&self, tenant: &Tenant, name: Arc<str>) -> (Arc<str>, Arc<PluginMetrics>) {
        match self.module(tenant, &name) {
            Some(module) => (Arc::clone(&module.name), Arc::clone(&module.metrics)),
            None => (name, Arc::clone(&self.unknown)),
        }
    }

    /// Checks one position of a chain in the background, once its plugin is
    /// there; where there is no such plugin, says so at once. `again`: it was
    /// checked before, and what its name stands for has changed since.
    ///
    /// The chain must be where whoever changes the catalog finds it, or it
    /// might be checked with a plugin that is replaced at that moment.
    pub fn check(
        &self,
        background: &Handle,
        tenant: &Tenant,
        chain: &Arc<Prepared>,
        position: usize,
        again: bool,
    ) {
        let link = &chain.links()[position];
        // Before the look at the map: the version of a module that is put there
        // after it has a greater number (`put`).
        let generation = self.generation.load(Ordering::SeqCst);
        if let Some(module) = self.module(tenant, &link.plugin) {
            let check = Check {
                metrics: Arc::clone(&module.metrics),
                chain: Arc::clone(chain),
                position,
                again,
            };
            return module.check(check, background);
        }
        let missing = Unavailable::Missing(self.suggest(tenant, &link.plugin));
        if !again {
            warn_unavailable(chain, position, &missing);
        }
        link.set(Checked {
            outcome: Err(missing),
            metrics: Arc::clone(&self.unknown),
            generation,
            kept_back: None,
        });
    }

    /// Names longer than any plugin's are not compared: that takes time, and
    /// the gateway waits.
    fn suggest(&self, tenant: &Tenant, name: &str) -> String {
        if self.refused.load().contains(name) {
            return "its module is beyond the most of limits.modules; raise that, or remove others"
                .into();
        }
        let compared = if name.len() > NAME_LIMIT { "" } else { name };
        let modules = self.modules.load();
        let known = modules
            .keys()
            .filter(|(of, _)| of == tenant)
            .map(|(_, name)| name);
        let nearest = known
            .map(|known| {
                (
                    strsim::normalized_damerau_levenshtein(compared, known),
                    known,
                )
            })
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match nearest {
            Some((likeness, known)) if likeness >= 0.5 => format!("did you mean {known}?"),
            _ => format!("the modules folder would need a {}.wasm", shown(name)),
        }
    }
}
