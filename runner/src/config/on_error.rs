//! `on_error` as it is written: one action for all kinds of failure, or a
//! mapping of kinds to actions. What is left out falls back on the `on_error` of
//! all plugins, and that on `closed`. Must not know when failures happen.

use std::fmt;

use hyper::StatusCode;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};

use crate::failure_policy::{Action, FailurePolicy, Kind};

/// `on_error`, of one plugin or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RawOnError {
    /// For what is not named.
    pub default: Option<Action>,
    /// By number of [`Kind`].
    pub kinds: [Option<Action>; Kind::COUNT],
}

impl RawOnError {
    /// The same for all kinds.
    #[must_use]
    pub fn always(action: Action) -> Self {
        RawOnError {
            default: Some(action),
            kinds: [None; Kind::COUNT],
        }
    }

    /// What is said of all tenants where one says this of its own.
    pub(super) fn or(&self, all: &RawOnError) -> RawOnError {
        let kind = |kind: Kind| {
            let number = kind as usize;
            self.kinds[number].or(self.default).or(all.kinds[number])
        };
        RawOnError {
            default: self.default.or(all.default),
            kinds: Kind::ALL.map(kind),
        }
    }

    /// What comes of it where `all` is what holds for plugins that say nothing.
    pub(super) fn over(&self, all: &FailurePolicy) -> FailurePolicy {
        let action = |kind: Kind| {
            let own = self.kinds[kind as usize].or(self.default);
            own.unwrap_or_else(|| all.action_on(kind))
        };
        FailurePolicy::new(Kind::ALL.map(action))
    }
}

/// What one action can be, for whoever wrote something else.
const ACTION: &str = "closed, open or a status from 400 to 599";
const ON_ERROR: &str = "closed, open, {status: 502}, or a mapping such as {default: closed, \
                        missing: open, trap: 502}";

const STATUS: &str = "status";
const DEFAULT: &str = "default";

/// The keys of the mapping.
const KEYS: [&str; Kind::COUNT + 2] = {
    let mut keys = [DEFAULT; Kind::COUNT + 2];
    keys[1] = STATUS;
    let mut index = 0;
    while index < Kind::COUNT {
        keys[index + 2] = Kind::KEYS[index];
        index += 1;
    }
    keys
};

fn word<E: Error>(text: &str, expected: &'static str) -> Result<Action, E> {
    match text {
        "closed" => Ok(Action::Closed),
        "open" => Ok(Action::Open),
        _ => Err(E::invalid_value(Unexpected::Str(text), &expected)),
    }
}

fn status<E: Error>(number: u64) -> Result<Action, E> {
    let status = u16::try_from(number)
        .ok()
        .filter(|n| (400..600).contains(n));
    match status.map(StatusCode::from_u16) {
        Some(Ok(status)) => Ok(Action::Status(status)),
        _ => Err(E::invalid_value(
            Unexpected::Unsigned(number),
            &"a status from 400 to 599",
        )),
    }
}

/// One action: `closed`, `open`, `502` or `{status: 502}`.
struct OneAction(Action);

impl<'de> Deserialize<'de> for OneAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneActionVisitor)
    }
}

struct OneActionVisitor;

impl<'de> Visitor<'de> for OneActionVisitor {
    type Value = OneAction;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ACTION)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneAction, E> {
        word(text, ACTION).map(OneAction)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<OneAction, E> {
        status(number).map(OneAction)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OneAction, A::Error> {
        let mut action = None;
        while let Some(key) = map.next_key::<String>()? {
            match key == STATUS && action.is_none() {
                true => action = Some(status(map.next_value()?)?),
                false => return Err(A::Error::unknown_field(&key, &[STATUS])),
            }
        }
        action
            .map(OneAction)
            .ok_or_else(|| A::Error::missing_field(STATUS))
    }
}

impl<'de> Deserialize<'de> for RawOnError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnErrorVisitor)
    }
}

struct OnErrorVisitor;

