//! Why a filter could not do its part, and the name of its cause: under that
//! name failures are logged, counted and told apart in the configuration. What
//! becomes of the call is decided in `failure_policy`.

use std::sync::Arc;
use std::time::Duration;

use sandbox::{GatewayError, SandboxError};

/// Why a filter could not do its part. The text is for the log, never for the
/// client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
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

/// What kind of failure it was. docs/failures.md says when each happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Cause {
    Missing,
    Load,
    Configuration,
    NotReady,
    WrongPhase,
    Trap,
    /// Computed for too long.
    DeadlineCpu,
    /// Took too long by the clock on the wall.
    DeadlineWall,
    /// Waited too long for the gateway's answers.
    DeadlineGateway,
    Memory,
    /// Asked too much of the host in one function call.
    Limit,
    /// No free instance, or too many calls of the plugin.
    Saturation,
    /// The guest returned an error, or a response that is none.
    GuestError,
    /// The gateway is gone, or did not keep to its protocol.
    GatewayLost,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Cause; 14] = [
        Cause::Missing,
        Cause::Load,
        Cause::Configuration,
        Cause::NotReady,
        Cause::WrongPhase,
        Cause::Trap,
        Cause::DeadlineCpu,
        Cause::DeadlineWall,
        Cause::DeadlineGateway,
        Cause::Memory,
        Cause::Limit,
        Cause::Saturation,
        Cause::GuestError,
        Cause::GatewayLost,
    ];

    /// Its name in log and metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Cause::Missing => "missing",
            Cause::Load => "load",
            Cause::Configuration => "configuration",
            Cause::NotReady => "not_ready",
            Cause::WrongPhase => "wrong_phase",
            Cause::Trap => "trap",
            Cause::DeadlineCpu => "deadline_cpu",
            Cause::DeadlineWall => "deadline_wall",
            Cause::DeadlineGateway => "deadline_gateway",
            Cause::Memory => "memory",
            Cause::Limit => "limit",
            Cause::Saturation => "saturation",
            Cause::GuestError => "guest_error",
            Cause::GatewayLost => "gateway_lost",
        }
    }
}

impl Failure {
    /// What kind it was.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Failure::Unavailable(unavailable) => unavailable.cause(),
            Failure::Failed(error) => error.into(),
        }
    }
}

impl Unavailable {
    /// What kind it is.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Unavailable::Missing(_) => Cause::Missing,
            Unavailable::NotLoaded(_) => Cause::Load,
            Unavailable::Rejected(_) => Cause::Configuration,
            Unavailable::NotPrepared | Unavailable::NotReady(_) => Cause::NotReady,
        }
    }
}

impl From<&SandboxError> for Cause {
    fn from(error: &SandboxError) -> Self {
        match error {
            SandboxError::ConfigurationRejected(_) => Cause::Configuration,
            SandboxError::GuestError(_) | SandboxError::InvalidStop(_) => Cause::GuestError,
            SandboxError::Trap(_) => Cause::Trap,
            SandboxError::Deadline(_) => Cause::DeadlineCpu,
            SandboxError::Stalled(_) => Cause::DeadlineWall,
            SandboxError::Gateway(GatewayError::TooLate(_)) => Cause::DeadlineGateway,
            SandboxError::Gateway(_) => Cause::GatewayLost,
            SandboxError::Memory { .. } => Cause::Memory,
            SandboxError::WrongPhase(_) => Cause::WrongPhase,
            SandboxError::HostCallLimit(_) => Cause::Limit,
            SandboxError::Saturated(_)
            | SandboxError::Busy { .. }
            | SandboxError::MemoryTaken { .. }
            | SandboxError::QueueFull(_) => Cause::Saturation,
        }
    }
}
