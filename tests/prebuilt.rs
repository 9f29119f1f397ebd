//! The two filters that the demo carries do what their sources do: both are
//! run, as committed and as built from source, on the same requests.

use std::path::Path;

use harness::{HttpRequest, Observed, RouteConf, TestGateway, modules};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

#[test]
fn the_prebuilt_filters_should_do_what_their_sources_do() {
    let prebuilt = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples-wasm/prebuilt");
    let requests = [
        HttpRequest::new("GET", "/"),
        HttpRequest::new("POST", "/a b?x=1&x=2&a6_runner=old").body("body"),
        HttpRequest::new("GET", "/?z")
            .header("X-Resp-A6-Runner", "old")
            .header("X-A", "1"),
        HttpRequest::new("GET", "/old").rewritten_to("/new%20path?a=b"),
    ];
    for plugin in ["rewrite", "stop"] {
        for request in &requests {
            let [committed, built] = [&prebuilt, &modules::examples()].map(|folder| {
                let runner = modules::runner(RUNNER, folder);
                let route = RouteConf::new("r").plugin(plugin, "{}");
                TestGateway::new(runner.socket()).request_phase(&route, request)
            });
            let Observed { outcome, faults } = committed;
            assert_eq!(
                (&outcome, &faults),
                (&built.outcome, &built.faults),
                "{plugin}"
            );
            assert_eq!(faults, [], "{plugin}");
        }
    }
}
