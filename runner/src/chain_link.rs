//! One position of a chain: a plugin's name with its configuration, and what
//! serves calls there. That is replaced when another version of the plugin has
//! accepted the configuration; a call reads it once and without waiting.
//!
//! Must not know calls, or who checks.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use sandbox::Filter;
use tokio::sync::SetOnce;

use crate::failure::Unavailable;
use crate::failure_policy::FailurePolicy;
use crate::metrics::PluginMetrics;

/// What came of the latest check of a configuration.
pub struct Checked {
    /// The filter, or the reason why there is none.
    pub outcome: Result<Filter, Unavailable>,
    /// The counters of what the plugin's name stands for.
    pub metrics: Arc<PluginMetrics>,
    /// Which of the things that the name has stood for was checked: a later one
    /// has a greater number.
    pub generation: u64,
    /// Where the filter is of an older version: why the newer one cannot serve
    /// this configuration.
    pub kept_back: Option<Arc<str>>,
}

/// One position of a chain.
pub struct Link {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// Its configuration.
    pub text: Arc<[u8]>,
    /// What becomes of calls that it fails on.
    pub policy: Arc<FailurePolicy>,
    /// Its counters, as long as nothing was checked.
    metrics: Arc<PluginMetrics>,
    checked: ArcSwapOption<Checked>,
    /// Set once anything was.
    first: SetOnce<()>,
}

impl Link {
    /// One whose check is to come.
    #[must_use]
    pub fn new(
        plugin: Arc<str>,
        text: Arc<[u8]>,
        policy: Arc<FailurePolicy>,
        metrics: Arc<PluginMetrics>,
    ) -> Self {
        Link {
            plugin,
            text,
            policy,
            metrics,
            checked: ArcSwapOption::empty(),
            first: SetOnce::new(),
        }
    }

    /// Later calls meet this; those that are under way end with what they began
    /// with. Nothing happens where a later check was quicker.
    pub fn set(&self, checked: Checked) {
        let checked = Arc::new(checked);
        self.checked.rcu(|present| match present {
            Some(present) if present.generation > checked.generation => Some(Arc::clone(present)),
            _ => Some(Arc::clone(&checked)),
        });
        // The first time only.
        let _ = self.first.set(());
    }

    /// What came of the latest check. Nobody waits here.
    pub fn checked(&self) -> Guard<Option<Arc<Checked>>> {
        self.checked.load()
    }

    /// Waits until anything was checked.
    pub async fn first(&self) {
        self.first.wait().await;
    }

    /// Its counters, as long as nothing was checked.
    pub fn unchecked_metrics(&self) -> &PluginMetrics {
        &self.metrics
    }

    /// That of the latest check; 0 before any.
    pub fn generation(&self) -> u64 {
        let checked = self.checked.load();
        checked.as_ref().map_or(0, |checked| checked.generation)
    }

    /// What serves, if anything does.
    pub fn filter(&self) -> Option<Filter> {
        let checked = self.checked.load();
        checked.as_ref()?.outcome.as_ref().ok().cloned()
    }

    /// Why an older version serves, where one does.
    pub fn kept_back(&self) -> Option<Arc<str>> {
        self.checked.load().as_ref()?.kept_back.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::AllMetrics;
    use crate::tenant::Tenant;

    #[test]
    fn an_older_check_should_never_replace_a_later_one() {
        let metrics = AllMetrics::new()
            .expect("metrics")
            .of(&Tenant::sole())
            .unknown_plugin();
        let policy = Arc::<FailurePolicy>::default();
        let link = Link::new("p".into(), [].into(), policy, Arc::clone(&metrics));
        assert_eq!(link.generation(), 0);
        for (generation, stays) in [(0, 0), (2, 2), (1, 2), (2, 2), (3, 3)] {
            link.set(Checked {
                outcome: Err(Unavailable::NotPrepared),
                metrics: Arc::clone(&metrics),
                generation,
                kept_back: None,
            });
            assert_eq!(link.generation(), stays, "after {generation}");
        }
    }
}
