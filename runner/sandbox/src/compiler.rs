//! Where components become native code: in this process, or behind a port in
//! another one, which can be ended when it takes too long or too much memory.
//! Everything that is compiled is compiled here.
//!
//! Must not know what the other process is, nor how the code comes from there.

use std::fmt::Debug;
use std::time::Duration;

use wasmtime::component::Component;

use crate::engine::{Engine, compiling_engine};
use crate::shim;

/// Compiles components elsewhere.
pub trait Compiler: Debug + Send + Sync {
    /// The native code of a component, for an engine of this process: what
    /// [`CodeMaker::compile`] gave in a process of the same program. It is run
    /// as it is, so whoever implements this vouches for where it came from.
    /// Blocks for as long as compiling takes; called on threads that may.
    ///
    /// # Errors
    /// [`CompileError`].
    fn compile(&self, job: &CompileJob<'_>) -> Result<Vec<u8>, CompileError>;
}

/// What is to be compiled, and for which engine.
#[derive(Debug, Clone, Copy)]
pub struct CompileJob<'a> {
    /// A component.
    pub wasm: &'a [u8],
    /// What is done to it before.
    pub shape: Shape,
    /// What the code must fit.
    pub target: Target,
}

/// Whether a component is compiled as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It is.
    AsItIs,
    /// Its instances are spared the detour to host functions, where it has one
    /// and the compiler does not mind.
    WithoutShim,
}

/// What the settings of an engine mean for the code that it can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// It counts instructions.
    pub counts_instructions: bool,
    /// Its address space is short: memories move when they grow.
    pub is_short: bool,
}

/// Why there is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The compiler's own words.
    #[error("{0}")]
    Refused(String),
    /// It took longer than it may.
    #[error(
        "compiling it takes more than {} s; if you trust where it comes from, raise \
         limits.compile_s",
        .0.as_secs()
    )]
    TooSlow(Duration),
    /// It took more bytes of memory than it may.
    #[error(
        "compiling it takes more than {} MiB of memory; if you trust where it comes from, raise \
         limits.compile_mib",
        .0 >> 20
    )]
    TooMuchMemory(usize),
    /// The compiler ended on it.
    #[error("the compiler crashed on it: {0}")]
    Crashed(String),
    /// Somebody else ended the compiler: a person, or the kernel for want of
    /// memory.
    #[error(
        "the compiler was killed from outside while it worked on it; if the kernel did that, the \
         machine has less memory than limits.compile_mib allows"
    )]
    Killed,
    /// Only this moment forbids it.
    #[error("it cannot be compiled at the moment: {0}")]
    NotNow(String),
    /// Nothing can be compiled any more.
    #[error("nothing can be compiled any more: {0}; restart the runner")]
    Gone(String),
}

impl CompileError {
    /// Whether it may go well another time, though nothing about the component
    /// changes.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, CompileError::Killed | CompileError::NotNow(_))
    }

    fn refused(error: &wasmtime::Error) -> Self {
        CompileError::Refused(format!("{error:#}"))
    }
}

/// Compiles for engines of other processes of this program. It remembers the
/// functions that it compiled, for components that have them in common.
pub struct CodeMaker {
    engine: wasmtime::Engine,
}

impl CodeMaker {
    /// One that makes code for engines of this kind. It reserves no memory for
    /// instances, since it never has any.
    ///
    /// # Errors
    /// wasmtime's, where it refuses the settings.
    pub fn new(target: Target) -> Result<Self, wasmtime::Error> {
        let engine = compiling_engine(target)?;
        Ok(CodeMaker { engine })
    }

    /// The native code of a component.
    ///
    /// # Errors
    /// [`CompileError::Refused`].
    pub fn compile(&self, wasm: &[u8], shape: Shape) -> Result<Vec<u8>, CompileError> {
        let native = |wasm: &[u8]| self.engine.precompile_component(wasm);
        shaped(wasm, shape, native).map_err(|error| CompileError::refused(&error))
    }
}

