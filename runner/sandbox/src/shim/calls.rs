//! The core modules on both sides of the detour: the main module, whose calls
//! into the shim become calls through its table, and the shim that is left.
//! Knows nothing of components.

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Instruction, Module, RefType, TableSection, TableType, TypeSection,
};
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, Import, Operator, Parser, Payload, TypeRef,
};

use super::{Detour, SHIM, TABLE};

/// For each import of a module its slot, as `slot_of` says by its two names.
/// `None` where it imports anything but functions.
pub(super) fn imports(
    wasm: &[u8],
    slot_of: &mut dyn FnMut(&str, &str) -> Option<u32>,
) -> Option<Vec<Option<u32>>> {
    let mut slots = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(section) = payload.ok()? {
            for import in section.into_imports() {
                let Import { module, name, ty } = import.ok()?;
                if !matches!(ty, TypeRef::Func(_)) {
                    return None;
                }
                slots.push(slot_of(module, name));
            }
        }
    }
    slots.iter().any(Option::is_some).then_some(slots)
}

/// How many functions a shim has: it exports them by number, each does nothing
/// but call the table's function of the same number, and it exports the table.
/// `None` for any other module.
pub(super) fn shim_slots(wasm: &[u8]) -> Option<u32> {
    let mut shim = Shim::default();
    for payload in Parser::new(0).parse_all(wasm) {
        shim.read(payload.ok()?)?;
    }
    let all = shim.exported == shim.bodies && shim.exported == shim.functions.len();
    let count = u32::try_from(shim.exported).ok()?;
    (all && shim.table == Some(u64::from(count))).then_some(count)
}

/// What was found of a shim so far.
#[derive(Default)]
struct Shim {
    parameters: Vec<u32>,
    /// Their types.
    functions: Vec<u32>,
    table: Option<u64>,
    exported: usize,
    bodies: usize,
}

impl Shim {
    /// `None` for what no shim has.
    fn read(&mut self, payload: Payload<'_>) -> Option<()> {
        match payload {
            Payload::Version { .. }
            | Payload::End(_)
            | Payload::CustomSection(_)
            | Payload::CodeSectionStart { .. } => {}
            Payload::TypeSection(groups) => {
                for group in groups {
                    for ty in group.ok()?.into_types() {
                        let CompositeInnerType::Func(ty) = ty.composite_type.inner else {
                            return None;
                        };
                        self.parameters.push(u32::try_from(ty.params().len()).ok()?);
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                self.functions = functions.into_iter().collect::<Result<_, _>>().ok()?;
            }
            Payload::TableSection(tables) => {
                let tables: Vec<_> = tables.into_iter().collect::<Result<_, _>>().ok()?;
                let [table] = &*tables else { return None };
                let fixed = table.ty.maximum == Some(table.ty.initial) && !table.ty.table64;
                self.table = fixed.then_some(table.ty.initial);
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.ok()?;
                    let number = usize::try_from(export.index).ok()?;
                    match export.kind {
                        ExternalKind::Func
                            if number == self.exported && export.name == number.to_string() =>
                        {
                            self.exported += 1;
                        }
                        ExternalKind::Table if export.name == TABLE => {}
                        _ => return None,
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let ty = *self.functions.get(self.bodies)?;
                let parameters = *self.parameters.get(ty as usize)?;
                let slot = u32::try_from(self.bodies).ok()?;
                passes_on(&body, ty, parameters, slot)?;
                self.bodies += 1;
            }
            _ => return None,
        }
        Some(())
    }
}

/// Whether a function does nothing but call the one in its slot of the table.
fn passes_on(
    body: &wasmparser::FunctionBody<'_>,
    ty: u32,
    parameters: u32,
    slot: u32,
) -> Option<()> {
    let operators = body.get_operators_reader().ok()?;
    let found: Vec<Operator<'_>> = operators.into_iter().collect::<Result<_, _>>().ok()?;
    let gets = (0..parameters).map(|local_index| Operator::LocalGet { local_index });
    let call = [
        Operator::I32Const {
            value: slot.cast_signed(),
        },
        Operator::CallIndirect {
            type_index: ty,
            table_index: 0,
        },
        Operator::End,
    ];
    let locals = body.get_locals_reader().ok()?.get_count() == 0;
    (locals && found.into_iter().eq(gets.chain(call))).then_some(())
}

/// A shim of which nothing is left but its table. The functions have their
/// names still, because the component refers to them, and nobody calls them.
pub(super) fn table_only(slots: u32) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut tables = TableSection::new();
    tables.table(table_type(slots));
    let mut exports = ExportSection::new();
    for slot in 0..slots {
        exports.export(&slot.to_string(), ExportKind::Func, 0);
    }
    exports.export(TABLE, ExportKind::Table, 0);
    let mut body = Function::new([]);
    body.instruction(&Instruction::Unreachable);
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables);
    module.section(&exports).section(&code);
    module.finish()
}

fn table_type(slots: u32) -> TableType {
    TableType {
        element_type: RefType::FUNCREF,
        minimum: slots.into(),
        maximum: Some(slots.into()),
        table64: false,
        shared: false,
    }
}

/// The main module with the functions of the shim inside.
pub(super) fn inside(wasm: &[u8], detour: &Detour) -> Option<Vec<u8>> {
    let (types, imported) = signatures(wasm)?;
    let mut kept = 0;
    let mut places = Vec::new();
    let mut calls = Vec::new();
    for (slot, ty) in detour.imports.iter().zip(imported) {
        match slot {
            Some(slot) => {
                // Behind the imports that stay, in the order they had.
                places.push(Place::Inside(u32::try_from(calls.len()).ok()?));
                let parameters = types.get(ty as usize)?.params().len();
                calls.push(Call {
                    ty,
                    parameters: u32::try_from(parameters).ok()?,
                    slot: *slot,
                });
            }
            None => {
                places.push(Place::Imported(kept));
                kept += 1;
            }
        }
    }
    let mut inliner = Inliner {
        slots: detour.slots,
        kept,
        places,
        calls,
        import: 0,
    };
    let mut module = Module::new();
    utils::parse_core_module(&mut inliner, &mut module, Parser::new(0), wasm).ok()?;
    Some(module.finish())
}

/// The function types of a module, and which of them its imports have.
fn signatures(wasm: &[u8]) -> Option<(Vec<FuncType>, Vec<u32>)> {
    let (mut types, mut imported) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::TypeSection(groups) => {
                for group in groups {
                    for ty in group.ok()?.into_types() {
                        // With others among them, numbers would not match.
                        let CompositeInnerType::Func(ty) = ty.composite_type.inner else {
                            return None;
                        };
                        types.push(ty);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let TypeRef::Func(ty) = import.ok()?.ty else {
                        return None;
                    };
                    imported.push(ty);
                }
            }
            _ => {}
        }
    }
    Some((types, imported))
}

