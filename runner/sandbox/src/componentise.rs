//! Makes a component of a core module: what a compiler leaves that knows
//! WebAssembly but not components. The interface is ours, as `wit/` has it; what
//! the module says of its interface in sections of its own is not read, because
//! whoever reads a stranger's description can be led in circles. What it asks of
//! WASI preview 1 goes through the adapter of our wasmtime's release.
//!
//! Must not know whether the component does anything.

use std::collections::BTreeSet;

use anyhow::Context as _;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as PREVIEW1_ADAPTER,
};
use wasm_encoder::{RawSection, Section as _};
use wasmparser::Payload;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap};

use crate::imports::{self, PACKAGE, VERSION};
use crate::{LoadError, outermost};

/// What the interface consists of beside what can be imported.
const REST: [(&str, &str); 3] = [
    ("handlers", include_str!("../../../wit/handlers.wit")),
    ("world", include_str!("../../../wit/world.wit")),
    ("whole", WHOLE),
];

/// For each set of handlers, a world that has all that can be imported: what a
/// module does not import, its component does not import either.
const WHOLE: &str = "package apisix:filter@0.1.0;
world services { import http; import key-value; import secrets; import random; }
world whole-request-filter { include request-filter; include services; }
world whole-response-filter { include response-filter; include services; }
world whole-filter { include filter; include services; }
";

/// A module's own description of its interface is in custom sections whose
/// names begin with this (wit-component's `metadata`).
const DESCRIPTION: &str = "component-type";

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
    /// Modules and names.
    imports: BTreeSet<(String, String)>,
    exports: BTreeSet<String>,
    /// The module without its description of its interface.
    stripped: Vec<u8>,
}

/// The component that a core module makes.
///
/// # Errors
/// [`LoadError`], in the terms of the module's author.
pub(crate) fn component_of(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let outline = outline(module)?;
    let version = outline.version()?;
    outline.check_imports()?;
    encode(outline, &version).map_err(|error| LoadError::Encoding(format!("{error:#}")))
}

impl Outline {
    /// The version of the interface that it was built against.
    fn version(&self) -> Result<String, LoadError> {
        let own = |export: &String| {
            let (interface, _) = export.strip_prefix(PACKAGE)?.split_once('#')?;
            Some(interface.split_once('@')?.1.to_owned())
        };
        match self.exports.iter().find_map(own) {
            Some(version) if imports::on_the_same_track(&version) => Ok(version),
            Some(version) => Err(LoadError::ExportVersion {
                export: format!("{PACKAGE}configuration@{version}"),
                offered: VERSION.to_owned(),
            }),
            None => Err(LoadError::NoInterface {
                command: self.exports.contains("_start"),
            }),
        }
    }

    /// The world that has its handlers.
    fn world(&self) -> &'static str {
        let has = |handler: &str| {
            let of = format!("{PACKAGE}{handler}@");
            self.exports.iter().any(|export| export.starts_with(&of))
        };
        match (has("request-handler"), has("response-handler")) {
            (true, true) => "whole-filter",
            (false, true) => "whole-response-filter",
            (_, false) => "whole-request-filter",
        }
    }

    fn check_imports(&self) -> Result<(), LoadError> {
        for (module, name) in &self.imports {
            if let Some(import) = module.strip_prefix(PACKAGE) {
                imports::check_function(import, name)?;
            } else if let Some((_, advice)) = STRANGERS.iter().find(|(of, _)| of == module) {
                return Err(LoadError::CoreImport {
                    module: module.clone(),
                    name: name.clone(),
                    advice,
                });
            }
        }
        Ok(())
    }
}

fn encode(outline: Outline, version: &str) -> anyhow::Result<Vec<u8>> {
    let (resolve, world) = interface(version, outline.world())?;
    let mut module = outline.stripped;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    let mut encoder = ComponentEncoder::default().validate(true).module(&module)?;
    if outline.imports.iter().any(|(module, _)| module == PREVIEW1) {
        encoder = encoder.adapter(PREVIEW1, PREVIEW1_ADAPTER)?;
    }
    encoder.encode()
}

/// Our interface under a version that is compatible with it.
fn interface(version: &str, world: &str) -> anyhow::Result<(Resolve, wit_parser::WorldId)> {
    let mut sources = SourceMap::new();
    let (ours, theirs) = (format!("@{VERSION}"), format!("@{version}"));
    for (name, text) in imports::OFFERED.iter().chain(&REST) {
        sources.push_str(&format!("{name}.wit"), text.replace(&ours, &theirs));
    }
    let group = sources
        .parse()
        .map_err(|(_, error)| anyhow::anyhow!("{error:?}"))?;
    let mut resolve = Resolve::default();
    let package = resolve
        .push_group(group)
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let world = resolve.select_world(&[package], Some(world));
    let world = world.context("wit/ has no such world")?;
    Ok((resolve, world))
}

fn outline(module: &[u8]) -> Result<Outline, LoadError> {
    let broken = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
    let mut outline = Outline::default();
    outline
        .stripped
        .extend_from_slice(module.get(..8).unwrap_or_default());
    for payload in outermost::sections(module) {
        let payload = payload.map_err(broken)?;
        let described = match &payload {
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    let import = import.map_err(broken)?;
                    let (module, name) = (import.module.to_owned(), import.name.to_owned());
                    outline.imports.insert((module, name));
                }
                false
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    outline
                        .exports
                        .insert(export.map_err(broken)?.name.to_owned());
                }
                false
            }
            Payload::CustomSection(section) => section.name().starts_with(DESCRIPTION),
            _ => false,
        };
        match payload.as_section() {
            Some((id, range)) if !described => {
                let data = module.get(range).unwrap_or_default();
                RawSection { id, data }.append_to(&mut outline.stripped);
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
        let described = r#"(func (export "apisix:filter/configuration@0.1.0#configure")
            (param i32 i32) (result i32) i32.const 0)"#;
        let rows = [
            ("(module)".to_owned(), "exports nothing of apisix:filter"),
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
                format!(
                    r#"(module (import "apisix:filter/clock@0.1.0" "now-ns" (func)) {described})"#
                ),
                "imports the function now-ns of apisix:filter/clock",
            ),
            (
                format!(
                    r#"(module (import "apisix:filter/clock@0.2.0" "now-ms" (func)) {described})"#
                ),
                "imports apisix:filter/clock in version 0.2.0",
            ),
            (
                format!("(module {described})").replace("@0.1.0", "@0.2.0"),
                "exports apisix:filter/configuration@0.2.0",
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
