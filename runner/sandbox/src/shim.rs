//! Makes instances of a component cheaper without changing what it does. A
//! component made by wit-component reaches each host function through a
//! function of its own in a small module in between (the shim), because host
//! functions need the main module's memory and so exist only after it. Each of
//! those functions costs every instance a thousand instructions before
//! the first line of the filter runs. Here the main module gets them inside:
//! it calls through the shim's table itself, and of the shim only the table is
//! left.
//!
//! Knows how wit-component builds; whatever looks otherwise stays as it is.

mod calls;

use std::borrow::Cow;
use std::ops::Range;

use wasm_encoder::{ComponentSectionId, InstanceSection, ModuleArg, RawSection};
use wasmparser::{
    CanonicalFunction, ComponentAlias, Export, ExternalKind, Instance, Parser, Payload,
};
use wasmtime::component::Component;

/// What the shim's table is called in the main module's imports and, by
/// wit-component, in the shim's exports.
const SHIM: &str = "wit-component-shim";
const TABLE: &str = "$imports";

/// The component without the detour, or `None` where there is none to save.
/// Increase [`VERSION`] with every change of what comes out.
fn without(wasm: &[u8]) -> Option<Vec<u8>> {
    let component = Outline::read(wasm).ok()?;
    let detour = component.detour()?;
    let main = calls::inside(component.module(detour.main)?, &detour)?;
    component.rebuilt(&detour, &main).ok()
}

/// Which way [`compile`] goes about it, for caches of what it makes.
pub(crate) const VERSION: u32 = 1;

/// The same, or the component itself where there is nothing to save.
pub(crate) fn without_or_same(wasm: &[u8]) -> Cow<'_, [u8]> {
    without(wasm).map_or(Cow::Borrowed(wasm), Cow::Owned)
}

/// Compiles a component without the detour; as it is, should the compiler mind
/// what became of it.
pub(crate) fn compile(
    engine: &wasmtime::Engine,
    wasm: &[u8],
) -> Result<Component, wasmtime::Error> {
    if let Some(direct) = without(wasm) {
        match Component::new(engine, direct) {
            Ok(component) => return Ok(component),
            Err(error) => tracing::debug!("a component keeps its shim: {error:#}"),
        }
    }
    Component::new(engine, wasm)
}

/// What matters of a component.
#[derive(Default)]
struct Outline<'a> {
    wasm: &'a [u8],
    /// Where the modules stand.
    modules: Vec<Range<usize>>,
    instances: Vec<Instance<'a>>,
    functions: Vec<CoreFunction<'a>>,
}

/// Where a core function comes from.
enum CoreFunction<'a> {
    ExportOf { instance: u32, name: &'a str },
    Host,
}

/// The main module and the shim it goes through.
pub(crate) struct Detour {
    main: usize,
    shim: usize,
    /// The shim's instance.
    shim_instance: u32,
    /// For each import of the main module: its place in the shim's table, if
    /// it goes there.
    imports: Vec<Option<u32>>,
    slots: u32,
}

