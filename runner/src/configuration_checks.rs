//! The configurations of one plugin that its `configure` has not seen yet.
//! They wait in a line and cost little until it is their turn: the gateway can
//! send thousands at once. Runs in the background; calls wait for the outcome
//! elsewhere.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use sandbox::{Filter, Plugin, SandboxError};
use tokio::runtime::Handle;
use tokio::sync::SetOnce;

use crate::conf_cache::Prepared;
use crate::failure::{Cause, Unavailable};
use crate::failure_policy::Action;
use crate::filter_chain::shown;

/// A plugin that is loaded or will be, or the reason why it cannot.
pub type Loading = SetOnce<Result<Arc<Plugin>, Arc<str>>>;

/// Checks of one plugin at the same time, so that one that takes long does not
/// hold up all others.
const AT_ONCE: usize = 8;

/// The line of one plugin.
#[derive(Default)]
pub struct ConfigurationChecks {
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Check>,
    at_work: usize,
}

/// One configuration whose check is to come.
pub struct Check {
    /// The configuration.
    pub text: Arc<[u8]>,
    /// Where the outcome goes: this chain.
    pub chain: Arc<Prepared>,
    /// And there this position.
    pub position: usize,
}

impl ConfigurationChecks {
    /// Puts a check into the line; returns at once.
    pub fn add(self: &Arc<Self>, check: Check, loading: &Arc<Loading>, background: &Handle) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.waiting.push_back(check);
        if line.at_work < AT_ONCE {
            line.at_work += 1;
            let (checks, loading) = (Arc::clone(self), Arc::clone(loading));
            background.spawn(async move { checks.work(&loading).await });
        }
    }

    /// Whether any configuration waits for the plugin or is being checked.
    pub fn any_to_come(&self) -> bool {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.at_work > 0
    }

    /// Checks until nothing waits.
    async fn work(&self, loading: &Loading) {
        let plugin = loading.wait().await;
        while let Some(check) = self.next() {
            let checking = AssertUnwindSafe(run(plugin, check.text, check.chain.shared_route()))
                .catch_unwind();
            let outcome = checking.await.unwrap_or(Err(Unavailable::NotPrepared));
            if let Err(unavailable) = &outcome {
                warn_unavailable(&check.chain, check.position, unavailable);
            }
            // Nobody else sets it.
            let _ = check.chain.links()[check.position].readiness.set(outcome);
        }
    }

    fn next(&self) -> Option<Check> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let next = line.waiting.pop_front();
        if next.is_none() {
            line.at_work -= 1;
            line.waiting.shrink_to_fit();
        }
        next
    }
}

/// Only the guest's own word is final. A check that fails in another way (a
/// busy machine, a moment without a free instance) says nothing of the next
/// call, which configures an instance of its own and fails by itself if it
/// must.
async fn run(
    plugin: &Result<Arc<Plugin>, Arc<str>>,
    text: Arc<[u8]>,
    route: Arc<str>,
) -> Result<Filter, Unavailable> {
    let plugin = match plugin {
        Ok(plugin) => Arc::clone(plugin),
        Err(reason) => return Err(Unavailable::NotLoaded(Arc::clone(reason))),
    };
    let filter = Filter::new(plugin, text, Arc::clone(&route));
    match filter.check().await {
        Ok(()) => Ok(filter),
        Err(SandboxError::ConfigurationRejected(reason)) => Err(Unavailable::Rejected(reason)),
        Err(error) => {
            tracing::warn!(
                plugin = %filter.name(),
                %route,
                cause = %Cause::from(&error).label(),
                "the check of a configuration failed: {error}"
            );
            Ok(filter)
        }
    }
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
