//! The bindings generated from `wit/`. Only `host/` and `export.rs` use them;
//! authors never see them.
//!
//! The worlds of `wit/` are taken apart here, because a generated export can
//! be defined only once in a crate and `configuration` is in three worlds:
//! what `export.rs` puts together again is described to the linker piece by
//! piece, and the component comes out with the exports of one world and the
//! imports that are used.
//!
//! `wit/` lies next to this crate in the repository. A published crate would
//! have to carry a copy of it.

// Generated code follows its generator's habits, not ours.
#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]

/// All imports, and the export that every filter has.
pub mod base {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package apisix:filter-sdk;

            world base {
                import apisix:filter/types@0.1.0;
                import apisix:filter/request@0.1.0;
                import apisix:filter/response@0.1.0;
                import apisix:filter/variables@0.1.0;
                import apisix:filter/chain@0.1.0;
                import apisix:filter/log@0.1.0;
                import apisix:filter/clock@0.1.0;
                import apisix:filter/plugin@0.1.0;
                import apisix:filter/http@0.1.0;
                import apisix:filter/key-value@0.1.0;
                import apisix:filter/secrets@0.1.0;
                import apisix:filter/random@0.1.0;
                export apisix:filter/configuration@0.1.0;
            }
        ",
        // Our own types instead of generated ones: they have documentation,
        // a readable `Display`, and exist in native tests too.
        with: {
            "apisix:filter/types@0.1.0": crate::types,
            "apisix:filter/log@0.1.0/level": crate::types::Level,
            "apisix:filter/http@0.1.0/error": crate::http::Error,
            "apisix:filter/http@0.1.0/response": crate::http::Answer,
            "apisix:filter/key-value@0.1.0/error": crate::key_value::Error,
        },
        // `&str` instead of `String` where the host only looks.
        ownership: Borrowing { duplicate_if_necessary: false },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_configuration",
    });
}

/// The export of a filter of requests.
pub mod request_handler {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package apisix:filter-sdk;

            world request-handler {
                export apisix:filter/request-handler@0.1.0;
            }
        ",
        with: {
            "apisix:filter/types@0.1.0": crate::types,
            "apisix:filter/request-handler@0.1.0/verdict": crate::verdict::Verdict,
            "apisix:filter/request-handler@0.1.0/stop-response": crate::verdict::StopResponse,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_request_handler",
    });
}

/// The export of a filter of responses.
pub mod response_handler {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package apisix:filter-sdk;

            world response-handler {
                export apisix:filter/response-handler@0.1.0;
            }
        ",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_response_handler",
    });
}
