//! Adds to a captured component a function that puts an instance back to the
//! state in which it was captured, so that one instance can serve many calls
//! and each finds what a new one would have found: all of its memory and all of
//! its globals, and there is nothing else, because a component that changes its
//! tables or drops its segments cannot be captured in the first place.
//!
//! The function is the main module's own and costs an instance nothing.

mod module;

use std::ops::Range;

use wasm_encoder::{
    Alias, CanonicalFunctionSection, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentTypeSection, ComponentValType, ExportKind, PrimitiveValType,
    RawSection,
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ExternalKind, Instance, Payload,
};

use crate::outermost;

/// What the function is called, inside and outside. It answers 0, or 1 where
/// the instance cannot be put back.
pub(crate) const RESTORE: &str = "restore-captured-state";

/// The component with the function, or `None` where it cannot have one: more
/// than one module with a state of its own, or too much of it to be worth it.
pub(crate) fn with(wasm: &[u8]) -> Option<Vec<u8>> {
    if !outermost::is_valid(wasm) {
        return None;
    }
    let outline = Outline::read(wasm).ok()?;
    let (number, instance) = outline.only_module_with_state(wasm)?;
    let module = module::with_restore(wasm.get(outline.modules[number].clone())?)?;
    outline.rebuilt(wasm, number, instance, &module)
}

/// What matters of a component: where its modules stand, and how many of
/// everything there are, since what is added comes behind them.
#[derive(Default)]
struct Outline {
    modules: Vec<Range<usize>>,
    /// For each core instance the module it is of.
    instances: Vec<Option<usize>>,
    core_functions: u32,
    functions: u32,
    types: u32,
}

impl Outline {
    fn read(wasm: &[u8]) -> wasmparser::Result<Self> {
        let mut outline = Outline::default();
        for payload in outermost::sections(wasm) {
            match payload? {
                Payload::ModuleSection {
                    unchecked_range, ..
                } => outline.modules.push(unchecked_range),
                payload => outline.count(payload)?,
            }
        }
        Ok(outline)
    }

    /// Every section that adds to one of the lists in which things have
    /// numbers.
    fn count(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    self.instances.push(match instance? {
                        Instance::Instantiate { module_index, .. } => Some(module_index as usize),
                        Instance::FromExports(_) => None,
                    });
                }
            }
            Payload::ComponentTypeSection(types) => self.types += types.count(),
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    match alias? {
                        ComponentAlias::CoreInstanceExport {
                            kind: ExternalKind::Func,
                            ..
                        } => self.core_functions += 1,
                        ComponentAlias::InstanceExport { kind, .. } => self.add(kind),
                        ComponentAlias::Outer {
                            kind: wasmparser::ComponentOuterAliasKind::Type,
                            ..
                        } => self.types += 1,
                        _ => {}
                    }
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    self.add(import?.ty.kind());
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    self.add(export?.kind);
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    match function? {
                        CanonicalFunction::Lift { .. } => self.functions += 1,
                        _ => self.core_functions += 1,
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Func => self.functions += 1,
            ComponentExternalKind::Type => self.types += 1,
            _ => {}
        }
    }

    /// Its number, and that of its one instance.
    fn only_module_with_state(&self, wasm: &[u8]) -> Option<(usize, u32)> {
        let mut found = None;
        for (instance, number) in self.instances.iter().enumerate() {
            let Some(number) = *number else { continue };
            let module = wasm.get(self.modules.get(number)?.clone())?;
            if module::has_state(module)? {
                if found.is_some() {
                    return None;
                }
                found = Some((number, u32::try_from(instance).ok()?));
            }
        }
        found
    }

    /// The component with another module and, behind everything, the function.
    fn rebuilt(&self, wasm: &[u8], number: usize, instance: u32, module: &[u8]) -> Option<Vec<u8>> {
        let mut component = wasm_encoder::Component::new();
        let mut modules = 0;
        for payload in outermost::sections(wasm) {
            let payload = payload.ok()?;
            let Some((id, range)) = payload.as_section() else {
                continue;
            };
            let is_module = matches!(payload, Payload::ModuleSection { .. });
            let data = match is_module && modules == number {
                true => module,
                false => wasm.get(range)?,
            };
            modules += usize::from(is_module);
            component.section(&RawSection { id, data });
        }
        self.export(&mut component, instance);
        Some(component.finish())
    }

    fn export(&self, component: &mut wasm_encoder::Component, instance: u32) {
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(Alias::CoreInstanceExport {
            instance,
            kind: ExportKind::Func,
            name: RESTORE,
        });
        let mut types = ComponentTypeSection::new();
        types
            .function()
            .params::<_, ComponentValType>([])
            .result(Some(ComponentValType::Primitive(PrimitiveValType::U32)));
        let mut lifts = CanonicalFunctionSection::new();
        lifts.lift(self.core_functions, self.types, []);
        let mut exports = ComponentExportSection::new();
        exports.export(RESTORE, ComponentExportKind::Func, self.functions, None);
        component.section(&aliases).section(&types);
        component.section(&lifts).section(&exports);
    }
}