/// Where a function that was imported is found now.
#[derive(Clone, Copy)]
enum Place {
    Imported(u32),
    Inside(u32),
}

/// A function that calls another through the shim's table.
struct Call {
    ty: u32,
    parameters: u32,
    slot: u32,
}

impl Call {
    fn body(&self) -> Function {
        let mut body = Function::new([]);
        for parameter in 0..self.parameters {
            body.instruction(&Instruction::LocalGet(parameter));
        }
        body.instruction(&Instruction::I32Const(self.slot.cast_signed()));
        body.instruction(&Instruction::CallIndirect {
            type_index: self.ty,
            table_index: 0,
        });
        body.instruction(&Instruction::End);
        body
    }
}

/// Rewrites the main module section by section. Its own tables go up by one
/// number, because the imported table comes first.
struct Inliner {
    slots: u32,
    kept: u32,
    places: Vec<Place>,
    calls: Vec<Call>,
    /// The import that comes next.
    import: usize,
}

impl Reencode for Inliner {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Self::Error>> {
        Ok(match self.places.get(function as usize) {
            Some(Place::Imported(place)) => *place,
            Some(Place::Inside(place)) => self.kept + place,
            // As many before it as ever.
            None => function,
        })
    }

    fn table_index(&mut self, table: u32) -> Result<u32, Error<Self::Error>> {
        Ok(table + 1)
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        let table = EntityType::Table(table_type(self.slots));
        imports.import(SHIM, TABLE, table);
        for import in section.into_imports() {
            let place = self.places.get(self.import).copied();
            self.import += 1;
            if !matches!(place, Some(Place::Inside(_))) {
                utils::parse_import(self, imports, import?)?;
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        for call in &self.calls {
            functions.function(call.ty);
        }
        utils::parse_function_section(self, functions, section)
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        for call in &self.calls {
            code.function(&call.body());
        }
        utils::parse_code_section(self, code, section)
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        // Names by numbers that are others now.
        Ok(())
    }
}
