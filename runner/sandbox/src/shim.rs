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

use std::ops::Range;

use wasm_encoder::{ComponentSectionId, InstanceSection, ModuleArg, RawSection};
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, Export,
    ExternalKind, Instance, Parser, Payload,
};

use crate::outermost;

/// What the shim's table is called in the main module's imports and, by
/// wit-component, in the shim's exports.
const SHIM: &str = "wit-component-shim";
const TABLE: &str = "$imports";

/// The component without the detour, or `None` where there is none to save.
/// Increase [`VERSION`] with every change of what comes out.
pub(crate) fn without(wasm: &[u8]) -> Option<Vec<u8>> {
    // What is not valid is for the compiler to refuse, in its words.
    if !outermost::is_valid(wasm) {
        return None;
    }
    let component = Outline::read(wasm).ok()?;
    let detour = component.detour()?;
    let main = calls::inside(component.module(detour.main)?, &detour)?;
    component.rebuilt(&detour, &main)
}

/// Which way [`without`] goes about it, for caches of what is made of it.
pub(crate) const VERSION: u32 = 1;

/// Whether a component makes resources of its own.
pub(crate) fn owns_resources(wasm: &[u8]) -> bool {
    Parser::new(0).parse_all(wasm).any(|payload| match payload {
        Ok(Payload::ComponentCanonicalSection(functions)) => functions
            .into_iter()
            .any(|function| matches!(function, Ok(CanonicalFunction::ResourceNew { .. }))),
        _ => false,
    })
}

/// More are not looked at.
const INSTANCES: usize = 1000;

