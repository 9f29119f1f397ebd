//! What the processes of all tenants say to the operator, as one.
//!
//! Must not know how they are started.

use std::sync::{Arc, Mutex, PoisonError};

use super::handover::{Questions, Topic};
use super::merged_metrics::merged;
use crate::admin::pages::{Content, one_line};
use crate::metrics::{AllMetrics, Levels};
use crate::telemetry::DroppedLines;
use crate::tenant::Tenant;

/// How the operator's questions reach a process.
pub(super) struct Reached {
    tenant: Tenant,
    questions: Mutex<Result<Questions, String>>,
}

impl Reached {
    /// Nothing has started yet.
    pub(super) fn of(tenant: Tenant) -> Self {
        Reached {
            tenant,
            questions: Mutex::new(Err("it has not started yet".into())),
        }
    }

    pub(super) fn put(&self, questions: Result<Questions, String>) {
        *self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = questions;
    }

    pub(super) fn lose(&self, how: &str) {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last_words = questions.as_mut().ok().and_then(Questions::last_words);
        *questions = Err(match last_words {
            Some(reason) => not_served_line(&self.tenant, &reason),
            None => format!("its process is gone: {how}"),
        });
    }

    fn ask(&self, topic: Topic) -> Result<Result<String, String>, String> {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let questions = questions.as_mut().map_err(|reason| reason.clone())?;
        let asked = questions.ask(topic);
        asked.map_err(|error| match questions.last_words() {
            Some(reason) => not_served_line(&self.tenant, &reason),
            None => format!("its process does not answer: {error}"),
        })
    }
}

/// As the process of all tenants says it.
pub(super) fn not_served_line(tenant: &Tenant, reason: &str) -> String {
    let begin = format!("tenant {tenant} is not served: ");
    let reason = reason.strip_prefix(&begin).unwrap_or(reason);
    format!("{begin}{reason}")
}

/// What the processes of all tenants say.
pub(super) struct AllProcesses {
    /// One for each tenant.
    pub(super) reached: Vec<Arc<Reached>>,
    /// A line for each tenant without a process.
    pub(super) not_served: Vec<String>,
    /// Lines that this process could not write.
    pub(super) dropped: DroppedLines,
}

/// How this process calls itself where tenants are named: no tenant can be
/// called so.
const ITSELF: &str = "(supervisor)";

impl AllProcesses {
    /// What each says, asked all at once: one that does not answer holds up
    /// nobody else.
    fn ask(&self, topic: Topic) -> Vec<Result<Result<String, String>, String>> {
        std::thread::scope(|scope| {
            let asked = self.reached.iter();
            let asked: Vec<_> = asked
                .map(|reached| scope.spawn(move || reached.ask(topic)))
                .collect();
            let answers = asked.into_iter().map(|asked| {
                let failed = |_| Err("asking it failed".to_owned());
                asked.join().unwrap_or_else(failed)
            });
            answers.collect()
        })
    }
}

impl Content for AllProcesses {
    fn metrics(&self) -> Result<String, String> {
        let levels = Levels {
            log_lines_dropped: self.dropped.count(),
            tenants: Vec::new(),
        };
        let own = AllMetrics::new().and_then(|metrics| metrics.text(&levels));
        let own = own.map_err(|error| error.to_string())?;
        let answers = self.reached.iter().zip(self.ask(Topic::Metrics));
        let texts = answers.filter_map(|(reached, answer)| {
            // One that does not answer is missing, and /readyz says why.
            Some((reached.tenant.name(), answer.ok()?.ok()?))
        });
        let texts: Vec<(&str, String)> = std::iter::once((ITSELF, own)).chain(texts).collect();
        Ok(merged(
            texts.iter().map(|(tenant, text)| (*tenant, &**text)),
        ))
    }

    fn readiness_of(&self, tenant: &str) -> Option<Result<String, String>> {
        let reached = self.reached.iter().find(|of| of.tenant.name() == tenant);
        let not_served = not_served_line(&Tenant::named(tenant), "");
        let answer = match reached {
            Some(reached) => reached.ask(Topic::Readiness),
            None => {
                let mut lines = self.not_served.iter();
                Err(lines.find(|line| line.starts_with(&not_served))?.clone())
            }
        };
        let about = format!("tenant {tenant}: ");
        let plain = |text: String| -> String {
            let lines = text.lines();
            let lines = lines.map(|line| line.strip_prefix(&about).unwrap_or(line));
            lines.map(|line| format!("{}\n", one_line(line))).collect()
        };
        Some(match answer {
            Ok(Ok(text)) => Ok(plain(text)),
            Ok(Err(text)) => Err(plain(text)),
            Err(reason) => Err(plain(reason)),
        })
    }

    fn readiness(&self) -> Result<String, String> {
        let (mut good, mut missing) = (String::new(), String::new());
        for line in &self.not_served {
            missing.push_str(&format!("{}\n", one_line(line)));
        }
        for (reached, answer) in self.reached.iter().zip(self.ask(Topic::Readiness)) {
            let tenant = &reached.tenant;
            let (into, text) = match answer {
                Ok(Ok(text)) => (&mut good, text),
                Ok(Err(text)) => (&mut missing, text),
                Err(reason) => (&mut missing, reason),
            };
            // Whoever wrote them is within a tenant.
            let about = format!("tenant {tenant}: ");
            for line in text.lines() {
                if line.starts_with(&not_served_line(tenant, "")) {
                    into.push_str(&format!("{}\n", one_line(line)));
                    continue;
                }
                let line = line.strip_prefix(&about).unwrap_or(line);
                into.push_str(&format!("{about}{}\n", one_line(line)));
            }
        }
        match missing.is_empty() {
            true => Ok(good),
            false => Err(missing),
        }
    }
}
