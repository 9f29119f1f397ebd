//! The filters behind one conf token, in the order of the configuration. Each
//! sees what those before it changed; the first that stops ends the chain. One
//! that fails ends the call, unless its policy says to go on without it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use sandbox::{Filter, RequestCall, ResponseCall, StopResponse, Verdict};
use tokio::time::Instant;

use crate::chain_link::{Checked, Link};
use crate::failure::{Failure, Unavailable};
use crate::failure_policy::Action;
use crate::metrics::{Outcome, Phase, PluginMetrics};

/// How a request came through a chain.
pub enum Passage {
    /// Every filter let it pass; it carries what they changed.
    Through(Box<RequestCall>),
    /// One of them stopped it with this response.
    Stopped(StopResponse),
}

/// A name from the gateway on its way into the log: on one line, and no longer
/// than the gateway's own schema lets a plugin's name be (128 characters),
/// twice over for a route with a service and a consumer.
pub(crate) fn shown(name: &str) -> String {
    let mut shown: String = name
        .chars()
        .take(256)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(256).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Which filter failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("plugin {} ({route}): {failure}", shown(plugin))]
pub struct ChainError {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The gateway's key of the route that brought the configuration first.
    pub route: Arc<str>,
    /// Why.
    pub failure: Failure,
    /// What is done about it; never [`Action::Open`], which is no error.
    pub action: Action,
}

/// The filters behind one conf token.
pub struct FilterChain {
    links: Box<[Link]>,
    route: Arc<str>,
    /// How long a call waits for a filter that is not ready.
    prepare_time: Duration,
}

impl FilterChain {
    /// A chain in this order. `route` is for the log only, as [`shown`] gives
    /// it: the same configuration may belong to many routes.
    #[must_use]
    pub fn new(links: Box<[Link]>, route: Arc<str>, prepare_time: Duration) -> Self {
        FilterChain {
            links,
            route,
            prepare_time,
        }
    }

    /// Its positions in order.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// What the log calls it.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The same, to be kept.
    pub fn shared_route(&self) -> Arc<str> {
        Arc::clone(&self.route)
    }

    /// Sends a request through the chain.
    ///
    /// # Errors
    /// [`ChainError`] of the first filter that cannot do its part and cannot be
    /// left out; nothing of what the filters before it did remains.
    pub async fn on_request(&self, mut call: Box<RequestCall>) -> Result<Passage, ChainError> {
        let id = call.source().id();
        let (mut waiting, mut lap) = (None, Lap::start(Phase::Request));
        for link in &self.links {
            let checked = self.checked(link, &mut waiting).await;
            let (here, filter) = self.meet(link, checked.as_deref());
            call = match filter {
                Err(unavailable) => self.without(here, &mut lap, id, unavailable, Some(call))?,
                Ok(filter) => match filter.on_request(call).await {
                    Ok((after, Verdict::Next)) => {
                        lap.ended(here.metrics, Outcome::Next);
                        after
                    }
                    Ok((_, Verdict::Stop(response))) => {
                        lap.ended(here.metrics, Outcome::Stop);
                        return Ok(Passage::Stopped(response));
                    }
                    Err(failed) => self.without(here, &mut lap, id, failed.error, failed.call)?,
                },
            };
        }
        Ok(Passage::Through(call))
    }

    /// Sends a response through the chain.
    ///
    /// # Errors
    /// [`ChainError`], as for a request.
    pub async fn on_response(
        &self,
        mut call: Box<ResponseCall>,
    ) -> Result<Box<ResponseCall>, ChainError> {
        let id = call.source().id();
        let (mut waiting, mut lap) = (None, Lap::start(Phase::Response));
        for link in &self.links {
            let checked = self.checked(link, &mut waiting).await;
            let (here, filter) = self.meet(link, checked.as_deref());
            call = match filter {
                Err(unavailable) => self.without(here, &mut lap, id, unavailable, Some(call))?,
                Ok(filter) => match filter.on_response(call).await {
                    Ok(after) => {
                        lap.ended(here.metrics, Outcome::Next);
                        after
                    }
                    Err(failed) => self.without(here, &mut lap, id, failed.error, failed.call)?,
                },
            };
        }
        Ok(call)
    }

