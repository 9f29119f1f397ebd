//! One module of the folder: the version of it that serves, and what stands in
//! the way of a newer one.
//!
//! Must not know how a version is made, nor who calls it.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use sandbox::Plugin;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};

use crate::configuration_checks::{Check, ConfigurationChecks, Version};
use crate::metrics::PluginMetrics;

/// A module.
pub struct Module {
    /// The plugin's name.
    pub name: Arc<str>,
    /// Where it is, links and all.
    pub file: PathBuf,
    /// Its counters, whatever the version.
    pub metrics: Arc<PluginMetrics>,
    /// Held while a version is being made, one at a time.
    pub progress: Mutex<Progress>,
    /// None before the first is there, or cannot be.
    version: watch::Sender<Option<Version>>,
    checks: Arc<ConfigurationChecks>,
    /// Why what lies in the folder is not what serves.
    problem: ArcSwapOption<String>,
}

/// SHA-256 of a file.
pub type Digest = [u8; 32];

/// What became of the file so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// What the plugin that serves was made from.
    pub serving: Option<Digest>,
    /// What was refused last.
    pub refused: Option<Digest>,
    /// Tries in a row that only the moment let fail.
    pub tries: u32,
    /// Starts in a row that did not come back in time.
    pub stalls: u32,
}

/// How far a plugin is.
#[derive(Clone)]
pub enum Stage {
    /// It is being compiled, or its turn comes.
    Loading,
    /// It can be called.
    Ready {
        /// What is called.
        plugin: Arc<Plugin>,
        /// Why that is not what lies in the folder.
        problem: Option<Arc<String>>,
    },
    /// It cannot be loaded, for this reason.
    Failed(Arc<str>),
}

impl Module {
    /// One that was not looked into yet.
    #[must_use]
    pub fn new(name: Arc<str>, file: PathBuf, metrics: Arc<PluginMetrics>) -> Self {
        Module {
            name,
            file,
            metrics,
            progress: Mutex::default(),
            version: watch::Sender::new(None),
            checks: Arc::default(),
            problem: ArcSwapOption::empty(),
        }
    }

    /// The plugin that serves.
    #[must_use]
    pub fn plugin(&self) -> Option<Arc<Plugin>> {
        let version = self.version.borrow();
        let plugin = version.as_ref()?.plugin.as_ref();
        plugin.ok().map(Arc::clone)
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match &*self.version.borrow() {
            None => Stage::Loading,
            Some(Version { plugin, .. }) => match plugin {
                Ok(plugin) => Stage::Ready {
                    plugin: Arc::clone(plugin),
                    problem: self.problem.load_full(),
                },
                Err(reason) => Stage::Failed(Arc::clone(reason)),
            },
        }
    }

    /// From here on this serves new configurations. Those that are there
    /// already have to be checked again, all of them: those that still wait to
    /// be checked again for the version before are forgotten.
    pub fn set_version(&self, version: Version) {
        self.problem.store(None);
        self.checks.forget_again();
        self.version.send_replace(Some(version));
    }

    /// The version stays, though another lies in the folder; true where nothing
    /// stood in the way before.
    pub fn set_problem(&self, problem: Option<String>) -> bool {
        self.problem.swap(problem.map(Arc::new)).is_none()
    }

    /// Lets `configure` see a configuration, once there is a version.
    pub fn check(&self, check: Check, background: &Handle) {
        self.checks.add(check, self.version.subscribe(), background);
    }

    /// Whether any configuration waits for the plugin or is being checked.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.checks.any_to_come()
    }
}