/// What matters of a component.
#[derive(Default)]
struct Outline<'a> {
    wasm: &'a [u8],
    /// Where the modules stand.
    modules: Vec<Range<usize>>,
    instances: Vec<Instance<'a>>,
    functions: Vec<CoreFunction<'a>>,
    /// Functions that the component itself calls or has called.
    used: Vec<u32>,
    /// It has modules from elsewhere, whose numbers are among those of its own.
    foreign: bool,
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
        for payload in outermost::sections(wasm) {
            match payload? {
                Payload::ModuleSection {
                    unchecked_range, ..
                } => outline.modules.push(unchecked_range),
                Payload::InstanceSection(instances) => {
                    for instance in instances {
                        outline.instances.push(instance?);
                    }
                }
                Payload::ComponentAliasSection(aliases) => {
                    for alias in aliases {
                        outline.alias(alias?);
                    }
                }
                Payload::ComponentCanonicalSection(functions) => {
                    for function in functions {
                        outline.canonical(function?);
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn alias(&mut self, alias: ComponentAlias<'a>) {
        match alias {
            ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Func,
                instance_index: instance,
                name,
            } => self
                .functions
                .push(CoreFunction::ExportOf { instance, name }),
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Module,
                ..
            }
            | ComponentAlias::Outer {
                kind: wasmparser::ComponentOuterAliasKind::CoreModule,
                ..
            } => self.foreign = true,
            _ => {}
        }
    }

    fn canonical(&mut self, function: CanonicalFunction) {
        let options = match function {
            CanonicalFunction::Lift {
                core_func_index,
                options,
                ..
            } => {
                self.used.push(core_func_index);
                options
            }
            CanonicalFunction::Lower { options, .. } => {
                self.functions.push(CoreFunction::Host);
                options
            }
            _ => {
                self.functions.push(CoreFunction::Host);
                return;
            }
        };
        for option in options {
            match option {
                CanonicalOption::Realloc(function)
                | CanonicalOption::PostReturn(function)
                | CanonicalOption::Callback(function) => self.used.push(function),
                _ => {}
            }
        }
    }

    /// The module that is instantiated with functions of a shim, if nobody else
    /// has anything to do with that.
    fn detour(&self) -> Option<Detour> {
        let detour = self.any_detour()?;
        let single = |module: usize| {
            let of_it = |instance: &&Instance<'_>| {
                matches!(instance,
                Instance::Instantiate { module_index, .. } if *module_index as usize == module)
            };
            self.instances.iter().filter(of_it).count() == 1
        };
        let shims = |function: &u32| {
            matches!(self.functions.get(*function as usize),
                Some(CoreFunction::ExportOf { instance, .. }) if *instance == detour.shim_instance)
        };
        let mains = |source: u32| self.sources_of(detour.main).any(|known| known == source);
        let elsewhere = (0..)
            .zip(&self.instances)
            .any(|(number, instance)| match instance {
                Instance::FromExports(exports) => {
                    !mains(number)
                        && exports
                            .iter()
                            .any(|export| export.kind == ExternalKind::Func && shims(&export.index))
                }
                // Whole, it would be a source of functions as well.
                Instance::Instantiate { args, .. } => {
                    args.iter().any(|arg| arg.index == detour.shim_instance)
                }
            });
        let alone = !self.foreign && !elsewhere && !self.used.iter().any(shims);
        (alone && single(detour.main) && single(detour.shim)).then_some(detour)
    }

    /// The instances that a module gets its imports from.
    fn sources_of(&self, module: usize) -> impl Iterator<Item = u32> {
        self.instances
            .iter()
            .flat_map(move |instance| match instance {
                Instance::Instantiate { module_index, args }
                    if *module_index as usize == module =>
                {
                    args.iter().map(|arg| arg.index).collect()
                }
                _ => Vec::new(),
            })
    }

    fn any_detour(&self) -> Option<Detour> {
        // Real ones have a dozen.
        if self.instances.len() > INSTANCES {
            return None;
        }
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
        let mut refused = Vec::new();
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
            // One shim is enough, and each candidate is looked at once.
            let (shim, slots) = match found {
                Some(found) => found,
                None if refused.contains(instance) => return None,
                None => match self.shim_slots(*instance) {
                    Some(slots) => *found.insert((*instance, slots)),
                    None => {
                        refused.push(*instance);
                        return None;
                    }
                },
            };
            name.parse()
                .ok()
                .filter(|slot| shim == *instance && *slot < slots)
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
    fn rebuilt(&self, detour: &Detour, main: &[u8]) -> Option<Vec<u8>> {
        let shim = calls::table_only(detour.slots);
        let mut component = wasm_encoder::Component::new();
        let mut modules = 0;
        for payload in outermost::sections(self.wasm) {
            let payload = payload.ok()?;
            let section = match &payload {
                Payload::ModuleSection { .. } => {
                    let data = match modules {
                        number if number == detour.main => main,
                        number if number == detour.shim => &shim,
                        number => self.module(number)?,
                    };
                    modules += 1;
                    Some((ComponentSectionId::CoreModule as u8, data))
                }
                Payload::InstanceSection(instances) => {
                    component.section(&with_table(instances.clone(), detour).ok()?);
                    None
                }
                _ => match payload.as_section() {
                    Some((id, range)) => Some((id, self.wasm.get(range)?)),
                    None => None,
                },
            };
            if let Some((id, data)) = section {
                component.section(&RawSection { id, data });
            }
        }
        Some(component.finish())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outermost::is_valid;

    /// Made by wit-component, with five functions behind its shim.
    const REWRITE: &[u8] = include_bytes!("../../../examples-wasm/prebuilt/rewrite.wasm");

    #[test]
    fn a_component_should_lose_its_detour_once() {
        let direct = without(REWRITE).expect("there is a detour");
        assert!(is_valid(&direct));
        assert!(without(&direct).is_none());
    }

    #[test]
    fn a_shim_that_does_anything_else_should_stay() {
        let outline = Outline::read(REWRITE).expect("valid");
        let shim = outline.detour().expect("a detour").shim;
        let range = outline.modules[shim].clone();
        // Each body ends with: i32.const SLOT, call_indirect TYPE TABLE, end.
        let ends: Vec<usize> = range
            .filter(|at| matches!(REWRITE[*at..], [0x41, _, 0x11, _, 0, 0x0b, ..]))
            .collect();
        assert!(ends.len() >= 3, "{ends:?}");
        for (slot, at) in ends.into_iter().enumerate() {
            let mut other = REWRITE.to_vec();
            other[at + 1] = u8::from(slot == 0);
            assert!(is_valid(&other), "it calls another function of the table");
            assert!(without(&other).is_none(), "slot {slot}");
        }
    }
}
