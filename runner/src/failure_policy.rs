//! What becomes of a call that a filter failed on, by what the operator says of
//! each kind of failure. Knows neither calls nor replies: the chain acts on it
//! (`filter_chain`), and so does what is sent instead of a result
//! (`error_reply`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hyper::StatusCode;

use crate::failure::Cause;

/// What is done about a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Action {
    /// The call ends: 503, or whatever the route allows where it does not get
    /// its filters (`allow_degradation`).
    #[default]
    Closed,
    /// The call goes on as if the filter were not there.
    Open,
    /// The call ends with this status and a fixed text, whatever the route
    /// allows.
    Status(StatusCode),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Closed => f.write_str("closed"),
            Action::Open => f.write_str("open"),
            Action::Status(status) => write!(f, "{}", status.as_u16()),
        }
    }
}

/// What the operator tells apart: the keys of `on_error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Missing,
    Load,
    Configuration,
    NotReady,
    WrongPhase,
    Trap,
    /// Any of the three clocks.
    Deadline,
    Memory,
    Limit,
    Saturation,
    GuestError,
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// Every kind, in the order of its number.
    pub const ALL: [Kind; Kind::COUNT] = [
        Kind::Missing,
        Kind::Load,
        Kind::Configuration,
        Kind::NotReady,
        Kind::WrongPhase,
        Kind::Trap,
        Kind::Deadline,
        Kind::Memory,
        Kind::Limit,
        Kind::Saturation,
        Kind::GuestError,
    ];

    /// The kinds by name, in the same order.
    pub const KEYS: [&'static str; Kind::COUNT] = [
        "missing",
        "load",
        "configuration",
        "not_ready",
        "wrong_phase",
        "trap",
        "deadline",
        "memory",
        "limit",
        "saturation",
        "guest_error",
    ];

    /// The one of a cause. None: nothing can be done but to end the call, since
    /// there is no gateway left to go on with.
    #[must_use]
    pub fn of(cause: Cause) -> Option<Kind> {
        Some(match cause {
            Cause::Missing => Kind::Missing,
            Cause::Load => Kind::Load,
            Cause::Configuration => Kind::Configuration,
            Cause::NotReady => Kind::NotReady,
            Cause::WrongPhase => Kind::WrongPhase,
            Cause::Trap => Kind::Trap,
            Cause::DeadlineCpu | Cause::DeadlineWall | Cause::DeadlineGateway => Kind::Deadline,
            Cause::Memory => Kind::Memory,
            Cause::Limit => Kind::Limit,
            Cause::Saturation => Kind::Saturation,
            Cause::GuestError => Kind::GuestError,
            Cause::GatewayLost => return None,
        })
    }

    /// Whether it shows before the filter was handed the call.
    fn comes_before_the_call(self) -> bool {
        matches!(self, Kind::Missing | Kind::Load | Kind::NotReady)
    }
}

/// What is done about the failures of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailurePolicy {
    actions: [Action; Kind::COUNT],
}

impl FailurePolicy {
    /// In the order of [`Kind::ALL`].
    #[must_use]
    pub fn new(actions: [Action; Kind::COUNT]) -> Self {
        FailurePolicy { actions }
    }

    /// What is done about this one.
    #[must_use]
    pub fn action(&self, cause: Cause) -> Action {
        Kind::of(cause).map_or(Action::Closed, |kind| self.action_on(kind))
    }

    /// What is done about failures of a kind.
    #[must_use]
    pub fn action_on(&self, kind: Kind) -> Action {
        self.actions[kind as usize]
    }

    /// Whether calls may have to go on that the filter was handed already.
    #[must_use]
    pub fn needs_failed_calls(&self) -> bool {
        let may_go_on = |kind: Kind| self.action_on(kind) == Action::Open;
        Kind::ALL
            .into_iter()
            .any(|kind| may_go_on(kind) && !kind.comes_before_the_call())
    }
}

/// The policies of all plugins. Shared: thousands of configurations point to
/// the few that there are.
#[derive(Debug, Clone, Default)]
pub struct FailurePolicies {
    others: Arc<FailurePolicy>,
    named: BTreeMap<String, Arc<FailurePolicy>>,
}

impl FailurePolicies {
    /// One for plugins that are not named, and those of the others by name.
    #[must_use]
    pub fn new(others: FailurePolicy, named: BTreeMap<String, FailurePolicy>) -> Self {
        let share = |(name, policy)| (name, Arc::new(policy));
        FailurePolicies {
            others: Arc::new(others),
            named: named.into_iter().map(share).collect(),
        }
    }

    /// That of the plugin of this name, whether or not there is such a plugin.
    #[must_use]
    pub fn of(&self, plugin: &str) -> Arc<FailurePolicy> {
        Arc::clone(self.named.get(plugin).unwrap_or(&self.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_should_stand_at_its_number_and_be_named_like_its_causes() {
        for (index, (kind, key)) in Kind::ALL.iter().zip(Kind::KEYS).enumerate() {
            assert_eq!(*kind as usize, index, "{key}");
            let mut causes = Cause::ALL
                .iter()
                .filter(|cause| Kind::of(**cause) == Some(*kind));
            assert!(causes.clone().count() > 0, "{key}");
            assert!(causes.all(|cause| cause.label().starts_with(key)), "{key}");
        }
    }

    #[test]
    fn nothing_should_make_a_call_go_on_without_a_gateway() {
        let all_open = FailurePolicy::new([Action::Open; Kind::COUNT]);
        for cause in Cause::ALL {
            let expected = match cause {
                Cause::GatewayLost => Action::Closed,
                _ => Action::Open,
            };
            assert_eq!(all_open.action(cause), expected, "{cause:?}");
        }
    }

    #[test]
    fn calls_should_be_kept_only_where_a_filter_that_ran_may_be_left_out() {
        for kind in Kind::ALL {
            let mut actions = [Action::Closed; Kind::COUNT];
            actions[kind as usize] = Action::Open;
            let expected = !matches!(kind, Kind::Missing | Kind::Load | Kind::NotReady);
            let policy = FailurePolicy::new(actions);
            assert_eq!(policy.needs_failed_calls(), expected, "{kind:?}");
        }
        assert!(!FailurePolicy::default().needs_failed_calls());
    }
}
