//! Filters written as WebAssembly text: small enough to misbehave in exactly
//! one way, without a toolchain.
//!
//! Must not know how a runner treats them.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap};

/// The interface as this repository declares it, by file.
const WIT: [(&str, &str); 14] = [
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("request.wit", include_str!("../../../wit/request.wit")),
    ("response.wit", include_str!("../../../wit/response.wit")),
    ("variables.wit", include_str!("../../../wit/variables.wit")),
    ("chain.wit", include_str!("../../../wit/chain.wit")),
    ("log.wit", include_str!("../../../wit/log.wit")),
    ("clock.wit", include_str!("../../../wit/clock.wit")),
    ("plugin.wit", include_str!("../../../wit/plugin.wit")),
    ("http.wit", include_str!("../../../wit/http.wit")),
    ("key-value.wit", include_str!("../../../wit/key-value.wit")),
    ("secrets.wit", include_str!("../../../wit/secrets.wit")),
    ("random.wit", include_str!("../../../wit/random.wit")),
    ("handlers.wit", include_str!("../../../wit/handlers.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// A guest in the making.
#[derive(Debug, Clone)]
pub struct Guest {
    /// The core module, as text.
    pub wat: String,
    /// The world it is built for.
    pub world: &'static str,
    /// Replaced in the interface, to build against one that is not ours.
    pub wit_edits: Vec<(&'static str, &'static str)>,
}

impl Guest {
    /// A filter of requests that accepts every configuration and lets every
    /// request pass, with these items (imports first) and these two function
    /// bodies: both return the address of their result, and address 0 holds
    /// "ok" for either.
    #[must_use]
    pub fn request_filter(items: &str, configure: &str, on_request: &str) -> Self {
        let wat = format!(
            r#"(module
                {items}
                (memory (export "memory") 1)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                (func (export "apisix:filter/configuration@0.1.0#configure")
                    (param i32 i32) (result i32) {configure})
                (func (export "apisix:filter/request-handler@0.1.0#on-request")
                    (result i32) {on_request}))"#
        );
        Guest {
            wat,
            world: "request-filter",
            wit_edits: Vec::new(),
        }
    }

    /// The same for WASI preview 1, whose adapter allocates in the guest, pages at
    /// a time, so the allocator has to be one. Its room begins at 64 KiB and
    /// ends with the memory, at 512 KiB.
    #[must_use]
    pub fn for_preview_1(items: &str, configure: &str, on_request: &str) -> Self {
        let room = "(global $room (mut i32) (i32.const 65536))";
        let mut guest = Self::request_filter(&format!("{items} {room}"), configure, on_request);
        guest.wat = guest
            .wat
            .replace(
                r#"(memory (export "memory") 1)"#,
                r#"(memory (export "memory") 8)"#,
            )
            .replace(
                "(result i32) i32.const 1024)",
                "(result i32) (local $at i32)
                   (local.set $at (i32.and
                     (i32.add (global.get $room) (i32.sub (local.get 2) (i32.const 1)))
                     (i32.sub (i32.const 0) (local.get 2))))
                   (global.set $room (i32.add (local.get $at) (local.get 3)))
                   (local.get $at))",
            );
        guest
    }

    /// The same against another interface: `wit` is replaced by its second
    /// half wherever its first stands, in the interface and in the module.
    #[must_use]
    pub fn against(mut self, from: &'static str, to: &'static str) -> Self {
        self.wit_edits.push((from, to));
        self
    }

    /// The component.
    ///
    /// # Panics
    /// Where the text is no module or does not fit its world: a fault of the
    /// test.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        self.built(self.described().and_then(|module| component(&module)))
    }

    /// What a compiler leaves: a core module that describes its interface.
    ///
    /// # Panics
    /// Where the text is no module: a fault of the test.
    #[must_use]
    pub fn core_module(&self) -> Vec<u8> {
        self.built(self.described())
    }

    fn built(&self, outcome: anyhow::Result<Vec<u8>>) -> Vec<u8> {
        match outcome {
            Ok(wasm) => wasm,
            Err(error) => panic!("{error:#}\n{}", self.wat),
        }
    }

    fn described(&self) -> anyhow::Result<Vec<u8>> {
        let mut sources = SourceMap::new();
        for (file, text) in WIT {
            sources.push_str(file, self.edited(text));
        }
        let group = sources
            .parse()
            .map_err(|(_, error)| anyhow::anyhow!("{error:?}"))?;
        let mut resolve = Resolve::default();
        let package = resolve
            .push_group(group)
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let world = resolve.select_world(&[package], Some(self.world))?;
        let mut module = wat::parse_str(self.edited(&self.wat))?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        Ok(module)
    }

    fn edited(&self, text: &str) -> String {
        let edits = self.wit_edits.iter();
        edits.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}

/// The component of a core module that describes its interface.
///
/// # Panics
/// Where it does not, or not rightly: a fault of the test.
#[must_use]
pub fn componentised(module: &[u8]) -> Vec<u8> {
    component(module).unwrap_or_else(|error| panic!("no component: {error:#}"))
}

fn component(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()
}
