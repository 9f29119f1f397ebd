//! The whole way of a component into the runner: it is loaded or refused with a
//! reason, and what a call comes to is the same in a fresh instance, with the
//! shim and without, in one that starts from a captured configuration, and in
//! one that was put back.
//!
//! Must not know how that is done. Slow: each input that is valid is compiled
//! up to four times.

use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sandbox::fuzz::{Workbench, recognise, without_shim};
use sandbox::{
    Engine, EngineSettings, Filter, LoadError, PluginSettings, RequestCall, RequestEdits,
    RequestSource, SandboxError, SnapshotPolicy, Verdict, VisitArg, VisitHeader,
};

use super::Depth;
use super::outcomes::Silent;

/// A file.
pub fn attack(data: &[u8]) -> Depth {
    if recognise(data).is_err() {
        return Depth::Refused;
    }
    thread_local! {
        static WORKBENCH: Workbench = workbench();
    }
    WORKBENCH.with(|workbench| load_and_call(workbench, data))
}

/// Whether calls of this filter are compared at all.
#[must_use]
pub fn is_captured(wasm: &[u8]) -> bool {
    let workbench = workbench();
    let Ok(plugin) = workbench.load(wasm.to_vec(), settings()) else {
        return false;
    };
    workbench.capture(
        &Filter::new(plugin, Arc::from(*CONFIGURATION), Arc::from("fuzz")),
        BUDGET,
    )
}

const CONFIGURATION: &[u8; 2] = b"{}";

fn load_and_call(workbench: &Workbench, data: &[u8]) -> Depth {
    let plugin = match workbench.load(data.to_vec(), settings()) {
        Ok(plugin) => plugin,
        Err(LoadError::Invalid(text)) => {
            assert!(!text.starts_with("the compiler failed"), "{text}");
            return Depth::Refused;
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Depth::Refused;
        }
    };
    let filter = Filter::new(plugin, Arc::from(*CONFIGURATION), Arc::from("fuzz"));
    let fresh = call(workbench, &filter);
    if without_shim(data).is_some() {
        let as_it_is = workbench.load_as_it_is(data, settings());
        let as_it_is = as_it_is.expect("it loads without its shim");
        let filter = Filter::new(as_it_is, Arc::from(*CONFIGURATION), Arc::from("fuzz"));
        assert_same("as it is", &fresh, &call(workbench, &filter));
    }
    if workbench.capture(&filter, BUDGET) {
        let captured = call(workbench, &filter);
        assert_same("captured", &fresh, &captured);
        let put_back = call(workbench, &filter);
        assert_same("put back", &fresh, &put_back);
    }
    Depth::Read
}

/// Bytes that a captured configuration may take.
const BUDGET: usize = 8 << 20;

type Outcome = Result<(RequestEdits, Verdict), SandboxError>;

fn call(workbench: &Workbench, filter: &Filter) -> Outcome {
    let call = RequestCall::new(Arc::new(Request), Arc::new(Silent));
    let (call, verdict) = workbench.on_request(filter, Box::new(call))?;
    Ok((call.edits().clone(), verdict))
}

fn assert_same(how: &str, fresh: &Outcome, other: &Outcome) {
    // How far a guest comes in its time is not its own doing.
    let in_time = |outcome: &Outcome| {
        !matches!(
            outcome,
            Err(SandboxError::Deadline(_) | SandboxError::Stalled(_) | SandboxError::Saturated(_))
        )
    };
    let kind = |outcome: &Outcome| -> Result<(RequestEdits, Verdict), Discriminant<SandboxError>> {
        outcome.clone().map_err(|error| discriminant(&error))
    };
    if in_time(fresh) && in_time(other) {
        assert_eq!(kind(fresh), kind(other), "{how}: {fresh:?} and {other:?}");
    }
}

/// The operator's defaults, with less time and memory.
fn settings() -> PluginSettings {
    static DEFAULTS: OnceLock<PluginSettings> = OnceLock::new();
    let defaults = DEFAULTS.get_or_init(|| {
        super::configuration::defaults()
            .tenants
            .remove(0)
            .plugins
            .others
            .settings
    });
    let mut settings = defaults.clone();
    settings.limits.memory = 16 << 20;
    settings.limits.handler_time = Duration::from_millis(20);
    settings.limits.configure_time = Duration::from_millis(20);
    settings.snapshot = SnapshotPolicy::Off;
    settings
}

/// One engine for all threads.
fn workbench() -> Workbench {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let settings = EngineSettings {
            guest_memory: usize::MAX,
            instances: 16,
            snapshot_memory: 64 << 20,
            cache: None,
            count_instructions: false,
            compiler: None,
            thread_start: sandbox::ThreadStart::default(),
        };
        Engine::start(settings).expect("an engine")
    });
    Workbench::new(Arc::clone(engine)).expect("a thread")
}

/// Always the same.
struct Request;

impl RequestSource for Request {
    fn id(&self) -> u32 {
        7
    }

    fn method(&self) -> &str {
        "GET"
    }

    fn source_address(&self) -> &[u8] {
        &[127, 0, 0, 1]
    }

    fn path(&self) -> &[u8] {
        b"/a/b"
    }

    fn visit_headers(&self, visit: &mut VisitHeader<'_>) {
        visit(b"host", b"example.org");
        visit(b"x-a", b"1");
    }

    fn visit_args(&self, visit: &mut VisitArg<'_>) {
        visit(b"a", Some(b"1"));
        visit(b"z", None);
    }
}
