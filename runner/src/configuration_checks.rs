//! The configurations of one plugin that its `configure` has not seen yet: new
//! ones, and all of them where another version of the plugin has come. They
//! wait in a line and cost little until it is their turn: the gateway can send
//! thousands at once. Runs in the background; calls wait for the outcome
//! elsewhere.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use sandbox::{Filter, Plugin, SandboxError};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::chain_link::{Checked, Link};
use crate::conf_cache::Prepared;
use crate::failure::{Cause, Unavailable};
use crate::failure_policy::Action;
use crate::filter_chain::shown;
use crate::metrics::PluginMetrics;

/// What a plugin's name stands for from some moment on.
#[derive(Clone)]
pub struct Version {
    /// Greater than that of everything that came before.
    pub generation: u64,
    /// A plugin, or the reason why there is none.
    pub plugin: Result<Arc<Plugin>, Arc<str>>,
}

/// The version that serves, once there is one.
pub type Versions = watch::Receiver<Option<Version>>;

/// Checks of one plugin at the same time, so that one that takes long does not
/// hold up all others.
const AT_ONCE: usize = 8;

/// How often `configure` of a new version may fail, other than by saying no,
/// before the version is not taken: by what it does itself, and by what only the
/// moment may have done. The time between doubles from try to try.
const TRIES: u32 = 3;
const TRIES_OF_THE_MOMENT: u32 = 8;
const PAUSE: Duration = Duration::from_millis(200);

/// The line of one plugin.
#[derive(Default)]
pub struct ConfigurationChecks {
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    new: VecDeque<Check>,
    /// Those that calls need not wait for: something serves them.
    again: VecDeque<Check>,
    at_work: usize,
}

/// One configuration whose check is to come.
pub struct Check {
    /// The counters of the plugin.
    pub metrics: Arc<PluginMetrics>,
    /// Where the configuration is, and where the outcome goes: this chain.
    pub chain: Arc<Prepared>,
    /// And there this position.
    pub position: usize,
    /// Whether it was checked before, with something else.
    pub again: bool,
}

impl ConfigurationChecks {
    /// Puts a check into the line; returns at once.
    pub fn add(self: &Arc<Self>, check: Check, versions: Versions, background: &Handle) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        match check.again {
            true => line.again.push_back(check),
            false => line.new.push_back(check),
        }
        if line.at_work < AT_ONCE {
            line.at_work += 1;
            let checks = Arc::clone(self);
            background.spawn(async move { checks.work(versions).await });
        }
    }

    /// Versions may come faster than thousands of configurations are checked;
    /// whoever brings one adds all of them anew.
    pub fn forget_again(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.again = VecDeque::new();
    }

    /// Whether any configuration waits for the plugin or is being checked.
    pub fn any_to_come(&self) -> bool {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.at_work > 0
    }

    /// Checks until nothing waits.
    async fn work(&self, mut versions: Versions) {
        while let Some(check) = self.next() {
            // Again where another version came meanwhile: whoever brought it
            // may have looked before this configuration was there.
            while let Some(version) = current(&mut versions).await
                && check.link().generation() < version.generation
            {
                check.run(version).await;
            }
        }
    }

    fn next(&self) -> Option<Check> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let next = line.new.pop_front().or_else(|| line.again.pop_front());
        if next.is_none() {
            line.at_work -= 1;
            line.new.shrink_to_fit();
            line.again.shrink_to_fit();
        }
        next
    }
}

/// None where the module is gone before there was any.
async fn current(versions: &mut Versions) -> Option<Version> {
    let version = versions.wait_for(Option::is_some).await;
    version.ok()?.clone()
}

impl Check {
    fn link(&self) -> &Link {
        &self.chain.links()[self.position]
    }

    /// Checks with one version and says what came of it.
    async fn run(&self, version: Version) {
        let (link, route) = (self.link(), self.chain.shared_route());
        let serving = link.filter();
        let outcome = match &version.plugin {
            Err(reason) => Err(Unavailable::NotLoaded(Arc::clone(reason))),
            Ok(plugin) => {
                let text = Arc::clone(&link.text);
                let filter = Filter::new(Arc::clone(plugin), text, Arc::clone(&route));
                let checking = checked(filter, &route, serving.is_none());
                let checking = AssertUnwindSafe(checking).catch_unwind();
                checking.await.unwrap_or(Err(Unavailable::NotPrepared))
            }
        };
        let (outcome, kept_back) = match (outcome, serving) {
            // One version is worse than the other, for this configuration.
            (Err(unavailable), Some(older)) if version.plugin.is_ok() => {
                self.warn_kept_back(&unavailable);
                (Ok(older), Some(unavailable.to_string().into()))
            }
            (outcome, _) => (outcome, None),
        };
        if let Err(unavailable) = &outcome {
            warn_unavailable(&self.chain, self.position, unavailable);
        }
        link.set(Checked {
            outcome,
            metrics: Arc::clone(&self.metrics),
            generation: version.generation,
            kept_back,
        });
    }

    /// Not for each of thousands of configurations.
    fn warn_kept_back(&self, unavailable: &Unavailable) {
        if self.metrics.lines.take().is_none() {
            return;
        }
        tracing::warn!(
            plugin = %shown(&self.link().plugin),
            route = %self.chain.route(),
            cause = %unavailable.cause().label(),
            "the new version cannot serve a configuration, which stays with the version before: \
             {unavailable}"
        );
    }
}

/// Only the guest's own word is final. A check that fails in another way (a
/// busy machine, a moment without a free instance) says nothing of the next
/// call, which configures an instance of its own and fails by itself if it
/// must. Where an older version serves, there is time to find out more, and
/// only one that has said yes takes its place.
async fn checked(filter: Filter, route: &str, is_new: bool) -> Result<Filter, Unavailable> {
    let mut tries = 1;
    loop {
        let error = match filter.check().await {
            Ok(()) => return Ok(filter),
            Err(SandboxError::ConfigurationRejected(reason)) => {
                return Err(Unavailable::Rejected(reason));
            }
            Err(error) => error,
        };
        if !is_new {
            let most = match is_the_guests_doing(&error) {
                true => TRIES,
                false => TRIES_OF_THE_MOMENT,
            };
            if tries >= most {
                return Err(Unavailable::Rejected(error.to_string()));
            }
            tokio::time::sleep(PAUSE * (1 << (tries - 1))).await;
            tries += 1;
            continue;
        }
        tracing::warn!(
            plugin = %filter.name(),
            %route,
            cause = %Cause::from(&error).label(),
            "the check of a configuration failed: {error}"
        );
        return Ok(filter);
    }
}

/// Whether another moment would have given the same, most likely.
fn is_the_guests_doing(error: &SandboxError) -> bool {
    matches!(
        error,
        SandboxError::Trap(_)
            | SandboxError::Deadline(_)
            | SandboxError::Stalled(_)
            | SandboxError::Memory { .. }
            | SandboxError::HostCallLimit(_)
    )
}

/// Said once per configuration, when it is prepared; each call says so again.
pub fn warn_unavailable(chain: &Prepared, position: usize, unavailable: &Unavailable) {
    let link = &chain.links()[position];
    let cause = unavailable.cause();
    let action = link.policy.action(cause);
    let so = match action {
        Action::Closed => "every call fails",
        Action::Open => "every call goes on without it",
        Action::Status(_) => "every call ends with the status that on_error names",
    };
    tracing::warn!(
        plugin = %shown(&link.plugin),
        route = %chain.route(),
        cause = %cause.label(),
        %action,
        "a filter cannot run: {unavailable}; {so}"
    );
}