impl Engine {
    /// Compiles a component, wherever that is done.
    ///
    /// # Errors
    /// [`CompileError`].
    pub(crate) fn compile(&self, wasm: &[u8], shape: Shape) -> Result<Component, CompileError> {
        let Some(compiler) = self.compiler() else {
            let here = |wasm: &[u8]| Component::new(self.wasmtime(), wasm);
            return shaped(wasm, shape, here).map_err(|error| CompileError::refused(&error));
        };
        let target = self.target();
        let code = compiler.compile(&CompileJob {
            wasm,
            shape,
            target,
        })?;
        // SAFETY: the bytes must be what wasmtime's compiler made. The port
        // promises that: a process of this very program made them, and they
        // came from it on a way that nobody else can write to. They are in our
        // memory, so nobody changes them now. That they fit this engine is
        // wasmtime's own check. What the promise does not cover is a compiler
        // that a component has taken over: its process bounds time, memory and
        // crashes, not what it answers.
        let component = unsafe { Component::deserialize(self.wasmtime(), code) };
        component.map_err(|error| CompileError::refused(&error))
    }
}

/// `compile` on the component in this shape; on the component as it is, should
/// the compiler mind what became of it.
fn shaped<T>(
    wasm: &[u8],
    shape: Shape,
    compile: impl Fn(&[u8]) -> Result<T, wasmtime::Error>,
) -> Result<T, wasmtime::Error> {
    let direct = match shape {
        Shape::AsItIs => None,
        Shape::WithoutShim => shim::without(wasm),
    };
    if let Some(direct) = direct {
        match compile(&direct) {
            Ok(made) => return Ok(made),
            Err(error) => tracing::debug!("a component keeps its shim: {error:#}"),
        }
    }
    compile(wasm)
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::EngineSettings;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn engine(instances: u32, count_instructions: bool, compiler: Stand) -> Arc<Engine> {
        let settings = EngineSettings {
            instances,
            guest_memory: 1 << 30,
            snapshot_memory: 0,
            cache: None,
            count_instructions,
            compiler: Some(Arc::new(compiler)),
            thread_start: crate::ThreadStart::default(),
        };
        Engine::start(settings).expect("an engine")
    }

    fn hash(engine: &wasmtime::Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    /// Answers with what it was given, and keeps what it was asked.
    #[derive(Debug)]
    struct Stand {
        answer: Option<Result<Vec<u8>, CompileError>>,
        asked: Arc<Mutex<Vec<Target>>>,
    }

    impl Compiler for Stand {
        fn compile(&self, job: &CompileJob<'_>) -> Result<Vec<u8>, CompileError> {
            self.asked.lock().expect("not poisoned").push(job.target);
            match &self.answer {
                Some(answer) => answer.clone(),
                None => CodeMaker::new(job.target)
                    .expect("a compiler")
                    .compile(job.wasm, job.shape),
            }
        }
    }

    #[test]
    fn code_made_elsewhere_should_fit_every_kind_of_engine() {
        for counts_instructions in [false, true] {
            let asked = Arc::default();
            let stand = Stand {
                answer: None,
                asked: Arc::clone(&asked),
            };
            let engine = engine(4, counts_instructions, stand);
            assert!(engine.compile(EMPTY, Shape::WithoutShim).is_ok());
            let target = asked.lock().expect("not poisoned")[0];
            assert_eq!(target.counts_instructions, counts_instructions);
            let maker = CodeMaker::new(target).expect("a compiler");
            assert_eq!(hash(engine.wasmtime()), hash(&maker.engine), "{target:?}");
            // One that makes code for others is not taken for it.
            let other = Target {
                is_short: !target.is_short,
                ..target
            };
            let other = CodeMaker::new(other).expect("a compiler");
            assert_ne!(hash(engine.wasmtime()), hash(&other.engine), "{target:?}");
        }
    }

    #[test]
    fn what_is_no_code_for_this_engine_should_be_refused() {
        let foreign = CodeMaker::new(Target {
            counts_instructions: true,
            is_short: false,
        });
        let foreign = foreign
            .expect("a compiler")
            .compile(EMPTY, Shape::AsItIs)
            .expect("code");
        let slow = CompileError::TooSlow(Duration::from_secs(7));
        let rows = [
            (Ok(Vec::new()), "ELF"),
            (Ok(EMPTY.to_vec()), "ELF"),
            (Ok(foreign), "fuel"),
            (Err(slow), "more than 7 s"),
        ];
        for (answer, expected) in rows {
            let stand = Stand {
                answer: Some(answer),
                asked: Arc::default(),
            };
            let compiled = engine(1, false, stand).compile(EMPTY, Shape::AsItIs);
            let error = compiled.expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
