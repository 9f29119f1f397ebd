//! What an operator's programs can ask: the figures, whether the runner lives,
//! and whether it can do all it was told to.
//!
//! Must not know how the question came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

use crate::compiler::Compilers;
use crate::conf_cache::ConfCache;
use crate::metrics::{AllMetrics, Levels};
use crate::module::Stage;
use crate::plugin_catalog::PluginCatalog;
use crate::tenant::Tenant;

/// What there is to read on the pages.
pub trait Content: Send + Sync {
    /// The figures for Prometheus.
    ///
    /// # Errors
    /// Why there are none.
    fn metrics(&self) -> Result<String, String>;

    /// Lines about what serves and is not the newest.
    ///
    /// # Errors
    /// Lines about what cannot serve, where there is any.
    fn readiness(&self) -> Result<String, String>;

    /// The same of one tenant; `None` where there is none of this name.
    fn readiness_of(&self, tenant: &str) -> Option<Result<String, String>>;
}

/// The content of a process that serves.
pub struct Pages {
    /// What is counted.
    pub metrics: AllMetrics,
    /// Asks everybody who keeps figures of their own.
    pub levels: Box<dyn Fn() -> Levels + Send + Sync>,
    /// Whose filters there are.
    pub tenants: Vec<TenantPages>,
    /// Tenants that are not served, each with the reason.
    pub not_served: Vec<(Tenant, String)>,
    /// Whether tenants are named.
    pub names_tenants: bool,
    /// Who compiles, unless this process does.
    pub compilers: Option<Compilers>,
    /// Set once the runner was told to end.
    pub stopping: Arc<AtomicBool>,
}

/// What is told of one tenant.
pub struct TenantPages {
    /// Who it is.
    pub tenant: Tenant,
    /// Which plugins there should be.
    pub catalog: Arc<PluginCatalog>,
    /// Which configurations there are.
    pub confs: Arc<ConfCache>,
}

const CONTENTS: &str = "\
/metrics  figures for Prometheus
/healthz  200 while the process answers
/readyz   200 when every plugin can be called, or 503 with what is missing and why
/readyz/TENANT  the same of one tenant
";

const PLAIN: &str = "text/plain; charset=utf-8";

/// The version of the format that the text is in.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer to a request.
#[must_use]
pub fn answer(content: &dyn Content, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let of_tenant = path.strip_prefix("/readyz/");
    if of_tenant.is_none() && !["/metrics", "/healthz", "/readyz"].contains(&path) {
        return page_of(StatusCode::NOT_FOUND, PLAIN, CONTENTS.into());
    }
    if method != Method::GET {
        let text = format!("{path} answers GET only\n");
        let mut answer = page_of(StatusCode::METHOD_NOT_ALLOWED, PLAIN, text);
        let allowed = HeaderValue::from_static("GET");
        answer.headers_mut().insert(ALLOW, allowed);
        return answer;
    }
    if let Some(tenant) = of_tenant {
        let found = content.readiness_of(tenant);
        let none = || page_of(StatusCode::NOT_FOUND, PLAIN, "no such tenant\n".into());
        return found.map_or_else(none, readiness);
    }
    match path {
        "/metrics" => match content.metrics() {
            Ok(text) => page_of(StatusCode::OK, EXPOSITION, text),
            Err(error) => {
                let text = format!("{error}\n");
                page_of(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, text)
            }
        },
        "/readyz" => readiness(content.readiness()),
        _ => page_of(StatusCode::OK, PLAIN, "ok\n".into()),
    }
}

fn readiness(of: Result<String, String>) -> Response<Full<Bytes>> {
    match of {
        Ok(others) => page_of(StatusCode::OK, PLAIN, format!("ready\n{others}")),
        Err(missing) => page_of(StatusCode::SERVICE_UNAVAILABLE, PLAIN, missing),
    }
}

impl Content for Pages {
    fn metrics(&self) -> Result<String, String> {
        let text = self.metrics.text(&(self.levels)());
        text.map_err(|error| error.to_string())
    }

    fn readiness(&self) -> Result<String, String> {
        match self.not_ready() {
            missing if missing.is_empty() => Ok(self.not_the_newest()),
            missing => Err(missing),
        }
    }

    fn readiness_of(&self, tenant: &str) -> Option<Result<String, String>> {
        let named = |of: &Tenant| of.name() == tenant;
        if let Some((_, reason)) = self.not_served.iter().find(|(of, _)| named(of)) {
            return Some(Err(format!("{}\n", one_line(reason))));
        }
        let of = self.tenants.iter().find(|of| named(&of.tenant))?;
        let missing = of.not_ready();
        Some(
            match missing.is_empty() && !self.stopping.load(Ordering::Relaxed) {
                true => Ok(of.not_the_newest()),
                false => Err(missing),
            },
        )
    }
}

impl Pages {
    /// A line for each thing.
    fn not_ready(&self) -> String {
        let stopping = self.stopping.load(Ordering::Relaxed);
        let stopping = stopping.then(|| "the runner is stopping\n".to_owned());
        let not_served = self.not_served.iter().map(|(tenant, reason)| {
            format!("tenant {tenant} is not served: {}\n", one_line(reason))
        });
        let tenants = self.tenants.iter().map(|of| self.named(of, of.not_ready()));
        stopping
            .into_iter()
            .chain(not_served)
            .chain(tenants)
            .collect()
    }

    /// A line for each thing that serves and is not what lies in the folder.
    fn not_the_newest(&self) -> String {
        let compilers = self.compilers.as_ref().and_then(Compilers::trouble);
        let compilers = compilers.map(|trouble| format!("{}\n", one_line(&trouble)));
        let tenants = self.tenants.iter();
        let tenants = tenants.map(|of| self.named(of, of.not_the_newest()));
        compilers.into_iter().chain(tenants).collect()
    }

