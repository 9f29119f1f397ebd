//! The filters behind one conf token, in the order of the configuration. Each
//! sees what those before it changed; the first that stops ends the chain. One
//! that fails ends the call, unless its policy says to go on without it.

use std::sync::Arc;
use std::time::Duration;

use sandbox::{Filter, RequestCall, ResponseCall, StopResponse, Verdict};
use tokio::sync::SetOnce;
use tokio::time::Instant;

use crate::failure::{Failure, Unavailable};
use crate::failure_policy::{Action, FailurePolicy};
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

/// A filter that is ready or will be, or the reason why it never will.
pub type Readiness = SetOnce<Result<Filter, Unavailable>>;

/// One position of a chain.
pub struct Link {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// What becomes of calls that it fails on.
    pub policy: Arc<FailurePolicy>,
    /// Its counters.
    pub metrics: Arc<PluginMetrics>,
    /// Set once the configuration has been checked.
    pub readiness: Readiness,
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
            call = match self.ready(link, &mut waiting).await {
                Err(unavailable) => self.without(link, &mut lap, id, unavailable, Some(call))?,
                Ok(filter) => match filter.on_request(call).await {
                    Ok((after, Verdict::Next)) => {
                        lap.ended(link, Outcome::Next);
                        after
                    }
                    Ok((_, Verdict::Stop(response))) => {
                        lap.ended(link, Outcome::Stop);
                        return Ok(Passage::Stopped(response));
                    }
                    Err(failed) => self.without(link, &mut lap, id, failed.error, failed.call)?,
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
            call = match self.ready(link, &mut waiting).await {
                Err(unavailable) => self.without(link, &mut lap, id, unavailable, Some(call))?,
                Ok(filter) => match filter.on_response(call).await {
                    Ok(after) => {
                        lap.ended(link, Outcome::Next);
                        after
                    }
                    Err(failed) => self.without(link, &mut lap, id, failed.error, failed.call)?,
                },
            };
        }
        Ok(call)
    }

    /// Waits for a filter. `deadline` is that of the whole call, set when it
    /// first has to wait.
    async fn ready<'a>(
        &self,
        link: &'a Link,
        deadline: &mut Option<Instant>,
    ) -> Result<&'a Filter, Unavailable> {
        let readiness = match link.readiness.get() {
            Some(readiness) => readiness,
            None => {
                let deadline = deadline.get_or_insert_with(|| Instant::now() + self.prepare_time);
                tokio::time::timeout_at(*deadline, link.readiness.wait())
                    .await
                    .map_err(|_| Unavailable::NotReady(self.prepare_time))?
            }
        };
        readiness.as_ref().map_err(Clone::clone)
    }

    /// The call as it was before the filter that failed on it, where it may go
    /// on without that filter. What cannot be put back to how it was ends,
    /// whatever the policy says.
    fn without<C>(
        &self,
        link: &Link,
        lap: &mut Lap,
        id: u32,
        failure: impl Into<Failure>,
        before: Option<Box<C>>,
    ) -> Result<Box<C>, ChainError> {
        let failure = failure.into();
        let cause = failure.cause();
        lap.ended(link, Outcome::Failed(cause));
        let action = match (link.policy.action(cause), before) {
            (Action::Open, Some(call)) => {
                self.tell(link, id, &failure, Action::Open);
                return Ok(call);
            }
            (Action::Status(status), _) => Action::Status(status),
            (Action::Closed | Action::Open, _) => Action::Closed,
        };
        self.tell(link, id, &failure, action);
        Err(ChainError {
            plugin: Arc::clone(&link.plugin),
            route: Arc::clone(&self.route),
            failure,
            action,
        })
    }

    /// The line in the log, unless there are too many of the plugin.
    fn tell(&self, link: &Link, id: u32, failure: &Failure, action: Action) {
        let Some(left_out) = link.metrics.lines.take() else {
            return;
        };
        let plugin = shown(&link.plugin);
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
    fn ended(&mut self, link: &Link, outcome: Outcome) {
        let now = std::time::Instant::now();
        let took = now.duration_since(self.since);
        link.metrics.ended(self.phase, outcome, took);
        self.since = now;
    }
}
