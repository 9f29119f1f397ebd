//! The function that puts a core module's memory and globals back. Knows
//! nothing of components.

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, ExportKind, ExportSection, Function,
    FunctionSection, Instruction, Module, SectionId, TypeSection, ValType,
};
use wasmparser::{DataKind, Operator, Parser, Payload, TypeRef};

use super::RESTORE;

/// Pages of memory above which a new instance is cheaper: putting one back
/// writes all of them.
const PAGES: u64 = 4;

const PAGE: usize = 64 << 10;

/// Data that lies closer together than this is written in one go, with the
/// zeros between.
const GAP: usize = 1024;

/// Whether a module has anything that can change. `None` where it has what is
/// not understood here.
pub(super) fn has_state(wasm: &[u8]) -> Option<bool> {
    let mut state = false;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::MemorySection(memories) => state |= memories.count() > 0,
            Payload::GlobalSection(globals) => {
                for global in globals {
                    state |= global.ok()?.ty.mutable;
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import.ok()?.ty {
                        TypeRef::Func(_) | TypeRef::Table(_) => {}
                        _ => return None,
                    }
                }
            }
            _ => {}
        }
    }
    Some(state)
}

/// The module with the function. What the module would start with is what it
/// is put back to.
pub(super) fn with_restore(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut addition = Addition {
        state: State::read(wasm)?,
        counted: false,
    };
    let mut module = Module::new();
    utils::parse_core_module(&mut addition, &mut module, Parser::new(0), wasm).ok()?;
    Some(module.finish())
}

/// What a module starts with, and how many of everything it has.
#[derive(Default)]
struct State {
    types: u32,
    functions: u32,
    segments: u32,
    /// Of the one memory.
    pages: u64,
    /// Number and value of each global that can change.
    globals: Vec<(u32, Value)>,
    /// Where in memory, and what; in order and far apart.
    data: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Copy)]
enum Value {
    I32(i32),
    I64(i64),
    F32(wasm_encoder::Ieee32),
    F64(wasm_encoder::Ieee64),
}

