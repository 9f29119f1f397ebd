//! The filters behind one conf token, in the order of the configuration. Each
//! sees what those before it changed; the first that stops ends the chain; one
//! that fails ends the call.

use std::sync::Arc;
use std::time::Duration;

use sandbox::{Filter, RequestCall, ResponseCall, SandboxError, StopResponse, Verdict};
use tokio::sync::SetOnce;
use tokio::time::Instant;

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
#[error("plugin {} ({route}): {cause}", shown(plugin))]
pub struct ChainError {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The gateway's key of the route that brought the configuration first.
    pub route: Arc<str>,
    /// Why.
    pub cause: Cause,
}

/// Why a filter could not do its part.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Cause {
    /// It cannot run at all.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// It ran and failed.
    #[error(transparent)]
    Failed(#[from] SandboxError),
}

/// Why a filter cannot run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// No module of this name.
    #[error("there is no such plugin; {0}")]
    Missing(String),
    /// Its module could not be loaded.
    #[error("its module could not be loaded: {0}")]
    NotLoaded(Arc<str>),
    /// It refused its configuration.
    #[error("its configuration cannot be used: {0}")]
    Rejected(String),
    /// The runner failed while it prepared it.
    #[error("the runner failed to prepare it")]
    NotPrepared,
    /// It is not ready yet.
    #[error("it is still being prepared after {} ms", .0.as_millis())]
    NotReady(Duration),
}

/// A filter that is ready or will be, or the reason why it never will.
pub type Readiness = SetOnce<Result<Filter, Unavailable>>;

/// One position of a chain.
pub struct Link {
    /// The plugin's name.
    pub plugin: Arc<str>,
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
    /// [`ChainError`] of the first filter that cannot do its part; nothing of
    /// what the filters before it did remains.
    pub async fn on_request(&self, mut call: Box<RequestCall>) -> Result<Passage, ChainError> {
        let mut waiting = None;
        for link in &self.links {
            let filter = self
                .ready(link, &mut waiting)
                .await
                .map_err(|cause| self.error(link, cause))?;
            let seen = filter.on_request(call).await;
            let (after, verdict) = seen.map_err(|failed| self.error(link, failed.error))?;
            match verdict {
                Verdict::Next => call = after,
                Verdict::Stop(response) => return Ok(Passage::Stopped(response)),
            }
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
        let mut waiting = None;
        for link in &self.links {
            let filter = self
                .ready(link, &mut waiting)
                .await
                .map_err(|cause| self.error(link, cause))?;
            let seen = filter.on_response(call).await;
            call = seen.map_err(|failed| self.error(link, failed.error))?;
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

    fn error(&self, link: &Link, cause: impl Into<Cause>) -> ChainError {
        let (plugin, route) = (Arc::clone(&link.plugin), Arc::clone(&self.route));
        ChainError {
            plugin,
            route,
            cause: cause.into(),
        }
    }
}