impl<'de> Visitor<'de> for OnErrorVisitor {
    type Value = RawOnError;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ON_ERROR)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawOnError, E> {
        word(text, ON_ERROR).map(RawOnError::always)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<RawOnError, E> {
        status(number).map(RawOnError::always)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawOnError, A::Error> {
        let mut found = RawOnError::default();
        let mut for_all = None;
        let mut keys = 0;
        while let Some(key) = map.next_key::<String>()? {
            keys += 1;
            let place = match Kind::KEYS.iter().position(|known| *known == key) {
                Some(number) => &mut found.kinds[number],
                None if key == DEFAULT => &mut found.default,
                None if key == STATUS => {
                    for_all = Some(status(map.next_value()?)?);
                    continue;
                }
                None => return Err(A::Error::unknown_field(&key, &KEYS)),
            };
            if place.is_some() {
                return Err(A::Error::custom(format_args!("`{key}` is there twice")));
            }
            *place = Some(map.next_value::<OneAction>()?.0);
        }
        match for_all {
            None => Ok(found),
            Some(action) if keys == 1 => Ok(RawOnError::always(action)),
            Some(_) => Err(A::Error::custom(
                "`status` is for all kinds of failure and stands alone; beside others write \
                 `default`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::source::check;
    use crate::failure::Cause;

    /// What is done about a missing plugin, a trap and the three clocks.
    fn shown(config: &Config, plugin: &str) -> String {
        let policy = config.tenants[0].failure_policies.of(plugin);
        let causes = [Cause::Missing, Cause::Trap, Cause::DeadlineWall];
        causes
            .map(|cause| policy.action(cause).to_string())
            .join(" ")
    }

    #[test]
    fn what_is_left_out_should_be_as_for_all_plugins_and_there_closed() {
        // Of the plugin a, and of any other.
        let rows = [
            ("", "closed closed closed", "closed closed closed"),
            ("on_error: open", "open open open", "open open open"),
            (
                "on_error: {status: 502}\nplugins: {a: {on_error: open}}",
                "open open open",
                "502 502 502",
            ),
            (
                "on_error: 599\nplugins: {a: {on_error: {trap: {status: 400}}}}",
                "599 400 599",
                "599 599 599",
            ),
            (
                "on_error: {trap: 500, deadline: open}\n\
                 plugins: {a: {on_error: {missing: open, default: 501}}}",
                "open 501 501",
                "closed 500 open",
            ),
            (
                "on_error: {trap: 500, deadline: open}\nplugins: {a: {on_error: closed}}",
                "closed closed closed",
                "closed 500 open",
            ),
            (
                "on_error: open\nplugins: {a: {instances: warm}}",
                "open open open",
                "open open open",
            ),
        ];
        for (text, named, others) in rows {
            let config = check(text).expect(text);
            let found = (shown(&config, "a"), shown(&config, "b"));
            assert_eq!(found, (named.to_owned(), others.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_call_should_be_kept_where_its_plugin_may_be_left_out() {
        let rows = [
            ("", false, false),
            ("on_error: {missing: open}", false, false),
            ("on_error: {trap: open}", true, true),
            (
                "on_error: open\nplugins: {a: {on_error: closed}}",
                false,
                true,
            ),
            ("plugins: {a: {on_error: {guest_error: open}}}", true, false),
        ];
        for (text, named, others) in rows {
            let config = check(text).expect(text);
            let plugins = &config.tenants[0].plugins;
            let found = ["a", "b"].map(|name| plugins.of(name).settings.keep_failed_calls);
            assert_eq!(found, [named, others], "{text}");
        }
    }

    #[test]
    fn a_mistake_should_be_named_with_its_place_and_what_would_do() {
        let rows = [
            (
                "\non_error: oepn\n",
                "c.yaml:2: on_error: invalid value: string \"oepn\", expected closed, open, \
                 {status: 502}, or a mapping",
            ),
            (
                "plugins:\n  a:\n    on_error: 200\n",
                "c.yaml:3: plugins.a.on_error: invalid value: integer `200`, expected a status \
                 from 400 to 599",
            ),
            (
                "plugins:\n  a:\n    on_error:\n      trap: 600\n",
                "c.yaml:4: plugins.a.on_error.trap: invalid value: integer `600`",
            ),
            (
                "on_error: {default: open, trap: {status: 70000}}\n",
                "c.yaml:1: on_error.trap: invalid value: integer `70000`",
            ),
            (
                "on_error:\n  trap: true\n",
                "c.yaml:2: on_error.trap: invalid type: boolean `true`, expected closed, open or \
                 a status from 400 to 599",
            ),
            (
                "on_error:\n  deadlien: open\n",
                "unknown field `deadlien`, expected one of `default`, `status`, `missing`",
            ),
            ("on_error: {deadlien: open}\n", "did you mean `deadline`?"),
            ("on_error: {trap: {stat: 502}}\n", "did you mean `status`?"),
            (
                "on_error: {trap: {}}\n",
                "on_error.trap: missing field `status`",
            ),
            (
                "on_error: {status: 502, trap: open}\n",
                "c.yaml:1: on_error: `status` is for all kinds of failure and stands alone",
            ),
            (
                "on_error: {trap: open, trap: closed}\n",
                "`trap` is there twice",
            ),
            ("on_error: null\n", "c.yaml:1: on_error: invalid type"),
        ];
        for (text, expected) in rows {
            let error = check(text).expect_err(text);
            assert!(error.contains(expected), "{text:?} gave {error:?}");
        }
    }
}
