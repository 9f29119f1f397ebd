//! Makes a component of a core module: what a compiler leaves that knows
//! WebAssembly but not components. The module brings its interface with it, in
//! the sections that every wit-bindgen writes; what it asks of WASI preview 1
//! goes through the adapter of our wasmtime's release.
//!
//! Must not know what a filter is: whether the component is one is asked later.

use std::collections::BTreeSet;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as PREVIEW1_ADAPTER,
};
use wasmparser::Payload;
use wit_component::ComponentEncoder;

use crate::{LoadError, outermost};

/// Custom sections that describe a module's interface begin with this
/// (wit-component's `metadata`); a module may have several.
const INTERFACE: &str = "component-type";

/// Modules that toolchains import from which are no interface of the component
/// model, with what to do about them.
const STRANGERS: [(&str, &str); 5] = [
    (
        "env",
        "what a linker could not find: link what defines it, or build without JavaScript glue",
    ),
    (
        "wasi_unstable",
        "WASI as it was before preview 1: build for wasm32-wasip1 or wasm32-unknown-unknown",
    ),
    (
        "gojs",
        "Go's interface to a browser: build with GOOS=wasip1",
    ),
    (
        "wbg",
        "wasm-bindgen's interface to JavaScript: filters have no JavaScript engine around them",
    ),
    (
        "__wbindgen_placeholder__",
        "wasm-bindgen's interface to JavaScript: filters have no JavaScript engine around them",
    ),
];

/// What a core module asks for and brings.
#[derive(Debug, Default)]
struct Outline {
    /// Modules it imports from, each with one of the names.
    imports: BTreeSet<(String, String)>,
    exports_start: bool,
    describes_interface: bool,
}

/// The component that a core module describes.
///
/// # Errors
/// [`LoadError`], in the terms of the module's author.
pub(crate) fn component_of(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let outline = outline(module)?;
    if !outline.describes_interface {
        return Err(LoadError::NoInterface {
            command: outline.exports_start,
        });
    }
    let stranger = outline.imports.iter().find_map(|(module, name)| {
        let stranger = STRANGERS.iter().find(|(stranger, _)| stranger == module);
        stranger.map(|(_, advice)| (module, name, *advice))
    });
    if let Some((module, name, advice)) = stranger {
        return Err(LoadError::CoreImport {
            module: module.clone(),
            name: name.clone(),
            advice,
        });
    }
    let uses_preview1 = outline.imports.iter().any(|(module, _)| module == PREVIEW1);
    encode(module, uses_preview1).map_err(|error| LoadError::Encoding(format!("{error:#}")))
}

fn encode(module: &[u8], uses_preview1: bool) -> anyhow::Result<Vec<u8>> {
    let mut encoder = ComponentEncoder::default().validate(true).module(module)?;
    if uses_preview1 {
        encoder = encoder.adapter(PREVIEW1, PREVIEW1_ADAPTER)?;
    }
    encoder.encode()
}

fn outline(module: &[u8]) -> Result<Outline, LoadError> {
    let broken = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
    let mut outline = Outline::default();
    for payload in outermost::sections(module) {
        match payload.map_err(broken)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(broken)?;
                    let known = (import.module.to_owned(), import.name.to_owned());
                    if !outline.imports.iter().any(|(of, _)| *of == known.0) {
                        outline.imports.insert(known);
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    outline.exports_start |= export.map_err(broken)?.name == "_start";
                }
            }
            Payload::CustomSection(section) => {
                outline.describes_interface |= section.name().starts_with(INTERFACE);
            }
            _ => {}
        }
    }
    Ok(outline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let module = wat::parse_str(text).expect("text");
        let error = component_of(&module).expect_err("it is no filter");
        error.to_string()
    }

    #[test]
    fn a_module_that_makes_no_component_should_be_told_why() {
        let described = r#"(@custom "component-type" "")"#;
        let rows = [
            ("(module)".to_owned(), "does not describe its interface"),
            (
                r#"(module (func (export "_start")))"#.to_owned(),
                "is a program",
            ),
            (
                format!(r#"(module (import "env" "abort" (func)) {described})"#),
                "imports abort from env",
            ),
            (
                format!(r#"(module (import "gojs" "runtime.wasmExit" (func)) {described})"#),
                "GOOS=wasip1",
            ),
            (
                format!("(module {described})"),
                "no component can be made of it",
            ),
        ];
        for (text, expected) in rows {
            let reason = refusal(&text);
            assert!(reason.contains(expected), "{text}: {reason}");
        }
    }

    #[test]
    fn half_of_a_module_should_be_no_module() {
        let module = wat::parse_str(r#"(module (func (export "f")))"#).expect("text");
        let cut = &module[..module.len() - 1];
        assert!(matches!(component_of(cut), Err(LoadError::Invalid(_))));
    }
}