    /// Waits until there was a check. `deadline` is that of the whole call, set
    /// when it first has to wait. What is returned stays as it is for this
    /// call, whatever comes next.
    async fn checked(
        &self,
        link: &Link,
        deadline: &mut Option<Instant>,
    ) -> Guard<Option<Arc<Checked>>> {
        let checked = link.checked();
        if checked.is_some() {
            return checked;
        }
        let deadline = deadline.get_or_insert_with(|| Instant::now() + self.prepare_time);
        // In time or not: the look tells.
        let _ = tokio::time::timeout_at(*deadline, link.first()).await;
        link.checked()
    }

    fn meet<'a>(
        &self,
        link: &'a Link,
        checked: Option<&'a Checked>,
    ) -> (Position<'a>, Result<&'a Filter, Unavailable>) {
        let Some(checked) = checked else {
            let metrics = link.unchecked_metrics();
            let unavailable = Unavailable::NotReady(self.prepare_time);
            return (Position { link, metrics }, Err(unavailable));
        };
        let metrics = &*checked.metrics;
        let filter = checked.outcome.as_ref().map_err(Clone::clone);
        (Position { link, metrics }, filter)
    }

    /// The call as it was before the filter that failed on it, where it may go
    /// on without that filter. What cannot be put back to how it was ends,
    /// whatever the policy says.
    fn without<C>(
        &self,
        here: Position<'_>,
        lap: &mut Lap,
        id: u32,
        failure: impl Into<Failure>,
        before: Option<Box<C>>,
    ) -> Result<Box<C>, ChainError> {
        let failure = failure.into();
        let cause = failure.cause();
        lap.ended(here.metrics, Outcome::Failed(cause));
        let action = match (here.link.policy.action(cause), before) {
            (Action::Open, Some(call)) => {
                self.tell(here, id, &failure, Action::Open);
                return Ok(call);
            }
            (Action::Status(status), _) => Action::Status(status),
            (Action::Closed | Action::Open, _) => Action::Closed,
        };
        self.tell(here, id, &failure, action);
        Err(ChainError {
            plugin: Arc::clone(&here.link.plugin),
            route: Arc::clone(&self.route),
            failure,
            action,
        })
    }

    /// The line in the log, unless there are too many of the plugin.
    fn tell(&self, here: Position<'_>, id: u32, failure: &Failure, action: Action) {
        let Some(left_out) = here.metrics.lines.take() else {
            return;
        };
        let plugin = shown(&here.link.plugin);
        if left_out > 0 {
            tracing::warn!(%plugin, "{left_out} more calls failed that have no line here");
        }
        let what = match action {
            Action::Open => "call goes on without a filter",
            Action::Closed | Action::Status(_) => "call failed",
        };
        tracing::warn!(
            %plugin,
            route = %self.route,
            request = id,
            cause = %failure.cause().label(),
            %action,
            "{what}: {failure}"
        );
    }
}

/// A link as one call meets it.
#[derive(Clone, Copy)]
struct Position<'a> {
    link: &'a Link,
    metrics: &'a PluginMetrics,
}

/// Counts what each filter of a call came to and how long it took. A call that
/// is given up from outside (the runner ends, the gateway waits no longer) is
/// not the filter's doing and not counted here.
struct Lap {
    phase: Phase,
    since: std::time::Instant,
}

impl Lap {
    fn start(phase: Phase) -> Self {
        Lap {
            phase,
            since: std::time::Instant::now(),
        }
    }

    /// The next filter's time begins here.
    fn ended(&mut self, metrics: &PluginMetrics, outcome: Outcome) {
        let now = std::time::Instant::now();
        let took = now.duration_since(self.since);
        metrics.ended(self.phase, outcome, took);
        self.since = now;
    }
}
