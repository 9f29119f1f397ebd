//! What a plugin is, for its author: interfaces, size, memory, whether its
//! configured state can be captured. Nothing of it is needed to serve a call.

use wasmtime::component::types::ComponentItem;

use crate::{Grant, Phases, Plugin, snapshot};

/// What there is to know about a plugin without calling it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The phases it has a handler for.
    pub phases: Phases,
    /// Interfaces it exports.
    pub exports: Vec<String>,
    /// Interfaces it imports, each with its functions.
    pub imports: Vec<Import>,
    /// What it has to be granted for them, each once.
    pub grants: Vec<Grant>,
    /// Bytes of the component.
    pub component_size: usize,
    /// It came as a core module.
    pub was_core_module: bool,
    /// Bytes of the native code and what belongs to it.
    pub code_size: usize,
    /// Bytes of memory that an instance has before anything runs in it.
    pub initial_memory: usize,
    /// Elements of its tables, likewise.
    pub initial_table_elements: usize,
    /// Places among all instances that one of it takes.
    pub places: u32,
    /// Why the state after `configure` cannot be captured, if it cannot.
    pub not_capturable: Option<String>,
}

/// Bytes of a page of memory, in which wasmtime counts them.
const PAGE: usize = 64 << 10;

/// An interface and what of it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// With its version.
    pub interface: String,
    /// By name.
    pub functions: Vec<String>,
}

impl Plugin {
    /// What it is.
    pub fn describe(&self) -> Description {
        let component = self.image.component.component();
        let (ty, engine) = (component.component_type(), component.engine());
        let exports = ty.exports(engine).map(|(name, _)| name.to_owned());
        let imports = ty.imports(engine).map(|(name, item)| Import {
            interface: name.to_owned(),
            functions: match item.ty {
                ComponentItem::ComponentInstance(instance) => instance
                    .exports(engine)
                    .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
                    .map(|(name, _)| name.to_owned())
                    .collect(),
                _ => Vec::new(),
            },
        });
        let imports: Vec<Import> = imports.collect();
        let mut grants: Vec<Grant> = imports
            .iter()
            .filter_map(|import| Grant::of_import(&import.interface))
            .collect();
        grants.sort_unstable();
        grants.dedup();
        let needs = component.resources_required();
        let memory = needs
            .as_ref()
            .and_then(|needs| needs.max_initial_memory_size);
        let elements = needs
            .as_ref()
            .and_then(|needs| needs.max_initial_table_size);
        let code = component.image_range();
        Description {
            phases: self.phases(),
            exports: exports.collect(),
            imports,
            grants,
            component_size: self.wasm.len(),
            was_core_module: self.was_core_module,
            code_size: code.end.addr() - code.start.addr(),
            initial_memory: usize::try_from(memory.unwrap_or_default())
                .unwrap_or(usize::MAX)
                .saturating_mul(PAGE),
            initial_table_elements: usize::try_from(elements.unwrap_or_default())
                .unwrap_or(usize::MAX),
            places: self.image.slots,
            not_capturable: snapshot::rebuilt(self).err().map(|error| error.to_string()),
        }
    }
}
