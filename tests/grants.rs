//! What the operator grants to a filter, and what of it a filter gets that was
//! granted nothing: it is not loaded, and told what to write. In one process
//! with the sandbox; behind the ports stand fakes.

#[path = "grants/fakes.rs"]
mod fakes;
#[path = "grants/guests.rs"]
mod guests;
#[path = "grants/secrecy.rs"]
mod secrecy;
#[path = "grants/services.rs"]
mod services;
#[path = "grants/wasi_http.rs"]
mod wasi_http;

use std::sync::Arc;

use harness::modules;
use sandbox::fuzz::Workbench;
use sandbox::{
    Engine, EngineSettings, Filter, Grants, LoadError, Plugin, PluginSettings, RequestCall,
    SandboxError, SnapshotPolicy, ThreadStart, Verdict,
};

use fakes::{NoGateway, Nothing, Request, everything};
use guests::{PASS, importing};

/// Where filters are loaded and called.
struct Bench {
    workbench: Workbench,
    settings: PluginSettings,
}

impl Bench {
    /// With the operator's defaults, and these grants.
    fn granting(grants: Grants) -> Self {
        let engine = Engine::start(EngineSettings {
            guest_memory: usize::MAX,
            instances: 16,
            snapshot_memory: 64 << 20,
            cache: None,
            count_instructions: false,
            thread_start: ThreadStart::default(),
            compiler: None,
        });
        let config = runner::config::load(None, None, &Nothing).expect("defaults");
        let mut settings = config.tenants[0].plugins.others.settings.clone();
        settings.snapshot = SnapshotPolicy::Off;
        settings.grants = Arc::new(grants);
        Bench {
            workbench: Workbench::new(engine.expect("an engine")).expect("a thread"),
            settings,
        }
    }

    fn load(&self, wasm: Vec<u8>) -> Result<Arc<Plugin>, LoadError> {
        self.workbench.load(wasm, self.settings.clone())
    }

    fn filter(&self, wasm: Vec<u8>, configuration: &str) -> Filter {
        let plugin = self.load(wasm).expect("it loads");
        Filter::new(plugin, configuration.as_bytes().into(), Arc::from("r"))
    }

    fn call(&self, filter: &Filter) -> Result<Verdict, SandboxError> {
        let call = RequestCall::new(Arc::new(Request), Arc::new(NoGateway));
        let outcome = self.workbench.on_request(filter, Box::new(call));
        outcome.map(|(_, verdict)| verdict)
    }

    /// What the filter says of itself, as the reason of its failure.
    fn report(&self, wasm: Vec<u8>) -> String {
        match self.call(&self.filter(wasm, "")) {
            Err(SandboxError::GuestError(text) | SandboxError::ConfigurationRejected(text)) => text,
            other => panic!("it reports nothing: {other:?}"),
        }
    }
}

/// What is imported, and the line that grants it.
const GRANTED: [(&str, &str, &str, &str); 3] = [
    (
        "http",
        "send",
        "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32",
        r#"plugins.fuzzed.grants.http: {allow: [{url: "https://HOST/"}]}"#,
    ),
    (
        "key-value",
        "remove",
        "i32 i32",
        "plugins.fuzzed.grants.key_value: {}",
    ),
    (
        "secrets",
        "get",
        "i32 i32",
        "plugins.fuzzed.grants.secrets: {NAME: {env: VARIABLE}}",
    ),
];

#[test]
fn a_filter_should_not_load_without_its_grant_and_say_what_to_write() {
    let (strict, generous) = (
        Bench::granting(Grants::none()),
        Bench::granting(everything()),
    );
    for (interface, function, parameters, line) in GRANTED {
        let guest = importing(interface, function, parameters, PASS, PASS);
        // However the author built it.
        for wasm in [guest.build(), guest.core_module()] {
            let refused = strict.load(wasm.clone()).err().expect(interface);
            assert_eq!(
                refused.to_string(),
                format!(
                    "imports apisix:filter/{interface}@0.1.0, which the operator has not granted \
                     it; grant it with {line}"
                )
            );
            let plugin = generous.load(wasm).expect(interface);
            let grants = plugin.describe().grants;
            let lines: Vec<String> = grants.iter().map(|grant| grant.line("fuzzed")).collect();
            assert_eq!(lines, [line]);
        }
    }
}

#[test]
fn what_is_not_outside_should_need_no_grant() {
    let bench = Bench::granting(Grants::none());
    let random = importing("random", "get-u64", "", PASS, PASS);
    assert!(bench.load(random.build()).is_ok());
    for name in ["probe", "rewrite", "stop"] {
        let wasm = std::fs::read(modules::examples().join(format!("{name}.wasm")));
        let plugin = bench.load(wasm.expect(name)).expect(name);
        assert_eq!(plugin.describe().grants, [], "{name}");
    }
}