impl State {
    fn read(wasm: &[u8]) -> Option<Self> {
        let mut state = State::default();
        let mut data = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.ok()? {
                Payload::TypeSection(groups) => {
                    for group in groups {
                        state.types += u32::try_from(group.ok()?.into_types().len()).ok()?;
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        state.functions += u32::from(matches!(import.ok()?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(functions) => state.functions += functions.count(),
                Payload::MemorySection(memories) => {
                    let memories: Vec<_> = memories.into_iter().collect::<Result<_, _>>().ok()?;
                    let [memory] = &*memories else { return None };
                    let plain = !memory.memory64
                        && !memory.shared
                        && memory.page_size_log2.is_none()
                        && memory.initial <= PAGES;
                    state.pages = plain.then_some(memory.initial)?;
                }
                Payload::GlobalSection(globals) => {
                    for (number, global) in (0..).zip(globals) {
                        let global = global.ok()?;
                        if global.ty.mutable {
                            state.globals.push((number, constant(&global.init_expr)?));
                        }
                    }
                }
                Payload::DataSection(segments) => {
                    state.segments = segments.count();
                    for segment in segments {
                        let segment = segment.ok()?;
                        if let DataKind::Active {
                            memory_index: 0,
                            offset_expr,
                        } = segment.kind
                        {
                            let Value::I32(at) = constant(&offset_expr)? else {
                                return None;
                            };
                            data.push((at.cast_unsigned() as usize, segment.data));
                        }
                    }
                }
                _ => {}
            }
        }
        state.data = joined(data, state.bytes())?;
        Some(state)
    }

    /// At most 256 KiB.
    fn bytes(&self) -> usize {
        usize::try_from(self.pages).unwrap_or_default() * PAGE
    }
}

/// The whole memory as it begins, cut where nothing but zeros is for long.
/// Segments may overlap; the later one counts.
fn joined(segments: Vec<(usize, &[u8])>, memory: usize) -> Option<Vec<(usize, Vec<u8>)>> {
    let mut image = vec![0; memory];
    for (at, data) in segments {
        let end = at.checked_add(data.len())?;
        image.get_mut(at..end)?.copy_from_slice(data);
    }
    let mut pieces: Vec<(usize, Vec<u8>)> = Vec::new();
    for (at, byte) in image.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        match pieces.last_mut() {
            Some((start, piece)) if at - (*start + piece.len()) < GAP => {
                piece.resize(at - *start, 0);
                piece.push(*byte);
            }
            _ => pieces.push((at, vec![*byte])),
        }
    }
    Some(pieces)
}

fn constant(expression: &wasmparser::ConstExpr<'_>) -> Option<Value> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read().ok()? {
        Operator::I32Const { value } => Value::I32(value),
        Operator::I64Const { value } => Value::I64(value),
        Operator::F32Const { value } => Value::F32(value.into()),
        Operator::F64Const { value } => Value::F64(value.into()),
        _ => return None,
    };
    matches!(operators.read().ok()?, Operator::End).then_some(value)
}

/// Copies a module and adds the function and what it writes.
struct Addition {
    state: State,
    /// The number of segments has been written.
    counted: bool,
}

impl Addition {
    fn body(&self) -> Function {
        let state = &self.state;
        let int = |value: usize| Instruction::I32Const(i32::try_from(value).unwrap_or(i32::MAX));
        let mut body = Function::new([]);
        if state.pages > 0 {
            // Memory that has grown cannot shrink.
            body.instruction(&Instruction::MemorySize(0));
            body.instruction(&int(usize::try_from(state.pages).unwrap_or_default()));
            body.instruction(&Instruction::I32Ne);
            body.instruction(&Instruction::If(wasm_encoder::BlockType::Empty));
            body.instruction(&Instruction::I32Const(1));
            body.instruction(&Instruction::Return);
            body.instruction(&Instruction::End);
            body.instruction(&int(0)).instruction(&int(0));
            body.instruction(&int(state.bytes()));
            body.instruction(&Instruction::MemoryFill(0));
        }
        for (data_index, (at, data)) in (state.segments..).zip(&state.data) {
            body.instruction(&int(*at)).instruction(&int(0));
            body.instruction(&int(data.len()));
            body.instruction(&Instruction::MemoryInit { mem: 0, data_index });
        }
        for (number, value) in &state.globals {
            body.instruction(&match *value {
                Value::I32(value) => Instruction::I32Const(value),
                Value::I64(value) => Instruction::I64Const(value),
                Value::F32(value) => Instruction::F32Const(value),
                Value::F64(value) => Instruction::F64Const(value),
            });
            body.instruction(&Instruction::GlobalSet(*number));
        }
        body.instruction(&Instruction::I32Const(0));
        body.instruction(&Instruction::End);
        body
    }

    fn segments(&self) -> u32 {
        self.state.segments + u32::try_from(self.state.data.len()).unwrap_or_default()
    }
}

type Outcome = Result<(), Error<std::convert::Infallible>>;

impl Reencode for Addition {
    type Error = std::convert::Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Outcome {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Outcome {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.state.types);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Outcome {
        utils::parse_export_section(self, exports, section)?;
        exports.export(RESTORE, ExportKind::Func, self.state.functions);
        Ok(())
    }

    fn data_count(&mut self, _: u32) -> Result<u32, Error<Self::Error>> {
        self.counted = true;
        Ok(self.segments())
    }

    /// The number of segments has to be known before the code.
    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Outcome {
        if before == Some(SectionId::Code) && !self.counted {
            let count = self.segments();
            module.section(&DataCountSection { count });
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Outcome {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.body());
        Ok(())
    }

    fn parse_data_section(
        &mut self,
        data: &mut DataSection,
        section: wasmparser::DataSectionReader<'_>,
    ) -> Outcome {
        utils::parse_data_section(self, data, section)?;
        for (_, bytes) in &self.state.data {
            data.passive(bytes.iter().copied());
        }
        Ok(())
    }
}
