//! The one `bindgen!` call: host traits and guest exports generated from
//! `wit/`. Only functions that may ask the gateway are async; the others
//! cannot suspend the guest.

#![allow(missing_docs, unreachable_pub)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "filter",
    imports: {
        "apisix:filter/request.path": async,
        "apisix:filter/request.path-bytes": async,
        "apisix:filter/request.body": async,
        "apisix:filter/response.body": async,
        "apisix:filter/variables": async,
    },
    exports: { default: async },
    require_store_data_send: true,
});