    /// Lines about a tenant, each with its name where there are several.
    fn named(&self, of: &TenantPages, lines: String) -> String {
        if !self.names_tenants {
            return lines;
        }
        let lines = lines.lines();
        lines
            .map(|line| format!("tenant {}: {line}\n", of.tenant))
            .collect()
    }
}

impl TenantPages {
    fn not_ready(&self) -> String {
        let stages = self.catalog.stages();
        let none = stages.is_empty().then(|| "there is no plugin\n".to_owned());
        let plugins = stages.iter().filter_map(|(name, stage)| {
            let name = one_line(name);
            match stage {
                Stage::Ready { .. } => None,
                Stage::Loading => Some(format!("plugin {name}: still loading\n")),
                Stage::Failed(reason) => Some(format!("plugin {name}: {}\n", one_line(reason))),
            }
        });
        none.into_iter().chain(plugins).collect()
    }

    fn not_the_newest(&self) -> String {
        let trouble = self.catalog.trouble();
        let trouble = trouble.map(|trouble| format!("{}\n", one_line(&trouble)));
        let refused = self.catalog.refused();
        let refused = refused.first().map(|first| {
            let (first, count) = (one_line(first), refused.len());
            format!(
                "modules beyond the most of limits.modules: {count} do not serve, {first}.wasm \
                 the first of them\n"
            )
        });
        let stages = self.catalog.stages();
        let plugins = stages.iter().filter_map(|(name, stage)| match stage {
            Stage::Ready {
                problem: Some(problem),
                ..
            } => {
                let (name, problem) = (one_line(name), one_line(problem));
                let line = format!("plugin {name} serves its last good version: {problem}\n");
                Some(line)
            }
            _ => None,
        });
        let kept_back = self.confs.kept_back();
        let routes = kept_back.iter().map(|(name, kept_back)| {
            let (name, count) = (one_line(name), kept_back.count);
            let reason = one_line(&kept_back.reason);
            let route = match &*kept_back.route {
                "" => "a route that the gateway gave no name",
                route => route,
            };
            format!(
                "plugin {name} serves {count} configurations with an older version, one of them \
                 of {route}: {reason}\n"
            )
        });
        let folder = trouble.into_iter().chain(refused);
        folder.chain(plugins).chain(routes).collect()
    }
}

fn page_of(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from(text)));
    *page.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    page.headers_mut().insert(CONTENT_TYPE, kind);
    page
}

/// The text without line breaks, which a name or a reason may have.
pub fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.split(char::is_control).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::conf_cache::{ConfLimits, Tokens};
    use crate::failure_policy::FailurePolicies;

    #[test]
    fn what_is_not_ready_should_be_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in ["b.wasm", "a\nready.wasm"] {
            std::fs::write(folder.path().join(name), "").expect("file");
        }
        let metrics = AllMetrics::new().expect("metrics").of(&Tenant::sole());
        // Nobody loads them.
        let tenants = || {
            let listed = PluginCatalog::list(&Tenant::sole(), folder.path(), 9, &metrics);
            let of = |name: &str, catalog| of_tenant(name, catalog);
            [
                of("x", PluginCatalog::empty(&metrics)),
                of("y", listed.expect("modules").0),
            ]
        };
        let none = "there is no plugin\n";
        let loading = "plugin a ready: still loading\nplugin b: still loading\n";
        let [empty, full] = tenants();
        check(vec![empty], false, none);
        check(vec![full], false, loading);
        let named = "tenant z is not served: a b\ntenant x: there is no plugin\n\
                     tenant y: plugin a ready: still loading\ntenant y: plugin b: still loading\n";
        check(tenants().into(), true, named);
    }

    fn check(tenants: Vec<TenantPages>, names_tenants: bool, missing: &str) {
        let not_served = names_tenants.then(|| (Tenant::named("z"), "a\nb".to_owned()));
        let pages = Pages {
            metrics: AllMetrics::new().expect("metrics"),
            levels: Box::new(Levels::default),
            tenants,
            not_served: not_served.into_iter().collect(),
            names_tenants,
            compilers: None,
            stopping: Arc::default(),
        };
        assert_eq!(pages.not_ready(), missing);
        pages.stopping.store(true, Ordering::Relaxed);
        let stopping = format!("the runner is stopping\n{missing}");
        assert_eq!(pages.not_ready(), stopping);
        for (path, status) in [
            ("/readyz", StatusCode::SERVICE_UNAVAILABLE),
            ("/readyz/x", StatusCode::SERVICE_UNAVAILABLE),
            ("/readyz/w", StatusCode::NOT_FOUND),
            ("/readyz/", StatusCode::NOT_FOUND),
        ] {
            let found = answer(&pages, &Method::GET, path).status();
            let of_another = path == "/readyz/x" && !missing.contains("there is no plugin");
            assert!(found == status || of_another, "{path}: {found}");
        }
    }

    fn of_tenant(name: &str, catalog: PluginCatalog) -> TenantPages {
        let catalog = Arc::new(catalog);
        TenantPages {
            tenant: Tenant::named(name),
            confs: Arc::new(confs(&catalog)),
            catalog,
        }
    }

    /// None, and nowhere to check any.
    fn confs(catalog: &Arc<PluginCatalog>) -> ConfCache {
        let nowhere = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let limits = ConfLimits {
            prepare_time: Duration::ZERO,
            lifetime: Duration::ZERO,
            memory: 0,
        };
        let policies = FailurePolicies::default();
        ConfCache::new(
            Arc::clone(catalog),
            nowhere.handle().clone(),
            policies,
            limits,
            Tokens::from_random(),
        )
    }
}