impl<'a> Outline<'a> {
    fn read(wasm: &'a [u8]) -> wasmparser::Result<Self> {
        let mut outline = Outline {
            wasm,
            ..Outline::default()
        };
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            match payload {
                Payload::ModuleSection {
                    unchecked_range, ..
                } => {
                    if depth == 0 {
                        outline.modules.push(unchecked_range);
                    }
                    depth += 1;
                }
                Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                Payload::InstanceSection(instances) => {
                    for instance in instances {
                        outline.instances.push(instance?);
                    }
                }
                Payload::ComponentAliasSection(aliases) => {
                    for alias in aliases {
                        if let ComponentAlias::CoreInstanceExport {
                            kind: ExternalKind::Func,
                            instance_index: instance,
                            name,
                        } = alias?
                        {
                            let function = CoreFunction::ExportOf { instance, name };
                            outline.functions.push(function);
                        }
                    }
                }
                Payload::ComponentCanonicalSection(functions) => {
                    for function in functions {
                        if !matches!(function?, CanonicalFunction::Lift { .. }) {
                            outline.functions.push(CoreFunction::Host);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    /// The first module that is instantiated with functions of a shim.
    fn detour(&self) -> Option<Detour> {
        self.instances.iter().find_map(|instance| match instance {
            Instance::Instantiate { module_index, args } => {
                let main = usize::try_from(*module_index).ok()?;
                let sources: Vec<(&str, u32)> =
                    args.iter().map(|arg| (arg.name, arg.index)).collect();
                self.detour_of(main, &sources)
            }
            Instance::FromExports(_) => None,
        })
    }

    fn detour_of(&self, main: usize, sources: &[(&str, u32)]) -> Option<Detour> {
        let mut found: Option<(u32, u32)> = None;
        let mut slot_of = |module: &str, field: &str| {
            let (_, source) = sources.iter().find(|(name, _)| *name == module)?;
            let Instance::FromExports(exports) = self.instances.get(*source as usize)? else {
                return None;
            };
            let function = exports.iter().find(|export| export.name == field)?;
            let Export {
                kind: ExternalKind::Func,
                index,
                ..
            } = function
            else {
                return None;
            };
            let CoreFunction::ExportOf { instance, name } = self.functions.get(*index as usize)?
            else {
                return None;
            };
            let slots = self.shim_slots(*instance)?;
            // One shim is enough.
            let same = *found.get_or_insert((*instance, slots)) == (*instance, slots);
            name.parse().ok().filter(|slot| same && *slot < slots)
        };
        let imports = calls::imports(self.module(main)?, &mut slot_of)?;
        let (shim_instance, slots) = found?;
        let Instance::Instantiate { module_index, .. } = &self.instances[shim_instance as usize]
        else {
            return None;
        };
        Some(Detour {
            main,
            shim: *module_index as usize,
            shim_instance,
            imports,
            slots,
        })
    }

    fn module(&self, number: usize) -> Option<&'a [u8]> {
        self.wasm.get(self.modules.get(number)?.clone())
    }

    /// How many functions a shim has; `None` for anything but a shim.
    fn shim_slots(&self, instance: u32) -> Option<u32> {
        match self.instances.get(instance as usize)? {
            Instance::Instantiate { module_index, args } if args.is_empty() => {
                calls::shim_slots(self.module(*module_index as usize)?)
            }
            _ => None,
        }
    }

    /// The component with another main module and less of a shim; everything
    /// else as it was, and at the same place in its index.
    fn rebuilt(&self, detour: &Detour, main: &[u8]) -> wasmparser::Result<Vec<u8>> {
        let shim = calls::table_only(detour.slots);
        let mut component = wasm_encoder::Component::new();
        let (mut depth, mut modules) = (0_u32, 0);
        for payload in Parser::new(0).parse_all(self.wasm) {
            let payload = payload?;
            let section = match &payload {
                Payload::ModuleSection { .. } if depth == 0 => {
                    let data = match modules {
                        number if number == detour.main => main,
                        number if number == detour.shim => &shim,
                        number => self.module(number).unwrap_or_default(),
                    };
                    modules += 1;
                    Some((ComponentSectionId::CoreModule as u8, data))
                }
                Payload::InstanceSection(instances) if depth == 0 => {
                    component.section(&with_table(instances.clone(), detour)?);
                    None
                }
                _ if depth == 0 => payload
                    .as_section()
                    .map(|(id, range)| (id, &self.wasm[range])),
                _ => None,
            };
            if let Some((id, data)) = section {
                component.section(&RawSection { id, data });
            }
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Ok(component.finish())
    }
}

/// The same instances, the main module's with the shim among its sources.
fn with_table(
    instances: wasmparser::InstanceSectionReader<'_>,
    detour: &Detour,
) -> wasmparser::Result<InstanceSection> {
    let mut section = InstanceSection::new();
    for instance in instances {
        match instance? {
            Instance::Instantiate { module_index, args } => {
                let mut sources: Vec<(&str, ModuleArg)> = args
                    .iter()
                    .map(|arg| (arg.name, ModuleArg::Instance(arg.index)))
                    .collect();
                if module_index as usize == detour.main {
                    sources.push((SHIM, ModuleArg::Instance(detour.shim_instance)));
                }
                section.instantiate(module_index, sources);
            }
            Instance::FromExports(exports) => {
                let exports: Vec<_> = exports
                    .iter()
                    .map(|export| (export.name, kind(export.kind), export.index))
                    .collect();
                section.export_items(exports);
            }
        }
    }
    Ok(section)
}

fn kind(kind: ExternalKind) -> wasm_encoder::ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => wasm_encoder::ExportKind::Func,
        ExternalKind::Table => wasm_encoder::ExportKind::Table,
        ExternalKind::Memory => wasm_encoder::ExportKind::Memory,
        ExternalKind::Global => wasm_encoder::ExportKind::Global,
        ExternalKind::Tag => wasm_encoder::ExportKind::Tag,
    }
}
