//! The one `bindgen!` call: host traits and guest exports generated from
//! `wit/`. Only functions that may ask the gateway or a service are async; the
//! others cannot suspend the guest.

#![allow(missing_docs, unreachable_pub)]

/// Where the events of host calls come from. They carry headers and bodies of
/// strangers, so nobody but the author of a filter may be shown them.
pub const HOST_CALLS: &str = module_path!();

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "filter-with-services",
    // Every host call is an event, with what was passed and what came back; see
    // `HOST_CALLS`.
    imports: {
        "apisix:filter/request.path": async | tracing | verbose_tracing,
        "apisix:filter/request.path-bytes": async | tracing | verbose_tracing,
        "apisix:filter/request.body": async | tracing | verbose_tracing,
        "apisix:filter/response.body": async | tracing | verbose_tracing,
        "apisix:filter/variables": async | tracing | verbose_tracing,
        "apisix:filter/http": async | tracing | verbose_tracing,
        "apisix:filter/key-value": async | tracing | verbose_tracing,
        // Its answers are nobody's business; `host/secrets.rs` makes an event
        // without them.
        "apisix:filter/secrets": trappable,
        default: tracing | verbose_tracing,
    },
    exports: { default: async },
    require_store_data_send: true,
});
